"""What a follow-up question points back to: 'it', 'which side', 'and the spleen?'."""

from __future__ import annotations

from collections.abc import Sequence

from assistant.language.clauses import Clause
from assistant.language.mentions import Mention
from assistant.language.words import find_phrase, starts_with_phrase
from assistant.plan import Memory, SkillCall
from prompts import load_words
from vision.structures import GROUPS, by_name

_NOT_REPEATED = frozenset({"refuse", "help", "export", "correct"})


def points_back(clause: Clause) -> bool:
    """Whether a clause speaks of something named before."""
    return find_phrase(load_words("requests")["structure"]["pronouns"], clause.text) is not None


def repeats_last(clause: Clause, memory: Memory) -> tuple[SkillCall, ...]:
    """The calls of the previous turn that a clause without an action of its own asks for again."""
    calls = tuple(
        call for call in memory.last_calls if call.name not in _NOT_REPEATED and "structures" in call.arguments
    )
    short = len(clause.text.split()) <= 6
    follows = starts_with_phrase(load_words("requests")["structure"]["follow_up"], clause.text)
    return calls if follows or short else ()


def from_memory(clause: Clause, memory: Memory) -> tuple[list[str], list[str]]:
    """Structures of the previous turn, and where they were sought; both of a pair when a clause asks about sides."""
    structures = list(memory.last_structures)
    if find_phrase(("side", "other", "kidney", "both", "left", "right"), clause.text):
        structures = list(pair_of(structures) or structures)
    places = [
        call.arguments.get("within", []) for call in memory.last_calls if call.arguments.get("structures") == structures
    ]
    return structures, list(places[-1]) if places else []


def meant_before(mentions: Sequence[Mention], clause: Clause, memory: Memory) -> bool:
    """Whether 'the tumour' means the lesion of the previous turn: no organ is named, no others are asked for."""
    wide = find_phrase(("all", "any", "every", "other", "others", "tumors", "lesions", "cysts", "each"), clause.full)
    generic = bool(mentions) and all(mention.is_generic_lesion for mention in mentions)
    before = bool(memory.last_structures) and all(by_name(name).lesion_of for name in memory.last_structures)
    return generic and before and wide is None


def other_sides(clause: Clause, memory: Memory) -> tuple[Mention, ...]:
    """What 'no, the left one' means after a structure that comes in pairs; empty when it means nothing."""
    pair = pair_of(memory.last_structures)
    sides = [side for side in ("left", "right") if find_phrase((side,), clause.text)]
    if find_phrase(("the other", "other one", "other side"), clause.text) and len(memory.last_structures) == 1:
        return tuple(Mention(name, (name,)) for name in pair if name not in memory.last_structures)
    return tuple(Mention(name, (name,)) for name in pair if len(sides) == 1 and by_name(name).side == sides[0])


def pair_of(structures: Sequence[str]) -> tuple[str, ...]:
    """Left and right of the one pair that all `structures` belong to; empty when they do not."""
    pairs = {by_name(name).pair for name in structures}
    pair = pairs.pop() if len(pairs) == 1 else None
    return GROUPS[pair] if pair else ()
