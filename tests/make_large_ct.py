"""A CT of the usual size for the benchmark of opening, as NIfTI and as DICOM: python -m tests.make_large_ct FOLDER"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from pydicom.uid import JPEGLSLossless

from tests.vision.small_files import dicom_slices, write_series
from vision.geometry import CTVolume, Grid
from vision.io import write_ct
from vision.phantom import make_phantom

SHAPE = (512, 512, 300)
SPACING_MM = (0.75, 0.75, 1.5)
NOISE_HU = 12.0


def large_ct() -> CTVolume:
    """The phantom of seed 0 at 512 x 512 x 300 voxels, each voxel the nearest of a coarse one, with its own noise."""
    coarse = make_phantom(seed=0).ct.hu
    nearest = [np.arange(n) * m // n for n, m in zip(SHAPE, coarse.shape, strict=True)]
    rng = np.random.default_rng(0)
    hu = np.empty(SHAPE, dtype=np.int16, order="F")
    for k, source in enumerate(nearest[2]):
        plane = coarse[np.ix_(nearest[0], nearest[1], [source])][:, :, 0] + rng.normal(0, NOISE_HU, SHAPE[:2])
        hu[:, :, k] = np.clip(np.rint(plane), -1024, 3071)
    return CTVolume(hu, Grid.from_spacing(SHAPE, SPACING_MM))


def main(folder: Path) -> None:
    """Write ct.nii.gz, and a file a slice in dicom/ as it is, and in jpegls/ losslessly compressed."""
    ct = large_ct()
    write_ct(ct, folder / "ct.nii.gz")
    slices = dicom_slices(ct.hu, PixelSpacing=[0.75, 0.75], SliceThickness="1.5")
    for k, one in enumerate(slices):
        one.ImagePositionPatient = [-190.0, -190.0, -300.0 + SPACING_MM[2] * k]
    write_series(folder / "dicom", slices)
    for one in slices:
        one.compress(JPEGLSLossless)
    write_series(folder / "jpegls", slices)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
