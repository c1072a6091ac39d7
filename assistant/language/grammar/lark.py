"""The grammar of plans in llguidance's Lark dialect, written as one model family writes its tool calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from assistant.language.grammar.arguments import FINDING, MOST_CALLS, REQUIRED, Argument, arguments_of
from assistant.plan import SKILL_NAMES
from vision.structures import names

if TYPE_CHECKING:
    from assistant.language.llms.table import ToolFormat


def plan_lark(tool_format: ToolFormat, *, special: dict[str, int]) -> str:
    """The grammar of `call_texts` as Lark.

    `special` are the tokens of the tokenizer that are no text, by what they are written as, with their ids: a begin
    or an end that holds one must be that token, and never its letters.
    """
    begin, between, end = (
        _literal(part, special) for part in (tool_format.begin, tool_format.between, tool_format.end)
    )
    comma, colon = (_literal(part, {}) for part in tool_format.separators)
    writer = _Writer(tool_format, comma, colon)
    return "\n".join(
        (
            '%llguidance {"no_forcing": true}',  # else the mask would split what the tokenizer writes as one
            f"start: {begin} call ({between} call){{0,{MOST_CALLS - 1}}} {end}",
            "call: " + " | ".join(f"call_{name}" for name in SKILL_NAMES),
            *(line for name in SKILL_NAMES for line in writer.call(name)),
            *writer.values(),
            f"STRUCTURE: /{_one_of(names())}/",
        )
    )


class _Writer:
    """Rules with the separators and keys of one family."""

    def __init__(self, tool_format: ToolFormat, comma: str, colon: str) -> None:
        self.comma = comma
        item, key = tool_format.separators
        self.colon = colon
        self.open_name = f'{{"{tool_format.name_key}"{key}"'
        self.open_arguments = f'"{item}"{tool_format.arguments_key}"{key}{{'

    def call(self, skill: str) -> Iterator[str]:
        """The rules of one skill: its arguments in their order, each once, those that it needs always."""
        arguments, needed = arguments_of(skill), REQUIRED.get(skill, frozenset())
        opening = _literal(f"{self.open_name}{skill}{self.open_arguments}", {})
        yield f"call_{skill}: {opening} {f'args_{skill}' if arguments else ''} {_literal('}}', {})}"
        if arguments:
            firsts = [index for index in range(len(arguments)) if not _needs(arguments[:index], needed)]
            begun = [f"{arguments[index].key} rest_{skill}_{index + 1}" for index in firsts]
            yield f"args_{skill}: " + " | ".join([*begun, *([] if needed else ['""'])])
        for index in range(1, len(arguments) + 1):
            yield f"rest_{skill}_{index}: {self._rest(skill, arguments, index, needed)}"

    def _rest(self, skill: str, arguments: Sequence[Argument], index: int, needed: frozenset[str]) -> str:
        if index == len(arguments):
            return '""'
        key = arguments[index].key
        one = f"{self.comma} {key}"
        return f"{one if key in needed else f'({one})?'} rest_{skill}_{index + 1}"

    def values(self) -> Iterator[str]:
        """The rules of the arguments, the same for every skill that takes them."""
        for argument in {one.key: one for skill in SKILL_NAMES for one in arguments_of(skill)}.values():
            yield f"{argument.key}: {_literal(json.dumps(argument.key), {})} {self.colon} {self._value(argument)}"

    def _value(self, argument: Argument) -> str:
        if argument.kind == "list":
            one = "STRUCTURE" if argument.values == names() else f"/{_one_of(argument.values)}/"
            return f'"[" {one} ({self.comma} {one}){{0,{argument.most - 1}}} "]"'
        patterns = {
            "word": _one_of(argument.values),
            "finding": f'"({FINDING})"',
            "count": "[1-9][0-9]?",
            "length": r"[1-9][0-9]{0,2}(\.[0-9])?|0\.[1-9]",
        }
        return f"/{patterns[argument.kind]}/"


def _needs(arguments: Sequence[Argument], needed: frozenset[str]) -> bool:
    """Whether one of the arguments may not be left out."""
    return any(argument.key in needed for argument in arguments)


def _one_of(words: Sequence[str]) -> str:
    return '"(' + "|".join(map(re.escape, words)) + ')"'


def _literal(text: str, special: dict[str, int]) -> str:
    """Text as Lark, special tokens in it by their ids."""
    if not text:
        return '""'
    cut = re.split("(" + "|".join(map(re.escape, special)) + ")", text) if special else [text]
    return " ".join(f"<[{special[part]}]>" if part in special else json.dumps(part) for part in cut if part)
