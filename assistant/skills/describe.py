"""Skill: what this CT is: how much of the body, how finely, in which contrast phase."""

from __future__ import annotations

from assistant.grounding import say
from assistant.measurements import measurement
from assistant.records import Measurement
from assistant.skills.bench import Bench, Reply
from assistant.skills.looks import PHASE_WORDS, look_at_ct
from vision.geometry import CTVolume


def describe(bench: Bench) -> Reply:
    """Coverage, slices, pixel spacing, the recorded phase, and what else the CT looks like where something looks."""
    facts = ct_facts(bench.notebook.scene.ct)
    named = {fact.id: fact for fact in facts}
    sentences = [say(name, {}, extra=named) for name in ("extent", "slice_count", "pixel")]
    phase = PHASE_WORDS.get(str(bench.notebook.scene.ct.facts.get("phase", "")))
    sentences.append(say("phase", {}, {"phase": phase}) if phase else say("phase_unknown", {}))
    looks, impressions = look_at_ct(bench)
    return Reply((*sentences, *looks), (), facts, impressions=impressions)


def ct_facts(ct: CTVolume) -> tuple[Measurement, ...]:
    """Numbers of the grid as measurements of the subject 'CT'."""
    up = ct.grid.axis_of(2)
    slices, spacing = ct.grid.shape[up], ct.grid.spacing_mm
    plane = next(spacing[axis] for axis in range(3) if axis != up)
    return (
        measurement("CT", "extent", slices * spacing[up], unit="mm", method="slices x slice spacing"),
        measurement("CT", "slices", slices, unit="slices", method="count"),
        measurement("CT", "slice_spacing", spacing[up], unit="mm", method="distance of slice centres"),
        measurement("CT", "pixel_spacing", plane, unit="mm", method="distance of pixel centres"),
    )
