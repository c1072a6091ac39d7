"""Readers of other projects' files, on small files in their layouts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from assistant.language.instructions.readers import (
    READERS,
    convert_file,
    read_abdomen_atlas,
    read_ct_chat,
    read_deep_tumor_vqa,
    read_m3d_vqa,
)
from assistant.language.training.rows import read_rows
from vision.errors import InputRefused, UsageError

M3D = ["Image Path", "Text", "Question Type", "Question", "Choice A", "Choice B", "Choice C", "Choice D"]
M3D += ["Answer", "Answer Choice"]


def write_csv(path: Path, columns: list[str], *rows: list[Any]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([columns, *rows])
    return path


def said(row: dict[str, Any]) -> list[str]:
    return [message["content"] for message in row["messages"]]


def test_m3d_vqa_puts_choices_after_the_question(tmp_path: Path) -> None:
    line = ["ct_case/000006/Axial", "", "2", "What phase?", "Arterial", "Venous", "Plain", "Delayed", "Plain", "C"]
    (row,) = read_m3d_vqa(write_csv(tmp_path / "vqa.csv", M3D, line))
    assert said(row) == ["What phase? Choices: A. Arterial B. Venous C. Plain D. Delayed", "C. Plain"]
    assert (row["ct"], row["skill"], row["kind"]) == ("ct_case/000006/Axial", "m3d_phase", "visual")


def test_m3d_vqa_without_a_column_or_a_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="lacks the column 'Answer Choice'"):
        list(read_m3d_vqa(write_csv(tmp_path / "a.csv", M3D[:-1])))
    line = ["ct", "", "9", "What?", "a", "b", "c", "d", "a", "A"]
    with pytest.raises(InputRefused, match="no known type"):
        list(read_m3d_vqa(write_csv(tmp_path / "b.csv", M3D, line)))
    (tmp_path / "c.csv").write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(InputRefused, match="no CSV table"):
        list(read_m3d_vqa(tmp_path / "c.csv"))


def test_ct_chat_conversations_lose_their_marks_and_keep_their_turns(tmp_path: Path) -> None:
    path = tmp_path / "chat.json"
    turns = [
        {"from": "human", "value": "<image>\nIs there an effusion?<short_answer>"},
        {"from": "gpt", "value": "Yes."},
        {"from": "human", "value": "On which side?<short_answer>"},
        {"from": "gpt", "value": "Left."},
    ]
    path.write_text(json.dumps([{"id": "1", "image": "valid_1_a_1.nii.gz", "conversations": turns}]))
    (row,) = read_ct_chat(path)
    assert said(row) == ["Is there an effusion?", "Yes.", "On which side?", "Left."]
    assert (row["ct"], row["skill"]) == ("valid_1_a_1.nii.gz", "ct_chat_short_answer")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{}", "no list of conversations"),
        ('[{"image": "a"}]', "lacks 'conversations'"),
        ('[{"conversations": []}]', "lacks 'image'"),
        ('[{"image": "a", "conversations": [{"from": "gpt", "value": "x"}]}]', "does not alternate"),
        (
            '[{"image": "a", "conversations": [{"from": "gpt", "value": "x"}, {"from": "gpt", "value": "x"}]}]',
            "alternate",
        ),
        ("not json", "no JSON"),
    ],
)
def test_ct_chat_files_of_another_form_are_refused(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "chat.json"
    path.write_text(content)
    with pytest.raises(InputRefused, match=why):
        list(read_ct_chat(path))


def test_deep_tumor_vqa_questions_keep_their_answer_and_subtype(tmp_path: Path) -> None:
    question = {"qid": 1, "image_id": "BDMAP_00000001", "spacing": [1, 1, 1], "shape": [9, 9, 9], "sex": "F", "age": 61}
    question |= {"question": "How many liver lesions?", "answer": 3, "mc_question": "", "correct_option": "A"}
    question |= {"organ": "liver", "lesion": "lesion", "question_type": "measurement", "requires_tools": True}
    path = tmp_path / "test_qa.json"
    content = {"version": "2", "num_questions": 1, "question_types": [], "questions": [question]}
    path.write_text(json.dumps(content))
    with pytest.raises(InputRefused, match="lacks 'question_subtype'"):
        list(read_deep_tumor_vqa(path))
    question["question_subtype"] = "lesion counting"
    path.write_text(json.dumps(content))
    (row,) = read_deep_tumor_vqa(path)
    assert said(row) == ["How many liver lesions?", "3"]
    assert row["skill"] == "deep_tumor_lesion_counting"
    path.write_text('{"version": "2"}')
    with pytest.raises(InputRefused, match="lacks 'questions'"):
        list(read_deep_tumor_vqa(path))


ATLAS = ["BDMAP ID", "spacing", "shape", "sex", "age", "scanner", "contrast", "liver volume (cm^3)"]
ATLAS += ["number of liver lesion instances", "largest liver lesion location (1-8)"]
ATLAS += ["largest liver lesion attenuation (hyperattenuating, isoattenuating, hypoattenuating)"]
ATLAS += ["number of kidney lesion instances", "largest kidney lesion location (left, right)", "narrative report"]


def test_abdomen_atlas_tables_give_presence_place_attenuation_and_reports(tmp_path: Path) -> None:
    line = ["BDMAP_00000007", "", "", "F", 60, "", "", 1400, 2, 7, "hypoattenuating", 0, "", "FINDINGS: one lesion."]
    rows = list(read_abdomen_atlas(write_csv(tmp_path / "atlas.csv", ATLAS, line)))
    answers = {row["skill"]: said(row)[1] for row in rows}
    assert "looks present" in answers["atlas_liver_presence"]
    assert "looks absent" in answers["atlas_kidney_presence"]
    assert "segment 7" in answers["atlas_liver_place"]
    assert "hypoattenuating" in answers["atlas_liver_attenuation"]
    assert answers["atlas_narrative_report"] == "FINDINGS: one lesion."
    assert "atlas_kidney_place" not in answers
    assert len({row["split"] for row in rows}) == 1


def test_an_abdomen_atlas_line_without_an_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="no BDMAP ID"):
        list(read_abdomen_atlas(write_csv(tmp_path / "atlas.csv", ATLAS, [""] * len(ATLAS))))


@pytest.mark.parametrize("layout", sorted(READERS))
def test_a_missing_file_is_said_for_every_layout(tmp_path: Path, layout: str) -> None:
    with pytest.raises(InputRefused, match="does not exist"):
        list(READERS[layout](tmp_path / "none"))


def test_converted_rows_are_read_by_the_recipe(tmp_path: Path) -> None:
    lines = [[f"BDMAP_{n:08}", *[""] * 7, n % 2, "", "", "", "", ""] for n in range(40)]
    source = write_csv(tmp_path / "atlas.csv", ATLAS, *lines)
    summary = convert_file(source, "abdomen_atlas", tmp_path / "rows.jsonl")
    assert summary.rows == {"visual": 40}
    assert len(read_rows([tmp_path / "rows.jsonl"], split="train")) > 25


def test_an_unknown_layout_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "vqa.csv", M3D)
    with pytest.raises(UsageError, match="layout is not known"):
        convert_file(source, "coco", tmp_path / "rows.jsonl")
    with pytest.raises(InputRefused, match="nothing to learn from"):
        convert_file(source, "m3d_vqa", tmp_path / "rows.jsonl")
