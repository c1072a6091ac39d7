"""The slices of one series to HU on a grid; regularity is judged by highdicom, never assumed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vision.errors import InputRefused
from vision.geometry import CTVolume, Grid, Notice
from vision.io.choices import ASK, Choices
from vision.io.dicom_series import FEWEST_SLICES, Series
from vision.io.dicom_slice import Slice, read_dataset
from vision.io.header import check_size, make_grid, require_body
from vision.io.hu import to_hu
from vision.io.judge import judged
from vision.io.refusal import EXPORT_AGAIN, Limits, refusing

if TYPE_CHECKING:
    from pydicom import Dataset

SPACING_TOLERANCE = 0.01
TILT_TOLERANCE = 1e-3


def read_series_ct(series: Series, limits: Limits, *, choices: Choices = ASK) -> CTVolume:
    """Read one series as a CT: index axes are columns, rows, slices (growing along the slice normal).

    Raises InputRefused: E_TOO_FEW_SLICES, E_SIZE, E_SLICES_MISSING, E_SPACING, E_TILT, E_EXTENT, E_CODEC, E_TRUNCATED,
    E_CORRUPT, E_DTYPE and what `to_hu` and `check_hu` raise.
    """
    slices = series.slices
    if len(slices) < FEWEST_SLICES:
        raise InputRefused("E_TOO_FEW_SLICES", f"{len(slices)} slices are no volume.", "Give the whole series.")
    rows, columns = slices[0].shape
    if len(slices) > limits.slices or rows * columns * len(slices) > limits.voxels:
        raise InputRefused("E_SIZE", f"{columns} x {rows} x {len(slices)} voxels.", "Crop the CT to the abdomen.")
    grid = series_grid(slices)
    stored, slope, intercept = _stored(slices)
    hu, notices = to_hu(stored, slope, intercept)
    if any(one.slope is None or one.intercept is None for one in slices):
        notices.append(Notice("W_RESCALE_MISSING", "The file has no rescale; its stored values were taken as HU."))
    return judged(hu, grid, facts=_common_facts(slices), notices=(*series.notices, *notices))


def series_grid(slices: Sequence[Slice]) -> Grid:
    """The grid of slices sorted along their normal. Raises E_TILT, E_SLICES_MISSING, E_SPACING, E_EXTENT."""
    from highdicom.spatial import get_volume_positions

    first, last = slices[0], slices[-1]
    positions = np.array([one.position for one in slices])
    _require_no_tilt(positions, first.normal)
    with refusing("E_SPACING", "The slice positions cannot be read"):
        spacing, _ = get_volume_positions(positions.tolist(), first.orientation, rtol=SPACING_TOLERANCE)
    if spacing is None:
        raise _irregular(slices)
    step = (last.distance - first.distance) / (len(slices) - 1)
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(first.orientation[:3], first.spacing[1])
    affine[:3, 1] = np.multiply(first.orientation[3:], first.spacing[0])
    affine[:3, 2] = first.normal * step
    affine[:3, 3] = first.position
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    grid = make_grid((first.shape[1], first.shape[0], len(slices)), to_ras @ affine)
    check_size(grid)
    require_body(grid)
    return grid


def _require_no_tilt(positions: np.ndarray, normal: np.ndarray) -> None:
    """Slices of a tilted gantry are parallel but slide along their planes."""
    travel = positions[-1] - positions[0]
    length = float(np.linalg.norm(travel))
    if length > 0 and abs(float(travel @ normal)) < (1 - TILT_TOLERANCE) * length:
        angle = float(np.degrees(np.arccos(min(1.0, abs(float(travel @ normal)) / length))))
        raise InputRefused(
            "E_TILT",
            f"The gantry was tilted by {angle:.1f} degrees; the slices form no orthogonal volume.",
            "Resample the series to an upright grid first.",
        )


def _irregular(slices: Sequence[Slice]) -> InputRefused:
    places = np.array([one.distance for one in slices])
    gaps = np.diff(places)
    usual = float(np.median(gaps))
    counts = gaps / usual
    if np.abs(counts - np.rint(counts)).max() < 0.05 and counts.min() > 0.5:
        missing = [
            place + usual * n for place, many in zip(places, counts, strict=False) for n in range(1, round(many))
        ]
        shown = ", ".join(f"{place:.1f}" for place in missing[:8]) + (", ..." if len(missing) > 8 else "")
        return InputRefused(
            "E_SLICES_MISSING", f"{len(missing)} slices are missing, at {shown} mm along the stack.", EXPORT_AGAIN
        )
    return InputRefused(
        "E_SPACING",
        f"The distance between slices varies from {gaps.min():.2f} to {gaps.max():.2f} mm.",
        "Export a reconstruction with one spacing.",
    )


def _stored(slices: Sequence[Slice]) -> tuple[np.ndarray, float, float]:
    """Stored voxels (columns, rows, slices) with the scaling that is left: slices that differ are scaled one by one."""
    scalings = {(one.slope, one.intercept) for one in slices}
    first = slices[0]
    shape = (first.shape[1], first.shape[0], len(slices))
    if len(scalings) == 1:
        slope, intercept = _scaling(first)
        stored = np.empty(shape, dtype=np.int32, order="F")
        narrow = None
        for index, pixels in _planes(slices):
            if narrow is None and pixels.dtype.itemsize <= 2:
                narrow = pixels.dtype
                stored = np.empty(shape, dtype=narrow, order="F")
            stored[:, :, index] = pixels.T
        return stored, slope, intercept
    scaled = np.empty(shape, dtype=np.float32, order="F")
    for index, pixels in _planes(slices):
        slope, intercept = _scaling(slices[index])
        scaled[:, :, index] = pixels.T * slope + intercept
    return scaled, 1.0, 0.0


def _scaling(one: Slice) -> tuple[float, float]:
    return 1.0 if one.slope is None else one.slope, 0.0 if one.intercept is None else one.intercept


def _planes(slices: Sequence[Slice]) -> Iterator[tuple[int, np.ndarray]]:
    """Each slice's place in the stack and its stored values (rows, columns); a file is decoded once."""
    by_file: dict[int, list[int]] = {}
    for index, one in enumerate(slices):
        by_file.setdefault(one.entry.number, []).append(index)
    for indices in by_file.values():
        first = slices[indices[0]]
        pixels = _decoded(first)
        for index in indices:
            one = slices[index]
            plane = pixels[one.frame] if pixels.ndim == 3 else pixels
            if plane.shape != one.shape:
                raise InputRefused("E_CORRUPT", f"DICOM file {one.entry.number} has other pixels.", EXPORT_AGAIN)
            yield index, plane


def _decoded(one: Slice) -> np.ndarray:
    """The stored values of one file. Raises E_TRUNCATED, E_CODEC, E_DTYPE, E_CORRUPT."""
    number = one.entry.number
    dataset = read_dataset(one.entry, pixels=True)
    if "PixelData" not in dataset:
        raise InputRefused("E_TRUNCATED", f"DICOM file {number} ends before its pixels.", EXPORT_AGAIN)
    if dataset.get("SamplesPerPixel", 1) != 1:
        raise InputRefused("E_DTYPE", f"DICOM file {number} holds colours.", "Export the original CT slices.")
    _require_codec(dataset, number)
    compressed = (
        dataset.file_meta.TransferSyntaxUID.is_compressed if "TransferSyntaxUID" in dataset.file_meta else False
    )
    code = "E_CORRUPT" if compressed else "E_TRUNCATED"
    with refusing(code, f"The pixels of DICOM file {number} are damaged or incomplete"):
        return _without_high_bits(dataset.pixel_array, dataset)


def _require_codec(dataset: Dataset, number: int) -> None:
    from pydicom.pixels import get_decoder

    with refusing("E_CODEC", f"DICOM file {number} has an unknown transfer syntax", "Export it uncompressed."):
        syntax = dataset.file_meta.get("TransferSyntaxUID")
        available = syntax is None or get_decoder(syntax).is_available
    if not available:
        raise InputRefused(
            "E_CODEC",
            f"No decoder is installed for the compression of DICOM file {number}.",
            "Run: pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg pyjpegls",
        )


def _without_high_bits(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Clear the bits above BitsStored, where old scanners keep overlays; signed values keep their sign."""
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    spare = allocated - stored
    if spare <= 0 or pixels.dtype.kind not in "iu" or pixels.dtype.itemsize * 8 != allocated:
        return pixels
    return (pixels << spare) >> spare


def _common_facts(slices: Sequence[Slice]) -> dict[str, str | float | int]:
    """Facts on which all slices agree."""
    facts: dict[str, str | float | int] = {"source": "dicom"}
    for name, value in slices[0].facts.items():
        if all(one.facts.get(name) == value for one in slices):
            facts[name] = value
    return facts
