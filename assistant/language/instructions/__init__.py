"""Instruction data: requests in the words of many people with their plans, sentences over facts, questions about CTs.

Torch-free. Words stand in `prompts/instructions`; a row is made from its number and the seed alone.
"""

from __future__ import annotations

from assistant.language.instructions.rows import Row, plan_row
from assistant.language.instructions.templates import split_of
from assistant.language.instructions.write import KINDS, Summary, makers_of, write_rows

__all__ = [
    "KINDS",
    "Row",
    "Summary",
    "makers_of",
    "plan_row",
    "split_of",
    "write_rows",
]
