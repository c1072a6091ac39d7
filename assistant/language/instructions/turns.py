"""Several things asked in one message, and conversations of several turns that point back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from assistant.language.instructions.agreement import verbs_for
from assistant.language.instructions.compose import message, noisy
from assistant.language.instructions.grammar import render
from assistant.language.instructions.noise import marked
from assistant.language.instructions.plans import call, merged, quantities_of
from assistant.language.instructions.requests import Core, Request, draw_core, draw_skill, request_of
from assistant.language.instructions.targets import Filling, fill, format_words
from assistant.language.instructions.templates import Group, Split, Template, draw_from, usable_groups
from assistant.plan import SkillCall
from vision.structures import GROUPS, by_name

_FIRST = ("segment",) * 5 + ("measure",) * 3 + ("detect",) * 3 + ("locate",) * 2
_SECOND = (
    "segment",
    "measure",
    "measure",
    "detect",
    "detect",
    "locate",
    "compare",
    "answer",
    "describe",
    "report",
    "refuse",
)
_GLUE = (
    " and ",
    " and ",
    " and ",
    ", then ",
    " and then ",
    ". ",
    ". ",
    ". Also, ",
    "; ",
    ", and ",
    ". Then ",
    " + ",
    ". After that ",
    " and also ",
)
_NOT_REPEATED = frozenset({"refuse", "help", "export", "correct", "compare", "classify", "describe", "report"})


@dataclass(frozen=True)
class Before:
    """What a follow-up points back to: the calls, the structures, and where lesions were sought."""

    calls: tuple[SkillCall, ...]
    structures: tuple[str, ...]
    within: tuple[str, ...]
    lesion: bool
    plural: bool


def before(calls: Sequence[SkillCall], *, plural: bool) -> Before:
    """What the calls of a turn leave to point back to."""
    names = tuple(dict.fromkeys(name for item in calls for name in item.arguments.get("structures", ())))
    places = next((item.arguments["within"] for item in reversed(calls) if item.arguments.get("within")), ())
    lesion = bool(names) and all(by_name(name).lesion_of for name in names)
    return Before(tuple(calls), names, tuple(places), lesion=lesion, plural=plural)


def fits(group: Group, back: Before, *, when: str) -> bool:
    """Whether a follow-up makes sense after what was asked before."""
    options = group.options
    if options.get("when", "both") not in (when, "both"):
        return False
    after = options.get("after", "any")
    single = len(back.structures) == 1 and by_name(back.structures[0]).pair is not None
    kinds = {"any": True, "lesion": back.lesion, "organ": not back.lesion, "one_of_pair": single}
    if not kinds[after]:
        return False
    if group.skill == "same":
        return all(_may_repeat(item) for item in back.calls)
    return not (when == "joined" and any(item.name == group.skill for item in back.calls))


def _may_repeat(item: SkillCall) -> bool:
    fixed = item.arguments.keys() & {"limit", "select", "min_mm", "max_mm", "finding"}
    return (
        item.name not in _NOT_REPEATED
        and bool(item.arguments.get("structures"))
        and not fixed
        and ("distance" not in item.arguments.get("quantities", ()))
    )


def draw_follow(rng: Random, split: Split, back: Before, *, when: str) -> tuple[Group, Template]:
    """A template that points back to what was asked before."""
    fitting = [(group, frames) for group, frames in usable_groups("follow", split) if fits(group, back, when=when)]
    group, frames = rng.choices(fitting, [group.weight for group, _ in fitting])[0]
    return group, draw_from(rng, frames)


def follow(rng: Random, group: Group, template: Template, back: Before) -> tuple[str, tuple[SkillCall, ...], bool]:
    """The words of a follow-up, its calls, and whether what it is about is plural."""
    bound = dict(verbs_for(plural=back.plural))
    options = dict(group.options)
    about = options.get("about", "memory")
    if about == "new":
        filling = _alike(rng, template, back)
        text = render(template.pattern, rng, {**bound, **filling.bound})
        return text, tuple(_again(item, filling) for item in back.calls), filling.plural
    if about == "other":
        other = next(n for n in GROUPS[str(by_name(back.structures[0]).pair)] if n not in back.structures)
        bound["side"] = str(by_name(other).side)
        text = render(template.pattern, rng, bound)
        return text, tuple(_again(item, Filling(structures=(other,))) for item in back.calls), False
    if group.skill == "same":
        kept = tuple(
            call(c.name, {**c.arguments, "select": options["select"], "finding": "previous"}) for c in back.calls
        )
        return render(template.pattern, rng, bound), kept, False
    formats: list[str] = []
    if options.get("format"):
        name, bound["format"] = format_words(rng)
        formats = [name]
    arguments = _pointing(options, back) if about == "memory" else {}
    made = call(group.skill, {**arguments, "formats": formats})
    return render(template.pattern, rng, bound), (made,), back.plural and "select" not in options


def _pointing(options: Mapping[str, Any], back: Before) -> dict[str, Any]:
    structures = back.structures
    if options.get("with") == "other_side":
        structures = GROUPS[str(by_name(structures[0]).pair)]
    arguments: dict[str, Any] = {"structures": list(structures), "within": list(back.within), "finding": "previous"}
    if "quantities" in options:
        arguments["quantities"] = quantities_of(options["quantities"], lesion=back.lesion)
    for key in ("asked", "change", "select"):
        if key in options:
            arguments[key] = options[key]
    if "with" in options:
        arguments["with_"] = options["with"]
    return arguments


def _alike(rng: Random, template: Template, back: Before) -> Filling:
    """Another thing of the same kind: a lesion after a lesion, an organ after an organ."""
    while True:
        filling = fill(rng, "lesion" if back.lesion else "single", template.slots | {"x"})
        if not filling.neutral and set(filling.structures) != set(back.structures):
            return filling


def _again(item: SkillCall, filling: Filling) -> SkillCall:
    return call(item.name, {**item.arguments, "structures": list(filling.structures), "within": list(filling.within)})


def _plain_core(rng: Random, table: str, split: Split) -> Core:
    """A core that a second request can follow: a command about something that is named, with nothing picked out."""
    while True:
        core = draw_core(rng, table, split)
        named = core.filling.structures and not core.filling.more and not core.filling.arguments
        if (
            named
            and core.template.mood == "do"
            and core.calls[0].arguments.get("structures")
            and core.group.context == "any"
        ):
            return core


def joined_request(rng: Random, split: Split) -> Request:
    """Two or three things about one object in one message, the later ones by pronoun."""
    core = _plain_core(rng, rng.choice(_FIRST), split)
    back = before(core.calls, plural=core.filling.plural)
    calls, text, ids = list(core.calls), core.text, [core.template.id]
    mood = "do"
    for _ in range(1 if rng.random() < 0.8 else 2):
        group, template = draw_follow(rng, split, back, when="joined")
        if any(item.name == group.skill for item in calls):
            continue
        words, more, _ = follow(rng, group, template, back)
        if "select" in group.options and not core.filling.plural:
            continue
        text = _glued(text, words, rng, mood=mood)
        mood = template.mood
        calls += more
        ids.append(template.id)
    whole = message(
        text,
        rng,
        mood="ask" if mood == "ask" else "do",
        slots=frozenset({"on_ct"}),
        context="any",
        neutral=core.filling.neutral,
    )
    return Request(noisy(whole, rng), tuple(calls), "several", "+".join(ids), core.filling)


def _glued(first: str, second: str, rng: Random, *, mood: str) -> str:
    if mood == "ask":
        return f"{first}? {second[:1].upper()}{second[1:]}"
    if second.startswith(("and ", "also ", "with ", "including ")):
        return f"{first}{rng.choice((' ', ', '))}{second}"
    glue = rng.choice(_GLUE)
    return f"{first}{glue}{second[:1].upper() + second[1:] if glue.endswith('. ') else second}"


def two_requests(rng: Random, split: Split) -> Request:
    """Two things about two objects in one message."""
    while True:
        first = _plain_core(rng, rng.choice(_FIRST), split)
        table = rng.choice(_SECOND)
        second = draw_core(rng, table, split)
        wanted = second.template.mood in ("do", "ask") and second.group.context != "none"
        advice = table != "refuse" or second.group.name == "refuse.advice"
        if wanted and advice and table != first.group.skill and not (first.filling.neutral or second.filling.neutral):
            break
    text = _glued(first.text, second.text, rng, mood="do")
    mood = second.template.mood
    whole = message(
        text, rng, mood=mood if mood == "ask" else "do", slots=frozenset({"on_ct"}), context="any", neutral=True
    )
    ids = f"{first.template.id}+{second.template.id}"
    return Request(noisy(whole, rng), merged((*first.calls, *second.calls)), "several", ids, first.filling)


def several_request(rng: Random, split: Split) -> Request:
    """One message that asks for several things."""
    draw = rng.random()
    if draw < 0.3:
        core = draw_core(rng, "several", split)
        made = request_of(rng, core)
        return Request(made.text, made.calls, "several", made.template, made.filling)
    return joined_request(rng, split) if draw < 0.72 else two_requests(rng, split)


def conversation(rng: Random, split: Split) -> list[Request]:
    """Two to four turns: a request, then follow-ups that point back to it."""
    first = request_of(rng, _plain_core(rng, rng.choice(_FIRST), split))
    turns = [first]
    back = before(first.calls, plural=first.filling.plural)
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        if rng.random() < 0.12:
            made = request_of(rng, draw_core(rng, draw_skill(rng), split))
            while (
                made.calls[0].arguments.get("finding") == "previous"
                or made.calls[0].arguments.get("reason") == "which_structure"
            ):
                made = request_of(rng, draw_core(rng, draw_skill(rng), split))
            turns.append(made)
            if any(item.arguments.get("structures") for item in made.calls):
                back = before(made.calls, plural=made.filling.plural)
            continue
        group, template = draw_follow(rng, split, back, when="later")
        words, calls, plural = follow(rng, group, template, back)
        context = "none" if rng.random() < 0.8 else "plain"
        mood = template.mood
        whole = (
            message(words, rng, mood=mood, slots=template.slots, context=context, neutral=True)
            if mood != "fragment"
            else marked(words, rng, mood=mood)
        )
        turns.append(Request(noisy(whole, rng), calls, "turns", template.id, Filling(plural=plural)))
        if any(item.arguments.get("structures") for item in calls):
            back = before(calls, plural=plural)
    return turns
