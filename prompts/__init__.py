"""Only words: what people say to ask for something. Read by `assistant`, never by `vision`."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

_FOLDER = Path(__file__).parent


@cache
def load_words(name: str) -> MappingProxyType[str, Any]:
    """The table of `prompts/<name>.toml`; FileNotFoundError for a name that is not shipped."""
    return MappingProxyType(tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8")))
