"""Each skill on boxes of known size: true numbers, honest absences, words that records cover."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.conversation import Conversation
from assistant.records import Finding, Status
from assistant.skills.talk import REFUSALS
from prompts.replies import REPLIES
from tests.assistant.small_scenes import (
    GRID,
    PlanOf,
    UnsureSegmenter,
    about_boxes,
    about_part,
    about_phantom,
    assert_grounded,
    box_ct,
    box_masks,
    boxed,
    call,
)
from tests.fakes import LabelMapSegmenter
from vision.geometry import CTVolume

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


QUANTITIES = {
    "volume": ("volume", 10 * 10 * 12 * 0.08 * 0.8),
    "hu": ("hu_mean", 100.0),
    "extent": ("extent", 60.0),
    "long_axis": ("long_axis", np.hypot(32, 40)),
}


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_the_spleen_measures_what_it_was_made_with(quantity: str) -> None:
    name, expected = QUANTITIES[quantity]
    answer = about_boxes(call("measure", "spleen", quantities=[quantity])).ask("?")
    if quantity == "volume":
        expected = 8 * 10 * 12 * GRID.voxel_ml
    assert value_of(answer.findings[0], name) == pytest.approx(expected, rel=0.06)
    assert_grounded(answer)


@pytest.mark.parametrize("quantity", ["volume", "diameter", "long_axis", "short_axis", "size", "who", "hu", "extent"])
@pytest.mark.parametrize("structure", ["spleen", "liver_lesion", "aorta", "pancreas_tail"])
def test_every_quantity_of_every_kind_of_structure_is_worded(quantity: str, structure: str) -> None:
    talk = about_phantom if structure == "pancreas_tail" else about_boxes
    answer = talk(call("measure", structure, quantities=[quantity])).ask("?")
    assert "did not understand" not in answer.text
    assert_grounded(answer)


def test_a_cut_structure_has_no_length() -> None:
    answer = about_boxes(call("measure", "aorta", quantities=["extent"])).ask("?")
    assert answer.findings[0].measurement("extent") is None
    assert "cut by the superior and inferior ends" in answer.text


def test_the_distance_between_two_boxes_is_their_gap() -> None:
    answer = about_boxes(call("measure", "spleen", "liver", quantities=["distance"])).ask("?")
    assert value_of(answer.findings[0], "distance_F2") == pytest.approx(18 * 4.0, abs=4.1)
    assert_grounded(answer)


def test_each_lesion_has_its_distance_to_an_organ() -> None:
    answer = about_boxes(call("measure", "liver_lesion", "spleen", quantities=["distance"])).ask("?")
    spleen = next(finding for finding in answer.findings if finding.structure == "spleen")
    lesions = [finding for finding in answer.findings if finding.structure == "liver_lesion"]
    assert len(lesions) == 3
    for lesion in lesions:
        assert lesion.measurement(f"distance_{spleen.id}") or spleen.measurement(f"distance_{lesion.id}")
    assert_grounded(answer)


def test_a_distance_needs_two_things() -> None:
    answer = about_boxes(call("measure", "spleen", quantities=["distance"])).ask("?")
    assert answer.text == REPLIES["refuse_unclear"]


def test_a_distance_to_what_cannot_be_had_says_so() -> None:
    answer = about_boxes(call("measure", "spleen", "brain", quantities=["distance"])).ask("?")
    assert "This model cannot segment brain yet." in answer.text
    assert_grounded(answer)


def test_left_and_right_are_compared_by_volume() -> None:
    answer = about_boxes(call("compare", "kidney_left", with_="other_side")).ask("?")
    assert {finding.structure for finding in answer.findings} == {"kidney_left", "kidney_right"}
    assert "The left kidney (45.6 mL) is larger than the right kidney (36.0 mL)." in answer.text
    assert value_of(answer.findings[0], "difference_F2") == pytest.approx(9.6)
    assert_grounded(answer)


def test_equal_volumes_are_not_called_larger() -> None:
    masks = {"kidney_left": boxed("kidney_left", ((2, 2, 2), (6, 6, 6))), "kidney_right": box_masks()["kidney_right"]}
    masks["kidney_right"] = boxed("kidney_right", ((50, 2, 2), (54, 6, 6)))
    planner = PlanOf(call("compare", "kidney_left", "kidney_right"))
    answer = Conversation(box_ct(masks), LabelMapSegmenter(masks), planner).ask("?")
    assert "larger" not in answer.text
    assert_grounded(answer)


@pytest.mark.parametrize(("depth", "place"), [(3, "below"), (6, "within"), (30, "above")])
def test_a_volume_lies_below_within_or_above_the_normal_range(depth: int, place: str) -> None:
    grid_masks = {"spleen": boxed("spleen", ((2, 2, 2), (2 + depth, 20, 20)))}
    answer = Conversation(
        box_ct(grid_masks), LabelMapSegmenter(grid_masks), PlanOf(call("compare", "spleen", with_="normal"))
    ).ask("?")
    assert f" {place} the normal range of " in answer.text
    assert_grounded(answer)


def test_a_cut_structure_is_not_compared() -> None:
    answer = about_boxes(call("compare", "aorta", "spleen")).ask("?")
    assert "so no volume is given" in answer.text
    assert "larger" not in answer.text
    assert_grounded(answer)


def test_a_structure_without_a_range_or_another_side_is_said() -> None:
    alone = about_phantom(call("compare", "duodenum", with_="normal")).ask("?")
    assert REPLIES["no_normal_range"] in alone.text
    assert about_boxes(call("compare", "liver")).ask("?").text == REPLIES["refuse_not_supported_skill"]


def test_no_prior_is_open() -> None:
    assert about_boxes(call("compare", "liver", with_="prior")).ask("?").text == REPLIES["no_prior"]


def test_a_ct_is_described_by_its_grid_and_phase() -> None:
    text = about_phantom(call("describe")).ask("?").text
    assert "76 slices with a spacing of 4.0 mm" in text
    assert "portal venous" in text
    assert "not recorded" in about_boxes(call("describe")).ask("?").text


def test_presence_is_said_with_the_place() -> None:
    answer = about_boxes(call("answer", "spleen", asked="presence")).ask("?")
    assert answer.text.startswith("The spleen was searched for and is seen.")
    assert_grounded(answer)


def test_a_report_has_its_sections_and_a_line_for_every_structure() -> None:
    answer = about_boxes(call("report"), searches=frozenset({"kidney_lesion", "pancreas"})).ask("?")
    assert answer.report is not None
    sections = dict(answer.report.sections)
    assert list(sections) == ["Technique", "Findings", "Suspected lesions", "Impression", "Limitations"]
    assert len(sections["Findings"]) == 7
    assert len(sections["Suspected lesions"]) == 4
    assert len(sections["Impression"]) == 2
    assert any("Pancreas: not seen" in line for line in sections["Findings"])
    assert any("Aorta: cut by" in line for line in sections["Findings"])
    assert any("not for clinical use" in line for line in sections["Limitations"])
    assert_grounded(answer)


def test_a_report_of_part_of_the_body_withholds_what_is_cut() -> None:
    answer = about_part(slice(0, 40), call("report")).ask("?")
    assert answer.report is not None
    lines = dict(answer.report.sections)["Findings"]
    assert any(line.startswith("Liver: cut by the superior end") for line in lines)
    assert_grounded(answer)


@pytest.mark.parametrize("reason", [*REFUSALS, "unknown_structure", "which_structure", "of a newer planner"])
def test_every_refusal_is_said_without_findings(reason: str) -> None:
    answer = about_boxes(call("refuse", reason=reason)).ask("?")
    assert answer.findings == ()
    assert answer.record.dropped == ()
    assert answer.text != REPLIES["refuse_dropped"]


def test_a_refusal_without_a_reason_asks_again() -> None:
    assert about_boxes(call("refuse")).ask("?").text == REPLIES["refuse_unclear"]


def test_an_unknown_structure_lists_the_nearest() -> None:
    answer = about_boxes(call("refuse", reason="unknown_structure", near=["liver", "spleen"])).ask("?")
    assert answer.text == "I do not know that structure. The nearest that I know: liver and spleen."


@pytest.mark.parametrize(("skill", "reply"), [("classify", "refuse_not_supported_skill"), ("export", "export_how")])
def test_skills_without_voxels_say_what_they_can(skill: str, reply: str) -> None:
    assert about_boxes(call(skill)).ask("?").text == REPLIES[reply]


def test_help_lists_what_this_model_can_segment() -> None:
    text = about_boxes(call("help")).ask("?").text
    assert "I can segment: " in text
    assert "liver lesion" in text


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


def test_the_same_sentence_is_said_once() -> None:
    answer = about_boxes(call("measure", "spleen"), call("measure", "spleen")).ask("?")
    assert answer.text.count("The volume of the spleen") == 1


def test_an_empty_ct_finds_nothing_and_denies_nothing() -> None:
    masks = {name: boxed(name) for name in ("liver", "spleen", "liver_lesion", "pancreas")}
    ct = CTVolume(np.full(GRID.shape, -1000, dtype=np.int16), GRID)
    names = ("liver", "liver_lesion", "pancreas_tail", "liver_segment_4")
    answer = Conversation(ct, LabelMapSegmenter(masks), PlanOf(call("segment", *names))).ask("?")
    assert {finding.status for finding in answer.findings} == {Status.NOT_ASSESSABLE}
    assert_grounded(answer)
