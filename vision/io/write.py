"""Write CTs and masks as NIfTI on their own grid: qform and sform, mm, and no word about anybody in the header."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vision.errors import UsageError
from vision.geometry import CTVolume, Grid, Mask
from vision.io.files.atomic import write_atomically, write_text
from vision.structures import by_name

COMPRESSION = 3
SIDECAR_FORMAT = "bodymaps-labels-1"
_LATER_WINS = {"organ": 0, "vessel": 1, "part": 2, "lesion": 3, "extra": 3}


def write_mask(mask: Mask, path: str | Path) -> Path:
    """Write one mask as uint8 0/1 NIfTI on its CT's grid. Raises UsageError E_SUFFIX, ResourceError."""
    return _write_nifti(mask.voxels.view(np.uint8), mask.grid, Path(path))


def write_ct(ct: CTVolume, path: str | Path) -> Path:
    """Write a CT as NIfTI, int16 or float32 as it is. Raises UsageError E_SUFFIX, ResourceError."""
    return _write_nifti(ct.hu, ct.grid, Path(path))


def write_label_map(masks: Sequence[Mask], path: str | Path) -> Path:
    """Write masks as one uint8 label map with the integers of the structure table, and their names beside it.

    1 to 25 are AbdomenAtlas 1.1's; lesions and parts have the table's own above 100. Where masks overlap, vessels win
    over organs, parts over both and lesions over all. The names go to `<stem>.json`, which `load_labels` reads.
    Raises ValueError for masks on different grids or none, UsageError E_NO_LABEL for a structure without an integer.
    """
    target = Path(path)
    if not masks:
        raise ValueError("a label map needs at least one mask; an empty one is a mask without voxels")
    grid = masks[0].grid
    rows = [(by_name(mask.structure), mask) for mask in masks]
    labels = np.zeros(grid.shape, dtype=np.uint8, order="F")
    names: dict[int, str] = {}
    for structure, mask in sorted(rows, key=lambda row: _LATER_WINS[row[0].kind]):
        mask.require_grid(grid)
        if structure.label is None:
            raise UsageError(
                "E_NO_LABEL", f"{structure.name} has no integer in label maps.", "Write it as a mask of its own."
            )
        labels[mask.voxels] = structure.label
        names[structure.label] = structure.name
    _write_nifti(labels, grid, target)
    content = {"format": SIDECAR_FORMAT, "labels": {str(number): names[number] for number in sorted(names)}}
    write_text(sidecar_of(target), json.dumps(content, indent=2) + "\n")
    return target


def sidecar_of(path: Path) -> Path:
    """Where the names of a label map's integers stand: combined_labels.nii.gz -> combined_labels.json."""
    name = path.name
    stem = name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else path.stem
    return path.with_name(f"{stem}.json")


def _write_nifti(voxels: np.ndarray, grid: Grid, path: Path) -> Path:
    from nibabel.nifti1 import Nifti1Image

    zipped = path.name.lower().endswith(".nii.gz")
    if not zipped and path.suffix.lower() != ".nii":
        raise UsageError("E_SUFFIX", "The name to write to does not end as NIfTI does.", "Write to .nii.gz or .nii.")
    image = Nifti1Image(voxels, grid.affine, dtype=voxels.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(grid.affine, code="scanner")
    image.set_qform(grid.affine, code="scanner")
    corner = np.array([*(n - 1 for n in grid.shape), 1.0])
    if np.abs((image.get_qform() - grid.affine) @ corner).max() > 0.05 * min(grid.spacing_mm):
        # A quaternion cannot hold a slight skew; better one truth than two.
        image.set_qform(None, code=0)

    def write(file: BinaryIO) -> None:
        if zipped:
            # No name and no time in the gzip header: the same input gives the same bytes.
            with gzip.GzipFile("", "wb", compresslevel=COMPRESSION, fileobj=file, mtime=0) as inner:
                image.to_stream(inner)  # type: ignore[arg-type]
        else:
            image.to_stream(file)  # type: ignore[arg-type]

    return write_atomically(path, write)
