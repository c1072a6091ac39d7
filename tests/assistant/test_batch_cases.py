"""Which cases the inputs of a batch hold, what they are called, and which inputs are refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assistant.batch.cases import find_cts, name_cases, opaque_name, own_name
from tests.vision.small_files import dicom_bytes, dicom_slices, write_series
from vision.errors import InputRefused, UsageError

KEY = bytes(range(32))


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def found(*inputs: Path, out: Path = Path("nowhere")) -> list[tuple[str, str]]:
    cases = name_cases(find_cts(inputs, question="q", out=out), own_name)
    return [(case.case_id, case.input.name) for case in cases]


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


def test_folder_of_slices_is_one_case_whatever_else_lies_in_it(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", dicom_slices()[:2])
    touch(folder / "SR" / "report", folder / "notes.zip", folder / "copy.nii")
    assert found(folder) == [("series", "series")]


def test_an_index_of_dicom_makes_no_case_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(dicom_bytes(dicom_slices()[0]))
    touch(tmp_path / "one" / "1", tmp_path / "two" / "1")
    assert found(tmp_path) == [("one", "one"), ("two", "two")]


def test_results_among_the_cts_are_no_case(tmp_path: Path) -> None:
    touch(tmp_path / "a.nii", tmp_path / "reports" / "case-0" / "answer.json")
    assert found(tmp_path, out=tmp_path / "reports") == [("a", "a.nii")]


def test_results_that_would_lie_among_the_cts_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "cts" / "a.nii")
    with pytest.raises(UsageError, match="E_OUT: The results would lie among the CTs of input 1"):
        found(tmp_path / "cts", out=tmp_path / "x" / ".." / "cts")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("p 7!/ct.nii.gz", "p_7"),
        ("scan.nii.gz", "scan"),
        ("Müller, Jörg.nii", "M_ller_J_rg"),
        ("--rm -rf.zip", "rm_-rf"),
        ("...nii", "case"),
        ("results.jsonl.nii.gz", "case_results.jsonl"),
        ("run-part-0-of-2.json", "case_run-part-0-of-2.json"),
        (f"{'x' * 180}.nii", "x" * 100),
    ],
)
def test_own_name_is_a_safe_folder_name(tmp_path: Path, path: str, name: str) -> None:
    assert own_name(tmp_path / path) == name


def test_opaque_name_depends_on_the_key_and_the_resolved_path_alone(tmp_path: Path) -> None:
    touch(tmp_path / "doe^jane.nii")
    name = opaque_name(tmp_path / "doe^jane.nii", KEY)
    assert re.fullmatch("case-[0-9a-f]{10}", name)
    assert opaque_name(tmp_path / "sub" / ".." / "doe^jane.nii", KEY) == name
    assert opaque_name(tmp_path / "doe^joan.nii", KEY) != name
    assert opaque_name(tmp_path / "doe^jane.nii", bytes(32)) != name


def test_two_cases_of_one_name_are_refused_by_their_places(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "case.nii", tmp_path / "y" / "a.nii", tmp_path / "y" / "CASE.nii")
    with pytest.raises(UsageError, match=r"E_DUPLICATE_CASE: .*: input 1 and CT 1 of input 2") as refused:
        found(tmp_path / "x" / "case.nii", tmp_path / "y")
    assert "CASE.nii" not in str(refused.value)


def test_no_input_is_refused() -> None:
    with pytest.raises(UsageError, match="E_NO_CASES"):
        found()


def test_refused_input_is_told_by_its_position_and_never_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "roe_jane").mkdir()
    touch(tmp_path / "a.nii")
    for bad, said in (
        (tmp_path / "roe_jane", "E_EMPTY_FOLDER: Input 2 is an empty folder"),
        (tmp_path / "roe_jane.nii", "E_NOT_FOUND: Input 2 does not exist"),
        (tmp_path / f"roe_jane{'x' * 300}", "E_NOT_FOUND: Input 2 does not exist"),
        (Path("roe_jane\0"), "E_NOT_FOUND: Input 2 does not exist"),
    ):
        with pytest.raises(InputRefused, match=said) as refused:
            found(tmp_path / "a.nii", bad)
        assert "jane" not in str(refused.value)


def test_input_that_may_not_be_looked_at_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(path: Path, **options: object) -> None:
        raise PermissionError

    (tmp_path / "cts").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", forbid)
        with pytest.raises(InputRefused, match="E_PERM: Input 1 cannot be listed"):
            found(tmp_path / "cts")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", forbid)
        with pytest.raises(InputRefused, match="E_PERM: Input 1 cannot be read"):
            found(tmp_path / "cts")
