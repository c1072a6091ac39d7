"""Prepared training cases: CTs and labels on the network's working grid, cached as arrays.

A case list is a JSON file: [{"ct": path, "labels": path, "order": "abdomenatlas1.1", "annotated": [names]}, ...] with
paths relative to the file. What a case does not annotate is unknown there, not background. "share" (default 1.0) is
how often a case is drawn relative to the others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vision.errors import UsageError
from vision.geometry import CTVolume, Mask, resample, working_grid
from vision.io import load_ct, load_labels


@dataclass(frozen=True)
class TrainingCase:
    """One case on the working grid (RAS order).

    `hu` (I, J, K) int16 clipped to the window; `bits` (I, J, K) int32 whose bit c is set where channel c is;
    `annotated` (C,) bool says which channels are known.
    """

    hu: np.ndarray
    bits: np.ndarray
    annotated: np.ndarray

    def voxels_of(self, channel: int) -> np.ndarray:
        """(I, J, K) bool of one channel."""
        return (self.bits >> channel) & 1 == 1


def prepare_case(
    ct: CTVolume,
    masks: dict[str, Mask],
    *,
    annotated: frozenset[str],
    channels: tuple[str, ...],
    spacing_mm: float,
    window_hu: tuple[float, float],
) -> TrainingCase:
    """Bring one CT and its masks to the working grid; an annotated structure without a mask is known to be absent."""
    grid = working_grid(ct.grid, spacing_mm)
    low, high = (ct.hu.dtype.type(edge) for edge in window_hu)
    hu = resample(np.clip(ct.hu, low, high), ct.grid, grid)
    bits = np.zeros(grid.shape, dtype=np.int32)
    for index, name in enumerate(channels):
        if name in masks:
            masks[name].require_grid(ct.grid)
            inside = resample(masks[name].voxels.astype(np.float32), ct.grid, grid) >= 0.5
            bits |= inside.astype(np.int32) << index
    known = np.array([name in annotated for name in channels])
    return TrainingCase(np.round(hu).astype(np.int16), bits, known)


def save_case(case: TrainingCase, path: Path) -> None:
    """Cache a prepared case as a compressed .npz."""
    np.savez_compressed(path, hu=case.hu, bits=case.bits, annotated=case.annotated)


def read_case(path: Path) -> TrainingCase:
    """Read what `save_case` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return TrainingCase(stored["hu"], stored["bits"], stored["annotated"])


def read_shares(case_list: Path) -> tuple[float, ...]:
    """Relative frequency of each case of a list."""
    return tuple(float(row.get("share", 1.0)) for row in json.loads(case_list.read_text()))


def prepare_list(
    case_list: Path,
    cache: Path,
    *,
    channels: tuple[str, ...],
    spacing_mm: float,
    window_hu: tuple[float, float],
) -> list[TrainingCase]:
    """Prepare every case of a list, reusing what `cache` already holds. Raises UsageError for a malformed list."""
    try:
        rows = json.loads(case_list.read_text())
        entries = [(row["ct"], row["labels"], row["order"], frozenset(row["annotated"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "E_CASE_LIST",
            f"The case list is not a list of training cases ({type(error).__name__}).",
            "Each entry needs ct, labels, order and annotated; see the docstring of vision/training/cases.py.",
        ) from None
    cache.mkdir(parents=True, exist_ok=True)
    cases = []
    for number, (ct_path, label_path, order, annotated) in enumerate(entries):
        stored = cache / f"{number:04d}.npz"
        if not stored.exists():
            case = prepare_case(
                load_ct(case_list.parent / ct_path),
                load_labels(case_list.parent / label_path, order=order),
                annotated=annotated,
                channels=channels,
                spacing_mm=spacing_mm,
                window_hu=window_hu,
            )
            save_case(case, stored.with_suffix(".part.npz"))
            stored.with_suffix(".part.npz").rename(stored)
        cases.append(read_case(stored))
    return cases
