"""Lesions of known size: boxes, places, counts and choices, each in words that records cover."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.conversation import Conversation
from assistant.records import Finding
from tests.assistant.small_scenes import (
    PlanOf,
    UnsureSegmenter,
    about_boxes,
    about_phantom,
    assert_grounded,
    box_ct,
    box_masks,
    boxed,
    call,
)
from tests.fakes import LabelMapSegmenter

NO_LESION_MODEL = {name: mask for name, mask in box_masks().items() if name != "liver_lesion"}


def value_of(finding: Finding, quantity: str) -> float:
    """The value of a measurement that must be there."""
    measurement = finding.measurement(quantity)
    assert measurement is not None, quantity
    return measurement.value


def test_lesions_come_as_boxes_with_size_and_place() -> None:
    answer = about_boxes(call("detect", "liver_lesion")).ask("?")
    assert_grounded(answer)
    assert len(answer.findings) == 3
    assert {finding.site.organ for finding in answer.findings} == {"liver"}
    boxes = {finding.box.start: finding for finding in answer.findings if finding.box}
    first = boxes[37, 15, 13]
    assert first.box is not None
    assert first.box.size_mm == (20.0, 20.0, 20.0)
    assert value_of(first, "volume") == pytest.approx(8.0)
    assert value_of(first, "long_axis") == pytest.approx(np.hypot(20, 20), abs=4.0)
    assert value_of(first, "hu_mean") == 50


def test_two_potential_tumours_are_the_two_surest() -> None:
    answer = about_boxes(call("detect", "liver_lesion", limit=2)).ask("?")
    assert len(answer.masks) == 2
    assert_grounded(answer)


def test_a_limit_of_one_does_not_say_that_there_is_one() -> None:
    answer = about_boxes(call("detect", "liver_lesion", limit=1)).ask("?")
    assert len(answer.masks) == 1
    assert "One suspected" not in answer.text
    assert_grounded(answer)


def test_detection_in_an_organ_searches_its_lesions() -> None:
    answer = about_boxes(call("detect", "liver")).ask("?")
    assert {finding.structure for finding in answer.findings} == {"liver_lesion"}
    assert_grounded(answer)


def test_detection_without_names_searches_all_that_the_model_knows() -> None:
    answer = about_boxes(call("detect"), searches=frozenset({"kidney_lesion"})).ask("?")
    assert {finding.structure for finding in answer.findings} == {"liver_lesion", "kidney_lesion"}
    assert "No suspected kidney lesion was detected by the model." in answer.text
    assert_grounded(answer)


@pytest.mark.parametrize("skill", ["detect", "count"])
def test_a_model_without_lesions_says_that_it_cannot_search(skill: str) -> None:
    conversation = Conversation(box_ct(box_masks()), LabelMapSegmenter(NO_LESION_MODEL), PlanOf(call(skill)))
    answer = conversation.ask("?")
    assert answer.text.startswith("This model cannot search for ")
    assert_grounded(answer)


@pytest.mark.parametrize("skill", ["detect", "segment", "measure", "locate"])
@pytest.mark.parametrize("lesions", [1, 3])
def test_a_segmenter_without_confidence_still_gives_its_lesions(skill: str, lesions: int) -> None:
    masks = box_masks(lesions)
    answer = Conversation(box_ct(masks), UnsureSegmenter(masks), PlanOf(call(skill, "liver_lesion"))).ask("?")
    assert len(answer.findings) == lesions
    assert "confidence" not in answer.text
    assert_grounded(answer)


def test_a_report_of_unsure_lesions_is_complete() -> None:
    masks = box_masks()
    answer = Conversation(box_ct(masks), UnsureSegmenter(masks), PlanOf(call("report"))).ask("?")
    assert answer.report is not None
    lines = " ".join(dict(answer.report.sections)["Suspected lesions"])
    assert all(f.id in lines for f in answer.findings if f.structure == "liver_lesion")
    assert_grounded(answer)


def test_a_lesion_in_the_tail_is_placed_there() -> None:
    answer = about_phantom(call("locate", "pancreas_lesion")).ask("?")
    assert answer.findings[0].site.part == "tail"
    assert "lies in the tail of the pancreas" in answer.text
    assert_grounded(answer)


@pytest.mark.parametrize("skill", ["segment", "detect", "locate", "measure", "count"])
def test_lesions_elsewhere_are_left_out_within_a_part(skill: str) -> None:
    there = about_phantom(call(skill, "pancreas_lesion", within=["pancreas_tail"])).ask("?")
    elsewhere = about_phantom(call(skill, "pancreas_lesion", within=["pancreas_head"])).ask("?")
    assert [finding.structure for finding in there.findings] == ["pancreas_lesion"]
    assert elsewhere.findings == ()
    assert elsewhere.text == "No finding on record lies in the part that was asked for."
    assert_grounded(there)
    assert_grounded(elsewhere)


@pytest.mark.parametrize(
    ("arguments", "starts"),
    [
        ({"select": "largest"}, [(37, 15, 13)]),
        ({"select": "smallest"}, [(46, 30, 28)]),
        ({"min_mm": 20.0}, [(37, 15, 13)]),
        ({"max_mm": 20.0}, [(46, 15, 22), (46, 30, 28)]),
        ({"min_mm": 14.0, "max_mm": 20.0}, [(46, 15, 22)]),
    ],
)
@pytest.mark.parametrize("skill", ["segment", "detect", "measure"])
def test_lesions_are_chosen_by_size(
    skill: str, arguments: dict[str, object], starts: list[tuple[int, int, int]]
) -> None:
    answer = about_boxes(call(skill, "liver_lesion", **arguments)).ask("?")
    assert sorted(finding.box.start for finding in answer.findings if finding.box) == starts
    assert "One suspected" not in answer.text
    assert_grounded(answer)


def test_the_smallest_lesion_is_not_one_whose_size_is_unknown() -> None:
    masks = box_masks(2)
    cut = boxed("liver_lesion", ((37, 15, 13), (42, 20, 17)), ((50, 15, 38), (52, 17, 40)))
    masks["liver"] = boxed("liver", ((34, 12, 10), (54, 38, 40)))
    masks["liver_lesion"] = cut
    answer = Conversation(
        box_ct(masks), LabelMapSegmenter(masks), PlanOf(call("measure", "liver_lesion", select="smallest"))
    ).ask("?")
    assert [finding.box.start for finding in answer.findings if finding.box] == [(37, 15, 13)]


@pytest.mark.parametrize(("lesions", "text"), [(1, "There is one suspected liver lesion."), (3, "There are 3 ")])
def test_lesions_are_counted(lesions: int, text: str) -> None:
    answer = about_boxes(call("count", "liver_lesion"), lesions=lesions).ask("?")
    assert answer.text.startswith(text)
    assert value_of(answer.findings[0], "count") == lesions
    assert len(answer.masks) == lesions
    assert_grounded(answer)


def test_counting_what_is_absent_says_so() -> None:
    answer = about_boxes(call("count", "kidney_lesion"), searches=frozenset({"kidney_lesion"})).ask("?")
    assert answer.text == "No suspected kidney lesion was detected by the model."
    assert_grounded(answer)


def test_a_structure_that_is_no_lesion_is_not_counted_but_placed() -> None:
    answer = about_boxes(call("count", "spleen")).ask("?")
    assert answer.text == "The spleen lies in slices 20 to 31 (slices are counted from 0)."
    assert_grounded(answer)


def test_twenty_five_lesions_are_not_counted_as_twenty() -> None:
    spots = [((36 + 3 * i, 14 + 3 * j, 15), (38 + 3 * i, 16 + 3 * j, 17)) for i in range(5) for j in range(5)]
    masks = {**box_masks(), "liver_lesion": boxed("liver_lesion", *spots)}
    answer = Conversation(box_ct(masks), LabelMapSegmenter(masks), PlanOf(call("count", "liver_lesion"))).ask("?")
    assert answer.text == "There are 25 suspected liver lesions."
    assert len(answer.masks) == 20
    assert_grounded(answer)


def test_a_lesion_outside_every_organ_has_no_place_but_a_size() -> None:
    masks = {**box_masks(), "kidney_lesion": boxed("kidney_lesion", ((2, 40, 5), (6, 44, 9)))}
    answer = Conversation(
        box_ct(masks),
        LabelMapSegmenter(masks),
        PlanOf(call("detect", "kidney_lesion"), call("locate", "kidney_lesion")),
    ).ask("?")
    assert answer.findings[0].site.organ is None
    assert_grounded(answer)


def test_a_cut_lesion_gets_no_size() -> None:
    masks = {**box_masks(), "liver": boxed("liver", ((34, 12, 10), (54, 38, 40)))}
    masks["liver_lesion"] = boxed("liver_lesion", ((37, 15, 36), (42, 20, 40)), ((46, 15, 22), (49, 18, 25)))
    for skill in ("detect", "measure", "segment", "locate", "report"):
        answer = Conversation(box_ct(masks), LabelMapSegmenter(masks), PlanOf(call(skill, "liver_lesion"))).ask("?")
        cut = [finding for finding in answer.findings if finding.structure == "liver_lesion" and finding.cut_at]
        assert len(cut) == 1
        assert cut[0].cut_at == ("superior",)
        assert cut[0].measurement("volume") is None
        assert cut[0].measurement("long_axis") is None
        assert_grounded(answer)
