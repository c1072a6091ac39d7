"""Makers of NIfTI files, good and bad, and the body that the good ones show."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.catalogue.row import Maker, Row, refused
from tests.vision.small_files import AFFINE, SHAPE, body_hu, nifti_bytes, nifti_gz
from vision.errors import InputRefused
from vision.geometry import CTVolume, Grid, reorient_array
from vision.io.load import read_ct

FORMS = ("qform_code", "sform_code")


def file_of(content: Callable[[], bytes], name: str = "ct.nii.gz") -> Maker:
    """A maker that writes `content` to a file called `name`."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content())
        return path

    return make


def header_of(**fields: Any) -> Maker:
    """A maker of a good file whose header fields were overwritten."""
    return file_of(lambda: nifti_bytes(fields=fields))


def voxels_of(make: Callable[[], np.ndarray], affine: np.ndarray = AFFINE, **fields: Any) -> Maker:
    """A maker of a file of other voxels."""
    return file_of(lambda: gzip.compress(nifti_bytes(make(), affine, fields=fields), 1))


def placed(affine: np.ndarray, **fields: Any) -> Maker:
    """A maker of the body on another affine, in qform and sform unless `fields` say otherwise."""
    return file_of(lambda: nifti_bytes(affine=affine, fields=fields))


def sform_of(*columns: tuple[float, float, float], **fields: Any) -> Maker:
    """A maker of a file with an sform of these columns alone."""
    affine = AFFINE.copy()
    affine[:3, :3] = np.array(columns).T
    return header_of(**{"qform_code": 0, **sform_rows(affine), **fields})


def sform_rows(affine: np.ndarray) -> dict[str, np.ndarray]:
    """The header fields of an sform."""
    return {f"srow_{axis}": affine[row] for row, axis in enumerate("xyz")}


def oblique(degrees: float) -> np.ndarray:
    """AFFINE turned about the left-right axis."""
    turn = np.deg2rad(degrees)
    affine = AFFINE.copy()
    rotation = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    affine[:3, :3] = rotation @ affine[:3, :3]
    return affine


def is_the_body(ct: CTVolume) -> bool:
    """Whether a CT shows `body_hu` where AFFINE puts it, as int16, whatever its axes."""
    grid, order, signs = ct.grid.reoriented("LPS")
    hu = reorient_array(ct.hu, order, signs)
    return ct.hu.dtype == np.int16 and grid.matches(Grid(SHAPE, AFFINE)) and np.array_equal(hu, body_hu())


def lies_on(affine: np.ndarray, *codes: str) -> Callable[[CTVolume], bool]:
    """Whether a CT shows the body's voxels, in their order, on an affine to 1e-3 mm, and warns of `codes`."""

    def is_right(ct: CTVolume) -> bool:
        told = {notice.code for notice in ct.warnings}
        return ct.grid.matches(Grid(SHAPE, affine)) and np.array_equal(ct.hu, body_hu()) and told >= set(codes)

    return is_right


def thick(spacing: tuple[float, float, float], shape: tuple[int, int, int]) -> Maker:
    """A maker of a body of that spacing and shape."""
    return file_of(lambda: nifti_gz(body_hu(shape), np.diag([*spacing, 1.0])))


def refused_within(seconds: float, number: int, name: str, code: str, make: Maker, *, why: str = "") -> Row:
    """A refusal that must come in time, making the input not counted."""

    def check(folder: Path) -> None:
        path = make(folder)
        started = time.perf_counter()
        row = refused(number, name, code, lambda _: path)
        row.check(folder)
        assert time.perf_counter() - started < seconds

    return Row(number, name, f"refused, {code}, within {seconds:g} s", check, why)


def offers(row: Row, flag: str) -> Row:
    """A refusal whose remedy names the flag that settles it."""

    def check(folder: Path) -> None:
        row.check(folder)
        with pytest.raises(InputRefused, match=re.escape(flag)):
            read_ct(next(path for path in folder.iterdir() if path.is_file()))

    return Row(row.number, row.name, f"{row.wanted}; offers {flag}", check, row.why)
