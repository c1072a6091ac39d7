"""What a CT looks like: an impression in its own words, never against what was measured, never without a record."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from assistant.answer import Answer
from assistant.conversation import Conversation
from assistant.grounding import say_impression, verify
from assistant.plan import SkillCall
from assistant.records import Impression
from prompts import load_words
from tests.assistant.language.speaking import TOKENS, ScriptedLooker, ScriptedSpeaker, Tokens
from tests.assistant.small_scenes import PlanOf, box_masks, call
from tests.fakes import LabelMapSegmenter
from vision.geometry import CTVolume, Notice

LOOKS = load_words("wording")["looks"]
EVERY = [(topic, word) for topic, look in LOOKS.items() for word in look["words"]]


class SeenSegmenter(Tokens, LabelMapSegmenter):
    """The boxes, with tokens."""


def ct_of(organ_hu: int, *, notices: tuple[Notice, ...] = (), **facts: str | float) -> CTVolume:
    """Fat with every organ at one attenuation."""
    masks = box_masks(lesions=0)
    hu = np.full(masks["liver"].grid.shape, -100, dtype=np.int16)
    for mask in masks.values():
        hu[mask.voxels] = organ_hu
    return CTVolume(hu, masks["liver"].grid, MappingProxyType(facts), notices)


def asked(looker: ScriptedLooker, ct: CTVolume, *calls: SkillCall) -> Answer:
    segmenter = SeenSegmenter(box_masks(lesions=0))
    return Conversation(ct, segmenter, PlanOf(*calls), looker=looker).ask("?")


def sentence(topic: str, word: str, *, contradicts: bool = False) -> str:
    seen = Impression(topic=topic, word=word, confidence=0.5, reader="x", contradicts=contradicts)
    return say_impression(seen)


@pytest.mark.parametrize(("topic", "word"), EVERY)
@pytest.mark.parametrize("contradicts", [False, True])
def test_the_verifier_accepts_an_impression_with_the_word_on_record_only(
    topic: str, word: str, contradicts: bool
) -> None:
    seen = Impression(topic=topic, word=word, confidence=0.5, reader="x", contradicts=contradicts)
    assert verify(say_impression(seen), (), impressions=[seen]) == []
    others = [one for one in LOOKS[topic]["words"] if one != word]
    for other in others:
        assert verify(sentence(topic, other, contradicts=contradicts), (), impressions=[seen])
    assert verify(say_impression(seen).replace(" (impression, not measured)", ""), (), impressions=[seen])
    assert verify(sentence(topic, word, contradicts=not contradicts), (), impressions=[seen])
    assert verify(say_impression(seen), ())


def test_what_nothing_measures_is_told_as_an_impression_and_recorded() -> None:
    answer = asked(ScriptedLooker(oral_contrast="present"), ct_of(60), call("describe"))
    assert "Oral contrast looks present (impression, not measured)." in answer.text
    told = {one.topic: one for one in answer.record.impressions}
    assert (told["oral_contrast"].word, told["oral_contrast"].confidence) == ("present", 0.5)
    assert told["oral_contrast"].reader == "scripted"
    assert answer.record.dropped == ()


def test_a_phase_on_file_holds_and_a_look_that_agrees_needs_no_words() -> None:
    answer = asked(ScriptedLooker(phase="arterial"), ct_of(60, phase="arterial"), call("describe"))
    assert "recorded as arterial" in answer.text
    assert "phase looks" not in answer.text


def test_a_phase_on_file_holds_and_a_look_that_contradicts_it_is_told() -> None:
    answer = asked(ScriptedLooker(phase="delayed"), ct_of(60, phase="arterial"), call("describe"))
    assert "recorded as arterial" in answer.text
    assert sentence("phase", "delayed", contradicts=True) in answer.text
    assert [one.contradicts for one in answer.record.impressions if one.topic == "phase"] == [True]


@pytest.mark.parametrize(
    ("aorta_hu", "word", "told"),
    [
        (45, "non-contrast", None),
        (45, "delayed", True),
        (150, "delayed", False),
        (150, "non-contrast", True),
    ],
)
def test_the_aorta_decides_whether_there_is_contrast_medium(aorta_hu: int, word: str, told: bool | None) -> None:
    answer = asked(ScriptedLooker(phase=word), ct_of(aorta_hu), call("describe"))
    if told is None:
        assert "phase looks" not in answer.text
    else:
        assert sentence("phase", word, contradicts=told) in answer.text


def test_measured_noise_holds() -> None:
    noisy = (Notice("W_NOISY", "Noise of 50 HU."),)
    answer = asked(ScriptedLooker(noise="low"), ct_of(60, notices=noisy), call("describe"))
    assert sentence("noise", "low", contradicts=True) in answer.text


def test_a_region_that_was_not_recognised_is_contradicted() -> None:
    answer = asked(ScriptedLooker(region="chest"), ct_of(60, abdomen_mm=200.0), call("describe"))
    assert sentence("region", "chest", contradicts=True) in answer.text


@pytest.mark.parametrize(
    ("liver_hu", "word", "told"),
    [(20, "fatty", None), (20, "not fatty", True), (60, "not fatty", None), (60, "fatty", True)],
)
def test_the_attenuation_of_a_liver_without_contrast_medium_holds(liver_hu: int, word: str, told: bool | None) -> None:
    answer = asked(ScriptedLooker(steatosis=word), ct_of(liver_hu), call("measure", "liver", quantities=["hu"]))
    assert "mean attenuation of the liver" in answer.text
    assert ("The liver looks" in answer.text) is (told is not None)
    if told is not None:
        assert sentence("steatosis", word, contradicts=told) in answer.text


def test_a_fatty_look_of_an_enhanced_liver_is_an_impression() -> None:
    answer = asked(ScriptedLooker(steatosis="fatty"), ct_of(100), call("measure", "liver", quantities=["hu"]))
    assert sentence("steatosis", "fatty") in answer.text


def test_the_looker_reads_the_tokens_of_the_ct_and_the_speaker_gets_them() -> None:
    looker, speaker = ScriptedLooker(), ScriptedSpeaker()
    segmenter = SeenSegmenter(box_masks(lesions=0))
    planner = PlanOf(call("describe"))
    Conversation(ct_of(60), segmenter, planner, speaker=speaker, looker=looker).ask("?")
    assert set(map(id, looker.tokens)) == {id(TOKENS)}
    assert speaker.turns[0].tokens is TOKENS


def test_without_tokens_or_without_a_looker_nothing_is_said_of_looks() -> None:
    masks = box_masks(lesions=0)
    blind = Conversation(ct_of(60), LabelMapSegmenter(masks), PlanOf(call("describe")), looker=ScriptedLooker())
    eyeless = Conversation(ct_of(60), SeenSegmenter(masks), PlanOf(call("describe")))
    for conversation in (blind, eyeless):
        answer = conversation.ask("?")
        assert "looks" not in answer.text
        assert answer.record.impressions == ()


def test_a_report_tells_impressions_in_its_technique() -> None:
    answer = asked(ScriptedLooker(oral_contrast="present"), ct_of(60), call("report"))
    technique = dict(answer.report.sections)["Technique"]
    assert sentence("oral_contrast", "present") in technique


def test_every_topic_has_a_question_and_sentences_with_a_word() -> None:
    for look in LOOKS.values():
        assert look["question"].endswith("?")
        assert len(look["words"]) > 1
        for key in ("sentence", "against"):
            assert look[key].count("{word} (impression, not measured)") == 1
