"""The templates of `prompts/instructions`: each frame of a group, with an id, a split, and what it asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from types import MappingProxyType
from typing import Any, Literal

from assistant.language.instructions.grammar import Pattern, expanded, hash_of, lines, parse, slots_of, words_of

Split = Literal["train", "held_out"]
Mood = Literal["do", "ask", "say", "fragment", "bare"]
HELD_OUT_PERMILLE = 120
"""Of the templates of a skill, decided by a hash of their text."""

_ASKS = frozenset(words_of("verbs")["asks"].split())
_SAYS = frozenset(words_of("verbs")["says"].split())
_VERBS = frozenset(words_of("verbs")["verbs"].split())


@dataclass(frozen=True)
class Group:
    """Templates that ask for the same: the skill, arguments, and the kind of thing that is named."""

    name: str
    skill: str
    target: str
    mood: Mood
    weight: float
    context: str
    options: Mapping[str, Any]
    frames: tuple[tuple[Template, ...], ...]
    """Frame by frame the templates that its lists expand to."""


@dataclass(frozen=True)
class Template:
    """One phrasing. `id` is '<skill>.<group>.<hash of its text>'."""

    id: str
    pattern: Pattern
    slots: frozenset[str]
    mood: Mood
    split: Split


def split_of(template_id: str) -> Split:
    """Whether a template is held out: the same on every machine and for every seed."""
    value = int.from_bytes(hashlib.sha256(template_id.encode()).digest()[:4], "big")
    return "held_out" if value % 1000 < HELD_OUT_PERMILLE else "train"


def mood_of(frame: str, given: Mood) -> Mood:
    """The mood of one frame: its group's, unless its first word says otherwise."""
    if given == "bare":
        return given
    word = frame.lower().lstrip("([<{").split(" ", 1)[0].rstrip(":,?")
    first = frame.lower().split(" ", 1)[0]
    plain = word.split("|", 1)[0].strip("()[]<>{}")
    if first in _ASKS or plain in _ASKS:
        return "ask"
    if plain in _VERBS and not _is_noun(frame):
        return "do"
    if first in _SAYS or plain in _SAYS:
        return "say" if " " in frame and first not in ("{x}", "the") else ("say" if first == "the" else "fragment")
    return given if given in ("say", "fragment") else "fragment"


def _is_noun(frame: str) -> bool:
    """Whether a word that is verb and noun opens a frame as a noun: 'mask of', 'contour for', 'outline of'."""
    words = frame.lower().split(" ", 2)
    return len(words) > 1 and (
        words[1] == "of" or (words[1] == "for" and words[0] in ("mask", "contour", "outline", "box"))
    )


def _template(skill: str, group: str, frame: str, *, mood: Mood) -> Template:
    template_id = f"{skill}.{group}.{hash_of(frame)}"
    pattern = parse(frame)
    return Template(template_id, pattern, slots_of(pattern), mood_of(frame, mood), split_of(template_id))


@cache
def groups_of(table: str) -> tuple[Group, ...]:
    """The groups of one file of templates: of a skill, 'several' or 'follow'."""
    return tuple(_group(table, row) for row in words_of(table)["group"])


def _group(table: str, row: Mapping[str, Any]) -> Group:
    mood = row.get("mood", "ask")
    frames = tuple(
        tuple(_template(table, row["id"], text, mood=mood) for text in expanded(frame))
        for frame in dict.fromkeys(lines(row["frames"]))
    )
    return Group(
        name=f"{table}.{row['id']}",
        skill=row.get("skill", table),
        target=row.get("target", "none"),
        mood=mood,
        weight=float(row.get("weight", 1)),
        context=row.get("context", "any"),
        options=MappingProxyType(
            {k: v for k, v in row.items() if k not in ("id", "frames", "weight", "mood", "context")}
        ),
        frames=frames,
    )


@cache
def usable_groups(table: str, split: Split) -> tuple[tuple[Group, tuple[tuple[Template, ...], ...]], ...]:
    """Groups with their frames that have templates in a split, and those templates."""
    found = []
    for group in groups_of(table):
        frames = tuple(tuple(t for t in frame if t.split == split) for frame in group.frames)
        kept = tuple(frame for frame in frames if frame)
        if kept:
            found.append((group, kept))
    return tuple(found)


def draw(rng: Random, table: str, split: Split) -> tuple[Group, Template]:
    """A group by weight, one of its frames, one of that frame's templates."""
    usable = usable_groups(table, split)
    group, frames = rng.choices(usable, [group.weight for group, _ in usable])[0]
    return group, draw_from(rng, frames)


def draw_from(rng: Random, frames: tuple[tuple[Template, ...], ...]) -> Template:
    """One of the templates of one of the frames."""
    frame = frames[int(rng.random() * len(frames))]
    return frame[int(rng.random() * len(frame))]
