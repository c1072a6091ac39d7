"""What plain nibabel and pydicom do with the same file, unguarded: the yardstick of the benchmark of opening."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vision.io.files.sniff import is_dicom


def read_plainly(path: Path) -> np.ndarray:
    """The stored voxels of a NIfTI file, or of every DICOM file below a folder or in a zip, stacked as they come."""
    if path.is_dir() or path.suffix == ".zip":
        return _read_dicom(path)
    import nibabel

    return np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]


def _read_dicom(path: Path) -> np.ndarray:
    import pydicom

    return np.stack([pydicom.dcmread(file).pixel_array for file in _files(path)])


def _files(path: Path) -> Iterator[BinaryIO]:
    if path.is_dir():
        for name in sorted(file for file in path.rglob("*") if file.is_file()):
            with name.open("rb") as file:
                if is_dicom(file.read(400)):
                    file.seek(0)
                    yield file
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                with archive.open(member) as inner:
                    yield inner  # type: ignore[misc]
