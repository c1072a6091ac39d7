"""The coarse look at the body: what it measures on drawn bodies, and how often it is wrong on many."""

from __future__ import annotations

import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.catalogue.make_bodies import AFFINE, SHAPE, SPACING_MM, chest, head, legs, noisy, trunk
from vision.geometry import Grid, reorient_array
from vision.io.body import look_at_body
from vision.io.judge import body_notices, is_turned_over
from vision.io.load import read_ct
from vision.phantom import make_phantom

GRID = Grid(SHAPE, AFFINE)
ALARMS = {"W_REGION", "W_SMALL_BODY", "W_NOISY", "W_NO_BONE", "W_TURNED_OVER"}


def alarms(hu: np.ndarray, grid: Grid = GRID) -> set[str]:
    return {notice.code for notice in body_notices(look_at_body(hu, grid))}


def test_a_trunk_has_the_area_of_its_ellipse_and_its_spine_at_the_back() -> None:
    body = look_at_body(trunk(), GRID)
    assert set(body.regions) == {"abdomen"}
    assert body.covered_mm("abdomen") == SHAPE[2] * SPACING_MM[2]
    assert body.area_cm2 == pytest.approx(math.pi * 16.5 * 12.0, rel=0.02)
    assert body.spine == pytest.approx(-62 / 240, abs=0.03)
    assert body.noise_hu == pytest.approx(10.0, rel=0.2)


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "SLP", "ASR"])
def test_the_look_does_not_depend_on_the_order_of_axes(axcodes: str) -> None:
    grid, order, signs = GRID.reoriented(axcodes)
    turned = look_at_body(np.ascontiguousarray(reorient_array(chest(), order, signs)), grid)
    assert set(turned.regions) == {"chest"}
    assert not is_turned_over(turned)


@pytest.mark.parametrize(("make", "region"), [(head, "head"), (legs, "legs"), (chest, "chest")])
def test_another_region_is_told_by_its_name(make, region: str) -> None:  # type: ignore[no-untyped-def]
    assert set(look_at_body(make(), GRID).regions) == {region}


def test_clipped_air_is_air_all_the_same() -> None:
    body = look_at_body(np.clip(chest(), -125, 275), GRID)
    assert set(body.regions) == {"chest"}
    assert body.area_cm2 == pytest.approx(math.pi * 16.5 * 12.0, rel=0.03)


def test_nothing_but_air_is_no_body() -> None:
    body = look_at_body(np.full(SHAPE, -1000, dtype=np.int16), GRID)
    assert set(body.regions) == {""}
    assert [notice.code for notice in body_notices(body)] == ["W_REGION"]
    assert body.spine is None
    assert body.noise_hu is None


def test_a_table_under_the_patient_is_no_body() -> None:
    hu = trunk()
    hu[20:80, 8:10] = 100
    assert look_at_body(hu, GRID).area_cm2 == look_at_body(trunk(), GRID).area_cm2


@pytest.mark.slow
def test_good_phantoms_raise_at_most_two_alarms_in_a_hundred() -> None:
    n, found = 100, Counter[str]()
    for seed in range(n):
        ct = make_phantom(seed=seed, spacing_mm=(3.0, 3.0, 5.0)).ct
        found.update(alarms(ct.hu, ct.grid))
    print(f"good phantoms: n = {n}, alarms {dict(found)}")
    assert sum(found.values()) <= 0.02 * n


@pytest.mark.slow
def test_at_least_95_in_a_hundred_wrong_bodies_raise_an_alarm() -> None:
    rng = np.random.default_rng(5)
    n, missed = 0, Counter[str]()
    for seed in range(20):
        ct = make_phantom(seed=seed, spacing_mm=(3.0, 3.0, 5.0)).ct
        wrong = {
            "front and back reversed": (np.flip(ct.hu, 1), ct.grid),
            "top and bottom reversed": (np.flip(ct.hu, 2), ct.grid),
            "noise": (noisy(ct.hu.astype(float), rng.uniform(60, 120)), ct.grid),
            "head": (head(rng.uniform(0.9, 1.15)), GRID),
            "legs": (legs(rng.uniform(0.8, 1.05)), GRID),
            "chest": (chest(rng.uniform(0.9, 1.1)), GRID),
            "small": (trunk(rng.uniform(0.35, 0.6)), GRID),
            "boneless": (trunk(rng.uniform(0.9, 1.1), spine=False), GRID),
        }
        for name, (hu, grid) in wrong.items():
            n += 1
            missed.update([] if alarms(np.ascontiguousarray(hu), grid) else [name])
    print(f"wrong bodies: n = {n}, missed {dict(missed)}")
    assert sum(missed.values()) <= 0.05 * n


@pytest.mark.data
def test_no_real_abdomen_raises_an_alarm() -> None:
    folder = os.environ.get("BODYMAPS_DATA", "")
    if not folder:
        pytest.skip("BODYMAPS_DATA names no folder of real CTs")
    cases = sorted(Path(folder).glob("*/*/ct.nii.gz"))
    found = {case.parent.name: {notice.code for notice in read_ct(case).warnings} & ALARMS for case in cases}
    assert cases
    assert {name: codes for name, codes in found.items() if codes} == {}
