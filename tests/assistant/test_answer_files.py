"""What an answer writes: the record, masks on the CT's grid, a label map, a picture, a report."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from assistant.answer import Answer, mask_files
from assistant.conversation import Conversation
from assistant.records import AnswerRecord, answer_schema
from tests.assistant.small_scenes import PlanOf, about_boxes, about_phantom, box_ct, box_masks, call, phantom
from tests.fakes import LabelMapSegmenter
from vision.geometry import CTVolume, Mask, reorient_array
from vision.io import load_labels

KEYS = {"text", "findings", "warnings", "plan", "planner", "seconds"}
FINDING_KEYS = {"structure", "site", "status", "confidence", "box", "measurements", "mask_file"}


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


def test_a_later_answer_leaves_no_picture_of_an_earlier_one(tmp_path: Path) -> None:
    about_boxes(call("report")).ask("?").save(tmp_path)
    about_boxes(call("help")).ask("?").save(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["answer.json"]


def test_a_save_that_fails_leaves_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    about_boxes(call("segment", "liver")).ask("?").save(tmp_path)
    monkeypatch.setattr("vision.io.write_mask", fail)
    with pytest.raises(OSError, match="disk full"):
        about_boxes(call("segment", "spleen")).ask("?").save(tmp_path)
    assert not (tmp_path / "answer.json").exists()


def test_an_answer_shows_its_record() -> None:
    answer = about_boxes(call("segment", "liver")).ask("?")
    assert (answer.text, answer.findings) == (answer.record.text, answer.record.findings)
    assert answer.report is None
    assert answer.warnings == ()
