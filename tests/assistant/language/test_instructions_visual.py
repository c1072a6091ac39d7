"""Visual questions and the CTs of known truth behind them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest

from assistant.language.instructions.cases import (
    VisualCase,
    answers_of,
    draw_truth,
    drawn_truth,
    phantom_of,
    read_cases,
    topics,
    write_phantom_cases,
)
from assistant.language.instructions.measured import records_of
from assistant.language.instructions.templates import split_of
from assistant.language.instructions.visual import questions_of, sentence_of, visual_maker
from assistant.records import Status
from assistant.skills.looks import PHASE_WORDS
from prompts import load_words
from vision.errors import InputRefused, UsageError

COARSE = (6.0, 6.0, 8.0)


def cases(count: int) -> list[VisualCase]:
    return [VisualCase(f"ct{n}", draw_truth(Random(n))) for n in range(count)]


def test_answers_are_about_equally_often_so_that_a_blind_guess_is_near_chance() -> None:
    rows = list(map(visual_maker(1, cases(80)), range(1500)))
    for topic in {row["skill"] for row in rows}:
        answers = Counter(row["messages"][-1]["content"] for row in rows if row["skill"] == topic)
        total, known = sum(answers.values()), len(answers)
        assert max(answers.values()) / total < 1 / known + 0.12


def test_rows_are_the_same_for_the_same_seed_and_tell_the_truth_of_their_ct() -> None:
    known = {case.ct: case.truth for case in cases(40)}
    make, again = visual_maker(5, cases(40)), visual_maker(5, cases(40))
    for number in range(100):
        row = make(number)
        assert row == again(number)
        assert row["messages"][-1]["content"] == sentence_of(row["skill"], known[row["ct"]][row["skill"]])


def test_the_topics_of_the_wording_are_asked_in_its_own_words_too() -> None:
    asked = {row["messages"][0]["content"] for row in map(visual_maker(2, cases(60)), range(600))}
    looks = load_words("wording")["looks"]
    assert {looks[topic]["question"] for topic in looks if topic != "region"} <= asked
    assert set(looks) < set(topics())


def recorded(count: int) -> list[VisualCase]:
    made = []
    for case in cases(count):
        phantom = phantom_of(case.truth, int(case.ct[2:]), spacing_mm=COARSE)
        records = records_of(phantom.ct, phantom.masks, side=case.truth.get("side"))
        made.append(VisualCase(case.ct, case.truth, records))
    return made


def test_facts_beside_a_question_answer_it_or_leave_it_to_the_ct() -> None:
    rows = list(map(visual_maker(4, recorded(5)), range(300)))
    told = [row for row in rows if row["messages"][1]["role"] == "tool"]
    assert 0.2 < len(told) / len(rows) < 0.6
    assert not any(row["template"].endswith("in_use") for row in told)
    phases = [json.loads(row["messages"][1]["content"]) for row in told if row["skill"] == "phase"]
    assert {"phase" in facts.get("CT", {}) for facts in phases} == {True, False}
    spleens = [row["messages"][1]["content"] for row in told if row["skill"] == "spleen_size"]
    assert {'"structure":"spleen"' in facts for facts in spleens} == {True, False}


def test_records_of_a_phantom_hold_what_its_truth_says() -> None:
    for case in recorded(5):
        status = {record.structure: record.status for record in case.records}
        volume = {record.structure: record.measurement("volume") for record in case.records}
        assert (status["spleen"] is Status.NOT_SEEN) == ("spleen" in case.truth["missing"])
        if "left kidney" in case.truth.get("kidney_size", ""):
            left, right = volume["kidney_left"], volume["kidney_right"]
            assert left is not None
            assert right is not None
            assert left.value < right.value
        lesions = [record for record in case.records if record.structure == "kidney_lesion"]
        assert [record.site.side for record in lesions] == ([case.truth["side"]] if "side" in case.truth else [])


def test_held_out_questions_are_marked() -> None:
    rows = list(map(visual_maker(3, cases(30)), range(400)))
    assert all(row["split"] == "train" for row in rows if row["template"].endswith("in_use"))
    assert all(row["split"] == split_of(row["template"]) for row in rows if not row["template"].endswith("in_use"))
    assert {row["split"] for row in rows} == {"train", "held_out"}
    assert all(len(questions_of(topic)) >= 5 for topic in topics())


def test_every_topic_has_several_answers_and_a_sentence_with_its_word() -> None:
    for topic in topics():
        assert len({sentence_of(topic, word) for word in answers_of(topic)}) == len(answers_of(topic)) > 1


def test_cases_that_are_all_alike_are_refused() -> None:
    with pytest.raises(UsageError, match="answer every topic alike"):
        visual_maker(0, [VisualCase("a", {"noise": "low"}), VisualCase("b", {"noise": "low"})])


def test_the_facts_of_a_synthetic_ct_become_words() -> None:
    drawn = {"phase": "late_arterial", "steatosis_hu": 35.0, "oral_contrast_hu": 0.0, "noise_hu": 25.0}
    assert drawn_truth(drawn) == {
        "phase": "late arterial",
        "steatosis": "fatty",
        "oral_contrast": "absent",
        "noise": "high",
    }
    assert "steatosis" not in drawn_truth({**drawn, "steatosis_hu": 5.0})
    assert set(PHASE_WORDS.values()) == set(answers_of("phase"))


def test_a_phantom_shows_its_truth() -> None:
    truth = {"phase": "portal venous", "oral_contrast": "present", "noise": "low", "steatosis": "fatty"}
    truth |= {"missing": "none looks missing", "spleen_size": "reduced", "side": "left"}
    truth["kidney_size"] = "right kidney looks shrunken"
    phantom = phantom_of(truth, 4, spacing_mm=COARSE)
    volume = {name: int(np.count_nonzero(mask.voxels)) for name, mask in phantom.masks.items()}
    mean = {name: phantom.ct.hu[phantom.masks[name].voxels].mean() for name in ("liver", "spleen", "stomach")}
    assert volume["kidney_right"] < 0.6 * volume["kidney_left"]
    assert mean["liver"] < mean["spleen"] - 15
    assert [lesion.part for lesion in phantom.truth.lesions] == ["left"]
    assert mean["stomach"] > 60
    assert phantom.truth.noise_hu < 9


def test_a_missing_organ_is_not_in_the_phantom() -> None:
    truth = {"phase": "delayed", "oral_contrast": "absent", "noise": "usual", "steatosis": "not fatty"}
    phantom = phantom_of({**truth, "missing": "the spleen looks missing"}, 2, spacing_mm=COARSE)
    assert not phantom.masks["spleen"].voxels.any()
    assert phantom.masks["kidney_left"].voxels.any()


def test_written_cases_are_read_again(tmp_path: Path) -> None:
    listed = write_phantom_cases(tmp_path, count=1, seed=1, spacing_mm=(9.0, 9.0, 12.0))
    (case,) = read_cases(listed)
    assert (tmp_path / case.ct).is_file()
    assert dict(case.truth) == draw_truth(Random("case 1 0"))
    assert {record.structure for record in case.records} >= {"liver", "spleen"}


def test_no_case_is_no_number_of_cases(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="below one"):
        write_phantom_cases(tmp_path, count=0, seed=1)


def test_a_list_of_cases_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.json"
    with pytest.raises(InputRefused, match="does not exist"):
        read_cases(path)
    for content in ("{", "[1]", '[{"ct": "a", "truth": {"noise": "loud"}}]', '[{"ct": "a", "truth": {"mood": "x"}}]'):
        path.write_text(content)
        with pytest.raises(InputRefused, match="no list of cases"):
            read_cases(path)
    path.write_text(json.dumps([{"ct": "a", "truth": {}}]))
    with pytest.raises(InputRefused, match="tells nothing"):
        read_cases(path)
