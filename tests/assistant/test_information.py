"""What `bodymaps info` tells of an installation with a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assistant import information
from assistant.skills import SKILLS
from vision.models.registry import ModelEntry

SHA256 = "ab" * 32


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An installation with one model of two structures whose weights are missing."""
    file = tmp_path / "small.safetensors"
    model = ModelEntry("small", file, tmp_path / "small.md", SHA256, ("liver", "liver_lesion"), {}, "universal")
    monkeypatch.setattr(information, "read_models", lambda: {"small": model})
    return information.describe_installation()


def test_structures_say_how_they_are_had(described: dict[str, Any]) -> None:
    ability = {row["name"]: row["ability"] for row in described["structures"]}
    assert ability["liver"] == "segments"
    assert ability["liver_segment_4"] == "derives"
    assert ability["spleen"] == "cannot"
    assert ability["pancreas_tail"] == "cannot"


def test_missing_weights_are_told(described: dict[str, Any]) -> None:
    assert described["models"][0]["installed"] is False
    assert "its weights are missing" in information.installation_text(described)


def test_skills_are_either_offered_or_not_yet(described: dict[str, Any]) -> None:
    assert {*described["skills"], *described["skills_not_yet"]} == set(SKILLS)


def test_text_shows_model_checksum_and_counts(described: dict[str, Any]) -> None:
    text = information.installation_text(described)
    assert SHA256 in text
    assert "Segments itself (2)" in text
    assert "Derives by rule (8)" in text
