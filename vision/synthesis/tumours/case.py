"""Several tumours and confusers in one CT: none where another is already, each by the same order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision.errors import UsageError
from vision.geometry import CTVolume, Mask
from vision.structures import by_name
from vision.synthesis.tumours.confusers import FOUND_IN, ConfuserName, paint_confuser
from vision.synthesis.tumours.facts import lesion_structure
from vision.synthesis.tumours.protocol import ORGANS, Engine, Organ, TumourFacts, Voxel, Wish
from vision.synthesis.tumours.synthesise import Painter, synthesise
from vision.synthesis.tumours.upright import UprightCT


@dataclass(frozen=True)
class Order:
    """What is painted into every CT: `count` tumours after `wish`, in one of `organs` each, and `confusers`.

    `wish` says what all have in common; its organ and diameter give way to `organs` and, where given, to a diameter
    drawn from `size_mm`, small ones more often. Confusers look like tumours and are none: no mask holds them.
    """

    wish: Wish
    organs: tuple[Organ, ...]
    count: int
    size_mm: tuple[float, float] | None = None
    confusers: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or not self.organs:
            raise UsageError("E_COUNT", "There is nothing to paint.", "Ask for at least 1 tumour in at least 1 organ.")
        if self.confusers < 0:
            raise UsageError("E_COUNT", "There cannot be fewer than 0 confusers.", "Ask for 0 or more.")
        if self.size_mm is not None and not 0 < self.size_mm[0] <= self.size_mm[1]:
            raise UsageError("E_TUMOUR_SIZE", "The sizes are not a range from small to large.", "Write 5..40.")


@dataclass(frozen=True)
class ConfuserFacts:
    """One painted confuser; `centre_voxel` is its middle, among the voxels of the CT as it is stored."""

    name: ConfuserName
    organ: Organ
    centre_voxel: Voxel

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class PaintedCase:
    """A CT with tumours: on its own grid, lesion masks by structure, and facts in its own voxels as stored."""

    ct: CTVolume
    lesions: Mapping[str, Mask]
    facts: tuple[TumourFacts, ...]
    confusers: tuple[ConfuserFacts, ...] = ()


def lesions_of(organ: Organ) -> frozenset[str]:
    """The lesions of the structure table that an organ's tumours and cysts are."""
    return frozenset({lesion_structure(organ, "tumour"), lesion_structure(organ, "cyst")})


def known_lesions(organs: Sequence[Organ]) -> tuple[str, ...]:
    """The lesions of some organs, in the order of the alphabet."""
    return tuple(sorted(frozenset().union(*(lesions_of(organ) for organ in organs))))


def hosts_of(organ: Organ) -> tuple[str, ...]:
    """The structures whose masks make the organ."""
    return by_name(lesion_structure(organ, "tumour")).lesion_of


def organs_in(masks: Mapping[str, Mask]) -> tuple[Organ, ...]:
    """The organs among some masks that tumours can be painted into."""
    return tuple(organ for organ in ORGANS if any(masks.get(host) for host in hosts_of(organ)))


def paint_case(
    ct: CTVolume,
    masks: Mapping[str, Mask],
    order: Order,
    *,
    engine: Engine,
    rng: np.random.Generator,
    painter: Painter = synthesise,
) -> PaintedCase:
    """Paint an order into a CT of any orientation, on its own grid.

    `masks` holds the organs and the lesions that are known; nothing is painted within 4 mm of a lesion. There are fewer
    tumours and confusers than ordered where there is no room for more. Confusers come last, so that the tumours are the
    same without them. `painter` paints one tumour: `synthesise`, or a gate that is choosy. Raises UsageError
    E_TUMOUR_ORGAN when no ordered organ is there, and what `painter` raises when not even one tumour fits.
    """
    organs = tuple(organ for organ in organs_in(masks) if organ in order.organs)
    if not organs:
        raise UsageError("E_TUMOUR_ORGAN", "None of the organs is annotated in it.", f"Annotate {order.organs[0]}.")
    upright = UprightCT.of(ct, masks)
    hu, taken = upright.hu, upright.near(upright.union(known_lesions(organs)))
    lesions: dict[str, NDArray[np.bool_]] = {}
    facts: list[TumourFacts] = []
    refusal: UsageError | None = None
    for _ in range(order.count):
        wish = _drawn(order, organs, rng)
        room = upright.union(hosts_of(wish.organ)) & ~taken
        try:
            tumour = painter(hu, room, upright.spacing, wish=wish, engine=engine, rng=rng)
        except UsageError as error:
            refusal = error
            continue
        hu, structure = tumour.ct, tumour.facts.structure
        lesions[structure] = tumour.mask | lesions.get(structure, False)
        taken |= upright.near(tumour.mask)
        facts.append(_as_stored(tumour.facts, upright))
    if not facts:
        assert refusal is not None, "a count is at least 1"
        raise refusal
    hu, confusers = _confuse(upright, hu, taken, count=order.confusers, organs=organs, rng=rng)
    stored = {name: Mask(upright.restore(voxels), ct.grid, name) for name, voxels in lesions.items()}
    painted = CTVolume(upright.restore(hu), ct.grid, {"source": "tumours painted in"})
    return PaintedCase(painted, stored, tuple(facts), confusers)


def _confuse(
    upright: UprightCT,
    hu: NDArray[Any],
    taken: NDArray[np.bool_],
    *,
    count: int,
    organs: Sequence[Organ],
    rng: np.random.Generator,
) -> tuple[NDArray[Any], tuple[ConfuserFacts, ...]]:
    """Upright HU with `count` confusers more, fewer where there is no room, and what they are."""
    facts = []
    for _ in range(count):
        organ = organs[int(rng.integers(len(organs)))]
        name = FOUND_IN[organ][int(rng.integers(len(FOUND_IN[organ])))]
        room = upright.union(hosts_of(organ)) & ~taken
        try:
            confused = paint_confuser(hu, room, upright.spacing, organ=organ, name=name, rng=rng)
        except UsageError:
            continue
        hu = confused.ct
        facts.append(ConfuserFacts(name, organ, upright.stored_voxel(confused.centre_voxel)))
    return hu, tuple(facts)


def _drawn(order: Order, organs: Sequence[Organ], rng: np.random.Generator) -> Wish:
    organ = organs[int(rng.integers(len(organs)))]
    if order.size_mm is None:
        return replace(order.wish, organ=organ)
    low, high = order.size_mm
    return replace(order.wish, organ=organ, diameter_mm=math.exp(rng.uniform(math.log(low), math.log(high))))


def _as_stored(facts: TumourFacts, upright: UprightCT) -> TumourFacts:
    """Facts measured on the upright CT with the centre in the voxels of the CT as it is stored."""
    voxel = upright.stored_voxel(facts.centre_voxel)
    x, y, z = (round(at * step, 3) for at, step in zip(voxel, upright.ct.grid.spacing_mm, strict=True))
    return replace(facts, centre_voxel=voxel, centre_mm=(x, y, z))
