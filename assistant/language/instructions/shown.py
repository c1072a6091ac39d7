"""Rows that show a mask for a phrase: no record and no call names the structure, so its query comes from the phrase."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Literal, get_args

from assistant.language.instructions.grammar import all_expanded, hash_of, pick, tidy, words_of
from assistant.language.instructions.naming import names_of, sided
from assistant.language.instructions.noise import cased, marked, with_slips
from assistant.language.instructions.rows import Row
from assistant.language.instructions.templates import Split, split_of
from assistant.language.taught import MASK
from vision.structures import STRUCTURES, by_name

Phrasing = Literal["name", "synonym", "description"]
PHRASINGS: tuple[Phrasing, ...] = get_args(Phrasing)
PREFIX = "phrase"


def shown_row(rng: Random, split: Split) -> Row:
    """A question with one structure's name, a synonym or a description, and an answer that is its mask alone.

    'masks' holds the structure. Synonyms and descriptions are held out by their own words, names by their question.
    """
    while True:
        phrasing, name, frame = rng.choice(PHRASINGS), rng.choice(_units()), rng.choice(_sentences("questions"))
        phrase = phrase_of(rng, name, phrasing)
        template = template_of(name, phrasing, phrase=phrase or "", frame=frame)
        if phrase and split_of(template) == split:
            break
    text = frame.replace("the {X}", "{X}") if phrase.startswith("the ") else frame
    question = cased(marked(with_slips(text.replace("{X}", phrase), rng), rng, mood="do"), rng)
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": rng.choice(_sentences("answers")).replace("{mask}", MASK)},
        ],
        "masks": [name],
        "ct": None,
        "skill": "segment",
        "template": template,
        "split": split,
        "kind": "words",
    }


def template_of(structure: str, phrasing: Phrasing, *, phrase: str, frame: str) -> str:
    """'phrase.<phrasing>.<what is held out or not>'."""
    told = frame if phrasing == "name" else f"{structure} {phrase}"
    return f"{PREFIX}.{phrasing}.{hash_of(told)}"


def phrase_of(rng: Random, structure: str, phrasing: Phrasing) -> str | None:
    """A way to say a structure, without article; None where there is none of that kind."""
    row = by_name(structure)
    if phrasing == "name":
        return row.spoken
    names = names_of(structure if row.pair is None else row.pair)
    if phrasing == "description":
        if row.pair is not None:
            return sided(rng, row.pair, str(row.side), described=1.0).bare if names.one else None
        return tidy(pick(rng, names.described)) if names.described else None
    if row.pair is not None:
        bare = sided(rng, row.pair, str(row.side), described=0.0).bare
    else:
        bare = tidy(pick(rng, names.nouns))
    return None if bare == row.spoken else bare


@cache
def _units() -> tuple[str, ...]:
    return tuple(row.name for row in STRUCTURES if row.kind not in ("lesion", "extra"))


@cache
def _sentences(key: str) -> tuple[str, ...]:
    return all_expanded(words_of("shown")[key])
