"""Which cases the inputs of a batch hold, and which manifests are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.batch.cases import read_cases
from vision.errors import InputRefused, UsageError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def found(*inputs: Path) -> list[tuple[str, str]]:
    return [(case.case_id, case.input.name) for case in read_cases(inputs, question="q")]


def test_folder_of_cases_holds_one_for_each_entry(tmp_path: Path) -> None:
    touch(tmp_path / "b" / "ct.nii.gz", tmp_path / "b" / "labels.nii.gz", tmp_path / "a.nii", tmp_path / ".hidden")
    touch(tmp_path / "c.zip", tmp_path / "d" / "IM0001", tmp_path / "README.md")
    assert found(tmp_path) == [("a", "a.nii"), ("b", "ct.nii.gz"), ("c", "c.zip"), ("d", "d")]


def test_folder_that_keeps_a_ct_is_one_case(tmp_path: Path) -> None:
    touch(tmp_path / "p1" / "ct.nii.gz", tmp_path / "p1" / "masks" / "liver.nii.gz")
    assert found(tmp_path / "p1") == [("p1", "ct.nii.gz")]


def test_folder_of_dicom_files_is_one_case(tmp_path: Path) -> None:
    touch(tmp_path / "series" / "1.dcm", tmp_path / "series" / "2.dcm")
    assert found(tmp_path / "series") == [("series", "series")]


def test_file_called_ct_takes_the_name_of_its_folder(tmp_path: Path) -> None:
    touch(tmp_path / "p 7!" / "ct.nii.gz")
    assert found(tmp_path / "p 7!" / "ct.nii.gz") == [("p_7", "ct.nii.gz")]


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_EMPTY_FOLDER"):
        found(tmp_path)


def test_missing_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"E_NOT_FOUND: no\.nii does not exist"):
        found(tmp_path / "no.nii")


def test_no_input_is_refused() -> None:
    with pytest.raises(UsageError, match="E_NO_CASES"):
        found()


def test_two_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "case.nii", tmp_path / "y" / "CASE.nii")
    with pytest.raises(UsageError, match="E_DUPLICATE_CASE"):
        found(tmp_path / "x" / "case.nii", tmp_path / "y" / "CASE.nii")


def manifest(tmp_path: Path, text: str, name: str = "cases.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cases.csv", "case_id,input,question\na,x.nii,Segment it.\n\nb,sub/y.nii,\n"),
        ("cases.csv", "\ufeffcase_id,input,question\r\na,x.nii,Segment it.\r\nb,sub/y.nii,\r\n"),
        (
            "cases.jsonl",
            '{"case_id":"a","input":"x.nii","question":"Segment it."}\n\n{"case_id":"b","input":"sub/y.nii"}',
        ),
    ],
)
def test_manifest_names_its_cases(tmp_path: Path, name: str, text: str) -> None:
    cases = read_cases([manifest(tmp_path, text, name)], question="Default?")
    assert [(case.case_id, case.input, case.question) for case in cases] == [
        ("a", tmp_path / "x.nii", "Segment it."),
        ("b", tmp_path / "sub" / "y.nii", "Default?"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("m.csv", "case_id,input\na,x.nii\nb,\n", "Row 3 of m.csv has no input"),
        ("m.csv", "case_id,path\na,x.nii\n", "Row 2 of m.csv has the unknown column 'path'"),
        ("m.csv", "case_id,input\na,x.nii,q,r\n", "Row 2 of m.csv has more cells"),
        ("m.csv", "case_id,input\n../a,x.nii\n", "Row 2 of m.csv has the case_id '../a'"),
        ("m.csv", 'case_id,input\na,"x\n', "Row 2 of m.csv is not CSV"),
        ("m.jsonl", '{"case_id":"a","input":"x"}\nnope', "Row 2 of m.jsonl is not JSON"),
        ("m.jsonl", '{"case_id":1,"input":"x"}', "Row 1 of m.jsonl is not an object of texts"),
        ("m.csv", "case_id,input\na,x\nA,y\n", "E_DUPLICATE_CASE: Two cases are called 'A'"),
        ("m.csv", "case_id,input\n", "E_NO_CASES"),
    ],
)
def test_malformed_manifest_names_the_row(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace(".", r"\.")):
        read_cases([manifest(tmp_path, text, name)], question="q")


def test_manifest_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UsageError, match=r"m\.csv is not UTF-8"):
        read_cases([tmp_path / "m.csv"], question="q")
