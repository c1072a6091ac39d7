"""Attenuation of a lesion against the organ that it lies in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vision.geometry import CTVolume, Mask
from vision.measure.intensity import Intensity, core_intensity, intensity, relative_attenuation

Word = Literal["hypo", "iso", "hyper"]

HOLLOW = frozenset(
    {
        "stomach",
        "duodenum",
        "intestine",
        "colon",
        "rectum",
        "esophagus",
        "gall_bladder",
        "bladder",
        "lung_left",
        "lung_right",
    }
)
"""Structures whose masks hold contents or air, which a lesion's attenuation says nothing against."""
ORGAN_BORDERS_MM = (3.0, 1.5)
"""How far from the organ's border and from its lesions its tissue is measured; the second where it is too thin for the
first. Engineering choice: the blur of a CT and of the mask's edge."""
LEAST_ORGAN_ML = 0.5
CORE_MM = 2.0
"""How far from its border a lesion is measured where enough of it remains. Engineering choice, as above."""
LEAST_CORE_VOXELS = 27
ISO_HU = 10.0
"""A smaller difference of two means is isoattenuating. Engineering choice: about what noise of 15 to 20 HU leaves in
the mean of a small lesion, and what an eye tells at the usual window."""


@dataclass(frozen=True)
class Against:
    """A lesion's HU beside its organ's, and the word for the difference."""

    word: Word
    lesion_hu: float
    organ_hu: float
    lesion_method: str
    organ_method: str


def organ_tissue(ct: CTVolume, organ: Mask, lesions: Sequence[Mask]) -> tuple[Intensity, float] | None:
    """HU of an organ outside its lesions and away from its border and theirs, and the distance kept from them in mm.

    None where less than 0.5 mL of such tissue remains. Raises ValueError for masks on different grids.
    """
    healthy = organ.voxels.copy()
    for lesion in lesions:
        lesion.require_grid(organ.grid)
        if lesion.box is not None:
            healthy[lesion.box.slices] &= ~lesion.voxels[lesion.box.slices]
    tissue = Mask(healthy, organ.grid, organ.structure)
    for border_mm in ORGAN_BORDERS_MM:
        found = core_intensity(ct, tissue, erosion_mm=border_mm)
        if found is not None and found.n * organ.grid.voxel_ml >= LEAST_ORGAN_ML:
            return found, border_mm
    return None


def lesion_core(ct: CTVolume, lesion: Mask) -> tuple[Intensity, str] | None:
    """HU of a lesion away from its border, of all of it where it is small, and which of the two; None when empty."""
    core = core_intensity(ct, lesion, erosion_mm=CORE_MM)
    if core is not None and core.n >= LEAST_CORE_VOXELS:
        return core, f"mean of the voxels farther than {CORE_MM:g} mm from the border"
    whole = intensity(ct, lesion)
    return None if whole is None else (whole, "mean of all voxels, too few for a core")


def lowest_smoothed_hu(ct: CTVolume, lesion: Mask) -> float | None:
    """The 5th percentile of a lesion's HU, each voxel averaged with its 26 neighbours in the lesion; None when empty.

    Voxels within 2 mm of the border are left out, where there are others. Averaging leaves about a third of the noise,
    so that a low value is tissue that is low, such as fat.
    """
    from scipy import ndimage

    box = lesion.box
    if box is None:
        return None
    import edt

    inside = np.pad(lesion.voxels[box.slices], 1)
    hu = np.pad(ct.hu[box.slices].astype(np.float32), 1)
    core = edt.edt(inside, anisotropy=lesion.grid.spacing_mm, black_border=True, parallel=1) > CORE_MM
    share = ndimage.uniform_filter(inside.astype(np.float32), size=3, mode="constant")
    total = ndimage.uniform_filter(np.where(inside, hu, 0), size=3, mode="constant")
    kept = core if core.any() else inside
    return float(np.percentile(total[kept] / share[kept], 5))


def against_organ(ct: CTVolume, lesion: Mask, tissue: tuple[Intensity, float]) -> Against | None:
    """Compare the mean of a lesion's core with the median of its organ's `organ_tissue`; None for an empty lesion.

    The median leaves out what vessels and fat within the organ do to its mean. Raises ValueError when the lesion lies
    on another grid than the CT.
    """
    core = lesion_core(ct, lesion)
    if core is None:
        return None
    found, method = core
    organ, border_mm = tissue
    word = relative_attenuation(found.mean, organ.p50, organ.sd, tolerance_sd=0.0, tolerance_hu=ISO_HU)
    return Against(
        word=word,
        lesion_hu=found.mean,
        organ_hu=organ.p50,
        lesion_method=method,
        organ_method=f"median outside all lesions, farther than {border_mm:g} mm from them and from the border",
    )
