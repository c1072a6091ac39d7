"""Sentences over facts."""

from __future__ import annotations

import json
import re
from random import Random

from assistant.grounding import render, verify
from assistant.language.instructions.findings import organ_finding, with_range
from assistant.language.instructions.page import Page, sentences_for
from assistant.language.instructions.shown import PHRASINGS, phrase_of, shown_row
from assistant.language.instructions.templates import split_of
from assistant.language.instructions.words import answer_of, draw_records, telling, words_row
from assistant.language.taught import MASK
from assistant.language.wording.grammar import sentences_in
from assistant.plan import SkillCall
from assistant.records import Finding, Measurement, Status
from prompts import load_words
from tests.assistant.language.drawn import heard

UNRECORDED = "The contrast phase is not recorded."
"""The skill's own: no record holds it, so no answer can."""
SLOT = re.compile(r"\{([^{}]*)\}")


def answered(seed: int, call: SkillCall) -> tuple[Page, list[Finding], list[Measurement]]:
    rng = Random(seed)
    page = Page(rng, masks=call.name == "segment")
    findings, extra = answer_of(rng, call, draw_records(rng, [call]), page)
    return page, findings, extra


def test_rows_are_the_same_for_the_same_seed_and_hold_facts_and_an_answer() -> None:
    for number in range(60):
        row = words_row(number, 2)
        assert row == words_row(number, 2)
        if "masks" in row:
            continue
        facts = json.loads(row["messages"][2]["content"])
        assert all(slot.split(".")[0] in facts for slot in SLOT.findall(row["messages"][3]["content"]))


def test_answers_hold_no_digit_outside_slots_and_end_as_the_grammar_of_words_wants() -> None:
    for number in range(150):
        text = words_row(number, 3)["messages"][-1]["content"].replace(MASK, "")
        assert not re.search(r"\d", SLOT.sub("", text))
        assert " ".join(sentences_in(text)) == text


def test_every_answer_passes_the_verifier_once_its_slots_are_filled() -> None:
    calls = [
        SkillCall(name="segment", arguments={"structures": ["liver", "kidney_left", "liver_segment_5"]}),
        SkillCall(name="segment", arguments={"structures": ["liver_lesion"], "within": ["liver_segment_2"]}),
        SkillCall(
            name="measure", arguments={"structures": ["spleen"], "quantities": ["volume", "hu", "extent", "diameter"]}
        ),
        SkillCall(
            name="measure", arguments={"structures": ["kidney_lesion"], "quantities": ["long_axis", "who", "hu"]}
        ),
        SkillCall(name="measure", arguments={"structures": ["liver", "aorta"], "quantities": ["distance"]}),
        SkillCall(name="detect", arguments={"structures": ["pancreas_lesion"], "limit": 2}),
        SkillCall(name="locate", arguments={"structures": ["kidney_lesion", "kidney_right"]}),
        SkillCall(name="count", arguments={"structures": ["liver_cyst"]}),
        SkillCall(name="compare", arguments={"structures": ["spleen", "pancreas"], "with_": "normal"}),
        SkillCall(name="compare", arguments={"structures": ["kidney_left", "kidney_right"], "with_": "other_side"}),
        SkillCall(name="answer", arguments={"structures": ["gall_bladder"], "asked": "presence"}),
    ]
    for call in calls:
        for seed in range(25):
            page, findings, extra = answered(seed, call)
            by_id = {finding.id: finding for finding in findings}
            text = render(" ".join(page.texts).replace(MASK, ""), by_id)
            assert verify(text, findings, extra=extra) == []


def test_the_skills_add_nothing_to_answers_of_words_rows() -> None:
    added = 0
    for seed in range(200):
        told = telling(Random(seed), "train")
        spoken, turn = heard(told)
        assert {finding.id for finding in turn.findings} == {finding.id for finding in told.findings}
        said = [line for line in spoken.sentences if line != UNRECORDED]
        added += len(said) > len(told.templates) or bool(spoken.dropped)
    assert added <= 2


def test_several_calls_about_one_thing_are_told_together_and_nothing_twice() -> None:
    tellings = [told for told in (telling(Random(seed), "train") for seed in range(300)) if len(told.request.calls) > 1]
    assert len({tuple(call.name for call in told.request.calls) for told in tellings}) > 3
    for told in tellings:
        spoken, _ = heard(told)
        assert not spoken.dropped
        assert len(spoken.sentences) == len(told.templates)


def test_a_mask_token_follows_the_name_of_each_structure_that_is_shown_and_of_no_other() -> None:
    call = SkillCall(name="segment", arguments={"structures": ["liver", "spleen"]})
    for seed in range(40):
        page, findings, _ = answered(seed, call)
        shown = sum(finding.status is Status.SEEN and not finding.cut_at for finding in findings)
        cut = sum(bool(finding.cut_at) for finding in findings)
        assert " ".join(page.texts).count(MASK) == shown + cut
        assert not re.search(r"(?<![a-z}])" + re.escape(MASK), " ".join(page.texts))


def test_absent_and_unseen_structures_are_said_to_be_so() -> None:
    call = SkillCall(name="segment", arguments={"structures": ["gall_bladder"]})
    statuses = {answered(seed, call)[1][0].status for seed in range(60)}
    assert statuses == set(Status)


def test_facts_say_how_a_volume_stands_to_its_normal_range() -> None:
    rng = Random(1)
    found = [organ_finding(rng, "kidney_left", "F1") for _ in range(100)]
    places = {place for finding, place in map(with_range, found)}
    assert places == {"below", "within", "above", None}


def test_every_kind_of_sentence_has_ids_of_its_own() -> None:
    ids = [pair[0] for key in load_words("instructions/words") for pair in sentences_for(key)]
    assert len(ids) == len(set(ids))


def test_masks_are_shown_for_names_synonyms_and_descriptions_without_a_record() -> None:
    rows = [row for row in (words_row(number, 4) for number in range(600)) if "masks" in row]
    assert 0.1 < len(rows) / 600 < 0.3
    assert {row["template"].split(".")[1] for row in rows} == set(PHRASINGS)
    for row in rows:
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert row["messages"][1]["content"].count(MASK) == len(row["masks"]) == 1
        assert split_of(row["template"]) == row["split"]


def test_a_held_out_phrase_is_never_learnt() -> None:
    phrases = {
        split: {shown_row(Random(f"{split} {n}"), split)["template"] for n in range(300)}
        for split in ("train", "held_out")
    }
    assert not phrases["train"] & phrases["held_out"]


def test_phrases_say_one_structure_in_other_words_than_its_name() -> None:
    rng = Random(1)
    assert phrase_of(rng, "pancreas", "name") == "pancreas"
    told = {phrase_of(rng, "pancreas", "description") for _ in range(30)}
    assert len(told) > 5
    assert not any(word == "pancreas" for phrase in told for word in str(phrase).split())
    assert "kidney_left" not in {phrase_of(rng, "kidney_left", "synonym") for _ in range(30)}
