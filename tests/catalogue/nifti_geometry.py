"""Rows 48 to 58 and 65 to 67: where a NIfTI header puts the voxels, and what it leaves open."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.catalogue.make_nifti import (
    FORMS,
    file_of,
    header_of,
    is_the_body,
    lies_on,
    oblique,
    offers,
    placed,
    sform_of,
    sform_rows,
    thick,
)
from tests.catalogue.row import Row, accepted, refused, warned
from tests.vision.small_files import AFFINE, SHAPE, body_hu, nifti_bytes
from vision.errors import InputRefused
from vision.geometry import Grid, reorient_array
from vision.io.choices import Choices
from vision.io.load import read_ct, read_inventory

NAN, INF = float("nan"), float("inf")
METRES, MICRONS = (AFFINE * [[per_mm], [per_mm], [per_mm], [1]] for per_mm in (1e-3, 1e3))
MIRRORED = AFFINE * [[-1], [1], [1], [1]]
"""An sform whose left is the qform's right."""
NO_FORM = dict.fromkeys(FORMS, 0)
NO_STEPS = [1, 0, 9, 8, 0, 0, 0, 0]
LEANING = ((-10, 0, 0), (0, -9, 0), (0, -9, 8))
"""Each slice slides by one row, so that upright voxels are voxels of the file."""


def upright() -> np.ndarray:
    """The body whose slices were put back by one row each: (26, 43, 20)."""
    hu = np.full((SHAPE[0], SHAPE[1] + SHAPE[2] - 1, SHAPE[2]), -1024, dtype=np.int16)
    for k in range(SHAPE[2]):
        hu[:, k : k + SHAPE[1], k] = body_hu()[:, :, k]
    return hu


def says_where(folder: Path) -> None:
    """What is assumed: the axes, the spacing of the header, the middle of the volume at the origin."""
    path = header_of(**NO_FORM)(folder)
    for axes in ("LPS", "RAS", "SRA", "AIL"):
        ct = read_ct(path, choices=Choices(assume_orientation=axes))
        assert ct.grid.axcodes == axes
        assert np.allclose(ct.grid.spacing_mm, (10, 9, 8))
        assert np.allclose(ct.grid.to_mm((np.array(SHAPE) - 1) / 2), 0)
        assert "W_ORIENTATION_ASSUMED" in {notice.code for notice in ct.warnings}


def every_order_of_axes(folder: Path) -> None:
    pairs = itertools.permutations((("R", "L"), ("A", "P"), ("S", "I")))
    for axcodes in ("".join(ends) for order in pairs for ends in itertools.product(*order)):
        grid, order, signs = Grid(SHAPE, AFFINE).reoriented(axcodes)
        voxels = np.ascontiguousarray(reorient_array(body_hu(), order, signs))
        ct = read_ct(file_of(lambda v=voxels, a=grid.affine: nifti_bytes(v, a))(folder))
        assert ct.grid.axcodes == axcodes
        assert is_the_body(ct)


def large(slices: int) -> bytes:
    """The header alone of 512 x 512 slices."""
    fields = {"dim": [3, 512, 512, slices, 1, 1, 1, 1]}
    return nifti_bytes(affine=np.diag([0.8, 0.8, 1.0, 1.0]), fields=fields)[:352]


def within_the_cap(folder: Path) -> None:
    """By its header, which is judged before a voxel is read: nobody should need gigabytes to run a test."""
    (row,) = read_inventory(file_of(lambda: large(2000), "ct.nii")(folder))
    assert (row.shape, row.slices) == ((512, 512), 2000)


def above_the_cap(folder: Path) -> None:
    with pytest.raises(InputRefused, match=r"^E_SIZE: 512 x 512 x 2400 .*1\.2 GiB"):
        read_ct(file_of(lambda: large(2400), "ct.nii")(folder))


def thin(folder: Path) -> None:
    ct = read_ct(thick((10, 9, 5), (26, 24, 40))(folder))
    assert "W_THICK_SLICES" not in {notice.code for notice in ct.warnings}


def put_upright(folder: Path) -> None:
    """Voxels that slid by whole rows come back whole, at the millimetres where the header put them."""
    ct = read_ct(sform_of(*LEANING)(folder), choices=Choices(resample=True))
    assert "W_RESAMPLED" in {notice.code for notice in ct.warnings}
    assert np.array_equal(ct.hu, upright())
    assert ct.grid.matches(Grid((26, 43, 20), AFFINE))


ROWS: tuple[Row, ...] = (
    refused(48, "a spacing of 0 by qform", "E_SPACING", header_of(sform_code=0, pixdim=NO_STEPS)),
    refused(48, "a spacing of NaN by qform", "E_SPACING", header_of(sform_code=0, pixdim=[1, NAN, 9, 8, 0, 0, 0, 0])),
    refused(48, "a spacing of -10 by qform", "E_SPACING", header_of(sform_code=0, pixdim=[1, -10, 9, 8, 0, 0, 0, 0])),
    warned(48, "a spacing of 0 beside an sform", "W_PIXDIM_IGNORED", header_of(pixdim=NO_STEPS), hu=body_hu),
    refused(49, "a spacing of 0.05 mm", "E_SPACING", placed(np.diag([0.05, 0.05, 8, 1]))),
    refused(49, "a spacing of 30 mm", "E_SPACING", placed(np.diag([10, 9, 30.0, 1]))),
    accepted(50, "metres", placed(METRES, xyzt_units=1), is_the_body),
    accepted(50, "microns", placed(MICRONS, xyzt_units=3), is_the_body),
    accepted(50, "metres by qform alone", placed(METRES, xyzt_units=1, sform_code=0), is_the_body),
    warned(51, "no unit", "W_UNITS_UNKNOWN", header_of(xyzt_units=0), hu=body_hu),
    refused(51, "a unit that there is not", "E_HDR", header_of(xyzt_units=5)),
    refused(52, "metres that say no unit", "E_EXTENT", placed(METRES, xyzt_units=0)),
    refused(52, "metres that say millimetres", "E_EXTENT", placed(METRES)),
    refused(52, "a body of 26 mm", "E_EXTENT", placed(np.diag([1.0, 1, 1, 1]))),
    refused(52, "a body of 5 m", "E_EXTENT", placed(np.diag([5.0, 5, 5, 1]), dim=[3, 1000, 4, 4, 1, 1, 1, 1])),
    offers(refused(53, "no qform, no sform", "E_NO_ORIENTATION", header_of(**NO_FORM)), "--assume-orientation LPS"),
    Row(53, "no qform, no sform, axes said", "opened, W_ORIENTATION_ASSUMED", says_where),
    refused(
        53,
        "no qform, no sform, axes said, no spacing",
        "E_SPACING",
        header_of(**NO_FORM, pixdim=NO_STEPS),
        choices=Choices(assume_orientation="LPS"),
    ),
    refused(54, "an sform of zeros", "E_AFFINE", sform_of((0, 0, 0), (0, 0, 0), (0, 0, 0))),
    refused(54, "a singular sform", "E_AFFINE", sform_of((0, 0, 0), (0, 9, 0), (0, 0, 8))),
    refused(54, "an sform with NaN", "E_AFFINE", sform_of((NAN, 0, 0), (0, 9, 0), (0, 0, 8))),
    refused(54, "an sform with infinity", "E_AFFINE", sform_of((10, 0, 0), (0, INF, 0), (0, 0, 8))),
    refused(54, "an sform of 1e38 mm", "E_AFFINE", sform_of((-10, 0, 0), (0, -1e38, 0), (0, 0, 8))),
    refused(54, "an sform of 1e-30 mm", "E_AFFINE", sform_of((-10, 0, 0), (0, -1e-30, 0), (0, 0, 8))),
    refused(54, "a quaternion that is no rotation", "E_AFFINE", header_of(sform_code=0, quatern_b=3.0)),
    refused(54, "a qform of no handedness", "E_AFFINE", header_of(sform_code=0, pixdim=[7, 10, 9, 8, 0, 0, 0, 0])),
    refused(54, "a qform with NaN", "E_AFFINE", header_of(sform_code=0, qoffset_z=NAN)),
    warned(
        54, "a body 4 m from its origin", "W_ORIGIN_FAR", header_of(qform_code=0, srow_z=[0, 0, 8, -4000]), hu=body_hu
    ),
    offers(refused(55, "a sheared sform", "E_AFFINE", sform_of(*LEANING)), "--resample"),
    Row(55, "a sheared sform, put upright", "opened, W_RESAMPLED", put_upright),
    refused(
        55,
        "an sform sheared by 70 degrees",
        "E_AFFINE",
        sform_of((-10, 0, 0), (0, -9, 0), (0, -22, 8)),
        choices=Choices(resample=True),
    ),
    warned(
        55,
        "an sform skewed by 0.03 degrees",
        "W_AXES_SKEWED",
        sform_of((-10, 0, 0), (0.005, -9, 0), (0, 0, 8)),
        hu=body_hu,
    ),
    offers(
        refused(56, "qform against sform", "E_AFFINE_CONFLICT", header_of(**sform_rows(MIRRORED))), "--prefer qform"
    ),
    accepted(
        56,
        "qform against sform, qform chosen",
        header_of(**sform_rows(MIRRORED)),
        lies_on(AFFINE, "W_ORIENTATION_CHOSEN"),
        choices=Choices(prefer="qform"),
    ),
    accepted(
        56,
        "qform against sform, sform chosen",
        header_of(**sform_rows(MIRRORED)),
        lies_on(MIRRORED, "W_ORIENTATION_CHOSEN"),
        choices=Choices(prefer="sform"),
    ),
    offers(refused(56, "a broken qform", "E_AFFINE", header_of(quatern_b=3.0)), "--prefer sform"),
    offers(refused(56, "a broken sform", "E_AFFINE", header_of(srow_x=0)), "--prefer qform"),
    accepted(
        56,
        "a broken qform, sform chosen",
        header_of(quatern_b=3.0),
        lies_on(AFFINE, "W_ORIENTATION_CHOSEN"),
        choices=Choices(prefer="sform"),
    ),
    accepted(
        56,
        "a broken sform, qform chosen",
        header_of(srow_x=0),
        lies_on(AFFINE, "W_ORIENTATION_CHOSEN"),
        choices=Choices(prefer="qform"),
    ),
    refused(
        56,
        "voxel sizes against sform",
        "E_AFFINE_CONFLICT",
        sform_of(*AFFINE[:3, :3].T, pixdim=[1, 10, 9, 4, 0, 0, 0, 0]),
    ),
    accepted(
        56,
        "voxel sizes against sform, sform chosen",
        sform_of(*AFFINE[:3, :3].T, pixdim=[1, 10, 9, 4, 0, 0, 0, 0]),
        lies_on(AFFINE, "W_ORIENTATION_CHOSEN"),
        choices=Choices(prefer="sform"),
    ),
    warned(56, "qform 0.3 mm from sform", "W_ORIENTATION_INEXACT", header_of(qoffset_x=120.3), hu=body_hu),
    warned(
        56, "an unused sform elsewhere", "W_HEADER_ODD", header_of(sform_code=0, **sform_rows(MIRRORED)), hu=body_hu
    ),
    accepted(57, "turned by 30 degrees", placed(oblique(30)), lies_on(oblique(30))),
    accepted(57, "turned by 0.01 degrees", placed(oblique(0.01)), lies_on(oblique(0.01))),
    accepted(57, "turned by 30 degrees, qform alone", placed(oblique(30), sform_code=0), lies_on(oblique(30))),
    Row(58, "every one of 48 orders of axes", "opened exactly", every_order_of_axes),
    Row(65, "512 x 512 x 2000", "accepted by its header", within_the_cap),
    Row(65, "512 x 512 x 2400", "refused, E_SIZE, naming 1.2 GiB", above_the_cap),
    warned(66, "slices of 6 mm", "W_THICK_SLICES", thick((10, 9, 6), (26, 24, 30))),
    warned(66, "slices of 10 mm", "W_THICK_SLICES", thick((10, 9, 10), (26, 24, 18))),
    Row(66, "slices of 5 mm", "opened without W_THICK_SLICES", thin),
    warned(67, "0.3 x 0.3 x 10 mm", "W_THICK_SLICES", thick((0.3, 0.3, 10), (400, 400, 14))),
)
