"""A manifest of cases, CSV or JSONL: accepted exactly, or refused with the number of the row that is wrong."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vision.errors import UsageError
from vision.io.refusal import refusing

SUFFIXES = (".csv", ".jsonl")
COLUMNS = ("case_id", "input", "question")
REQUIRED = ("case_id", "input")
CASE_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")
TABLE_NAME = re.compile(r"(?:results|summary|run|timings).*\.(?:jsonl|csv|json)", re.IGNORECASE)
"""Names beside the cases' folders."""
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")
"""What neither a path nor UTF-8 can hold."""


@dataclass(frozen=True)
class ManifestRow:
    """One row; `number` is its line in the file, counted from 1. `question` is None where the row has none."""

    number: int
    case_id: str
    input: str
    question: str | None


def read_manifest(manifest: Path, name: str) -> list[ManifestRow]:
    """Every row of a manifest. CSV has the columns case_id, input and perhaps question; JSONL has them as keys.

    `name` is what errors call the manifest: they quote neither its name nor its cells, which may be a patient's.
    UTF-8 with or without a byte order mark, any line ends; blank rows are left out.
    Raises UsageError E_MANIFEST for anything else, InputRefused E_PERM for a file that cannot be read.
    """
    with refusing("E_PERM", f"{_capital(name)} cannot be read", "Check its permissions."):
        content = manifest.read_bytes()
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _wrong(name, content.count(b"\n", 0, error.start) + 1, "is not UTF-8 text") from None
    of_csv = manifest.suffix.lower() == ".csv"
    rows = [_checked(name, number, row) for number, row in (_csv_rows if of_csv else _json_rows)(name, text)]
    if not rows:
        raise _wrong(name, 2 if of_csv else 1, "is missing: it names no case")
    first: dict[str, int] = {}
    for row in rows:
        # Upper and lower case are one, as on many disks.
        earlier = first.setdefault(row.case_id.lower(), row.number)
        if earlier != row.number:
            raise _wrong(name, row.number, f"has the case_id of row {earlier}")
    return rows


def _checked(name: str, number: int, row: Mapping[str, str]) -> ManifestRow:
    if any(_NO_TEXT.search(value) for value in row.values()):
        raise _wrong(name, number, "holds a NUL or half a character")
    for key in REQUIRED:
        if not row.get(key):
            raise _wrong(name, number, f"has no {key}")
    if not CASE_ID.fullmatch(row["case_id"]):
        raise _wrong(name, number, "has a case_id that is no safe folder name")
    if TABLE_NAME.fullmatch(row["case_id"]):
        raise _wrong(name, number, "has a case_id that is the name of a table")
    return ManifestRow(number, row["case_id"], row["input"], row.get("question") or None)


def _csv_rows(name: str, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, cells by column) of every row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(name, header)
        for cells in reader:
            if len(cells) > len(header):
                raise _wrong(name, reader.line_num, "has more cells than the header")
            if any(cells):
                yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=False))
    except csv.Error as error:
        raise _wrong(name, reader.line_num, f"is not CSV ({error})") from None


def _check_header(name: str, header: list[str]) -> None:
    for place, column in enumerate(header, start=1):
        if column not in COLUMNS:
            raise _wrong(name, 1, f"has an unknown column in place {place}")
        if column in header[: place - 1]:
            raise _wrong(name, 1, f"has the column {column} twice")
    for column in REQUIRED:
        if column not in header:
            raise _wrong(name, 1, f"has no column {column}")


def _json_rows(name: str, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            pairs = json.loads(line, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError):
            raise _wrong(name, number, "is not JSON") from None
        if not isinstance(pairs, _Pairs) or not all(isinstance(value, str) for _, value in pairs):
            raise _wrong(name, number, "is not an object of texts")
        keys = [key for key, _ in pairs]
        if not set(keys) <= set(COLUMNS):
            raise _wrong(name, number, "has an unknown key")
        if len(set(keys)) < len(keys):
            raise _wrong(name, number, "has a key twice")
        yield number, {key: value.strip() for key, value in pairs}


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, repeated ones too."""


def _wrong(name: str, number: int, what: str) -> UsageError:
    return UsageError(
        "E_MANIFEST",
        f"Row {number} of {name} {what}.",
        "A manifest has the columns case_id, input and perhaps question; a case_id is letters, digits, '.', '_', '-'.",
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
