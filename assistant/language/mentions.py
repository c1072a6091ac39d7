"""Structures as a question mentions them: which side, which lesion of which organ, where within it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assistant.language.lexicon import FILLERS, SIDES, find_names
from assistant.language.words import Token
from vision.structures import GROUPS, by_name

_BOTH = frozenset({"both", "bilateral", "pair", "two", "2", "each", "bilaterally"})
JOINING = frozenset({"and", "or", ",", "/", "&", "+", "vs", "versus"})
_TO_SIDE = frozenset(
    {
        "(",
        ",",
        "on",
        "at",
        "in",
        "the",
        "to",
        "of",
        "patient",
        "his",
        "her",
        "only",
        "with",
        "than",
        "against",
        "located",
        "lying",
        "situated",
        "found",
        "which",
        "that",
        "is",
    }
)
_NOT_A_SIDE = frozenset(
    {"now", "away", "of", "here", "there", "next", "after", "before", "above", "below", "behind", "under"}
)
DESCRIBING = frozenset(
    {"malignant", "benign", "suspicious", "suspected", "focal", "primary", "metastatic", "possible", "potential"}
)
_AT = frozenset({"(", "on", "at", "in", "the", "of", "patient", "his", "her"}) | {
    *("only", "located", "lying", "situated", "found", "which", "that", "is", "side")
}
"""Words that say where the one thing just named lies, and name no second one."""
_GENERIC_LESIONS = frozenset({"lesions", "tumors", "cysts"})
_ONE_SIDED = frozenset(
    {"liver", "spleen", "pancreas", "stomach", "gall_bladder", "bladder", "prostate"}
    | {"rectum", "duodenum", "esophagus", "aorta", "postcava"}
)
_COUNTING = re.compile(r"segment \d")
"""In 'segment 2 tumours' the number counts; it is no Couinaud segment."""
_PART_WORDS = frozenset({"head", "body", "tail"})


@dataclass(frozen=True)
class Mention:
    """One mention of structures in a question.

    `words` are the words as written; `group` the group that it names; `within` the structures that a lesion is sought
    in; `role` is 'target', 'beside' (a landmark or a mere reason), 'except', 'place' (used up by a
    lesion) or 'unsearched' (a lesion of organs for which the table has none);
    `contradiction` says that its words cannot be true together.
    """

    words: str
    structures: tuple[str, ...]
    group: str | None = None
    sides: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    role: str = "target"
    contradiction: bool = False

    @property
    def is_generic_lesion(self) -> bool:
        """Whether it says 'tumour', 'cyst' or 'lesion' without an organ."""
        return self.group in _GENERIC_LESIONS

    @property
    def is_lesion(self) -> bool:
        """Whether all of it are lesions."""
        return all(by_name(name).lesion_of for name in self.structures)


Item = Token | Mention


def mention_items(tokens: Sequence[Token]) -> list[Item]:
    """The tokens with every name replaced by its Mention, sides bound, part and segment lists spread out."""
    items: list[Item] = []
    position = 0
    matches = find_names(tokens)
    for order, match in enumerate(matches):
        following = matches[order + 1] if order + 1 < len(matches) else None
        words = " ".join(token.raw for token in tokens[match.start : match.stop])
        if _COUNTING.fullmatch(words) and following and following.start == match.stop:
            continue
        items += tokens[position : match.start]
        items.append(Mention(words, match.target.structures, match.target.group, sides=match.inner_sides))
        position = match.stop
    items += tokens[position:]
    return _bind_sides(_spread_lists(items))


def word_at(items: Sequence[Item], index: int) -> str:
    """The raw word at an index; '' outside and for a Mention."""
    item = items[index] if 0 <= index < len(items) else None
    return item.raw if isinstance(item, Token) else ""


def _spread_lists(items: list[Item]) -> list[Item]:
    """'head and tail of the pancreas' and 'segments 5, 6 and 7' are several structures."""
    spread: list[Item] = []
    position = 0
    while position < len(items):
        item = items[position]
        position += 1
        if isinstance(item, Mention) and not item.group and item.structures[0] in GROUPS["pancreas_parts"]:
            spread = _spread_back(spread)
        spread.append(item)
        if isinstance(item, Mention) and not item.group and item.structures[0] in GROUPS["liver_segments"]:
            parts, position = _spread_forward(items, position)
            spread += parts
            position = _past_liver(items, position) if parts else position
    return spread


def _past_liver(items: Sequence[Item], position: int) -> int:
    """The position after 'of the liver' that closes a list of segments, else the position itself."""
    stop = position
    while word_at(items, stop) in FILLERS:
        stop += 1
    item = items[stop] if position < stop < len(items) else None
    return stop + 1 if isinstance(item, Mention) and item.structures == ("liver",) else position


def _spread_back(before: list[Item]) -> list[Item]:
    """What stands before a pancreas part, with 'head and ...' as parts of their own."""
    start = len(before)
    parts: list[Item] = []
    while word_at(before, start - 1) in JOINING | FILLERS | _PART_WORDS:
        start -= 1
        if word_at(before, start) in _PART_WORDS:
            parts.insert(0, Mention(word_at(before, start), (f"pancreas_{word_at(before, start)}",)))
    return [*before[:start], *parts] if parts else before


_NUMERALS = {str(n): n for n in range(1, 9)} | {
    word: n for n, word in enumerate(("i", "ii", "iii", "iv", "v", "vi", "vii", "viii"), start=1)
}


def _spread_forward(items: Sequence[Item], position: int) -> tuple[list[Item], int]:
    """The further segments listed from `position` on, and where the list ends."""
    parts: list[Item] = []
    stop = position
    while word_at(items, position) in JOINING | FILLERS | {"to", "through"} | _NUMERALS.keys():
        word = word_at(items, position)
        position += 1
        if word in _NUMERALS:
            number = _NUMERALS[word]
            first = _numeral_of(parts[-1] if parts else items[stop - 1]) + 1
            whole_range = word_at(items, position - 2) in ("to", "through") and first < number
            listed = range(first if whole_range else number, number + 1)
            parts += [Mention(word, (f"liver_segment_{n}",)) for n in listed]
            stop = position
    return parts, stop


def _numeral_of(item: Item) -> int:
    return int(item.structures[0][-1]) if isinstance(item, Mention) else 0


def _has_sides(mention: Mention) -> bool:
    organs = GROUPS.get(mention.group or "", ()) or by_name(mention.structures[0]).lesion_of
    return mention.group not in _GENERIC_LESIONS and bool(organs) and all(by_name(name).side for name in organs)


def _bind_sides(items: list[Item]) -> list[Item]:
    bound: list[Item] = list(items)
    for index, item in enumerate(items):
        if not isinstance(item, Mention):
            continue
        if _has_sides(item):
            sides = dict.fromkeys((*_sides_before(items, index), *item.sides))
            sides |= dict.fromkeys(_sides_after(items, index))
            bound[index] = replace(_with_sides(item, tuple(sides)), contradiction=_sides_clash(items, index, item))
        elif item.structures[0] in _ONE_SIDED and not item.group and word_at(items, index - 1) in ("left", "right"):
            bound[index] = replace(item, words=f"{word_at(items, index - 1)} {item.words}", contradiction=True)
    return bound


def _sides_clash(items: Sequence[Item], index: int, mention: Mention) -> bool:
    """Whether one thing is put on both sides: 'the left right kidney', 'the left kidney on the right side'."""
    before = SIDES.get(word_at(items, index - 1))
    first = SIDES.get(word_at(items, index - 2))
    if before and first and before != first:
        return not mention.words.endswith("s")
    step = index + 1
    while word_at(items, step) in _AT:
        step += 1
    after = SIDES.get(word_at(items, step))
    if not before or not after or step == index + 1 or word_at(items, step + 1) in _NOT_A_SIDE:
        return False
    return before != after and not _binds_forward(items, step + 1)


def _with_sides(mention: Mention, sides: tuple[str, ...]) -> Mention:
    if len(sides) != 1:
        return replace(mention, sides=sides)
    if by_name(mention.structures[0]).lesion_of:
        organs = by_name(mention.structures[0]).lesion_of
        return replace(mention, sides=sides, within=tuple(name for name in organs if by_name(name).side == sides[0]))
    structures = tuple(name for name in mention.structures if by_name(name).side == sides[0])
    return replace(mention, structures=structures, sides=sides, group=None)


def _sides_before(items: Sequence[Item], index: int) -> list[str]:
    sides: list[str] = []
    index -= 1
    for _ in range(2):
        if word_at(items, index) in FILLERS | DESCRIBING | {
            "entire",
            "whole",
            "native",
            "normal",
            "side",
            "sided",
            "upper",
            "proximal",
        }:
            index -= 1
    while word_at(items, index) in SIDES or word_at(items, index) in _BOTH:
        word = word_at(items, index)
        sides = (["left", "right"] if word in _BOTH else [SIDES[word]]) + sides
        step = index - 1
        while word_at(items, step) in JOINING | {"the", "side"}:
            step -= 1
        index = step if step < index - 1 or word_at(items, step) in SIDES else -1
    return sides


def _sides_after(items: Sequence[Item], index: int) -> list[str]:
    sides: list[str] = []
    position = index + 1
    while True:
        step = position
        while step < position + 5 and word_at(items, step) in _TO_SIDE | JOINING:
            step += 1
        word = word_at(items, step)
        if word not in SIDES or word_at(items, step + 1) in _NOT_A_SIDE or _binds_forward(items, step + 1):
            return sides
        sides.append(SIDES[word])
        position = step + 1
        while word_at(items, position) in ("side", "one", "sided", ")"):
            position += 1


def _binds_forward(items: Sequence[Item], index: int) -> bool:
    """Whether the side word before `index` belongs to a mention that follows."""
    while word_at(items, index) in SIDES or word_at(items, index) in JOINING | FILLERS | DESCRIBING:
        index += 1
    return index < len(items) and isinstance(items[index], Mention)
