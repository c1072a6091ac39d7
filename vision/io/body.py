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
SQUARE, NOISE_SLICES, FEWEST_SQUARES = 7, 16, 8
"""Noise is read off squares of 7 x 7 pixels in about 16 slices."""
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
        noise_hu=_noise(volume),
    )


def _section(plane: np.ndarray, floor: float, air: float, pixel_cm2: float) -> _Section:
    """What one axial plane shows: the body is its largest piece, air inside it included."""
    pieces, sizes = _pieces(plane > floor)
    largest = int(sizes.argmax())
    if sizes[largest] * pixel_cm2 < SMALLEST_AREA_CM2:
        return _Section("", 0.0, np.zeros(plane.shape, dtype=bool))
    body = _filled(pieces == largest)
    inside = int(np.count_nonzero(body))
    sizes[largest] = 0
    second = float(sizes.max()) * pixel_cm2
    lung = np.count_nonzero((plane < air) & body) / inside
    bone = np.count_nonzero((plane > BONE_ABOVE_HU) & body) / inside
    if second > max(SMALLEST_AREA_CM2, SECOND_LEG_SHARE * inside * pixel_cm2):
        region = "legs"
    elif bone > SKULL_SHARE and inside * pixel_cm2 < HEAD_CM2:
        region = "head"
    elif lung > LUNG_SHARE:
        region = "chest"
    else:
        region = "abdomen"
    return _Section(region, inside * pixel_cm2, body)


def _pieces(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The connected pieces of a plane, numbered from 1, and the number of pixels of each; 0 for the background."""
    import cc3d

    pieces = cc3d.connected_components(np.ascontiguousarray(plane), connectivity=4)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return pieces, sizes


def _filled(body: np.ndarray) -> np.ndarray:
    """A piece with its holes: all but the background that reaches the border of the plane."""
    background, _ = _pieces(~body)
    border = np.concatenate([background[[0, -1]].ravel(), background[:, [0, -1]].ravel()])
    outside = np.zeros(background.max() + 1, dtype=bool)
    outside[border] = True
    outside[0] = False
    return ~outside[background]


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


def _noise(volume: np.ndarray) -> float | None:
    """The lower tenth of the standard deviations in small squares of soft tissue: where it is even, noise is left."""
    found = []
    i, j = (n - n % SQUARE for n in volume.shape[:2])
    for k in range(0, volume.shape[2], max(1, volume.shape[2] // NOISE_SLICES)):
        plane = volume[:i, :j, k].astype(np.float32)
        squares = plane.reshape(i // SQUARE, SQUARE, j // SQUARE, SQUARE)
        mean = squares.mean(axis=(1, 3))
        soft = (mean > 0) & (mean < 150)
        if np.count_nonzero(soft) >= FEWEST_SQUARES:
            found.append(np.percentile(squares.std(axis=(1, 3))[soft], 10))
    return float(np.median(found)) if found else None
