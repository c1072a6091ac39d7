"""Properties of the NIfTI header gate over whole spaces of headers, good ones and others."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel import nifti1, nifti2
from nibabel.spatialimages import HeaderDataError
from scipy.spatial.transform import Rotation

from vision.errors import InputRefused
from vision.geometry import Grid
from vision.io.files.stream import ByteStream
from vision.io.nifti.header import NiftiHeader, read_header
from vision.io.refusal import LIMITS

UNITS = {"meter": 1e-3, "mm": 1.0, "micron": 1e3}
SHAPE = (200, 180, 90)
AXIS = st.floats(-1, 1, allow_nan=False)
STEP = st.floats(1.2, 9.9)
PLACE = st.floats(-1500, 1500)
SPECIAL = st.sampled_from([0.0, 1.0, -1.0, 1e30, -1e30, 1e-30, 3e38, float("nan"), float("inf"), -float("inf")])


def read(content: bytes) -> NiftiHeader:
    return read_header(ByteStream(io.BytesIO(content), LIMITS.bytes), LIMITS)


def written(affine: np.ndarray, version: int, order: str, forms: str, unit: str) -> bytes:
    """A header of int16 voxels as a program writes it; `forms` says which of qform and sform have a code."""
    header = (nifti1.Nifti1Header if version == 1 else nifti2.Nifti2Header)(endianness=order)
    header.set_data_dtype(np.int16)
    header.set_data_shape(SHAPE)
    scaled = affine * [[UNITS[unit]], [UNITS[unit]], [UNITS[unit]], [1]]
    header.set_qform(scaled, int("q" in forms))
    header.set_sform(scaled, int("s" in forms))
    header.set_xyzt_units(unit)
    header["magic"] = b"n+1" if version == 1 else b"n+2"
    header["vox_offset"] = 352 if version == 1 else 544
    return header.binaryblock + bytes(4)


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Any orthogonal affine of a CT: turned, mirrored, anywhere within the reach of a scanner's table."""
    turn = draw(st.one_of(st.just([0.0, 0.0, 0.0]), st.lists(AXIS, min_size=3, max_size=3)))
    flips = draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3))
    order = draw(st.permutations(range(3)))
    affine = np.eye(4)
    axes = Rotation.from_rotvec(np.array(turn) * 3).as_matrix()[:, order] * flips
    affine[:3, :3] = axes * draw(st.lists(STEP, min_size=3, max_size=3))
    affine[:3, 3] = draw(st.lists(PLACE, min_size=3, max_size=3))
    return affine


@settings(max_examples=300, deadline=None)
@given(
    affines(),
    st.sampled_from([1, 2]),
    st.sampled_from("<>"),
    st.sampled_from(["qs", "q", "s"]),
    st.sampled_from(list(UNITS)),
)
def test_every_true_header_gives_its_millimetres_without_a_word(
    affine: np.ndarray, version: int, order: str, forms: str, unit: str
) -> None:
    header = read(written(affine, version, order, forms, unit))
    far = np.array(SHAPE) - 1
    apart = np.abs(header.grid.to_mm(far) - Grid(SHAPE, affine).to_mm(far)).max()
    told = {notice.code for notice in header.notices}
    if forms == "q" and version == 1:
        # Near a half turn three float32 of a quaternion leave a rotation open by 2 sqrt(3 * 1.2e-7).
        assert apart < 1.2e-3 * np.linalg.norm(far * header.grid.spacing_mm)
        assert told <= {"W_ORIENTATION_INEXACT"}
    else:
        assert apart < 1e-3
        assert told == set()


def values_of(dtype: np.dtype) -> st.SearchStrategy[Any]:
    if dtype.kind == "S":
        return st.binary(max_size=dtype.itemsize)
    if dtype.kind == "f":
        return st.one_of(SPECIAL, st.floats(width=32 if dtype.itemsize == 4 else 64), st.floats(-500, 500))
    limits = np.iinfo(dtype)
    return st.one_of(st.integers(-3, 9), st.integers(int(limits.min), int(limits.max))).map(
        lambda n: min(max(n, int(limits.min)), int(limits.max))
    )


@st.composite
def odd_headers(draw: st.DrawFn) -> bytes:
    """A good header with up to four numbers or texts replaced by any others."""
    version, order = draw(st.sampled_from([1, 2])), draw(st.sampled_from("<>"))
    good = written(
        draw(affines()), version, order, draw(st.sampled_from(["qs", "q", "s"])), draw(st.sampled_from(list(UNITS)))
    )
    dtype = (nifti1.header_dtype if version == 1 else nifti2.header_dtype).newbyteorder(order)
    header = np.frombuffer(good[: dtype.itemsize], dtype).copy()
    for _ in range(draw(st.integers(1, 4))):
        field = header[draw(st.sampled_from(dtype.names))].reshape(-1)
        with np.errstate(over="ignore"):
            field[draw(st.integers(0, field.size - 1))] = draw(values_of(field.dtype))
    return header.tobytes() + good[dtype.itemsize :]


@settings(max_examples=600, deadline=None)
@given(odd_headers())
def test_what_opens_is_a_ct_of_plausible_size_and_lies_where_nibabel_puts_it(content: bytes) -> None:
    try:
        found = read(content)
    except InputRefused:
        return
    assert min(found.shape) >= 3
    assert 0.2 <= min(found.grid.spacing_mm) <= max(found.grid.spacing_mm) <= 10
    assert max(np.multiply(found.shape, found.grid.spacing_mm)) <= 2500
    told = {notice.code for notice in found.notices}
    if told <= {"W_HEADER_ODD", "W_ORIGIN_FAR", "W_AXES_SKEWED"}:
        theirs = by_nibabel(content, found.consumed)
        assert theirs is None or found.grid.matches(Grid(found.shape, theirs))


def by_nibabel(content: bytes, size: int) -> np.ndarray | None:
    """The affine that nibabel reads, in mm; None where it is stricter, or takes a code below 0 for one."""
    order = ">" if content.startswith(b"\0\0") else "<"
    header = (nifti1.Nifti1Header if size == 348 else nifti2.Nifti2Header)(content[:size], order, check=False)
    if float(header["pixdim"][0]) == 0:
        # NIfTI has 0 mean 1; nibabel refuses it.
        header["pixdim"][0] = 1
    per_unit = {1: 1e3, 2: 1.0, 3: 1e-3}[int(header["xyzt_units"]) & 7]
    if min(int(header["qform_code"]), int(header["sform_code"])) < 0:
        return None
    try:
        return header.get_best_affine() * [[per_unit], [per_unit], [per_unit], [1]]
    except (ValueError, HeaderDataError):
        return None
