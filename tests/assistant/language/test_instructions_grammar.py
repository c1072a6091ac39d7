"""The patterns that compose phrasings."""

from __future__ import annotations

from random import Random

import pytest

from assistant.language.instructions.grammar import MOST_VARIANTS, expanded, listed, parse, render, slots_of, tidy
from assistant.language.instructions.templates import mood_of


def texts(pattern: str, **bound: str) -> set[str]:
    rng = Random(0)
    return {render(parse(pattern), rng, bound) for _ in range(60)}


def test_a_choice_gives_each_of_its_options_and_brackets_give_or_leave_out() -> None:
    assert texts("(big|large) [red ]cat") == {"big cat", "large cat", "big red cat", "large red cat"}


def test_choices_stand_inside_choices() -> None:
    assert texts("a (b|(c|d) e)") == {"a b", "a c e", "a d e"}


def test_a_bound_slot_comes_before_the_phrase_of_its_name() -> None:
    assert texts("see {ct}", ct="this") == {"see this"}
    assert "see CT" in texts("see {ct}")


def test_a_backslash_takes_the_meaning_from_a_bracket() -> None:
    assert texts(r"kidney \(left\)") == {"kidney (left)"}


def test_slots_are_found_inside_choices() -> None:
    assert slots_of(parse("(a {x}|b [{y}]) {z}")) == {"x", "y", "z"}


@pytest.mark.parametrize("pattern", ["(a", "a)", "[a", "(a|b]"])
def test_brackets_that_do_not_match_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"brackets do not match|is not closed"):
        parse(pattern)


def test_a_bar_outside_brackets_is_refused() -> None:
    with pytest.raises(ValueError, match="outside brackets"):
        parse("a | b")


def test_a_frame_expands_to_its_lists_or_to_its_choices_up_to_a_limit() -> None:
    assert "outline {X}" in expanded("<segment_strong2> {X}")
    assert expanded("(a|b) (c|d)") == ("a c", "a d", "b c", "b d")
    many = "(a|b|c|d|e) (a|b|c|d|e)"
    assert len(expanded(many)) == 5 <= MOST_VARIANTS
    assert expanded("size ({F.volume})") == ("size ({F.volume})",)


def test_tidy_leaves_single_blanks_and_none_before_marks() -> None:
    assert tidy("  the  liver , please ") == "the liver, please"


def test_entries_of_a_list_are_parted_by_semicolons_and_lines() -> None:
    assert listed("a ; b\nc") == (("a",), ("b",), ("c",))


def test_the_first_word_of_a_frame_decides_its_mood() -> None:
    assert mood_of("{measure_verb} the volume of {X}", "ask") == "do"
    assert mood_of("{is} {X} enlarged", "do") == "ask"
    assert mood_of("I need {X}", "do") == "say"
    assert mood_of("{x} volume", "fragment") == "fragment"
    assert mood_of("jailbreak now", "bare") == "bare"
