"""What a language model reads: messages and tools through its own chat template, whatever that template can write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assistant.language.llms.table import LLMRow, ToolFormat
from prompts import load_words
from vision.errors import WeightsError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = Mapping[str, Any]
"""{'role', 'content'}; one of the assistant may have 'tool_calls' too, a list of {'name', 'arguments'}."""
Tool = Mapping[str, Any]
"""A function as OpenAI describes it: {'type': 'function', 'function': {'name', 'description', 'parameters'}}."""

_NAMES = ("first_probe", "second_probe")
_ARGUMENTS = {"words": "spoken", "limit": 2}
_COMPACT = (",", ":")
MANY = 1000
"""Calls in one turn: more than a plan ever has."""
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Written:
    """How a chat template writes calls back, and how many of them at once."""

    tool_format: ToolFormat
    most_calls: int


def chat_text(
    tokenizer: PreTrainedTokenizerBase, row: LLMRow, messages: Sequence[Message], *, tools: Sequence[Tool] = ()
) -> str:
    """The text after which the model speaks. It holds its special tokens: encode it with add_special_tokens=False.

    What the template cannot write is said in words it can: old calls in the family's own form, answers of tools from
    the user, tools in the system message. Thinking before the answer is turned off in templates that know it
    (enable_thinking of Qwen3 and SmolLM3). Raises WeightsError E_LLM for a template that refuses the messages.
    """
    options = {"add_generation_prompt": True, "enable_thinking": False}
    return _rendered(tokenizer, row, messages, tools, options)


def conversation_text(
    tokenizer: PreTrainedTokenizerBase, row: LLMRow, messages: Sequence[Message], *, tools: Sequence[Tool] = ()
) -> str:
    """A whole conversation, for training; as `chat_text` does it, without the beginning of a next answer."""
    return _rendered(tokenizer, row, messages, tools, {"add_generation_prompt": False})


def tool_format_of(tokenizer: PreTrainedTokenizerBase, row: LLMRow) -> ToolFormat:
    """How this very model writes tool calls: as its chat template writes old ones, else as the row says."""
    written = written_format(tokenizer, row)
    return row.tool_format if written is None else written.tool_format


def written_format(tokenizer: PreTrainedTokenizerBase, row: LLMRow) -> Written | None:
    """What the chat template makes of a conversation with two calls, or with one where it refuses two.

    None for a template that refuses or drops calls, or writes them in another form than JSON objects.
    """
    for names in (_NAMES, _NAMES[:1]):
        try:
            before = _applied(tokenizer, [_question()], {"add_generation_prompt": True})
            whole = _applied(tokenizer, list(_probing(names)), {"add_generation_prompt": False})
            return _read(before, whole, names, row.tool_format, str(tokenizer.eos_token))
        except (_Refusal, ValueError):
            continue
    return None


class _Refusal(Exception):
    """The template cannot write these messages."""


def _applied(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], options: Mapping[str, Any]) -> str:
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **options))
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        raise _Refusal from error


def _rendered(
    tokenizer: PreTrainedTokenizerBase,
    row: LLMRow,
    messages: Sequence[Message],
    tools: Sequence[Tool],
    options: dict[str, Any],
) -> str:
    written = written_format(tokenizer, row)
    tool_format = row.tool_format if written is None else written.tool_format
    most_calls = 0 if written is None else written.most_calls
    # SmolLM3's first templates look for xml_tools; all others pass over a name that they do not know.
    passed = options | ({"tools": list(tools), "xml_tools": list(tools)} if tools else {})
    for tool_role in ("tool", "user"):
        told = list(_told(messages, tool_format, most_calls, tool_role))
        try:
            text = _applied(tokenizer, told, passed)
            if all(tool["function"]["name"] in text for tool in tools):
                return text
            return _applied(tokenizer, _with_tools(told, tools, tool_format), options)
        except _Refusal:
            continue
    raise WeightsError(
        "E_LLM",
        "The chat template of this language model refuses the conversation.",
        "Choose an instruct model whose template takes a system message and several turns.",
    )


def _told(
    messages: Sequence[Message], tool_format: ToolFormat, most_calls: int, tool_role: str
) -> Iterator[dict[str, Any]]:
    """The messages as templates expect them: calls wrapped as functions, with the ids that Mistral's asks for."""
    called = answered = 0
    for message in messages:
        calls = message.get("tool_calls") or ()
        content = message.get("content") or ""
        if message["role"] == "tool":
            answered += 1
            yield {"role": tool_role, "content": content, "tool_call_id": _id(answered)}
            continue
        answered, called = called, called + len(calls)
        if not calls:
            yield {"role": message["role"], "content": content}
        elif len(calls) > most_calls:
            yield {"role": "assistant", "content": content + calls_text(calls, tool_format)}
        else:
            wrapped = [
                {"type": "function", "id": _id(answered + number), "function": dict(call)}
                for number, call in enumerate(calls, start=1)
            ]
            yield {"role": "assistant", "content": content, "tool_calls": wrapped}


def _id(number: int) -> str:
    """Nine letters and digits, the only ids that Mistral's templates let pass."""
    return f"call{number:05d}"


def calls_text(calls: Sequence[Mapping[str, Any]], tool_format: ToolFormat) -> str:
    """Calls, {'name', 'arguments'} each, as a family writes them."""
    texts = [
        json.dumps(
            {tool_format.name_key: call["name"], tool_format.arguments_key: call["arguments"]},
            ensure_ascii=False,
            separators=tool_format.separators,
        )
        for call in calls
    ]
    return tool_format.begin + tool_format.between.join(texts) + tool_format.end


def _with_tools(told: Sequence[dict[str, Any]], tools: Sequence[Tool], tool_format: ToolFormat) -> list[dict[str, Any]]:
    """The messages with the tools in the system message, which is made where there is none."""
    words = load_words("llms")["tools"]
    example = {"name": words["name"], "arguments": {words["argument"]: words["value"]}}
    lines = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
    text = words["told"].format(tools=lines, example=calls_text([example], tool_format))
    has_system = bool(told) and told[0]["role"] == "system"
    first = told[0]["content"] if has_system else ""
    return [{"role": "system", "content": f"{first}\n{text}".strip()}, *told[has_system:]]


def _question() -> dict[str, Any]:
    return {"role": "user", "content": "question"}


def _probing(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    calls = [{"name": name, "arguments": _ARGUMENTS} for name in names]
    messages: list[Message] = [_question(), {"role": "assistant", "tool_calls": calls}]
    messages += [{"role": "tool", "content": "{}"} for _ in names]
    # Qwen3 writes empty thoughts before the last message of the assistant, so the calls must not stand in it.
    messages.append({"role": "assistant", "content": "answer"})
    yield from _told(messages, ToolFormat("", "", ""), len(names), "tool")


def _read(before: str, whole: str, names: Sequence[str], known: ToolFormat, eos: str) -> Written:
    """Raises ValueError where the calls are not JSON objects between `before` and `eos`."""
    if not whole.startswith(before):
        raise ValueError("another beginning")
    found = [_found(whole, name, len(before)) for name in names]
    (begin, end, name_key, arguments_key) = found[0]
    between = whole[end : found[1][0]] if len(found) > 1 else known.between
    last = found[-1][1]
    compact = f'"{name_key}":"' in whole[begin:end]
    return Written(
        ToolFormat(
            begin=whole[len(before) : begin],
            between=between,
            end=whole[last : whole.index(eos, last)],
            name_key=name_key,
            arguments_key=arguments_key,
            separators=_COMPACT if compact else known.separators,
        ),
        most_calls=len(names) if len(names) == 1 else MANY,
    )


def _found(whole: str, name: str, start: int) -> tuple[int, int, str, str]:
    """Where the JSON object that calls `name` begins and ends, and its two keys."""
    begin = whole.rindex("{", start, whole.index(f'"{name}"', start))
    call, size = _DECODER.raw_decode(whole[begin:])
    keys = {key: value for key, value in call.items() if value in (name, _ARGUMENTS)}
    name_key = next((key for key, value in keys.items() if value == name), None)
    arguments_key = next((key for key, value in keys.items() if value == _ARGUMENTS), None)
    if name_key is None or arguments_key is None:
        raise ValueError("no call")
    return begin, begin + size, name_key, arguments_key
