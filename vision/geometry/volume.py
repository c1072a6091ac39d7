"""CTVolume: Hounsfield units on a grid, with what the file said about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from vision.geometry.grid import Grid


@dataclass(frozen=True)
class Notice:
    """A machine-readable warning that travels with a CT: a stable code and one plain sentence."""

    code: str
    text: str


@dataclass(frozen=True, eq=False)
class CTVolume:
    """One CT in Hounsfield units on its own grid, never windowed, never resampled.

    `hu` is (I, J, K) int16 or float32, made read-only here. `facts` holds numbers and enumerated words
    from an allow-list ('kvp': 120, 'slice_thickness_mm': 2.5, 'phase': 'portal_venous'), never free text
    or identity. `warnings` are shown in every answer about this CT.
    """

    hu: np.ndarray
    grid: Grid
    facts: Mapping[str, str | float | int] = field(default_factory=dict)
    warnings: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        if self.hu.shape != self.grid.shape:
            raise ValueError(f"HU of shape {self.hu.shape} do not fit {self.grid}")
        if self.hu.dtype not in (np.int16, np.float32):
            raise ValueError(f"HU are int16 or float32, got {self.hu.dtype}")
        self.hu.setflags(write=False)
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))
        object.__setattr__(self, "warnings", tuple(self.warnings))
