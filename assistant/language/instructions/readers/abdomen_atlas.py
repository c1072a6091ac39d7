"""AbdomenAtlas 3.0: a CSV with a line a CT: volumes, numbers and places of lesions, and reports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from assistant.language.instructions.readers.source import chat_row, no_source, table_rows
from assistant.language.instructions.rows import Row

ORGANS = ("liver", "pancreatic", "kidney")
REPORTS = {
    "structured report": "Write a structured report on this CT.",
    "narrative report": "Write a narrative report on this CT.",
    "fusion structured report": "Write a structured report on this CT.",
    "fusion narrative report": "Write a narrative report on this CT.",
}
_SAID = "(impression, not measured)"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def read_abdomen_atlas(path: Path) -> Iterator[Row]:
    """Rows on each CT: is there a lesion of liver, pancreas or kidney, where lies the largest, how dense is it, and
    every report there is. Cells that are empty tell nothing; volumes and diameters are for measurement, not for sight.

    Raises InputRefused E_NOT_FOUND, E_CHAT_SOURCE.
    """
    for line in table_rows(path, ("BDMAP ID",)):
        if not line["BDMAP ID"]:
            raise no_source("a line has no BDMAP ID")
        lower = {key.lower(): value for key, value in line.items()}
        for organ in ORGANS:
            yield from _organ(line["BDMAP ID"], organ, lower)
        for column, question in REPORTS.items():
            if lower.get(column):
                name = column.replace(" ", "_")
                yield chat_row(
                    [(question, lower[column])],
                    ct=line["BDMAP ID"],
                    skill=f"atlas_{name}",
                    template=f"abdomen_atlas.{name}",
                    kind="words",
                )


def _organ(ct: str, organ: str, line: Mapping[str, str]) -> Iterator[Row]:
    number = _cell(line, rf"number of {organ} (?:lesion|tumor) instances")
    counted = _NUMBER.search(number)
    if counted is None:
        return
    present = float(counted[0]) > 0
    word = "present" if present else "absent"
    yield _row(
        ct, organ, "presence", f"Is there a {organ} lesion?", f"A suspected {organ} lesion looks {word} {_SAID}."
    )
    if not present:
        return
    place = _cell(line, rf"largest {organ} (?:lesion|tumor) location.*").lower()
    if place:
        where = f"segment {place}" if organ == "liver" else f"the {place}" + (" side" if organ == "kidney" else "")
        answer = f"The largest suspected {organ} lesion looks to lie in {where} {_SAID}."
        yield _row(ct, organ, "place", f"Where does the largest {organ} lesion look to lie?", answer)
    density = _cell(line, rf"largest {organ} (?:lesion|tumor) attenuation.*").lower()
    if density in ("hyperattenuating", "isoattenuating", "hypoattenuating"):
        question = f"How does the largest {organ} lesion attenuate?"
        yield _row(ct, organ, "attenuation", question, f"The largest suspected {organ} lesion looks {density} {_SAID}.")


def _row(ct: str, organ: str, topic: str, question: str, answer: str) -> Row:
    return chat_row(
        [(question, answer)], ct=ct, skill=f"atlas_{organ}_{topic}", template=f"abdomen_atlas.{organ}_{topic}"
    )


def _cell(line: Mapping[str, str], column: str) -> str:
    """The first filled cell whose heading fits; empty when there is none."""
    return next((value for key, value in line.items() if value and re.fullmatch(column, key)), "")
