"""From stored numbers to Hounsfield units, and the tests whether they are Hounsfield units at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vision.errors import InputRefused
from vision.geometry import Notice

AIR_HU = -1024
PADDING_BELOW_HU = -1500
LOWEST, HIGHEST = -32768, 32767
NORMALISED_RANGE = 20.0
NONFINITE_SHARE = 1e-3
SLAB_VOXELS = 1 << 20
OFFSET = 1024
THIN_AS_AIR_HU = -900
LARGEST_HU = 30000
"""Extended scales, ten times the usual one for metal, end at 30710; what is above means nothing."""
CEILINGS_HU = (3071, 3072, 3095, 4095)


def slabs(shape: tuple[int, int, int]) -> Iterator[tuple[slice, slice, slice]]:
    """Cut a volume along its last axis, the slow one in Fortran order, into pieces of about a million voxels."""
    step = max(1, SLAB_VOXELS // max(1, shape[0] * shape[1]))
    for start in range(0, shape[2], step):
        yield slice(None), slice(None), slice(start, min(start + step, shape[2]))


def to_hu(stored: np.ndarray, slope: float, intercept: float) -> tuple[np.ndarray, list[Notice]]:
    """Scale stored values (I, J, K) to HU: int16 when every one is a whole number, float32 otherwise.

    int16 that needs no scaling is returned as it is, without a copy. Works by slabs: no volume of float64 is made.
    Fewer than 0.1 % NaN or infinite voxels become air with a warning. Raises E_NONFINITE, E_HU.
    """
    if stored.dtype == np.int16 and slope == 1 and intercept == 0:
        return _within_scale(stored)
    whole, low, high, broken = True, np.inf, -np.inf, 0
    for piece in slabs(stored.shape):  # type: ignore[arg-type]
        scaled = _scaled(stored[piece], slope, intercept)
        finite = np.isfinite(scaled)
        if not finite.all():
            broken += int(scaled.size - np.count_nonzero(finite))
            scaled = scaled[finite]
        if scaled.size:
            low, high = min(low, float(scaled.min())), max(high, float(scaled.max()))
            whole = whole and bool((scaled == np.rint(scaled)).all())
    if broken > NONFINITE_SHARE * stored.size:
        raise InputRefused(
            "E_NONFINITE", f"{broken / stored.size:.2%} of the voxels are NaN or infinite.", "Write the CT again."
        )
    if low < LOWEST or high > HIGHEST:
        raise InputRefused(
            "E_HU",
            f"The values run from {low:.6g} to {high:.6g}, which no CT in Hounsfield units does.",
            "Check the scaling (slope and intercept) and whether signed values were stored as unsigned.",
        )
    hu = np.empty(stored.shape, dtype=np.int16 if whole else np.float32, order="F")
    for piece in slabs(stored.shape):  # type: ignore[arg-type]
        scaled = _scaled(stored[piece], slope, intercept)
        if broken:
            scaled = np.where(np.isfinite(scaled), scaled, AIR_HU)
        hu[piece] = scaled
    hu, notices = _within_scale(hu)
    if broken:
        notices.append(Notice("W_NONFINITE_REPAIRED", f"{broken} voxels were NaN or infinite and were set to air."))
    return hu, notices


def without_offset(hu: np.ndarray) -> tuple[np.ndarray, list[Notice]]:
    """Take away the 1024 that was added to HU, where it was; what is HU already is returned as it is."""
    histogram = HUHistogram.of(hu)
    if not histogram.is_offset:
        return hu, []
    fixed = np.maximum(hu - hu.dtype.type(OFFSET), hu.dtype.type(AIR_HU))
    air = HUHistogram.of(fixed).peak(-1100, -850)
    text = f"{OFFSET} was subtracted from every voxel, as chosen; most of the air then has {air} HU."
    return fixed, [Notice("W_OFFSET_FIXED", text)]


def _scaled(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """One slab in HU, float64 so that whole numbers stay whole."""
    with np.errstate(all="ignore"):
        return stored.astype(np.float64) * slope + intercept


def _within_scale(hu: np.ndarray) -> tuple[np.ndarray, list[Notice]]:
    """Set what lies far below air, which scanners write outside their field of view, to air; cut off what is no metal.

    W_METAL for the latter is `check_hu`'s.
    """
    notices = []
    low, high = (hu.min(), hu.max()) if hu.size else (0, 0)
    if low < PADDING_BELOW_HU:
        notices.append(Notice("W_PADDING", "Voxels outside the scanner's field of view were set to air."))
    if low < PADDING_BELOW_HU or high > LARGEST_HU:
        for piece in slabs(hu.shape):  # type: ignore[arg-type]
            part = hu[piece]
            part[part < PADDING_BELOW_HU] = AIR_HU
            np.minimum(part, LARGEST_HU, out=part)
    return hu, notices


@dataclass(frozen=True, eq=False)
class HUHistogram:
    """How often each whole HU from -32768 to 32767 occurs: `counts` (65536,) int64. Fractions are rounded."""

    counts: np.ndarray

    @classmethod
    def of(cls, hu: np.ndarray) -> HUHistogram:
        """Count (I, J, K) HU by slabs."""
        counts = np.zeros(HIGHEST - LOWEST + 1, dtype=np.int64)
        for piece in slabs(hu.shape):  # type: ignore[arg-type]
            whole = (
                np.rint(hu[piece]).astype(np.int16) if hu.dtype.kind == "f" else hu[piece].astype(np.int16, copy=False)
            )
            # Unsigned, HU below 0 come after those above; one pass widens them as bincount wants them.
            counts += np.bincount(whole.ravel(order="K").view(np.uint16).astype(np.intp), minlength=counts.size)
        return cls(np.roll(counts, -LOWEST))

    @property
    def minimum(self) -> int:
        """Lowest HU."""
        return int(np.flatnonzero(self.counts)[0]) + LOWEST

    @property
    def maximum(self) -> int:
        """Highest HU."""
        return int(np.flatnonzero(self.counts)[-1]) + LOWEST

    @property
    def distinct(self) -> int:
        """How many different values occur."""
        return int(np.count_nonzero(self.counts))

    def share(self, low: int, high: int) -> float:
        """Share of the voxels with low <= HU <= high."""
        low, high = max(low, LOWEST), min(high, HIGHEST)
        return float(self.counts[low - LOWEST : high - LOWEST + 1].sum() / self.counts.sum())

    def percentile(self, percent: float) -> int:
        """The HU below or at which `percent` of the voxels lie."""
        cumulative = np.cumsum(self.counts)
        return int(np.searchsorted(cumulative, percent / 100 * cumulative[-1])) + LOWEST

    def peak(self, low: int, high: int) -> int | None:
        """The most frequent HU with low <= HU <= high; None when nothing lies there."""
        part = self.counts[low - LOWEST : high - LOWEST + 1]
        return int(part.argmax()) + low if part.any() else None

    @property
    def is_offset(self) -> bool:
        """Whether air lies near 0 and most of the rest near 1024, as unsigned files without a rescale have it.

        What is as thin as air or thinner says nothing: it may be the padding around the field of view.
        """
        inside = self.share(THIN_AS_AIR_HU, HIGHEST)
        air_near_0 = self.share(THIN_AS_AIR_HU, -50) < 0.005 * inside and self.share(-50, 124) > 0.05 * inside
        return air_near_0 and self.share(874, 1274) > 0.6 * self.share(200, HIGHEST)

    @property
    def clipped_low(self) -> bool:
        """Whether values end in a plateau above air: whoever wrote the file cut them off."""
        return self.minimum > -900 and self.share(self.minimum, self.minimum + 1) > 0.01

    @property
    def clipped_high(self) -> bool:
        """Whether values end in a plateau below the HU of bone."""
        top = self.counts[: self.maximum - LOWEST + 1]
        # The last two values against the usual pair among the ten before: a tail thins out, a plateau stands up.
        return self.maximum < 1500 and bool(top[-2:].sum() > 4 * max(2.0, 2 * top[-12:-2].mean()))


def check_hu(hu: np.ndarray, histogram: HUHistogram) -> list[Notice]:
    """Refuse volumes that are not CT in HU; warn of clipped ones.

    Raises E_NO_SIGNAL, E_LOOKS_LIKE_MASK, E_HU (another scale), E_MODALITY_GUESS (MR-like).
    A CT of a body holds air near -1000 or fat near -100, and most of the body lies between fat and enhanced vessels.
    """
    low, high = histogram.minimum, histogram.maximum
    if low == high and (hu == hu.flat[0]).all():
        raise InputRefused("E_NO_SIGNAL", f"Every voxel has the value {low}.", "Check that this is the CT.")
    if _looks_like_mask(hu, histogram):
        raise InputRefused(
            "E_LOOKS_LIKE_MASK",
            f"This is a label map, not a CT: {histogram.distinct} whole numbers from {low} to {high}.",
            "Give the CT (usually ct.nii.gz) and not a segmentation.",
        )
    if high - low < NORMALISED_RANGE:
        raise _other_scale(f"The values span only {float(hu.max()) - float(hu.min()):.3g}: they were normalised")
    if histogram.is_offset:
        raise InputRefused(
            "E_HU",
            "The values seem to be HU with 1024 added; these are not Hounsfield units.",
            "Export the CT again in Hounsfield units, or subtract 1024 with --fix-offset.",
        )
    if histogram.share(LOWEST, -50) < 0.005:
        if high <= 255:
            raise _other_scale(f"The values run from {low} to {high}: a window was stored in 8 bits")
        raise _not_ct(f"no voxel shows the density of air or fat (the values run from {low} to {high})")
    body = histogram.share(-300, HIGHEST)
    soft = histogram.share(-150, 300)
    if soft < 0.02:
        raise _other_scale(f"Only {soft:.1%} of the voxels have the density of fat or soft tissue")
    if soft < 0.4 * body:
        raise _not_ct(f"only {soft / body:.0%} of the body has the density of fat or soft tissue")
    return _clipping_notices(histogram)


def _clipping_notices(histogram: HUHistogram) -> list[Notice]:
    notices = []
    low, high = histogram.minimum, histogram.maximum
    if histogram.clipped_low or histogram.clipped_high:
        text = f"HU were clipped by the source to [{low}, {high}]: "
        notices.append(Notice("W_HU_CLIPPED", text + "air, lung, bone or dense contrast beyond that cannot be told."))
    if high in CEILINGS_HU or high > max(CEILINGS_HU):
        notices.append(Notice("W_METAL", f"Voxels of {high} HU: metal or a saturated scanner; HU near it are unsure."))
    return notices


def _looks_like_mask(hu: np.ndarray, histogram: HUHistogram) -> bool:
    """Few whole non-negative numbers, mostly equal to their neighbours."""
    if hu.dtype != np.int16 or histogram.minimum < 0 or histogram.distinct > 160:
        return False
    if histogram.distinct <= 32:
        return True
    labelled = hu[:-1] > 0
    return bool((hu[:-1][labelled] == hu[1:][labelled]).mean() > 0.8)


def _other_scale(what: str) -> InputRefused:
    return InputRefused("E_HU", f"{what}; these are not Hounsfield units.", "Export the CT again in Hounsfield units.")


def _not_ct(what: str) -> InputRefused:
    return InputRefused(
        "E_MODALITY_GUESS", f"This does not look like a CT: {what}.", "Give a CT in Hounsfield units; MR is not read."
    )
