"""The cellular automaton engine on drawn organs."""

import time

import numpy as np
import pytest

from vision.errors import UsageError
from vision.synthesis.tumours import ENGINES, Settled, Wish, synthesise
from vision.synthesis.tumours.automaton import DENSE, FULL, LOOSE, MEDIUM, VESSEL, WALL
from vision.synthesis.tumours.cellular import CellularAutomaton
from vision.synthesis.tumours.lattice import lattice_for, surface_level, tissue_of

ENGINE = CellularAutomaton()


def organ(spacing, side_mm=70.0, hu=100.0):
    """A noisy ball of an organ in fat: CT in HU, mask."""
    shape = tuple(round(side_mm / step) for step in spacing)
    squared = np.zeros(shape)
    for axis, (count, step) in enumerate(zip(shape, spacing, strict=True)):
        along = np.square((np.arange(count) - (count - 1) / 2) * step)
        squared = squared + along.reshape([-1 if other == axis else 1 for other in range(3)])
    mask = squared < (side_mm / 2 - 4) ** 2
    noise = np.random.default_rng(5).normal(0, 12, shape)
    return np.rint(np.where(mask, hu, -100.0) + noise).astype(np.int16), mask


def settled(diameter_mm, centre, **changes):
    known = {
        "organ": "liver", "kind": "tumour", "preset": "metastasis", "diameter_mm": diameter_mm, "attenuation": "hypo",
        "exophytic": "inside", "centre": centre, "organ_hu": 100.0, "contrast_hu": -45.0, "texture_hu": 5.0,
        "edge_mm": 1.0, "parts": (),
    }  # fmt: skip
    return Settled(**(known | changes))


def paint(ct, mask, spacing, wish, seed=0, engine=ENGINE):
    return engine.paint(ct.astype(np.float32), mask, spacing, wish, np.random.default_rng(seed))


def middle(ct):
    i, j, k = (count // 2 for count in ct.shape)
    return i, j, k


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 5.0), (2.0, 1.5, 1.5)])
@pytest.mark.parametrize("diameter_mm", [12.0, 32.0])
def test_the_wished_diameter_is_reached_at_any_spacing(spacing, diameter_mm):
    ct, mask = organ(spacing)
    tumour = synthesise(
        ct, mask, spacing, wish=Wish("liver", diameter_mm=diameter_mm), engine=ENGINE, rng=np.random.default_rng(1)
    )
    assert tumour.facts.equivalent_diameter_mm == pytest.approx(diameter_mm, rel=0.15)
    assert not (tumour.mask & ~mask).any()


def test_the_same_seed_paints_the_same_bytes_and_another_seed_others():
    spacing = (1.5, 1.5, 1.5)
    ct, mask = organ(spacing)
    wish = settled(20.0, middle(ct), parts=("necrotic core", "capsule"))
    first, again, other = (paint(ct, mask, spacing, wish, seed) for seed in (2, 2, 3))
    assert first.change.tobytes() == again.change.tobytes()
    assert first.mask.tobytes() == again.mask.tobytes() != other.mask.tobytes()


@pytest.mark.parametrize(("attenuation", "contrast_hu"), [("hypo", -45.0), ("iso", 0.0), ("hyper", 45.0)])
def test_the_mean_change_is_the_settled_contrast(attenuation, contrast_hu):
    spacing = (1.5, 1.5, 1.5)
    ct, mask = organ(spacing)
    wish = settled(24.0, middle(ct), attenuation=attenuation, contrast_hu=contrast_hu)
    painted = paint(ct, mask, spacing, wish)
    assert painted.change[painted.mask].mean() == pytest.approx(contrast_hu, abs=4.0)


def test_a_tumour_grows_round_a_vessel_rather_than_through_it():
    spacing = (1.5, 1.5, 1.5)
    ct, mask = organ(spacing)
    i, j, k = middle(ct)
    without = paint(ct, mask, spacing, settled(20.0, (i, j, k))).mask
    ct[i + 4 : i + 7] += 80
    around = paint(ct, mask, spacing, settled(20.0, (i, j, k))).mask
    assert around[i + 5 :].sum() < 0.6 * without[i + 5 :].sum()


def test_necrosis_is_dark_and_only_in_large_tumours():
    spacing = (1.5, 1.5, 1.5)
    ct, mask = organ(spacing)
    large = paint(ct, mask, spacing, settled(34.0, middle(ct), contrast_hu=-15.0, parts=("necrotic core",)))
    small = paint(ct, mask, spacing, settled(7.0, middle(ct), contrast_hu=-15.0, parts=("necrotic core",)))
    assert large.parts == ("necrotic core",)
    assert small.parts == ()
    hu = large.change[large.mask] + ct[large.mask]
    assert 0.03 < (hu < 60).mean() < 0.5


def test_a_bright_tumour_with_necrosis_is_still_brighter_than_its_organ():
    spacing = (1.5, 1.5, 1.5)
    ct, mask = organ(spacing)
    wish = settled(34.0, middle(ct), attenuation="hyper", contrast_hu=25.0, parts=("necrotic core",))
    painted = paint(ct, mask, spacing, wish)
    assert painted.parts == ("necrotic core",)
    assert painted.change[painted.mask].mean() > 5.0


def test_an_earlier_look_lies_in_the_later_one():
    spacing = (1.5, 1.5, 1.5)
    ct, mask = organ(spacing)
    wish = settled(30.0, middle(ct))
    early, late = (paint(ct, mask, spacing, wish, engine=CellularAutomaton(grown=share)).mask for share in (0.5, 1.0))
    assert (early & ~late).sum() < 0.02 * early.sum()
    assert early.sum() == pytest.approx(late.sum() / 8, rel=0.1)


def test_cells_are_classed_by_the_hu_map_in_thirds_with_vessels_and_walls_apart():
    spacing = (1.0, 1.0, 1.0)
    ct = np.repeat(np.linspace(80, 110, 30, dtype=np.float32), 900).reshape(30, 30, 30)
    ct[:, :, 20:] = 200.0
    room = np.ones(ct.shape, dtype=bool)
    room[:, :8] = False
    lattice = lattice_for((30, 30, 30), spacing, 28.0)
    tissue = tissue_of(ct, room, lattice, settled(28.0, (15, 15, 15)))
    assert (tissue[:, :8] == WALL).all()
    assert (tissue[:, 8:, 23:] == VESSEL).all()
    assert [int(tissue[at, 20, 10]) for at in (2, 15, 27)] == [LOOSE, MEDIUM, DENSE]


def test_a_lattice_lies_on_its_crop():
    lattice = lattice_for((20, 24, 10), (1.5, 1.0, 4.0), 30.0)
    along = np.broadcast_to(np.arange(10, dtype=np.float32) * 4.0, (20, 24, 10))
    assert np.abs(lattice.to_crop(lattice.from_crop(along, 1)) - along)[..., 1:-1].max() < 0.6
    state = np.zeros(lattice.shape, dtype=np.uint8)
    state[lattice.cell_of((4, 9, 3))] = FULL
    assert np.unravel_index(surface_level(state, lattice, 15.0).argmin(), (20, 24, 10)) == (4, 9, 3)


@pytest.mark.parametrize("diameter_mm", [6.0, 60.0])
def test_a_cube_of_128_voxels_takes_at_most_two_seconds_of_one_core(diameter_mm):
    room = np.ones((128, 128, 128), dtype=bool)
    ct = np.random.default_rng(0).normal(100, 15, room.shape).astype(np.float32)
    start = time.process_time()
    painted = paint(ct, room, (1.0, 1.0, 1.0), settled(diameter_mm, (64, 64, 64), parts=("necrotic core",)))
    assert time.process_time() - start < 2.0
    assert painted.mask.any()


def test_a_tumour_that_does_not_fit_is_refused():
    ct, mask = organ((2.0, 2.0, 2.0), side_mm=40.0)
    with pytest.raises(UsageError, match=r"E_TUMOUR_ROOM.*no room for a tumour of 38 mm"):
        paint(ct, mask, (2.0, 2.0, 2.0), settled(38.0, middle(ct)))


def test_the_engine_is_listed_under_its_name():
    assert ENGINES["cellular-automaton"]().name == "cellular-automaton"
