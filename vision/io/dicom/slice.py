"""One DICOM file to the slices it holds: geometry and scaling as numbers, nothing of its text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING

from vision.errors import InputRefused
from vision.io.dicom.facts import facts_of
from vision.io.dicom.file import CT_CLASSES, DicomFile, class_of, is_ct
from vision.io.dicom.pixels import LOSSY, Pixels, pixels_of
from vision.io.dicom.tags import items, numbers, whole, word, words
from vision.io.refusal import EXPORT_AGAIN, refusing

if TYPE_CHECKING:
    from pydicom import Dataset

HU_TYPES = ("", "HU", "US", "HU_MOD", "HOUNSFIELD", "HOUNSFIELD UNITS", "UNSPECIFIED")
"""Rescale Type (0028,1054): Hounsfield units or unspecified; others are iodine maps, electron densities and so on."""
LARGEST_SIDE = 4096
NO_PLANE = frozenset({"SCREEN SAVE", "DOSE_INFO", "SCREEN", "DOSE", "REPORT", "SECONDARY CAPTURE"})
_DERIVED = "AVERAGE CPR CURVED MIN_IP MINIP MIP MPR REFORMATTED RENDERED SSD SUBTRACTION VR VRT 3D"
DERIVED = frozenset((*_DERIVED.split(), "MIN IP", "PROJECTION IMAGE", "VOLUME RENDERED"))
"""Image Type (0008,0008), third value and on: calculated from other slices."""
_KINDS = (
    "AR BI CR DG DOC DX ECG ES IO IVOCT IVUS KO LS MG MR NM OCT OP OT PR PT PX REG RF RG RTDOSE RTIMAGE RTPLAN "
    "RTRECORD RTSTRUCT SC SEG SM SR SRF STAIN US VA XA XC"
)
KINDS = frozenset(_KINDS.split())
"""Modalities of PS3.3 C.7.3.1.1.1; another word is a file's own text and is not repeated."""
PASSES = ("AcquisitionNumber", "TemporalPositionIdentifier", "AcquisitionTime", "ContentTime")
FRAME_PASSES = ("FrameAcquisitionNumber", "TemporalPositionIndex")
"""What may tell two passes over the same positions apart, the surest first; the latter only frames have, in binary."""
PERPENDICULAR = 2e-3
"""What directions written with three decimals may lack of perpendicular unit vectors."""
UID = re.compile(r"[0-9]+(\.[0-9]+)+")


@dataclass(frozen=True, eq=False)
class Slice:
    """One plane: where it lies (DICOM's LPS mm), how its numbers become HU, and what tells series apart.

    `number` is that of its file. `kind` is "CT", "CT derived", "CT scout" or what else the file is; only the first two
    have geometry and pixels. `spacing` is (between rows, between columns) mm, `shape` (rows, columns). `passes` holds
    what may separate two passes over the same positions. slope and intercept are None when the file gives none.
    `problem` is the refusal that a plane which cannot be used deserves, once its series is chosen.
    """

    number: int
    kind: str
    series: str
    frame: int = 0
    passes: tuple[str, ...] = ()
    shape: tuple[int, int] = (0, 0)
    position: tuple[float, ...] = ()
    orientation: tuple[float, ...] = ()
    spacing: tuple[float, ...] = ()
    slope: float | None = None
    intercept: float | None = None
    is_computed: bool = False
    is_lossy: bool = False
    facts: Mapping[str, str | float | int] = field(default_factory=dict)
    pixels: Pixels | None = None
    problem: InputRefused | None = None

    @property
    def is_plane(self) -> bool:
        """Whether it may be part of a volume."""
        return self.kind in ("CT", "CT derived")

    @property
    def normal(self) -> tuple[float, float, float]:
        """Unit vector across the plane (LPS)."""
        return _normal(self.orientation)


def read_slices(file: DicomFile) -> list[Slice]:
    """The slices of one DICOM file: one, or one for each frame of an enhanced CT; one to list of what is no CT plane.

    A CT plane that lacks or garbles what it needs carries the refusal as its `problem`; it is raised at once where the
    header is cut or names no series. Raises E_CORRUPT for a file that does not say what it is.
    """
    number, header = file.entry.number, file.header
    modality, series = word([header], "Modality").upper(), word([header], "SeriesInstanceUID")
    object_class = class_of(header)
    says_what = UID.fullmatch(object_class) if object_class else modality
    if not says_what:
        if file.has_mark:
            raise InputRefused("E_CORRUPT", f"DICOM file {number} does not say what it is.", EXPORT_AGAIN)
        return []
    if not is_ct(header):
        return [Slice(number, modality if modality in KINDS else "other", series)]
    image_type = words([header], "ImageType")
    if "LOCALIZER" in image_type:
        return [Slice(number, "CT scout", series)]
    is_foreign = object_class not in (*CT_CLASSES, "")
    if not NO_PLANE.isdisjoint(image_type) or (is_foreign and "ImagePositionPatient" not in header):
        return [Slice(number, "screen capture", series)]
    kind = "CT derived" if is_foreign or _is_derived(image_type) else "CT"
    try:
        with refusing("E_TAG", f"The tags of DICOM file {number} cannot be read"):
            return _planes(file, kind, series, is_computed=image_type[:1] == ("DERIVED",))
    except InputRefused as problem:
        if kind == "CT derived":
            return [Slice(number, "screen capture", series)]
        # A header that is cut before the image's size may be cut within the name of its series.
        if not series or (file.pixels is None and "Rows" not in header):
            raise
        return [Slice(number, kind, series, problem=problem)]


def _is_derived(image_type: tuple[str, ...]) -> bool:
    return image_type[:2] == ("DERIVED", "SECONDARY") or not DERIVED.isdisjoint(image_type[2:])


def _planes(file: DicomFile, kind: str, series: str, *, is_computed: bool) -> list[Slice]:
    """The planes of a CT. Raises E_TAG, E_TRUNCATED, E_HU and what `pixels_of` raises."""
    header, number = file.header, file.entry.number
    if word([header], "Modality").upper() not in ("", "CT"):
        raise _tag(number, "Modality", "another than its class says")
    if file.pixels is None:
        raise InputRefused("E_TRUNCATED", f"DICOM file {number} ends before its pixels.", EXPORT_AGAIN)
    shape = (whole([header], "Rows") or 0, whole([header], "Columns") or 0)
    if not all(3 <= side <= LARGEST_SIDE for side in shape):
        raise _tag(number, "Rows or Columns", f"{shape[0]} x {shape[1]}")
    frames = items(header, "PerFrameFunctionalGroupsSequence")
    counted = whole([header], "NumberOfFrames") or 1
    if counted != max(1, len(frames)):
        raise _tag(number, "NumberOfFrames", f"{counted}, but positions are given for {max(1, len(frames))}")
    pixels = pixels_of(file, shape, counted)
    shared = items(header, "SharedFunctionalGroupsSequence")
    places = [[*_flattened([frame, *shared]), header] for frame in frames] or [[header]]
    is_lossy = pixels.syntax in LOSSY or word([header], "LossyImageCompression") == "01"
    return [
        Slice(
            number=number,
            kind=kind,
            series=series,
            frame=frame,
            passes=_passes(place, is_frame=bool(frames)),
            shape=shape,
            position=_geometry(number, place, "ImagePositionPatient", 3),
            orientation=_orientation(number, place),
            spacing=_spacing(number, place),
            slope=_slope(number, place),
            intercept=_scaling(number, place, "RescaleIntercept"),
            is_computed=is_computed,
            is_lossy=is_lossy,
            facts=_hounsfield(number, place),
            pixels=pixels,
        )
        for frame, place in enumerate(places)
    ]


def _passes(places: Sequence[Dataset], *, is_frame: bool) -> tuple[str, ...]:
    of_frame = (str(whole(places, keyword)) for keyword in FRAME_PASSES) if is_frame else ()
    return (*(word(places, keyword) for keyword in PASSES), *of_frame)


def _flattened(groups: list[Dataset]) -> list[Dataset]:
    """The functional groups of a frame, each a one-item sequence (PlanePositionSequence, ...), as datasets."""
    return [inner for group in groups for element in group if element.VR == "SQ" for inner in element.value]


def _hounsfield(number: int, places: Sequence[Dataset]) -> dict[str, str | float | int]:
    """The facts of a plane that is in Hounsfield units: E_HU."""
    if word(places, "RescaleType").upper() not in HU_TYPES:
        raise InputRefused("E_HU", f"DICOM file {number} is not in Hounsfield units.", "Give the original CT.")
    return facts_of(places)


def _geometry(number: int, places: Sequence[Dataset], keyword: str, count: int) -> tuple[float, ...]:
    values = numbers(places, keyword)
    if len(values) != count:
        raise _tag(number, keyword, f"missing or not {count} numbers")
    return values


def _orientation(number: int, places: Sequence[Dataset]) -> tuple[float, ...]:
    values = _geometry(number, places, "ImageOrientationPatient", 6)
    if _skew(values) > PERPENDICULAR:
        raise _tag(number, "ImageOrientationPatient", "not two perpendicular unit vectors")
    return _made_exact(values)


def _spacing(number: int, places: Sequence[Dataset]) -> tuple[float, ...]:
    values = _geometry(number, places, "PixelSpacing", 2)
    if min(values) <= 0:
        raise _tag(number, "PixelSpacing", "not above 0 mm")
    return values


def _slope(number: int, places: Sequence[Dataset]) -> float | None:
    slope = _scaling(number, places, "RescaleSlope")
    if slope is not None and slope <= 0:
        raise _tag(number, "RescaleSlope", "not above 0")
    return slope


def _scaling(number: int, places: Sequence[Dataset], keyword: str) -> float | None:
    values = numbers(places, keyword)
    if len(values) != 1 and word(places, keyword):
        raise _tag(number, keyword, "not a number")
    return values[0] if values else None


@lru_cache(maxsize=4096)
def _normal(orientation: tuple[float, ...]) -> tuple[float, float, float]:
    a, b, c, d, e, f = orientation
    return b * f - c * e, c * d - a * f, a * e - b * d


@lru_cache(maxsize=4096)
def _skew(orientation: tuple[float, ...]) -> float:
    """How far two directions are from perpendicular unit vectors."""
    row, column = orientation[:3], orientation[3:]
    pairs = ((row, row, 1.0), (column, column, 1.0), (row, column, 0.0))
    return max(abs(sum(a * b for a, b in zip(one, other, strict=True)) - wanted) for one, other, wanted in pairs)


@lru_cache(maxsize=4096)
def _made_exact(orientation: tuple[float, ...]) -> tuple[float, ...]:
    """Two directions as perpendicular unit vectors; the first keeps its direction."""
    row = _unit(orientation[:3])
    lean = sum(a * b for a, b in zip(row, orientation[3:], strict=True))
    return (*row, *_unit(tuple(b - lean * a for a, b in zip(row, orientation[3:], strict=True))))


def _unit(vector: tuple[float, ...]) -> tuple[float, ...]:
    length = sqrt(sum(part * part for part in vector))
    return tuple(part / length for part in vector)


def _tag(number: int, keyword: str, state: str) -> InputRefused:
    return InputRefused("E_TAG", f"{keyword} of DICOM file {number} is {state}.", EXPORT_AGAIN)
