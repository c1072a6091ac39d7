"""CT-CHAT and whatever is written like LLaVA: conversations of 'human' and 'gpt' about an image."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from assistant.language.instructions.readers.source import chat_row, json_value, no_source
from assistant.language.instructions.rows import Row

_IMAGE = re.compile(r"\s*<(?:image|video|ct|im_start|im_end|im_patch)>\s*")
_SUFFIX = re.compile(r"<(long_answer|short_answer|multiple_choice|report_generation)>\s*")


def read_ct_chat(path: Path) -> Iterator[Row]:
    """Rows of whole conversations, without image marks; the suffix token of the first question becomes the skill.

    Raises InputRefused E_NOT_FOUND, E_CHAT_SOURCE.
    """
    conversations = json_value(path)
    if not isinstance(conversations, list):
        raise no_source("it is no list of conversations")
    for item in conversations:
        if not isinstance(item, dict) or not isinstance(item.get("conversations"), list):
            raise no_source("an item lacks 'conversations'")
        name = item.get("image") or item.get("id")
        if not isinstance(name, str):
            raise no_source("an item lacks 'image'")
        turns, skill = _turns(item["conversations"])
        yield chat_row(turns, ct=name, skill=f"ct_chat_{skill}", template=f"ct_chat.{skill}")


def _turns(messages: list[Any]) -> tuple[list[tuple[str, str]], str]:
    turns: list[tuple[str, str]] = []
    skill = "open"
    if not messages or len(messages) % 2:
        raise no_source("a conversation does not alternate between 'human' and 'gpt'")
    for asked, answered in zip(messages[::2], messages[1::2], strict=True):
        question, answer = _value(asked, "human"), _value(answered, "gpt")
        suffix = _SUFFIX.search(question)
        if suffix and not turns:
            skill = suffix[1]
        turns.append((_SUFFIX.sub("", _IMAGE.sub(" ", question)).strip(), answer.strip()))
    return turns, skill


def _value(message: Any, who: str) -> str:
    if not isinstance(message, Mapping) or message.get("from") != who or not isinstance(message.get("value"), str):
        raise no_source("a conversation does not alternate between 'human' and 'gpt'")
    return str(message["value"])
