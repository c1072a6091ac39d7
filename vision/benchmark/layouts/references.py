"""Reference masks, read when they are needed: from a label map, a numbered label map, or a folder of mask files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np

from vision.errors import InputRefused, UsageError
from vision.geometry import Grid, Mask
from vision.io import load_integers, load_labels
from vision.structures import by_name

SUFFIX = ".nii.gz"
PARTS_OF: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "lung_left": frozenset({"lung_upper_lobe_left", "lung_lower_lobe_left"}),
        "lung_right": frozenset({"lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"}),
        "kidney_cyst": frozenset({"kidney_cyst_left", "kidney_cyst_right"}),
    }
)
"""Structures that TotalSegmentator 2 gives in several files; known only where all of them are there."""
_PARTS = frozenset().union(*PARTS_OF.values())


class ReferenceReader(Protocol):
    """Reads the masks of one case; at least those of the `wanted` structures that it holds, all of them for None."""

    def __call__(self, wanted: frozenset[str] | None) -> dict[str, Mask]: ...


def label_map_reader(path: Path, order: str | None) -> ReferenceReader:
    """Read a label map by an order of integers, or by the names beside it, see `vision.io.load_labels`."""
    return lambda wanted: load_labels(path, order=order)


def numbered_reader(path: Path, numbers: Mapping[str, frozenset[int]], known: frozenset[int]) -> ReferenceReader:
    """Read a label map whose integers a dataset explains: structure -> its integers, several for a region.

    Every structure is given, empty where none of its integers occurs. `known` are all integers that the dataset names.
    Reading raises InputRefused E_LABEL for an integer that is not among them.
    """

    def read(wanted: frozenset[str] | None) -> dict[str, Mask]:
        labels, grid = load_integers(path)
        # Slice by slice: sorting a whole CT at once takes seconds and its memory again.
        present = {int(number) for k in range(grid.shape[2]) for number in np.unique(labels[:, :, k])}
        strange = present - known - {0}
        if strange:
            raise InputRefused(
                "E_LABEL",
                f"The dataset does not say what the integers {sorted(strange)[:10]} are.",
                "Correct the labels of its dataset.json.",
            )
        names = numbers if wanted is None else numbers.keys() & wanted
        return {name: Mask(np.isin(labels, sorted(numbers[name])), grid, name) for name in names}

    return read


def mask_files(folder: Path) -> tuple[dict[str, tuple[Path, ...]], int]:
    """The mask files of a folder by structure, and how many are of something this project has no name for.

    Raises InputRefused E_LABEL for two files of one structure.
    """
    files = {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}
    found: dict[str, tuple[Path, ...]] = {
        name: tuple(files[part] for part in sorted(parts))
        for name, parts in PARTS_OF.items()
        if parts <= files.keys() and name not in files
    }
    unnamed = 0
    for stem, path in files.items():
        name = named(stem)
        if name is not None and name in found:
            raise InputRefused("E_LABEL", f"Two mask files of a case are of {name}.", "Keep one of them.")
        if name is not None:
            found[name] = (path,)
        elif stem not in _PARTS:
            unnamed += 1
    return found, unnamed


def mask_file_reader(files: Mapping[str, tuple[Path, ...]]) -> ReferenceReader:
    """Read mask files by structure; several for one structure are joined.

    Reading raises InputRefused E_GRID for files on different grids, and what `vision.io.load_integers` raises.
    """

    def read(wanted: frozenset[str] | None) -> dict[str, Mask]:
        return {name: _joined(name, files[name]) for name in files if wanted is None or name in wanted}

    return read


def named(words: str) -> str | None:
    """The structure that somebody else's name is for; None for what this project has no name for."""
    try:
        return by_name(words).name
    except UsageError:
        return None


def _joined(name: str, paths: tuple[Path, ...]) -> Mask:
    voxels: np.ndarray | None = None
    first: Grid | None = None
    for path in paths:
        labels, grid = load_integers(path)
        first = first or grid
        if not grid.matches(first):
            raise InputRefused("E_GRID", f"The parts of {name} lie on different grids.", "Segment one CT per folder.")
        voxels = labels > 0 if voxels is None else voxels | (labels > 0)
    assert voxels is not None
    assert first is not None
    return Mask(voxels, first, name)
