"""What a lesion may be: ranked with evidence, open where one CT cannot tell, and no word beyond the record."""

from __future__ import annotations

import numpy as np
import pytest

from assistant.answer import Answer
from assistant.conversation import Conversation
from assistant.grounding import verify
from assistant.language.rules import RulePlanner
from prompts.replies import REPLIES
from tests.assistant.small_scenes import (
    GRID,
    PlanOf,
    about_boxes,
    about_phantom,
    assert_grounded,
    box_masks,
    boxed,
    call,
)
from tests.fakes import LabelMapSegmenter
from vision.geometry import CTVolume

KIDNEY_LESION = boxed("kidney_lesion", ((18, 6, 8), (23, 11, 15)))


def about_kidney(lesion_hu: float, phase: str = "portal_venous") -> Answer:
    """Asked what a lesion of one HU in the left kidney is."""
    masks = {**box_masks(0), "kidney_lesion": KIDNEY_LESION}
    hu = np.full(GRID.shape, -100, dtype=np.int16)
    for name, mask in masks.items():
        hu[mask.voxels] = lesion_hu if name == "kidney_lesion" else 150
    ct = CTVolume(hu, GRID, {"phase": phase})
    return Conversation(ct, LabelMapSegmenter(masks), PlanOf(call("classify", "kidney_lesion"))).ask("?")


@pytest.mark.parametrize(
    ("lesion_hu", "phase", "first", "told"),
    [
        (5, "portal_venous", "cyst (core of 5 HU, like water)", "The signs fit the first"),
        (90, "portal_venous", "renal cell carcinoma (core of 90 HU, like solid tissue)", "on one contrast phase"),
        (35, "non_contrast", "renal cell carcinoma (core of 35 HU, like solid tissue)", "without contrast medium"),
        (-70, "portal_venous", "angiomyolipoma (as low as -70 HU, like fat)", "The signs fit the first"),
    ],
)
def test_a_kidney_lesion_is_read_by_its_attenuation(lesion_hu: float, phase: str, first: str, told: str) -> None:
    answer = about_kidney(lesion_hu, phase)
    assert f"may be, what fits best first: {first}" in answer.text
    assert told in answer.text
    assert "no diagnosis" in answer.text
    assert_grounded(answer)


def test_the_record_holds_the_ranking_and_its_method() -> None:
    lesion = about_kidney(90).findings[0]
    assert lesion.classification is not None
    assert lesion.classification.possibilities[0].type == "renal_cell_carcinoma"
    assert lesion.classification.possibilities[0].supports == ("soft",)
    assert (lesion.classification.phase, lesion.classification.open) == ("portal", "one phase")
    assert "no probability" in lesion.classification.method


def test_the_phantoms_tumour_may_be_an_adenocarcinoma_and_one_phase_cannot_tell() -> None:
    conversation = about_phantom()
    conversation.ask("Take a look and mark the suspected tumour region.")
    answer = conversation.ask("What is it?")
    assert "what fits best first: ductal adenocarcinoma (darker than its organ: " in answer.text
    assert "cannot be told on one contrast phase (portal venous)" in answer.text
    assert_grounded(answer)


@pytest.mark.parametrize("lie", [
    "Suspected pancreatic lesion F1 is a ductal adenocarcinoma.",
    "Suspected pancreatic lesion F1 may be, what fits best first: neuroendocrine tumour.",
    "Suspected pancreatic lesion F1 may be a metastasis.",
    "The signs fit the first; they are no diagnosis.",
    "Suspected pancreatic lesion F1 is biopsy-proven.",
])  # fmt: skip
def test_no_other_word_on_types_passes(lie: str) -> None:
    answer = about_phantom(call("classify", "pancreas_lesion")).ask("?")
    assert answer.findings[0].id == "F1"
    assert verify(lie, answer.findings)


def test_one_lesion_is_asked_about_by_its_name() -> None:
    conversation = about_boxes()
    conversation.ask("Detect liver lesions")
    answer = conversation.ask("Is F2 a cyst?")
    assert [finding.id for finding in answer.findings] == ["F2"]
    assert_grounded(answer)
    assert conversation.ask("What is F9?").text == REPLIES["no_such_lesion"]


def test_lesions_that_are_not_there_are_not_classified() -> None:
    answer = about_boxes(call("classify", "kidney_lesion"), searches=frozenset({"kidney_lesion"})).ask("?")
    assert answer.text == "No suspected kidney lesion was detected by the model."


def test_a_model_without_lesions_classifies_none() -> None:
    masks = {name: mask for name, mask in box_masks().items() if name != "liver_lesion"}
    ct = CTVolume(np.full(GRID.shape, 50, dtype=np.int16), GRID)
    answer = Conversation(ct, LabelMapSegmenter(masks), PlanOf(call("classify", "liver"))).ask("?")
    assert answer.text.startswith("This model cannot search for ")


@pytest.mark.parametrize(
    ("question", "planned"),
    [
        ("What is it?", call("classify", "liver_lesion", finding="previous")),
        ("What could that be?", call("classify", "liver_lesion", finding="previous")),
        ("Is this a cyst or a tumour?", call("classify", "liver_lesion", finding="previous")),
        ("Could it be HCC?", call("classify", "liver_lesion", finding="previous")),
        ("Is that a metastasis?", call("classify", "liver_lesion", finding="previous")),
        ("Is the kidney lesion a cyst or a tumour?", call("classify", "kidney_lesion")),
        ("Could the pancreatic lesion be PDAC?", call("classify", "pancreas_lesion")),
        ("Is there a kidney cyst?", call("detect", "kidney_cyst")),
        ("Is the lesion hypodense?", call("measure", "liver_lesion", quantities=["hu"], finding="previous")),
    ],
)
def test_questions_about_a_lesion_are_planned(question: str, planned: object) -> None:
    conversation = about_boxes()
    conversation.ask("Detect liver lesions")
    plan = RulePlanner().plan(question, conversation._memory)
    assert plan == [planned]
