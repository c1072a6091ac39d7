"""Language models for tests of planning: one that writes what it is told, and tiny random ones."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import torch
from transformers import PreTrainedTokenizerFast

from assistant.language.llms.load import LoadedLLM
from assistant.language.llms.table import LLMS, LLMRow, ToolFormat
from assistant.language.llms.tiny import tiny_llm, tiny_tokenizer

EMBEDDED_FORM = ToolFormat("<tool_call>[", ",", "]</tool_call>", separators=(",", ":"))
"""As the chat template of the tiny tokenizer and of the embedded model writes calls."""

FORMS = {"embedded": EMBEDDED_FORM, **{row.name: row.tool_format for row in LLMS}}


@functools.cache
def tokenizer() -> PreTrainedTokenizerFast:
    return tiny_tokenizer()


def tiny_loaded(row: LLMRow = LLMS[0], *, seed: int = 0) -> LoadedLLM:
    """A tiny random model of a family."""
    model = tiny_llm(row.architecture, vocab=len(tokenizer()), seed=seed)
    return LoadedLLM(model=model, tokenizer=tokenizer(), row=row, name=f"tiny {row.name}")


class ScriptedLM:
    """Likes best, at every step, the token that writes the next piece of a text; keeps the prompt that it was given.

    Called as transformers' causal models are. Where the text ends it likes the token that ends a turn. `liking` is the
    logit of what it likes, that of all else is 0.
    """

    def __init__(self, text: str, *, window: int = 32_768, end: int = 1, liking: float = 30.0) -> None:
        self.ids = [*tokenizer().encode(text, add_special_tokens=False), end]
        self.device = torch.device("cpu")
        self.config = SimpleNamespace(max_position_embeddings=window)
        self.generation_config = SimpleNamespace(eos_token_id=end)
        self.prompt: list[int] = []
        self.liking = liking

    def __call__(self, *, input_ids: torch.Tensor, cache: int | None, use_cache: bool, logits_to_keep: int):
        if cache is None:
            self.prompt = input_ids[0].tolist()
        step = 0 if cache is None else cache
        logits = torch.zeros(1, 1, len(tokenizer()) + 5)
        logits[0, 0, self.ids[min(step, len(self.ids) - 1)]] = self.liking
        return SimpleNamespace(logits=logits, cache=step + 1)


def scripted(
    text: str, *, row: LLMRow = LLMS[0], name: str = "scripted", window: int = 32_768, liking: float = 30.0
) -> LoadedLLM:
    """A loaded model that writes a text."""
    return LoadedLLM(model=ScriptedLM(text, window=window, liking=liking), tokenizer=tokenizer(), row=row, name=name)  # type: ignore[arg-type]
