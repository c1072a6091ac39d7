"""One DICOM file to the slices it holds: geometry and scaling as numbers, nothing of its text."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vision.errors import InputRefused
from vision.io.dicom_facts import facts_of
from vision.io.entries import Entry
from vision.io.refusal import EXPORT_AGAIN, refusing

if TYPE_CHECKING:
    from pydicom import Dataset

CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
DEFLATED = b"1.2.840.10008.1.2.1.99"
HU_TYPES = ("", "HU", "US", "HU_MOD")
"""Rescale Type (0028,1054): Hounsfield units or unspecified; others are iodine maps, electron densities and so on."""
LARGEST_SIDE = 4096
NO_PLANE = ("SCREEN SAVE", "DOSE_INFO", "SCREEN", "DOSE", "REPORT", "SECONDARY CAPTURE")


@dataclass(frozen=True, eq=False)
class Slice:
    """One plane: where it lies (DICOM's LPS mm), how its numbers become HU, and what tells series apart.

    `spacing` is (between rows, between columns) mm, `shape` (rows, columns). `acquisition` holds what may separate
    two passes over the same positions. slope and intercept are None when the file gives none.
    """

    entry: Entry
    frame: int
    series: str
    instance: str
    modality: str
    image_type: tuple[str, ...]
    acquisition: tuple[str, ...]
    shape: tuple[int, int]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    slope: float | None
    intercept: float | None
    facts: Mapping[str, str | float | int]

    @property
    def is_scout(self) -> bool:
        """Whether it is a localizer, which crosses the body instead of lying in the stack."""
        return "LOCALIZER" in self.image_type

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the plane (LPS)."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    @property
    def distance(self) -> float:
        """Position along the normal in mm."""
        return float(np.dot(self.normal, self.position))


@contextmanager
def pydicom_silenced() -> Iterator[None]:
    """Keep pydicom from warning or logging meanwhile: it quotes values of the file, and one may be a name."""
    import pydicom

    log = logging.getLogger("pydicom")
    level = log.level
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        log.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            log.setLevel(level)


def read_dataset(entry: Entry, *, pixels: bool) -> Dataset:
    """Parse one DICOM file, with or without its pixels. Raises E_CORRUPT, E_CODEC."""
    import pydicom

    if DEFLATED in entry.start(1024):
        raise InputRefused("E_CODEC", f"DICOM file {entry.number} is deflated.", "Export it uncompressed.")
    with refusing("E_CORRUPT", f"DICOM file {entry.number} cannot be parsed"), entry.open() as file:
        return pydicom.dcmread(file, stop_before_pixels=not pixels, force=True)


def read_slices(entry: Entry) -> list[Slice]:
    """The slices of one DICOM file: one, or as many as an enhanced CT has frames; none when it holds no image.

    Raises InputRefused: E_CORRUPT, E_CODEC, and E_TAG when a CT image lacks or garbles its geometry.
    """
    dataset = read_dataset(entry, pixels=False)
    with refusing("E_TAG", f"The tags of DICOM file {entry.number} cannot be read"):
        modality = _modality(dataset)
        image_type = tuple(str(word).upper() for word in _many(dataset, "ImageType"))
        if "Rows" not in dataset or (modality != "CT") or any(word in NO_PLANE for word in image_type):
            return [_foreign(entry, dataset, modality, image_type)]
        frames = dataset.get("PerFrameFunctionalGroupsSequence")
        if frames is None:
            return [_slice(entry, 0, dataset, [dataset], image_type)]
        shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
        return [
            _slice(entry, number, dataset, _flattened([frame, *shared]), image_type)
            for number, frame in enumerate(frames)
        ]


def _modality(dataset: Dataset) -> str:
    modality = str(dataset.get("Modality") or "").strip().upper()
    if str(dataset.get("SOPClassUID") or "") in CT_CLASSES and modality in ("", "CT"):
        return "CT"
    return modality if modality.isalnum() and len(modality) <= 16 else "unknown"


def _foreign(entry: Entry, dataset: Dataset, modality: str, image_type: tuple[str, ...]) -> Slice:
    """What is not a CT plane: listed, never read."""
    kind = "screen capture" if modality == "CT" and "Rows" in dataset else modality
    nothing: tuple[float, ...] = ()
    series = str(dataset.get("SeriesInstanceUID") or "")
    return Slice(entry, 0, series, "", kind, image_type, (), (0, 0), nothing, nothing, nothing, None, None, {})


def _slice(entry: Entry, frame: int, dataset: Dataset, groups: list[Dataset], image_type: tuple[str, ...]) -> Slice:
    shape = (int(_numbers(dataset, [dataset], "Rows", 1)[0]), int(_numbers(dataset, [dataset], "Columns", 1)[0]))
    if not all(3 <= side <= LARGEST_SIDE for side in shape):
        raise _tag(entry, "Rows or Columns", f"{shape[0]} x {shape[1]}")
    unit = next((str(group.get("RescaleType") or "") for group in groups if "RescaleType" in group), "")
    if unit.strip().upper() not in HU_TYPES:
        raise InputRefused("E_HU", f"DICOM file {entry.number} is not in Hounsfield units.", "Give the original CT.")
    # A scout needs no geometry: it is dropped.
    scout = "LOCALIZER" in image_type
    return Slice(
        entry=entry,
        frame=frame,
        series=str(dataset.get("SeriesInstanceUID") or ""),
        instance=f"{dataset.get('SOPInstanceUID') or ''}/{frame}" if dataset.get("SOPInstanceUID") else "",
        modality="CT",
        image_type=image_type,
        acquisition=tuple(
            str(dataset.get(keyword) or "")
            for keyword in ("AcquisitionNumber", "TemporalPositionIdentifier", "AcquisitionTime", "ContentTime")
        ),
        shape=shape,
        position=() if scout else _geometry(entry, groups, "ImagePositionPatient", 3),
        orientation=() if scout else _orientation(entry, groups),
        spacing=() if scout else _spacing(entry, groups),
        slope=_scaling(entry, groups, "RescaleSlope"),
        intercept=_scaling(entry, groups, "RescaleIntercept"),
        facts=facts_of(dataset, groups),
    )


def _flattened(items: list[Dataset]) -> list[Dataset]:
    """The functional groups of a frame, each a one-item sequence (PlanePositionSequence, ...), as datasets."""
    return [inner for item in items for element in item if element.VR == "SQ" for inner in element.value]


def _many(dataset: Dataset, keyword: str) -> list[object]:
    value = dataset.get(keyword)
    if value is None:
        return []
    return [value] if isinstance(value, str | int | float) else list(value)


def _numbers(dataset: Dataset, groups: list[Dataset], keyword: str, count: int) -> tuple[float, ...]:
    """`count` finite numbers of a tag, () when it is absent or anything else."""
    for group in (*groups, dataset):
        if keyword in group:
            try:
                values = tuple(float(value) for value in _many(group, keyword))  # type: ignore[arg-type]
            except (ValueError, TypeError):
                return ()
            return values if len(values) == count and np.isfinite(values).all() else ()
    return ()


def _geometry(entry: Entry, groups: list[Dataset], keyword: str, count: int) -> tuple[float, ...]:
    values = _numbers(groups[0], groups, keyword, count)
    if not values:
        raise _tag(entry, keyword, "missing or not numbers")
    return values


def _orientation(entry: Entry, groups: list[Dataset]) -> tuple[float, ...]:
    values = _geometry(entry, groups, "ImageOrientationPatient", 6)
    axes = np.reshape(values, (2, 3))
    if np.abs(axes @ axes.T - np.eye(2)).max() > 1e-3:
        raise _tag(entry, "ImageOrientationPatient", "not two perpendicular unit vectors")
    return values


def _spacing(entry: Entry, groups: list[Dataset]) -> tuple[float, ...]:
    values = _geometry(entry, groups, "PixelSpacing", 2)
    if min(values) <= 0:
        raise _tag(entry, "PixelSpacing", "not above 0 mm")
    return values


def _scaling(entry: Entry, groups: list[Dataset], keyword: str) -> float | None:
    values = _numbers(groups[0], groups, keyword, 1)
    if not values and any(group.get(keyword) not in (None, "") for group in groups):
        raise _tag(entry, keyword, "not a number")
    return values[0] if values else None


def _tag(entry: Entry, keyword: str, state: str) -> InputRefused:
    return InputRefused("E_TAG", f"{keyword} of DICOM file {entry.number} is {state}.", EXPORT_AGAIN)
