"""What a language model says, greedily, to messages that an evaluation puts to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from assistant.language.evaluation.deep_tumor import Chat, Turn
from assistant.language.llms.chat import chat_text
from assistant.language.llms.table import ToolFormat
from assistant.language.planner import harmless, marks_of

if TYPE_CHECKING:
    from assistant.language.sight import Looked
    from assistant.language.taught import TaughtLLM

MOST_TOKENS = 96
_DECODER = json.JSONDecoder()


def said(
    taught: TaughtLLM,
    messages: Sequence[Mapping[str, Any]],
    *,
    looked: Looked | None = None,
    tools: Sequence[Mapping[str, Any]] = (),
    most_tokens: int = MOST_TOKENS,
) -> list[int]:
    """The ids that follow the messages, without the token that ends the turn; what tokenizers take for marks in them
    is read letter by letter. `looked` is the CT that the model sees."""
    import torch

    llm, model = taught.llm, cast(Any, taught.llm.model)
    marks = marks_of(llm.tokenizer)
    told = [{**message, "content": harmless(str(message.get("content") or ""), marks)} for message in messages]
    text = chat_text(llm.tokenizer, llm.row, told, tools=tools)
    prompt: Any = llm.tokenizer(text, add_special_tokens=False, return_tensors="pt").to(llm.model.device)
    with torch.inference_mode():
        if taught.sighted is None:
            ids = model.generate(**prompt, max_new_tokens=most_tokens, do_sample=False)
        else:
            with taught.sighted.looking(looked):
                ids = model.generate(**prompt, max_new_tokens=most_tokens, do_sample=False)
    ends = {llm.tokenizer.eos_token_id, llm.tokenizer.pad_token_id}
    return [int(token) for token in ids[0, prompt["input_ids"].shape[1] :].tolist() if token not in ends]


def llm_chat(taught: TaughtLLM, *, most_tokens: int = MOST_TOKENS) -> Chat:
    """A language model as the agent of an evaluation: it calls tools in its own family's form."""
    tool_format = taught.llm.tool_format

    def chat(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> Turn:
        ids = said(taught, messages, tools=tools, most_tokens=most_tokens)
        text = str(taught.llm.tokenizer.decode(ids, skip_special_tokens=False))
        return turn_of(text, tool_format) if tools else Turn(text.strip())

    return chat


def turn_of(text: str, tool_format: ToolFormat) -> Turn:
    """The words and the calls in a text: every JSON object that has the family's two keys is a call."""
    calls: list[tuple[str, Mapping[str, Any]]] = []
    words, place = text, 0
    while (start := text.find("{", place)) >= 0:
        try:
            value, stop = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            place = start + 1
            continue
        name, arguments = value.get(tool_format.name_key), value.get(tool_format.arguments_key)
        if isinstance(name, str) and isinstance(arguments, dict):
            if not calls:
                words = text[:start]
            calls.append((name, arguments))
        place = stop
    return Turn(words.removesuffix(tool_format.begin).strip(), tuple(calls))
