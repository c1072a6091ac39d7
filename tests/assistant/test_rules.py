"""What a question asks to be done, in order; what is refused; what follow-ups mean."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.language.rules import RulePlanner
from assistant.plan import SKILL_NAMES, Memory, SkillCall
from vision.structures import GROUPS, names

PLANNER = RulePlanner()
BOTH = list(GROUPS["kidneys"])
TUMORS = list(GROUPS["tumors"])


def plan(question: str, memory: Memory | None = None) -> list[SkillCall]:
    return PLANNER.plan(question, memory or Memory())


def test_volumes_of_what_was_segmented() -> None:
    segment, measure = plan("Segment the liver and the left kidney and tell me their volumes")
    assert segment == SkillCall(name="segment", arguments={"structures": ["liver", "kidney_left"]})
    assert measure.name == "measure"
    assert measure.arguments["structures"] == ["liver", "kidney_left"]
    assert measure.arguments["quantities"] == ["volume"]


def test_the_size_of_a_tumour_in_a_part_is_its_axes_and_volume() -> None:
    segment, measure = plan("Segment the tumour in the tail of the pancreas and then measure its size")
    assert segment == SkillCall(
        name="segment", arguments={"structures": ["pancreas_lesion"], "within": ["pancreas_tail"]}
    )
    assert measure == SkillCall(
        name="measure",
        arguments={
            "structures": ["pancreas_lesion"],
            "within": ["pancreas_tail"],
            "quantities": ["long_axis", "short_axis", "volume"],
            "finding": "previous",
        },
    )


@pytest.mark.parametrize(
    ("question", "limit"),
    [
        ("Take a look and mark the suspected tumour region", None),
        ("Please frame two potential tumors", 2),
        ("Find the 3 most suspicious lesions", 3),
        ("Detect tumors larger than 2 cm", None),
    ],
)
def test_suspected_tumours_are_detected(question: str, limit: int | None) -> None:
    calls = plan(question)
    assert calls[0].name == "detect"
    assert set(TUMORS) <= set(calls[0].arguments["structures"])
    assert calls[0].arguments.get("limit") == limit


@pytest.mark.parametrize(
    ("question", "skills"),
    [
        ("Segment the liver", ["segment"]),
        ("Where is the spleen?", ["locate"]),
        ("On which slices do you see the pancreas?", ["locate"]),
        ("Which side is the renal cyst on?", ["locate"]),
        ("In which liver segment is the tumour?", ["locate"]),
        ("How big is the spleen?", ["measure"]),
        ("What is the volume of the liver?", ["measure"]),
        ("liver volume", ["measure"]),
        ("Give me the mean HU of the liver and the spleen", ["measure"]),
        ("How far is the pancreatic tumour from the aorta?", ["measure"]),
        ("What's the longest diameter of the liver lesion?", ["measure"]),
        ("How many cysts are there in the kidneys?", ["count"]),
        ("Count the liver lesions", ["count"]),
        ("How many mL is the bladder?", ["measure"]),
        ("How many slices does the liver span?", ["locate"]),
        ("Which kidney is larger?", ["compare"]),
        ("Is the spleen enlarged?", ["compare"]),
        ("Is the liver of normal size?", ["compare"]),
        ("compare the left and right kidney", ["compare"]),
        ("Does this patient have splenomegaly?", ["compare"]),
        ("Has the liver tumour grown since the prior CT?", ["compare"]),
        ("Is there a tumour in the liver?", ["detect"]),
        ("Any lesions in the pancreas?", ["detect"]),
        ("Is there anything suspicious in the kidneys?", ["detect"]),
        ("Is the gallbladder present?", ["answer"]),
        ("Can you see the prostate?", ["answer"]),
        ("Is the liver lesion benign or malignant?", ["classify"]),
        ("What kind of lesion is it in the liver?", ["classify"]),
        ("Generate a report", ["report"]),
        ("Please write a structured radiology report for this CT.", ["report"]),
        ("Summarize the findings", ["report"]),
        ("Which contrast phase is this?", ["describe"]),
        ("What is the slice thickness?", ["describe"]),
        ("Is the liver cut off?", ["describe"]),
        ("Describe this scan", ["describe"]),
        ("What can you do?", ["help"]),
        ("help", ["help"]),
        ("Hello!", ["help"]),
        ("", ["help"]),
        ("  \n\t ", ["help"]),
        ("Save the results as NIfTI", ["export"]),
        ("That is not a tumour", ["correct"]),
        ("make it smaller", ["correct"]),
        # several at once
        (
            "Segment the spleen, measure its volume and tell me whether it is enlarged",
            ["segment", "measure", "compare"],
        ),
        ("Find the liver and count the lesions in it, then write a report", ["locate", "count", "report"]),
        ("Segment the aorta and then generate a report", ["segment", "report"]),
        ("Outline the kidneys. Which one is bigger?", ["segment", "compare"]),
        ("Where is the tumour in the pancreas and how big is it?", ["locate", "measure"]),
        ("Segment the liver with volume", ["segment", "measure"]),
        ("Segment and measure the liver", ["segment", "measure"]),
        ("Segment the liver and save the mask as nifti", ["segment", "export"]),
        ("volume and HU of the liver", ["measure"]),
        ("For the liver, give me the volume", ["measure"]),
        ("Segment the liver, compare it to normal and locate it", ["segment", "compare", "locate"]),
        ("Compare with the prior CT", ["compare"]),
        ("Download the masks", ["export"]),
        ("Does the tumour touch the aorta?", ["measure"]),
        ("Which organ is the largest?", ["compare"]),
        ("The liver is cirrhotic. Is the spleen enlarged?", ["compare"]),
        # a strong verb keeps its object
        ("Delineate the full length of the oesophagus", ["segment"]),
        ("Outline the entire volume of the colon", ["segment"]),
    ],
)
def test_skills_follow_the_words_in_order(question: str, skills: list[str]) -> None:
    assert [call.name for call in plan(question)] == skills


@pytest.mark.parametrize(
    ("question", "with_"),
    [
        ("Which kidney is larger?", "other_side"),
        ("Compare the left kidney with the right one", "other_side"),
        ("Is the liver larger than the spleen?", "each_other"),
        ("Is the spleen enlarged?", "normal"),
        ("Has the spleen changed since the previous scan?", "prior"),
    ],
)
def test_comparisons_name_what_with(question: str, with_: str) -> None:
    (call,) = plan(question)
    assert call.arguments["with_"] == with_


@pytest.mark.parametrize(
    ("question", "quantities"),
    [
        ("How big is the liver?", ["volume", "extent"]),
        ("How big is the liver tumour?", ["long_axis", "short_axis", "volume"]),
        ("RECIST of the liver lesion", ["long_axis", "short_axis"]),
        ("WHO measurement of the liver lesion", ["who"]),
        ("density of the spleen", ["hu"]),
        ("distance between the liver and the spleen", ["distance"]),
        ("What is the diameter of the aorta?", ["diameter"]),
        ("what are the volume and density of the liver", ["volume", "hu"]),
    ],
)
def test_quantities_are_read_from(question: str, quantities: list[str]) -> None:
    (call,) = plan(question)
    assert call.arguments["quantities"] == quantities


SEGMENTED = Memory(
    last_calls=(SkillCall(name="segment", arguments={"structures": ["liver"]}),), last_structures=("liver",)
)
MEASURED = Memory(
    last_calls=(SkillCall(name="measure", arguments={"structures": ["kidney_left"], "quantities": ["volume"]}),),
    last_structures=("kidney_left",),
)
TAIL = Memory(
    last_calls=(SkillCall(name="segment", arguments={"structures": ["pancreas_lesion"], "within": ["pancreas_tail"]}),),
    last_structures=("pancreas_lesion",),
)


@pytest.mark.parametrize(
    ("memory", "question", "skill", "structures"),
    [
        (SEGMENTED, "And the spleen?", "segment", ["spleen"]),
        (SEGMENTED, "what about the kidneys", "segment", BOTH),
        (SEGMENTED, "How big is it?", "measure", ["liver"]),
        (SEGMENTED, "Where is it?", "locate", ["liver"]),
        (SEGMENTED, "Is it enlarged?", "compare", ["liver"]),
        (MEASURED, "And the right kidney?", "measure", ["kidney_right"]),
        (MEASURED, "now the pancreas", "measure", ["pancreas"]),
        (MEASURED, "Which side is larger?", "compare", BOTH),
        (MEASURED, "Show the spleen", "segment", ["spleen"]),
        (TAIL, "How big is the tumour?", "measure", ["pancreas_lesion"]),
        (MEASURED, "No, the right one", "measure", ["kidney_right"]),
        (MEASURED, "and the other one?", "measure", ["kidney_right"]),
        (TAIL, "Measure it", "measure", ["pancreas_lesion"]),
    ],
)
def test_follow_ups_point_back(memory: Memory, question: str, skill: str, structures: list[str]) -> None:
    (call,) = plan(question, memory)
    assert call.name == skill
    assert call.arguments["structures"] == structures


def test_a_follow_up_keeps_where_the_lesion_was_sought() -> None:
    (call,) = plan("How big is it?", TAIL)
    assert call.arguments["within"] == ["pancreas_tail"]
    assert call.arguments["finding"] == "previous"


def test_invisible_characters_do_not_change_a_plan() -> None:
    assert plan("Seg\u200bment the li\u00adver\u0007") == plan("Segment the liver")
    assert plan("\uff33egment the \uff4civer") == plan("Segment the liver")


def test_a_named_finding_is_passed_on() -> None:
    (call,) = plan("How big is F2?")
    assert call.arguments["finding"] == "F2"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_a_plan(question: str) -> None:
    calls = plan(question)
    assert calls
    assert all(call.name in SKILL_NAMES for call in calls)


PIECES = (
    *("segment", "the", "left", "right", "liver", "kidney", "tumour", "in", "of", "and", ",", "?", "its", "which"),
    *("larger", "how", "big", "segment 4", "cyst", "except", "not", "all"),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_any_jumble_of_its_own_words_gives_known_structures(words: list[str]) -> None:
    for memory in (Memory(), TAIL):
        for call in plan(" ".join(words), memory):
            assert set(call.arguments.get("structures", ())) <= set(names())


def test_a_plan_is_deterministic_and_quick() -> None:
    question = "Could you please outline the inferiour vena cava, the pancreatic tumour, and measure their volumes?" * 8
    first = plan(question)
    start = time.perf_counter()
    assert plan(question) == first
    assert time.perf_counter() - start < 0.5
