"""Words rows: a question, its plan, records as facts, and sentences with slots; mask tokens where masks are shown."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from assistant.language.instructions.findings import (
    lesion_findings,
    number_of,
    organ_finding,
    with_quantities,
    with_range,
)
from assistant.language.instructions.page import Page, sentences_for
from assistant.language.instructions.requests import Request, draw_core, request_of
from assistant.language.instructions.rows import HELD_OUT_SHARE, Row, tool_call
from assistant.language.instructions.templates import Split
from assistant.language.wording.facts import facts_json
from assistant.plan import SkillCall
from assistant.records import Finding, Measurement, Status
from vision.structures import by_name

_TOLD = (
    ("segment",) * 9
    + ("measure",) * 6
    + ("detect",) * 4
    + ("locate",) * 3
    + ("count", "compare", "compare", "answer", "answer", "describe")
)
MOST_STRUCTURES = 4


def words_row(number: int, seed: int) -> Row:
    """One words row: a question of one turn, its calls, the facts and the answer."""
    rng = Random(f"words {seed} {number}")  # noqa: S311  -- draws phrasings, keeps no secret
    split: Split = "held_out" if rng.random() < HELD_OUT_SHARE else "train"
    while True:
        request = request_of(rng, draw_core(rng, rng.choice(_TOLD), split))
        if all(_tellable(item) for item in request.calls):
            break
    page = Page(rng, masks=request.calls[0].name in ("segment", "detect"))
    findings, extra = answer_of(rng, request, page)
    return {
        "messages": [
            {"role": "user", "content": request.text},
            {"role": "assistant", "tool_calls": [tool_call(item) for item in request.calls]},
            {"role": "tool", "content": facts_json(findings, extra=extra)},
            {"role": "assistant", "content": " ".join(page.texts)},
        ],
        "ct": None,
        "skill": request.skill,
        "template": "+".join([request.template, *dict.fromkeys(page.ids)]),
        "split": split,
        "kind": "words",
    }


def _tellable(item: SkillCall) -> bool:
    """Whether records can hold all that a call asks for: structures that can be segmented, not too many."""
    names = item.arguments.get("structures", [])
    if item.name == "describe":
        return not names
    if (item.name == "answer" and item.arguments["asked"] != "presence") or item.arguments.get("with_") == "prior":
        return False
    kinds = {by_name(name).kind for name in names}
    return (
        bool(names)
        and len(names) <= MOST_STRUCTURES
        and "extra" not in kinds
        and (kinds == {"lesion"} or "lesion" not in kinds)
    )


def answer_of(rng: Random, request: Request, page: Page) -> tuple[list[Finding], list[Measurement]]:
    """Drawn records for the first call of a request, and measurements of the CT; sentences go onto `page`."""
    item = request.calls[0]
    if item.name == "describe":
        return [], _describe(rng, page)
    first = 1 if rng.random() < 0.8 else rng.randint(2, 12)
    arguments = item.arguments
    found: list[Finding] = []
    for name in arguments["structures"]:
        if by_name(name).kind == "lesion":
            found += lesion_findings(rng, name, tuple(arguments.get("within", ())), first + len(found))
        else:
            made = organ_finding(rng, name, f"F{first + len(found)}")
            found.append(with_quantities(rng, made, tuple(arguments.get("quantities", ()))))
    found = [
        with_quantities(rng, f, ("hu",))
        if "hu" in arguments.get("quantities", ()) and not f.measurement("hu_mean")
        else f
        for f in found
    ]
    if item.name == "compare":
        return _compare(rng, item, found, page), []
    if "distance" in arguments.get("quantities", ()):
        return _distance(rng, found, page), []
    found = _chosen(found, arguments)
    for finding in found:
        _tell(finding, item, found, page)
    return found, []


def _chosen(found: list[Finding], arguments: dict[str, Any]) -> list[Finding]:
    """The lesions that are told of: the largest, or so many."""
    seen = [f for f in found if f.status is Status.SEEN and f.confidence is not None]
    if arguments.get("select") and seen:
        ranked = sorted(seen, key=lambda f: f.measurements[1].value, reverse=arguments["select"] == "largest")
        return ranked[: int(arguments.get("limit", 1))]
    if "limit" in arguments and seen:
        return seen[: int(arguments["limit"])]
    return found


def _tell(finding: Finding, item: SkillCall, found: Sequence[Finding], page: Page) -> None:
    lesion = by_name(finding.structure).kind == "lesion"
    if finding.status is Status.NOT_SEEN:
        page.write("not_seen_lesion" if lesion else "not_seen", finding)
    elif finding.status is Status.NOT_ASSESSABLE:
        page.write("not_assessable", finding)
    elif lesion:
        _tell_lesion(finding, item, found, page)
    else:
        _tell_organ(finding, item, page)


def _tell_organ(finding: Finding, item: SkillCall, page: Page) -> None:
    quantities = item.arguments.get("quantities", ())
    if item.name == "segment":
        page.write("cut" if finding.cut_at else page.rng.choice(("segmented", "segmented_volume")), finding)
    elif item.name == "measure":
        if finding.cut_at and set(quantities) - {"hu"}:
            page.write("cut", finding)
        for quantity, key in (("volume", "volume"), ("hu", "hu"), ("extent", "length")):
            if quantity in quantities:
                page.write(key, finding)
        if {"long_axis", "short_axis", "diameter"} & set(quantities):
            page.write("axes", finding)
    elif item.name == "answer":
        page.write("present", finding)
        page.write("slices", finding)
    else:
        page.write("slices", finding)
        page.write("side", finding)
    if finding.cut_at and item.name in ("answer", "locate"):
        page.write("cut", finding)


def _tell_lesion(finding: Finding, item: SkillCall, found: Sequence[Finding], page: Page) -> None:
    if (
        finding.measurement("count")
        and item.name in ("detect", "count")
        and len(_of_kind(found, finding)) == _count(finding)
    ):
        page.write("count_one" if _count(finding) == 1 else "count_many", finding)
    if item.name == "count":
        return
    if item.name == "locate":
        page.write("lesion_where", finding)
        page.write("lesion_side", finding)
    elif item.name == "measure":
        quantities = set(item.arguments["quantities"])
        for wanted, key in (
            ({"long_axis", "short_axis"}, "lesion_axes"),
            ({"volume"}, "lesion_volume"),
            ({"hu"}, "lesion_hu"),
            ({"who"}, "lesion_who"),
        ):
            if wanted & quantities:
                page.write(key, finding)
    elif item.name == "segment" and page.rng.random() < 0.3:
        page.write("lesion_shown", finding)
    else:
        page.write(
            "lesion_part" if finding.site.part else "lesion_segments" if finding.site.segments else "lesion", finding
        )


def _of_kind(found: Sequence[Finding], finding: Finding) -> list[Finding]:
    return [f for f in found if f.structure == finding.structure]


def _count(finding: Finding) -> int:
    counted = finding.measurement("count")
    return int(counted.value) if counted else 0


def _compare(rng: Random, item: SkillCall, found: list[Finding], page: Page) -> list[Finding]:
    if item.arguments["with_"] == "normal":
        ranged = [with_range(finding) for finding in found]
        for finding, place in ranged:
            if finding.measurement("volume") is None:
                _tell(finding, SkillCall(name="segment"), found, page)
            else:
                page.write("in_range" if place else "volume", finding, place=place or "")
        return [finding for finding, _ in ranged]
    unfit = [finding for finding in found if finding.measurement("volume") is None]
    for finding in unfit:
        _tell(finding, SkillCall(name="segment"), found, page)
    fit = sorted((f for f in found if f not in unfit), key=lambda f: -f.measurements[0].value)
    if "hu" in item.arguments.get("quantities", ()):
        for finding in fit:
            page.write("hu", finding)
        return found
    return [*unfit, *_ranked(fit, page)]


def _ranked(fit: list[Finding], page: Page) -> list[Finding]:
    if len(fit) < 2:
        return fit
    largest = fit[0]
    for other in fit[1:]:
        gap = number_of(
            largest.id, f"difference_{other.id}", largest.measurements[0].value - other.measurements[0].value, "mL"
        )
        largest = largest.model_copy(update={"measurements": (*largest.measurements, gap)})
    for other in fit[1:]:
        page.write("larger", largest, other)
        page.write("difference", largest, other)
    return [largest, *fit[1:]]


def _distance(rng: Random, found: list[Finding], page: Page) -> list[Finding]:
    """The gap between the first that is seen and each other; what is not seen is said."""
    for finding in found:
        if finding.status is not Status.SEEN:
            _tell(finding, SkillCall(name="segment"), found, page)
    seen = [finding for finding in found if finding.status is Status.SEEN]
    if len(seen) < 2:
        return found
    first = seen[0]
    gaps = [number_of(first.id, f"distance_{other.id}", rng.uniform(0, 120), "mm") for other in seen[1:]]
    first = first.model_copy(update={"measurements": (*first.measurements, *gaps)})
    for other in seen[1:]:
        page.write("distance", first, other)
    return [first if finding.id == first.id else finding for finding in found]


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
