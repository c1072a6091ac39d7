from __future__ import annotations

import random
from collections import Counter

import pytest

from assistant.grounding import (
    MissingSlot,
    UnknownWord,
    check_sentences,
    format_measurement,
    listed,
    render,
    say,
    split_sentences,
    structure_list,
    verify,
)
from assistant.records import Finding, Measurement, Site, Status
from prompts import replies
from tests.assistant.grounding_lies import LIES
from tests.assistant.grounding_parts import PARTS
from tests.assistant.grounding_scenes import true_sentences
from vision.structures import STRUCTURES


def measurement(
    quantity: str, value: float, unit: str, *, finding: str = "F1", slice_index: int | None = None
) -> Measurement:
    return Measurement(
        id=f"{finding}.{quantity}", quantity=quantity, value=value, unit=unit, method="test", slice_index=slice_index
    )


LIVER = Finding(
    id="F1",
    structure="liver",
    status=Status.SEEN,
    site=Site(first_slice=31, last_slice=88),
    measurements=(measurement("volume", 1523.4, "mL"), measurement("hu_mean", 105.2, "HU")),
)
LEFT_KIDNEY = Finding(
    id="F2",
    structure="kidney_left",
    status=Status.SEEN,
    site=Site(side="left"),
    measurements=(measurement("volume", 160, "mL", finding="F2"),),
)
LESION = Finding(
    id="F3",
    structure="liver_lesion",
    status=Status.SEEN,
    confidence=0.874,
    site=Site(organ="liver", segments=(6, 7)),
    measurements=(
        measurement("long_axis", 24.7, "mm", finding="F3", slice_index=45),
        measurement("short_axis", 18.2, "mm", finding="F3"),
    ),
)
NO_PANCREATIC = Finding(id="F4", structure="pancreas_lesion", status=Status.NOT_SEEN)
GALLBLADDER = Finding(
    id="F5", structure="gall_bladder", status=Status.NOT_ASSESSABLE, why="The scan does not reach the gallbladder."
)
CUT_SPLEEN = Finding(id="F6", structure="spleen", status=Status.SEEN, complete=False, cut_at=("superior",), why="Cut.")
ALL = (LIVER, LEFT_KIDNEY, LESION, NO_PANCREATIC, GALLBLADDER, CUT_SPLEEN)


@pytest.mark.parametrize(
    ("value", "unit", "quantity", "text"),
    [
        (1523.4, "mL", "volume", "1,523 mL"),
        (99.97, "mL", "volume", "100 mL"),
        (6.44, "mL", "volume", "6.4 mL"),
        (0.456, "mL", "volume", "0.46 mL"),
        (24.7, "mm", "long_axis", "25 mm"),
        (9.97, "mm", "long_axis", "10 mm"),
        (6.44, "mm", "long_axis", "6.4 mm"),
        (-0.3, "HU", "hu_mean", "0 HU"),
        (-105.2, "HU", "hu_mean", "-105 HU"),
        (12.34, "%", "contact", "12.3%"),
        (446.0, "mm2", "who", "446 mm²"),
        (184.6, "degrees", "contact", "185 degrees"),
        (1, "slices", "extent", "1 slice"),
        (58, "slices", "extent", "58 slices"),
        (3, "1", "count", "3"),
        (1.104, "1", "ratio", "1.10"),
    ],
)
def test_a_measurement_is_written_with_fixed_rounding(value: float, unit: str, quantity: str, text: str) -> None:
    assert format_measurement(measurement(quantity, value, unit)) == text


def test_a_unit_without_a_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="units with a rule are mL"):
        format_measurement(measurement("weight", 3, "kg"))


def test_a_value_that_is_not_finite_is_never_written() -> None:
    with pytest.raises(ValueError, match="only a finite value"):
        format_measurement(measurement("volume", float("nan"), "mL"))


def test_slots_are_filled_from_records() -> None:
    text = render("{F3.structure} {F3.long_axis} x {F3.short_axis} in {F3.segments}, {F3.confidence}", {"F3": LESION})
    assert text == "Liver lesion 25 mm x 18 mm in segments 6 and 7, 0.87"


def test_slices_show_the_stored_index_and_say_so() -> None:
    assert say("slices", {"F": LIVER}) == "The liver lies in slices 31 to 88 (slices are counted from 0)."
    assert render("{F.long_axis_slice}", {"F": LESION}) == "Slice 45"


def test_free_measurements_fill_whole_slots() -> None:
    assert say("extent", {}, extra={"CT.extent": measurement("extent", 412, "mm")}).startswith("The CT covers 412 mm")


def test_every_missing_slot_is_named() -> None:
    with pytest.raises(MissingSlot, match=r"\{F\.who\}, \{G\.volume\}") as raised:
        render("{F.who} {G.volume} {F.volume}", {"F": LIVER})
    assert raised.value.slots == ("F.who", "G.volume")


def test_a_reason_with_braces_is_not_filled_again() -> None:
    finding = GALLBLADDER.model_copy(update={"why": "It says {F.volume}."})
    assert render("{F.why}", {"F": finding}) == "It says {F.volume}"


def test_word_slots_take_their_closed_vocabulary_only() -> None:
    with pytest.raises(UnknownWord, match="above, below, within"):
        say("in_normal_range", {"F": LIVER}, {"place": "far above"})
    with pytest.raises(UnknownWord, match="spoken structure names, not 'the moon'"):
        say("refuse_unsupported", {}, {"structures": "liver, the moon"})
    with pytest.raises(UnknownWord, match="no word slot"):
        say("volume", {"F": LIVER}, {"volume": "1 mL"})


def test_an_unknown_reply_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="no_such_reply"):
        say("no_such_reply", {})


def test_lists_are_joined_as_people_write_them() -> None:
    assert structure_list(["liver", "gall_bladder", "kidney_left"]) == "liver, gallbladder and left kidney"
    assert [listed([]), listed(["a"]), listed(["a", "b"])] == ["", "a", "a and b"]


def test_all_structures_fit_a_list_slot_and_pass_the_verifier() -> None:
    text = say("help_structures", {}, {"structures": structure_list(row.name for row in STRUCTURES)})
    assert verify(text, ()) == []


@pytest.mark.parametrize("name", replies.FIXED)
def test_a_fixed_reply_passes_without_records(name: str) -> None:
    words = {"structures": "liver and portal and splenic vein", "near": "spleen", "phase": "portal venous"}
    used = {slot: word for slot, word in words.items() if f"{{{slot}}}" in replies.REPLIES[name]}
    assert verify(say(name, {}, used), ()) == []


def test_sentences_end_where_people_end_them() -> None:
    text = "The liver is 2.5 cm, e.g. 25 mm. F3 is seen!\nNo. Approx. 1,523 mL. See F3. End"
    expected = ["The liver is 2.5 cm, e.g. 25 mm.", "F3 is seen!", "No.", "Approx. 1,523 mL.", "See F3.", "End"]
    assert split_sentences(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The volume of the liver is 1,523 mL.",
        "The liver measures 1.52 L.",
        "The liver has a volume of 1523 cm³ and a mean attenuation of 105 HU.",
        "The liver contains a 25 mm suspected lesion in segment 6.",
        "The lesion measures 2.5 cm.",
        "In the liver, one suspected tumour is seen.",
        "F3 lies in segments VI and VII.",
        "F3 measures 25 x 18 mm.",
        "The liver was segmented. It has a volume of 1,523 mL.",
        "No suspected pancreatic lesion was detected by the model.",
        "The pancreas shows no lesion.",
        "The gallbladder cannot be assessed.",
        "The spleen is cut by the superior end of the scan, so no volume is given.",
        "The liver is larger than the left kidney.",
    ],
)
def test_free_wording_of_the_truth_passes(text: str) -> None:
    assert verify(text, ALL) == []


@pytest.mark.parametrize(
    "text",
    [
        "The volume of the liver is 1,532 mL.",
        "The volume of the liver is 1,523 mm.",
        "The volume of the liver is 160 mL and of the left kidney 1,523 mL.",
        "The short axis of the liver lesion is 25 mm.",
        "F3 measures 18 mm x 25 mm.",
        "F3 measures 24.7 mm.",
        "F9 measures 25 mm.",
        "Left kidney F3 was segmented.",
        "The left kidney lies on the right side.",
        "The right kidney was segmented.",
        "Both kidneys were segmented.",
        "Two suspected liver lesions were detected.",
        "Several suspected liver lesions were detected.",
        "Suspected liver lesions were detected.",
        "No suspected liver lesion was detected.",
        "The liver shows no lesion.",
        "There is no suspected lesion.",
        "No cyst was seen.",
        "The volume of suspected liver lesion F3 is segments 6 and 7.",
        "The gallbladder was not seen.",
        "The gallbladder was segmented.",
        "A suspected pancreatic lesion was detected.",
        "The liver is normal.",
        "The liver is not assessable.",
        "The liver and the pancreatic lesion were not seen.",
        "There is no ascites.",
        "The spleen is cut by the inferior end of the scan, so no volume is given.",
        "The liver is cut by the superior end of the scan, so no volume is given.",
        "The liver is smaller than the left kidney.",
        "The lesion lies in the right lobe of the liver.",
        "The lesion lies in the pancreas.",
        "The lesion is unchanged.",
        "The liver is about fifteen hundred mL.",
        "The liver is 1,523 mL, and 3 things are seen.",
        "The gallbladder is not assessable: the scan does not reach the gallbladder, and the liver measures 3 mL.",
        "The left kidney is not assessable: The scan does not reach the gallbladder.",
        "I cannot do that yet, but the liver is normal.",
        "This model cannot segment the moon yet.",
        "The stage is T3.",
        "There is fluid around the liver.",
        "The CT looks fine.",
        "F3 is a cyst.",
        "Likely hemangioma.",
        "The left kidney, unlike the liver, has 1,523 mL.",
        "The liver lesion is in contact with the left kidney.",
        "The number of liver lesions is 2.",
        "The patient is 54 years old.",
        "No abnormality was found.",
        "The liver is below the normal range.",
        "One of the lesions is in the spleen.",
        "The lesion is biopsy-proven.",
        "The lesion should be resected.",
    ],
)
def test_what_no_record_covers_is_refused(text: str) -> None:
    assert verify(text, ALL)


def test_change_over_time_needs_a_prior_and_a_measured_change_of_that_sign() -> None:
    grown = LESION.model_copy(update={"measurements": (measurement("long_axis_change", 20, "%", finding="F3"),)})
    assert verify("The liver lesion has grown by 20.0%.", [grown], prior=True) == []
    assert verify("The liver lesion has grown by 20.0%.", [grown])
    assert verify("The liver lesion has shrunk by 20.0%.", [grown], prior=True)
    assert verify("The liver lesion has grown.", [LESION], prior=True)


def test_a_sentence_that_points_back_to_a_dropped_one_is_dropped_with_it() -> None:
    sentences = ["The liver was segmented.", "The right kidney was segmented.", "It has a volume of 1,523 mL."]
    assert check_sentences(sentences, ALL) == (sentences[:1], sentences[1:])


def test_a_fact_of_the_ct_covers_no_structure() -> None:
    extent = (measurement("extent", 412, "mm"),)
    assert verify("The CT covers 412 mm from its lowest to its highest slice.", ALL, extra=extent) == []
    assert verify("The liver measures 412 mm.", ALL, extra=extent)


def test_no_true_sentence_is_dropped() -> None:
    told = list(true_sentences(2500, seed=11))
    assert [(one.text, problems) for one in told if (problems := verify(one.text, one.scene))] == []


def test_nearly_every_lie_is_caught() -> None:
    random_source = random.Random(12)
    told, missed = Counter[str](), Counter[str]()
    for one in true_sentences(500, seed=13):
        for lie in LIES:
            text = lie(one, random_source)
            if text is not None and text != one.text:
                told[lie.__name__] += 1
                missed[lie.__name__] += not verify(text, one.scene)
    assert told.total() >= 2000
    assert set(told) == {lie.__name__ for lie in LIES}
    assert missed.total() <= 0.005 * told.total(), missed


def test_every_measured_reply_is_among_the_true_sentences() -> None:
    of_the_ct = {"extent", "slice_count", "pixel"}
    told = {one.template for one in true_sentences(2500, seed=11)}
    assert {part for name in told if name in PARTS for part in name.split()} == set(replies.LESION_PARTS)
    assert set(replies.REPLIES) - set(replies.FIXED) - of_the_ct - told == set()
