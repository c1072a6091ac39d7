"""Row 112: manifests of a batch that say too little, too much or something else."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from assistant.answer import Answer
from assistant.batch import answering, run_batch
from assistant.batch.answering import Setting
from assistant.batch.cases import BatchCase, FoundCT, find_cts
from tests.assistant.small_scenes import about_boxes, call
from tests.catalogue.row import Row
from tests.fakes import BoxSegmenter
from vision.errors import UsageError
from vision.segmenter import Progress

NUMBER = 112
CANARY = "CANARY_DOE_JANE"


def read(folder: Path, content: str | bytes, suffix: str) -> list[FoundCT]:
    """The CTs of a manifest whose name holds a canary."""
    manifest = folder / f"{CANARY}{suffix}"
    manifest.write_bytes(content if isinstance(content, bytes) else content.encode())
    return find_cts([manifest], question="Liver?", out=folder / "out")


def refused(name: str, content: str | bytes, said: str, *, suffix: str = ".csv", why: str = "") -> Row:
    """A manifest that is refused with the number of the row, before anything is written."""

    def check(folder: Path) -> None:
        with pytest.raises(UsageError, match=f"^E_MANIFEST: {said}") as refusal:
            read(folder, content, suffix)
        assert refusal.value.exit_code == 2
        assert CANARY not in str(refusal.value)
        assert not (folder / "out").exists()

    return Row(NUMBER, name, f"usage error, E_MANIFEST, {said.split(' of ')[0].lower()}", check, why)


def read_exactly(
    name: str, content: str | bytes, *cases: tuple[str, str, str], suffix: str = ".csv", why: str = ""
) -> Row:
    """A manifest that names exactly these (case_id, input relative to the manifest, question)."""

    def check(folder: Path) -> None:
        found = [(ct.case_id, ct.input, ct.question) for ct in read(folder, content, suffix)]
        assert found == [(case_id, folder / path, question) for case_id, path, question in cases]

    return Row(NUMBER, name, "read exactly", check, why)


def _many_rows(folder: Path) -> None:
    text = "case_id,input\n" + "".join(f"P{number},{number}.nii.gz\n" for number in range(100_000))
    found = read(folder, text, ".csv")
    assert (len(found), found[0].case_id, found[-1].case_id) == (100_000, "P0", "P99999")
    assert found[-1].place == "row 100001 of input 1"


def answer_quickly(case: BatchCase, setting: Setting, progress: Progress) -> Answer:
    """An answer that is only words."""
    return about_boxes(call("help")).ask(case.question)


def _no_formula(folder: Path) -> None:
    (folder / "m.csv").write_text('case_id,input,question\n1-2,x.nii,"=HYPERLINK(""http://x"")"\nA.1_2-3,x.nii,+1+1\n')
    (folder / "x.nii").write_text("x")
    with mock.patch.object(answering, "answer_case", answer_quickly):
        run_batch([folder / "m.csv"], folder / "out", segmenter=BoxSegmenter())
    with (folder / "out" / "summary.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert {"1-2", "A.1_2-3"} <= set(cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def row_of(name: str, wanted: str, check: Callable[[Path], None]) -> Row:
    """A row with a check of its own."""
    return Row(NUMBER, name, wanted, check)


TWO = (("a", "x.nii", "Liver?"), ("b", "sub/y.nii", "Spleen?"))
PLAIN = "case_id,input,question\na,x.nii,\nb,sub/y.nii,Spleen?\n"
JSON_ROW = json.dumps({"case_id": "a", "input": "x.nii", "question": CANARY})

ROWS: tuple[Row, ...] = (
    read_exactly("manifest with a byte order mark", "\ufeff" + PLAIN, *TWO),
    read_exactly("manifest with CRLF", PLAIN.replace("\n", "\r\n"), *TWO),
    read_exactly("manifest with CR alone", PLAIN.replace("\n", "\r"), *TWO),
    read_exactly("manifest without a last line end", PLAIN.rstrip(), *TWO),
    read_exactly("manifest with blank rows", PLAIN.replace("b,", "\n,,\nb,"), *TWO),
    read_exactly(
        "manifest with quotes, commas, line ends in cells",
        'case_id,input,question\n"a","x, ""y"".nii","Liver?\nSpleen?"\n',
        ("a", 'x, "y".nii', "Liver?\nSpleen?"),
    ),
    read_exactly("case_id nan", "case_id,input\nnan,NaN\n", ("nan", "NaN", "Liver?"), why="It is a name like any."),
    read_exactly(
        "input outside the manifest's folder",
        "case_id,input\na,../x.nii\nb,/data/y.nii\n",
        ("a", "../x.nii", "Liver?"),
        ("b", "/data/y.nii", "Liver?"),
        why="CTs lie where they lie; whoever wrote the manifest runs the command, and the gate reads nothing but CTs.",
    ),
    read_exactly(
        "JSONL with CRLF and a byte order mark", "\ufeff" + JSON_ROW + "\r\n", ("a", "x.nii", CANARY), suffix=".jsonl"
    ),
    row_of("manifest of 100,000 rows", "read exactly", _many_rows),
    row_of("formulas in a manifest", "no cell of summary.csv begins a formula", _no_formula),
    refused("manifest without rows", "case_id,input\n", "Row 2 of input 1 is missing: it names no case"),
    refused("empty manifest", "", "Row 1 of input 1 has no column case_id"),
    refused("empty JSONL manifest", "", "Row 1 of input 1 is missing: it names no case", suffix=".jsonl"),
    refused(
        "manifest without the column input", f"case_id,question\na,{CANARY}\n", "Row 1 of input 1 has no column input"
    ),
    refused(
        "manifest with an unknown column",
        f"case_id,input,{CANARY}\na,x,y\n",
        "Row 1 of input 1 has an unknown column in place 3",
    ),
    refused(
        "manifest with a column twice", "case_id,input,input\na,x,y\n", "Row 1 of input 1 has the column input twice"
    ),
    refused("manifest without a header", f"a,{CANARY}.nii\n", "Row 1 of input 1 has an unknown column in place 1"),
    refused(
        "row with a cell too many",
        f"case_id,input\na,x.nii\nb,y.nii,{CANARY}\n",
        "Row 3 of input 1 has more cells than the header",
    ),
    refused("row without an input", f"case_id,input\na,x.nii\n{CANARY},\n", "Row 3 of input 1 has no input"),
    refused("row without a case_id", f"case_id,input\n,{CANARY}.nii\n", "Row 2 of input 1 has no case_id"),
    refused(
        "case_id twice",
        f"case_id,input\n{CANARY},x\nb,y\n{CANARY.lower()},z\n",
        "Row 4 of input 1 has the case_id of row 2",
    ),
    refused(
        "case_id that leaves",
        f"case_id,input\n../{CANARY},x\n",
        "Row 2 of input 1 has a case_id that is no safe folder name",
    ),
    refused("case_id negative", "case_id,input\n-5,x\n", "Row 2 of input 1 has a case_id that is no safe folder name"),
    refused(
        "case_id that begins a formula",
        f"case_id,input\n=cmd|'{CANARY}'!A1,x\n",
        "Row 2 of input 1 has a case_id that is no safe folder name",
    ),
    refused(
        "case_id of 101 letters",
        f"case_id,input\n{'x' * 101},x\n",
        "Row 2 of input 1 has a case_id that is no safe folder name",
    ),
    refused(
        "case_id of a table",
        "case_id,input\nresults.jsonl,x\n",
        "Row 2 of input 1 has a case_id that is the name of a table",
    ),
    refused("unclosed quote", f'case_id,input\na,"{CANARY}\n', "Row 2 of input 1 is not CSV"),
    refused("NUL in a cell", f"case_id,input\na,x\nb,{CANARY}\0\n", "Row 3 of input 1 holds a NUL or half a character"),
    refused("invalid UTF-8", b"case_id,input\na,x\nb,\xff\xfe.nii\n", "Row 3 of input 1 is not UTF-8 text"),
    refused("UTF-16", PLAIN.encode("utf-16"), "Row 1 of input 1 is not UTF-8 text"),
    refused(
        "number NaN in JSONL",
        '{"case_id":"a","input":NaN}',
        "Row 1 of input 1 is not an object of texts",
        suffix=".jsonl",
    ),
    refused(
        "number below zero in JSONL",
        '{"case_id":-1,"input":"x"}',
        "Row 1 of input 1 is not an object of texts",
        suffix=".jsonl",
    ),
    refused(
        "row of JSONL that is a list",
        f'{JSON_ROW}\n["{CANARY}"]',
        "Row 2 of input 1 is not an object of texts",
        suffix=".jsonl",
    ),
    refused(
        "row of JSONL that is cut",
        f'{JSON_ROW}\n{{"case_id":"{CANARY}',
        "Row 2 of input 1 is not JSON",
        suffix=".jsonl",
    ),
    refused(
        "unknown key in JSONL",
        f'{{"case_id":"a","input":"x","{CANARY}":"y"}}',
        "Row 1 of input 1 has an unknown key",
        suffix=".jsonl",
    ),
    refused(
        "key twice in JSONL",
        '{"case_id":"a","input":"x","input":"y"}',
        "Row 1 of input 1 has a key twice",
        suffix=".jsonl",
    ),
    refused("100,000 brackets in JSONL", "[" * 100_000, "Row 1 of input 1 is not JSON", suffix=".jsonl"),
    refused(
        "NUL in JSONL",
        '{"case_id":"a","input":"\\u0000"}',
        "Row 1 of input 1 holds a NUL or half a character",
        suffix=".jsonl",
    ),
    refused(
        "half a surrogate pair in JSONL",
        '{"case_id":"a","input":"\\ud800"}',
        "Row 1 of input 1 holds a NUL or half a character",
        suffix=".jsonl",
    ),
)
