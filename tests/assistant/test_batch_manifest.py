"""Manifests of a batch: read exactly, or refused with the row that is wrong. More of them: tests/catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.batch.cases import find_cts
from assistant.batch.manifest import ManifestRow, read_manifest
from vision.errors import InputRefused, UsageError


def written(folder: Path, text: str | bytes, name: str = "doe_jane.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "case_id,input,question\na,x.nii,Segment it.\n\nb,sub/y.nii,\n"),
        ("m.CSV", "\ufeff case_id , input , question \r\n a , x.nii , Segment it. \r\n\r\nb,sub/y.nii\r\n"),
        ("m.csv", 'question,input,"case_id"\n"Segment it.","x.nii","a"\n,,\n,sub/y.nii,b'),
        (
            "m.jsonl",
            '\ufeff{"case_id":"a","input":"x.nii","question":"Segment it."}\r\n\n{"case_id":"b","input":"sub/y.nii"}',
        ),
    ],
)
def test_manifest_names_its_cases(tmp_path: Path, name: str, text: str) -> None:
    manifest = written(tmp_path, text, name)
    last = 4 if name == "m.csv" and "," in text.splitlines()[-2] else 3 if name == "m.jsonl" else 4
    assert read_manifest(manifest, "input 1") == [
        ManifestRow(1 if name == "m.jsonl" else 2, "a", "x.nii", "Segment it."),
        ManifestRow(last, "b", "sub/y.nii", None),
    ]


def test_cases_of_a_manifest_lie_beside_it_and_ask_the_common_question_where_they_ask_none(tmp_path: Path) -> None:
    manifest = written(tmp_path, "case_id,input,question\na,x.nii,Segment it.\nb,/data/y.nii,\n")
    found = find_cts([manifest], question="Default?", out=tmp_path / "out")
    assert [(ct.case_id, ct.input, ct.question, ct.place) for ct in found] == [
        ("a", tmp_path / "x.nii", "Segment it.", "row 2 of input 1"),
        ("b", Path("/data/y.nii"), "Default?", "row 3 of input 1"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.csv", "case_id,input\na,x.nii\nb,\n", "Row 3 of input 1 has no input"),
        ("m.csv", "case_id,input\n,x.nii\n", "Row 2 of input 1 has no case_id"),
        ("m.csv", "case_id,path\na,x.nii\n", "Row 1 of input 1 has an unknown column in place 2"),
        ("m.csv", "case_id,input,input\na,x.nii,y.nii\n", "Row 1 of input 1 has the column input twice"),
        ("m.csv", "case_id,question\na,x.nii\n", "Row 1 of input 1 has no column input"),
        ("m.csv", "", "Row 1 of input 1 has no column case_id"),
        ("m.csv", "case_id,input\n\n", "Row 2 of input 1 is missing: it names no case"),
        ("m.csv", "case_id,input\na,x.nii,q,r\n", "Row 2 of input 1 has more cells"),
        ("m.csv", "case_id,input\n../a,x.nii\n", "Row 2 of input 1 has a case_id that is no safe folder name"),
        ("m.csv", "case_id,input\nsummary.csv,x.nii\n", "Row 2 of input 1 has a case_id that is the name of a table"),
        ("m.csv", 'case_id,input\na,"x\n', "Row 2 of input 1 is not CSV"),
        ("m.csv", b"case_id,input\na,x\nb,\xff\xfe\n", "Row 3 of input 1 is not UTF-8 text"),
        ("m.csv", "case_id,input\na,x\0\n", "Row 2 of input 1 holds a NUL or half a character"),
        ("m.csv", "case_id,input\na,x\nA,y\n", "Row 3 of input 1 has the case_id of row 2"),
        ("m.jsonl", "\n", "Row 1 of input 1 is missing: it names no case"),
        ("m.jsonl", '{"case_id":"a","input":"x"}\nnope', "Row 2 of input 1 is not JSON"),
        ("m.jsonl", "[" * 100_000, "Row 1 of input 1 is not JSON"),
        ("m.jsonl", '["a", "x"]', "Row 1 of input 1 is not an object of texts"),
        ("m.jsonl", '{"case_id":"a","input":NaN}', "Row 1 of input 1 is not an object of texts"),
        ("m.jsonl", '{"case_id":"a","input":{"x": "y"}}', "Row 1 of input 1 is not an object of texts"),
        ("m.jsonl", '{"case_id":"a","input":"x","prior":"y"}', "Row 1 of input 1 has an unknown key"),
        ("m.jsonl", '{"case_id":"a","input":"x","input":"y"}', "Row 1 of input 1 has a key twice"),
        ("m.jsonl", '{"case_id":"a","input":"\\u0000"}', "Row 1 of input 1 holds a NUL or half a character"),
        ("m.jsonl", '{"case_id":"a","input":"\\ud800"}', "Row 1 of input 1 holds a NUL or half a character"),
    ],
)
def test_malformed_manifest_names_the_row_and_quotes_nothing(
    tmp_path: Path, name: str, text: str | bytes, said: str
) -> None:
    with pytest.raises(UsageError, match=f"E_MANIFEST: {said}"):
        find_cts([written(tmp_path, text, name)], question="q", out=tmp_path / "out")


def test_manifest_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(path: Path) -> bytes:
        raise PermissionError

    manifest = written(tmp_path, "case_id,input\na,x\n")
    monkeypatch.setattr(Path, "read_bytes", forbid)
    with pytest.raises(InputRefused, match="E_PERM: Input 1 cannot be read"):
        find_cts([manifest], question="q", out=tmp_path / "out")
