"""Where a NIfTI header says the voxels lie: sform, qform and voxel sizes, which must agree, in millimetres."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from vision.errors import InputRefused
from vision.geometry import Notice
from vision.geometry.grid import ORTHOGONALITY_TOLERANCE
from vision.io.choices import Choices
from vision.io.refusal import EXPORT_AGAIN, refusing

AGREEMENT_VOXELS = 0.1
EXACT_MM = 0.002
"""What float32 loses of the corners of a CT, with a margin; two statements of one truth differ by no more."""
QUATERNION_PRECISION = 1e-6
SMALLEST_MM, LARGEST_MM = 1e-9, 1e12
MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
SET_ORIENTATION = "Convert the CT again from DICOM with a tool that writes orientation (qform or sform)."

Fields = Mapping[str, np.ndarray]
Read = TypeVar("Read")


@dataclass(frozen=True, eq=False)
class Orientation:
    """The affine (4, 4) of a header, voxel index to RAS+ mm, and what there is to say about it."""

    affine: np.ndarray
    notices: tuple[Notice, ...]


@dataclass(frozen=True, eq=False)
class Header:
    """The header's statements about geometry, as affines in mm. Raises E_HDR for an unknown unit of length."""

    fields: Fields
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        if self.unit not in MM_PER_UNIT:
            raise InputRefused("E_HDR", f"The unit of length has the unknown code {self.unit}.", EXPORT_AGAIN)

    @property
    def unit(self) -> int:
        """NIfTI's code: 1 metre, 2 millimetre, 3 micron, 0 unknown."""
        return int(self.fields["xyzt_units"]) & 7

    @property
    def mm(self) -> float:
        """Millimetres a unit; an unknown one is taken for mm."""
        return MM_PER_UNIT[self.unit]

    @property
    def has_sform(self) -> bool:
        return int(self.fields["sform_code"]) > 0

    @property
    def has_qform(self) -> bool:
        return int(self.fields["qform_code"]) > 0

    @property
    def steps(self) -> np.ndarray:
        """Voxel sizes (3,), in mm."""
        return _float64(self.fields["pixdim"][1:4]) * self.mm

    @property
    def steps_valid(self) -> bool:
        return bool(np.isfinite(self.steps).all() and (self.steps > 0).all())

    def sform(self) -> np.ndarray:
        """Raises E_AFFINE when it holds no volume."""
        rows = _float64(np.stack([self.fields["srow_x"], self.fields["srow_y"], self.fields["srow_z"]])) * self.mm
        affine = np.vstack([rows, (0.0, 0.0, 0.0, 1.0)])
        # Within these bounds no product of numbers is lost to infinity or to zero.
        sane = bool((np.abs(affine) < LARGEST_MM).all() and (np.abs(affine[:3, :3]).max(axis=0) > SMALLEST_MM).all())
        if not sane or np.linalg.det(affine[:3, :3]) == 0:
            raise InputRefused("E_AFFINE", "The sform is not finite and invertible.", SET_ORIENTATION)
        return affine

    def qforms(self, like: np.ndarray | None = None) -> list[np.ndarray]:
        """The affines that the quaternion may mean: one, or more where rounding hides how it turns.

        A file holds three components of a unit quaternion; near a half turn (LPS, as CT comes) the fourth is lost in
        their rounding. Where it could be that of the directions `like` (3, 3), it is. Raises E_AFFINE.
        """
        from nibabel.quaternions import mat2quat

        imaginary, square = self._quaternion()
        with refusing("E_AFFINE", "The qform is not a rotation"):
            # Within rounding it is a half turn, as that of any CT in LPS order that leans to the front or the side.
            found = [0.0 if square < self.rounding else np.sqrt(square)]
            if like is not None:
                real = float(mat2quat(like * (1.0, 1.0, self.handed))[0])
                if abs(square - real**2) < QUATERNION_PRECISION:
                    found += [real, -real]
            return [self._turned(real, imaginary) for real in found]

    def qform_doubt(self) -> float:
        """How far apart the rounding of the quaternion leaves the corners of the qform, in mm."""
        imaginary, square = self._quaternion()
        low, high = (np.sqrt(max(square + error, 0.0)) for error in (-self.rounding, self.rounding))
        directions = self._turned(0.0, imaginary)[:3, :3] / self.steps
        if low == 0 and np.abs(directions - np.rint(directions)).max() < QUATERNION_PRECISION:
            return 0.0  # along the patient's axes, as CT is but for a tilted head
        return self.apart(self._turned(low, imaginary), self._turned(high, imaginary))

    @property
    def rounding(self) -> float:
        """What the file's number type loses of the squares of a quaternion."""
        return 3 * float(np.finfo(self.fields["quatern_b"].dtype).eps)

    @property
    def handed(self) -> float:
        """-1 when the third axis of the qform points the other way."""
        return -1.0 if float(self.fields["pixdim"][0]) < 0 else 1.0

    def _quaternion(self) -> tuple[np.ndarray, float]:
        """The three components (3,) that the file holds, and the square of the fourth. Raises E_AFFINE."""
        imaginary = _float64(np.stack([self.fields[f"quatern_{part}"] for part in "bcd"]))
        with np.errstate(all="ignore"):
            square = float(1 - imaginary @ imaginary)
        if not square > -1e-5:
            raise InputRefused("E_AFFINE", "The qform is not a rotation.", SET_ORIENTATION)
        return imaginary, square

    def _turned(self, real: float, imaginary: np.ndarray) -> np.ndarray:
        from nibabel.quaternions import quat2mat

        affine = np.eye(4)
        affine[:3, :3] = quat2mat([real, *imaginary]) * (self.steps * (1.0, 1.0, self.handed))
        affine[:3, 3] = _float64(np.stack([self.fields[f"qoffset_{axis}"] for axis in "xyz"])) * self.mm
        if not np.isfinite(affine).all():
            raise InputRefused("E_AFFINE", "The qform is not finite.", SET_ORIENTATION)
        return affine

    def apart(self, one: np.ndarray, other: np.ndarray) -> float:
        """How far two affines put the same corner of the volume from each other, at most, in mm."""
        corners = np.array([(*corner, 1) for corner in itertools.product(*[(0, n - 1) for n in self.shape])])
        with np.errstate(all="ignore"):
            return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())

    def qform_apart(self, affine: np.ndarray) -> float:
        """How far the qform lies from what a program that writes `affine` makes of it: the nearest rotation.

        Raises E_AFFINE.
        """
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        left, _, right = np.linalg.svd(affine[:3, :3] / lengths)
        turned = affine.copy()
        turned[:3, :3] = left @ right * lengths
        return min(self.apart(turned, qform) for qform in self.qforms(like=left @ right))

    def steps_apart(self, affine: np.ndarray) -> float:
        """How far a corner moves when the voxel sizes are taken instead of the affine's own, in mm.

        Of a sheared affine some programs write the length of an axis, others the distance of its planes.
        """
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        planes = 1 / np.linalg.norm(np.linalg.inv(affine[:3, :3]), axis=1)
        wrong = np.minimum(np.abs(lengths - self.steps), np.abs(planes - self.steps))
        with np.errstate(all="ignore"):
            return float(np.linalg.norm(wrong * np.subtract(self.shape, 1)))


def read_orientation(header: Header, choices: Choices) -> Orientation:
    """The affine by sform, else qform, in mm, where all that the header says agrees or a choice settles it.

    The affine is finite but not yet known to be orthogonal. Raises InputRefused: E_HDR, E_NO_ORIENTATION, E_SPACING,
    E_AFFINE, E_AFFINE_CONFLICT.
    """
    said = [Notice("W_UNITS_UNKNOWN", "The file names no unit of length; mm was taken.")] if header.unit == 0 else []
    if not header.steps_valid and not header.has_sform and (header.has_qform or choices.assume_orientation):
        raise InputRefused("E_SPACING", f"The voxel spacing is {as_text(header.steps)}.", EXPORT_AGAIN)
    if not header.has_sform and not header.has_qform:
        affine, notices = _assumed(header, choices.assume_orientation)
    elif not header.steps_valid:
        affine = header.sform()
        notices = [Notice("W_PIXDIM_IGNORED", "The header's voxel sizes are invalid; its affine was used.")]
    else:
        affine, notices = _agreed(header, choices)
    return Orientation(affine, (*said, *notices))


def skew_of(affine: np.ndarray) -> float:
    """The largest cosine between two axes of an affine: 0 when they are perpendicular, inf when one has no length."""
    with np.errstate(all="ignore"):
        axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
        skew = np.abs(axes.T @ axes - np.eye(3)).max()
    return float(skew) if np.isfinite(skew) else float("inf")


def _agreed(header: Header, choices: Choices) -> tuple[np.ndarray, list[Notice]]:
    """The one affine of a header whose statements agree, or the preferred one of two."""
    if not header.has_sform:
        if float(header.fields["pixdim"][0]) not in (-1.0, 0.0, 1.0):
            raise InputRefused("E_AFFINE", "The header does not say to which side the slices grow.", SET_ORIENTATION)
        affine, doubt = header.qforms()[0], header.qform_doubt()
        if doubt <= AGREEMENT_VOXELS * header.steps.min():
            return affine, []
        text = f"The qform says only to {doubt:.2g} mm where the corners of the CT lie."
        return affine, [Notice("W_ORIENTATION_INEXACT", text)]
    prefer = choices.prefer if header.has_qform else "sform" if choices.prefer == "sform" else None
    if prefer == "qform":
        affine = header.qforms()[0]
        apart = _or_endless(lambda: header.qform_apart(header.sform()))
    else:
        affine = _offering("qform", header, header.sform)
        sheared = skew_of(affine) > ORTHOGONALITY_TOLERANCE
        if sheared and not choices.resample:
            return affine, []  # to be refused for that
        distance = partial(header.qform_apart if header.has_qform and not sheared else header.steps_apart, affine)
        apart = _or_endless(distance) if prefer else _offering("sform", header, distance)
    if apart <= EXACT_MM:
        return affine, []
    if prefer is not None:
        text = f"The header contradicts itself; its {prefer} was used, as chosen."
        return affine, [Notice("W_ORIENTATION_CHOSEN", text)]
    other = "qform" if header.has_qform else "voxel sizes"
    if not apart <= AGREEMENT_VOXELS * float(np.linalg.norm(affine[:3, :3], axis=0).min()):
        flags = "--prefer sform or --prefer qform" if header.has_qform else "--prefer sform"
        raise InputRefused(
            "E_AFFINE_CONFLICT",
            f"The header contradicts itself: its sform and its {other} put the same corner {apart:.3g} mm apart.",
            f"Convert the CT again from DICOM, or choose with {flags}.",
        )
    return affine, [
        Notice("W_ORIENTATION_INEXACT", f"The sform was used; the {other} of the file differ by {apart:.2g} mm.")
    ]


def _offering(other: str, header: Header, read: Callable[[], Read]) -> Read:
    """What is read of one form; where it is broken and there is another, the refusal names the flag that takes that."""
    try:
        return read()
    except InputRefused as broken:
        if not (header.has_sform and header.has_qform):
            raise
        remedy = f"{broken.remedy} Or take the file's {other} with --prefer {other}."
        raise InputRefused(broken.code, broken.what, remedy) from None


def _or_endless(distance: Callable[[], float]) -> float:
    """A distance; without end when one of the two cannot be read at all."""
    try:
        return distance()
    except InputRefused:
        return float("inf")


def _assumed(header: Header, axcodes: str | None) -> tuple[np.ndarray, list[Notice]]:
    """An affine that grows towards `axcodes`, the middle of the volume at the origin."""
    if axcodes is None:
        raise InputRefused(
            "E_NO_ORIENTATION",
            "The file does not say which side is which.",
            f"{SET_ORIENTATION} Who knows the order of its axes says it, as in --assume-orientation LPS.",
        )
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    for axis, code in enumerate(axcodes):
        patient, sign = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}[code]
        affine[patient, axis] = sign * header.steps[axis]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(header.shape) - 1) / 2)
    text = f"The file has no orientation; {axcodes} was taken, as chosen. A wrong choice swaps sides."
    return affine, [Notice("W_ORIENTATION_ASSUMED", text)]


def as_text(values: np.ndarray | tuple[float, ...]) -> str:
    """Numbers for a message, as 1 x 2 x 3."""
    return " x ".join(f"{float(value):.4g}" for value in values)


def _float64(values: np.ndarray) -> np.ndarray:
    """Widen untrusted numbers; a signalling NaN among them must not warn."""
    with np.errstate(invalid="ignore"):
        return np.asarray(values).astype(np.float64)
