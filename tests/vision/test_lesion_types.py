"""Types of lesions by signs: every row of the table, and what reference values of each type are taken for."""

from __future__ import annotations

import pytest

from vision.lesion_types import FEATURES, SIGNS, TYPES, Phase, Sign, host_of, phase_of, rank_types


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: f"{sign.type} {sign.feature} {sign.low:g} {sign.high:g}")
def test_every_sign_counts_and_names_its_source(sign: Sign) -> None:
    assert sign.points != 0
    assert sign.feature in FEATURES
    assert sign.source.startswith(("engineering choice", "hu_and_sizes", "PubMed", "Lu 1996", "AJR", "Pol J Radiol"))


def test_every_type_has_a_sign_for_it_and_settles_by_one_of_its_own() -> None:
    for each in TYPES:
        own = [sign for sign in SIGNS if sign.type == each.name]
        assert any(sign.points > 0 for sign in own), each
        assert not each.settled_by or each.settled_by in {sign.name for sign in own if sign.points > 0}


@pytest.mark.parametrize(
    ("host", "phase", "features", "first", "open_because"),
    [
        ("pancreas", "portal", {"core": 50, "difference": -40}, "ductal_adenocarcinoma", "one phase"),
        ("pancreas", "arterial", {"core": 45, "difference": -67}, "ductal_adenocarcinoma", "one phase"),
        ("pancreas", "arterial", {"core": 150, "difference": 40}, "neuroendocrine_tumour", "one phase"),
        ("pancreas", "portal", {"core": 8, "difference": -80}, "pancreatic_cyst", ""),
        ("pancreas", "native", {"core": 35, "difference": -5}, "ductal_adenocarcinoma", "no contrast"),
        ("liver", "arterial", {"core": 120, "difference": 40}, "hepatocellular_carcinoma", "one phase"),
        (
            "liver",
            "portal",
            {"core": 60, "difference": -50, "blood": -90, "number": 4},
            "liver_metastasis",
            "one phase",
        ),
        ("liver", "portal", {"core": 150, "difference": 40, "blood": -5}, "haemangioma", "one phase"),
        ("liver", "portal", {"core": 5, "difference": -100, "blood": -140, "cyst": 1}, "liver_cyst", ""),
        ("kidneys", "portal", {"core": 90, "difference": -60, "fat": 60}, "renal_cell_carcinoma", "one phase"),
        ("kidneys", "native", {"core": 35, "fat": 20}, "renal_cell_carcinoma", "no contrast"),
        ("kidneys", "portal", {"core": 4, "fat": -8}, "renal_cyst", ""),
        ("kidneys", "portal", {"core": -40, "fat": -80}, "angiomyolipoma", ""),
        ("colon", "portal", {"size": 40}, "colorectal_carcinoma", "ct"),
        ("colon", "portal", {"size": 12}, "colonic_polyp", "ct"),
    ],
)
def test_reference_values_of_a_type_fit_it_best(
    host: str, phase: Phase, features: dict[str, float], first: str, open_because: str
) -> None:
    ranking = rank_types(host, features, phase)
    assert ranking.possible[0].type.name == first
    assert ranking.possible[0].points > 0
    assert ranking.open == open_because
    assert {each.type.name for each in ranking.possible} == {each.name for each in TYPES if each.host == host}


def test_nothing_measured_ranks_nothing_before_anything() -> None:
    assert {each.points for each in rank_types("liver", {}, "portal").possible} == {0}
    assert rank_types("spleen", {"core": 5}, "portal").possible == ()


def test_signs_of_contrast_do_not_count_in_an_unknown_phase() -> None:
    known, unknown = (rank_types("pancreas", {"core": 50, "difference": -40}, phase) for phase in ("portal", "unknown"))
    assert known.possible[0].supports
    assert not any(each.supports for each in unknown.possible)


@pytest.mark.parametrize(
    ("recorded", "aorta_hu", "phase"),
    [
        ("late_arterial", 40.0, "arterial"),
        ("non_contrast", 300.0, "native"),
        ("", 45.0, "native"),
        ("", 300.0, "arterial"),
        ("", 150.0, "portal"),
        ("", 100.0, "delayed"),
        ("", None, "unknown"),
        ("of another scanner", None, "unknown"),
    ],
)
def test_a_phase_is_what_the_file_says_else_what_the_aorta_shows(
    recorded: str, aorta_hu: float | None, phase: Phase
) -> None:
    assert phase_of(recorded, aorta_hu) == phase


def test_a_bright_aorta_beside_a_bright_liver_is_portal_venous() -> None:
    assert phase_of("", 250.0, 80.0) == "arterial"
    assert phase_of("", 250.0, 140.0) == "portal"


@pytest.mark.parametrize(("structure", "host"), [("kidney_left", "kidneys"), ("liver", "liver"), ("colon", "colon")])
def test_both_kidneys_hold_the_same_types(structure: str, host: str) -> None:
    assert host_of(structure) == host
