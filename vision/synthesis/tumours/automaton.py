"""A cellular automaton of growing tumours, after Pixel2Cancer (Lai et al., MICCAI 2024).

Cells of an isotropic lattice hold a state from 0 (healthy) to 10 (full of tumour). In one step every live cell that is
not full fills by one, and every cell that is at least half full tries to invade one of its 26 neighbours. How readily
tissue lets it in depends on its density; a vessel lets nothing in until full cells have pressed on it often enough;
a wall never does. Everything random comes from one generator, cell by cell in a fixed order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from vision.geometry import box_around
from vision.synthesis.tumours.room import no_room

FULL = 10
HALF = FULL // 2
TRIES = 3
HELD_PRESSURE = 2
"""A vessel holds up to this pressure; one more push and it is tissue like any other."""
WALL, LOOSE, MEDIUM, DENSE, VESSEL = range(5)
ACCEPTANCE = np.array([0.0, 1.0, 0.3, 0.1, 0.0], dtype=np.float32)
"""The probability that tissue lets a cell in, by its kind: wall, loose, medium, dense, vessel."""
_TURNS = {1: 20, 2: 7, 3: 3}
_NEIGHBOURS = np.array(
    [step for step in product((-1, 0, 1), repeat=3) if any(step) for _ in range(_TURNS[int(np.count_nonzero(step))])]
)
"""The 26 neighbours, those at faces oftener than those at edges and corners: at even odds tumours grow into cubes."""
_TOUCHING = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class Stage:
    """A tumour after some steps: `state` 0..10, `tissue` and `pressure` on its vessels, each (I, J, K) uint8.

    `diameter_mm` is that of the ball of the same volume as the live cells.
    """

    step: int
    state: NDArray[np.uint8]
    tissue: NDArray[np.uint8]
    pressure: NDArray[np.uint8]
    diameter_mm: float


def grow(
    tissue: NDArray[np.uint8], seeds: NDArray[np.bool_], *, cell_mm: float, diameter_mm: float, rng: np.random.Generator
) -> Iterator[Stage]:
    """Grow a tumour from its seeds, stage by stage, until it has the diameter; the first stage is the seeds themselves.

    `tissue` (I, J, K) uint8 says wall, loose, medium, dense or vessel of every cell of `cell_mm`. Only the last stage
    may be larger than asked, by what one step adds.
    Raises UsageError E_TUMOUR_ROOM when the cells that can be reached are too few.
    """
    wanted = cells_of_ball(diameter_mm, cell_mm)
    if _reachable(tissue, seeds) < wanted:
        raise no_room(diameter_mm)
    # One cell of wall all round, so that a neighbour's index never leaves the lattice.
    walled = np.pad(tissue, 1)
    state = np.pad(np.where(seeds & (tissue != WALL), HALF, 0).astype(np.uint8), 1)
    stage = Stage(0, state, walled, np.zeros_like(state), diameter_of(state, cell_mm))
    yield _unwalled(stage)
    while np.count_nonzero(stage.state) < wanted:
        stage = _advance(stage, cell_mm, rng)
        yield _unwalled(stage)


def necrosis(
    state: NDArray[np.uint8], *, cell_mm: float, rim_mm: float, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Cells that died: spread from 1 to 3 core points among full cells, until they are `share` of the tumour.

    (I, J, K) bool; never nearer to healthy tissue than `rim_mm`, and empty when no cell is deep enough.
    """
    dead = np.zeros(state.shape, dtype=bool)
    box = box_around(state > 0)
    if box is None:
        return dead
    near, chances = state[box], rng.random(state.shape, dtype=np.float32)[box]
    depth = edt.edt(near > 0, anisotropy=(cell_mm,) * 3, black_border=True)
    may_die = (near == FULL) & (depth > rim_mm)
    deep = np.flatnonzero(may_die & (depth > (rim_mm + depth.max()) / 2))
    # The points of the largest chances, so that the same ones are found again when the tumour has grown.
    points = deep[np.argsort(-chances.flat[deep], kind="stable")[: int(rng.integers(1, 4))]]
    inner = np.zeros(near.shape, dtype=bool)
    inner.flat[points] = True
    wanted = share * np.count_nonzero(near)
    while np.count_nonzero(inner) < wanted:
        front = ndimage.binary_dilation(inner, _TOUCHING) & may_die & ~inner
        if not front.any():
            break
        # Fewer dead neighbours, fewer chances: the core stays compact and its border uneven.
        touched = ndimage.uniform_filter(inner.astype(np.float32), 3)
        inner |= front & (rng.random(near.shape, dtype=np.float32) < touched)
    dead[box] = inner
    return dead


def cells_of_ball(diameter_mm: float, cell_mm: float) -> int:
    """How many cells a ball holds; at least 1."""
    return max(1, round(np.pi / 6 * (diameter_mm / cell_mm) ** 3))


def diameter_of(state: NDArray[np.uint8], cell_mm: float) -> float:
    """The diameter in mm of the ball of as many cells as are live."""
    return float(cell_mm * np.cbrt(6 / np.pi * np.count_nonzero(state)))


def _advance(stage: Stage, cell_mm: float, rng: np.random.Generator) -> Stage:
    """One step. All cells act on the state as it was before, so no order among them matters."""
    state, tissue, pressure = stage.state, stage.tissue.copy(), stage.pressure.copy()
    sources = np.flatnonzero(state >= HALF)
    sources, targets = _targets(state, sources, rng)
    pushed = (tissue.flat[targets] == VESSEL) & (state.flat[sources] == FULL)
    hit, pushes = np.unique(targets[pushed], return_counts=True)
    pressure.flat[hit] = np.minimum(pressure.flat[hit] + pushes, np.iinfo(np.uint8).max)
    let_in = rng.random(targets.size, dtype=np.float32) < ACCEPTANCE[tissue.flat[targets]]
    invaded = np.zeros(state.size, dtype=bool)
    invaded[targets[let_in]] = True
    fills = (state > 0) & (state < FULL)
    after = state + fills.astype(np.uint8)
    after += (invaded.reshape(state.shape) & (after < FULL)).astype(np.uint8)
    tissue[(tissue == VESSEL) & (pressure > HELD_PRESSURE)] = DENSE
    return Stage(stage.step + 1, after, tissue, pressure, diameter_of(after, cell_mm))


def _targets(
    state: NDArray[np.uint8], sources: NDArray[np.intp], rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Flat indices of the cells that found a neighbour that is not full in three tries, and of those neighbours."""
    strides = np.array([state.shape[1] * state.shape[2], state.shape[2], 1])
    offsets = _NEIGHBOURS @ strides
    tried = sources + offsets[rng.integers(0, len(offsets), size=(TRIES, sources.size), dtype=np.uint8)]
    open_ = state.flat[tried] < FULL
    found = open_.any(axis=0)
    first = open_.argmax(axis=0)
    return sources[found], tried[first, np.arange(sources.size)][found]


def _reachable(tissue: NDArray[np.uint8], seeds: NDArray[np.bool_]) -> int:
    """How many cells are no wall and touch the seeds, directly or through others."""
    places, _ = ndimage.label(tissue != WALL, _TOUCHING)
    reached = np.unique(places[seeds & (tissue != WALL)])
    return int(np.count_nonzero(np.isin(places, reached[reached > 0])))


def _unwalled(stage: Stage) -> Stage:
    inner = (slice(1, -1),) * 3
    return Stage(stage.step, stage.state[inner], stage.tissue[inner], stage.pressure[inner], stage.diameter_mm)
