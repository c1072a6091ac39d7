"""Plans as text: compact JSON, or the tool calls of a model family. And back, refusing everything that is no plan."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from assistant.language.grammar.arguments import ARGUMENTS, FINDING, MOST_CALLS, REQUIRED, TAKES, Argument, arguments_of
from assistant.plan import SKILL_NAMES, SkillCall
from vision.errors import UsageError

if TYPE_CHECKING:
    from assistant.language.llms.table import ToolFormat

LONGEST_TEXT = 20_000
"""Characters; what is longer is no plan."""

_DECODER = json.JSONDecoder()


def plan_text(calls: Sequence[SkillCall]) -> str:
    """Calls as one line of compact JSON, keys in the order of ARGUMENTS; `words` and empty lists are left out.

    Raises UsageError E_PLAN for calls that are outside the grammar: no skill, another's argument, an unknown value.
    """
    return json.dumps(_written(calls, "name", "arguments"), separators=(",", ":"))


def parse_plan(text: str) -> list[SkillCall]:
    """The calls of `plan_text`; a name that a list repeats counts once.

    Raises UsageError E_PLAN for whatever is not at least one call that the grammar allows.
    """
    return _read(_decoded(text), "name", "arguments")


def call_texts(calls: Sequence[SkillCall], tool_format: ToolFormat) -> str:
    """Calls as the tool calls of a model family. Raises UsageError E_PLAN as `plan_text` does."""
    written = _written(calls, tool_format.name_key, tool_format.arguments_key)
    texts = [json.dumps(call, separators=tool_format.separators) for call in written]
    return tool_format.begin + tool_format.between.join(texts) + tool_format.end


def parse_calls(text: str, tool_format: ToolFormat) -> list[SkillCall]:
    """The calls of `call_texts`; blanks between the parts count for nothing.

    Raises UsageError E_PLAN as `parse_plan` does, and for anything beside the calls.
    """
    if len(text) > LONGEST_TEXT:
        raise _no_plan("it is too long")
    begin, between, end = tool_format.begin.strip(), tool_format.between.strip(), tool_format.end.strip()
    rest = _after(text.strip(), begin)
    found: list[Any] = []
    while True:
        try:
            value, stop = _DECODER.raw_decode(rest)
        except (ValueError, RecursionError):
            raise _no_plan("it is not JSON") from None
        found.append(value)
        rest = rest[stop:].lstrip()
        if rest == end:
            return _read(found, tool_format.name_key, tool_format.arguments_key)
        rest = _after(rest, between)


def checked(name: str, arguments: dict[str, Any]) -> SkillCall:
    """A call as the grammar writes it. Raises UsageError E_PLAN for one that the grammar does not allow."""
    if name not in SKILL_NAMES:
        raise _no_plan("it calls no skill of this assistant")
    if not arguments.keys() <= TAKES[name]:
        raise _no_plan(f"{name} takes no such argument")
    kept = {
        argument.key: _value(argument, arguments[argument.key])
        for argument in arguments_of(name)
        if argument.key in arguments
    }
    kept = {key: value for key, value in kept.items() if value != []}
    if not REQUIRED.get(name, frozenset()) <= kept.keys():
        raise _no_plan(f"{name} needs {' and '.join(sorted(REQUIRED[name]))}")
    return SkillCall(name=name, arguments=kept)


def can_write(call: SkillCall) -> bool:
    """Whether `plan_text` takes a call."""
    try:
        _closed(call)
    except UsageError:
        return False
    return True


def _closed(call: SkillCall) -> SkillCall:
    """The call without its free text, checked."""
    return checked(call.name, {key: value for key, value in call.arguments.items() if key != "words"})


def _written(calls: Sequence[SkillCall], name_key: str, arguments_key: str) -> list[dict[str, Any]]:
    _require_count(len(calls))
    closed = [_closed(call) for call in calls]
    return [
        {name_key: call.name, arguments_key: {key: _plain(value) for key, value in call.arguments.items()}}
        for call in closed
    ]


def _plain(value: Any) -> Any:
    """Lengths without a decimal that says nothing."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _decoded(text: str) -> Any:
    if len(text) > LONGEST_TEXT:
        raise _no_plan("it is too long")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _no_plan("it is not JSON") from None


def _read(found: Any, name_key: str, arguments_key: str) -> list[SkillCall]:
    if not isinstance(found, list):
        raise _no_plan("it is not a list of calls")
    _require_count(len(found))
    return [_call(one, name_key, arguments_key) for one in found]


def _call(one: Any, name_key: str, arguments_key: str) -> SkillCall:
    if not isinstance(one, dict) or one.keys() != {name_key, arguments_key}:
        raise _no_plan(f"a call is not {name_key} and {arguments_key}")
    name, arguments = one[name_key], one[arguments_key]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise _no_plan(f"a call's {name_key} or {arguments_key} is of another type")
    return checked(name, arguments)


def _value(argument: Argument, value: Any) -> Any:
    """The value of an argument, checked; lists without repetitions."""
    fits = False
    if argument.kind == "list":
        fits = isinstance(value, list) and all(isinstance(one, str) and one in argument.values for one in value)
        fits = fits and len(value) <= argument.most
        value = list(dict.fromkeys(value)) if fits else value
    elif argument.kind == "word":
        fits = isinstance(value, str) and value in argument.values
    elif argument.kind == "finding":
        fits = isinstance(value, str) and re.fullmatch(FINDING, value) is not None
    elif argument.kind == "count":
        fits = type(value) is int and 1 <= value <= 99
    elif argument.kind == "length":
        fits = type(value) in (int, float) and 0.1 <= value < 1000 and round(value, 1) == value
        value = float(value) if fits else value
    if not fits:
        raise _no_plan(f"a value of {argument.key} is not one that it takes")
    return value


def _require_count(count: int) -> None:
    if not 1 <= count <= MOST_CALLS:
        raise _no_plan(f"it has {count} calls, not 1 to {MOST_CALLS}")


def _after(text: str, opening: str) -> str:
    if not text.startswith(opening):
        raise _no_plan("it is not written as this model's tool calls")
    return text[len(opening) :].lstrip()


def _no_plan(why: str) -> UsageError:
    known = ", ".join(ARGUMENTS)
    return UsageError("E_PLAN", f"This is not a plan: {why}.", f"Skills: {', '.join(SKILL_NAMES)}. Arguments: {known}.")
