"""The grammar of plans as JSON Schema, and as the tool descriptions that chat templates take."""

from __future__ import annotations

from typing import Any

from assistant.language.grammar.arguments import MOST_CALLS, REQUIRED, Argument, arguments_of
from assistant.plan import SKILL_NAMES
from prompts import load_words
from vision.structures import names

_STRUCTURE = {"$ref": "#/$defs/structure"}


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

    Names of structures are given as plain strings there: the table is told once, by `messages`, not once a skill.
    """
    words = load_words("planner")
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": words["skills"][name],
                "parameters": _parameters(name, {"type": "string"}, described=words["arguments"]),
            },
        }
        for name in SKILL_NAMES
    ]


def _call_schema(name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": _parameters(name, _STRUCTURE, described={})},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _parameters(name: str, structure: dict[str, Any], *, described: dict[str, str]) -> dict[str, Any]:
    properties = {
        argument.key: {
            **({"description": described[argument.key]} if argument.key in described else {}),
            **_value_schema(argument, structure),
        }
        for argument in arguments_of(name)
    }
    required = sorted(REQUIRED.get(name, ()))
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _value_schema(argument: Argument, structure: dict[str, Any]) -> dict[str, Any]:
    if argument.kind == "list":
        one = structure if argument.values == names() else {"enum": list(argument.values)}
        return {"type": "array", "items": one, "minItems": 1, "maxItems": argument.most}
    if argument.kind == "word":
        return {"enum": list(argument.values)}
    if argument.kind == "finding":
        return {"type": "string", "pattern": "^(previous|F[1-9][0-9]{0,2})$"}
    if argument.kind == "count":
        return {"type": "integer", "minimum": 1, "maximum": 99}
    return {"type": "number", "minimum": 0.1, "maximum": 999.9}
