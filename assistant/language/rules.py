"""The rule planner: words to skill calls without a model. Fallback, oracle in tests, and what runs without weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assistant.language.actions import Action, sized
from assistant.language.asked import Asked, asked_of
from assistant.language.clauses import Clause, clauses_of
from assistant.language.lesion_questions import type_asked_of
from assistant.language.memory import from_memory, meant_before, other_sides, pair_of, repeats_last
from assistant.language.mentions import Mention
from assistant.language.screens import mentions_care, refusal_of, spoken
from assistant.language.unknown import unknown_names
from assistant.language.words import find_phrase, starts_with_phrase
from assistant.plan import Memory, SkillCall
from prompts import load_words
from vision.structures import GROUPS, STRUCTURES, by_name, find_near

_ABOUT_ONE = frozenset({"measure", "locate", "classify", "compare", "segment"})


class RulePlanner:
    """Plans by the words of `prompts/requests.toml` and the structure table. Deterministic; never raises."""

    name = "rules"

    def plan(self, question: str, memory: Memory) -> list[SkillCall]:
        """The skill calls of a question, in the order asked; `refuse` or `help` for what cannot be done."""
        reason = refusal_of(question)
        if reason is not None:
            return [_refuse(reason)]
        clauses = clauses_of(question)
        asked = asked_of(clauses)
        calls = [call for index, _ in enumerate(asked) for call in _calls(asked, index, memory)]
        return _merged(calls) or _by_the_way(clauses) or [_fallback(question, asked)]


def _calls(asked: Sequence[Asked], index: int, memory: Memory) -> list[SkillCall]:
    item = asked[index]
    if item.advice:
        return [_refuse("medical_advice")]
    if any(mention.contradiction for mention in item.mentions):
        return [_contradictory(item.mentions)]
    refused = [_unsearched(mention) for mention in item.clause.mentions if mention.role == "unsearched"]
    mentions = item.mentions
    unknown = [_refuse("unknown_structure", words=words) for words in unknown_names(item.clause, item.actions)]
    if item.actions:
        calls = [_call(action, item, mentions, memory) for action in item.actions]
        if unknown and not mentions and not _wants_all(item.clause):
            return [*refused, *unknown]
        return [*calls, *refused, *unknown]
    if not mentions:
        sides = other_sides(item.clause, memory)
        return refused or [_for_structures(call, sides) for call in repeats_last(item.clause, memory) if sides]
    repeated = repeats_last(item.clause, memory) if len(asked) == 1 or _is_follow_up(item) else ()
    if repeated:
        return [_for_structures(call, mentions) for call in repeated]
    if _is_aside(asked, index):
        return refused
    previous = next((other.actions for other in reversed(asked[:index]) if other.actions), (Action("segment"),))
    return [
        *(_call(action, item, mentions, memory) for action in previous if action.needs_structures or mentions),
        *refused,
    ]


def _wants_all(clause: Clause) -> bool:
    return find_phrase(load_words("requests")["whole"]["phrases"], clause.text) is not None


def _by_the_way(clauses: Sequence[Clause]) -> list[SkillCall]:
    """When nothing was asked outright, what was mentioned at all is what is wanted."""
    structures = [name for clause in clauses for m in clause.mentions if m.role == "beside" for name in m.structures]
    return [SkillCall(name="segment", arguments={"structures": list(dict.fromkeys(structures))})] if structures else []


def _is_follow_up(item: Asked) -> bool:
    return starts_with_phrase(load_words("requests")["structure"]["follow_up"], item.clause.text)


def _is_aside(asked: Sequence[Asked], index: int) -> bool:
    """Whether a clause that only mentions structures says something about the patient rather than asks."""
    item = asked[index]
    others = [other for place, other in enumerate(asked) if place != index and other.actions and other.mentions]
    if not others:
        return False
    used = next((other for other in asked[index + 1 :] if other.actions), None)
    if used is not None and not used.clause.targets and used.mentions == item.mentions:
        return True
    states = find_phrase(
        ("is", "are", "was", "were", "has", "have", "had", "looks", "seems", "shows"), item.clause.text
    )
    return (states is not None and not item.clause.is_question) or len(item.clause.text.split()) > 4 + 2 * len(
        item.mentions
    )


def _call(action: Action, item: Asked, mentions: Sequence[Mention], memory: Memory) -> SkillCall:
    arguments: dict[str, Any] = dict(action.arguments)
    if action.skill == "classify":
        mentions = _asked_whether(mentions, item.clause, memory)
    if action.skill in _ABOUT_ONE and meant_before(mentions, item.clause, memory):
        mentions = ()
    structures, within = _named(mentions, item.clause)
    if not structures and (action.needs_structures or action.skill == "correct"):
        structures, within = from_memory(item.clause, memory)
        if structures:
            arguments.setdefault("finding", "previous")
    elif item.points_back and action.skill != "segment":
        arguments.setdefault("finding", "previous")
    if "implied" in arguments:
        structures = structures or _spread(arguments.pop("implied"))
        arguments.pop("implied", None)
    if action.skill == "detect" and not any(mention.is_lesion for mention in mentions):
        structures, within = _lesions_in(mentions)
    if action.skill == "segment" and "finding" not in arguments and not structures and _wants_all(item.clause):
        structures = list(GROUPS["everything"])
    if action.needs_structures and not structures and "finding" not in arguments:
        return _refuse("which_structure")
    return _finished(action.skill, arguments, structures, within)


def _asked_whether(mentions: Sequence[Mention], clause: Clause, memory: Memory) -> Sequence[Mention]:
    """Of 'could it be HCC?' the lesions of the turn before, of 'could the liver lesion be HCC?' that lesion."""
    before = bool(memory.last_structures) and all(map(_is_lesion, memory.last_structures))
    asked = type_asked_of(clause)
    return mentions[:1] if asked == "named" else () if asked == "it" and before else mentions


def _finished(skill: str, arguments: dict[str, Any], structures: list[str], within: list[str]) -> SkillCall:
    if skill == "measure":
        lesion = bool(structures) and all(_is_lesion(name) for name in structures)
        arguments["quantities"] = sized(arguments["quantities"], lesion=lesion)
    if skill == "compare" and arguments.get("with_") == "each_other":
        pair = pair_of(structures)
        structures = list(pair) if pair else structures
        arguments["with_"] = "other_side" if pair else ("each_other" if len(structures) > 1 else "normal")
    ordered = {"structures": structures} if structures else {}
    ordered |= {"within": within} if within else {}
    return SkillCall(name=skill, arguments={**ordered, **arguments})


def _is_lesion(name: str) -> bool:
    return bool(by_name(name).lesion_of)


def _named(mentions: Sequence[Mention], clause: Clause) -> tuple[list[str], list[str]]:
    """Structures in the order asked, without those excepted, and where lesions are sought."""
    excepted = {name for mention in clause.mentions if mention.role == "except" for name in mention.structures}
    structures = [name for mention in mentions for name in mention.structures if name not in excepted]
    within = [name for mention in mentions for name in mention.within]
    return list(dict.fromkeys(structures)), list(dict.fromkeys(within))


def _spread(names: Sequence[str]) -> list[str]:
    return [structure for name in names for structure in GROUPS.get(name, (name,))]


def _lesions_in(mentions: Sequence[Mention]) -> tuple[list[str], list[str]]:
    """What 'anything suspicious in the liver' searches for: all lesions, or those of the organs named."""
    organs = {name for mention in mentions for name in mention.structures}
    found = [row.name for row in STRUCTURES if row.kind == "lesion" and (not organs or organs & set(row.lesion_of))]
    return found or list(GROUPS["lesions"]), []


def _for_structures(call: SkillCall, mentions: Sequence[Mention]) -> SkillCall:
    """An earlier call made again for other structures."""
    kept = {key: value for key, value in call.arguments.items() if key not in ("structures", "within", "finding")}
    structures = list(dict.fromkeys(name for mention in mentions for name in mention.structures))
    within = list(dict.fromkeys(name for mention in mentions for name in mention.within))
    return SkillCall(
        name=call.name, arguments={"structures": structures, **({"within": within} if within else {}), **kept}
    )


def _merged(calls: Sequence[SkillCall]) -> list[SkillCall]:
    """Neighbouring calls of one skill that differ in their structures only, or in their quantities only, as one."""
    merged: list[SkillCall] = []
    for call in calls:
        last = merged[-1] if merged else None
        key = _joined_key(last, call) if last is not None else None
        if last is not None and key is not None:
            values = list(dict.fromkeys([*last.arguments.get(key, []), *call.arguments.get(key, [])]))
            merged[-1] = SkillCall(name=last.name, arguments={**last.arguments, **({key: values} if values else {})})
        elif call not in merged:
            merged.append(call)
    return merged


def _joined_key(last: SkillCall, call: SkillCall) -> str | None:
    if last.name != call.name or last.name in ("refuse", "compare", "export"):
        return None
    for key in ("structures", "quantities"):
        rest = [{k: v for k, v in c.arguments.items() if k not in (key, "finding")} for c in (last, call)]
        if rest[0] == rest[1]:
            return key
    return None


def _refuse(reason: str, *, words: str = "") -> SkillCall:
    near = list(find_near(words)) if words else []
    return SkillCall(
        name="refuse", arguments={"reason": reason, **({"words": words[:80]} if words else {}), "near": near}
    )


def _contradictory(mentions: Sequence[Mention]) -> SkillCall:
    """Which is meant? Asked back with everything that the words could mean: 'left liver kidney' is a liver or a left
    kidney, 'the left kidney on the right side' one kidney or the other."""
    sides = {side for m in mentions if m.contradiction for side in ("left", "right") if find_phrase((side,), m.words)}
    meant: list[str] = []
    for mention in mentions:
        fitting = [name for name in mention.structures if by_name(name).side in sides]
        meant += fitting if fitting and not mention.contradiction else mention.structures
    words = " ".join(mention.words for mention in mentions)[:80]
    arguments = {"reason": "contradictory", "words": words, "near": list(dict.fromkeys(meant))}
    return SkillCall(name="refuse", arguments=arguments)


def _unsearched(mention: Mention) -> SkillCall:
    """A lesion of a structure for which the table has none: refused by its name, with the lesions that it has."""
    asked = {"structures": list(mention.structures), "words": mention.words[:80], "near": list(GROUPS["lesions"])}
    return SkillCall(name="refuse", arguments={"reason": "unknown_structure", **asked})


def _fallback(question: str, asked: Sequence[Asked]) -> SkillCall:
    """What to say when nothing was asked that can be done: help for a greeting, else a refusal with its reason."""
    text = spoken(question)
    if not text or all(
        starts_with_phrase(load_words("requests")["help"]["greetings"], item.clause.full) for item in asked
    ):
        return SkillCall(name="help")
    return _refuse("medical_advice" if mentions_care(text) else "not_understood")
