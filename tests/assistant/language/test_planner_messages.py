"""What a language model is told before it plans."""

from __future__ import annotations

from assistant.conversation import Conversation
from assistant.language.messages import plan_messages, told_messages
from assistant.plan import Memory, SkillCall, memory_after
from tests.assistant.small_scenes import about_boxes, call
from vision.structures import names


def test_the_question_stands_alone_in_the_turn_of_the_user() -> None:
    for messages in (plan_messages("show\u200b the liver. ", Memory()), told_messages("show the liver.", Memory())):
        assert [message["role"] for message in messages] == ["system", "user"]
        assert messages[1]["content"] == "show the liver."
        assert "show the liver" not in messages[0]["content"]


def test_a_taught_model_reads_no_capitals() -> None:
    assert plan_messages("SHOW the Liver.", Memory())[1]["content"] == "show the liver."
    assert told_messages("SHOW the Liver.", Memory())[1]["content"] == "SHOW the Liver."


def test_a_model_that_was_never_taught_is_told_every_structure() -> None:
    system = told_messages("Show the liver.", Memory())[0]["content"]
    assert ", ".join(names()) in system
    assert "{" not in system


def test_the_calls_of_the_turn_before_are_told_as_the_plan_they_were() -> None:
    memory = Memory(last_calls=(call("segment", "spleen"),), last_structures=("spleen",))
    for messages in (plan_messages("And its volume?", memory), told_messages("And its volume?", memory)):
        assert messages[0]["content"].endswith('[{"name":"segment","arguments":{"structures":["spleen"]}}]')


def test_what_the_grammar_cannot_write_is_not_told() -> None:
    wide = call("detect", "liver_lesion", min_mm=50_000.0)
    assert plan_messages("Show it.", Memory(last_calls=(wide,))) == plan_messages("Show it.", Memory())
    many = tuple(call("segment", name) for name in names()[:9])
    assert names()[8] in plan_messages("Show it.", Memory(last_calls=many))[0]["content"]


def test_memory_after_a_turn_is_that_of_a_conversation() -> None:
    calls = [call("segment", "liver", "spleen"), call("measure", "liver", quantities=["volume"])]
    conversation: Conversation = about_boxes(*calls)
    conversation.ask("both")
    memory = memory_after(calls, Memory())
    assert memory.last_structures == ("liver", "spleen")
    assert memory == conversation._memory
    assert memory_after([SkillCall(name="help")], memory) == memory
