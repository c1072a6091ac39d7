"""Tumours painted on the fly into training cases: no annotated tumour is needed, healthy organs stay the negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vision.errors import UsageError
from vision.geometry import CTVolume, Grid, Mask
from vision.synthesis.tumours.case import Order, hosts_of, lesions_of, paint_case
from vision.synthesis.tumours.protocol import ORGANS, Engine, Kind, Organ, Wish
from vision.training.cases import TrainingCase
from vision.training.overlay import lay_lesion


@dataclass(frozen=True)
class LesionConfig:
    """What is painted into a case; counts are drawn evenly, the upper end included."""

    tumours: tuple[int, int] = (2, 6)
    cysts: tuple[int, int] = (0, 3)
    confusers: tuple[int, int] = (0, 5)


def painted_organs(case: TrainingCase, structures: Sequence[str]) -> tuple[Organ, ...]:
    """The organs of a case that can be painted into: their own masks and all of their lesions are annotated there."""
    known = {name for name, annotated in zip(structures, case.annotated, strict=True) if annotated}
    return tuple(
        organ for organ in ORGANS if known.issuperset(lesions_of(organ)) and known.intersection(hosts_of(organ))
    )


def paint_lesions(
    case: TrainingCase,
    *,
    structures: Sequence[str],
    engines: Sequence[Engine],
    spacing_mm: float,
    rng: np.random.Generator,
    config: LesionConfig | None = None,
) -> TrainingCase:
    """A case with tumours, cysts and confusers painted into the organs of `painted_organs`, by one engine each.

    `spacing_mm` is that of the case's voxels. Organs where nothing fits stay as they are; the same state of `rng` gives
    the same case.
    """
    config = config or LesionConfig()
    organs = painted_organs(case, structures)
    kinds: tuple[tuple[Kind, tuple[int, int]], ...] = (("tumour", config.tumours), ("cyst", config.cysts))
    for kind, (low, high) in kinds:
        count = int(rng.integers(low, high + 1))
        confusers = int(rng.integers(config.confusers[0], config.confusers[1] + 1)) if kind == "tumour" else 0
        engine = engines[int(rng.integers(len(engines)))]
        able = tuple(organ for organ in organs if kind == "tumour" or organ != "colon")
        if count and able:
            order = Order(Wish(able[0], kind), able, count, confusers=confusers)
            case = _painted(case, structures, order, engine=engine, spacing_mm=spacing_mm, rng=rng)
    return case


def _painted(
    case: TrainingCase,
    structures: Sequence[str],
    order: Order,
    *,
    engine: Engine,
    spacing_mm: float,
    rng: np.random.Generator,
) -> TrainingCase:
    grid = Grid.from_spacing((case.hu.shape[0], case.hu.shape[1], case.hu.shape[2]), (spacing_mm,) * 3)
    wanted = {name for organ in order.organs for name in (*hosts_of(organ), *lesions_of(organ))}
    masks = {
        name: Mask(case.voxels_of(number), grid, name)
        for number, name in enumerate(structures)
        if name in wanted and case.annotated[number]
    }
    try:
        painted = paint_case(CTVolume(case.hu, grid), masks, order, engine=engine, rng=rng)
    except UsageError:
        return case
    case = replace(case, hu=np.asarray(painted.ct.hu, dtype=np.int16))
    for name, mask in painted.lesions.items():
        case = lay_lesion(case, name, mask.voxels, structures=structures)
    return case
