"""`bodymaps train`: what it needs, what it refuses, and a tiny run from anatomies to an installed model."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from assistant.training import TrainingOptions, train_vision, trained_structures
from vision.errors import InputRefused, UsageError
from vision.io import write_label_map
from vision.models.coarse_to_fine import load_universal
from vision.models.registry import find_model
from vision.phantom import make_phantom
from vision.structures import ABDOMENATLAS
from vision.training.export import export_run
from vision.training.pseudo import pseudo_rows


def options_of(folder: Path, **changes: object) -> TrainingOptions:
    values = {"cases": None, "anatomies": None, "out": folder, "minutes": 1.0, "steps": 2, **changes}
    return TrainingOptions(**values)  # type: ignore[arg-type]


def test_a_model_has_words_for_the_25_structures_and_what_is_annotated_beside_them() -> None:
    known = trained_structures(frozenset({"liver", "liver_lesion"}))
    assert known == (*ABDOMENATLAS.values(), "liver_lesion")


@pytest.mark.parametrize("changes", [{"minutes": 0.0}, {"steps": 0}])
def test_training_needs_a_budget(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="E_BUDGET"):
        train_vision(options_of(tmp_path, cases=tmp_path / "cases.json", **changes))


def test_training_needs_something_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E_CASE_LIST: There is nothing to train on"):
        train_vision(options_of(tmp_path))


def test_a_case_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_NOT_FOUND"):
        train_vision(options_of(tmp_path, cases=tmp_path / "none.json"))


def test_an_unknown_fusion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E_FUSION"):
        train_vision(options_of(tmp_path, anatomies=tmp_path, fusion="sum"))


def test_missing_accelerate_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(UsageError, match=r"E_EXTRA: .*accelerate.*pip install 'bodymaps-assistant\[train\]'"):
        train_vision(options_of(tmp_path, anatomies=tmp_path))


@pytest.mark.slow
def test_a_tiny_run_goes_from_cases_and_anatomies_to_an_installed_model(tmp_path: Path) -> None:
    """The whole recipe: a phantom as a case, its labels as an anatomy, training, self-labels, export, a mask."""
    phantom = make_phantom(seed=3, spacing_mm=(3.0, 3.0, 4.0))
    organs = [mask for name, mask in phantom.masks.items() if name in ABDOMENATLAS.values()]
    subject = tmp_path / "anatomies" / "one"
    subject.mkdir(parents=True)
    write_label_map(organs, subject / "labels.nii.gz")
    with (tmp_path / "anatomies" / "index.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["subject", "structures"])
        rows.writerow(["one", " ".join(mask.structure for mask in organs)])
    from vision.training.phantoms import phantom_rows

    listed = phantom_rows(tmp_path, count=1, first_seed=5, spacing_mm=(3.0, 3.0, 4.0))
    (tmp_path / "cases.json").write_text(json.dumps(listed))
    options = options_of(tmp_path / "run", cases=tmp_path / "cases.json", anatomies=tmp_path / "anatomies", minutes=5.0)
    train_vision(options)
    labelled = pseudo_rows(tmp_path / "run", tmp_path / "cases.json", tmp_path / "pseudo", share=0.5)
    assert set(listed[0]["annotated"]) <= set(labelled[0]["annotated"])
    nothing_new = pseudo_rows(
        tmp_path / "run", tmp_path / "cases.json", tmp_path / "few", share=0.5, only=frozenset({"liver"})
    )
    assert nothing_new[0]["annotated"] == sorted(listed[0]["annotated"])
    with pytest.raises(UsageError, match="E_STRUCTURE"):
        pseudo_rows(tmp_path / "run", tmp_path / "cases.json", tmp_path, share=0.5, only=frozenset({"livr"}))
    export_run(tmp_path / "run", tmp_path / "models", name="tiny")
    (tmp_path / "models" / "tiny.md").write_text("# tiny\n")
    entry = find_model("tiny", tmp_path / "models")
    segmenter = load_universal(entry, device="cpu")
    mask = segmenter.segment(segmenter.encode(phantom.ct), "liver")
    assert mask.grid == phantom.ct.grid
    assert np.isfinite(mask.score or 0.0)
