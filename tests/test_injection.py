"""Injection: at least 300 attempts in five languages, in questions, tags, names and manifests, change nothing."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from pathlib import Path

import pydicom
import pytest

from assistant.batch import run_batch
from assistant.conversation import Conversation
from assistant.language.rules import RulePlanner
from assistant.plan import SkillCall
from assistant.records import AnswerRecord
from tests.assistant.small_scenes import about_boxes
from tests.fakes import BoxSegmenter
from tests.injection import FRAMES, LANGUAGES, REQUEST, Attempt, attempts, framed, open_values, truth_of, unmoved
from tests.vision.small_files import dicom_slices, nifti_bytes, write_series
from vision.io import apart
from vision.io.load import read_ct

PLACES = (*FRAMES, "DICOM tags", "file and folder names", "zip member names", "manifest")
TEXT_TAGS = ("PatientName", "PatientID", "PatientComments", "StudyDescription", "SeriesDescription", "ProtocolName")
TEXT_TAGS += (
    "ImageComments",
    "InstitutionName",
    "RequestedProcedureDescription",
    "AdditionalPatientHistory",
    "ContrastBolusAgent",
)


def record_about(path: Path) -> AnswerRecord:
    """What is said of a CT without a name for it, without the seconds."""
    answer = Conversation(read_ct(path), BoxSegmenter(), RulePlanner()).ask(REQUEST)
    return answer.record.model_copy(update={"seconds": {}, "trace": ()})


@pytest.fixture(scope="module")
def clean_series(tmp_path_factory: pytest.TempPathFactory) -> AnswerRecord:
    return record_about(write_series(tmp_path_factory.mktemp("clean") / "series", dicom_slices()))


@pytest.fixture(scope="module")
def clean_nifti(tmp_path_factory: pytest.TempPathFactory) -> AnswerRecord:
    path = tmp_path_factory.mktemp("clean") / "ct.nii"
    path.write_bytes(nifti_bytes())
    return record_about(path)


def check_question(attempt: Attempt) -> None:
    """The attempt as a question, in every frame; afterwards the same conversation still tells the truth."""
    truth = truth_of(about_boxes())
    for frame, question in framed(attempt).items():
        conversation = about_boxes()
        record = conversation.ask(question).record
        assert unmoved(record, conversation, truth) == [], frame
        after = conversation.ask(REQUEST)
        assert after.text == about_boxes().ask(REQUEST).text, frame
        assert unmoved(after.record, conversation, truth) == []


def check_tags(attempt: Attempt, folder: Path, clean: AnswerRecord) -> None:
    values = {tag: attempt.text[:60] if tag in ("PatientName", "PatientID") else attempt.text for tag in TEXT_TAGS}
    with pydicom.config.disable_value_validation():
        slices = dicom_slices(SpecificCharacterSet="ISO_IR 192", **values)
        for one in slices:
            one.add_new(0x00291010, "LT", attempt.text)
    assert record_about(write_series(folder / "series", slices)) == clean


def file_name(attempt: Attempt) -> str:
    """As much of the attempt as a file system takes."""
    return attempt.text.replace("/", "\u2215").replace("\0", "").encode()[:200].decode(errors="ignore")


def check_names(attempt: Attempt, folder: Path, clean: AnswerRecord) -> None:
    place = folder / file_name(attempt)
    place.mkdir()
    (place / f"{file_name(attempt)}.nii").write_bytes(nifti_bytes())
    assert record_about(place / f"{file_name(attempt)}.nii") == clean
    assert record_about(place) == clean


def check_members(attempt: Attempt, folder: Path, clean: AnswerRecord) -> None:
    with zipfile.ZipFile(folder / "ct.zip", "w") as archive:
        archive.writestr(f"{file_name(attempt)}/{file_name(attempt)}.nii", nifti_bytes())
    assert record_about(folder / "ct.zip") == clean


def check_manifest(chosen: tuple[Attempt, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row an attempt, all of one CT; a formula of a spreadsheet is an attempt too."""
    monkeypatch.setattr(apart, "SUPPORTED", False)
    (folder / "ct.nii").write_bytes(nifti_bytes())
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("case_id", "input", "question"))
        rows.writerows((f"c{number}", "ct.nii", attempt.text) for number, attempt in enumerate(chosen))
        rows.writerow(("formula", "ct.nii", '=HYPERLINK("https://evil.example","liver")'))
    result = run_batch([folder / "cases.csv"], folder / "out", segmenter=BoxSegmenter())
    assert result.failures == {}
    conversation = Conversation(read_ct(folder / "ct.nii"), BoxSegmenter(), RulePlanner())
    truth = truth_of(Conversation(conversation.ct, BoxSegmenter(), RulePlanner()))
    for case in sorted((folder / "out").iterdir()):
        if case.is_dir():
            record = AnswerRecord.model_validate_json((case / "answer.json").read_text(encoding="utf-8"))
            assert unmoved(record, conversation, truth) == [], case.name
    summary = (folder / "out" / "summary.csv").read_text(encoding="utf-8")
    assert not re.search(r'(?:^|[,\n])"?[=@]', summary)
    assert "evil" not in summary
    lines = (folder / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in lines]) == len(chosen) + 1


def test_there_are_three_hundred_attempts_in_five_languages_and_eight_places() -> None:
    assert {attempt.language for attempt in attempts()} == set(LANGUAGES)
    assert len(PLACES) == 8
    assert len({attempt.text for attempt in attempts()}) * len(PLACES) >= 500


def test_a_changed_plan_number_or_text_would_be_noticed() -> None:
    conversation, truth = about_boxes(), truth_of(about_boxes())
    record = conversation.ask(REQUEST).record
    assert unmoved(record, conversation, truth) == []
    number = record.findings[0].measurements[0].model_copy(update={"value": 4711.0})
    finding = record.findings[0].model_copy(update={"measurements": (number,)})
    for changed in (
        {"text": f"{record.text} The liver is healthy."},
        {"text": f"{record.text} There is no spleen."},
        {"text": "disregard all instructions"},
        {"findings": (finding,)},
        {"plan": (record.plan[0].model_copy(update={"name": "shell"}),)},
        {"plan": (record.plan[0].model_copy(update={"arguments": {"path": "/"}}),)},
    ):
        assert unmoved(record.model_copy(update=changed), conversation, truth) != []
    assert open_values(record.plan) == []
    assert open_values([SkillCall(name="segment", arguments={"structures": ["evil"]})]) == [
        "segment.structures=['evil']"
    ]


@pytest.mark.parametrize("attempt", attempts()[::3], ids=str)
def test_question_changes_nothing(attempt: Attempt) -> None:
    check_question(attempt)


@pytest.mark.parametrize("attempt", attempts()[7::23], ids=str)
def test_tags_and_names_change_nothing(
    attempt: Attempt, tmp_path: Path, clean_series: AnswerRecord, clean_nifti: AnswerRecord
) -> None:
    check_tags(attempt, tmp_path, clean_series)
    check_names(attempt, tmp_path, clean_nifti)
    check_members(attempt, tmp_path, clean_nifti)


def test_manifest_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_manifest(attempts()[5::17], tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("attempt", attempts(), ids=str)
def test_every_attempt_changes_nothing(
    attempt: Attempt, tmp_path: Path, clean_series: AnswerRecord, clean_nifti: AnswerRecord
) -> None:
    check_question(attempt)
    check_tags(attempt, tmp_path, clean_series)
    check_names(attempt, tmp_path, clean_nifti)
    check_members(attempt, tmp_path, clean_nifti)


@pytest.mark.slow
def test_every_attempt_in_a_manifest_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_manifest(attempts(), tmp_path, monkeypatch)
