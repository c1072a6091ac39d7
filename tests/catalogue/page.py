"""docs/bad_inputs.md from the rows: python -m tests.catalogue.page"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.catalogue.row import Row
from tests.catalogue.table import ROWS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bad_inputs.md"
CHAPTERS = (
    (1, "Files"),
    (26, "Archives"),
    (36, "NIfTI: geometry and values"),
    (68, "DICOM"),
    (95, "Content"),
    (104, "Requests"),
    (113, "Models and configuration"),
)
HEAD = """# Bad inputs, and what happens to them

Each row is a test: an input made by code, and what the program does with it (`python -m pytest tests/catalogue`).
"Refused" is a typed error with a code, what is wrong, what to do, and exit code 3 on the command line. "Opened" with a
W code is a warning that travels with the CT into every answer and report. This page is written by
`python -m tests.catalogue.page`.
"""


def page(rows: Iterable[Row] = ROWS) -> str:
    """The whole page."""
    everything = list(rows)
    starts = [start for start, _ in CHAPTERS] + [1000]
    parts = [HEAD]
    for (start, title), end in zip(CHAPTERS, starts[1:], strict=True):
        parts.append(f"\n## {title}\n\n| no. | input | what happens |\n|---|---|---|\n")
        parts += [_line(row) for row in everything if start <= row.number < end]
    return "".join(parts)


def _line(row: Row) -> str:
    happens = f"{row.wanted}. {row.why}" if row.why else row.wanted
    return f"| {row.number} | {row.name} | {happens} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
