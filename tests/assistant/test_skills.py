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


def value_of(finding: Finding, quantity: str) -> float:
    """The value of a measurement that must be there."""
    measurement = finding.measurement(quantity)
    assert measurement is not None, quantity
    return measurement.value


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
    assert len(sections["Suspected lesions"]) == 6
    assert len(sections["Impression"]) == 4
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


def test_an_unknown_structure_lists_the_nearest_and_what_can_be_segmented() -> None:
    answer = about_boxes(call("refuse", reason="unknown_structure", near=["liver", "spleen"])).ask("?")
    known = "I can segment: aorta, gallbladder, left kidney, right kidney, liver, liver lesion and spleen."
    assert answer.text == f"I do not know that structure. The nearest that I know: liver and spleen. {known}"
    assert about_boxes().ask("How big is the zzzz?").text == f"I do not know that structure. {known}"


def test_a_contradiction_is_asked_back_with_what_it_could_mean() -> None:
    conversation = about_boxes()
    answer = conversation.ask("Segment the left liver kidney.")
    assert answer.text == (
        "The question contradicts itself. It could mean: liver and left kidney. Please ask again with one of them."
    )
    assert answer.findings == ()
    assert [finding.structure for finding in conversation.ask("The left kidney.").findings] == ["kidney_left"]
    assert about_boxes(call("refuse", reason="contradictory")).ask("?").text == REPLIES["refuse_contradictory"]


@pytest.mark.parametrize(("skill", "reply"), [("correct", "refuse_not_supported_skill"), ("export", "export_how")])
def test_skills_without_voxels_say_what_they_can(skill: str, reply: str) -> None:
    assert about_boxes(call(skill)).ask("?").text == REPLIES[reply]


def test_help_lists_what_this_model_can_segment() -> None:
    text = about_boxes(call("help")).ask("?").text
    assert "I can segment: " in text
    assert "liver lesion" in text


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
