"""The demo tells the phantom's truth beside what was measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assistant import demo
from assistant.demo import compare_with_truth
from assistant.records import Finding, Measurement, Status
from tests.fakes import LabelMapSegmenter
from vision.measure import volume_ml
from vision.phantom import Phantom, make_phantom


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(seed=0, spacing_mm=(3.0, 3.0, 5.0))


def seen(structure: str, quantity: str, value: float, unit: str) -> Finding:
    measurement = Measurement(id=f"F1.{quantity}", quantity=quantity, value=value, unit=unit, method="by hand")
    return Finding(id="F1", structure=structure, status=Status.SEEN, measurements=(measurement,))


def test_lesion_stands_beside_its_analytic_size(phantom: Phantom) -> None:
    lines = list(compare_with_truth(phantom, (seen("pancreas_lesion", "long_axis", 23.6, "mm"),)))
    assert lines == ["truth: pancreatic lesion, long axis 24 mm measured, 25 mm made"]


def test_organ_stands_beside_the_volume_of_its_exact_mask(phantom: Phantom) -> None:
    (line,) = compare_with_truth(phantom, (seen("liver", "volume", 1000.0, "mL"),))
    assert line == f"truth: liver, volume 1,000 mL measured, {volume_ml(phantom.masks['liver']):,.0f} mL made"


def test_lesion_that_was_missed_is_told(phantom: Phantom) -> None:
    missed = Finding(id="F1", structure="pancreas_lesion", status=Status.NOT_SEEN)
    assert list(compare_with_truth(phantom, (missed,))) == ["truth: this CT was made with a pancreatic lesion"]


def test_quantity_of_which_nothing_is_known_is_left_out(phantom: Phantom) -> None:
    assert list(compare_with_truth(phantom, (seen("liver", "hu_mean", 100.0, "HU"),))) == []
    assert list(compare_with_truth(phantom, (seen("uterus", "volume", 100.0, "mL"),))) == []


def test_demo_asks_four_questions_and_keeps_what_it_shows(
    phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("liver", "spleen", "pancreas", "kidney_left", "kidney_right", "aorta", "pancreas_lesion")
    segmenter = LabelMapSegmenter({name: phantom.masks[name] for name in names})
    monkeypatch.setattr(demo, "make_phantom", lambda *, seed: phantom)
    said: list[str] = []
    demo.run_demo(None, tmp_path / "out", segmenter=segmenter, say=said.append)
    text = "\n".join(said)
    assert all(question in text for question in demo.QUESTIONS)
    assert re.search(r"pancreatic lesion, long axis \d+ mm measured, 25 mm made", text)
    assert "make chat" in said[-1]
    kept = {path.name for path in (tmp_path / "out").iterdir()}
    assert kept == {
        "answer_1", "answer_2", "answer_3", "answer_4", "ct.nii.gz", "overlay.png", "report.html", "report.md",
    }  # fmt: skip
    assert (tmp_path / "out" / "answer_2" / "masks" / "pancreas_lesion.nii.gz").is_file()
    assert "data:image/png;base64," in (tmp_path / "out" / "report.html").read_text()
