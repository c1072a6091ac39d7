"""Rows of instruction data, each made from its own number and the seed, so that any part can be made again alone."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from assistant.language.instructions.requests import Request, draw_request
from assistant.language.instructions.templates import Split
from assistant.language.instructions.turns import conversation, several_request
from assistant.plan import SkillCall

Row = dict[str, Any]
HELD_OUT_SHARE = 0.12
"""Of the rows, made of held-out templates only."""
_TURNS_SHARE, _SEVERAL_SHARE = 0.16, 0.13


def plan_row(number: int, seed: int) -> Row:
    """One plan row: a request, several in one message, or a conversation of two to four turns."""
    rng = Random(f"plan {seed} {number}")  # noqa: S311  -- draws phrasings, keeps no secret
    split: Split = "held_out" if rng.random() < HELD_OUT_SHARE else "train"
    draw = rng.random()
    if draw < _TURNS_SHARE:
        turns = conversation(rng, split)
        return row_of(turns, skill="turns", split=split)
    request = several_request(rng, split) if draw < _TURNS_SHARE + _SEVERAL_SHARE else draw_request(rng, split)
    return row_of([request], skill=request.skill, split=split)


def row_of(turns: Sequence[Request], *, skill: str, split: Split) -> Row:
    """A plan row of one or more turns."""
    messages: list[dict[str, Any]] = []
    for turn in turns:
        messages.append({"role": "user", "content": turn.text})
        messages.append({"role": "assistant", "tool_calls": [tool_call(item) for item in turn.calls]})
    return {
        "messages": messages,
        "ct": None,
        "skill": skill,
        "template": "+".join(turn.template for turn in turns),
        "split": split,
        "kind": "plan",
    }


def tool_call(item: SkillCall) -> dict[str, Any]:
    """A skill call as it stands in a row."""
    return {"name": item.name, "arguments": dict(item.arguments)}
