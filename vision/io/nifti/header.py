"""The NIfTI header gate: from 352 untrusted bytes to a shape, a number type and a grid, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vision.errors import InputRefused
from vision.geometry import Grid, Notice
from vision.geometry.grid import ORTHOGONALITY_TOLERANCE
from vision.io.choices import ASK, Choices
from vision.io.files.sniff import kind_of
from vision.io.files.stream import ByteStream
from vision.io.nifti.oddities import odd_fields
from vision.io.nifti.orientation import SET_ORIENTATION, Header, as_text, read_orientation, skew_of
from vision.io.refusal import EXPORT_AGAIN, Limits, refusing
from vision.io.upright import RESAMPLED, upright_grid

SPACING_MM = (0.2, 10.0)
ROUNDING_MM = 1e-6
EXTENT_MM = (100.0, 2500.0)
MICROSCOPIC_MM = 0.02
SKEW_TO_TELL = 2e-4
"""As a cosine: 0.06 mm over 300 mm. Direction cosines of six digits, as scanners write them, stay far below."""
NUMBERS = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
LARGEST_OFFSET = 64 << 20

_Place = tuple[Grid, np.ndarray | None, list[Notice]]


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """What the gate lets through: `dtype` in the file's byte order, `offset` of the first voxel, scaling and grid.

    `sheared` is the affine (4, 4) of voxels that are to be resampled to `grid`, None of all others, whose shape is the
    grid's own.
    """

    shape: tuple[int, int, int]
    grid: Grid
    sheared: np.ndarray | None
    volumes: int
    dtype: np.dtype
    offset: int
    consumed: int
    slope: float
    intercept: float
    notices: tuple[Notice, ...]


def read_header(stream: ByteStream, limits: Limits, choices: Choices = ASK) -> NiftiHeader:
    """Read and judge a NIfTI-1 or NIfTI-2 header of either byte order.

    Raises InputRefused: E_TYPE, E_TRUNCATED, E_PAIR, E_NO_ORIENTATION, E_HDR, E_DIMS, E_TOO_FEW_SLICES, E_SIZE,
    E_DTYPE, E_AFFINE, E_AFFINE_CONFLICT, E_SPACING, E_EXTENT.
    """
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    start = stream.read(4)
    lengths = {int.from_bytes(start, order): (order, start) for order in ("little", "big")}  # type: ignore[arg-type]
    size = next((size for size in (348, 540) if size in lengths), None)
    if size is None:
        raise _not_nifti(start + stream.read(400))
    block = start + stream.read(size - 4)
    if len(block) < size:
        raise InputRefused("E_TRUNCATED", "The file ends within the NIfTI header.", EXPORT_AGAIN)
    _check_magic(block, size)
    endianness = "<" if lengths[size][0] == "little" else ">"
    with refusing("E_HDR", "The NIfTI header cannot be read"):
        header = (Nifti1Header if size == 348 else Nifti2Header)(block, endianness, check=False)
        fields = {name: header[name] for name in header.keys()}  # noqa: SIM118 (a header is no mapping)
    offset = _offset(float(fields["vox_offset"]), size)
    shape, volumes = _shape(fields["dim"], limits)
    slope, intercept = _scaling(float(fields["scl_slope"]), float(fields["scl_inter"]))
    said = Header(fields, shape)
    grid, sheared, notices = _grid(said, limits, choices)
    odd = odd_fields(said)
    if odd:
        text = f"The header holds in {', '.join(odd[:4])} what no program writes there: it may be damaged."
        notices.append(Notice("W_HEADER_ODD", text))
    return NiftiHeader(
        shape=shape,
        grid=grid,
        sheared=sheared,
        volumes=volumes,
        dtype=_dtype(int(fields["datatype"]), int(fields["bitpix"]), endianness),
        offset=offset,
        consumed=size,
        slope=slope,
        intercept=intercept,
        notices=tuple(notices),
    )


def _not_nifti(start: bytes) -> InputRefused:
    kind = kind_of(start)
    return InputRefused(
        "E_TYPE", f"This is not a NIfTI file; its content is {kind}.", "Give a .nii, .nii.gz, DICOM folder or .zip."
    )


def _check_magic(block: bytes, size: int) -> None:
    # The second half of NIfTI-2's magic is broken by a transfer as text, as in PNG.
    magic = block[344:348] if size == 348 else block[4:12]
    if magic in (b"n+1\0", b"n+2\0\r\n\x1a\n"):
        return
    if magic in (b"ni1\0", b"ni2\0\r\n\x1a\n"):
        raise InputRefused("E_PAIR", "This is the header of a .hdr/.img pair.", "Convert the pair to one .nii.gz.")
    if magic == b"\0\0\0\0" and size == 348:
        raise InputRefused("E_NO_ORIENTATION", "This is Analyze 7.5, which has no orientation.", SET_ORIENTATION)
    raise InputRefused("E_HDR", "The NIfTI header has no valid magic bytes.", EXPORT_AGAIN)


def _offset(offset: float, size: int) -> int:
    if not np.isfinite(offset) or offset != int(offset) or not size + 4 <= offset <= LARGEST_OFFSET:
        raise InputRefused("E_HDR", f"The voxels start at byte {offset:g} according to the header.", EXPORT_AGAIN)
    return int(offset)


def _shape(dim: np.ndarray, limits: Limits) -> tuple[tuple[int, int, int], int]:
    """The three dimensions and the number of volumes. E_DIMS, E_TOO_FEW_SLICES, E_SIZE."""
    rank = int(dim[0])
    sizes = [int(n) for n in dim[1 : rank + 1]] if 1 <= rank <= 7 else []
    if not sizes or min(sizes) < 1:
        raise InputRefused("E_DIMS", f"The header gives {rank} dimensions of {sizes}.", EXPORT_AGAIN)
    if len(sizes) < 3 or sizes[:3].count(1) == 1:
        text = " x ".join(str(n) for n in sizes)
        raise InputRefused("E_DIMS", f"This is a 2D image ({text}).", "Give the whole CT as one 3D volume.")
    if any(n > 1 for n in sizes[4:]):
        raise InputRefused("E_DIMS", f"This has {rank} dimensions of {sizes}.", "Give one 3D volume.")
    i, j, k = sizes[:3]
    if min(i, j, k) < 3:
        raise InputRefused("E_TOO_FEW_SLICES", f"{i} x {j} x {k} voxels are no volume.", "Give at least 3 slices.")
    volumes = sizes[3] if len(sizes) > 3 else 1
    if i * j * k > limits.voxels or volumes > limits.slices:
        raise InputRefused(
            "E_SIZE",
            f"{i} x {j} x {k} x {volumes} voxels need {i * j * k * volumes * 2 / 2**30:.1f} GiB.",
            "Crop the CT to the abdomen.",
        )
    return (i, j, k), volumes


def _dtype(code: int, bits: int, endianness: str) -> np.dtype:
    from nibabel.nifti1 import data_type_codes

    if code not in data_type_codes.dtype:
        raise InputRefused("E_DTYPE", f"The number type has the unknown code {code}.", EXPORT_AGAIN)
    dtype = np.dtype(data_type_codes.dtype[code])  # type: ignore[call-overload]
    if dtype.str[1:] not in NUMBERS:
        raise InputRefused(
            "E_DTYPE", f"The voxels are of type {data_type_codes.label[code]}.", "Give voxels of plain real numbers."
        )
    if bits != dtype.itemsize * 8:
        raise InputRefused(
            "E_DTYPE", f"The header gives {bits} bits a voxel for {data_type_codes.label[code]}.", EXPORT_AGAIN
        )
    return dtype.newbyteorder(endianness)


def _scaling(slope: float, intercept: float) -> tuple[float, float]:
    """NIfTI's scl_slope and scl_inter; no slope is 0 or NaN, and what an intercept means then, readers disagree on."""
    if np.isnan(slope) or slope == 0:
        if np.isfinite(intercept) and intercept != 0:
            raise InputRefused("E_HDR", f"The intercept is {intercept:g} but there is no slope.", EXPORT_AGAIN)
        return 1.0, 0.0
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise InputRefused("E_HDR", f"The scaling is {slope:g} x + {intercept:g}.", EXPORT_AGAIN)
    return slope, intercept


def _grid(header: Header, limits: Limits, choices: Choices) -> _Place:
    """The grid of the voxels; of a sheared volume, when that was chosen, the upright one that it is to be put on."""
    orientation = read_orientation(header, choices)
    affine, shape, notices = orientation.affine, header.shape, list(orientation.notices)
    skew = skew_of(affine)
    sheared = choices.resample and ORTHOGONALITY_TOLERANCE < skew < np.inf
    grid = upright_grid(shape, affine, limits) if sheared else make_grid(shape, affine)
    if sheared:
        notices.append(RESAMPLED)
    elif skew > SKEW_TO_TELL:
        degrees = np.degrees(np.arcsin(skew))
        notices.append(Notice("W_AXES_SKEWED", f"The axes deviate from right angles by {degrees:.2g} degrees."))
    check_size(grid)
    return grid, affine if sheared else None, notices


def make_grid(shape: tuple[int, int, int], affine: np.ndarray) -> Grid:
    """A Grid, or E_AFFINE when the affine is not finite, invertible and orthogonal."""
    try:
        with np.errstate(all="ignore"):
            return Grid(shape, affine)
    except ValueError as error:
        resample = f"{SET_ORIENTATION} Or put a sheared CT on an upright grid with --resample."
        raise InputRefused("E_AFFINE", f"The affine cannot be used: {error}.", resample) from None


def check_size(grid: Grid) -> None:
    """Refuse spacings and extents that no CT of a body has: E_EXTENT, E_SPACING."""
    spacing = np.asarray(grid.spacing_mm)
    extent = spacing * grid.shape
    if spacing.max() < MICROSCOPIC_MM:
        raise _extent(grid)
    # Turned axes have lengths of 10.0000000002.
    if spacing.min() < SPACING_MM[0] - ROUNDING_MM or spacing.max() > SPACING_MM[1] + ROUNDING_MM:
        raise InputRefused(
            "E_SPACING", f"The voxel spacing is {as_text(spacing)} mm; 0.2 to 10 mm is read.", "Check the header."
        )
    if extent.max() > EXTENT_MM[1]:
        raise _extent(grid)


def require_body(grid: Grid) -> None:
    """Refuse a grid too small for a body, as a wrong unit or spacing makes it: E_EXTENT."""
    if max(n * step for n, step in zip(grid.shape, grid.spacing_mm, strict=True)) < EXTENT_MM[0]:
        raise _extent(grid)


def _extent(grid: Grid) -> InputRefused:
    extent = np.multiply(grid.shape, grid.spacing_mm)
    return InputRefused(
        "E_EXTENT", f"The CT measures {as_text(extent)} mm.", "Check the unit and the spacing; whole CTs are read."
    )
