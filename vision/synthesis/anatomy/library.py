"""A folder of label maps without CT, completed once and cached."""

from __future__ import annotations

import csv
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

VERSION = 1
"""Counts up when completion changes, so that no cache of an older one is read."""


def read_anatomies(folder: Path, cache: Path) -> list[Anatomy]:
    """Read and complete every label map that `folder`/index.csv lists, in its order; `cache` keeps them as .npz.

    index.csv has the columns `subject` (a sub-folder that holds labels.nii.gz, uint8 codes of `Tissue`) and
    `structures` (the AbdomenAtlas names that it holds, blanks between). Raises UsageError E_ANATOMIES for a folder
    without such a list, InputRefused for a label map that cannot be read.
    """
    try:
        with (folder / "index.csv").open(newline="", encoding="utf-8") as file:
            rows = [(row["subject"], frozenset(row["structures"].split())) for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            "E_ANATOMIES",
            f"The folder of label maps has no index that can be read ({type(error).__name__}).",
            "It needs index.csv with the columns subject and structures, and labels.nii.gz in a folder per subject.",
        ) from None
    anatomies = []
    for number, (subject, structures) in enumerate(rows):
        stored = cache / f"anatomy_{number:03d}_v{VERSION}.npz"
        if not stored.exists():
            labels, spacing_mm = _read_labels(folder / subject / "labels.nii.gz")
            save_anatomy(complete_anatomy(labels, spacing_mm, structures & frozenset(ABDOMENATLAS.values())), stored)
        anatomies.append(load_anatomy(stored))
    return anatomies


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
