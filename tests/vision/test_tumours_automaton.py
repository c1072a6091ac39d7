"""The cellular automaton itself, on lattices of known tissue."""

from itertools import pairwise

import numpy as np
import pytest

from vision.errors import UsageError
from vision.synthesis.tumours.automaton import (
    ACCEPTANCE,
    DENSE,
    FULL,
    HALF,
    HELD_PRESSURE,
    LOOSE,
    MEDIUM,
    VESSEL,
    WALL,
    grow,
    necrosis,
)


def lattice(size: int, kind: int = LOOSE):
    tissue = np.full((size,) * 3, kind, dtype=np.uint8)
    seeds = np.zeros(tissue.shape, dtype=bool)
    seeds[(size // 2,) * 3] = True
    return tissue, seeds


def stages_of(tissue, seeds, diameter_mm, seed=0, cell_mm=1.0):
    return list(grow(tissue, seeds, cell_mm=cell_mm, diameter_mm=diameter_mm, rng=np.random.default_rng(seed)))


@pytest.mark.parametrize(("diameter_mm", "cell_mm"), [(5.0, 0.5), (16.0, 1.0), (60.0, 3.0)])
@pytest.mark.parametrize("kind", [LOOSE, MEDIUM, DENSE])
def test_a_tumour_grows_to_its_diameter_whatever_the_tissue_and_the_cells(diameter_mm, cell_mm, kind):
    last = stages_of(*lattice(40, kind), diameter_mm, cell_mm=cell_mm)[-1]
    assert last.diameter_mm == pytest.approx(diameter_mm, rel=0.15)


def test_every_stage_holds_the_one_before():
    stages = stages_of(*lattice(32), 14.0)
    for before, after in pairwise(stages):
        assert (after.state >= before.state).all()
        assert after.diameter_mm >= before.diameter_mm
    assert [stage.step for stage in stages] == list(range(len(stages)))


def test_the_same_seed_gives_the_same_states_and_another_seed_others():
    first, again, other = (stages_of(*lattice(32, MEDIUM), 12.0, seed)[-1].state for seed in (3, 3, 4))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("kind", [LOOSE, MEDIUM, DENSE])
def test_tissue_lets_in_as_often_as_its_density_says(kind):
    tissue, seeds = lattice(76, kind)
    seeds[:] = False
    seeds[2::4, 2::4, 2::4] = True
    attempts, stages = (
        np.count_nonzero(seeds),
        grow(tissue, seeds, cell_mm=1.0, diameter_mm=60.0, rng=np.random.default_rng(0)),
    )
    next(stages)
    let_in = np.count_nonzero(next(stages).state) - attempts
    assert let_in / attempts == pytest.approx(ACCEPTANCE[kind], rel=0.1)


def test_denser_tissue_takes_more_steps():
    steps = [len(stages_of(*lattice(28, kind), 12.0)) for kind in (LOOSE, MEDIUM, DENSE)]
    assert steps == sorted(set(steps))


def test_a_wall_never_gives_way():
    tissue, seeds = lattice(24)
    tissue[15] = WALL
    last = stages_of(tissue, seeds, 20.0)[-1]
    assert not last.state[15:].any()
    assert last.state[14].any()


def test_a_vessel_is_entered_only_above_its_pressure_and_pressed_only_by_full_cells():
    tissue, seeds = lattice(24)
    tissue[15] = VESSEL
    entered = False
    for before, after in pairwise(stages_of(tissue, seeds, 20.0)):
        new = (after.state > 0) & (before.state == 0) & (tissue == VESSEL)
        assert (before.pressure[new] > HELD_PRESSURE).all()
        pressed = after.pressure > before.pressure
        assert not pressed.any() or (before.state == FULL).any()
        entered |= bool(new.any())
    assert entered


def test_a_vessel_holds_a_tumour_back():
    tissue, seeds = lattice(28)
    free = stages_of(tissue, seeds, 14.0)
    tissue[17:] = VESSEL
    held = stages_of(tissue, seeds, 14.0)
    assert np.count_nonzero(held[-1].state[17:]) < 0.2 * np.count_nonzero(free[-1].state[17:])


def test_a_tumour_in_even_tissue_is_round():
    state = stages_of(*lattice(41), 28.0)[-1].state
    places = np.argwhere(state > 0) - 20.0
    diagonal = np.abs(places @ (np.ones(3) / np.sqrt(3))).max()
    assert diagonal == pytest.approx(np.abs(places).max(), rel=0.15)


def test_a_tumour_larger_than_what_it_can_reach_is_refused():
    tissue, seeds = lattice(24)
    tissue[:, :, 13:15] = WALL
    with pytest.raises(UsageError, match=r"E_TUMOUR_ROOM.*no room for a tumour of 26 mm"):
        next(grow(tissue, seeds, cell_mm=1.0, diameter_mm=26.0, rng=np.random.default_rng(0)))


def test_necrosis_stays_below_the_rim_in_full_cells_and_reaches_its_share():
    state = stages_of(*lattice(41), 28.0)[-1].state
    dead = necrosis(state, cell_mm=1.0, rim_mm=4.0, share=0.2, rng=np.random.default_rng(0))
    assert (state[dead] == FULL).all()
    assert dead.sum() / (state > 0).sum() == pytest.approx(0.2, abs=0.05)
    from_centre = np.linalg.norm(np.argwhere(dead) - 20.0, axis=1)
    assert from_centre.max() < 14.0 + 2.0 - 4.0


def test_a_small_tumour_has_no_necrosis():
    state = stages_of(*lattice(24), 7.0)[-1].state
    assert state.max() >= HALF
    assert not necrosis(state, cell_mm=1.0, rim_mm=4.0, share=0.3, rng=np.random.default_rng(0)).any()
    assert not necrosis(np.zeros_like(state), cell_mm=1.0, rim_mm=4.0, share=0.3, rng=np.random.default_rng(0)).any()
