"""Frozen values that carry voxels and say where they are in the body. numpy only."""

from vision.geometry.grid import Grid, reorient_array, restore_array
from vision.geometry.mask import Box, Mask, box_around
from vision.geometry.resample import cropped_grid, resample, working_grid
from vision.geometry.volume import CTVolume, Notice

__all__ = [
    "Box",
    "CTVolume",
    "Grid",
    "Mask",
    "Notice",
    "box_around",
    "cropped_grid",
    "reorient_array",
    "resample",
    "restore_array",
    "working_grid",
]
