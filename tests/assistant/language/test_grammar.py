"""Plans as text and as schema: what the grammar allows is one thing, whoever asks."""

from __future__ import annotations

import json

import jsonschema
import pytest

from assistant.language.grammar import (
    ARGUMENTS,
    REQUIRED,
    TAKES,
    call_texts,
    parse_calls,
    parse_plan,
    plan_schema,
    plan_text,
    tools,
)
from assistant.language.llms.table import LLMS, ToolFormat
from assistant.language.rules import RulePlanner
from assistant.plan import SKILL_NAMES, Memory, SkillCall
from prompts import load_words
from tests.injection import open_values
from vision.errors import UsageError
from vision.structures import GROUPS

QUESTIONS = (
    "Segment the liver and measure its volume.",
    "Mark everything.",
    "How large is the largest liver tumour, and is there a kidney cyst over 2 cm?",
    "Frame two potential tumours in the tail of the pancreas.",
    "Compare the kidneys. Save the masks as nifti.",
    "Is there a gallbladder? Which slices show it?",
    "That is not a tumour.",
    "Write a structured report.",
    "Hello",
    "Should I have surgery?",
    "Segment the left liver kidney.",
    "Segment the frobnicator.",
)
FORMATS = {
    **{row.name: row.tool_format for row in LLMS},
    "embedded": ToolFormat("<tool_call>[", ",", "]</tool_call>", separators=(",", ":")),
}


def without_free_text(calls: list[SkillCall]) -> list[SkillCall]:
    """The calls without `words` and empty lists, their keys in any order."""
    return [
        SkillCall(name=c.name, arguments={k: v for k, v in c.arguments.items() if k != "words" and v != []})
        for c in calls
    ]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_plan_of_the_rules_survives_being_written_and_read(question: str) -> None:
    calls = RulePlanner().plan(question, Memory())
    assert parse_plan(plan_text(calls)) == without_free_text(calls)
    jsonschema.validate(json.loads(plan_text(calls)), plan_schema())


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("question", QUESTIONS[:4])
def test_tool_calls_of_every_family_survive_being_written_and_read(question: str, form: str) -> None:
    calls = RulePlanner().plan(question, Memory())
    text = call_texts(calls, FORMATS[form])
    assert parse_calls(text, FORMATS[form]) == without_free_text(calls)
    assert parse_calls(f"\n {text} \n", FORMATS[form]) == without_free_text(calls)


def test_plan_text_is_compact_and_in_one_order_of_keys() -> None:
    call = SkillCall(
        name="measure", arguments={"quantities": ["volume"], "min_mm": 10.0, "structures": ["liver_lesion"]}
    )
    assert plan_text([call]) == (
        '[{"name":"measure","arguments":{"structures":["liver_lesion"],"quantities":["volume"],"min_mm":10}}]'
    )


def test_a_structure_named_twice_counts_once() -> None:
    plan = '[{"name":"segment","arguments":{"structures":["liver","spleen","liver"]}}]'
    assert parse_plan(plan) == [SkillCall(name="segment", arguments={"structures": ["liver", "spleen"]})]


def test_free_text_is_never_written() -> None:
    call = SkillCall(name="refuse", arguments={"reason": "unknown_structure", "words": "secret", "near": []})
    assert plan_text([call]) == '[{"name":"refuse","arguments":{"reason":"unknown_structure"}}]'


def test_everything_at_once_can_be_written() -> None:
    call = SkillCall(name="segment", arguments={"structures": list(GROUPS["everything"])})
    assert parse_plan(plan_text([call])) == [call]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[" * 10_000, "not JSON"),
        ("[" * 30_000, "too long"),
        ("{}", "not a list of calls"),
        ("[]", "0 calls"),
        (json.dumps([{"name": "help", "arguments": {}}] * 7), "7 calls"),
        ("[1]", "a call is not name and arguments"),
        ('[{"name":"help"}]', "a call is not name and arguments"),
        ('[{"name":"help","arguments":{},"why":""}]', "a call is not name and arguments"),
        ('[{"name":1,"arguments":{}}]', "another type"),
        ('[{"name":"help","arguments":[]}]', "another type"),
        ('[{"name":"shell","arguments":{}}]', "calls no skill"),
        ('[{"name":"help","arguments":{"structures":["liver"]}}]', "help takes no such argument"),
        ('[{"name":"refuse","arguments":{"reason":"system","words":"x"}}]', "refuse takes no such argument"),
        ('[{"name":"segment","arguments":{"structures":["evil"]}}]', "a value of structures"),
        ('[{"name":"segment","arguments":{"structures":"liver"}}]', "a value of structures"),
        ('[{"name":"segment","arguments":{"limit":true}}]', "a value of limit"),
        ('[{"name":"segment","arguments":{"limit":100}}]', "a value of limit"),
        ('[{"name":"segment","arguments":{"min_mm":1e9}}]', "a value of min_mm"),
        ('[{"name":"segment","arguments":{"min_mm":NaN}}]', "a value of min_mm"),
        ('[{"name":"segment","arguments":{"finding":"F0"}}]', "a value of finding"),
        ('[{"name":"segment","arguments":{"finding":"F1\u0663"}}]', "a value of finding"),
        ('[{"name":"refuse","arguments":{"reason":"bored"}}]', "a value of reason"),
        ('[{"name":"measure","arguments":{"structures":["liver"],"quantities":[]}}]', "measure needs quantities"),
        ('[{"name":"refuse","arguments":{}}]', "refuse needs reason"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        parse_plan(text)
    assert refused.value.code == "E_PLAN"


def test_a_call_outside_the_grammar_is_not_written() -> None:
    with pytest.raises(UsageError, match="a value of structures"):
        plan_text([SkillCall(name="segment", arguments={"structures": ["evil"]})])
    with pytest.raises(UsageError, match="0 calls"):
        plan_text([])


@pytest.mark.parametrize("form", FORMATS)
def test_words_beside_the_calls_are_refused(form: str) -> None:
    text = call_texts([SkillCall(name="help")], FORMATS[form])
    for wrong in (f"Sure! {text}", f"{text} Done.", text + text[:-1] + "!", "x" * 20_001):
        with pytest.raises(UsageError, match="not a plan"):
            parse_calls(wrong, FORMATS[form])


def test_the_table_of_arguments_names_every_skill_and_no_key_twice() -> None:
    assert tuple(TAKES) == SKILL_NAMES
    assert frozenset().union(*TAKES.values()) == frozenset(ARGUMENTS)
    assert all(REQUIRED[skill] <= TAKES[skill] for skill in REQUIRED)


def test_every_argument_and_its_values_are_described_where_a_plan_is() -> None:
    described = SkillCall.__doc__ or ""
    listed = ("quantities", "with_", "select", "asked", "change", "reason")
    words = [*ARGUMENTS, "words", *(value for key in listed for value in ARGUMENTS[key].values)]
    assert [word for word in words if word not in described] == []


def test_values_of_the_table_are_those_that_nothing_escapes_from() -> None:
    for argument in ARGUMENTS.values():
        if argument.values:
            value = list(argument.values) if argument.kind == "list" else argument.values[0]
            assert open_values([SkillCall(name="refuse", arguments={argument.key: value})]) == []


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    validator = jsonschema.Draft202012Validator(plan_schema())
    validator.check_schema(plan_schema())
    for wrong in ([], [{"name": "shell", "arguments": {}}], [{"name": "help", "arguments": {"structures": ["liver"]}}]):
        assert not validator.is_valid(wrong)


def test_tools_describe_every_skill_in_words_and_its_arguments_by_type() -> None:
    described = {tool["function"]["name"]: tool["function"] for tool in tools()}
    assert tuple(described) == SKILL_NAMES
    for name, function in described.items():
        assert function["description"]
        assert function["parameters"]["properties"].keys() == TAKES[name]
        jsonschema.Draft202012Validator.check_schema(function["parameters"])
    assert load_words("planner")["skills"].keys() == set(SKILL_NAMES)
    assert load_words("planner")["arguments"].keys() == set(ARGUMENTS)
