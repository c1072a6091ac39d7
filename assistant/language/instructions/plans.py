"""The skill calls of a filled template, with their arguments in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assistant.language.instructions.targets import Filling
from assistant.plan import SkillCall

ORDER = (
    *("reason", "structures", "within", "quantities", "with_", "asked", "limit", "select", "min_mm", "max_mm"),
    *("finding", "template", "formats", "change", "near", "words"),
)
"""Argument keys of `SkillCall` in the order in which a plan is written."""


def call(skill: str, arguments: Mapping[str, Any]) -> SkillCall:
    """A call with its arguments in order, without those that say nothing."""
    said = {key: arguments[key] for key in ORDER if key in arguments and arguments[key] not in (None, [], ())}
    return SkillCall(name=skill, arguments={k: list(v) if isinstance(v, tuple) else v for k, v in said.items()})


def call_of(skill: str, options: Mapping[str, Any], filling: Filling) -> SkillCall:
    """The call of one row of options ('quantities', 'with', 'reason', ...) about a filling."""
    arguments: dict[str, Any] = dict(filling.arguments)
    if options.get("about") != "none":
        arguments["structures"] = list(dict.fromkeys((*filling.structures, *filling.more)))
        arguments["within"] = list(filling.within)
    if "quantities" in options:
        arguments["quantities"] = quantities_of(options["quantities"], lesion=filling.lesion)
    for key in ("asked", "template", "change", "reason", "finding"):
        if key in options:
            arguments[key] = options[key]
    if "with" in options:
        arguments["with_"] = options["with"]
    return call(skill, arguments)


def quantities_of(asked: Sequence[str], *, lesion: bool) -> list[str]:
    """Quantities with 'size' put as what is customary for a lesion (RECIST axes and volume) or an organ."""
    size = ("long_axis", "short_axis", "volume") if lesion else ("volume", "extent")
    return list(dict.fromkeys(part for name in asked for part in (size if name == "size" else (name,))))


def merged(calls: Sequence[SkillCall]) -> tuple[SkillCall, ...]:
    """Neighbouring calls that differ in their structures only, as one."""
    kept: list[SkillCall] = []
    for item in calls:
        last = kept[-1] if kept else None
        if last is not None and _same_but_structures(last, item):
            names = list(dict.fromkeys([*last.arguments["structures"], *item.arguments["structures"]]))
            kept[-1] = call(last.name, {**last.arguments, "structures": names})
        else:
            kept.append(item)
    return tuple(kept)


def _same_but_structures(first: SkillCall, second: SkillCall) -> bool:
    if first.name != second.name or first.name in ("refuse", "compare", "export", "correct"):
        return False
    rest = [{k: v for k, v in c.arguments.items() if k != "structures"} for c in (first, second)]
    return rest[0] == rest[1] and all(
        c.arguments.get("structures") and not c.arguments.get("within") for c in (first, second)
    )
