"""Reading a sentence: which structures it is about, and what it claims of each."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from assistant.grounding import words
from assistant.grounding.lesion_claims import take_lesion_claims
from assistant.grounding.lexicon import Lexicon, Mention, plain
from assistant.grounding.numbers import UNIT_WORDS
from assistant.grounding.page import ADJECTIVES, Claim, Page, Standing, bound, names_lesion
from assistant.grounding.vocabulary import strange_words


@dataclass(frozen=True)
class Comparison:
    """'A is larger than B': subjects by index."""

    word: str
    first: int
    second: int


@dataclass(frozen=True)
class Reading:
    """A sentence read: subjects with their standing, claims about them, comparisons, and what no rule covers."""

    subjects: tuple[Mention, ...]
    standing: tuple[Standing, ...]
    claims: tuple[Claim, ...]
    comparisons: tuple[Comparison, ...]
    carried: Standing
    """Standing of what a sentence without a subject is about."""
    uncovered: tuple[str, ...]
    over_time: tuple[str, ...]


_UNITS = "|".join(sorted((re.escape(unit) for unit in UNIT_WORDS), key=len, reverse=True))
_DIGITS = r"(?<![\w.,])-?\d+(?:,\d{3})*(?:\.\d+)?"
_UNIT = rf"(?:\s?({_UNITS})(?![a-z0-9²³]))"
_NUMBER = re.compile(rf"({_DIGITS}){_UNIT}?(?!\w)")
_PAIR = re.compile(rf"({_DIGITS}){_UNIT}?\s?(?:x|by)\s?(\d+(?:,\d{{3}})*(?:\.\d+)?){_UNIT}")
_SPAN = re.compile(rf"({_DIGITS})(?= ?(?:to|and|-) ?(?:\d+(?:,\d{{3}})*(?:\.\d+)?){_UNIT})")
_TO = re.compile(r" ?(?:to|and|-) ?(?=\d|$)")
_COUNT_WORD = rf"\b({'|'.join(words.NUMBER_WORDS)}|{'|'.join(words.SEVERAL)}|both|\d+)"
_COUNTED = re.compile(rf"{_COUNT_WORD} {ADJECTIVES}$")
_COUNTED_ALL = re.compile(rf"{_COUNT_WORD} (?:structures|organs)\b")
_SPELLED = re.compile(rf"\b(?:{'|'.join(word for word in words.NUMBER_WORDS if word != 'one')}|{words.SPELLED})\b")
_PERCENTILE = re.compile(r"\b(5|95)th percentile\b")
_ID = re.compile(r"\bf\d+\b")
_IN = re.compile(r"\b(?:in|within|inside)(?: the| its)? $")
_OF = re.compile(r"\b(?:of|from)(?: the| its)? $")
_PRONOUN = re.compile(r"\s*(?:it|its|they|their|this|these)\b")
_JOIN = re.compile(rf"[\s:(,]*(?:the |a |an )?{ADJECTIVES}")
_AND = re.compile(rf"\s*(?:,|and|or|nor|, and|, or)\s*(?:the |a |an )?{ADJECTIVES}")
_NO_GAP = re.compile(rf"(?: (?:the|a|an|any|visible|signs?|evidence|of|further))* {ADJECTIVES}")
_SUSPECTED = re.compile(r"\b(?:suspected|possible|potential)\b")
_SUSPECTED_NEXT = re.compile(rf"{_SUSPECTED.pattern} {ADJECTIVES}$")
_AFTER_NUMBER = re.compile(r"\s*(?:(?:in|of|as|for)(?: the| its)?)?\s*")


def read(sentence: str, *, lexicon: Lexicon) -> Reading:
    """What one sentence claims; numbers, negations, places and judgements that no rule understands are `uncovered`."""
    page = Page(_PERCENTILE.sub(r"p\1", plain(sentence)))
    page.refuse(words.FORBIDDEN, "is never covered by a record")
    take_lesion_claims(page)
    page.claims += [Claim("range", (match[1],), *match.span()) for match in page.take(words.RANGE)]
    ranges: list[Named] = [(claim.start, claim.end, words.NORMAL) for claim in page.claims]
    ranges += [(*match.span(), words.NORMAL) for match in page.take(words.NEUTRAL) if "normal range" in match.group()]
    page.claims += [Claim("no_size", (), *match.span()) for match in page.take(words.NO_SIZE)]
    page.claims += [_cut(match) for match in page.take(words.CUT)]
    not_assessable = page.take(words.NOT_ASSESSABLE)
    subjects = _subjects(page, lexicon)
    over_time = tuple(match.group() for match in page.take(words.OVER_TIME))
    page.refuse(words.DESCRIPTION, "has no record")
    comparisons = _comparisons(page, subjects)
    _sites(page)
    _counts(page, subjects)
    _numbers(page, ranges)
    if comparisons:
        page.claims = [_of_comparison(claim) for claim in page.claims]
    claims = tuple(bound(claim, subjects, page.text) for claim in page.claims)
    standing, carried = _standing(page, subjects, not_assessable=not_assessable, claims=claims)
    page.refuse(words.DIRECTION, "is not covered")
    page.refuse(words.COMPARATIVE, "is not covered")
    page.uncovered += [f"the word '{word}' is in no vocabulary" for word in strange_words(page.text)]
    return Reading(tuple(subjects), standing, claims, comparisons, carried, tuple(page.uncovered), over_time)


def _cut(match: re.Match[str]) -> Claim:
    return Claim("cut", tuple(sorted(set(re.findall(r"[a-z]+", match[1])) - {"and"})), *match.span())


def _subjects(page: Page, lexicon: Lexicon) -> list[Mention]:
    """What the sentence is about; organs that only say where a lesion lies become claims."""
    ids = [Mention(match.start(), match.end(), frozenset(), finding=match.group().upper()) for match in page.take(_ID)]
    named = [mention for mention in lexicon.mentions(page.text) if not _is_segment_site(mention, page.text)]
    mentions = _merged(sorted([*ids, *named], key=lambda mention: mention.start), page.text)
    with_lesion = any(names_lesion(mention) for mention in mentions)
    pronoun = bool(_PRONOUN.match(page.text))
    subjects: list[Mention] = []
    for mention in mentions:
        before = page.text[: mention.start]
        lesion_before = pronoun or any(names_lesion(subject) for subject in subjects)
        is_site = not names_lesion(mention) and (
            (_IN.search(before) and (with_lesion or pronoun)) or (_OF.search(before) and lesion_before)
        )
        if is_site and not re.search(r"\b(?:distance|contact|apart)\b", page.text):
            page.claims.append(Claim("organ", tuple(sorted(mention.names)), mention.start, mention.end))
        else:
            subjects.append(mention)
    page.claims += [
        Claim("suspected", (), subject.start, subject.start, about=at)
        for at, subject in enumerate(subjects)
        if _SUSPECTED_NEXT.search(page.text[: subject.start])
        or _SUSPECTED.search(page.text[subject.start : subject.end])
    ]
    for mention in mentions:
        page.blank(mention.start, mention.end)
    return subjects


def _is_segment_site(mention: Mention, text: str) -> bool:
    return all(name.startswith("liver_segment_") for name in mention.names) and bool(_IN.search(text[: mention.start]))


def _merged(mentions: list[Mention], text: str) -> list[Mention]:
    """'liver lesion F2', 'F2 (liver lesion)' and 'F2: suspected liver lesion' are one mention each."""
    merged: list[Mention] = []
    for mention in mentions:
        last = merged[-1] if merged else None
        one_is_id = last is not None and (last.finding is None) != (mention.finding is None)
        if last and one_is_id and _JOIN.fullmatch(text[last.end : mention.start]):
            merged[-1] = replace(
                last, end=mention.end, names=last.names | mention.names, finding=last.finding or mention.finding
            )
        else:
            merged.append(mention)
    return merged


def _comparisons(page: Page, subjects: list[Mention]) -> tuple[Comparison, ...]:
    comparisons = []
    for match in page.take(words.COMPARED):
        before = [at for at, subject in enumerate(subjects) if subject.end <= match.start()]
        after = [at for at, subject in enumerate(subjects) if subject.start >= match.end()]
        if before and after:
            comparisons.append(Comparison(match[1], before[-1], after[0]))
        else:
            page.uncovered.append(f"'{match.group()}' does not say of which two")
    return tuple(comparisons)


def _of_comparison(claim: Claim) -> Claim:
    """A number beside 'larger than' is of what is compared, unless it is said to be another."""
    unnamed = claim.kind == "number" and not claim.quantity and claim.value[1] != "1"
    return replace(claim, quantity=("volume", "long_axis")) if unnamed else claim


def _sites(page: Page) -> None:
    segments, slices = page.take(words.SEGMENTS), page.take(words.SLICES)
    for match in segments:
        numbers = re.findall(r"\d+|[iv]+", match[1])
        page.claims.append(Claim("segments", tuple(str(words.ROMAN.get(n, n)) for n in numbers), *match.span()))
    page.claims += [Claim("slices", tuple(n for n in match.groups() if n), *match.span()) for match in slices]
    for match in (*segments, *slices):
        if words.NO_PLACE.search(match.string[: match.start()]) or _is_factor(match):
            page.uncovered.append(f"'{match.group()}' is no value")
    page.claims += [Claim("confidence", (match[1],), *match.span()) for match in page.take(words.CONFIDENCE)]
    page.claims += [Claim("part", (match.group(),), *match.span()) for match in page.take(words.PART)]
    page.claims += [Claim("side", (match[1],), *match.span()) for match in page.take(words.SIDE)]


def _counts(page: Page, subjects: list[Mention]) -> None:
    for at, subject in enumerate(subjects):
        match = _COUNTED.search(page.text[: subject.start])
        if match and not (match[1] == "both" and not names_lesion(subject)):
            page.claims.append(Claim("count", (match[1],), *match.span(1), about=at))
            page.blank(*match.span(1))
    for match in page.take(_COUNTED_ALL):
        page.claims.append(Claim("count", (match[1],), *match.span(), quantity=("structures",)))
    page.refuse(_SPELLED, "counts nothing that is on record")


Named = tuple[int, int, tuple[str, ...]]
"""Where words name the quantity of the numbers near them, and which."""


def _numbers(page: Page, ranges: list[Named]) -> None:
    before = page.text
    quantities = [(*match.span(), names) for pattern, names in words.QUANTITIES for match in pattern.finditer(before)]
    quantities += ranges
    for match in page.take(_PAIR):
        unit = UNIT_WORDS[match[4]]
        first = UNIT_WORDS[match[2]] if match[2] else unit
        page.claims.append(
            Claim("pair", (match[1].replace(",", ""), first, match[3].replace(",", ""), unit), *match.span())
        )
    spans: list[Named] = []
    for match in page.take(_SPAN):
        claim = Claim("number", (match[1].replace(",", ""), UNIT_WORDS[match[2]]), *match.span())
        spans.append((*match.span(), _quantity(claim, before, quantities)))
        page.claims.append(replace(claim, quantity=_lower(spans[-1], before)))
    for match in page.take(_NUMBER):
        unit = UNIT_WORDS[match[2]] if match[2] else "1"
        claim = Claim("number", (match[1].replace(",", ""), unit), *match.span())
        spans.append((*match.span(), _of_span(claim, before, spans) or _quantity(claim, before, quantities)))
        page.claims.append(replace(claim, quantity=_lower(spans[-1], before)))
        if _is_factor(match) or (unit != "1" and words.IN_PLACE.search(match.string[: match.start()])):
            page.uncovered.append(f"'{match.group()}' stands where no value belongs")
    if any(names == ("contact",) for _, _, names in quantities) and not any(
        c.quantity == ("contact",) for c in page.claims
    ):
        page.uncovered.append("contact is said without its measurement")
    page.refuse(re.compile(r"(?!p5\b|p95\b)(?<!\S)\S*\d\S*"), "is a number that no record covers")


def _is_factor(match: re.Match[str]) -> bool:
    """Whether something stands beside a 'x' without being half of a pair of lengths."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    return bool(words.TIMES_BEFORE.search(before) or words.TIMES_AFTER.match(after))


def _of_span(claim: Claim, text: str, spans: list[Named]) -> tuple[str, ...]:
    """The quantity of the second number of a span, of a normal range its upper bound; none for any other number."""
    for _, end, names in spans:
        if end <= claim.start and _TO.fullmatch(text, end, claim.start):
            return names[1:] if names == words.NORMAL else names
    return ()


def _lower(number: Named, text: str) -> tuple[str, ...]:
    """The quantity of a number; of a normal range with two bounds that of the lower one for the first."""
    _, end, names = number
    return names[:1] if names == words.NORMAL and _TO.match(text, end) else names


def _quantity(claim: Claim, text: str, quantities: list[Named]) -> tuple[str, ...]:
    """The quantity that words next to a number give it: right after it, or before it with no number between."""
    for start, _, names in quantities:
        if start >= claim.end and _AFTER_NUMBER.fullmatch(text[claim.end : start]):
            return names
    before = [
        (names[0] in words.RELATIONAL, end, names)
        for _, end, names in quantities
        if end <= claim.start and not re.search(r"(?<!p)(?<!p9)\d", text[end : claim.start])
    ]
    # 'The difference in volume is 12 mL' is a difference, whatever stands nearer.
    return max(before)[2] if before else ()


def _standing(
    page: Page, subjects: list[Mention], *, not_assessable: list[re.Match[str]], claims: tuple[Claim, ...]
) -> tuple[tuple[Standing, ...], Standing]:
    """What is said of each subject as a whole, and of 'it' in a sentence without a subject."""
    standing: list[Standing] = ["present"] * len(subjects)
    carried: Standing = "present"
    text = page.text
    said: list[tuple[list[int], Standing]] = []
    for claim in claims:
        if claim.kind == "cut":
            said.append(([claim.about] if claim.about is not None else [], "cut"))
    said += [(_group_before(match.start(), subjects, text), "not assessable") for match in not_assessable]
    said += [(_group_before(match.start(), subjects, text), "absent") for match in page.take(words.NO_AFTER)]
    for match in page.take(words.NO_BEFORE):
        group = _group_after(match.end(), subjects, text)
        if not group:
            page.uncovered.append(f"'{match.group()}' denies nothing that is on record")
        said.append((group, "absent"))
    for group, what in said:
        carried = what if not group and not subjects else carried
        if any(standing[at] != "present" for at in group) or (subjects and not group):
            page.uncovered.append(f"'{what}' is said twice or of nothing")
        for at in group:
            standing[at] = what
    return tuple(standing), carried


def _group_before(position: int, subjects: list[Mention], text: str) -> list[int]:
    """The last subject before a position and those that 'and', 'or' or a comma join to it."""
    group: list[int] = []
    for at in reversed([at for at, subject in enumerate(subjects) if subject.end <= position]):
        if group and not _AND.fullmatch(text[subjects[at].end : subjects[group[-1]].start]):
            break
        group.append(at)
    return group


def _group_after(position: int, subjects: list[Mention], text: str) -> list[int]:
    group: list[int] = []
    for at in (at for at, subject in enumerate(subjects) if subject.start >= position):
        gap = text[position if not group else subjects[group[-1]].end : subjects[at].start]
        if not (_AND if group else _NO_GAP).fullmatch(gap if group else f" {gap.lstrip()}"):
            break
        group.append(at)
    return group
