"""Plans made sensible: what names nothing that can be is refused, with the reason."""

from __future__ import annotations

import pytest

from assistant.language.settle import settle
from assistant.plan import Memory, SkillCall
from tests.assistant.small_scenes import call
from vision.structures import GROUPS

NOTHING = Memory()
TUMOUR = Memory(
    last_calls=(call("detect", "pancreas_lesion", within=["pancreas_tail"]),), last_structures=("pancreas_lesion",)
)


def settled(*calls: SkillCall, question: str = "Show it.", memory: Memory = NOTHING) -> list[SkillCall]:
    return settle(calls, question, memory)


@pytest.mark.parametrize(
    "sensible",
    [
        call("segment", "liver", "spleen"),
        call("detect", "pancreas_lesion", within=["pancreas_tail"]),
        call("count", "kidney_cyst", within=["kidney_left"]),
        call("locate", "liver_lesion", within=["liver_segment_4"]),
        call("segment", "lymph_nodes", within=["pancreas"]),
        call("compare", with_="prior"),
        call("answer", asked="open"),
        call("detect"),
        call("report", template="short"),
        call("refuse", reason="system"),
        SkillCall(name="help"),
    ],
    ids=str,
)
def test_what_makes_sense_stays_as_it_is(sensible: SkillCall) -> None:
    assert settled(sensible) == [sensible]


@pytest.mark.parametrize("skill", ["segment", "measure", "classify", "locate", "compare"])
def test_structures_that_are_missing_are_asked_for_or_those_of_the_turn_before(skill: str) -> None:
    needed = {"measure": {"quantities": ["volume"]}, "compare": {"with_": "normal"}}.get(skill, {})
    assert settled(call(skill, **needed)) == [call("refuse", reason="which_structure")]
    before = call(skill, "pancreas_lesion", within=["pancreas_tail"], finding="previous", **needed)
    assert settled(call(skill, **needed), memory=TUMOUR) == [before]


def test_a_finding_named_outright_is_of_the_structures_of_the_turn_before() -> None:
    memory = Memory(last_calls=(call("segment", "liver"),), last_structures=("liver",))
    assert settled(call("report", finding="F2"), memory=memory) == [call("report", "liver", finding="F2")]
    assert settled(call("report", finding="F2")) == [call("report", finding="F2")]


def test_a_place_that_was_named_anew_is_kept() -> None:
    asked = call("locate", within=["pancreas_head"], finding="previous")
    assert settled(asked, memory=TUMOUR) == [
        call("locate", "pancreas_lesion", within=["pancreas_head"], finding="previous")
    ]


def test_a_lesion_within_what_cannot_hold_it_is_refused_by_the_name_of_that() -> None:
    refused = call("refuse", "spleen", reason="unknown_structure", near=list(GROUPS["lesions"]))
    assert settled(call("detect", "liver_lesion", within=["spleen"])) == [refused]


def test_only_the_lesions_and_places_that_belong_together_stay() -> None:
    wide = call("detect", "liver_lesion", "kidney_lesion", within=["kidney_left", "spleen"], limit=2)
    assert settled(wide) == [call("detect", "kidney_lesion", within=["kidney_left"], limit=2)]


def test_a_search_within_a_place_is_for_the_lesions_that_it_can_hold() -> None:
    assert settled(call("detect", within=["pancreas_tail"])) == [
        call("detect", "pancreas_lesion", within=["pancreas_tail"])
    ]


def test_a_search_of_an_organ_is_for_its_lesions_and_of_a_part_within_it() -> None:
    assert settled(call("detect", "liver", limit=2)) == [call("detect", "liver_lesion", "liver_cyst", limit=2)]
    assert settled(call("detect", "pancreas_tail")) == [call("detect", "pancreas_lesion", within=["pancreas_tail"])]
    assert settled(call("detect", "kidney_left")) == [
        call("detect", "kidney_lesion", "kidney_cyst", within=["kidney_left"])
    ]
    assert settled(call("detect", "kidney_left", "kidney_right")) == [call("detect", "kidney_lesion", "kidney_cyst")]
    assert settled(call("detect", "lung_lesion", "colon")) == [call("detect", "colon_lesion", "lung_lesion")]
    assert settled(call("detect", "spleen")) == [
        call("refuse", "spleen", reason="unknown_structure", near=list(GROUPS["lesions"]))
    ]


def test_an_organ_within_another_contradicts_itself_and_within_its_own_does_not() -> None:
    assert settled(call("segment", "liver", within=["spleen"])) == [
        call("refuse", reason="contradictory", near=["liver", "spleen"])
    ]
    assert settled(call("segment", "pancreas_tail", within=["pancreas"])) == [call("segment", "pancreas_tail")]


def test_bounds_that_exclude_each_other_contradict() -> None:
    assert settled(call("detect", "liver_lesion", min_mm=30.0, max_mm=10.0)) == [
        call("refuse", reason="contradictory", near=["liver_lesion"])
    ]


def test_words_that_contradict_each_other_are_refused_whatever_was_planned() -> None:
    question = "Segment the spleen. Segment the left kidney on the right side."
    planned = [call("segment", "spleen"), call("segment", "kidney_left")]
    calls = settle(planned, question, NOTHING)
    assert calls[0] == call("segment", "spleen")
    assert [one.arguments["reason"] for one in calls[1:]] == ["contradictory"]
    assert set(calls[1].arguments["near"]) == {"kidney_left", "kidney_right"}
    own = [call("segment", "spleen"), call("refuse", reason="contradictory", near=["kidney_left"])]
    assert settle(own, question, NOTHING) == own


def test_medical_advice_is_refused_beside_what_was_planned() -> None:
    calls = settle([call("segment", "liver")], "Segment the liver. Should I have surgery?", NOTHING)
    assert calls[0] == call("segment", "liver")
    assert calls[1].arguments["reason"] == "medical_advice"


def test_what_is_planned_twice_is_done_once() -> None:
    assert settled(call("segment", "liver"), call("segment", "liver")) == [call("segment", "liver")]
