"""What is told of records, and which of them: everything that the skill of a call would state, in further words."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from random import Random

from assistant.language.instructions.findings import number_of, with_range
from assistant.language.instructions.page import Page
from assistant.plan import SkillCall
from assistant.records import Finding, Status
from assistant.skills.bench import is_lesion, lies_within
from assistant.skills.measure import AXES

_TWO_SENTENCES_SHARE = 0.3


def chosen(drawn: Sequence[Finding], item: SkillCall) -> list[Finding]:
    """The findings that a call means: lesions of a place and a size, the largest or smallest of a kind, the surest."""
    names = item.arguments.get("structures", ())
    found = [finding for name in names for finding in _of_kind(drawn, name, item)]
    seen = sorted((one for one in found if one.status is Status.SEEN), key=lambda one: -(one.confidence or 0.0))
    if item.name != "detect":
        return found
    kept = seen[: int(item.arguments.get("limit", len(seen)))]
    return [*(one for name in names for one in kept if one.structure == name), *(f for f in found if f not in seen)]


def _of_kind(drawn: Sequence[Finding], name: str, item: SkillCall) -> list[Finding]:
    own = [finding for finding in drawn if finding.structure == name]
    if not is_lesion(own[0]):
        return own
    within, select = tuple(item.arguments.get("within", ())), item.arguments.get("select")
    least, most = item.arguments.get("min_mm", 0.0), item.arguments.get("max_mm", float("inf"))
    placed = [finding for finding in own if lies_within(finding, within)]
    kept = [one for one in placed if one.status is not Status.SEEN or least <= _long_mm(one) <= most]
    seen = [one for one in kept if one.status is Status.SEEN]
    if select and seen:
        return [(max if select == "largest" else min)(seen, key=_long_mm)]
    return kept


def _long_mm(finding: Finding) -> float:
    return next(m.value for m in finding.measurements if m.quantity == "long_axis")


def with_counts(found: Sequence[Finding]) -> list[Finding]:
    """The findings, the first lesion of each kind with how many there are."""
    counted: set[str] = set()
    made = []
    for finding in found:
        if is_lesion(finding) and finding.status is Status.SEEN and finding.structure not in counted:
            number = sum(one.structure == finding.structure for one in found)
            count = number_of(finding.id, "count", float(number), "1")
            made.append(finding.model_copy(update={"measurements": (*finding.measurements, count)}))
        else:
            made.append(finding)
        counted.add(finding.structure)
    return made


def tell(finding: Finding, item: SkillCall, found: Sequence[Finding], page: Page, *, total: int) -> None:
    """Sentences on one finding of a call; `total` is how many of its kind there are, chosen or not."""
    if finding.status is Status.NOT_SEEN:
        page.write("not_seen_lesion" if is_lesion(finding) else "not_seen", finding)
    elif finding.status is Status.NOT_ASSESSABLE:
        page.write("not_assessable", finding)
    elif is_lesion(finding):
        _tell_lesion(finding, item, found, page, total=total)
    else:
        _tell_organ(finding, item, page)


def _tell_organ(finding: Finding, item: SkillCall, page: Page) -> None:
    if item.name == "segment":
        _tell_segmented(finding, page)
    elif item.name == "measure":
        _tell_measured(finding, set(item.arguments.get("quantities", ())), page)
    else:
        if item.name == "answer":
            page.write("present", finding)
        page.write("slices", finding)
        page.write("side", finding)
        if finding.cut_at:
            page.write("cut", finding)


def _tell_segmented(finding: Finding, page: Page) -> None:
    if finding.cut_at:
        page.write("cut", finding)
    elif page.rng.random() < _TWO_SENTENCES_SHARE:
        page.write("segmented", finding)
        page.write("volume", finding)
    else:
        page.write("segmented_volume", finding)


def _tell_measured(finding: Finding, wanted: set[str], page: Page) -> None:
    if finding.cut_at and (not wanted or wanted - {"hu"}):
        page.write("cut", finding)
    if wanted & AXES:
        page.write("axes", finding)
    for quantity, key in (("volume", "volume"), ("who", "who"), ("hu", "hu"), ("extent", "length")):
        if quantity in (wanted or {"volume"}):
            page.write(key, finding)


def _tell_lesion(finding: Finding, item: SkillCall, found: Sequence[Finding], page: Page, *, total: int) -> None:
    own = [one for one in found if one.structure == finding.structure]
    place = "_part" if finding.site.part else "_segments" if finding.site.segments else ""
    if item.name == "count":
        if finding == own[0]:
            page.write("count_one" if len(own) == 1 else "count_many", finding)
        if len(own) < total:
            page.write(f"lesion{place}", finding)
    elif item.name in ("locate", "answer"):
        page.write(f"lesion_where{place}", finding)
        page.write("lesion_side", finding)
    elif item.name == "measure":
        wanted = set(item.arguments.get("quantities", ())) or AXES | {"volume"}
        asked = ((AXES, "lesion_axes"), ({"volume"}, "lesion_volume"), ({"who"}, "lesion_who"), ({"hu"}, "lesion_hu"))
        for quantities, key in asked:
            if wanted & quantities:
                page.write(key, finding)
    else:
        if total == 1:
            page.write("count_one", finding)
        page.write(f"lesion{place}", finding)


def compare(item: SkillCall, found: list[Finding], page: Page) -> list[Finding]:
    """Sentences of a comparison, and the findings with their ranges or differences."""
    if item.arguments["with_"] == "normal":
        return [_told_range(finding, page) for finding in found]
    if "hu" in item.arguments.get("quantities", ()):
        for finding in found:
            page.write("hu" if finding.measurement("hu_mean") else _unfit(finding), finding)
        return found
    unfit = [finding for finding in found if finding.measurement("volume") is None]
    for finding in unfit:
        page.write(_unfit(finding), finding)
    return found if unfit else _ranked(sorted(found, key=_volume_ml, reverse=True), page)


def _told_range(finding: Finding, page: Page) -> Finding:
    ranged, place = with_range(finding)
    if ranged.measurement("volume") is None:
        page.write(_unfit(ranged), ranged)
    elif place is None:
        page.write("volume", ranged)
        page.write("no_range", ranged)
    else:
        page.write("in_range", ranged, place=place)
    return ranged


def _unfit(finding: Finding) -> str:
    """The kind of sentence on an organ without a volume."""
    kinds = {Status.NOT_SEEN: "not_seen", Status.NOT_ASSESSABLE: "not_assessable", Status.SEEN: "cut"}
    return kinds[finding.status]


def _ranked(ranked: list[Finding], page: Page) -> list[Finding]:
    largest, others = ranked[0], ranked[1:]
    gaps = [
        number_of(largest.id, f"difference_{other.id}", _volume_ml(largest) - _volume_ml(other), "mL")
        for other in others
    ]
    largest = largest.model_copy(update={"measurements": (*largest.measurements, *gaps)})
    for other in others:
        equal = round(_volume_ml(largest)) == round(_volume_ml(other))
        page.write("both_volumes" if equal else "larger", largest, other)
        page.write("difference", largest, other)
    return [largest, *others]


def _volume_ml(finding: Finding) -> float:
    return next(m.value for m in finding.measurements if m.quantity == "volume")


def distances(rng: Random, found: list[Finding], page: Page) -> list[Finding]:
    """The gaps between what was named first and all else, or between lesions of one kind; what is not seen is said."""
    seen = [finding for finding in found if finding.status is Status.SEEN]
    rest = [finding for finding in found if finding.status is not Status.SEEN]
    for finding in rest:
        tell(finding, SkillCall(name="segment"), found, page, total=1)
    first = [finding for finding in seen if finding.structure == seen[0].structure]
    others = [finding for finding in seen if finding not in first]
    by_id = {finding.id: finding for finding in seen}
    for one, other in itertools.product(first, others) if others else itertools.combinations(first, 2):
        gap = number_of(one.id, f"distance_{other.id}", rng.uniform(0, 120), "mm")
        known = by_id[one.id]
        by_id[one.id] = known.model_copy(update={"measurements": (*known.measurements, gap)})
        page.write("lesion_distance" if is_lesion(one) else "distance", by_id[one.id], other)
    return [*by_id.values(), *rest]
