"""A folder of real tumour shapes: label maps without CT, listed by the volumes of what they hold."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cc3d
import numpy as np
from numpy.typing import NDArray

from vision.errors import InputRefused, UsageError
from vision.geometry import box_around
from vision.io.labels import load_integers
from vision.synthesis.tumours.protocol import Kind, Organ, Spacing

LABELS: MappingProxyType[tuple[Organ, Kind], tuple[int, str]] = MappingProxyType(
    {
        ("kidney", "tumour"): (60, "tumour_ml"),
        ("kidney", "cyst"): (61, "cyst_ml"),
        ("pancreas", "tumour"): (63, "pdac_ml"),
    }
)
"""The integer of a lesion in its organ's label maps, and the column of cases.csv with its volume in mL."""
SMALLEST_ML = 0.5
SMALLEST_VOXELS = 150
"""Below, the steps of the voxels are the shape."""


@dataclass(frozen=True)
class ListedShape:
    """A label map that holds lesions of an organ and kind, `volume_ml` of them in all."""

    path: Path
    organ: Organ
    kind: Kind
    volume_ml: float

    @property
    def diameter_mm(self) -> float:
        """Of the ball of the listed volume."""
        return (6000 * self.volume_ml / math.pi) ** (1 / 3)


@dataclass(frozen=True, eq=False)
class Shape:
    """One lesion cut out of its label map: `mask` (I, J, K) bool with a free margin of a voxel, and its spacing."""

    mask: NDArray[np.bool_]
    spacing: Spacing

    @property
    def diameter_mm(self) -> float:
        """Of the ball of the same volume."""
        return float(np.cbrt(6 / np.pi * np.count_nonzero(self.mask) * math.prod(self.spacing)))


def list_shapes(folder: Path) -> tuple[ListedShape, ...]:
    """The shapes below `folder`: `<organ>/cases.csv` names label maps `<case>.nii.gz` beside it, of kidney or pancreas.

    Raises UsageError E_SHAPES when there is no such list, or nothing of at least 0.5 mL in it.
    """
    shapes = [
        shape for organ in dict.fromkeys(organ for organ, _ in LABELS) for shape in _listed(folder / organ, organ)
    ]
    if not shapes:
        raise _not_shapes("The folder holds no tumour shapes.")
    return tuple(shapes)


def read_shape(listed: ListedShape, rng: np.random.Generator) -> Shape:
    """Read one lesion, drawn among those of a label map that are large enough.

    Raises InputRefused E_SHAPE when the map holds none, and what the NIfTI gate raises.
    """
    labels, grid = load_integers(listed.path)
    found = labels == LABELS[listed.organ, listed.kind][0]
    box = box_around(found)
    if box is None:
        raise InputRefused(
            "E_SHAPE", "A label map does not hold the lesion that its list says.", "Correct cases.csv or the label map."
        )
    parts, count = cc3d.connected_components(found[box], connectivity=18, return_N=True)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    large = np.flatnonzero(sizes >= min(SMALLEST_VOXELS, sizes.max()))
    part = parts == int(rng.choice(large)) + 1
    inner = box_around(part)
    assert inner is not None, "a component has voxels"
    return Shape(np.pad(part[inner], 1), grid.spacing_mm)


def _listed(folder: Path, organ: Organ) -> list[ListedShape]:
    if not (folder / "cases.csv").is_file():
        return []
    maps = {path.name: path for path in folder.glob("*.nii.gz")}
    shapes = []
    try:
        with (folder / "cases.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                for (of, kind), (_, column) in LABELS.items():
                    # Only files that stand in the folder: a list of somebody else's names no path.
                    path = maps.get(f"{row['case']}.nii.gz")
                    if of == organ and path is not None and float(row[column] or 0) >= SMALLEST_ML:
                        shapes.append(ListedShape(path, organ, kind, float(row[column])))
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise _not_shapes(f"The list of tumour shapes cannot be read ({type(error).__name__}).") from None
    return shapes


def _not_shapes(what: str) -> UsageError:
    return UsageError(
        "E_SHAPES",
        what,
        "It needs kidney or pancreas with cases.csv (case, tumour_ml, cyst_ml or pdac_ml) and <case>.nii.gz.",
    )
