"""What a model planned, made sensible: calls that name nothing that can be become refusals which say why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from assistant.language.rules import RulePlanner
from assistant.plan import Memory, SkillCall
from vision.structures import GROUPS, STRUCTURES, by_name

_NEEDS_STRUCTURES = frozenset({"segment", "measure", "classify", "locate", "compare"})
_SAID_BY_RULES = ("contradictory", "medical_advice")


def settle(calls: Sequence[SkillCall], question: str, memory: Memory) -> list[SkillCall]:
    """The calls of a plan, in order, each one that makes sense or a refusal in its place; at least one.

    Structures that are missing are those of the turn before. A lesion stays within what can hold it. Words that
    contradict each other, and wishes for medical advice, are refused where the rules find them, whatever was planned.
    """
    settled = list(calls)
    for refusal in _refusals(question, memory):
        if not any(_reason(call) == _reason(refusal) for call in settled):
            near = set(refusal.arguments["near"])
            settled = [call for call in settled if not near & set(call.arguments.get("structures", ()))]
            settled.append(refusal)
    return _once(_sensible(call, memory) for call in settled) or [_refuse("not_understood")]


def _refusals(question: str, memory: Memory) -> list[SkillCall]:
    """What the rules refuse for a reason that no plan can outweigh."""
    return [call for call in RulePlanner().plan(question, memory) if _reason(call) in _SAID_BY_RULES]


def _reason(call: SkillCall) -> str:
    return str(call.arguments.get("reason", ""))


def _sensible(call: SkillCall, memory: Memory) -> SkillCall:
    if call.name in ("refuse", "help"):
        return call
    arguments = dict(call.arguments)
    if not arguments.get("structures") and (_must_name(call) or "finding" in arguments):
        if memory.last_structures:
            arguments = _from_before(arguments, memory)
        elif _must_name(call):
            return _refuse("which_structure")
    if arguments.get("min_mm", 0.0) > arguments.get("max_mm", float("inf")):
        return _refuse("contradictory", near=arguments.get("structures", ()))
    if call.name == "detect" and not all(by_name(one).lesion_of for one in arguments.get("structures", ())):
        arguments = _lesions_of(arguments)
        if not arguments["structures"]:
            return _refuse("unknown_structure", structures=call.arguments["structures"], near=GROUPS["lesions"])
    if arguments.get("within"):
        return _narrowed(call.name, arguments)
    return SkillCall(name=call.name, arguments=arguments)


def _must_name(call: SkillCall) -> bool:
    return call.name in _NEEDS_STRUCTURES and call.arguments.get("with_") != "prior"


def _from_before(arguments: dict[str, Any], memory: Memory) -> dict[str, Any]:
    """The arguments about what the turn before was about, sought where it was sought then."""
    structures = list(memory.last_structures)
    places = [call.arguments.get("within") for call in memory.last_calls if _structures(call) == structures]
    within = arguments.get("within") or (places[-1] if places else None)
    own = {key: value for key, value in arguments.items() if key not in ("structures", "within")}
    return {"structures": structures, **({"within": within} if within else {}), "finding": "previous", **own}


def _narrowed(name: str, arguments: dict[str, Any]) -> SkillCall:
    """A call about lesions in the places that can hold them, about parts without the organ that they are parts of."""
    structures, within = arguments.get("structures") or list(GROUPS["lesions"]), arguments["within"]
    others = [one for one in structures if not by_name(one).lesion_of]
    lesions = [one for one in structures if any(_holds(place, one) for place in within)]
    anywhere = any(by_name(one).kind == "extra" for one in others)
    places = [place for place in within if anywhere or any(_holds(place, one) for one in lesions)]
    if any(_contradicts(one, within) for one in others):
        return _refuse("contradictory", near=[*structures, *within])
    if len(others) < len(structures) and not lesions:
        return _refuse("unknown_structure", structures=within, near=GROUPS["lesions"])
    kept = [one for one in structures if one in lesions or one in others]
    rest = {key: value for key, value in arguments.items() if key not in ("structures", "within")}
    return SkillCall(name=name, arguments={"structures": kept, **({"within": places} if places else {}), **rest})


def _lesions_of(arguments: dict[str, Any]) -> dict[str, Any]:
    """A search of organs as one for their lesions, within the parts or the one side that were named."""
    named = arguments["structures"]
    searched = [row.name for row in STRUCTURES if row.kind == "lesion"]
    lesions = [one for name in named for one in searched if name == one or _holds(name, one)]
    lesions += [name for name in named if by_name(name).lesion_of and name not in searched]
    parts = [name for name in named if by_name(name).kind == "part" or _is_one_side(name, named)]
    within = list(dict.fromkeys([*arguments.get("within", ()), *parts]))
    own = {key: value for key, value in arguments.items() if key not in ("structures", "within")}
    return {"structures": list(dict.fromkeys(lesions)), **({"within": within} if within else {}), **own}


def _is_one_side(name: str, named: Sequence[str]) -> bool:
    """Whether of a left and a right one only this was named."""
    pair = by_name(name).pair
    return pair is not None and not set(GROUPS[pair]) <= set(named)


def _holds(place: str, structure: str) -> bool:
    """Whether a lesion can lie in a place: an organ of its row, or a part of one."""
    lesion_of = by_name(structure).lesion_of
    return place in lesion_of or by_name(place).parent in lesion_of


def _contradicts(structure: str, within: Sequence[str]) -> bool:
    """Whether a structure of known place is sought elsewhere; of an 'extra' one the place is not known."""
    row = by_name(structure)
    return row.kind != "extra" and not {row.name, row.parent} & set(within)


def _structures(call: SkillCall) -> list[str]:
    return list(call.arguments.get("structures", ()))


def _refuse(reason: str, *, structures: Sequence[str] = (), near: Sequence[str] = ()) -> SkillCall:
    named = {"structures": list(structures)} if structures else {}
    return SkillCall(
        name="refuse", arguments={"reason": reason, **named, **({"near": list(dict.fromkeys(near))} if near else {})}
    )


def _once(calls: Iterable[SkillCall]) -> list[SkillCall]:
    kept: list[SkillCall] = []
    for call in calls:
        if call not in kept:
            kept.append(call)
    return kept
