"""Readers of other projects' question and report files: each gives the chat rows of this project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from assistant.language.instructions.readers.abdomen_atlas import read_abdomen_atlas
from assistant.language.instructions.readers.ct_chat import read_ct_chat
from assistant.language.instructions.readers.deep_tumor_vqa import read_deep_tumor_vqa
from assistant.language.instructions.readers.m3d_vqa import read_m3d_vqa
from assistant.language.instructions.rows import Row
from assistant.language.instructions.write import Summary, write_lines
from vision.errors import InputRefused, UsageError

READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = MappingProxyType(
    {
        "m3d_vqa": read_m3d_vqa,
        "ct_chat": read_ct_chat,
        "deep_tumor_vqa": read_deep_tumor_vqa,
        "abdomen_atlas": read_abdomen_atlas,
    }
)
"""Layout -> reader: file -> rows, in the order of the file."""

__all__ = [
    "READERS",
    "convert_file",
    "read_abdomen_atlas",
    "read_ct_chat",
    "read_deep_tumor_vqa",
    "read_m3d_vqa",
]


def convert_file(source: Path, layout: str, out: Path) -> Summary:
    """Write the rows of a file of another project.

    Raises UsageError E_LAYOUT for an unknown layout; InputRefused E_NOT_FOUND for a missing file, E_CHAT_SOURCE for one
    that is not of the layout or holds nothing; ResourceError when the rows cannot be written.
    """
    if layout not in READERS:
        raise UsageError("E_LAYOUT", "The layout is not known.", f"Use one of: {', '.join(READERS)}.")
    rows = list(READERS[layout](source))
    if not rows:
        raise InputRefused("E_CHAT_SOURCE", "The file holds nothing to learn from.", "Choose a file with questions.")
    return write_lines(out, rows, count=len(rows))
