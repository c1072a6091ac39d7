"""CTs of other parts of the body, and of unusual bodies, drawn from ellipses; truth from geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.vision.small_files import nifti_gz

SHAPE = (100, 90, 40)
SPACING_MM = (4.0, 4.0, 5.0)
AFFINE = np.diag([*SPACING_MM, 1.0])


def mm_grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Millimetres from the centre along right, front and up, each (I, J, K)."""
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(SHAPE, SPACING_MM, strict=True)]
    return tuple(np.meshgrid(*axes, indexing="ij"))  # type: ignore[return-value]


def tube(x: float, y: float, wide: float, deep: float) -> np.ndarray:
    """(I, J, K) bool: an upright elliptic cylinder of half axes `wide`, `deep` mm around (x, y) mm."""
    right, front, _ = mm_grid()
    return ((right - x) / wide) ** 2 + ((front - y) / deep) ** 2 < 1


def trunk(scale: float = 1.0, *, spine: bool = True) -> np.ndarray:
    """(I, J, K) int16 HU: fat, muscle, an even inside, a spine at the back, noise of 10 HU."""
    hu = np.full(SHAPE, -1000.0)
    hu[tube(0, 0, 165 * scale, 120 * scale)] = -100
    hu[tube(0, 0, 145 * scale, 100 * scale)] = 50
    if spine:
        hu[tube(0, -62 * scale, 20 * scale, 18 * scale)] = 400
    return noisy(hu)


def noisy(hu: np.ndarray, sd: float = 10.0) -> np.ndarray:
    """The same with white noise, int16."""
    rng = np.random.default_rng(1)
    return np.clip(np.rint(hu + rng.normal(0, sd, hu.shape)), -1024, 3071).astype(np.int16)


def chest(scale: float = 1.0) -> np.ndarray:
    """A trunk whose two lungs fill every slice."""
    hu = trunk(scale).astype(float)
    for side in (-75 * scale, 75 * scale):
        hu[tube(side, 0, 50 * scale, 75 * scale)] = -850
    return noisy(hu, 0)


def head(scale: float = 1.0) -> np.ndarray:
    """A skull of 8 mm around a brain."""
    hu = np.full(SHAPE, -1000.0)
    hu[tube(0, 0, 82 * scale, 100 * scale)] = -60
    hu[tube(0, 0, 76 * scale, 94 * scale)] = 900
    hu[tube(0, 0, 76 * scale - 8, 94 * scale - 8)] = 35
    return noisy(hu, 5)


def legs(scale: float = 1.0) -> np.ndarray:
    """Two thighs with their bones."""
    hu = np.full(SHAPE, -1000.0)
    for side in (-95, 95):
        hu[tube(side, 0, 75 * scale, 80 * scale)] = -90
        hu[tube(side, 0, 62 * scale, 68 * scale)] = 55
        hu[tube(side, 0, 14, 14)] = 700
    return noisy(hu)


def written(hu: np.ndarray, folder: Path, affine: np.ndarray = AFFINE) -> Path:
    """The CT as a file."""
    path = folder / "ct.nii.gz"
    path.write_bytes(nifti_gz(hu, affine))
    return path
