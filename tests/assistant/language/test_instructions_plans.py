"""Requests and their plans."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from assistant.language.grammar.text import can_write
from assistant.language.instructions import plan_row, split_of
from assistant.language.instructions.agreement import indefinite
from assistant.language.instructions.lesions import chosen_lesions, lesion_within, lesions_in
from assistant.language.instructions.naming import all_units, called, names_of, sided
from assistant.language.instructions.noise import slipped, spelled, with_slips
from assistant.language.instructions.organs import all_but, overlap, segments_together
from assistant.language.instructions.plans import call, merged
from assistant.language.instructions.requests import core_of, draw_request
from assistant.language.instructions.templates import Template, groups_of
from assistant.language.instructions.turns import before, draw_follow, fits, follow
from assistant.language.rules import RulePlanner
from assistant.plan import SKILL_NAMES, Memory, SkillCall
from vision.structures import GROUPS, STRUCTURES, by_name, plain_words

SINGLE = (*SKILL_NAMES, "several")


def templates_of(table: str) -> list[Template]:
    return [template for group in groups_of(table) for frame in group.frames for template in frame]


@pytest.mark.parametrize("table", [*SINGLE, "follow"])
def test_every_template_has_an_id_of_its_own_and_about_an_eighth_are_held_out(table: str) -> None:
    templates = {template.id: template for template in templates_of(table)}
    assert all(name.startswith(f"{table}.") and split_of(name) == t.split for name, t in templates.items())
    share = Counter(template.split for template in templates.values())["held_out"] / len(templates)
    assert 0.06 < share < 0.2


@pytest.mark.parametrize("table", SINGLE)
def test_every_template_gives_words_and_a_plan_that_the_grammar_can_write(table: str) -> None:
    rng = Random(1)
    for group in groups_of(table):
        for frame in group.frames:
            core = core_of(rng, group, frame[0])
            assert core.text.strip()
            assert "{" not in core.text
            assert core.calls
            assert all(can_write(item) for item in core.calls)


def test_every_skill_has_its_templates() -> None:
    assert all(len(templates_of(skill)) > 60 for skill in SKILL_NAMES)


def test_rows_are_the_same_for_the_same_seed_and_number() -> None:
    assert [plan_row(n, 3) for n in range(20)] == [plan_row(n, 3) for n in range(20)]
    assert plan_row(5, 3) != plan_row(5, 4)


def test_no_training_row_uses_a_held_out_template_and_no_held_out_row_another() -> None:
    for number in range(600):
        row = plan_row(number, 11)
        assert {split_of(template) for template in row["template"].split("+")} == {row["split"]}


def test_all_plans_of_rows_can_be_written_and_name_structures_of_the_table() -> None:
    known = {row.name for row in STRUCTURES}
    for number in range(400):
        for message in plan_row(number, 12)["messages"]:
            assert message["role"] != "user" or message["content"].strip()
            for item in message.get("tool_calls", ()):
                assert can_write(SkillCall(**item))
                assert set(item["arguments"].get("structures", ())) <= known


def test_follow_ups_carry_what_was_asked_before() -> None:
    back = before([SkillCall(name="segment", arguments={"structures": ["kidney_left"]})], plural=False)
    seen = set()
    for number in range(150):
        rng = Random(number)
        group, template = draw_follow(rng, "train", back, when="later")
        _, calls, _ = follow(rng, group, template, back)
        options = group.options
        if options.get("about") == "other":
            assert calls[0].arguments["structures"] == ["kidney_right"]
        elif options.get("about") == "new":
            assert calls[0].name == "segment"
            assert calls[0].arguments["structures"] != ["kidney_left"]
        elif calls[0].arguments.get("with_") == "other_side":
            assert calls[0].arguments["structures"] == list(GROUPS["kidneys"])
        elif options.get("about") != "none":
            assert calls[0].arguments["structures"] == ["kidney_left"]
            assert calls[0].arguments["finding"] == "previous"
        seen.add(group.name)
    assert len(seen) > 8


def test_what_is_for_lesions_follows_lesions_only() -> None:
    organ = before([SkillCall(name="segment", arguments={"structures": ["liver"]})], plural=False)
    lesion = before([SkillCall(name="detect", arguments={"structures": ["liver_lesion"]})], plural=True)
    count = next(group for group in groups_of("follow") if group.name == "follow.count")
    assert fits(count, lesion, when="later")
    assert not fits(count, organ, when="later")


def test_every_structure_can_be_named_and_the_names_are_its_own() -> None:
    rng = Random(2)
    for name in all_units():
        for _ in range(6):
            assert called(rng, name).structures == (name,)
    assert all(
        called(rng, group).structures == members for group, members in GROUPS.items() if group not in LESION_GROUPS
    )


LESION_GROUPS = ("lesions", "tumors", "cysts")


def test_most_structures_of_the_atlas_are_described_without_their_name() -> None:
    described = [row.name for row in STRUCTURES if row.label and row.label <= 25 and row.pair is None]
    assert all(names_of(name).described for name in described)
    for name in described:
        words = {
            plain_words(str(part)) for pattern in names_of(name).described for part in pattern if isinstance(part, str)
        }
        assert not any(plain_words(by_name(name).spoken) in text for text in words if name != "colon")


def test_a_sided_name_says_its_side_and_no_other() -> None:
    rng = Random(3)
    for _ in range(200):
        for side, other in (("left", "right"), ("right", "left")):
            spoken = sided(rng, "kidneys", side)
            assert spoken.structures == (f"kidney_{side}",)
            assert other not in spoken.bare


def test_what_is_left_out_of_a_system_is_not_in_its_plan() -> None:
    rng = Random(4)
    for _ in range(60):
        spoken = all_but(rng)
        assert 0 < len(spoken.structures) < 25


def test_a_range_of_segments_holds_those_between() -> None:
    rng = Random(5)
    made = [segments_together(rng) for _ in range(80)]
    ranged = [spoken for spoken in made if " to " in spoken.bare and any(c.isdigit() for c in spoken.bare)]
    first = ranged[0]
    numbers = [int(word) for word in first.bare.replace(",", " ").split() if word.isdigit()]
    assert first.structures == tuple(f"liver_segment_{n}" for n in range(numbers[0], numbers[1] + 1))


def test_lengths_in_centimetres_are_millimetres_in_the_plan() -> None:
    rng = Random(6)
    for _ in range(400):
        chosen = chosen_lesions(rng)
        for key in ("min_mm", "max_mm"):
            if (
                key in chosen.arguments
                and " cm" in chosen.spoken.bare
                and "2 cm" in chosen.spoken.bare.split("than ")[-1:]
            ):
                assert chosen.arguments[key] == 20.0


def test_lesions_within_a_part_name_the_lesion_and_the_part() -> None:
    rng = Random(7)
    for _ in range(100):
        spoken = lesion_within(rng)
        parents = {by_name(name).parent for name in spoken.within} | set(spoken.within)
        assert set(by_name(spoken.structures[0]).lesion_of) & parents


def test_the_lesions_of_an_organ_are_those_that_are_searched_for() -> None:
    assert lesions_in(("liver",)) == ("liver_lesion", "liver_cyst")
    assert lesions_in(("spleen",)) == ("spleen_lesion",)
    assert lesions_in(("aorta",)) == ()


def test_organs_overlap_with_their_parts_and_groups() -> None:
    assert overlap(("pancreas",), ("pancreas_tail",))
    assert not overlap(("liver",), ("spleen",))


def test_a_slip_never_makes_another_name_or_another_side() -> None:
    rng = Random(8)
    names = {word for row in STRUCTURES for form in (row.spoken, *row.synonyms) for word in plain_words(form).split()}
    for word in ("liver", "ileum", "ilium", "left", "right", "colon", "renal", "kidneys"):
        made = {slipped(word, rng) for _ in range(300)} - {word}
        assert not {m.lower() for m in made} & names
    assert slipped("left", rng) == "left"


def test_what_is_protected_keeps_its_letters() -> None:
    rng = Random(9)
    assert all(
        "\x01flux capacitor\x02" in with_slips("segment the \x01flux capacitor\x02 please", rng) for _ in range(80)
    )


def test_a_text_is_spelled_one_way() -> None:
    made = {spelled("a tumor of the esophagus, oesophageal tumour", Random(n)) for n in range(60)}
    assert "a tumor of the esophagus, esophageal tumor" in made
    assert "a tumour of the oesophagus, oesophageal tumour" in made


def test_neighbouring_calls_that_differ_in_structures_become_one() -> None:
    liver, spleen = (call("segment", {"structures": [name]}) for name in ("liver", "spleen"))
    assert merged([liver, spleen]) == (call("segment", {"structures": ["liver", "spleen"]}),)
    assert len(merged([liver, call("measure", {"structures": ["liver"], "quantities": ["volume"]})])) == 2


def test_an_article_fits_the_noun() -> None:
    rng = Random(10)
    liver, ascites = called(rng, "liver", described=0.0, adjective=0.0), called(rng, "ascites", described=0.0)
    assert not indefinite(rng, ascites).startswith(("a ascites", "an ascites"))
    assert indefinite(Random(3), liver)


def test_the_rule_planner_agrees_with_most_plain_requests() -> None:
    """The two are written apart: where most agree, neither is all wrong."""
    planner, agreed, asked = RulePlanner(), 0, 0
    for number in range(150):
        request = draw_request(Random(number), "train")
        if request.skill in ("segment", "measure"):
            names = {n for c in planner.plan(request.text, Memory()) for n in c.arguments.get("structures", ())}
            agreed += names == {n for c in request.calls for n in c.arguments.get("structures", ())}
            asked += 1
    assert asked > 30
    assert agreed / asked > 0.6
