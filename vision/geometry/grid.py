"""Grid: where each voxel of a volume lies in the patient."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

AXIS_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))
ORTHOGONALITY_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular, orthogonal lattice of voxel centres in patient space.

    `shape` is (I, J, K) voxels. `affine` (4, 4) float64 maps the index of a voxel centre to RAS+ mm:
    x grows to the patient's Right, y to Anterior, z to Superior. Both are copied and never written to.
    Raises ValueError for an affine that is not finite, invertible and orthogonal.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        affine = np.array(self.affine, dtype=np.float64)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"a grid has three positive dimensions, got {shape}")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError("a grid's affine is a finite 4x4 matrix")
        if not np.allclose(affine[3], (0, 0, 0, 1)):
            raise ValueError(f"the last row of an affine is 0 0 0 1, got {affine[3]}")
        columns = affine[:3, :3]
        lengths = np.linalg.norm(columns, axis=0)
        if lengths.min() <= 0:
            raise ValueError("an affine's columns have a length above 0 mm")
        cosines = (columns / lengths).T @ (columns / lengths)
        skew = float(np.abs(cosines - np.eye(3)).max())
        if skew > ORTHOGONALITY_TOLERANCE:
            raise ValueError(f"a grid is orthogonal, the axes deviate by a cosine of {skew:.4f}")
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_spacing(
        cls,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Grid:
        """Make an axis-aligned RAS+ grid: spacing and the centre of voxel (0, 0, 0), both in mm."""
        affine = np.diag((*spacing_mm, 1.0))
        affine[:3, 3] = origin_mm
        return cls(shape, affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along I, J, K in mm."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @property
    def directions(self) -> np.ndarray:
        """(3, 3) unit vectors: column a is the RAS+ direction of index axis a."""
        return self.affine[:3, :3] / np.asarray(self.spacing_mm)

    @property
    def patient_axes(self) -> tuple[int, int, int]:
        """For each index axis the patient axis (0 right-left, 1 front-back, 2 up-down) it runs along.

        For oblique grids the assignment with the largest summed cosine, so each axis occurs once.
        """
        cosine = np.abs(self.directions)
        best = max(itertools.permutations(range(3)), key=lambda p: sum(cosine[p[a], a] for a in range(3)))
        return best[0], best[1], best[2]

    @property
    def axcodes(self) -> str:
        """Three letters such as 'LPS': the patient side to which each index axis grows."""
        return "".join(
            AXIS_ENDS[patient][int(self.directions[patient, axis] > 0)]
            for axis, patient in enumerate(self.patient_axes)
        )

    def axis_of(self, patient_axis: int) -> int:
        """The index axis that runs along a patient axis (0 right-left, 1 front-back, 2 up-down)."""
        return self.patient_axes.index(patient_axis)

    @property
    def is_oblique(self) -> bool:
        """Whether the index axes are tilted against the patient axes by more than 0.06 degrees."""
        best = np.abs(self.directions).max(axis=0)
        return bool(best.min() < 1 - 1e-6 / 2)

    def to_mm(self, ijk: np.ndarray) -> np.ndarray:
        """Voxel coordinates (..., 3), fractions allowed, to RAS+ mm (..., 3)."""
        return np.asarray(ijk, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_ijk(self, mm: np.ndarray) -> np.ndarray:
        """RAS+ mm (..., 3) to fractional voxel coordinates (..., 3)."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(mm, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def matches(self, other: Grid) -> bool:
        """Whether two grids are the same lattice, to 1e-3 mm at every corner."""
        if self.shape != other.shape:
            return False
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in self.shape]), -1).reshape(-1, 3)
        return bool(np.abs(self.to_mm(corners) - other.to_mm(corners)).max() < 1e-3)

    def reoriented(self, axcodes: str = "RAS") -> tuple[Grid, tuple[int, int, int], tuple[int, int, int]]:
        """The same lattice with permuted and flipped axes that grow towards `axcodes`.

        Returns the grid, the permutation `order` (new axis a is old axis order[a]) and `signs`
        (-1 where the new axis a runs against the old one). `reorient_array` applies both to voxels.
        Raises ValueError for codes that do not name each direction once.
        """
        wanted = [patient for code in axcodes for patient, ends in enumerate(AXIS_ENDS) if code in ends]
        if len(axcodes) != 3 or sorted(wanted) != [0, 1, 2]:
            raise ValueError(f"axis codes name each of R/L, A/P, S/I once, got {axcodes!r}")
        order = tuple(self.axis_of(patient) for patient in wanted)
        codes = self.axcodes
        signs = tuple(1 if codes[axis] == code else -1 for axis, code in zip(order, axcodes, strict=True))
        affine = np.eye(4)
        start = np.array([self.shape[axis] - 1 if sign < 0 else 0 for axis, sign in zip(order, signs, strict=True)])
        corner = np.zeros(3)
        for new, (axis, sign) in enumerate(zip(order, signs, strict=True)):
            affine[:3, new] = self.affine[:3, axis] * sign
            corner[axis] = start[new]
        affine[:3, 3] = self.to_mm(corner)
        i, j, k = order
        a, b, c = signs
        return Grid((self.shape[i], self.shape[j], self.shape[k]), affine), (i, j, k), (a, b, c)

    def __repr__(self) -> str:
        i, j, k = self.spacing_mm
        return f"Grid({self.shape[0]}x{self.shape[1]}x{self.shape[2]}, {i:.3g}x{j:.3g}x{k:.3g} mm, {self.axcodes})"


def reorient_array(voxels: np.ndarray, order: tuple[int, int, int], signs: tuple[int, int, int]) -> np.ndarray:
    """Permute and flip (I, J, K) voxels as `Grid.reoriented` says; a view, nothing is copied."""
    view = np.transpose(voxels, order)
    return view[tuple(slice(None, None, sign) for sign in signs)]


def restore_array(voxels: np.ndarray, order: tuple[int, int, int], signs: tuple[int, int, int]) -> np.ndarray:
    """Undo `reorient_array`; a view."""
    flipped = voxels[tuple(slice(None, None, sign) for sign in signs)]
    return np.transpose(flipped, tuple(int(a) for a in np.argsort(order)))
