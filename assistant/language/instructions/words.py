"""Words rows: a question, its plan, records as facts, and sentences with slots; mask tokens where masks are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from assistant.language.instructions.findings import lesion_findings, number_of, organ_finding, with_quantities
from assistant.language.instructions.page import Page, sentences_for
from assistant.language.instructions.requests import Request, draw_core, request_of
from assistant.language.instructions.rows import HELD_OUT_SHARE, Row, tool_call
from assistant.language.instructions.shown import shown_row
from assistant.language.instructions.telling import chosen, compare, distances, tell, with_counts
from assistant.language.instructions.templates import Split
from assistant.language.wording.facts import facts_json
from assistant.plan import SkillCall
from assistant.records import Finding, Measurement
from vision.structures import by_name

_TOLD = (
    ("segment",) * 9
    + ("measure",) * 6
    + ("detect",) * 4
    + ("locate",) * 3
    + ("count", "compare", "compare", "answer", "answer", "describe")
    + ("several",) * 4
)
_JOINED = frozenset({"segment", "measure", "detect", "locate", "count"})
"""Calls of which several are told together."""
MOST_STRUCTURES = 4
SHOWN_SHARE = 0.2
"""Of the rows, those that show the mask of a phrase without any record."""


@dataclass(frozen=True)
class Telling:
    """A question with its plan, records that answer it, and the sentences over them with the ids of their templates."""

    request: Request
    drawn: list[Finding]
    """All of the kinds that are asked for; `findings` are those that were meant, with what the skill adds."""
    findings: list[Finding]
    extra: list[Measurement]
    answer: str
    templates: tuple[str, ...]


def words_row(number: int, seed: int) -> Row:
    """One words row: a question of one turn, its calls, the facts and the answer; or one of `shown_row`."""
    rng = Random(f"words {seed} {number}")  # noqa: S311  -- draws phrasings, keeps no secret
    split: Split = "held_out" if rng.random() < HELD_OUT_SHARE else "train"
    if rng.random() < SHOWN_SHARE:
        return shown_row(rng, split)
    told = telling(rng, split)
    return {
        "messages": [
            {"role": "user", "content": told.request.text},
            {"role": "assistant", "tool_calls": [tool_call(item) for item in told.request.calls]},
            {"role": "tool", "content": facts_json(told.findings, extra=told.extra)},
            {"role": "assistant", "content": told.answer},
        ],
        "ct": None,
        "skill": told.request.skill,
        "template": "+".join([told.request.template, *dict.fromkeys(told.templates)]),
        "split": split,
        "kind": "words",
    }


def telling(rng: Random, split: Split) -> Telling:
    """A drawn question that records can answer, with such records and the answer."""
    while True:
        request = request_of(rng, draw_core(rng, rng.choice(_TOLD), split))
        if not _tellable_together(request.calls):
            continue
        page = Page(rng, masks=any(item.name in ("segment", "detect") for item in request.calls))
        drawn = draw_records(rng, request.calls)
        findings, extra = (
            answer_of(rng, request.calls[0], drawn, page)
            if len(request.calls) == 1
            else (answers_of_several(request.calls, drawn, page), [])
        )
        if page.texts:
            return Telling(request, drawn, findings, extra, " ".join(page.texts), tuple(page.ids))


def _tellable_together(calls: Sequence[SkillCall]) -> bool:
    """Whether records can hold what all calls ask for: several are about the same, and each can be told by itself."""
    if not all(_tellable(item) for item in calls):
        return False
    about = [(item.arguments.get("structures"), item.arguments.get("within")) for item in calls]
    return len(calls) == 1 or (all(item.name in _JOINED for item in calls) and all(one == about[0] for one in about))


def _tellable(item: SkillCall) -> bool:
    """Whether records can hold all that a call asks for: structures that can be segmented, not too many."""
    names = item.arguments.get("structures", [])
    if item.name == "describe":
        return not names
    if item.name == "detect" and not all(by_name(name).kind == "lesion" for name in names):
        return False
    if (item.name == "answer" and item.arguments["asked"] != "presence") or item.arguments.get("with_") == "prior":
        return False
    kinds = {by_name(name).kind for name in names}
    return (
        bool(names)
        and len(names) <= MOST_STRUCTURES
        and "extra" not in kinds
        and (kinds == {"lesion"} or "lesion" not in kinds)
    )


def draw_records(rng: Random, calls: Sequence[SkillCall]) -> list[Finding]:
    """Findings of what the first call names, with the quantities that any asks for; ids in order, from F1 or later."""
    first = 1 if rng.random() < 0.8 else rng.randint(2, 12)
    arguments = calls[0].arguments
    quantities = tuple(quantity for item in calls for quantity in item.arguments.get("quantities", ()))
    found: list[Finding] = []
    for name in arguments.get("structures", ()):
        if by_name(name).kind == "lesion":
            made = lesion_findings(rng, name, tuple(arguments.get("within", ())), first + len(found))
            found += [with_quantities(rng, finding, ("hu",)) for finding in made] if "hu" in quantities else made
        else:
            found.append(with_quantities(rng, organ_finding(rng, name, f"F{first + len(found)}"), quantities))
    return found


def answer_of(
    rng: Random, item: SkillCall, drawn: list[Finding], page: Page
) -> tuple[list[Finding], list[Measurement]]:
    """The records that a call ends with, and measurements of the CT; its sentences go onto `page`.

    They state all that the skill's own sentences would.
    """
    if item.name == "describe":
        return [], _describe(rng, page)
    if item.name == "compare":
        return compare(item, drawn, page), []
    found = chosen(drawn, item)
    if "distance" in item.arguments.get("quantities", ()) and len(found) > 1:
        return distances(rng, found, page), []
    if item.name == "count":
        found = with_counts(found)
    for finding in found:
        tell(finding, item, found, page, total=sum(one.structure == finding.structure for one in drawn))
    return found, []


def answers_of_several(calls: Sequence[SkillCall], drawn: Sequence[Finding], page: Page) -> list[Finding]:
    """The same for several calls about the same things: each in turn, with what was not told before."""
    records = {finding.id: finding for finding in drawn}
    meant: dict[str, None] = {}
    for item in calls:
        found = chosen(tuple(records.values()), item)
        if item.name == "count":
            found = with_counts(found)
        records |= {finding.id: finding for finding in found}
        meant |= dict.fromkeys(finding.id for finding in found)
        for finding in found:
            tell(finding, item, found, page, total=sum(one.structure == finding.structure for one in drawn))
    return [records[finding_id] for finding_id in meant]


def _describe(rng: Random, page: Page) -> list[Measurement]:
    slices, spacing = rng.randint(40, 700), rng.choice((0.8, 1.0, 1.25, 2.0, 2.5, 3.0, 5.0))
    facts = [
        number_of("CT", "extent", slices * spacing, "mm"),
        number_of("CT", "slices", float(slices), "slices"),
        number_of("CT", "slice_spacing", spacing, "mm"),
        number_of("CT", "pixel_spacing", rng.uniform(0.5, 0.98), "mm"),
    ]
    for template_id, text in sentences_for("ct"):
        page.texts.append(text)
        page.ids.append(template_id)
    return facts
