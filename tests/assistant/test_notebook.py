"""Notebook: each thing is measured once and kept under its id."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.conversation import Conversation
from assistant.language.rules import RulePlanner
from assistant.notebook import Notebook
from assistant.records import Status
from tests.assistant.small_scenes import GRID, assert_grounded, box_ct, box_masks, boxed, phantom
from tests.fakes import LabelMapSegmenter
from vision.geometry import CTVolume
from vision.measure import volume_ml
from vision.scene import Scene
from vision.structures import by_name


def notebook_of(searches: frozenset[str] = frozenset()) -> Notebook:
    masks = box_masks()
    return Notebook(Scene(box_ct(masks), LabelMapSegmenter(masks, searches=searches)))


def test_a_finding_is_written_once() -> None:
    notebook = notebook_of()
    assert notebook.structure("spleen") == notebook.structure("spleen")
    assert [finding.id for finding in notebook.findings] == ["F1"]


def test_a_finding_holds_side_slices_box_and_confidence() -> None:
    finding = notebook_of().structure("kidney_left")
    assert finding.site.side == "left"
    assert (finding.site.first_slice, finding.site.last_slice) == (5, 23)
    assert finding.box is not None
    assert (finding.box.start, finding.box.stop) == ((18, 6, 5), (24, 11, 24))
    assert finding.complete


def test_lesions_of_one_kind_have_ids_of_their_own_and_can_be_taken_together() -> None:
    notebook = notebook_of()
    each, together = notebook.lesions("liver_lesion"), notebook.structure("liver_lesion")
    assert [finding.id for finding in each] == ["F1", "F2", "F3"]
    assert together.id == "F4"
    volumes = [m.value for finding in each if (m := finding.measurement("volume"))]
    total = together.measurement("volume")
    assert total is not None
    assert total.value == pytest.approx(sum(volumes))
    assert notebook.lesion_count("liver_lesion") == 3


def test_a_lesion_is_measured_placed_and_given_its_segments() -> None:
    lesion = notebook_of().lesions("liver_lesion")[0]
    for quantity in ("volume", "long_axis", "short_axis", "who", "hu_mean", "hu_sd", "hu_p5", "hu_p50", "hu_p95"):
        assert lesion.measurement(quantity), quantity
    assert lesion.site.organ == "liver"
    axis = lesion.measurement("long_axis")
    assert axis is not None
    assert axis.endpoints_mm is not None
    assert axis.slice_index is not None


def test_a_liver_lesion_lies_in_a_liver_segment_where_the_landmarks_are_seen() -> None:
    masks = dict(phantom().masks)
    index = np.argwhere(masks["liver"].voxels).mean(axis=0).astype(int)
    i, j, k = (int(n) for n in index)
    masks["liver_lesion"] = boxed(
        "liver_lesion", ((i - 2, j - 2, k - 2), (i + 2, j + 2, k + 2)), grid=phantom().ct.grid
    )
    lesion = Notebook(Scene(phantom().ct, LabelMapSegmenter(masks))).lesions("liver_lesion")[0]
    assert lesion.site.segments
    assert set(lesion.site.segments) <= set(range(1, 9))


@pytest.mark.parametrize(
    ("liver", "why"),
    [
        (True, "the liver cannot be divided, as its landmarks were not found"),
        (False, "the liver cannot be divided, as it was not found"),
    ],
)
def test_a_part_that_no_rule_can_cut_says_why(liver: bool, why: str) -> None:
    masks = {"liver": box_masks()["liver"] if liver else boxed("liver")}
    finding = Notebook(Scene(box_ct(masks), LabelMapSegmenter(masks))).structure("liver_segment_4")
    assert (finding.status, finding.why) == (Status.NOT_ASSESSABLE, why)


def test_the_side_of_a_kidney_lesion_is_that_of_its_kidney() -> None:
    masks = {**box_masks(), "kidney_lesion": boxed("kidney_lesion", ((18, 6, 10), (22, 9, 14)))}
    lesion = Notebook(Scene(box_ct(masks), LabelMapSegmenter(masks))).lesions("kidney_lesion")[0]
    assert (lesion.site.organ, lesion.site.side) == ("kidney_left", "left")


def test_measuring_again_changes_nothing() -> None:
    notebook = notebook_of()
    finding = notebook.measured(notebook.structure("spleen"), "axes", "hu", "extent")
    assert notebook.measured(finding, "axes", "hu", "extent") is finding
    assert {m.id for m in finding.measurements} >= {"F1.volume", "F1.long_axis", "F1.hu_mean", "F1.extent"}


def test_a_measurement_of_the_same_quantity_takes_the_place_of_the_old_one() -> None:
    notebook = notebook_of()
    spleen, liver = notebook.structure("spleen"), notebook.structure("liver")
    once = notebook.distance(spleen, liver)
    assert notebook.distance(once, liver).measurements == once.measurements


def test_a_copy_is_written_on_alone() -> None:
    notebook = notebook_of()
    notebook.structure("spleen")
    copied = notebook.copy()
    copied.lesions("liver_lesion")
    copied.measured(copied.structure("spleen"), "hu")
    assert [finding.structure for finding in notebook.findings] == ["spleen"]
    assert notebook.structure("spleen").measurement("hu_mean") is None
    assert set(notebook.masks) == {"F1"}


def test_what_the_model_cannot_do_is_not_assessable() -> None:
    notebook = notebook_of()
    organ, lesions = notebook.structure("brain"), notebook.lesions("colon_lesion")
    assert organ.status is lesions[0].status is Status.NOT_ASSESSABLE
    assert organ.why == "the model cannot segment it yet"
    assert lesions[0].why == "the model cannot search for it yet"
    assert notebook.masks == {}


@pytest.mark.parametrize(
    ("searches", "status", "why"),
    [
        ({"kidney_lesion"}, Status.NOT_SEEN, ""),
        ({"pancreas_lesion"}, Status.NOT_ASSESSABLE, "the model cannot segment the pancreas yet"),
        ({"pancreas_lesion", "pancreas"}, Status.NOT_SEEN, ""),
        ({"colon_lesion", "colon"}, Status.NOT_ASSESSABLE, "the colon was not found and may lie outside the scan"),
    ],
)
def test_an_absence_of_lesions_rests_on_their_organ(searches: set[str], status: Status, why: str) -> None:
    (finding,) = notebook_of(frozenset(searches)).lesions(sorted(searches)[-1])
    assert (finding.status, finding.why) == (status, why)


@pytest.mark.parametrize(
    ("structure", "status", "why"),
    [
        ("gall_bladder", Status.NOT_SEEN, "it may have been removed by an operation"),
        ("prostate", Status.NOT_ASSESSABLE, "it lies outside the scan, which shows nothing of the pelvis"),
        ("hepatic_vessel", Status.NOT_SEEN, ""),
    ],
)
def test_a_structure_not_seen_is_absent_or_out_of_view_with_the_reason(
    structure: str, status: Status, why: str
) -> None:
    masks = {name: mask for name, mask in box_masks().items() if name != "gall_bladder"}
    searches = frozenset({"gall_bladder", "prostate", "femur_left", "hepatic_vessel"})
    conversation = Conversation(box_ct(masks), LabelMapSegmenter(masks, searches=searches), RulePlanner())
    answer = conversation.ask(f"Segment the {by_name(structure).spoken}")
    assert (answer.findings[0].status, answer.findings[0].why) == (status, why)
    assert why in answer.text
    assert_grounded(answer)


def test_vessels_of_organs_cannot_be_called_absent_without_contrast_medium() -> None:
    masks = box_masks()
    ct = CTVolume(box_ct(masks).hu, GRID, {"phase": "non_contrast"})
    notebook = Notebook(Scene(ct, LabelMapSegmenter(masks, searches=frozenset({"hepatic_vessel"}))))
    assert "without contrast medium" in notebook.structure("hepatic_vessel").why


def test_every_volume_is_that_of_its_mask() -> None:
    made = phantom()
    notebook = Notebook(Scene(made.ct, LabelMapSegmenter(made.masks)))
    for name in ("liver", "spleen", "pancreas_tail", "gall_bladder"):
        finding = notebook.structure(name)
        volume = finding.measurement("volume")
        assert volume is not None
        assert volume.value == pytest.approx(volume_ml(notebook.masks[finding.id]), abs=1e-4)
        assert volume.unit == "mL"
