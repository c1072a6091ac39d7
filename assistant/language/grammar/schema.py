"""The grammar of plans as JSON Schema, and as the tool descriptions that chat templates take."""

from __future__ import annotations

from typing import Any

from assistant.language.grammar.arguments import FINDING, MOST_CALLS, REQUIRED, Argument, arguments_of
from assistant.plan import SKILL_NAMES
from prompts import load_words
from vision.structures import names


def plan_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `plan_text`: a list of calls, each with the arguments of its skill and no others."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {"structure": {"enum": list(names())}},
        "type": "array",
        "minItems": 1,
        "maxItems": MOST_CALLS,
        "items": {"anyOf": [_call_schema(name) for name in SKILL_NAMES]},
    }


def tools() -> list[dict[str, Any]]:
    """The skills as tool descriptions in OpenAI's form, for a chat template.

    What an argument means and how the structures are called is told once, by `messages`, not once a skill: all tools
    together take about as many tokens as the rest of what a model reads.
    """
    described = load_words("planner")["skills"]
    return [
        {
            "type": "function",
            "function": {"name": name, "description": described[name], "parameters": _plain_parameters(name)},
        }
        for name in SKILL_NAMES
    ]


def _plain_parameters(name: str) -> dict[str, Any]:
    properties = {argument.key: _plain_schema(argument) for argument in arguments_of(name)}
    return {"type": "object", "properties": properties, **_required(name)}


def _plain_schema(argument: Argument) -> dict[str, Any]:
    """The type of an argument, without the names of structures and without limits, which decoding keeps anyway."""
    values = {} if argument.values == names() else {"enum": list(argument.values)}
    if argument.kind == "list":
        return {"type": "array", "items": {"type": "string", **values}}
    types = {"word": "string", "finding": "string", "count": "integer", "length": "number"}
    return {"type": types[argument.kind], **(values if argument.kind == "word" else {})}


def _call_schema(name: str) -> dict[str, Any]:
    arguments = {
        "type": "object",
        "properties": {argument.key: _value_schema(argument) for argument in arguments_of(name)},
        **_required(name),
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _required(name: str) -> dict[str, list[str]]:
    required = sorted(REQUIRED.get(name, ()))
    return {"required": required} if required else {}


def _value_schema(argument: Argument) -> dict[str, Any]:
    if argument.kind == "list":
        one = {"$ref": "#/$defs/structure"} if argument.values == names() else {"enum": list(argument.values)}
        return {"type": "array", "items": one, "minItems": 1, "maxItems": argument.most}
    if argument.kind == "word":
        return {"enum": list(argument.values)}
    if argument.kind == "finding":
        return {"type": "string", "pattern": f"^({FINDING})$"}
    if argument.kind == "count":
        return {"type": "integer", "minimum": 1, "maximum": 99}
    return {"type": "number", "minimum": 0.1, "maximum": 999.9}
