"""The slices of one series to HU on a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vision.errors import InputRefused
from vision.geometry import CTVolume, Notice
from vision.io.choices import ASK, Choices
from vision.io.dicom.layout import layout_of
from vision.io.dicom.passes import FEWEST_SLICES
from vision.io.dicom.pixels import stored_planes
from vision.io.dicom.series import Series
from vision.io.dicom.slice import Slice
from vision.io.hu import HIGHEST, LOWEST, to_hu, without_offset
from vision.io.judge import judged
from vision.io.refusal import Limits

APART = 1.5
"""Step from slice to slice, in thicknesses, beyond which much is unseen; every second slice may be gone."""


def read_series_ct(series: Series, limits: Limits, *, choices: Choices = ASK) -> CTVolume:
    """Read one series as a CT: index axes are columns, rows, slices (growing along the slice normal).

    Raises InputRefused: the problem of the series, E_TOO_FEW_SLICES, E_SIZE, E_SLICES_MISSING, E_SPACING, E_TILT,
    E_EXTENT, E_TAG, E_CODEC, E_TRUNCATED, E_CORRUPT, and what `to_hu` and `check_hu` raise.
    """
    if series.problem is not None:
        raise series.problem
    slices = series.slices
    if len(slices) < FEWEST_SLICES:
        raise InputRefused("E_TOO_FEW_SLICES", f"{len(slices)} slices are no volume.", "Give the whole series.")
    rows, columns = slices[0].shape
    if len(slices) > limits.slices or rows * columns * len(slices) > limits.voxels:
        raise InputRefused("E_SIZE", f"{columns} x {rows} x {len(slices)} voxels.", "Crop the CT to the abdomen.")
    layout = layout_of(slices, choices, limits)
    notices = [*series.notices, *layout.notices, *_slice_notices(slices)]
    hu, found = to_hu(_scaled(slices), 1.0, 0.0)
    if choices.fix_offset:
        hu, fixed = without_offset(hu)
        found += fixed
    facts = _common_facts(slices)
    notices += [*found, *_apart(layout.grid.spacing_mm[2], facts)]
    return judged(layout.arrange(hu), layout.grid, facts=facts, notices=tuple(notices))


def _apart(step_mm: float, facts: Mapping[str, str | float | int]) -> list[Notice]:
    """A warning where slices of known thickness leave much between them."""
    thickness = float(facts.get("slice_thickness_mm", step_mm))
    if step_mm <= APART * thickness:
        return []
    text = f"Slices of {thickness:.3g} mm lie {step_mm:.3g} mm apart: the tissue between them was not seen."
    return [Notice("W_SLICES_APART", text)]


def _slice_notices(slices: Sequence[Slice]) -> list[Notice]:
    """What a person must know of how the slices were stored. Raises E_TAG where only some give a rescale."""
    without = [one for one in slices if one.slope is None or one.intercept is None]
    notices = []
    if 0 < len(without) < len(slices):
        raise InputRefused(
            "E_TAG",
            f"RescaleSlope or RescaleIntercept of DICOM file {without[0].number} is missing, others have it.",
            "Export the series again.",
        )
    if without:
        notices.append(Notice("W_RESCALE_MISSING", "The file has no rescale; its stored values were taken as HU."))
    if any(one.is_lossy for one in slices):
        text = (
            "The slices were or may have been compressed with loss: HU are less certain, those of small lesions most."
        )
        notices.append(Notice("W_LOSSY", text))
    if any(one.is_computed or one.kind == "CT derived" for one in slices):
        text = "The slices were calculated from others, not measured: their HU and sizes may be other than true."
        notices.append(Notice("W_DERIVED", text))
    return notices


def _scaled(slices: Sequence[Slice]) -> np.ndarray:
    """(columns, rows, slices) in HU: int16 where every slope and intercept is a whole number, float32 otherwise."""
    scalings = [(one.slope if one.slope is not None else 1.0, one.intercept or 0.0) for one in slices]
    is_whole = all(slope == int(slope) and intercept == int(intercept) for slope, intercept in scalings)
    rows, columns = slices[0].shape
    hu = np.empty((columns, rows, len(slices)), dtype=np.int16 if is_whole else np.float32, order="F")
    planes = hu.T
    for index, stored in stored_planes(slices):
        slope, intercept = scalings[index]
        if not is_whole:
            # A value beyond float32 becomes infinite, which `to_hu` refuses.
            with np.errstate(over="ignore"):
                planes[index] = stored.astype(np.float64) * slope + intercept
            continue
        pixels = slices[index].pixels
        assert pixels is not None
        _write_whole(stored, int(slope), int(intercept), pixels.range, planes[index])
    return hu


def _write_whole(stored: np.ndarray, slope: int, intercept: int, possible: tuple[int, int], hu: np.ndarray) -> None:
    """Write slope * stored + intercept into int16 `hu`. Raises E_HU for a value beyond."""
    if not _fits(possible, slope, intercept):
        held = (int(stored.min()), int(stored.max()))
        if not _fits(held, slope, intercept):
            low, high = (slope * value + intercept for value in held)
            raise InputRefused(
                "E_HU",
                f"The values run from {low} to {high}, which no CT in Hounsfield units does.",
                "Check the scaling (slope and intercept) and whether signed values were stored as unsigned.",
            )
    if slope == 1 and stored.dtype.itemsize == 2:
        # The sum fits, so it is right modulo 2**16 whatever the sign of what was stored.
        np.add(stored, np.array(intercept).astype(stored.dtype), out=hu.view(stored.dtype.newbyteorder("=")))
    else:
        hu[...] = stored.astype(np.int64) * slope + intercept


def _fits(values: tuple[int, int], slope: int, intercept: int) -> bool:
    return slope * values[0] + intercept >= LOWEST and slope * values[1] + intercept <= HIGHEST


def _common_facts(slices: Sequence[Slice]) -> dict[str, str | float | int]:
    """Facts on which all slices agree."""
    facts: dict[str, str | float | int] = {"source": "dicom"}
    for name, value in slices[0].facts.items():
        if all(one.facts.get(name) == value for one in slices):
            facts[name] = value
    return facts
