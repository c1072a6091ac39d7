"""Several tumours in one CT: none where another is already, each by the same order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vision.errors import UsageError
from vision.geometry import CTVolume, Mask, reorient_array, restore_array
from vision.structures import by_name
from vision.synthesis.tumours.facts import lesion_structure
from vision.synthesis.tumours.protocol import ORGANS, Engine, Organ, TumourFacts, Voxel, Wish
from vision.synthesis.tumours.synthesise import synthesise

APART_MM = 4.0


@dataclass(frozen=True)
class Order:
    """What is painted into every CT: `count` tumours after `wish`, in one of `organs` each.

    `wish` says what all have in common; its organ and diameter give way to `organs` and, where given, to a diameter
    drawn from `size_mm`, small ones more often.
    """

    wish: Wish
    organs: tuple[Organ, ...]
    count: int
    size_mm: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.count < 1 or not self.organs:
            raise UsageError("E_COUNT", "There is nothing to paint.", "Ask for at least 1 tumour in at least 1 organ.")
        if self.size_mm is not None and not 0 < self.size_mm[0] <= self.size_mm[1]:
            raise UsageError("E_TUMOUR_SIZE", "The sizes are not a range from small to large.", "Write 5..40.")


@dataclass(frozen=True, eq=False)
class PaintedCase:
    """A CT with tumours: on its own grid, lesion masks by structure, and facts in its own voxels as stored."""

    ct: CTVolume
    lesions: Mapping[str, Mask]
    facts: tuple[TumourFacts, ...]


def lesions_of(organ: Organ) -> frozenset[str]:
    """The lesions of the structure table that an organ's tumours and cysts are."""
    return frozenset({lesion_structure(organ, "tumour"), lesion_structure(organ, "cyst")})


def hosts_of(organ: Organ) -> tuple[str, ...]:
    """The structures whose masks make the organ."""
    return by_name(lesion_structure(organ, "tumour")).lesion_of


def organs_in(masks: Mapping[str, Mask]) -> tuple[Organ, ...]:
    """The organs among some masks that tumours can be painted into."""
    return tuple(organ for organ in ORGANS if any(masks.get(host) for host in hosts_of(organ)))


def paint_case(
    ct: CTVolume, masks: Mapping[str, Mask], order: Order, *, engine: Engine, rng: np.random.Generator
) -> PaintedCase:
    """Paint an order into a CT of any orientation, on its own grid.

    `masks` holds the organs and the lesions that are known; nothing is painted within 4 mm of a lesion. There are fewer
    tumours than ordered where there is no room for more. Raises UsageError E_TUMOUR_ORGAN when no ordered organ is
    there, and what `synthesise` raises when not even one tumour fits.
    """
    organs = tuple(organ for organ in organs_in(masks) if organ in order.organs)
    if not organs:
        raise UsageError("E_TUMOUR_ORGAN", "None of the organs is annotated in it.", f"Annotate {order.organs[0]}.")
    upright, axes, signs = ct.grid.reoriented("RAS")
    spacing = upright.spacing_mm
    hu = np.ascontiguousarray(reorient_array(ct.hu, axes, signs))
    turned = {name: reorient_array(mask.voxels, axes, signs) for name, mask in masks.items()}
    taken = _near(_union([turned[name] for name in turned if name in _lesions(organs)], hu.shape), spacing)
    lesions: dict[str, NDArray[np.bool_]] = {}
    facts: list[TumourFacts] = []
    refusal: UsageError | None = None
    for _ in range(order.count):
        wish = _drawn(order, organs, rng)
        room = _union([turned[host] for host in hosts_of(wish.organ) if host in turned], hu.shape) & ~taken
        try:
            tumour = synthesise(hu, room, spacing, wish=wish, engine=engine, rng=rng)
        except UsageError as error:
            refusal = error
            continue
        hu, structure = tumour.ct, tumour.facts.structure
        lesions[structure] = tumour.mask | lesions.get(structure, False)
        taken |= _near(tumour.mask, spacing)
        facts.append(_as_stored(tumour.facts, ct, axes, signs))
    if not facts:
        assert refusal is not None, "a count is at least 1"
        raise refusal
    painted = CTVolume(np.ascontiguousarray(restore_array(hu, axes, signs)), ct.grid, {"source": "tumours painted in"})
    stored = {
        name: Mask(np.ascontiguousarray(restore_array(voxels, axes, signs)), ct.grid, name)
        for name, voxels in lesions.items()
    }
    return PaintedCase(painted, stored, tuple(facts))


def _drawn(order: Order, organs: Sequence[Organ], rng: np.random.Generator) -> Wish:
    organ = organs[int(rng.integers(len(organs)))]
    if order.size_mm is None:
        return replace(order.wish, organ=organ)
    low, high = order.size_mm
    return replace(order.wish, organ=organ, diameter_mm=math.exp(rng.uniform(math.log(low), math.log(high))))


def _lesions(organs: Sequence[Organ]) -> frozenset[str]:
    return frozenset().union(*(lesions_of(organ) for organ in organs))


def _union(masks: Sequence[NDArray[np.bool_]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    union = np.zeros(shape, dtype=np.bool_)
    for mask in masks:
        union |= mask
    return union


def _near(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    """The mask and a box of 4 mm around each of its voxels."""
    sides = [2 * math.ceil(APART_MM / step) + 1 for step in spacing]
    near: NDArray[np.bool_] = ndimage.maximum_filter(mask, sides) if mask.any() else mask.copy()
    return near


def _as_stored(
    facts: TumourFacts, ct: CTVolume, axes: tuple[int, int, int], signs: tuple[int, int, int]
) -> TumourFacts:
    """Facts measured on the upright CT with the centre in the voxels of the CT as it is stored."""
    stored = [0, 0, 0]
    for new, (old, sign) in enumerate(zip(axes, signs, strict=True)):
        at = facts.centre_voxel[new]
        stored[old] = at if sign > 0 else ct.grid.shape[old] - 1 - at
    voxel: Voxel = (stored[0], stored[1], stored[2])
    x, y, z = (round(at * step, 3) for at, step in zip(voxel, ct.grid.spacing_mm, strict=True))
    return replace(facts, centre_voxel=voxel, centre_mm=(x, y, z))
