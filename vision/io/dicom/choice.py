"""Which of several series is meant: a table to choose from, and the one rule by which nobody has to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vision.errors import InputRefused
from vision.geometry import Notice
from vision.io.dicom.series import Series, SeriesInfo

LONGEST_TABLE = 40


def choose_series(found: Sequence[Series], rows: Sequence[SeriesInfo], wanted: str | None) -> Series:
    """The series that is wanted, or the one that can be meant.

    The rule: a series is taken unasked when it is the only original CT of at least 3 slices. What was calculated from
    other slices (MPR, MIP, ...) is taken only when it is wanted by its number.
    Raises InputRefused: E_SERIES_AMBIGUOUS, E_DERIVED, E_MODALITY, E_TOO_FEW_SLICES, and a series' own problem.
    """
    if wanted is not None:
        chosen = next((one for index, one in enumerate(found) if wanted in (str(index), one.identifier)), None)
        if chosen is None:
            raise InputRefused(
                "E_SERIES_AMBIGUOUS", f"There is no such series.\n{_listed(rows)}\n", "Choose with --series N."
            )
        return chosen
    volumes = [one for one in found if one.is_volume]
    originals = [one for one in volumes if not one.is_derived]
    if len(originals) == 1:
        return _beside_others(originals[0], found)
    if len(originals) > 1:
        raise InputRefused(
            "E_SERIES_AMBIGUOUS",
            f"There are {len(originals)} CT series:\n{_listed(rows)}\n",
            f"Choose one with --series N, such as --series {found.index(originals[0])}.",
        )
    if volumes:
        raise InputRefused(
            "E_DERIVED",
            f"The CT was calculated from other slices, which are not here:\n{_listed(rows)}\n",
            f"Give the original series, or take it as it is with --series {found.index(volumes[0])}.",
        )
    if found:
        return _too_few(found)
    kinds = ", ".join(sorted({row.modality for row in rows}))
    raise InputRefused(
        "E_MODALITY", f"There is no CT series; it holds {kinds}.", "Give a CT; other kinds are not read."
    )


def _beside_others(chosen: Series, found: Sequence[Series]) -> Series:
    """The chosen series with a warning of the CT slices that belong to no volume: they may be missing from this one."""
    left = sum(one.count for one in found if one is not chosen and not one.is_derived)
    if not left:
        return chosen
    notice = Notice("W_OTHER_SLICES", f"{left} CT slices of other series, which form no volume, were left out.")
    return replace(chosen, notices=(*chosen.notices, notice))


def series_table(rows: Sequence[SeriesInfo]) -> str:
    """The series as an aligned table for a terminal."""
    cells = [("N", "id", "kind", "slices", "matrix", "spacing mm", "thick mm", "axes")]
    for row in rows:
        spacing = "-" if row.spacing_mm is None else " x ".join(f"{value:.3g}" for value in row.spacing_mm)
        thick = "-" if row.thickness_mm is None else f"{row.thickness_mm:.3g}"
        matrix = f"{row.shape[0]} x {row.shape[1]}" if min(row.shape) > 0 else "-"
        cells.append(
            (str(row.index), row.identifier, row.modality, str(row.slices), matrix, spacing, thick, row.axcodes or "-")
        )
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def _listed(rows: Sequence[SeriesInfo]) -> str:
    """The table of a refusal, which stays readable."""
    left = len(rows) - LONGEST_TABLE
    return series_table(rows[:LONGEST_TABLE]) + (f"\nand {left} more" if left > 0 else "")


def _too_few(found: Sequence[Series]) -> Series:
    for one in found:
        if one.problem is not None:
            return one
    count = max(one.count for one in found)
    raise InputRefused("E_TOO_FEW_SLICES", f"Only {count} CT slices were found.", "Give the folder of the series.")
