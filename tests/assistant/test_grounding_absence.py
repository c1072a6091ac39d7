"""Absence is said of what was searched, and of no more."""

from __future__ import annotations

import pytest

from assistant.grounding import verify
from assistant.records import Finding, Status
from tests.assistant.test_grounding import NO_PANCREATIC


@pytest.mark.parametrize(
    "text", ["No focal lesion.", "No kidney was seen.", "No cyst was seen.", "No lesion was found."]
)
def test_an_absence_is_not_said_of_more_than_was_searched(text: str) -> None:
    left = Finding(id="F1", structure="kidney_left", status=Status.NOT_SEEN)
    cyst = Finding(id="F2", structure="kidney_cyst", status=Status.NOT_SEEN)
    assert verify(text, [left, cyst, NO_PANCREATIC.model_copy(update={"id": "F3"})])


def test_an_absence_on_both_sides_may_be_said_at_once() -> None:
    sides = [
        Finding(id=f"F{n}", structure=f"kidney_{side}", status=Status.NOT_SEEN)
        for n, side in enumerate(("left", "right"), 1)
    ]
    assert verify("No kidney was seen by the model.", sides) == []


@pytest.mark.parametrize("word", ["suspected", "possible", "potential"])
def test_only_a_lesion_is_suspected(word: str) -> None:
    liver = Finding(id="F1", structure="liver", status=Status.SEEN)
    lesion = Finding(id="F2", structure="liver_lesion", status=Status.SEEN)
    for text in (
        f"A {word} liver F1 was found.",
        f"The {word} liver was found.",
        f"A {word} F1 was found.",
        f"F1: {word} liver was found.",
    ):
        assert [problem.detail for problem in verify(text, [liver, lesion])] == ["suspected is not on record"], text
    for text in (
        f"A {word} liver lesion F2 was found.",
        f"A {word} lesion was found in the liver.",
        f"F2: {word} liver lesion was found.",
        "F1 was found.",
    ):
        assert verify(text, [liver, lesion]) == [], text
