"""The small language model that ships: its sizes, and how its weights are stored in a byte each."""

from __future__ import annotations

from assistant.language.embedded.config import (
    MOST_BYTES,
    SIGHT_SIZES,
    VOCAB,
    embedded_config,
    stored_bytes,
)
from assistant.language.embedded.storage import ROUNDED_FILE, load_rounded, save_rounded

__all__ = [
    "MOST_BYTES",
    "ROUNDED_FILE",
    "SIGHT_SIZES",
    "VOCAB",
    "embedded_config",
    "load_rounded",
    "save_rounded",
    "stored_bytes",
]
