"""A description says the kind of its network; each kind has its keys, each key its check; models are found by name."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.catalogue.make_models import good_model, put_described
from tests.vision.test_models_damage import damaged
from vision.errors import WeightsError
from vision.models import registry
from vision.models.description import check_network, network_hash, parse_description
from vision.models.kinds import KINDS
from vision.models.registry import WEIGHTS, find_model, model_folders, read_models, user_folder

WINDOWED = {
    "order": "abdomenatlas1.1",
    "base_width": 24,
    "spacing_mm": 1.5,
    "window_hu": [-175, 250],
    "window_voxels": 96,
}
TEXT_DRIVEN = {**WINDOWED, "vision_width": 256, "text_width": 512}
NETWORKS: dict[str, dict[str, Any]] = {
    "universal": {
        "structures": ["liver", "liver_lesion"],
        "backbone": "compact",
        "widths": [32, 64],
        "fine_widths": [32, 48, 96],
        "query_width": 64,
        "hidden": 24,
        "fusion": "cross_attention",
        "spacing_mm": 3,
        "window_hu": [-125, 275],
    },
    "suprem_swinunetr": TEXT_DRIVEN,
    "suprem_unet": TEXT_DRIVEN,
    "suprem_segresnet": WINDOWED,
    "universal_swinunetr": TEXT_DRIVEN,
    "universal_unet": TEXT_DRIVEN,
    "vista3d": WINDOWED,
}
WRONG: dict[str, list[object]] = {
    "structures": [["liver", "liver"], [1], None, [], "liver", ["livr"]],
    "backbone": ["swin", 3, ["compact"]],
    "widths": [[], [0], [True]],
    "fine_widths": ["32", [10**9]],
    "query_width": [0, "64", True, 1.5],
    "hidden": [-1, None],
    "fusion": ["sum", None],
    "spacing_mm": [0, "3", True],
    "window_hu": [[1], [275, -125], [0, "1"]],
    "order": ["alphabetical", 25, None],
    "base_width": [0, 65, "48", True, 12.0],
    "window_voxels": [0, 100, 32, 512, 96.0, True],
    "vision_width": [0, 2000],
    "text_width": [0, [512]],
}


def described(kind: str, **also: Any) -> bytes:
    """A description of a kind, with what it says `also`."""
    network = NETWORKS[kind]
    checked = check_network(network, kind=kind)
    plain = {"kind": kind, "network": network, "sha256": "0" * 64, "network_sha256": network_hash(checked)}
    return json.dumps({**plain, **also}).encode()


@pytest.mark.parametrize("kind", KINDS)
def test_description_of_every_kind_is_read(kind: str) -> None:
    values = parse_description(described(kind), "mine.json")
    assert values["kind"] == kind
    assert set(values["network"]) == set(NETWORKS[kind])
    assert check_network(values["network"], kind=kind) == values["network"]


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in KINDS.items() for key in keys])
def test_every_key_of_every_kind_is_needed_and_checked(kind: str, key: str) -> None:
    without = {name: value for name, value in NETWORKS[kind].items() if name != key}
    with pytest.raises(WeightsError, match=rf"^E_WEIGHTS_DESCRIPTION: .*it lacks the key '{key}'"):
        check_network(without, kind=kind)
    for value in WRONG[key]:
        with pytest.raises(WeightsError, match=rf"^E_WEIGHTS_DESCRIPTION: .*network\.{key} (is|names|does)"):
            check_network({**NETWORKS[kind], key: value}, kind=kind)


@pytest.mark.parametrize(("kind", "width"), [("suprem_swinunetr", 32), ("suprem_segresnet", 12)])
def test_width_that_a_network_cannot_have_is_refused(kind: str, width: int) -> None:
    with pytest.raises(WeightsError, match=r"network\.base_width is not a multiple of (12|8) from"):
        check_network({**NETWORKS[kind], "base_width": width}, kind=kind)


def test_keys_of_another_kind_are_refused() -> None:
    with pytest.raises(WeightsError, match="it has the unknown key 'order'"):
        check_network(NETWORKS["vista3d"], kind="universal")


@pytest.mark.parametrize("kind", ["swinunetr", "", None, 3, ["compact"]])
def test_unknown_kind_is_refused(kind: object) -> None:
    content = json.loads(described("vista3d"))
    with pytest.raises(WeightsError, match=r"^E_WEIGHTS_DESCRIPTION: .*kind is none of universal, suprem"):
        parse_description(json.dumps({**content, "kind": kind}).encode(), "mine.json")


def test_description_without_a_kind_is_refused() -> None:
    content = json.loads(described("universal"))
    del content["kind"]
    with pytest.raises(WeightsError, match=r"^E_WEIGHTS_DESCRIPTION: mine.json .*it lacks the key 'kind'"):
        parse_description(json.dumps(content).encode(), "mine.json")


def test_model_has_its_structures_card_and_a_title_with_the_checksum(tmp_path: Path) -> None:
    good_model(tmp_path)
    entry = find_model("tiny", tmp_path)
    assert (entry.kind, entry.calibration, entry.trained_on) == ("universal", {}, {})
    assert entry.channels == ("liver", "spleen")
    assert entry.card == tmp_path / "tiny.md"
    assert entry.title == f"tiny ({entry.sha256[:8]})"


def test_structures_left_out_are_not_answered(tmp_path: Path) -> None:
    entry = put_described(tmp_path, b"", "universal", NETWORKS["universal"], left_out=["liver_lesion"])
    assert entry.channels == ("liver",)
    assert entry.config["structures"] == ("liver", "liver_lesion")
    entry = put_described(tmp_path, b"", "vista3d", {**WINDOWED, "order": "universal32"}, left_out=["lung_lesion"])
    assert len(entry.channels) == 30


@pytest.mark.parametrize(
    ("kind", "left_out", "said"),
    [
        ("universal", "liver", "left_out is not a list of names"),
        ("universal", ["spleen"], "left_out names 'spleen', which the network has no words for"),
        ("universal", ["liver_lesion", "liver"], "left_out leaves no structure"),
        ("suprem_unet", ["liver"], "left_out names 'liver', which the network segments"),
    ],
)
def test_wrong_names_left_out_are_refused(kind: str, left_out: object, said: str) -> None:
    with pytest.raises(WeightsError, match=rf"^E_WEIGHTS_DESCRIPTION: mine.json .*{said}"):
        parse_description(described(kind, left_out=left_out), "mine.json")


def test_how_small_a_lesion_is_found_is_read(tmp_path: Path) -> None:
    sizes = {"liver_lesion": 12}
    entry = put_described(tmp_path, b"", "universal", NETWORKS["universal"], lesion_sizes=sizes)
    assert entry.lesion_sizes == {"liver_lesion": 12.0}


def test_calibration_and_what_taught_a_structure_are_read(tmp_path: Path) -> None:
    lines, sources = {"liver": [0.8, -1]}, {"liver": "real and synthetic", "rectum": "synthetic"}
    entry = put_described(tmp_path, b"", "universal", NETWORKS["universal"], calibration=lines, trained_on=sources)
    assert entry.channels == ("liver", "liver_lesion")
    assert entry.calibration == {"liver": (0.8, -1.0)}
    assert entry.trained_on == sources


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("calibration", [1, 2], "calibration is not an object"),
        ("calibration", {"spleen": [1, 0]}, "calibration names 'spleen', which the network does not segment"),
        ("calibration", {"liver": [1]}, "calibration of liver is not a slope and an intercept"),
        ("calibration", {"liver": [1, "0"]}, "calibration of liver is not"),
        ("calibration", {"liver": [1, True]}, "calibration of liver is not"),
        ("trained_on", ["liver"], "trained_on is not an object"),
        ("trained_on", {"livr": "real"}, "trained_on names 'livr', which is no structure"),
        ("trained_on", {"liver": "guesses"}, "trained_on of liver is none of real, synthetic, real and synthetic"),
        ("trained_on", {"liver": ["real"]}, "trained_on of liver is none of"),
        ("lesion_sizes", [10], "lesion_sizes is not an object"),
        ("lesion_sizes", {"liver": 10}, "lesion_sizes names 'liver', which is no lesion that the network segments"),
        ("lesion_sizes", {"kidney_lesion": 10}, "lesion_sizes names 'kidney_lesion', which is no lesion"),
        ("lesion_sizes", {"liver_lesion": 0}, "lesion_sizes of liver_lesion is not a length in mm"),
        ("lesion_sizes", {"liver_lesion": "10"}, "lesion_sizes of liver_lesion is not a length"),
    ],
)
def test_wrong_calibration_or_teaching_is_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(WeightsError, match=rf"^E_WEIGHTS_DESCRIPTION: mine.json .*{said}"):
        parse_description(described("universal", **{key: value}), "mine.json")


@pytest.mark.parametrize("kind", ["universal", "suprem_unet"])
def test_damaged_description_of_a_kind_is_refused_or_harmless(kind: str) -> None:
    content = described(kind)
    whole = parse_description(content, "mine.json")
    codes = []
    for seed in range(400):
        try:
            read = parse_description(damaged(content, seed, within=len(content)), "mine.json")
        except WeightsError as refusal:
            codes.append(refusal.code)
        else:
            assert read["network"] == whole["network"]
    assert set(codes) == {"E_WEIGHTS_DESCRIPTION"}
    assert len(codes) > 300


def test_own_models_lie_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYMAPS_MODELS", str(tmp_path))
    assert user_folder() == tmp_path
    assert model_folders() == (WEIGHTS, tmp_path)
    good_model(tmp_path)
    assert "universal" in read_models()
    assert find_model("tiny").file == tmp_path / "tiny.safetensors"


@pytest.mark.parametrize(
    ("platform", "variable", "end"),
    [
        ("linux", "XDG_DATA_HOME", "bodymaps/models"),
        ("linux", None, ".local/share/bodymaps/models"),
        ("darwin", None, "Library/Application Support/bodymaps/models"),
        ("win32", "LOCALAPPDATA", "bodymaps/models"),
        ("win32", None, "AppData/Local/bodymaps/models"),
    ],
)
def test_own_models_lie_in_the_systems_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variable: str | None, end: str
) -> None:
    for name in ("BODYMAPS_MODELS", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    assert user_folder() == tmp_path / end


def test_first_folder_has_the_say_and_a_damaged_neighbour_is_no_harm(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        good_model(folder)
    (second / "broken.json").write_text("{")
    (second / "a b.json").write_text("{")
    assert find_model("tiny", first, second).file.parent == first
    assert find_model("tiny", second).file.parent == second
    with pytest.raises(WeightsError, match=r"^E_WEIGHTS_DESCRIPTION: broken\.json"):
        find_model("broken", first, second)
    with pytest.raises(WeightsError, match=r"^E_MODEL: No model is called 'a b'; installed: tiny, broken\."):
        find_model("a b", first, second)


def test_no_folder_of_own_models_is_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYMAPS_MODELS", str(tmp_path / "none"))
    assert set(read_models()) == set(registry.read_models(WEIGHTS))
