"""The rows of chat that a language model is taught with, as `bodymaps data instructions` writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from assistant.language.taught import MASK
from assistant.plan import SkillCall
from vision.errors import InputRefused
from vision.structures import names

Split = Literal["train", "held_out"]
Kind = Literal["plan", "words", "visual"]
SPLITS: tuple[Split, ...] = ("train", "held_out")
KINDS: tuple[Kind, ...] = ("plan", "words", "visual")
_ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class ChatMessage:
    """One message: words, or the calls of an assistant that plans."""

    role: str
    content: str = ""
    calls: tuple[SkillCall, ...] = ()


@dataclass(frozen=True)
class ChatRow:
    """One conversation. `ct` names the CT that it is about, None for none; `template` the phrasing it was made of."""

    messages: tuple[ChatMessage, ...]
    ct: str | None
    skill: str
    template: str
    split: Split
    kind: Kind
    masks: tuple[str, ...] = ()
    """The structures of the mask tokens, in order, where no name stands before these."""


def read_rows(paths: Sequence[Path], *, split: Split) -> list[ChatRow]:
    """The conversations of one split in some .jsonl files, in order.

    Raises InputRefused E_NOT_FOUND for a missing file, E_CHAT_ROWS for a line that is no conversation or when the
    files hold none of this split.
    """
    rows = [row for path in paths for row in _read(path) if row.split == split]
    if not rows:
        raise InputRefused(
            "E_CHAT_ROWS",
            f"The files hold no conversation of the split {split}.",
            "Make some: bodymaps data instructions --out FILE.jsonl.",
        )
    return rows


def _read(path: Path) -> Iterator[ChatRow]:
    if not path.is_file():
        raise InputRefused("E_NOT_FOUND", "A file of conversations does not exist.", "Check the paths after --data.")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield _row(json.loads(line))
            except (ValueError, KeyError, TypeError):
                raise InputRefused(
                    "E_CHAT_ROWS",
                    f"Line {number} of a file of conversations is not one.",
                    "Each line is a JSON object with messages, ct, skill, template, split and kind.",
                ) from None


def _row(values: Mapping[str, Any]) -> ChatRow:
    if values["split"] not in SPLITS or values["kind"] not in KINDS:
        raise ValueError("unknown split or kind")
    messages = tuple(_message(message) for message in values["messages"])
    if not any(message.role == "user" for message in messages):
        raise ValueError("nobody asks")
    masks = tuple(values.get("masks") or ())
    shown = sum(message.content.count(MASK) for message in messages)
    if masks and (not set(masks) <= set(names()) or len(masks) != shown):
        raise ValueError("masks of unknown structures, or that no token shows")
    ct = values.get("ct")
    return ChatRow(
        messages=messages,
        ct=None if ct is None else str(ct),
        skill=str(values["skill"]),
        template=str(values["template"]),
        split=values["split"],
        kind=values["kind"],
        masks=masks,
    )


def _message(values: Mapping[str, Any]) -> ChatMessage:
    if values["role"] not in _ROLES:
        raise ValueError("unknown role")
    calls = tuple(SkillCall(name=call["name"], arguments=call["arguments"]) for call in values.get("tool_calls") or ())
    return ChatMessage(values["role"], str(values.get("content") or ""), calls)
