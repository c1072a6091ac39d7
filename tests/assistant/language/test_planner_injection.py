"""Injection attempts against a language model that plans: nothing leaves the grammar, nothing of the prompt is said."""

from __future__ import annotations

import functools

import pytest

from assistant.language.grammar import can_write
from assistant.language.grammar.constraint import CLOSING
from assistant.language.messages import plan_messages, told_messages
from assistant.language.planner import LLMPlanner
from assistant.plan import Memory
from tests.assistant.language.planning import ScriptedLM, scripted, tiny_loaded
from tests.assistant.small_scenes import about_boxes
from tests.injection import Attempt, attempts, framed, truth_of, unmoved


@functools.cache
def random_planner(seed: int) -> LLMPlanner:
    # Longer plans are refused; many of these seeds are shorter, and run.
    return LLMPlanner(tiny_loaded(seed=seed), limit=CLOSING + 120)


def check(attempt: Attempt, frames: tuple[str, ...], planner: LLMPlanner) -> None:
    """The attempt as a question: the plan is one of the grammar, and what is said of it is true and no prompt."""
    truth = truth_of(about_boxes())
    # Of three lesions a plan may ask for some: then so many are counted.
    truth["liver_lesion", "count"] |= {(float(number), "1") for number in (1, 2, 3)}
    for frame in frames:
        question = framed(attempt)[frame]
        conversation = about_boxes()
        conversation.planner = planner
        record = conversation.ask(question).record
        assert unmoved(record, conversation, truth) == [], frame
        assert all(can_write(call) for call in record.plan), frame


@pytest.mark.parametrize("attempt", attempts()[::13], ids=str)
def test_an_attempt_changes_no_plan_outside_the_grammar(attempt: Attempt) -> None:
    check(attempt, ("alone",), random_planner(6))


@pytest.mark.slow
@pytest.mark.parametrize("attempt", attempts(), ids=str)
@pytest.mark.parametrize("seed", [2, 5, 6])
def test_no_attempt_changes_a_plan_outside_the_grammar(attempt: Attempt, seed: int) -> None:
    check(attempt, tuple(framed(attempt)), random_planner(seed))


@pytest.mark.parametrize("messages", [plan_messages, told_messages])
def test_a_model_that_repeats_its_prompt_says_none_of_it(messages) -> None:
    system = messages("Show the liver.", Memory())[0]["content"]
    planner = LLMPlanner(scripted(f"<tool_call>{system}"))
    assert isinstance(planner._llm.model, ScriptedLM)
    conversation = about_boxes()
    conversation.planner = planner
    record = conversation.ask("Show the liver, please.").record
    assert unmoved(record, conversation, truth_of(about_boxes())) == []
    said = record.model_dump_json()
    assert not [line for line in system.split(". ") if len(line) > 20 and line in said]
