"""Tiny models and their tokenizer: the same every time, and read by transformers like any other."""

from __future__ import annotations

import pytest

from assistant.language.llms import LLMS
from assistant.language.llms.embedded import SPECIAL_TOKENS, train_tokenizer
from assistant.language.llms.tiny import save_tiny, tiny_llm, tiny_tokenizer

ROWS = pytest.mark.parametrize("row", LLMS, ids=lambda row: row.name)


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


@ROWS
def test_saved_tiny_model_reads_back_with_the_same_logits(row, tmp_path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = save_tiny(tmp_path / "llm", row.architecture)
    ids = torch.tensor([[3, 70, 80, 1, 4]])
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, tiny_llm(row.architecture, vocab=len(tokenizer))(ids).logits)
    assert (tokenizer.is_fast, tokenizer.pad_token_id, tokenizer.eos_token_id) == (True, 0, 1)


def test_seed_decides_the_weights_and_leaves_the_random_numbers_of_torch_alone() -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = tiny_llm(seed=1), tiny_llm(seed=1), tiny_llm(seed=2)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first.lm_head.weight, again.lm_head.weight)
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_special_tokens_are_one_token_each_in_their_order(tokenizer) -> None:
    assert tokenizer.encode("".join(SPECIAL_TOKENS)) == list(range(len(SPECIAL_TOKENS)))


@pytest.mark.parametrize("text", ["Leber, niere: 12,5 cm³", "肝臓 👍", "a\n\tb  c", "10.25"])
def test_every_text_comes_back_from_its_tokens(tokenizer, text) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_digits_are_tokens_of_their_own(tokenizer) -> None:
    assert len(tokenizer.encode("314")) == 3


def test_template_writes_tools_calls_answers_and_the_next_turn(tokenizer) -> None:
    call = {"name": "measure", "arguments": {"structures": ["liver"]}}
    messages = [
        {"role": "system", "content": "Plan."},
        {"role": "user", "content": "How large?"},
        {"role": "assistant", "tool_calls": [call, {"function": {"name": "help", "arguments": {}}}]},
        {"role": "tool", "content": "{}"},
    ]
    text = tokenizer.apply_chat_template(messages, tools=[call], tokenize=False, add_generation_prompt=True)
    assert text == (
        '<|system|>Plan.\n[{"name":"measure","arguments":{"structures":["liver"]}}]<|end|><|user|>How large?<|end|>'
        '<|assistant|><tool_call>[{"name":"measure","arguments":{"structures":["liver"]}},'
        '{"name":"help","arguments":{}}]</tool_call><|end|><|tool|>{}<|end|><|assistant|>'
    )


def test_template_puts_tools_first_where_there_is_no_system_message(tokenizer) -> None:
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tools=[{"name": "help"}], tokenize=False)
    assert text == '<|system|>[{"name":"help"}]<|end|><|user|>Hi<|end|>'


def test_template_marks_what_the_assistant_wrote(tokenizer) -> None:
    messages = [{"role": "user", "content": "Show it"}, {"role": "assistant", "content": "Here <|mask|>"}]
    told = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    written = [token for token, own in zip(told["input_ids"], told["assistant_masks"], strict=True) if own]
    assert tokenizer.decode(written) == "Here <|mask|><|end|>"


def test_keys_and_names_of_a_plan_are_tokens_and_digits_are_not_merged() -> None:
    text = '[{"name":"segment","arguments":{"structures":["liver","kidney_left"],"min_mm":10}}]'
    tokenizer = train_tokenizer([text] * 3, vocab=600)
    assert tokenizer.tokenize(text) == [
        *("[", '{"name":"segment","arguments":{', '"structures":[', '"liver"', ",", '"kidney_left"', "]"),
        *(",", '"min_mm":', "1", "0", "}}]"),
    ]
    for odd in (text, "Ça va? {F12.volume} isn't\n\n 'x' \"y\" 3.5 mm 肝"):
        assert tokenizer.decode(tokenizer.encode(odd)) == odd
