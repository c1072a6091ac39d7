"""The last step of the gate: judge the HU and the body they show, gather the warnings, make the CTVolume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from vision.geometry import CTVolume, Grid, Notice
from vision.io.body import REGIONS, Body, look_at_body
from vision.io.hu import HUHistogram, check_hu
from vision.measure.checks import NON_CONTRAST

COVERAGE_MM = 120.0
THICK_MM = 5.0
FAR_MM = 3000.0
ABDOMEN_MM = 15.0
"""Less of it than three usual slices is the edge of another region."""
SMALL_BODY_CM2 = 250.0
"""An adult's abdomen has a section of 400 cm2 and more."""
NOISY_HU = 40.0
"""Portal-venous abdomens of usual dose have 7 to 27 HU by this measure."""
FRONT = 0.06
"""The column of spine and aorta lies behind the middle of the body; a file turned over shows it before."""
BONELESS = 1e-3


def judged(
    hu: np.ndarray, grid: Grid, *, facts: Mapping[str, str | float | int], notices: tuple[Notice, ...]
) -> CTVolume:
    """Make a CTVolume of (I, J, K) HU, with every warning. Raises what `check_hu` raises.

    The facts gain `abdomen_mm`, `chest_mm`, `head_mm` and `legs_mm`, each where that region is covered.
    """
    found = [*notices, *check_hu(hu, HUHistogram.of(hu))]
    body = look_at_body(hu, grid)
    covered = {f"{name}_mm": round(body.covered_mm(name), 1) for name in REGIONS if name in body.regions}
    step = grid.spacing_mm[grid.axis_of(2)]
    thickness = max(step, float(facts.get("slice_thickness_mm", 0.0)))
    if thickness > THICK_MM + 1e-3:
        text = f"Slices are {thickness:g} mm thick: sizes along the body and small lesions are less certain."
        found.append(Notice("W_THICK_SLICES", text))
    far = float(np.abs(grid.to_mm((np.array(grid.shape) - 1) / 2)).max())
    if far > FAR_MM:
        found.append(Notice("W_ORIGIN_FAR", f"The CT lies {far / 1000:.3g} m from the origin of its coordinates."))
    if sum(covered.values()) < COVERAGE_MM:
        text = f"Only {sum(covered.values()):.0f} mm of the body are covered: organs may be cut off or out of view."
        found.append(Notice("W_PARTIAL_COVERAGE", text))
    if "phase" not in facts:
        found.append(Notice("W_CONTRAST_UNKNOWN", "The file does not say in which contrast phase it was taken."))
    elif facts["phase"] == "non_contrast":
        found.append(NON_CONTRAST)
    return CTVolume(hu, grid, {**facts, **covered}, (*found, *body_notices(body)))


def body_notices(body: Body) -> Iterator[Notice]:
    """What is unusual about the body that a CT shows."""
    seen = [name for name in REGIONS if name in body.regions]
    if not seen:
        yield Notice("W_REGION", "No body was recognised in the scan: nothing can be said to be absent.")
        return
    if body.covered_mm("abdomen") < ABDOMEN_MM:
        text = f"The scan shows {' and '.join(seen)} but hardly any abdomen: its organs are out of view, not absent."
        yield Notice("W_REGION", text)
    elif body.area_cm2 < SMALL_BODY_CM2:
        text = f"The body has a section of only {body.area_cm2:.0f} cm2, as of a child, an animal or a phantom: "
        yield Notice("W_SMALL_BODY", text + "the model and the normal ranges are made for adults.")
    if body.noise_hu is not None and body.noise_hu > NOISY_HU:
        text = f"Noise of {body.noise_hu:.0f} HU, as of a low dose or a cone beam: outlines and HU are less certain."
        yield Notice("W_NOISY", text)
    if body.bone < BONELESS and body.covered_mm("abdomen") >= ABDOMEN_MM:
        yield Notice("W_NO_BONE", "Hardly any bone is seen: a phantom, or values that were changed?")
    if is_turned_over(body):
        text = "The body seems to lie upside down or back to front: the orientation in the header may be wrong."
        yield Notice("W_TURNED_OVER", text)


def is_turned_over(body: Body) -> bool:
    """Whether the spine lies in front, or the chest below the abdomen."""
    if body.spine is not None and body.spine > FRONT:
        return True
    both = all(body.covered_mm(name) >= ABDOMEN_MM for name in ("chest", "abdomen"))
    return both and body.height_of("chest") < body.height_of("abdomen")
