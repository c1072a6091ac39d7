"""Records of a CT of known masks, as facts beside a visual question: those that answer it, or others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING

from assistant.language.wording.facts import facts_json
from assistant.measurements import HU_METHOD, VOLUME_METHOD, measurement
from assistant.records import Finding, Measurement, Site, Status
from vision.structures import by_name

if TYPE_CHECKING:
    from vision.geometry import CTVolume, Mask

ANSWERED_BY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "spleen_size": frozenset({"spleen"}),
        "kidney_size": frozenset({"kidney_left", "kidney_right"}),
        "missing": frozenset({"gall_bladder", "spleen", "kidney_left", "kidney_right"}),
        "side": frozenset({"kidney_lesion"}),
        "steatosis": frozenset({"liver", "spleen"}),
    }
)
"""Topic -> the structures whose records answer it. The phase is recorded by the file; other topics only a CT shows."""
_RECORDED = tuple(dict.fromkeys(name for topic in ANSWERED_BY.values() for name in sorted(topic)))
_ANSWER_SHARE, _OTHER_SHARE = 0.75, 0.4
"""Of rows with facts, those whose facts answer the question; of other records, those that are told as well."""


def records_of(ct: CTVolume, masks: Mapping[str, Mask], *, side: str | None) -> tuple[Finding, ...]:
    """Findings of the structures that visual questions are about, measured on reference masks.

    A mask that is empty was searched for and not seen; a structure without one is passed over. `side` is that of the
    kidney lesions, which have no record without it.
    """
    found: list[Finding] = []
    for name in _RECORDED:
        if name in masks and (name != "kidney_lesion" or (side and masks[name])):
            found.append(_record(f"F{len(found) + 1}", name, ct, masks[name], side=by_name(name).side or side))
    return tuple(found)


def _record(finding_id: str, name: str, ct: CTVolume, mask: Mask, *, side: str | None) -> Finding:
    from vision.measure import cut_at, intensity, slice_range, volume_ml

    lesion = name == "kidney_lesion"
    own_side = side if lesion or by_name(name).side else None
    first_last = slice_range(mask)
    if first_last is None:
        return Finding(
            id=finding_id, structure=name, status=Status.NOT_SEEN, site=Site.model_validate({"side": own_side})
        )
    cut, hu = cut_at(mask), intensity(ct, mask)
    numbers: list[Measurement] = []
    if not cut:
        numbers.append(measurement(finding_id, "volume", volume_ml(mask), unit="mL", method=VOLUME_METHOD))
    if hu is not None and name in ANSWERED_BY["steatosis"]:
        for quantity, value in (("hu_mean", hu.mean), ("hu_sd", hu.sd)):
            numbers.append(measurement(finding_id, quantity, value, unit="HU", method=HU_METHOD))
    place = {"side": own_side, "first_slice": first_last[0], "last_slice": first_last[1]}
    organ = {"organ": f"kidney_{side}"} if lesion else {}
    return Finding(
        id=finding_id, structure=name, status=Status.SEEN, site=Site.model_validate(place | organ),
        complete=not cut, cut_at=cut, measurements=tuple(numbers),
    )  # fmt: skip


def facts_beside(rng: Random, topic: str, truth: Mapping[str, str], records: Sequence[Finding]) -> str | None:
    """Facts to a visual question as a 'tool' message has them: most often those that answer it, else others alone.

    None where nothing is on record.
    """
    answering = ANSWERED_BY.get(topic, frozenset())
    answered = rng.random() < _ANSWER_SHARE
    told = [
        finding for finding in records if (answered if finding.structure in answering else rng.random() < _OTHER_SHARE)
    ]
    facts = json.loads(facts_json(told))
    if "phase" in truth and (answered if topic == "phase" else rng.random() < _OTHER_SHARE):
        facts["CT"] = {"phase": truth["phase"]}
    return json.dumps(facts, separators=(",", ":"), ensure_ascii=False) if facts else None
