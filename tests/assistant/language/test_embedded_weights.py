"""The small language model that ships: it loads, plans what it was taught, and says so."""

from __future__ import annotations

import pytest

from assistant.language.embedded import MOST_BYTES
from assistant.language.llms.folder import EMBEDDED, EMBEDDED_FOLDER
from assistant.language.mind import LLMMind, load_mind
from assistant.plan import Memory, memory_after
from tests.assistant.small_scenes import call


@pytest.fixture(scope="module")
def mind() -> LLMMind:
    return load_mind(EMBEDDED)


def test_it_fits_the_repository() -> None:
    assert sum(file.stat().st_size for file in EMBEDDED_FOLDER.rglob("*") if file.is_file()) < MOST_BYTES


@pytest.mark.parametrize(
    ("question", "planned"),
    [
        ("segment the liver", [call("segment", "liver")]),
        ("Please outline both kidneys.", [call("segment", "kidney_left", "kidney_right")]),
        ("what is the volume of the spleen?", [call("measure", "spleen", quantities=["volume"])]),
    ],
)
def test_it_plans_by_itself(mind: LLMMind, question: str, planned: list[object]) -> None:
    assert mind.plan(question, Memory()) == planned
    assert mind.name.startswith(EMBEDDED)


def test_it_remembers_what_was_spoken_of(mind: LLMMind) -> None:
    first = mind.plan("segment the pancreas", Memory())
    second = mind.plan("how large is it?", memory_after(first, Memory()))
    assert second[0].name == "measure"
    assert second[0].arguments["structures"] == ["pancreas"]
