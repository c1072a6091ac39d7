"""What an answer writes: the record, masks on the CT's grid, a label map, a picture, a report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from assistant.answer import Answer, mask_files
from assistant.answer_files import files_of
from assistant.conversation import Conversation
from assistant.records import AnswerRecord, answer_schema
from tests.assistant.small_scenes import PlanOf, about_boxes, about_phantom, box_ct, box_masks, call, phantom
from tests.fakes import LabelMapSegmenter
from vision.errors import ResourceError, UsageError
from vision.geometry import CTVolume, Mask, reorient_array
from vision.io import load_labels
from vision.io.files.lock import drop_lock, take_lock

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"text", "findings", "warnings", "plan", "planner", "seconds"}
FINDING_KEYS = {"structure", "site", "status", "confidence", "box", "measurements", "mask_file"}


def files(folder: Path) -> list[str]:
    """Every file below a folder, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Answer, Path]:
    answer = about_phantom(call("segment", "liver", "pancreas_lesion", "pancreas"), call("report")).ask("?")
    return answer, answer.save(tmp_path_factory.mktemp("answer"))


def test_the_record_reads_back_as_it_was_apart_from_the_file_names(saved: tuple[Answer, Path]) -> None:
    answer, folder = saved
    record = AnswerRecord.model_validate_json((folder / "answer.json").read_text())
    without_files = [finding.model_copy(update={"mask_file": None}) for finding in record.findings]
    assert record.model_copy(update={"findings": tuple(without_files)}) == answer.record


def test_the_record_has_the_keys_of_the_design(saved: tuple[Answer, Path]) -> None:
    written = json.loads((saved[1] / "answer.json").read_text())
    assert set(written) >= KEYS
    assert set(written["findings"][0]) >= FINDING_KEYS
    assert set(written) == set(answer_schema()["properties"])


def test_every_mask_file_exists_and_lies_on_the_ct_grid(saved: tuple[Answer, Path]) -> None:
    answer, folder = saved
    record = AnswerRecord.model_validate_json((folder / "answer.json").read_text())
    files = {finding.id: finding.mask_file for finding in record.findings if finding.mask_file}
    assert set(files) == set(answer.masks)
    for finding_id, name in files.items():
        image = nib.load(folder / name)
        assert image.get_data_dtype() == np.uint8
        np.testing.assert_allclose(image.affine, answer.ct.grid.affine, atol=1e-4)
        np.testing.assert_array_equal(np.asanyarray(image.dataobj) > 0, answer.masks[finding_id].voxels)


def test_the_label_map_gives_the_lesion_its_voxels_inside_the_organ(saved: tuple[Answer, Path]) -> None:
    labels = np.asanyarray(nib.load(saved[1] / "combined_labels.nii.gz").dataobj)
    truth = phantom().masks
    assert (labels[truth["pancreas_lesion"].voxels] == 103).all()
    assert (labels[truth["liver"].voxels] > 0).all()
    assert load_labels(saved[1] / "combined_labels.nii.gz")["pancreas_lesion"].count == truth["pancreas_lesion"].count


def test_the_picture_and_the_report_are_written(saved: tuple[Answer, Path]) -> None:
    answer, folder = saved
    with Image.open(folder / "preview.png") as picture:
        assert min(picture.size) > 100
    assert answer.report is not None
    assert (folder / "report.md").read_text().count("Suspected lesions") >= 1
    assert not list(folder.rglob("*.part"))


@pytest.mark.parametrize("code", ["LPS", "SAR", "IPL"])
def test_masks_of_a_turned_ct_are_written_on_its_own_grid(code: str, tmp_path: Path) -> None:
    masks = box_masks()
    ct = box_ct(masks)
    grid, order, signs = ct.grid.reoriented(code)
    turned = {
        name: Mask(np.ascontiguousarray(reorient_array(m.voxels, order, signs)), grid, name)
        for name, m in masks.items()
    }
    turned_ct = CTVolume(np.ascontiguousarray(reorient_array(ct.hu, order, signs)), grid)
    plan = PlanOf(call("segment", "liver", "kidney_left"))
    answer = Conversation(turned_ct, LabelMapSegmenter(turned), plan).ask("?")
    straight = Conversation(ct, LabelMapSegmenter(masks), plan).ask("?")
    assert answer.text == straight.text
    folder = answer.save(tmp_path)
    image = nib.load(folder / "masks/kidney_left.nii.gz")
    assert "".join(nib.aff2axcodes(image.affine)) == code
    assert image.shape == grid.shape


def test_several_lesions_get_numbered_files(tmp_path: Path) -> None:
    answer = about_boxes(call("detect", "liver_lesion")).ask("?")
    assert list(mask_files(answer.findings, answer.masks).values()) == [
        "masks/liver_lesion.nii.gz",
        "masks/liver_lesion_2.nii.gz",
        "masks/liver_lesion_3.nii.gz",
    ]
    folder = answer.save(tmp_path)
    assert len(list((folder / "masks").iterdir())) == 3


def test_an_answer_without_masks_writes_its_record_alone(tmp_path: Path) -> None:
    folder = about_boxes(call("help")).ask("?").save(tmp_path / "new")
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["answer.json"]


def test_a_later_answer_leaves_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    about_boxes(call("segment", "liver"), call("report")).ask("?").save(tmp_path)
    assert len(files(tmp_path)) > 4
    about_boxes(call("help")).ask("?").save(tmp_path)
    assert files(tmp_path) == ["answer.json"]


def test_a_later_answer_leaves_what_is_not_an_answers(tmp_path: Path) -> None:
    about_boxes(call("segment", "liver")).ask("?").save(tmp_path)
    for name in ("notes.txt", "masks/mine.nii.gz", "report.md"):
        (tmp_path / name).write_text("mine")
    about_boxes(call("segment", "spleen")).ask("?").save(tmp_path)
    assert set(files(tmp_path)) >= {"masks/spleen.nii.gz", "notes.txt", "masks/mine.nii.gz", "report.md"}
    assert "masks/liver.nii.gz" not in files(tmp_path)


@pytest.mark.parametrize("name", ["answer.json", "masks/liver.nii.gz", "preview.png"])
def test_an_answer_never_replaces_a_file_that_no_answer_wrote(tmp_path: Path, name: str) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / name).write_text('{"findings": [{"mask_file": "../../etc/passwd"}]}')
    with pytest.raises(UsageError, match=f"E_OUT_OCCUPIED: .* a {name} that belongs to no answer"):
        about_boxes(call("segment", "liver")).ask("?").save(tmp_path)
    assert files(tmp_path) == [name]
    assert "passwd" in (tmp_path / name).read_text()


def test_a_record_vouches_only_for_names_that_answers_give(tmp_path: Path) -> None:
    named = ["masks/liver.nii.gz", "../outside.nii.gz", "masks/../../x.nii.gz", "/etc/passwd", "masks/A b.nii.gz", 5]
    values = {"findings": [{"mask_file": name} for name in named], "report": None}
    (tmp_path / "answer.json").write_text(json.dumps(values))
    assert files_of(tmp_path / "answer.json") == {
        "masks/liver.nii.gz", "combined_labels.nii.gz", "combined_labels.json", "preview.png",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "[]", '{"findings": 3}', '{"findings": [3], "report": null}', "[" * 100_000])
def test_what_is_no_record_vouches_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "answer.json").write_text(text)
    assert files_of(tmp_path / "answer.json") is None


def test_a_save_that_fails_leaves_the_earlier_answer_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ResourceError("E_DISK", "The disk is full.", "Free space.")

    about_boxes(call("segment", "liver")).ask("?").save(tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr("vision.io.write_text", fail)
    with pytest.raises(ResourceError, match="E_DISK"):
        about_boxes(call("segment", "spleen")).ask("?").save(tmp_path)
    assert contents(tmp_path) == before


def test_a_save_that_is_interrupted_while_files_change_places_leaves_no_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(folder: Path) -> None:
        raise KeyboardInterrupt

    about_boxes(call("segment", "liver")).ask("?").save(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with monkeypatch.context() as patched:
        patched.setattr("assistant.answer_files.flush_folder", interrupt)
        with pytest.raises(KeyboardInterrupt):
            about_boxes(call("segment", "spleen")).ask("?").save(tmp_path)
    assert {"answer.json", "notes.txt"} <= set(files(tmp_path))
    real, calls = os.rename, 0

    def rename(*paths: object) -> None:
        nonlocal calls
        calls += 1
        real(*paths)
        if calls == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        about_boxes(call("segment", "spleen")).ask("?").save(tmp_path)
    assert files(tmp_path) == ["notes.txt"]


def test_a_save_waits_for_one_that_is_under_way(tmp_path: Path) -> None:
    (tmp_path / ".bodymaps").mkdir()
    lock = tmp_path / ".bodymaps" / "answer.lock"
    held = take_lock(lock)
    assert held is not None
    saving = Thread(target=about_boxes(call("help")).ask("?").save, args=(tmp_path,))
    saving.start()
    saving.join(0.3)
    assert files(tmp_path) == [".bodymaps/answer.lock"]
    drop_lock(held, lock)
    saving.join(10)
    assert files(tmp_path) == ["answer.json"]


def test_a_folder_that_cannot_be_made_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResourceError, match="E_OUTPUT"):
        about_boxes(call("help")).ask("?").save(tmp_path / "file" / "out")


def test_an_answer_without_times_is_the_same_but_for_them() -> None:
    answer = about_boxes(call("segment", "liver")).ask("?")
    record = answer.without_times().record
    assert record.seconds == {}
    assert [step.seconds for step in record.trace] == [None]
    assert record.model_copy(update={"seconds": answer.record.seconds, "trace": answer.record.trace}) == answer.record


def test_an_answer_shows_its_record() -> None:
    answer = about_boxes(call("segment", "liver")).ask("?")
    assert (answer.text, answer.findings) == (answer.record.text, answer.record.findings)
    assert answer.report is None
    assert answer.warnings == ()


def test_a_save_killed_before_any_change_of_the_disk_leaves_one_answer_whole_or_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.assistant.killed_saves", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
