"""`synthesise`: one tumour painted into one CT by any engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vision.errors import UsageError
from vision.synthesis.tumours.blend import add_change, border_weight, border_weight_within, stored_range
from vision.synthesis.tumours.facts import measure_facts
from vision.synthesis.tumours.presets import Preset, presets
from vision.synthesis.tumours.protocol import Engine, Settled, Spacing, Tumour, Voxel, Wish
from vision.synthesis.tumours.room import centres, ends_with_organ, hu_near, room_around, window
from vision.synthesis.tumours.wishes import draw_preset, growth, settle_as, size

REACH_RADII, REACH_MM = 1.7, 4.0
SHRINK = 0.75
"""A drawn diameter for which there is no room is made smaller by this; a wished one never is."""


class Painter(Protocol):
    """Paints one tumour by the rules of `synthesise`, which is one; another may be choosy."""

    def __call__(
        self,
        ct: NDArray[Any],
        organ_mask: NDArray[np.bool_],
        spacing: Spacing,
        *,
        wish: Wish,
        engine: Engine,
        rng: np.random.Generator,
    ) -> Tumour:
        """As `synthesise`; raises UsageError when nothing is painted."""
        ...


def synthesise(
    ct: NDArray[Any],
    organ_mask: NDArray[np.bool_],
    spacing: Spacing,
    *,
    wish: Wish,
    engine: Engine,
    rng: np.random.Generator,
) -> Tumour:
    """Paint one tumour of `wish` into a copy of `ct` (I, J, K) in HU, integer or float, third axis up and down.

    `organ_mask` (I, J, K) bool is where it may be; leave out what is taken already. The CT is bit-identical outside the
    blurred support, and a clipped CT stays in its range. The mask lies in the organ unless the tumour may stick out;
    then in fat, too. The same inputs and state of `rng` give the same bytes. Raises ValueError for arrays that do not
    match, UsageError E_TUMOUR_ROOM, E_TUMOUR_CENTRE, E_TUMOUR_SIZE, E_TUMOUR_PRESET.
    """
    if ct.ndim != 3 or organ_mask.shape != ct.shape or organ_mask.dtype != np.bool_:
        raise ValueError(f"expected a CT and a bool mask of one 3-D shape, got {ct.shape} and {organ_mask.shape}")
    preset = draw_preset(wish, presets(), rng)
    diameter = size(wish, preset, rng)
    while True:
        try:
            return _of_size(
                ct, organ_mask, spacing, wish=wish, preset=preset, diameter=diameter, engine=engine, rng=rng
            )
        except UsageError:
            diameter *= SHRINK
            if wish.diameter_mm is not None or diameter < preset.diameter_mm[0]:
                raise


def _of_size(
    ct: NDArray[Any],
    organ_mask: NDArray[np.bool_],
    spacing: Spacing,
    *,
    wish: Wish,
    preset: Preset,
    diameter: float,
    engine: Engine,
    rng: np.random.Generator,
) -> Tumour:
    """Try one size at several centres; raises the last refusal."""
    grown = growth(wish, preset, diameter, rng)
    wish = replace(wish, exophytic=grown)
    refusal: UsageError | None = None
    for centre in _centres(organ_mask, spacing, wish, diameter, rng):
        box = window(ct.shape, spacing, centre, REACH_RADII * diameter / 2 + REACH_MM + 4 * preset.edge_mm[1])
        crop, organ = ct[box].astype(np.float32), organ_mask[box]
        start = (box[0].start, box[1].start, box[2].start)
        inside = (centre[0] - start[0], centre[1] - start[1], centre[2] - start[2])
        try:
            hu = hu_near(crop, organ, spacing, inside, of=wish.organ, diameter_mm=diameter)
            settled = settle_as(wish, preset, diameter, rng, organ_hu=hu, centre=inside)
            room = room_around(crop, organ, spacing, diameter_mm=diameter, exophytic=grown)
            return _painted(ct, crop, room, spacing, box=box, settled=settled, engine=engine, rng=rng, words=wish.words)
        except UsageError as error:
            refusal = error
    assert refusal is not None, "there is at least one centre"
    raise refusal


def _centres(
    organ: NDArray[np.bool_], spacing: Spacing, wish: Wish, diameter_mm: float, rng: np.random.Generator
) -> list[Voxel]:
    if wish.centre is None:
        grown = wish.exophytic or "inside"
        return centres(organ, spacing, of=wish.organ, diameter_mm=diameter_mm, exophytic=grown, rng=rng)
    inside = all(0 <= at < count for at, count in zip(wish.centre, organ.shape, strict=True))
    if not inside or not organ[wish.centre]:
        raise UsageError(
            "E_TUMOUR_CENTRE", "The wished centre does not lie in the organ.", "Give a voxel of the organ's mask."
        )
    return [wish.centre]


def _painted(
    ct: NDArray[Any],
    crop: NDArray[np.float32],
    room: NDArray[np.bool_],
    spacing: Spacing,
    *,
    box: tuple[slice, slice, slice],
    settled: Settled,
    engine: Engine,
    rng: np.random.Generator,
    words: str,
) -> Tumour:
    """Let the engine paint on a crop, blend it, put it back and measure it."""
    painted = engine.paint(crop, room, spacing, settled, rng)
    assert painted.mask.any(), "an engine paints a mask"
    assert not (painted.mask & ~room).any(), "an engine paints inside its room"
    assert np.isfinite(painted.change).all(), "an engine paints finite changes"
    if ends_with_organ(settled):
        weight = border_weight_within(painted.mask, room, spacing, edge_mm=settled.edge_mm)
    else:
        weight = border_weight(painted.mask, spacing, edge_mm=settled.edge_mm)
    before, whole, mask = ct[box], ct.copy(), np.zeros(ct.shape, dtype=np.bool_)
    whole[box] = add_change(before, weight, painted.change, stored_range(ct))
    mask[box] = painted.mask
    facts = measure_facts(
        before,
        whole[box],
        painted.mask,
        spacing,
        start=(box[0].start, box[1].start, box[2].start),
        settled=replace(settled, parts=painted.parts),
        engine=engine.name,
        words=words,
    )
    return Tumour(whole, mask, facts)
