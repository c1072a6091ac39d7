"""Our own inventory of DICOM slices: which belong together, which are scouts or copies, and which series is meant."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from vision.errors import InputRefused
from vision.geometry import Notice
from vision.io.dicom_slice import Slice, read_dataset, read_slices
from vision.io.entries import Entry
from vision.io.refusal import Limits
from vision.io.sniff import is_dicom

FEWEST_SLICES = 3
SAME_PLACE_MM = 0.01


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
    """The slices of one stack, each position once, with what was left out and the warnings that this needs."""

    identifier: str
    slices: tuple[Slice, ...]
    dropped: int
    notices: tuple[Notice, ...]


def find_series(entries: Sequence[Entry], limits: Limits) -> tuple[list[Series], list[SeriesInfo]]:
    """Sort the DICOM files among `entries` into stacks of CT, and list them with what else is there.

    Raises InputRefused: E_NO_IMAGES, E_TAG, E_CORRUPT, E_CODEC, E_SIZE, E_SERIES_AMBIGUOUS.
    """
    files = [entry for entry in entries if is_dicom(entry.start())]
    if not files:
        raise InputRefused("E_NO_IMAGES", "There is no DICOM image in it.", "Give the folder that holds the slices.")
    slices = [one for entry in files for one in read_slices(entry)]
    if len(slices) > limits.slices * 4:
        raise InputRefused("E_SIZE", f"{len(slices)} slices are more than one study.", "Give one series.")
    planes = [one for one in slices if one.modality == "CT"]
    groups = _grouped([one for one in planes if not one.is_scout], lambda one: one.series)
    found: list[Series] = []
    for name, members in groups.items():
        scouts = sum(one.is_scout and one.series == name for one in planes)
        found.extend(_stacks(members, scouts))
    others = _grouped([one for one in slices if one.modality != "CT" or one.is_scout], lambda one: one.modality)
    rows = [_row(index, series) for index, series in enumerate(found)]
    for modality, members in others.items():
        kind = "CT scout" if modality == "CT" else str(modality)
        rows.append(SeriesInfo(len(rows), "-", kind, len(members), members[0].shape, None, None, None, 0))
    return found, rows


def choose_series(found: Sequence[Series], rows: Sequence[SeriesInfo], wanted: str | None) -> Series:
    """The series that is meant: the wanted one, or the only one that is a volume. Never a guess.

    Raises InputRefused: E_SERIES_AMBIGUOUS, E_MODALITY, E_TOO_FEW_SLICES, E_NO_IMAGES.
    """
    if wanted is not None:
        chosen = [one for index, one in enumerate(found) if wanted in (str(index), one.identifier)]
        if not chosen:
            raise InputRefused(
                "E_SERIES_AMBIGUOUS", f"There is no such series.\n{series_table(rows)}\n", "Choose with --series N."
            )
        return chosen[0]
    volumes = [one for one in found if len(one.slices) >= FEWEST_SLICES]
    if len(volumes) == 1:
        return volumes[0]
    if len(volumes) > 1:
        raise InputRefused(
            "E_SERIES_AMBIGUOUS",
            f"There are {len(volumes)} CT series:\n{series_table(rows)}\n",
            f"Choose one with --series N, such as --series {found.index(volumes[0])}.",
        )
    if found:
        count = max(len(one.slices) for one in found)
        raise InputRefused("E_TOO_FEW_SLICES", f"Only {count} CT slices were found.", "Give the folder of the series.")
    kinds = ", ".join(sorted({row.modality for row in rows}))
    raise InputRefused(
        "E_MODALITY", f"There is no CT series; it holds {kinds}.", "Give a CT; other kinds are not read."
    )


def series_table(rows: Sequence[SeriesInfo]) -> str:
    """The series as an aligned table for a terminal."""
    cells = [("N", "id", "kind", "slices", "matrix", "spacing mm", "axes")]
    for row in rows:
        spacing = "-" if row.spacing_mm is None else " x ".join(f"{value:.3g}" for value in row.spacing_mm)
        matrix = f"{row.shape[0]} x {row.shape[1]}"
        cells.append(
            (str(row.index), row.identifier, row.modality, str(row.slices), matrix, spacing, row.axcodes or "-")
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def _stacks(members: list[Slice], scouts: int) -> list[Series]:
    """One series to its stacks: by orientation and matrix, then by pass where positions repeat."""
    notices = []
    if scouts:
        notices.append(Notice("W_SCOUT_DROPPED", f"{scouts} scout images of the series were left out."))
    by_plane = _grouped(members, lambda one: tuple(np.round(one.orientation, 2) + 0.0))
    volumes = {key: group for key, group in by_plane.items() if len(group) >= FEWEST_SLICES}
    stray = len(members) - sum(len(group) for group in volumes.values())
    if volumes and stray:
        notices.append(Notice("W_STRAY_SLICES", f"{stray} slices across the stack were left out."))
    stacks: list[Series] = []
    for group in (volumes or by_plane).values():
        _require_one_matrix(group)
        stacks.extend(_passes(group, scouts + (stray if volumes else 0), tuple(notices)))
    return stacks


def _require_one_matrix(group: list[Slice]) -> None:
    kinds = {(one.shape, tuple(np.round(one.spacing, 4))) for one in group}
    if len(kinds) > 1:
        raise InputRefused(
            "E_TAG", "Slices of one series differ in Rows, Columns or PixelSpacing.", "Export that series alone."
        )


def _passes(group: list[Slice], dropped: int, notices: tuple[Notice, ...]) -> list[Series]:
    """Drop identical copies; split what holds several passes over the same positions."""
    unique, copies = _without_copies(group)
    if copies:
        notices = (*notices, Notice("W_DUPLICATES_DROPPED", f"{copies} identical copies of slices were dropped."))
    if not _repeats(unique):
        return [_series(unique, dropped + copies, notices)]
    for depth in range(len(unique[0].acquisition)):
        parts = list(_grouped(unique, lambda one, depth=depth: one.acquisition[depth]).values())  # type: ignore[misc]
        if len(parts) > 1 and not any(_repeats(part) for part in parts) and min(map(len, parts)) >= FEWEST_SLICES:
            return [_series(part, dropped + copies, notices) for part in parts]
    raise InputRefused(
        "E_SERIES_AMBIGUOUS",
        "Several different slices lie at the same position, and no tag tells the passes apart.",
        "Export each phase as a series of its own.",
    )


def _without_copies(group: list[Slice]) -> tuple[list[Slice], int]:
    """Keep one of the slices that are the same instance, or lie at one place with the same pixels."""
    kept: list[Slice] = []
    for place in _at_places(group):
        seen: set[Hashable] = set()
        for one in place:
            key: Hashable = one.frame if len(place) == 1 else _content(one)
            if key not in seen:
                seen.add(key)
                kept.append(one)
    return kept, len(group) - len(kept)


def _content(one: Slice) -> Hashable:
    """What makes two slices at one place the same: their stored pixels and scaling."""
    pixels = read_dataset(one.entry, pixels=True).get("PixelData", b"")
    frame = one.frame
    return hashlib.sha256(pixels).hexdigest(), frame, one.slope, one.intercept


def _at_places(group: list[Slice]) -> list[list[Slice]]:
    ordered = sorted(group, key=lambda one: one.distance)
    places: list[list[Slice]] = []
    for one in ordered:
        if places and one.distance - places[-1][0].distance < SAME_PLACE_MM:
            places[-1].append(one)
        else:
            places.append([one])
    return places


def _repeats(group: list[Slice]) -> bool:
    return len(_at_places(group)) < len(group)


def _series(slices: list[Slice], dropped: int, notices: tuple[Notice, ...]) -> Series:
    first = slices[0]
    key = f"{first.series}|{first.acquisition}|{np.round(first.orientation, 2)}".encode()
    ordered = tuple(sorted(slices, key=lambda one: one.distance))
    return Series(hashlib.sha256(key).hexdigest()[:8], ordered, dropped, notices)


def _row(index: int, series: Series) -> SeriesInfo:
    first = series.slices[0]
    thickness = first.facts.get("slice_thickness_mm")
    return SeriesInfo(
        index=index,
        identifier=series.identifier,
        modality="CT",
        slices=len(series.slices),
        shape=first.shape,
        spacing_mm=(first.spacing[0], first.spacing[1]),
        thickness_mm=None if thickness is None else float(thickness),
        axcodes=_axcodes(first),
        dropped=series.dropped,
    )


def _axcodes(one: Slice) -> str:
    """Towards which sides columns, rows and slices grow."""
    axes = (np.asarray(one.orientation[:3]), np.asarray(one.orientation[3:]), one.normal)
    # DICOM's axes grow to Left, Posterior, Superior.
    return "".join("LPS"[a] if v[a] > 0 else "RAI"[a] for v in axes for a in [int(np.abs(v).argmax())])


def _grouped(slices: Sequence[Slice], key):  # type: ignore[no-untyped-def]
    groups = defaultdict(list)
    for one in slices:
        groups[key(one)].append(one)
    return groups
