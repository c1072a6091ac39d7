"""DeepTumorVQA: its files, its scoring, its tools, and an agent that has to answer in the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.language.evaluation.deep_tumor import (
    MOST_STEPS,
    Measured,
    Question,
    Turn,
    answer_questions,
    read_measured,
    read_questions,
    score_answers,
    tool_descriptions,
)
from assistant.language.evaluation.deep_tumor.questions import ANSWERS, Form
from assistant.language.evaluation.deep_tumor.scoring import letter_of, number_of, relative_accuracy, yes_or_no
from assistant.language.evaluation.deep_tumor.tools import look_up, run_tool
from assistant.language.evaluation.speaking import turn_of
from assistant.language.llms.table import LLAMA3, LLMS, ToolFormat
from vision.errors import InputRefused

MEASURED = Measured(
    {
        "CT1": {
            "segment": {"liver": {"mask_found": True, "voxels": 5}},
            "measure": {"liver": {"volume_cm3": {"value": 1500.0}}},
        }
    }
)


def question(subtype: str = "organ volume measurement", answer: str = "1500", letter: str = "B") -> Question:
    return Question("CT1", "How large?", answer, "How large? A. 1 B. 1500", letter, "measurement", subtype)


def test_the_table_of_subtypes_is_that_of_the_benchmark() -> None:
    kinds = list(ANSWERS.values())
    assert (len(ANSWERS), kinds.count("number"), kinds.count("yes_no"), kinds.count("word")) == (42, 11, 15, 16)


@pytest.mark.parametrize(
    ("answer", "letter"),
    [("B", "B"), ("b.", None), ("The answer is C.", "C"), ("Both", None), ("(D) liver", "D"), ("", None)],
)
def test_a_letter_counts_where_it_stands_alone(answer: str, letter: str | None) -> None:
    assert letter_of(answer) == letter


@pytest.mark.parametrize(
    ("given", "wanted", "score"),
    [
        (1500, 1500, 1.0),
        (1350, 1500, 0.9),
        (4000, 1500, 0.0),
        (None, 1500, 0.0),
        (0, 0, 1.0),
        (1, 0, 0.0),
        (-3, 3, 0.0),
    ],
)
def test_numbers_score_by_relative_accuracy(given: float | None, wanted: float, score: float) -> None:
    assert relative_accuracy(given, wanted) == pytest.approx(score)


def test_numbers_and_yes_and_no_are_read_off_words() -> None:
    assert number_of("about -12.5 HU, not 3") == -12.5
    assert number_of("none") is None
    assert yes_or_no("No, there is no yes in it") == "no"
    assert yes_or_no("nothing") is None


def test_free_numbers_report_the_shares_within_tolerances() -> None:
    asked = [question(answer=answer) for answer in ("100", "100", "100", "100")]
    (row,) = score_answers(asked, ["105", "110", "<think>7</think> 150", "999"], form="free").subtypes
    assert row.score.mean == pytest.approx((0.95 + 0.9 + 0.5 + 0) / 4)
    assert row.others == {
        "within_5_percent": 0.25,
        "within_10_percent": 0.5,
        "within_20_percent": 0.5,
        "within_50_percent": 0.75,
    }


def test_yes_and_no_report_sensitivity_and_specificity() -> None:
    asked = [question("liver lesion existence", answer) for answer in ("yes", "yes", "no", "no")]
    (row,) = score_answers(asked, ["Yes", "no", "No.", "perhaps"], form="free").subtypes
    assert row.score.mean == 0.5
    assert row.others == {"sensitivity": 0.5, "specificity": 1.0}


def test_words_are_compared_plainly_and_in_part() -> None:
    asked = [question("adjacent organ", answer) for answer in ("Left kidney", "stomach")]
    (row,) = score_answers(asked, ["left  KIDNEY.", "the stomach"], form="free").subtypes
    assert (row.score.mean, row.others) == (0.5, {"partial": 1.0})


def test_types_and_all_count_every_question_once() -> None:
    asked = [question("lesion counting"), question("lesion counting"), question("lesion counting", letter="A")]
    score = score_answers(asked, ["B", "A", "A"], form="choice")
    assert score.overall.mean == pytest.approx(2 / 3)
    assert score.by_type["measurement"].n == 3
    assert score.subtypes[0].others == {"parsed": 1.0}


def test_answers_without_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="1 answers for 0 questions"):
        score_answers([], ["B"], form="choice")


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("segment_organ", {"target": "liver"}, {"mask_found": True, "voxels": 5}),
        (
            "segment_organ",
            {"target": "lung"},
            {"mask_found": False, "error": "not segmented", "available_targets": ["liver"]},
        ),
        ("measure", {"target": "liver", "measurement_type": "volume_cm3"}, {"value": 1500.0}),
        ("measure", {"target": "liver", "measurement_type": "mean_hu"}, {"error": "not measured"}),
        ("crop_organ", {}, {"error": "no such tool"}),
    ],
)
def test_tools_answer_from_what_was_measured(name: str, arguments: Mapping[str, Any], found: dict[str, Any]) -> None:
    assert run_tool(name, arguments, image_id="CT1", measured=MEASURED) == found


def test_knowledge_is_found_by_its_keywords() -> None:
    assert "314.5" in look_up("splenomegaly detection threshold")[0]["text"]
    assert look_up("zebra") == []


def test_the_tools_have_the_names_of_the_benchmark() -> None:
    assert [tool["function"]["name"] for tool in tool_descriptions()] == [
        "segment_organ",
        "measure",
        "lookup_medical_knowledge",
    ]


class Script:
    """A model that calls one tool a turn for as long as it may, and keeps what it was given."""

    def __init__(self) -> None:
        self.offered: list[int] = []
        self.last: Sequence[Mapping[str, Any]] = ()

    def __call__(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> Turn:
        self.offered.append(len(tools))
        self.last = list(messages)
        call = ("measure", {"target": "liver", "measurement_type": "volume_cm3"})
        return Turn("", (call,)) if tools else Turn("B")


@pytest.mark.parametrize("form", ["choice", "free"])
def test_an_agent_has_to_answer_on_its_last_step(form: Form) -> None:
    script = Script()
    (answer,) = answer_questions([question()], script, measured=MEASURED, form=form)
    assert script.offered == [3] * (MOST_STEPS - 1) + [0]
    called = [call["name"] for message in script.last for call in message.get("tool_calls", ())]
    assert called == ["measure"] * (MOST_STEPS - 1)
    assert answer == "B"
    assert [message["role"] for message in script.last[:4]] == ["system", "user", "assistant", "tool"]
    assert json.loads(script.last[3]["content"]) == {"value": 1500.0}


@pytest.mark.parametrize("tool_format", [row.tool_format for row in LLMS], ids=[row.name for row in LLMS])
def test_calls_are_read_in_the_form_of_every_family(tool_format: ToolFormat) -> None:
    calls = [("measure", {"target": "liver"}), ("segment_organ", {"target": "spleen"})]
    told = [json.dumps({tool_format.name_key: n, tool_format.arguments_key: a}) for n, a in calls]
    text = "I measure. " + tool_format.begin + tool_format.between.join(told) + tool_format.end
    assert turn_of(text, tool_format) == Turn("I measure.", tuple(calls))


def test_braces_that_are_no_call_are_words() -> None:
    assert turn_of('a {b} {"name": 3} c', LLAMA3) == Turn('a {b} {"name": 3} c')


def test_files_of_the_benchmark_are_read(tmp_path: Path) -> None:
    row = {"image_id": "CT1", "question": "q", "answer": 3, "question_type": "Recognition"}
    rows = [row | {"question_subtype": "lesion counting", "mc_question": "A. B.", "correct_option": "A"}]
    (tmp_path / "q.json").write_text(json.dumps({"questions": rows}))
    (read,) = read_questions(tmp_path / "q.json")
    assert (read.image_id, read.answer, read.asked("choice"), read.wanted("free")) == ("CT1", "3", "A. B.", "3")
    (tmp_path / "m.json").write_text(json.dumps({"cache": dict(MEASURED.by_image)}))
    assert read_measured(tmp_path / "m.json") == MEASURED


@pytest.mark.parametrize("text", ["{", "3", '{"questions": [{"qid": 1}]}', '{"questions": []}'])
def test_files_that_are_no_questions_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.json").write_text(text)
    with pytest.raises(InputRefused, match="E_QUESTIONS"):
        read_questions(tmp_path / "q.json")


@pytest.mark.parametrize("text", ["{", "3", '{"cache": 3}'])
def test_files_that_are_no_measurements_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(InputRefused, match="E_MEASURED"):
        read_measured(tmp_path / "m.json")


def test_missing_files_are_refused(tmp_path: Path) -> None:
    for read in (read_questions, read_measured):
        with pytest.raises(InputRefused, match="E_NOT_FOUND"):
            read(tmp_path / "none.json")
