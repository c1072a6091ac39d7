"""One request in words and its plan: drawn from the templates of one split."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from assistant.language.instructions.compose import message, noisy
from assistant.language.instructions.grammar import render
from assistant.language.instructions.plans import call_of, merged
from assistant.language.instructions.targets import Filling, fill, format_words, quantity_words
from assistant.language.instructions.templates import Group, Split, Template, draw
from assistant.plan import SkillCall

SKILL_WEIGHTS = {
    "segment": 30, "measure": 13, "detect": 10, "locate": 6, "compare": 7, "count": 3, "answer": 6, "classify": 3,
    "describe": 3.5, "report": 4.5, "correct": 3, "export": 2, "help": 1.5, "refuse": 7.5,
}  # fmt: skip
"""How often each skill is asked for."""


@dataclass(frozen=True)
class Request:
    """What a person asks in one turn, and the plan for it."""

    text: str
    calls: tuple[SkillCall, ...]
    skill: str
    template: str
    filling: Filling


@dataclass(frozen=True)
class Core:
    """A filled template before politeness and noise."""

    text: str
    calls: tuple[SkillCall, ...]
    group: Group
    template: Template
    filling: Filling


def core_of(rng: Random, group: Group, template: Template) -> Core:
    """Fill a template."""
    filling = fill(rng, group.target, template.slots)
    bound, options = dict(filling.bound), dict(group.options)
    if options.get("quantities") == "several":
        options["quantities"], bound["Q"] = quantity_words(rng, lesion=filling.lesion)
    formats: list[str] = []
    if options.get("format"):
        name, bound["format"] = format_words(rng)
        formats = [name]
    text = render(template.pattern, rng, bound)
    rows = options.get("calls", [{"skill": group.skill}])
    calls = []
    for row in rows:
        made = call_of(row["skill"], {**options, **row}, filling)
        if formats and row["skill"] == "export":
            made = SkillCall(name="export", arguments={**made.arguments, "formats": formats})
        calls.append(made)
    if group.target == "half_known":
        calls.insert(0, call_of("segment", {}, Filling(structures=filling.structures)))
        calls[1] = call_of(
            "refuse", {"reason": "unknown_structure", "about": "none"}, Filling(arguments=filling.arguments)
        )
    return Core(text, tuple(calls), group, template, filling)


def draw_core(rng: Random, table: str, split: Split) -> Core:
    """A filled template of one file of templates."""
    group, template = draw(rng, table, split)
    return core_of(rng, group, template)


def request_of(rng: Random, core: Core) -> Request:
    """The whole message of a core, as typed."""
    group, template = core.group, core.template
    text = message(
        core.text,
        rng,
        mood=template.mood,
        slots=template.slots,
        context=group.context,
        neutral=core.filling.neutral,
    )
    return Request(noisy(text, rng), merged(core.calls), group.skill, template.id, core.filling)


def draw_skill(rng: Random) -> str:
    """A skill by how often it is asked for."""
    return rng.choices(tuple(SKILL_WEIGHTS), tuple(SKILL_WEIGHTS.values()))[0]


def draw_request(rng: Random, split: Split) -> Request:
    """One request of one skill."""
    return request_of(rng, draw_core(rng, draw_skill(rng), split))
