"""From a run to a model that answers what it has learned and declines the rest by name."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from assistant.api import default_planner
from assistant.cli import app
from assistant.conversation import Conversation
from assistant.information import describe_installation
from assistant.terminal import run_command
from tests.catalogue.make_models import TINY
from vision.errors import UsageError
from vision.geometry import CTVolume, Grid
from vision.models.coarse_to_fine import load_universal
from vision.models.registry import find_model
from vision.models.universal.network import UniversalNetwork
from vision.training.export import export_run, read_lesion_facts

AIR = CTVolume(np.full((20, 20, 20), -1000, dtype=np.int16), Grid.from_spacing((20, 20, 20), (2.0, 2.0, 2.0)))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that had a tiny network of liver and spleen."""
    torch.manual_seed(0)
    folder = tmp_path / "run"
    folder.mkdir()
    stored = {"average": UniversalNetwork(TINY).state_dict(), "step": 3, "seconds": 1.5}
    torch.save(stored, folder / "checkpoint.pt")
    recipe = {"network": TINY.to_dict(), "trained_on": {"liver": "real", "spleen": "synthetic"}, "seed": 0}
    (folder / "config.json").write_text(json.dumps(recipe))
    return folder


def test_what_is_left_out_is_written_and_neither_answered_nor_listed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vision.models.registry.WEIGHTS", tmp_path / "models")
    export_run(run, tmp_path / "models", name="tiny", leave_out=frozenset({"spleen"}))
    entry = find_model("tiny", tmp_path / "models")
    assert (entry.channels, entry.config["structures"]) == (("liver",), ("liver", "spleen"))
    segmenter = load_universal(entry, device="cpu")
    assert segmenter.structures == {"liver"}
    rows = {row["name"]: row for row in describe_installation()["structures"]}
    assert (rows["liver"]["ability"], rows["liver"]["trained_on"]) == ("segments", "real")
    assert (rows["spleen"]["ability"], rows["spleen"]["trained_on"]) == ("cannot", None)
    answer = Conversation(AIR, segmenter, default_planner()).ask("Segment the spleen.")
    assert answer.text.startswith("This model cannot segment spleen yet.")
    assert answer.masks == {}


def test_command_leaves_out_what_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "export", str(run), "--out", str(tmp_path / "models"), "--name", "tiny", "--leave-out"]
    assert run_command(lambda: app([*words, "livr"])) == 2
    assert "E_LEAVE_OUT" in capsys.readouterr().err
    assert run_command(lambda: app([*words, " liver,"])) == 0
    assert find_model("tiny", tmp_path / "models").channels == ("spleen",)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"livr"}, "This run has no structure 'livr' to leave out. Nearest: liver"),
        ({"aorta"}, "This run has no structure 'aorta'"),
        ({"liver", "spleen"}, "No structure of this run would be answered"),
    ],
)
def test_names_that_cannot_be_left_out_are_refused(run: Path, tmp_path: Path, names: set[str], said: str) -> None:
    with pytest.raises(UsageError, match=rf"^E_LEAVE_OUT: {said}"):
        export_run(run, tmp_path / "models", name="tiny", leave_out=frozenset(names))
    assert not (tmp_path / "models").exists()


def test_nothing_is_left_out_unless_it_is_named(run: Path, tmp_path: Path) -> None:
    export_run(run, tmp_path, name="tiny")
    assert json.loads((tmp_path / "tiny.json").read_text())["left_out"] == []
    assert find_model("tiny", tmp_path).channels == TINY.structures


LESION_TINY = replace(TINY, structures=("liver", "liver_lesion"))


@pytest.fixture
def lesion_run(tmp_path: Path) -> Path:
    """The folder of a run that learned the liver and its lesions."""
    folder = tmp_path / "lesion_run"
    folder.mkdir()
    stored = {"average": UniversalNetwork(LESION_TINY).state_dict(), "step": 3, "seconds": 1.5}
    torch.save(stored, folder / "checkpoint.pt")
    (folder / "config.json").write_text(json.dumps({"network": LESION_TINY.to_dict(), "trained_on": {}}))
    return folder


def evaluated(folder: Path, slope: float | None, size: float | None, tried: int = 9) -> Path:
    folder.mkdir()
    rows = [
        {"structure": name, "reliable_from_mm": mm, "sensitivity": {"n": tried}}
        for name, mm in (("liver_lesion", size), ("all lesions", 5.0))
    ]
    (folder / "lesions.json").write_text(json.dumps({"structures": rows}))
    (folder / "reliability.json").write_text(json.dumps({"slope": slope, "intercept": slope}))
    return folder


def test_lesions_have_a_line_and_a_size_of_their_own(lesion_run: Path, tmp_path: Path) -> None:
    facts = read_lesion_facts(evaluated(tmp_path / "kept_apart", 0.5, 10.0))
    export_run(lesion_run, tmp_path / "models", name="tiny", calibration=(2.0, 1.0), lesions=facts)
    entry = find_model("tiny", tmp_path / "models")
    assert entry.calibration == {"liver": (2.0, 1.0), "liver_lesion": (0.5, 0.5)}
    assert entry.lesion_sizes == {"liver_lesion": 10.0}


def test_what_could_not_be_measured_of_lesions_is_not_said(lesion_run: Path, tmp_path: Path) -> None:
    facts = read_lesion_facts(evaluated(tmp_path / "kept_apart", None, 10.0, tried=4))
    export_run(lesion_run, tmp_path / "models", name="tiny", calibration=(2.0, 1.0), lesions=facts)
    entry = find_model("tiny", tmp_path / "models")
    assert entry.calibration == {"liver": (2.0, 1.0)}
    assert entry.lesion_sizes == {}


def test_a_model_that_finds_no_size_reliably_says_so(lesion_run: Path, tmp_path: Path) -> None:
    facts = read_lesion_facts(evaluated(tmp_path / "kept_apart", 0.5, None))
    export_run(lesion_run, tmp_path / "models", name="tiny", lesions=facts)
    assert json.loads((tmp_path / "models" / "tiny.json").read_text())["lesion_sizes"] == {"liver_lesion": None}
    assert find_model("tiny", tmp_path / "models").lesion_sizes == {"liver_lesion": math.inf}


def test_a_folder_without_an_evaluation_of_lesions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E_CALIBRATION: The folder holds no evaluation of lesions"):
        read_lesion_facts(tmp_path)
