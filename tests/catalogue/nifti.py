"""Rows 36 to 67, but for 59 and 60: NIfTI headers and voxels that are wrong, doubtful or unusual."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.catalogue import nifti_geometry
from tests.catalogue.make_nifti import file_of, header_of, is_the_body, offers, voxels_of
from tests.catalogue.row import Row, accepted, refused, warned
from tests.vision.small_files import SHAPE, body_hu, nifti_bytes
from vision.io.choices import Choices
from vision.io.load import read_ct

NAN, INF = float("nan"), float("inf")
VOLUMES = [body_hu() + np.int16(9), body_hu(), body_hu() - np.int16(9)]
UNSIGNED = (np.maximum(body_hu(), -1024) + 1024).astype(np.uint16)


def broken(value: float, share: float) -> np.ndarray:
    """The body with the first voxels NaN or infinite."""
    hu = body_hu().astype(np.float32)
    hu.ravel(order="K")[: max(1, int(share * hu.size))] = value
    return hu


def repaired() -> np.ndarray:
    hu = body_hu()
    hu.ravel(order="K")[0] = -1024
    return hu


def with_metal(hu: float) -> np.ndarray:
    body = body_hu().astype(np.float32)
    body[12, 12, 5:9] = hu
    return body


def in_order(folder: Path) -> None:
    """A choice that nothing asks for changes nothing and is not told."""
    ct = read_ct(header_of()(folder), choices=Choices(fix_offset=True, resample=True, prefer="qform"))
    assert is_the_body(ct)
    assert {notice.code for notice in ct.warnings} == {notice.code for notice in read_ct(folder / "ct.nii.gz").warnings}


def ringed(added: int, ring: int) -> Callable[[], np.ndarray]:
    """The body with a number added inside the round field of view of a scanner, and padding around it."""
    x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE[:2]), indexing="ij")
    outside = np.broadcast_to((np.hypot(x, y) > 1)[..., None], SHAPE)
    return lambda: np.where(outside, ring, np.maximum(body_hu(), -1024) + added).astype(np.int16)


VALUES: tuple[Row, ...] = (
    refused(36, "two dimensions", "E_DIMS", voxels_of(lambda: body_hu()[:, :, 4])),
    refused(36, "three dimensions, one slice", "E_DIMS", voxels_of(lambda: body_hu()[:, :, 4:5])),
    accepted(37, "four dimensions, one volume", voxels_of(lambda: body_hu()[..., None]), is_the_body),
    offers(refused(38, "several volumes", "E_4D", voxels_of(lambda: np.stack(VOLUMES, -1))), "--volume N"),
    accepted(38, "a chosen volume", voxels_of(lambda: np.stack(VOLUMES, -1)), is_the_body, choices=Choices(volume=1)),
    refused(
        38, "a volume that is not there", "E_4D", voxels_of(lambda: np.stack(VOLUMES, -1)), choices=Choices(volume=3)
    ),
    refused(
        38,
        "a volume before one that is cut",
        "E_TRUNCATED",
        file_of(lambda: nifti_bytes(np.stack(VOLUMES, -1))[:-9]),
        choices=Choices(volume=0),
    ),
    refused(39, "five dimensions", "E_DIMS", voxels_of(lambda: np.stack(VOLUMES, -1)[..., None, :])),
    refused(40, "two slices", "E_TOO_FEW_SLICES", voxels_of(lambda: body_hu()[:, :, :2])),
    refused(40, "one voxel", "E_TOO_FEW_SLICES", voxels_of(lambda: body_hu()[:1, :1, :1])),
    refused(41, "a dimension of 0", "E_DIMS", header_of(dim=[3, 26, 0, 20, 1, 1, 1, 1])),
    refused(41, "a dimension of -20", "E_DIMS", header_of(dim=[3, 26, 24, -20, 1, 1, 1, 1])),
    refused(41, "a rank of 9", "E_DIMS", header_of(dim=[9, 26, 24, 20, 1, 1, 1, 1])),
    refused(42, "32767 cubed", "E_SIZE", header_of(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])),
    refused(42, "a slice more than there are", "E_TRUNCATED", header_of(dim=[3, 26, 24, 21, 1, 1, 1, 1])),
    refused(42, "a slice fewer than there are", "E_SIZE", header_of(dim=[3, 26, 24, 19, 1, 1, 1, 1])),
    refused(42, "a row fewer than there are", "E_SIZE", header_of(dim=[3, 26, 23, 20, 1, 1, 1, 1])),
    refused(42, "a column fewer than there are", "E_SIZE", header_of(dim=[3, 25, 24, 20, 1, 1, 1, 1])),
    refused(43, "colours", "E_DTYPE", header_of(datatype=128, bitpix=24)),
    refused(43, "complex numbers", "E_DTYPE", header_of(datatype=32, bitpix=64)),
    refused(43, "numbers of 128 bits", "E_DTYPE", header_of(datatype=1536, bitpix=128)),
    refused(43, "an unknown number type", "E_DTYPE", header_of(datatype=77)),
    refused(43, "a wrong number of bits", "E_DTYPE", header_of(bitpix=8)),
    warned(44, "one NaN", "W_NONFINITE_REPAIRED", voxels_of(lambda: broken(NAN, 0)), hu=repaired),
    refused(44, "many NaN", "E_NONFINITE", voxels_of(lambda: broken(NAN, 0.01))),
    refused(44, "NaN everywhere", "E_NONFINITE", voxels_of(lambda: broken(NAN, 1))),
    warned(45, "one infinity", "W_NONFINITE_REPAIRED", voxels_of(lambda: broken(INF, 0)), hu=repaired),
    warned(45, "one -infinity", "W_NONFINITE_REPAIRED", voxels_of(lambda: broken(-INF, 0)), hu=repaired),
    refused(45, "many infinities", "E_NONFINITE", voxels_of(lambda: broken(-INF, 0.01))),
    refused(46, "zeros", "E_NO_SIGNAL", voxels_of(lambda: np.zeros_like(body_hu()))),
    refused(46, "air", "E_NO_SIGNAL", voxels_of(lambda: np.full(SHAPE, -1000.0, dtype=np.float32))),
    accepted(47, "a slope of NaN", header_of(scl_slope=NAN, scl_inter=NAN), is_the_body),
    accepted(47, "a slope of 0", header_of(scl_slope=0.0, scl_inter=0.0), is_the_body),
    refused(47, "a slope of 0 with an intercept", "E_HDR", header_of(scl_slope=0.0, scl_inter=5.0)),
    refused(47, "a slope of infinity", "E_HDR", header_of(scl_slope=INF, scl_inter=0.0)),
    refused(47, "a slope of 1e30", "E_HU", header_of(scl_slope=1e30, scl_inter=0.0)),
    accepted(47, "a slope that scales", voxels_of(lambda: UNSIGNED, scl_slope=1.0, scl_inter=-1024.0), is_the_body),
    offers(refused(61, "unsigned, 1024 added", "E_HU", voxels_of(lambda: UNSIGNED)), "--fix-offset"),
    warned(
        61,
        "unsigned, 1024 added, taken away",
        "W_OFFSET_FIXED",
        voxels_of(lambda: UNSIGNED),
        choices=Choices(fix_offset=True),
        hu=body_hu,
    ),
    *(
        offers(
            refused(61, f"{added} added, a ring of {ring} around", "E_HU", voxels_of(ringed(added, ring))),
            "--fix-offset",
        )
        for added in (1000, 1024)
        for ring in (-1000, -2000)
    ),
    warned(
        61,
        "1024 added with a ring of padding, taken away",
        "W_OFFSET_FIXED",
        voxels_of(ringed(1024, -2000)),
        choices=Choices(fix_offset=True),
        hu=ringed(0, -1024),
    ),
    Row(61, "choices that nothing asks for", "opened exactly", in_order),
    refused(62, "signs wrapped to 64512 and more", "E_HU", voxels_of(lambda: body_hu().view(np.uint16))),
    refused(63, "values from 0 to 1", "E_HU", voxels_of(lambda: ((body_hu() + 1024) / 4000).astype(np.float32))),
    refused(
        63,
        "a window in 8 bits",
        "E_HU",
        voxels_of(lambda: np.clip((body_hu() + 160) * 0.7, 0, 255).astype(np.uint8)),
    ),
    refused(63, "hardly any tissue", "E_HU", voxels_of(lambda: np.where(body_hu() > 380, 500, body_hu() // 9 - 900))),
    warned(64, "metal of 3071 HU", "W_METAL", voxels_of(lambda: with_metal(3071)), hu=lambda: with_metal(3071)),
    warned(64, "metal of 30000 HU", "W_METAL", voxels_of(lambda: with_metal(30000)), hu=lambda: with_metal(30000)),
    warned(
        64, "metal of 30710 HU, cut off", "W_METAL", voxels_of(lambda: with_metal(30710)), hu=lambda: with_metal(30000)
    ),
)
ROWS = (*VALUES, *nifti_geometry.ROWS)
