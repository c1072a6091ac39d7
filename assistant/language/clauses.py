"""A question cut into clauses, each asking for one thing about some structures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from assistant.language.lesions import compose_lesions
from assistant.language.lexicon import FILLERS, SIDES, correct
from assistant.language.mentions import Item, Mention, mention_items
from assistant.language.screens import asks_advice
from assistant.language.words import Token, clean, find_phrase, tokens_of
from prompts import load_words
from vision.structures import GROUPS

SLOT = "§"
"""Stands for a mention in a clause's text."""

_HARD = frozenset({".", "?", "!", ";", "\n"})
_THEN = frozenset({"then", "afterwards", "afterward", "thereafter", "subsequently", "finally", "lastly"})
_SOFT = frozenset({",", "and", "&", "+", "plus", "also", "but", "while", "with", "including", "along"})
_DETERMINERS = FILLERS | SIDES.keys() | {"any", "all", "both", "each", "its", "these", "those", "that", "for"}


@dataclass(frozen=True)
class Clause:
    """One clause. `text` is its words with `§` for each mention; `full` the same with the mentions' own words."""

    items: tuple[Item, ...]
    is_question: bool = False
    opens_sentence: bool = True

    @property
    def text(self) -> str:
        """Words, mentions as `§`, no marks."""
        return " ".join(
            SLOT if isinstance(i, Mention) else i.raw for i in self.items if isinstance(i, Mention) or i.is_word
        )

    @property
    def full(self) -> str:
        """Words, mentions spelled out, no marks."""
        return " ".join(
            i.words if isinstance(i, Mention) else i.raw for i in self.items if isinstance(i, Mention) or i.is_word
        )

    @property
    def mentions(self) -> tuple[Mention, ...]:
        """The mentions in order."""
        return tuple(item for item in self.items if isinstance(item, Mention))

    @property
    def targets(self) -> tuple[Mention, ...]:
        """The mentions that something is asked about."""
        return tuple(mention for mention in self.mentions if mention.role == "target")


@cache
def _action_phrases() -> tuple[str, ...]:
    words = load_words("requests")
    phrases = [
        *words["segment"]["strong"],
        *words["segment"]["weak"],
        *words["measure"]["verbs"],
        *words["measure"]["asking"],
    ]
    phrases += [phrase for quantity in words["quantities"].values() for phrase in quantity]
    phrases += (
        words["compare"]["phrases"]
        + words["count"]["phrases"]
        + words["locate"]["phrases"]
        + words["report"]["phrases"]
    )
    phrases += (
        words["export"]["phrases"] + words["detect"]["always"] + words["detect"]["look"] + words["detect"]["glance"]
    )
    phrases += words["describe"]["phrases"]
    phrases += words["answer"]["presence"] + words["classify"]["phrases"] + words["asking"]["phrases"]
    return tuple(dict.fromkeys(phrases))


@cache
def _quantity_phrases() -> tuple[str, ...]:
    return tuple(phrase for quantity in load_words("requests")["quantities"].values() for phrase in quantity)


def clauses_of(question: str) -> list[Clause]:
    """The clauses of a question in order, with lesions bound to organs and landmarks and exclusions marked."""
    items = mention_items(correct(tokens_of(clean(question))))
    if all(item.group == "lesions" for item in items if isinstance(item, Mention)):
        mention = _description(Clause(tuple(items)).full, "described") or _description(
            Clause(tuple(items)).full, "hinted"
        )
        if mention is not None and not asks_advice(mention.words):
            return [Clause((Token("segment", "segment"), mention))]
    clauses: list[Clause] = []
    earlier: list[Mention] = []
    for part, is_question, opens in _split(items):
        marked = _described(_with_roles(part))
        clause = Clause(tuple(compose_lesions(marked, earlier)), is_question, opens)
        earlier += clause.targets
        if clause.text:
            clauses.append(clause)
    return clauses


def _split(items: Sequence[Item]) -> Iterator[tuple[list[Item], bool, bool]]:
    part: list[Item] = []
    opens = True
    for index, item in enumerate(items):
        if isinstance(item, Token) and item.raw in _HARD:
            yield part, item.raw == "?", opens
            part, opens = [], True
        elif isinstance(item, Token) and (item.raw in _THEN or (item.raw in _SOFT and _starts_anew(items, index))):
            yield part, False, opens
            part, opens = [], False
        else:
            part.append(item)
    yield part, False, opens


def _starts_anew(items: Sequence[Item], index: int) -> bool:
    """Whether something new is asked for after a comma, 'and' or 'with': an action comes before the next mention."""
    head: list[str] = []
    for item in items[index + 1 :]:
        if isinstance(item, Mention) or item.raw in _HARD or (head and item.raw in _SOFT):
            break
        if item.is_word and item.raw not in _SOFT:
            head.append(item.raw)
    text = " ".join(head)
    word = items[index]
    limited = isinstance(word, Token) and word.raw in ("with", "including", "along", "plus", "+")
    return bool(text) and find_phrase(_quantity_phrases() if limited else _action_phrases(), text) is not None


def _with_roles(items: Sequence[Item]) -> list[Item]:
    """Mark mentions after 'except' as excepted, and landmarks and reasons as beside the point."""
    words = load_words("requests")["structure"]
    marked: list[Item] = []
    before: list[str] = []
    wanted = False
    for item in items:
        if not isinstance(item, Mention):
            marked.append(item)
            before += [item.raw] if item.is_word else []
            continue
        text = " ".join(before)
        tail = _last_words(before)
        if (
            find_phrase(words["negated_request"], text)
            or find_phrase(words["except"], text)
            or _is_left_out(marked, tail)
        ):
            marked.append(replace(item, role="except"))
        elif find_phrase(words["reason"], text) or (wanted and _is_beside(item, marked, text, tail)):
            marked.append(replace(item, role="beside"))
        else:
            marked.append(item)
            wanted = True
        before.append(SLOT)
    if find_phrase(
        ("distan*", "how far", "how close", "how near", "gap", "contact", "touch*", "abut*", "compar*", "difference"),
        " ".join(before),
    ):
        return [replace(i, role="target") if isinstance(i, Mention) and i.role == "beside" else i for i in marked]
    return marked


def _is_left_out(marked: Sequence[Item], tail: str) -> bool:
    """Whether a mention follows 'not' or 'but', or is listed after one that does."""
    last = next((other for other in reversed(marked) if isinstance(other, Mention)), None)
    listed = last is not None and last.role == "except" and tail.endswith((f"{SLOT} and", f"{SLOT} or", SLOT))
    return listed or tail.endswith((" not", f"{SLOT} but"))


def _is_beside(item: Mention, marked: Sequence[Item], text: str, tail: str) -> bool:
    """Whether a mention after a wanted one is a landmark, or what the wanted one will be looked at for."""
    words = load_words("requests")
    last = next(other for other in reversed(marked) if isinstance(other, Mention))
    if (
        item.is_lesion
        and not last.is_lesion
        and find_phrase(words["segment"]["strong"], text)
        and tail.endswith(" for")
    ):
        return True
    if item.group and tail.endswith(" as") and not tail.endswith(" well as"):
        return True
    if (
        item.group
        and item.words in words["structure"]["generic"]
        and text.endswith((" the", " an", " a", " this", " that"))
    ):
        return item.words in ("organ", "vessel", "artery", "vein")
    if find_phrase(words["segment"]["strong"], text) and find_phrase(
        words["structure"]["purpose"], text.partition(SLOT)[2]
    ):
        return not last.is_lesion
    if last.is_lesion and not item.is_lesion and tail.endswith(" from"):
        return False
    return _ends_with(words["structure"]["beside"], tail)


def _last_words(before: Sequence[str]) -> str:
    """The words up to a mention, without the determiners straight before it."""
    words = list(before)
    while words and words[-1] in _DETERMINERS and words[-2:] not in (["left", "of"], ["right", "of"]):
        words.pop()
    return " " + " ".join(words)


def _ends_with(phrases: Sequence[str], text: str) -> bool:
    """Whether a text ends with a phrase, or with one followed by a list of mentions."""
    while not any(text.endswith(" " + phrase) for phrase in phrases):
        head, _, last = text.rpartition(" ")
        if last not in _DETERMINERS | {"and", "or", SLOT}:
            return False
        text = head
    return True


def _described(items: list[Item]) -> list[Item]:
    """'The organ that stores bile' as the structure it describes; items without such a description as they are."""
    words = load_words("requests")["structure"]
    first = next((i for i, item in enumerate(items) if isinstance(item, Mention)), len(items))
    generic = (
        i
        for i, item in enumerate(items)
        if (item.words if isinstance(item, Mention) else item.stem) in words["generic"]
    )
    start = next(generic, None)
    if start is None or start > first:
        return items
    tail = Clause(tuple(items[start:])).full
    opened = find_phrase(load_words("requests")["relative"]["phrases"], tail)
    mention = _description(tail) if opened else None
    return [*items[:start], mention] if mention else items


def _description(text: str, table: str = "described") -> Mention | None:
    """The structure that a text describes by what it does or where it lies, or hints at by a complaint."""
    for row in load_words("requests")[table]:
        if all(find_phrase(options, text) for options in row["all"]) and not find_phrase(row.get("not", [SLOT]), text):
            return _described_mention(row["structure"], text)
    return None


def _described_mention(name: str, words: str) -> Mention:
    if name not in GROUPS:
        return Mention(words, (name,))
    sides = [side for side in ("left", "right") if find_phrase((side,), words)]
    structures = tuple(n for n in GROUPS[name] if len(sides) != 1 or n.endswith(sides[0]))
    return Mention(words, structures, name if len(sides) != 1 else None)
