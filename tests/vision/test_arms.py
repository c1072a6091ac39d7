"""Real against synthetic: what each arm learns from, how they are compared, and one comparison from end to end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.vision.arms_cases import LESION, arms_of, evaluation_of, liver_case, write_cases
from vision.benchmark import EvaluationCase, Reference, find_cases
from vision.benchmark.arms import (
    ArmsComparison,
    ArmsConfig,
    Surveyed,
    arms_tables,
    compare_arms,
    compare_metrics,
    split_cases,
    survey,
    write_arms,
)
from vision.benchmark.arms.cases import Arm, arm_case, learned, organs_of
from vision.benchmark.arms.small import small_recipe
from vision.benchmark.arms.statistics import crossed_estimate
from vision.errors import UsageError
from vision.synthesis.tumours import make_engine

ANNOTATED = frozenset({"liver", LESION})


def surveyed(name: str, *lesions: str, annotated: frozenset[str] = ANNOTATED) -> Surveyed:
    case = EvaluationCase(name, Path(name), lambda wanted: {})
    return Surveyed(case, annotated, frozenset(lesions))


def test_both_arms_know_words_for_the_organs_and_all_of_their_lesions() -> None:
    organs = organs_of(frozenset({"kidney_cyst", LESION}))
    assert organs == ("liver", "kidney")
    assert set(learned(organs)) == {
        *("liver", "liver_lesion", "liver_cyst"),
        *("kidney_left", "kidney_right", "kidney_lesion", "kidney_cyst"),
    }


def test_an_organ_is_painted_only_where_its_lesions_were_looked_for_and_none_was_found() -> None:
    assert surveyed("a").can_be_painted("liver")
    assert not surveyed("a", LESION).can_be_painted("liver")
    assert not surveyed("a", annotated=frozenset({"liver"})).can_be_painted("liver")
    assert not surveyed("a", annotated=frozenset({LESION})).can_be_painted("liver")


@pytest.mark.parametrize("arm", ["real", "synthetic"])
def test_the_synthetic_arm_never_learns_of_a_real_lesion(arm: Arm) -> None:
    ct, masks = liver_case(lesion_radius_mm=10.0, seed=0)
    masks["liver"] = replace(masks["liver"], voxels=masks["liver"].voxels | masks[LESION].voxels)
    reference = Reference(ct, masks, ANNOTATED)
    made = arm_case(surveyed("a", LESION), reference, arm, ("liver",), spacing_mm=2.5)
    known = {name for name, annotated in zip(learned(("liver",)), made.annotated, strict=True) if annotated}
    lesion, liver = (made.voxels_of(learned(("liver",)).index(name)) for name in (LESION, "liver"))
    assert known == ({"liver", LESION} if arm == "real" else {"liver"})
    assert lesion.any() == (arm == "real")
    assert liver.sum() == masks["liver"].count


def test_in_a_healthy_organ_of_the_synthetic_arm_every_lesion_is_known_to_be_absent() -> None:
    ct, masks = liver_case(lesion_radius_mm=0.0, seed=0)
    made = arm_case(surveyed("a"), Reference(ct, masks, ANNOTATED), "synthetic", ("liver",), spacing_mm=2.5)
    assert made.annotated.all()
    assert not made.voxels_of(learned(("liver",)).index("liver_cyst")).any()


def test_cases_with_lesions_and_without_are_on_both_sides_and_none_is_on_two() -> None:
    cases = [surveyed(f"ill{n}", LESION) for n in range(5)] + [surveyed(f"well{n}") for n in range(5)]
    train, test = split_cases(cases, ("liver",), held_out=0.4)
    assert [sum(bool(case.lesions) for case in side) for side in (train, test)] == [3, 2]
    assert [len(train), len(test)] == [6, 4]
    assert {case.case.name for case in train}.isdisjoint(case.case.name for case in test)
    assert split_cases(cases, ("liver",), held_out=0.4) == (train, test)


def test_too_few_cases_are_refused() -> None:
    with pytest.raises(UsageError, match="Only 1 cases hold a lesion") as refused:
        split_cases([surveyed("ill", LESION), surveyed("well")], ("liver",), held_out=0.4)
    assert refused.value.code == "E_TOO_FEW"
    with pytest.raises(UsageError, match="no tumour can be painted") as refused:
        split_cases([surveyed(f"ill{n}", LESION) for n in range(4)], ("liver",), held_out=0.4)
    assert refused.value.code == "E_TOO_FEW"


def test_a_difference_is_paired_by_scan_and_seed() -> None:
    by_metric = {row.metric: row for row in arms_of("handcrafted").metrics}
    sensitivity = by_metric["sensitivity"]
    assert (sensitivity.real.value, sensitivity.synthetic.value) == (0.25, 0.75)
    assert (sensitivity.difference.value, sensitivity.real.n, sensitivity.real.scans) == (0.5, 4, 3)
    assert sensitivity.by_seed == ((0.25, 0.75),) * 3
    assert by_metric["sensitivity, 10-20 mm"].difference.value == 0.5
    assert "sensitivity, > 20 mm" not in by_metric
    assert by_metric["false positives a scan"].difference.value == 2.0
    assert by_metric["Dice a case"].real.value == pytest.approx(0.5 / 3)


def test_equal_arms_differ_by_nothing_however_scans_and_seeds_are_drawn() -> None:
    runs = [evaluation_of({"a": [seed > 0], "b": [True], "c": [False]}) for seed in range(3)]
    (row, *_) = compare_metrics(runs, runs)
    assert (row.difference.value, row.difference.low, row.difference.high) == (0.0, 0.0, 0.0)
    assert row.real.low is not None
    assert row.real.high is not None
    assert row.real.low < 0.4 < 0.7 < row.real.high


def test_seeds_that_differ_widen_an_interval() -> None:
    below = np.ones((4, 30))
    same, other = np.full((4, 30), 0.5), np.repeat([[0.0], [0.5], [0.5], [1.0]], 30, axis=1)
    one, two = crossed_estimate(same, below), crossed_estimate(other, below)
    assert one.value == two.value == 0.5
    assert (one.low, one.high) == (0.5, 0.5)
    assert two.low is not None
    assert two.high is not None
    assert two.high - two.low > 0.3


def test_two_seeds_give_a_value_and_no_interval() -> None:
    told = crossed_estimate(np.ones((2, 5)), np.ones((2, 5)))
    assert (told.value, told.low, told.high) == (1.0, None, None)


def test_arms_that_were_tested_on_other_lesions_are_not_compared() -> None:
    with pytest.raises(ValueError, match="not tested on the same lesions"):
        compare_metrics([evaluation_of({"a": [True]})], [evaluation_of({"a": [True, True]})])


def test_what_cannot_be_compared_is_refused() -> None:
    recipe = small_recipe(minutes=1.0, steps=2)
    with pytest.raises(UsageError, match="nothing to compare"):
        ArmsConfig(recipe, seeds=0)
    with pytest.raises(UsageError, match="No tumour can be painted as 'liver'"):
        ArmsConfig(recipe, structures=frozenset({"liver"}))
    with pytest.raises(UsageError, match="Nothing can be trained in 0 minutes"):
        small_recipe(minutes=0, steps=2)


def test_cases_that_say_nothing_of_lesions_are_left_out_and_refused(tmp_path: Path) -> None:
    write_cases(tmp_path, ill=0, well=1)
    [case] = find_cases([tmp_path])
    silent = replace(case, annotated=frozenset({"liver"}))
    assert survey([silent], ANNOTATED) == []
    with pytest.raises(UsageError, match="says anything about these lesions"):
        compare_arms([silent], tmp_path / "out", config(), engine=make_engine("handcrafted"))


def config(*, seeds: int = 3, steps: int = 2) -> ArmsConfig:
    """A comparison small enough for a test."""
    from tests.vision.training_parts import SMALL

    recipe = small_recipe(minutes=5.0, steps=steps)
    network = replace(recipe.network, widths=(8, 16), fine_widths=(8, 16), query_width=8, hidden=4)
    supply = replace(recipe.supply, patch=SMALL)
    return ArmsConfig(replace(recipe, network=network, supply=supply, workers=0), seeds=seeds)


def compared(cases: Sequence[EvaluationCase], out: Path, chosen: ArmsConfig) -> ArmsComparison:
    return compare_arms(cases, out, chosen, engine=make_engine("handcrafted"))


@pytest.mark.slow
def test_both_arms_are_trained_tested_and_compared_over_three_seeds_and_a_run_goes_on(tmp_path: Path) -> None:
    cases, out = find_cases([write_cases(tmp_path / "cases", ill=3, well=2)]), tmp_path / "out"
    first = compared(cases, out, config(seeds=1))
    comparison = compared(cases, out, config())
    assert [(run.arm, run.seed, run.steps) for run in comparison.runs] == [
        (arm, seed, 2) for seed in range(3) for arm in ("real", "synthetic")
    ]
    assert [run.evaluation.rows[0].predictions for run in comparison.runs[:2]] == [
        run.evaluation.rows[0].predictions for run in first.runs
    ]
    assert (comparison.training, comparison.tested) == (3, 2)
    by_metric = {row.metric: row for row in comparison.metrics}
    assert by_metric["sensitivity"].real.n == 1
    assert by_metric["false positives a scan"].difference.scans == 2
    recorded = json.loads((out / "synthetic" / "seed_2" / "config.json").read_text())
    assert recorded["supply"]["tumours"] == ["handcrafted"]
    assert json.loads((out / "real" / "seed_2" / "config.json").read_text())["supply"]["tumours"] == []
    write_arms(comparison, out)
    assert len(json.loads((out / "arms.json").read_text())["runs"]) == 6
    assert (out / "arms.csv").read_text().startswith("metric,n,scans,real")
    console = Console(record=True, width=200)
    for table in arms_tables(comparison):
        console.print(table)
    assert "synthetic - real" in console.export_text()
    with pytest.raises(UsageError, match="other cases or settings") as refused:
        compared(cases, out, config(steps=3))
    assert refused.value.code == "E_ARMS"
