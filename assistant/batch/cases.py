"""Which CTs a batch is about: files, folders, zips, folders of cases, or a manifest."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vision.errors import InputRefused, UsageError

MANIFEST_SUFFIXES = (".csv", ".jsonl")
MANIFEST_COLUMNS = ("case_id", "input", "question")
CT_SUFFIXES = (".nii.gz", ".nii", ".zip")
CT_NAMES = ("ct.nii.gz", "ct.nii", "ct.zip")
_CASE_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?")


@dataclass(frozen=True)
class BatchCase:
    """One CT of a batch. `case_id` is safe as a folder name; `input` is a file or folder that a CT can be read from."""

    case_id: str
    input: Path
    question: str


def read_cases(inputs: Sequence[str | Path], *, question: str) -> list[BatchCase]:
    """Every case of the inputs in order; `question` is asked where a manifest names none.

    An input is a NIfTI file or zip (one case), a folder that holds `ct.nii.gz` or DICOM files (one case), any other
    folder (each sub-folder, NIfTI file or zip in it is a case), or a manifest: CSV with the columns case_id, input
    and perhaps question, or JSONL with the same keys; its paths are relative to the manifest.
    Raises UsageError for a malformed manifest or two cases of one name, InputRefused for a missing or empty input.
    """
    cases = [case for name in inputs for case in _read_input(Path(name), question)]
    if not cases:
        raise UsageError("E_NO_CASES", "No case was given.", "Name CTs, folders of CTs or a manifest.")
    _require_distinct(cases)
    return cases


def _read_input(source: Path, question: str) -> Iterator[BatchCase]:
    if not source.exists():
        raise InputRefused("E_NOT_FOUND", f"{source.name} does not exist.", "Check the path.")
    if source.suffix.lower() in MANIFEST_SUFFIXES and source.is_file():
        yield from _read_manifest(source, question)
    elif source.is_dir():
        yield from (BatchCase(_id_of(path), path, question) for path in _cases_in(source))
    else:
        yield BatchCase(_id_of(source), source, question)


def _cases_in(folder: Path) -> list[Path]:
    """The CTs of a folder: itself, or one for each entry."""
    own = _own_ct(folder)
    if own is not None:
        return [own]
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    inside = [entry for entry in entries if entry.is_dir() or _is_ct_file(entry)]
    if inside:
        return [(_own_ct(entry) or entry) if entry.is_dir() else entry for entry in inside]
    if not entries:
        raise InputRefused("E_EMPTY_FOLDER", f"{folder.name} is empty.", "Name a folder that holds CTs.")
    return [folder]


def _own_ct(folder: Path) -> Path | None:
    """The file that a case folder keeps its CT in, None when it has none."""
    return next((folder / name for name in CT_NAMES if (folder / name).is_file()), None)


def _is_ct_file(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(CT_SUFFIXES)


def _id_of(path: Path) -> str:
    """A folder name for a CT: its own name, or that of its folder where a file is just called 'ct'."""
    whole = path.resolve()
    name = whole.parent.name if whole.name.lower() in CT_NAMES else whole.name
    suffix = next((end for end in CT_SUFFIXES if name.lower().endswith(end)), "")
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name[: len(name) - len(suffix)])
    return safe.strip("._-")[:100].rstrip(".") or "case"


def _read_manifest(manifest: Path, question: str) -> Iterator[BatchCase]:
    try:
        text = manifest.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError("E_MANIFEST", f"{manifest.name} is not UTF-8 text.", "Save it as UTF-8.") from error
    rows = _csv_rows(manifest, text) if manifest.suffix.lower() == ".csv" else _json_rows(manifest, text)
    for number, row in rows:
        unknown = [key for key in row if key not in MANIFEST_COLUMNS]
        if unknown:
            raise _row_error(manifest, number, f"has the unknown column {unknown[0]!r}")
        for key in ("case_id", "input"):
            if not row.get(key):
                raise _row_error(manifest, number, f"has no {key}")
        if not _CASE_ID.fullmatch(row["case_id"]):
            raise _row_error(manifest, number, f"has the case_id {row['case_id'][:40]!r}, which is no safe folder name")
        yield BatchCase(row["case_id"], manifest.parent / row["input"], row.get("question") or question)


def _csv_rows(manifest: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, cells by column) of every row that is not blank."""
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="a cell too many", restval="", strict=True)
    try:
        for row in reader:
            too_many = row.pop("a cell too many", None)
            if too_many:
                raise _row_error(manifest, reader.line_num, "has more cells than the header")
            if any(row.values()):
                yield reader.line_num, {key.strip(): value.strip() for key, value in row.items()}
    except csv.Error as error:
        raise _row_error(manifest, reader.reader.line_num, f"is not CSV ({error})") from error


def _json_rows(manifest: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise _row_error(manifest, number, "is not JSON") from error
        if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
            raise _row_error(manifest, number, "is not an object of texts")
        yield number, row


def _row_error(manifest: Path, number: int, what: str) -> UsageError:
    return UsageError(
        "E_MANIFEST",
        f"Row {number} of {manifest.name} {what}.",
        "A manifest has the columns case_id, input and perhaps question; a case_id is letters, digits, '.', '_', '-'.",
    )


def _require_distinct(cases: Iterable[BatchCase]) -> None:
    """Raise UsageError for two cases of one name; upper and lower case are one, as on many disks."""
    seen: set[str] = set()
    for case in cases:
        if case.case_id.lower() in seen:
            raise UsageError(
                "E_DUPLICATE_CASE",
                f"Two cases are called {case.case_id!r}.",
                "Give each its own case_id in a manifest: case_id,input.",
            )
        seen.add(case.case_id.lower())
