"""What part of a body a CT shows, told from its outline, its air and its bone before anything is segmented.

Coarse rules on coarse slices: they catch a head, a chest, legs, a turned-over file, a child or a phantom, and noise.
They are no proof that a CT is fit. The thresholds are argued beside each and were set on no acceptance data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vision.geometry import Grid, reorient_array

REGIONS = ("head", "chest", "abdomen", "legs")
"""From superior to inferior; the pelvis counts as abdomen."""
PLANE_MM, SLICE_MM = 4.0, 5.0
"""Sampling of the coarse look."""
BODY_ABOVE_HU = -300
AIR_BELOW_HU = -600
BONE_ABOVE_HU = 240
SPINE_ABOVE_HU = 180
SMALLEST_AREA_CM2 = 30.0
LUNG_SHARE = 0.12
"""Of a slice's body. Bowel gas fills up to a tenth; the lowest slices with lung begin above an eighth."""
SKULL_SHARE, HEAD_CM2 = 0.10, 400.0
"""Bone of a slice's body and its area: a skull is a shell of bone; vertebra, ribs or pelvis stay below a tenth."""
SECOND_LEG_SHARE = 0.4
PERSISTENT = 0.5
"""Share of the slices in which a place is bright for it to count as the column of spine and aorta."""


@dataclass(frozen=True)
class Body:
    """`regions` names each coarse slice from inferior to superior: 'abdomen', 'chest', 'head', 'legs' or '' (no body).

    `step_mm` is their distance, `area_cm2` the median section of the abdomen (else of all), `spine` where the column of
    spine and aorta lies between back (-0.5) and front (0.5), None when none is found, `bone` the share of bone in the
    body, `noise_hu` the standard deviation of even soft tissue, None when there is none.
    """

    regions: tuple[str, ...]
    step_mm: float
    area_cm2: float
    spine: float | None
    bone: float
    noise_hu: float | None

    def covered_mm(self, region: str) -> float:
        """Length of the body axis that shows a region."""
        return self.regions.count(region) * self.step_mm

    def height_of(self, region: str) -> float:
        """Mean place of a region along the body axis in slices from the inferior end; it must be there."""
        return float(np.mean([k for k, name in enumerate(self.regions) if name == region]))


@dataclass(frozen=True)
class _Section:
    region: str
    area_cm2: float
    body: np.ndarray


def look_at_body(hu: np.ndarray, grid: Grid) -> Body:
    """Look coarsely at (I, J, K) HU on their grid."""
    ras, order, signs = grid.reoriented("RAS")
    volume = reorient_array(hu, order, signs)
    x, y, z = ras.spacing_mm
    steps = [max(1, round(wanted / have)) for wanted, have in ((PLANE_MM, x), (PLANE_MM, y), (SLICE_MM, z))]
    coarse = volume[:: steps[0], :: steps[1], :: steps[2]]
    lowest = float(coarse.min())
    # A source that cut off air left its floor in the place of air.
    floor = BODY_ABOVE_HU if lowest < AIR_BELOW_HU else lowest + 10
    air = AIR_BELOW_HU if lowest < AIR_BELOW_HU else lowest + 1
    pixel_cm2 = x * steps[0] * y * steps[1] / 100
    sections = [_section(coarse[:, :, k], floor, air, pixel_cm2) for k in range(coarse.shape[2])]
    trunk = [one for one in sections if one.region == "abdomen"] or [one for one in sections if one.region]
    bodies = np.stack([one.body for one in sections], axis=2)
    inside = int(np.count_nonzero(bodies))
    return Body(
        regions=tuple(one.region for one in sections),
        step_mm=z * steps[2],
        area_cm2=float(np.median([one.area_cm2 for one in trunk])) if trunk else 0.0,
        spine=_spine(coarse, bodies),
        bone=float(np.count_nonzero((coarse > BONE_ABOVE_HU) & bodies)) / max(1, inside),
        noise_hu=_noise(volume, steps[2]),
    )


def _section(plane: np.ndarray, floor: float, air: float, pixel_cm2: float) -> _Section:
    """What one axial plane shows: the body is its largest piece, air inside it included."""
    from scipy.ndimage import binary_fill_holes, label

    pieces, _ = label(plane > floor)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    largest = int(sizes.argmax())
    if sizes[largest] * pixel_cm2 < SMALLEST_AREA_CM2:
        return _Section("", 0.0, np.zeros(plane.shape, dtype=bool))
    body = binary_fill_holes(pieces == largest)
    area = float(np.count_nonzero(body)) * pixel_cm2
    sizes[largest] = 0
    second = float(sizes.max()) * pixel_cm2
    lung = np.count_nonzero((plane < air) & body) / np.count_nonzero(body)
    bone = np.count_nonzero((plane > BONE_ABOVE_HU) & body) / np.count_nonzero(body)
    if second > max(SMALLEST_AREA_CM2, SECOND_LEG_SHARE * area):
        region = "legs"
    elif bone > SKULL_SHARE and area < HEAD_CM2:
        region = "head"
    elif lung > LUNG_SHARE:
        region = "chest"
    else:
        region = "abdomen"
    return _Section(region, area, body)


def _spine(coarse: np.ndarray, bodies: np.ndarray) -> float | None:
    """Where what is bright in most slices lies, from the back (-0.5) to the front (0.5) of the body."""
    present = bodies.any(axis=(0, 1))
    if present.sum() < 4:
        return None
    bright = ((coarse > SPINE_ABOVE_HU) & bodies)[:, :, present].mean(axis=2)
    column = bright > PERSISTENT
    rows = np.flatnonzero(bodies.any(axis=(0, 2)))
    if not column.any():
        return None
    middle = float(np.nonzero(column)[1].mean())
    return float((middle - (rows[0] + rows[-1]) / 2) / max(1, rows[-1] - rows[0]))


def _noise(volume: np.ndarray, step: int) -> float | None:
    """The lower tenth of local standard deviations in soft tissue: what is even there differs by noise alone."""
    from scipy.ndimage import uniform_filter

    found = []
    for k in range(0, volume.shape[2], 4 * step):
        plane = volume[:, :, k].astype(np.float32)
        mean = uniform_filter(plane, 7)
        soft = (mean > 0) & (mean < 150)
        if soft.sum() > 50:
            spread = np.sqrt(np.maximum(uniform_filter(plane * plane, 7) - mean * mean, 0))
            found.append(np.percentile(spread[soft], 10))
    return float(np.median(found)) if found else None
