"""A folder of label maps without CT, completed once and cached."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vision.errors import UsageError
from vision.geometry import reorient_array
from vision.io.choices import ASK
from vision.io.files.atomic import write_atomically
from vision.io.files.entries import file_entry, require_readable
from vision.io.files.stream import ByteStream
from vision.io.nifti.volume import read_nifti
from vision.io.refusal import LIMITS, refusing
from vision.structures import ABDOMENATLAS
from vision.synthesis.anatomy.complete import Anatomy, complete_anatomy

VERSION = 3
"""Counts up when completion changes, so that no cache of an older one is read."""


def read_anatomies(folder: Path, cache: Path) -> list[Anatomy]:
    """Read and complete every label map that `folder`/index.csv lists, in its order; `cache` keeps them as .npz.

    Raises as `list_anatomies` and `read_anatomy`.
    """
    return [read_anatomy(folder, source, cache) for source in list_anatomies(folder)]


@dataclass(frozen=True)
class Source:
    """A row of index.csv: its number, the sub-folder that holds labels.nii.gz, and the structures said to be there."""

    number: int
    subject: str
    structures: frozenset[str]


def list_anatomies(folder: Path) -> list[Source]:
    """What `folder`/index.csv lists: the columns `subject` (a sub-folder) and `structures` (blanks between names).

    Raises UsageError E_ANATOMIES for a folder without such a list.
    """
    atlas = frozenset(ABDOMENATLAS.values())
    try:
        with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
            rows = [(row["subject"], atlas & set(row["structures"].split())) for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            "E_ANATOMIES",
            f"The folder of label maps has no index that can be read ({type(error).__name__}).",
            "It needs index.csv with the columns subject and structures, and labels.nii.gz in a folder per subject.",
        ) from None
    return [Source(number, subject, names) for number, (subject, names) in enumerate(rows)]


def read_anatomy(folder: Path, source: Source, cache: Path) -> Anatomy:
    """Complete one label map, uint8 codes of `Tissue`, or read it from `cache`. Raises InputRefused, as the gate."""
    stored = cache / f"anatomy_{source.number:03d}_v{VERSION}.npz"
    if not stored.exists():
        labels, spacing_mm = _read_labels(folder / source.subject / "labels.nii.gz")
        save_anatomy(complete_anatomy(labels, spacing_mm, source.structures), stored)
    return load_anatomy(stored)


def save_anatomy(anatomy: Anatomy, path: Path) -> None:
    """Keep an anatomy as a compressed .npz."""
    names = np.array(sorted(anatomy.annotated), dtype=np.str_)
    write_atomically(path, lambda file: np.savez_compressed(file, tissues=anatomy.tissues, annotated=names))


def load_anatomy(path: Path) -> Anatomy:
    """Read what `save_anatomy` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return Anatomy(stored["tissues"], frozenset(str(name) for name in stored["annotated"]))


def _read_labels(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    """(I, J, K) uint8 in RAS order, and its spacing in mm."""
    require_readable(path)
    with refusing("E_CORRUPT", "A label map cannot be read"), file_entry(path).stream() as file:
        stored = read_nifti(ByteStream(file, LIMITS.bytes), choices=ASK, limits=LIMITS)
    grid, order, signs = stored.grid.reoriented("RAS")
    return np.ascontiguousarray(reorient_array(stored.voxels, order, signs), dtype=np.uint8), grid.spacing_mm
