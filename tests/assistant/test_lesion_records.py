"""What a lesion's record holds beside its size, and how it is said: attenuation, pole, shape, vessels, the search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest

from assistant.conversation import Conversation
from assistant.grounding import verify
from assistant.records import Status
from tests.assistant.small_scenes import (
    GRID,
    PlanOf,
    about_boxes,
    about_phantom,
    assert_grounded,
    box_ct,
    box_masks,
    boxed,
    call,
)
from tests.fakes import LabelMapSegmenter
from vision.geometry import CTVolume, Mask


class SizedSegmenter(LabelMapSegmenter):
    """Says how small a lesion it finds."""

    lesion_sizes = MappingProxyType({"liver_lesion": 12.0, "kidney_lesion": 15.0})


def talk(masks: Mapping[str, Mask], *calls: object, searches: frozenset[str] = frozenset()) -> Conversation:
    """A conversation about boxes of one's own, by a segmenter that knows how small a lesion it finds."""
    planner = PlanOf(*calls)  # type: ignore[arg-type]
    return Conversation(box_ct(masks), SizedSegmenter(masks, searches=searches), planner)


class MissingSegmenter(LabelMapSegmenter):
    """Says that it misses too many lesions of any size."""

    lesion_sizes = MappingProxyType({"liver_lesion": math.inf})


@pytest.mark.parametrize("lesions", [0, 1])
def test_a_model_that_misses_too_many_lesions_never_says_that_there_is_none(lesions: int) -> None:
    masks = box_masks(lesions)
    segmenter = MissingSegmenter(masks, searches=frozenset({"liver_lesion"}))
    answer = Conversation(box_ct(masks), segmenter, PlanOf(call("detect", "liver_lesion"))).ask("?")
    (finding,) = answer.findings
    assert finding.status is (Status.SEEN if lesions else Status.NOT_ASSESSABLE)
    assert ("misses too many of them to say that there is none" in answer.text) is not bool(lesions)
    assert finding.measurement("reliable_from") is None
    assert_grounded(answer)


def test_a_dark_lesion_is_said_to_be_so_with_both_numbers() -> None:
    answer = about_boxes(call("detect", "liver_lesion"), lesions=1).ask("?")
    (lesion,) = answer.findings
    assert lesion.attenuation is not None
    assert (lesion.attenuation.word, lesion.attenuation.organ) == ("hypo", "liver")
    assert "hypoattenuating (core 50 HU against 100 HU), confidence 0.90." in answer.text
    assert_grounded(answer)


def test_attenuation_is_against_the_tissue_outside_every_kind_of_lesion() -> None:
    masks = {**box_masks(1), "liver_cyst": boxed("liver_cyst", ((43, 12, 10), (54, 38, 34)))}
    hu = box_ct(masks).hu.copy()
    hu[masks["liver_cyst"].voxels] = 0
    answer = Conversation(CTVolume(hu, GRID), LabelMapSegmenter(masks), PlanOf(call("detect", "liver_lesion"))).ask("?")
    organ = answer.findings[0].measurement("organ_hu")
    assert organ is not None
    assert organ.value == 100


def test_attenuation_is_measured_where_it_is_asked_for() -> None:
    answer = about_boxes(call("measure", "liver_lesion", quantities=["hu"]), lesions=1).ask("?")
    assert "is hypoattenuating to the liver (core 50 HU against 100 HU)" in answer.text
    assert_grounded(answer)


def test_a_colon_lesion_has_no_attenuation_for_gas_is_no_tissue() -> None:
    colon = boxed("colon", ((2, 30, 10), (14, 42, 30)))
    masks = {**box_masks(), "colon": colon, "colon_lesion": boxed("colon_lesion", ((4, 32, 12), (8, 36, 16)))}
    answer = talk(masks, call("detect", "colon_lesion")).ask("?")
    assert answer.findings[0].attenuation is None
    assert "attenuating" not in answer.text
    assert_grounded(answer)


@pytest.mark.parametrize(("z", "pole"), [(6, "lower pole"), (13, "interpolar region"), (20, "upper pole")])
def test_a_kidney_lesion_lies_in_a_pole(z: int, pole: str) -> None:
    masks = {**box_masks(), "kidney_lesion": boxed("kidney_lesion", ((19, 7, z), (22, 10, z + 3)))}
    answer = talk(masks, call("detect", "kidney_lesion"), call("locate", "kidney_lesion")).ask("?")
    assert (answer.findings[0].site.part, answer.findings[0].site.side) == (pole, "left")
    assert f"in the {pole} of the left kidney" in answer.text
    assert_grounded(answer)


def test_a_pole_of_a_kidney_that_the_scan_cuts_is_not_known() -> None:
    kidney = boxed("kidney_left", ((18, 6, 0), (24, 11, 20)))
    masks = {**box_masks(), "kidney_left": kidney, "kidney_lesion": boxed("kidney_lesion", ((19, 7, 8), (22, 10, 12)))}
    answer = talk(masks, call("locate", "kidney_lesion")).ask("?")
    assert (answer.findings[0].site.organ, answer.findings[0].site.part) == ("kidney_left", None)


def test_a_piece_of_one_slice_is_no_lesion_and_said_to_be_left_out() -> None:
    masks = {**box_masks(0), "liver_lesion": boxed("liver_lesion", ((37, 15, 13), (42, 20, 14)))}
    answer = talk(masks, call("detect", "liver_lesion")).ask("?")
    assert answer.findings[0].status is Status.NOT_SEEN
    assert "what was marked is seen in one slice only" in answer.text
    assert_grounded(answer)
    also = boxed("liver_lesion", ((37, 15, 13), (42, 20, 14)), ((46, 30, 26), (49, 33, 30)))
    assert len(talk({**masks, "liver_lesion": also}, call("detect", "liver_lesion")).ask("?").findings) == 1


def test_two_balls_that_touch_are_one_that_may_be_several() -> None:
    i, j, k = np.ogrid[:60, :50, :40]
    balls = [(4 * (i - a)) ** 2 + (4 * (j - b)) ** 2 + (5 * (k - 22)) ** 2 for a, b in ((40, 20), (46, 24))]
    voxels = np.minimum(*balls) <= 16**2
    masks = {**box_masks(), "liver_lesion": Mask(voxels, GRID, "liver_lesion")}
    answer = talk(masks, call("detect", "liver_lesion")).ask("?")
    assert answer.findings[0].lobes == 2
    assert "may be several that touch; it is measured as one" in answer.text
    assert_grounded(answer)


def test_a_cyst_over_a_lesion_may_be_one_with_it() -> None:
    masks = {**box_masks(1), "liver_cyst": boxed("liver_cyst", ((38, 16, 14), (43, 21, 18)))}
    conversation = talk(masks, call("detect"))
    answer = conversation.ask("?")
    lesion, cyst = (next(f for f in answer.findings if f.structure == name) for name in ("liver_lesion", "liver_cyst"))
    assert (lesion.touches, cyst.touches) == ((cyst.id,), (lesion.id,))
    assert answer.text.count("touch or nearly touch and may be one") == 1
    assert_grounded(answer)


def test_lesions_far_apart_do_not_touch() -> None:
    answer = about_boxes(call("detect", "liver_lesion")).ask("?")
    assert {finding.touches for finding in answer.findings} == {()}
    assert "touch" not in answer.text


@pytest.mark.parametrize("skill", ["detect", "report"])
def test_contact_of_a_pancreatic_lesion_is_said_in_degrees_and_what_was_not_assessed_by_name(skill: str) -> None:
    answer = about_phantom(call(skill, *([] if skill == "report" else ["pancreas_lesion"]))).ask("?")
    lines = answer.text if answer.report is None else " ".join(dict(answer.report.sections)["Suspected lesions"])
    assert "touches 0 degrees of the aorta, 0 degrees of the inferior vena cava" in lines
    assert "Contact not assessed, for want of a mask: celiac trunk, superior mesenteric artery and" in lines
    assert_grounded(answer)


def test_contact_asked_for_is_measured() -> None:
    answer = about_phantom().ask("How many degrees of the aorta does the pancreatic tumour encase?")
    assert "touches 0 degrees of the aorta" in answer.text
    assert_grounded(answer)


def test_contact_without_degrees_is_refused() -> None:
    answer = about_phantom(call("detect", "pancreas_lesion")).ask("?")
    lesion = answer.findings[0]
    for lie in (
        f"Suspected pancreatic lesion {lesion.id} touches the aorta.",
        f"Suspected pancreatic lesion {lesion.id} touches 90 degrees of the aorta.",
        f"Suspected pancreatic lesion {lesion.id} touches 0 degrees of the celiac trunk.",
        f"Suspected pancreatic lesion {lesion.id} is hyperattenuating.",
        f"Suspected pancreatic lesion {lesion.id} is hypoattenuating to the liver.",
    ):
        assert verify(lie, answer.findings), lie


def test_a_search_closes_with_what_it_covered_and_how_small() -> None:
    masks = box_masks(1)
    searches = frozenset({"kidney_lesion", "pancreas_lesion"})
    answer = talk(masks, call("detect"), searches=searches).ask("?")
    assert "No suspected kidney lesion was detected by the model. Searched for: " in answer.text
    assert "liver lesion (reliably from 12 mm)" in answer.text
    assert "kidney lesion (reliably from 15 mm)" in answer.text
    assert "not assessable: pancreatic lesion (the model cannot segment the pancreas yet)." in answer.text
    assert answer.text.endswith("This model cannot search for liver cyst, colon lesion and kidney cyst yet.")
    assert_grounded(answer)


def test_a_search_of_one_kind_says_its_size_only_where_the_model_knows_it() -> None:
    assert (
        talk(box_masks(1), call("detect", "liver_lesion"))
        .ask("?")
        .text.endswith("Searched for: liver lesion (reliably from 12 mm).")
    )
    assert "Searched for" not in about_boxes(call("detect", "liver_lesion")).ask("?").text


def test_absences_are_said_together() -> None:
    masks = {name: mask for name, mask in box_masks().items() if name != "liver_lesion"}
    searches = frozenset({"liver_lesion", "liver_cyst", "kidney_cyst"})
    answer = talk(masks, call("detect"), searches=searches).ask("?")
    assert answer.text.startswith("No suspected kidney cyst, liver cyst or liver lesion was detected by the model.")
    assert_grounded(answer)


def test_another_search_than_the_one_on_record_is_refused() -> None:
    answer = talk(box_masks(1), call("detect", "liver_lesion")).ask("?")
    for lie in ("Searched for: liver lesion (reliably from 5 mm).", "Searched for: liver lesion and kidney lesion."):
        assert verify(lie, answer.findings), lie
