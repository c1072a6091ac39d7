"""Lesions bound to where they lie: 'tumour in the tail of the pancreas', 'liver and kidney cysts'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assistant.language.lexicon import FILLERS, SIDES
from assistant.language.mentions import DESCRIBING, JOINING, Item, Mention, word_at
from assistant.language.words import Token
from vision.structures import GROUPS, STRUCTURES, by_name

_INTO = FILLERS | {
    "on",
    "at",
    "from",
    "arising",
    "involving",
    "affecting",
    "located",
    "any",
    "both",
    "into",
    "for",
    "inside",
    "to",
}


def compose_lesions(items: Sequence[Item], earlier: Sequence[Mention] = ()) -> list[Item]:
    """Bind 'tumour', 'cyst' and 'lesion' to the organs that they are said to lie in, within one clause.

    `earlier` are the mentions of the clauses before, which 'its tumours' points back to.
    """
    composed: list[Item] = list(items)
    for index, item in enumerate(items):
        if isinstance(item, Mention) and item.is_lesion and item.role == "target":
            _compose(composed, index, earlier)
    return [item for item in composed if not (isinstance(item, Mention) and item.role == "place")]


def _compose(items: list[Item], index: int, earlier: Sequence[Mention]) -> None:
    lesion = items[index]
    assert isinstance(lesion, Mention)
    places = _places_after(items, index)
    if not lesion.is_generic_lesion:
        inside = [place for place in places if _can_hold(lesion, items[place])]
        _settle(items, index, inside, keep_places=False)
        _share_word(items, index)
        return
    before = _places_before(items, index)
    if before or places:
        _settle(items, index, before or places, keep_places=False)
        return
    organs = [
        i
        for i, other in enumerate(items)
        if isinstance(other, Mention) and not other.is_lesion and other.role == "target"
    ]
    own = word_at(items, index - 1) in ("its", "their") or word_at(items, index - 2) in ("its", "their")
    if own and not organs and earlier:
        items[index] = _lesion_of(lesion, [m for m in earlier if not m.is_lesion] or [])
    elif own or (len(organs) == 1 and not _about_contact(items) and _lesion_known(lesion, items[organs[0]])):
        joined = (
            any(word_at(items, i) in ("and", ",", "with", "plus", "&", "+") for i in range(organs[0], index))
            if organs
            else False
        )
        _settle(items, index, organs, keep_places=joined or own)


def _lesion_known(lesion: Mention, organ: Item) -> bool:
    return isinstance(organ, Mention) and _lesion_of(lesion, [organ]).role == "target"


def _about_contact(items: Sequence[Item]) -> bool:
    """Whether a clause asks how near two structures lie: then the organ is not where the lesion is."""
    beginnings = ("touch", "abut", "encas", "contact", "distance", "far", "close", "near")
    return any(isinstance(item, Token) and item.raw.startswith(beginnings) for item in items)


def _share_word(items: list[Item], index: int) -> None:
    """'liver and kidney tumours': the word for the lesion counts for the organ before, where that has a known one."""
    lesion, organ = items[index], items[index - 2] if index >= 2 else None
    if word_at(items, index - 1) not in ("and", "or", "/", "&") or not isinstance(organ, Mention) or organ.is_lesion:
        return
    assert isinstance(lesion, Mention)
    cyst = lesion.structures[0].endswith("_cyst")
    known = [row for row in STRUCTURES if row.kind == "lesion" and set(organ.structures) & set(row.lesion_of)]
    shared = tuple(row.name for row in known if row.name.endswith("_cyst") == cyst)
    if shared and organ.role == "target":
        items[index] = replace(lesion, structures=(*shared, *lesion.structures))
        items[index - 2] = replace(organ, role="place")


def _can_hold(lesion: Mention, place: Item) -> bool:
    if not isinstance(place, Mention):
        return False
    organs = {organ for name in lesion.structures for organ in by_name(name).lesion_of}
    return all(name in organs or by_name(name).parent in organs for name in place.structures)


def _settle(items: list[Item], index: int, places: Sequence[int], *, keep_places: bool) -> None:
    lesion = items[index]
    organs = [items[place] for place in places]
    mentions = [organ for organ in organs if isinstance(organ, Mention)]
    if not mentions or not isinstance(lesion, Mention):
        return
    items[index] = _lesion_of(lesion, mentions)
    if not keep_places:
        for place, mention in zip(places, mentions, strict=True):
            items[place] = replace(mention, role="place")


def _places_before(items: Sequence[Item], index: int) -> list[int]:
    """Indices of organs put straight before a lesion word: 'liver and kidney tumours'."""
    position = index - 1
    while word_at(items, position) in DESCRIBING:
        position -= 1
    places: list[int] = []
    while position >= 0 and isinstance(items[position], Mention):
        item = items[position]
        if not isinstance(item, Mention) or item.is_lesion or item.role != "target":
            break
        places.insert(0, position)
        step = position - 1
        while word_at(items, step) in JOINING:
            step -= 1
        position = step if step < position - 1 else -1
    return places


def _places_after(items: Sequence[Item], index: int) -> list[int]:
    """Indices of organs said to hold a lesion: 'in the liver or the pancreas'."""
    position = index + 1
    places: list[int] = []
    into = False
    while position < len(items):
        item = items[position]
        if isinstance(item, Mention):
            if item.is_lesion or not into or item.role != "target":
                break
            places.append(position)
        elif places and item.raw in JOINING:
            pass
        elif item.raw in _INTO or item.raw in SIDES or item.raw in ("side", "which", "is", "are", "that"):
            into = into or item.raw in (
                "in",
                "of",
                "within",
                "inside",
                "on",
                "at",
                "from",
                "involving",
                "affecting",
                "for",
            )
        else:
            break
        position += 1
    return places


def _lesion_of(lesion: Mention, organs: Sequence[Mention]) -> Mention:
    """A lesion mention narrowed to organs, parts or sides; unchanged where the table has no lesion of the organ."""
    structures: list[str] = []
    within: list[str] = list(lesion.within)
    cyst = lesion.group == "cysts"
    for name in (name for organ in organs for name in organ.structures):
        structure = by_name(name)
        holder = name if structure.kind != "part" or not structure.parent else structure.parent
        fitting = [row.name for row in STRUCTURES if holder in row.lesion_of]
        chosen = [row for row in fitting if row.endswith("_cyst") == cyst] or fitting
        structures += chosen[:1]
        if structure.kind == "part" or (structure.side and not _whole_pair(organs, structure.pair)):
            within.append(name)
    if not organs:
        return lesion
    if not structures:
        named = tuple(name for organ in organs for name in organ.structures)
        words = f"{lesion.words} of the {organs[0].words}"
        return replace(lesion, words=words, structures=named, group=None, role="unsearched")
    kept = lesion.structures if not lesion.is_generic_lesion else tuple(dict.fromkeys(structures))
    clash = any(organ.contradiction and len(organ.sides) == 2 for organ in organs)
    return replace(lesion, structures=kept, group=None, within=tuple(dict.fromkeys(within)), contradiction=clash)


def _whole_pair(organs: Sequence[Mention], pair: str | None) -> bool:
    named = {name for organ in organs for name in organ.structures}
    return pair is not None and set(GROUPS[pair]) <= named
