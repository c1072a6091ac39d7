"""Our own inventory of DICOM slices: which belong together, which are scouts or copies."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from vision.errors import InputRefused
from vision.geometry import Notice
from vision.io.dicom.file import read_file
from vision.io.dicom.passes import FEWEST_SLICES, at_places, by_height, passes_in, without_copies
from vision.io.dicom.slice import Slice, read_slices
from vision.io.files.entries import Entry
from vision.io.refusal import Limits

SAME_ORIENTATION = 1e-3
"""Largest difference of two direction cosines: 0.06 degrees."""
MOST_DIRECTIONS = 100
START_BYTES, PREAMBLE = 1024, 132
ANY_UID = b"1.2.840.10008."
"""With it begins every class and syntax of DICOM."""
KEPT_BYTES = 512 << 20
"""Of files that had to be inflated; beyond it they are inflated again for their pixels."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class SeriesInfo:
    """One series of an input as a row of a table; no text of the file is in it.

    `index` or `identifier` is what `--series` takes. `spacing_mm` and `axcodes` are None where nothing can be read.
    """

    index: int
    identifier: str
    modality: str
    slices: int
    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None
    thickness_mm: float | None
    axcodes: str | None
    dropped: int


@dataclass(frozen=True, eq=False)
class Series:
    """The slices of one stack in order along their normal, each position once, with the warnings that this needs.

    `count` and `dropped` are the slices found and those left out. `problem` is raised when the series is read.
    """

    identifier: str
    slices: tuple[Slice, ...]
    count: int
    dropped: int = 0
    notices: tuple[Notice, ...] = ()
    problem: InputRefused | None = None
    is_derived: bool = False

    @property
    def is_volume(self) -> bool:
        """Whether it may be a volume: bolus tracking takes many slices at one place."""
        return self.count >= FEWEST_SLICES and (not self.slices or len(at_places(self.slices)) >= FEWEST_SLICES)


def find_series(entries: Sequence[Entry], limits: Limits) -> tuple[list[Series], list[SeriesInfo]]:
    """Sort the DICOM files among `entries` into stacks of CT, original ones first; list these and what else is there.

    Raises InputRefused: E_NO_IMAGES, E_CORRUPT, E_TRUNCATED, E_SIZE.
    """
    slices, damaged = _all_slices(entries, limits)
    if not slices:
        raise InputRefused("E_NO_IMAGES", "There is no DICOM image in it.", "Give the folder that holds the slices.")
    found: list[Series] = []
    groups = _grouped((one for one in slices if one.is_plane), lambda one: (one.kind, one.series))
    of_series = _grouped(slices, lambda one: one.series)
    for (kind, name), members in sorted(groups.items(), key=lambda group: group[0][0]):
        found.extend(_stacks(members, [one for one in of_series[name] if one.kind not in ("CT", kind)]))
    if damaged:
        text = f"{damaged} files are empty or no DICOM any more: slices may be missing."
        found = [replace(one, notices=(*one.notices, Notice("W_DAMAGED_FILES", text))) for one in found]
    rows = [_row(index, series) for index, series in enumerate(found)]
    others = _grouped((one for one in slices if not one.is_plane), lambda one: one.kind)
    for kind, members in others.items():
        rows.append(SeriesInfo(len(rows), "-", kind, len(members), (0, 0), None, None, None, 0))
    return found, rows


def _all_slices(entries: Sequence[Entry], limits: Limits) -> tuple[list[Slice], int]:
    """What the files hold, and how many of them may have been DICOM once."""
    slices: list[Slice] = []
    kept, damaged = 0, 0
    for entry in entries:
        file = read_file(entry, limits, keep=kept < KEPT_BYTES)
        if file is None:
            damaged += was_dicom(entry.start(START_BYTES))
            continue
        if file.pixels is not None and file.pixels.content is not None:
            kept += len(file.pixels.content)
        slices.extend(read_slices(file))
    if len(slices) > limits.slices * 4:
        raise InputRefused("E_SIZE", f"{len(slices)} slices are more than one study.", "Give one series.")
    return slices, damaged


def was_dicom(start: bytes) -> bool:
    """Whether bytes that begin no DICOM file are what a broken-off copy or a damaged mark leaves of one."""
    return not start.strip(b"\0") or (b"\0" in start[:PREAMBLE] and ANY_UID in start)


def _stacks(members: list[Slice], others: list[Slice]) -> list[Series]:
    """One series to its stacks: by orientation, then by pass where positions repeat; `others` of it are no planes."""
    usable = [one for one in members if one.problem is None]
    problem = next((one.problem for one in members if one.problem is not None), None)
    broken = len(members) - len(usable)
    if not usable:
        return [Series(_identifier(members), (), broken, problem=problem, is_derived=_are_derived(members))]
    by_plane = _by_orientation(usable)
    volumes = [group for group in by_plane if len(group) >= FEWEST_SLICES]
    notices = []
    scouts = sum(one.kind == "CT scout" for one in others)
    if scouts:
        notices.append(Notice("W_SCOUT_DROPPED", f"{scouts} scout images of the series were left out."))
    across = len(usable) - sum(map(len, volumes)) if volumes else 0
    stray = across + len(others) - scouts
    if stray:
        text = f"{stray} images of the series that lie across the stack or are no CT slices were left out."
        notices.append(Notice("W_STRAY_SLICES", text))
    stacks = []
    for group in volumes or by_plane:
        unlike = problem or _unlike(group)
        if unlike is None:
            stacks.extend(_passes(group, scouts + stray, tuple(notices)))
        else:
            stacks.append(_series(group, scouts + stray, tuple(notices), count=len(group) + broken, problem=unlike))
    return stacks


def _by_orientation(slices: list[Slice]) -> list[list[Slice]]:
    """Parallel slices together. What points in yet another direction after the first hundred is in none."""
    groups: list[list[Slice]] = []
    for one in slices:
        parallel = next((group for group in groups if _are_parallel(one, group[0])), None)
        if parallel is not None:
            parallel.append(one)
        elif len(groups) < MOST_DIRECTIONS:
            groups.append([one])
    return groups


def _are_parallel(one: Slice, other: Slice) -> bool:
    return one.orientation == other.orientation or all(
        abs(a - b) <= SAME_ORIENTATION for a, b in zip(one.orientation, other.orientation, strict=True)
    )


def _unlike(group: list[Slice]) -> InputRefused | None:
    """The problem of a stack whose planes are not of one size."""
    kinds = {(one.shape, tuple(round(step, 4) for step in one.spacing)) for one in group}
    if len(kinds) == 1:
        return None
    return InputRefused(
        "E_TAG", "Slices of one series differ in Rows, Columns or PixelSpacing.", "Export that series alone."
    )


def _passes(group: list[Slice], dropped: int, notices: tuple[Notice, ...]) -> list[Series]:
    """Drop identical copies; split what holds several passes over the same positions."""
    unique, copies = without_copies(group)
    dropped += copies
    if copies:
        notices = (*notices, Notice("W_DUPLICATES_DROPPED", f"{copies} identical copies of slices were dropped."))
    if parts := passes_in(unique):
        return [_series(part, dropped, notices) for part in parts]
    places = len(at_places(unique))
    if places < FEWEST_SLICES:
        problem = InputRefused("E_TOO_FEW_SLICES", f"Too few different places: {places}.", "Give the whole series.")
        return [_series(unique, dropped, notices, problem=problem)]
    problem = InputRefused(
        "E_SERIES_AMBIGUOUS",
        "Several different slices lie at the same position, and no tag tells the passes apart.",
        "Export each phase as a series of its own.",
    )
    return [_series(unique, dropped, notices, problem=problem)]


def _series(
    slices: list[Slice],
    dropped: int,
    notices: tuple[Notice, ...],
    *,
    count: int | None = None,
    problem: InputRefused | None = None,
) -> Series:
    ordered = [one for _, one in by_height(slices)]
    counted = len(ordered) if count is None else count
    return Series(_identifier(ordered), tuple(ordered), counted, dropped, notices, problem, _are_derived(slices))


def _identifier(slices: Sequence[Slice]) -> str:
    """Eight characters that are the same whenever this stack is looked at, in whatever order its files come."""
    first = slices[0]
    key = f"{first.series}|{first.kind}|{first.passes}|{[round(cosine, 2) for cosine in first.orientation]}"
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _are_derived(slices: Sequence[Slice]) -> bool:
    return slices[0].kind == "CT derived"


def _row(index: int, series: Series) -> SeriesInfo:
    kind = "CT derived" if series.is_derived else "CT"
    if not series.slices:
        return SeriesInfo(index, series.identifier, kind, series.count, (0, 0), None, None, None, 0)
    first = series.slices[0]
    thickness = first.facts.get("slice_thickness_mm")
    return SeriesInfo(
        index=index,
        identifier=series.identifier,
        modality=kind,
        slices=series.count,
        shape=first.shape,
        spacing_mm=(first.spacing[0], first.spacing[1]),
        thickness_mm=None if thickness is None else float(thickness),
        axcodes=_axcodes(first),
        dropped=series.dropped,
    )


def _axcodes(one: Slice) -> str:
    """Towards which sides columns, rows and slices grow."""
    codes = ""
    for axis in (one.orientation[:3], one.orientation[3:], one.normal):
        most = max(range(3), key=lambda a: abs(axis[a]))
        # DICOM's axes grow to Left, Posterior, Superior.
        codes += "LPS"[most] if axis[most] > 0 else "RAI"[most]
    return codes


def _grouped(slices: Iterable[Slice], key: Callable[[Slice], Key]) -> dict[Key, list[Slice]]:
    groups: dict[Key, list[Slice]] = defaultdict(list)
    for one in slices:
        groups[key(one)].append(one)
    return groups
