"""Decoding under the grammar: whatever a model likes, what it writes is a plan, and within the limit."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from assistant.language.grammar import Constraint, call_texts, parse_calls, plan_text
from assistant.language.grammar.constraint import CLOSING, scores_allowed
from assistant.language.grammar.greedy import write_plan
from assistant.language.llms.table import LLMS, ToolFormat
from assistant.language.llms.tiny import tiny_llm
from assistant.language.rules import RulePlanner
from assistant.plan import Memory, SkillCall
from tests.assistant.language.planning import EMBEDDED_FORM, FORMS, ScriptedLM, tokenizer
from tests.assistant.small_scenes import call
from tests.injection import open_values
from vision.errors import UsageError, WeightsError
from vision.structures import GROUPS

CALLS = [
    [call("segment", "liver")],
    [call("segment", *GROUPS["everything"])],
    [call("measure", "liver_lesion", quantities=["long_axis"], min_mm=10.0, max_mm=20.5, select="largest", limit=12)],
    [call("detect", "pancreas_lesion", within=["pancreas_tail"]), call("export", formats=["nifti"])],
    [call("compare", with_="prior"), call("answer", asked="open"), call("report", template="short")],
    [SkillCall(name="help")] * 6,
    [
        call("refuse", reason="contradictory", near=["liver", "kidney_left"]),
        call("correct", change="undo", finding="F12"),
    ],
]


def random_plan(constraint: Constraint, *, seed: int, limit: int) -> list[int]:
    """The tokens of a model that likes every token equally."""
    chance = np.random.default_rng(seed)
    plan, tokens = constraint.start(limit=limit), []
    while not plan.done:
        tokens.append(int(chance.choice(np.flatnonzero(plan.allowed()))))
        plan.take(tokens[-1])
    return tokens


@pytest.mark.parametrize("form", FORMS)
def test_whatever_is_written_at_random_is_a_plan_within_the_limit(form: str) -> None:
    constraint = Constraint(tokenizer(), FORMS[form])
    skills: set[str] = set()
    for seed in range(40):
        tokens = random_plan(constraint, seed=seed, limit=CLOSING + 40)
        calls = constraint.read(tokens)
        assert len(tokens) <= CLOSING + 40
        assert calls
        assert open_values(calls) == []
        skills |= {one.name for one in calls}
    assert len(skills) > 4


@pytest.mark.parametrize(("seed", "form"), list(enumerate(FORMS)))
def test_random_models_write_plans(seed: int, form: str) -> None:
    constraint = Constraint(tokenizer(), FORMS[form])
    lm = tiny_llm(vocab=len(tokenizer()), seed=seed)
    tokens = write_plan(lm, [3, 40, 50, 5], constraint.start(limit=CLOSING + 20)).tokens
    assert len(tokens) <= CLOSING + 20
    assert constraint.read(tokens)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("calls", CALLS, ids=plan_text)
def test_every_plan_of_the_grammar_can_be_written(form: str, calls: list[SkillCall]) -> None:
    constraint = Constraint(tokenizer(), FORMS[form])
    text = call_texts(calls, FORMS[form])
    plan = constraint.start(limit=4000)
    tokens = write_plan(ScriptedLM(text), [0], plan).tokens  # type: ignore[arg-type]
    assert constraint.read(tokens) == calls
    assert parse_calls(text, FORMS[form]) == calls
    assert not plan.cut


@pytest.mark.parametrize("question", ["Segment everything and measure it.", "How large are the tumours over 2 cm?"])
def test_plans_of_the_rules_can_be_written(question: str) -> None:
    constraint = Constraint(tokenizer(), EMBEDDED_FORM)
    calls = RulePlanner().plan(question, Memory())
    tokens = write_plan(ScriptedLM(call_texts(calls, EMBEDDED_FORM)), [0], constraint.start()).tokens  # type: ignore[arg-type]
    assert plan_text(constraint.read(tokens)) == plan_text(calls)


def test_a_model_that_never_ends_is_brought_to_an_end_and_that_is_told() -> None:
    constraint = Constraint(tokenizer(), EMBEDDED_FORM)
    endless = '<tool_call>[{"name":"segment","arguments":{"structures":[' + ",".join(['"liver"'] * 500)
    plan = constraint.start(limit=CLOSING + 60)
    tokens = write_plan(ScriptedLM(endless), [0], plan).tokens  # type: ignore[arg-type]
    assert plan.cut
    assert len(tokens) < CLOSING + 60
    assert constraint.read(tokens) == [call("segment", "liver")]


def test_the_token_of_a_tool_call_is_written_and_not_its_letters() -> None:
    plan = Constraint(tokenizer(), EMBEDDED_FORM).start()
    assert [tokenizer().convert_ids_to_tokens(int(token)) for token in np.flatnonzero(plan.allowed())] == [
        "<tool_call>"
    ]


def test_other_words_than_the_plan_are_never_allowed() -> None:
    constraint = Constraint(tokenizer(), EMBEDDED_FORM)
    told = "The system prompt says: <|system|> you plan"
    calls = constraint.read(write_plan(ScriptedLM(told), [0], constraint.start()).tokens)  # type: ignore[arg-type]
    assert calls
    assert open_values(calls) == []


def test_a_model_that_knows_no_numbers_still_writes_a_plan() -> None:
    lm = tiny_llm(vocab=len(tokenizer()))
    with torch.no_grad():
        lm.get_output_embeddings().weight.fill_(float("nan"))
    constraint = Constraint(tokenizer(), EMBEDDED_FORM)
    written = write_plan(lm, [3, 5], constraint.start(limit=CLOSING + 10))
    assert constraint.read(written.tokens)
    assert written.chance == 0


def test_generate_writes_what_the_plain_loop_writes_in_batches_too() -> None:
    lm = tiny_llm(vocab=len(tokenizer()), seed=2)
    constraint = Constraint(tokenizer(), EMBEDDED_FORM)
    prompts = torch.tensor([[3, 40, 50, 5], [3, 60, 70, 5]])
    alone = [list(write_plan(lm, row.tolist(), constraint.start(limit=CLOSING + 20)).tokens) for row in prompts]
    written = lm.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        logits_processor=[constraint.processor(limit=CLOSING + 20)],
        max_new_tokens=CLOSING + 20,
        do_sample=False,
    )
    for row, expected in zip(written[:, prompts.shape[1] :].tolist(), alone, strict=True):
        assert row[: len(expected)] == expected
        assert set(row[len(expected) :]) <= {tokenizer().pad_token_id}


def test_tokens_that_no_tokenizer_has_are_never_allowed() -> None:
    plan = Constraint(tokenizer(), EMBEDDED_FORM).start()
    wide = scores_allowed(plan, torch.zeros(len(tokenizer()) + 64))
    assert torch.isneginf(wide[len(tokenizer()) :]).all()
    assert (wide == 0).sum() == 1


def test_a_token_out_of_place_is_refused() -> None:
    plan = Constraint(tokenizer(), EMBEDDED_FORM).start()
    with pytest.raises(ValueError, match="may not come next"):
        plan.take(40)


def test_an_end_of_turn_of_the_model_itself_counts() -> None:
    other = tokenizer().convert_tokens_to_ids("<|user|>")
    constraint = Constraint(tokenizer(), ToolFormat("", "; ", ""), ends=[other])
    text = call_texts([SkillCall(name="help")], constraint.tool_format)
    tokens = write_plan(ScriptedLM(text, end=other), [0], constraint.start()).tokens  # type: ignore[arg-type]
    assert tokens[-1] == other
    assert constraint.read(tokens) == [SkillCall(name="help")]


def test_a_tokenizer_without_tokenizer_json_is_refused() -> None:
    from transformers import PreTrainedTokenizer

    class Slow(PreTrainedTokenizer):
        def __init__(self) -> None:
            super().__init__(eos_token="</s>")

        @property
        def vocab_size(self) -> int:
            return 0

        def get_vocab(self) -> dict[str, int]:
            return {}

    with pytest.raises(WeightsError, match="not of the tokenizers library"):
        Constraint(Slow(), LLMS[0].tool_format)  # type: ignore[arg-type]


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="needs llguidance"):
        Constraint(tokenizer(), EMBEDDED_FORM)
