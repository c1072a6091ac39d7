"""The one protocol of all tumour engines: a wish in, a settled wish to the engine, a painted tumour out.

Lengths are in mm, attenuation in HU, arrays (I, J, K) with the third axis running up and down the body.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Organ = Literal["liver", "pancreas", "kidney", "colon"]
Kind = Literal["tumour", "cyst"]
Attenuation = Literal["hypo", "iso", "hyper"]
Growth = Literal["inside", "may_stick_out"]
Part = Literal["necrotic core", "capsule", "rim", "calcification", "septa"]
Spacing = tuple[float, float, float]
Voxel = tuple[int, int, int]

ORGANS: tuple[Organ, ...] = ("liver", "pancreas", "kidney", "colon")
KINDS: tuple[Kind, ...] = ("tumour", "cyst")
PARTS: tuple[Part, ...] = ("necrotic core", "capsule", "rim", "calcification", "septa")


@dataclass(frozen=True)
class Wish:
    """What is wanted of one tumour; None leaves it to be drawn from the organ's presets.

    `diameter_mm` is that of the ball of the same volume. `attenuation` is against the organ around. `exophytic` says
    whether it may grow out of the organ into fat. `centre` is a voxel of the whole array. `words` is the phrase that
    the wish was read from.
    """

    organ: Organ
    kind: Kind = "tumour"
    diameter_mm: float | None = None
    attenuation: Attenuation | None = None
    exophytic: Growth | None = None
    centre: Voxel | None = None
    parts: tuple[Part, ...] | None = None
    words: str = ""


@dataclass(frozen=True)
class Settled:
    """A wish in which nothing is open: every engine reads size, attenuation and parts from it in the same way.

    `preset` names the row that it was drawn from. `centre` is a voxel of the crop that the engine gets. `organ_hu` is
    the organ's HU near the centre, `contrast_hu` the tumour's mean HU minus that (necrosis, rims and calcifications
    apart), `texture_hu` the SD of its texture, `edge_mm` the SD of the Gaussian that blurs its border.
    """

    organ: Organ
    kind: Kind
    preset: str
    diameter_mm: float
    attenuation: Attenuation
    exophytic: Growth
    centre: Voxel
    organ_hu: float
    contrast_hu: float
    texture_hu: float
    edge_mm: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Painted:
    """What an engine gives, over the crop it was given.

    `mask` (I, J, K) bool is the tumour, inside the room. `change` (I, J, K) float32 is HU to add, finite everywhere and
    going on some mm past the border, where the blending still reads it. `parts` are those that were really painted.
    """

    mask: NDArray[np.bool_]
    change: NDArray[np.float32]
    parts: tuple[Part, ...]


class Engine(Protocol):
    """A way to make tumours. It takes every chance from `rng`: the same crop, wish and state give the same bytes."""

    @property
    def name(self) -> str:
        """Its key in ENGINES."""
        ...

    def paint(
        self,
        ct: NDArray[np.float32],
        room: NDArray[np.bool_],
        spacing: Spacing,
        wish: Settled,
        rng: np.random.Generator,
    ) -> Painted:
        """Paint a tumour of the settled size round the settled centre; `ct` (HU) and `room` are one crop.

        `room` is where the tumour may be; the mask is a part of it. Raises UsageError E_TUMOUR_ROOM when the tumour
        does not fit.
        """
        ...


@dataclass(frozen=True)
class TumourFacts:
    """What is true of one painted tumour, in mm, mL and HU; `centre_mm` is `centre_voxel` times the spacing.

    `long_axis_mm` and `short_axis_mm` are measured as RECIST does, `equivalent_diameter_mm` is that of the ball of the
    same volume. `hu_change` and `hu_inside` are means over the mask, `hu_organ` the organ's HU near it before.
    `structure` is the lesion's name in the structure table.
    """

    organ: Organ
    structure: str
    kind: Kind
    preset: str
    engine: str
    attenuation: Attenuation
    exophytic: Growth
    centre_mm: tuple[float, float, float]
    centre_voxel: Voxel
    long_axis_mm: float
    short_axis_mm: float
    equivalent_diameter_mm: float
    volume_ml: float
    hu_change: float
    hu_inside: float
    hu_organ: float
    parts: tuple[Part, ...]
    words: str

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Tumour:
    """A CT with one tumour more: `ct` as given in shape and dtype, `mask` (I, J, K) bool, and the facts."""

    ct: NDArray[Any]
    mask: NDArray[np.bool_]
    facts: TumourFacts
