"""No patient text travels: canaries planted in every text of an input are found nowhere in what comes out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.canaries import INPUTS, TEXT_TAGS, canaries_in, leaks_in, planted, word, write_dicom, write_nifti
from tests.spy import seen_in, spied_on

QUESTION = f"Segment the liver of {word('question')} and give its volume."
FAKE = """
from tests.fakes import BoxSegmenter
from assistant import api
api.default_segmenter = BoxSegmenter
"""
RUN = """
from assistant.cli import main
main()
"""


@dataclass(frozen=True)
class Ran:
    """What one run of the command left: its streams, the folder it wrote to, and all that the spy saw."""

    code: int
    out: str
    err: str
    folder: Path
    seen: str

    @property
    def leaks(self) -> dict[str, set[str]]:
        """Where canaries came out, the question's own left aside in what was asked for."""
        asked = {word("question")}
        found = {
            "stdout": canaries_in(self.out) - asked,
            "stderr": canaries_in(self.err),
            "seen": canaries_in(self.seen),
        }
        found |= {name: leaked - asked for name, leaked in leaks_in(self.folder).items()}
        return {name: leaked for name, leaked in found.items() if leaked}


def run(folder: Path, *words: str, program: str = FAKE + RUN) -> Ran:
    """Run the command in a process of its own, spied on together with all its children."""
    environment = spied_on(folder)
    temporary = folder / "tmp"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=temporary,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    assert "Traceback" not in done.stderr
    seen = seen_in(folder)
    assert list(temporary.rglob("*")) == []
    return Ran(done.returncode, done.stdout, done.stderr, folder / "out", seen)


def slow(*values: str) -> object:
    """Parameters for the slow run only."""
    return pytest.param(*values, marks=pytest.mark.slow)


def test_every_kind_of_input_holds_its_canaries(tmp_path: Path) -> None:
    counts = {}
    for name, write in INPUTS.items():
        (tmp_path / name).mkdir()
        counts[name] = len(planted(write(tmp_path / name)))
    assert len(TEXT_TAGS) >= 40
    assert counts["dicom"] >= len(TEXT_TAGS) + 20
    assert counts["zip"] >= counts["dicom"]
    assert counts["nifti"] >= 8


@pytest.mark.parametrize("kind", INPUTS)
def test_ask_lets_no_canary_out(kind: str, tmp_path: Path) -> None:
    path = INPUTS[kind](tmp_path)
    ran = run(tmp_path, "ask", str(path), QUESTION, "--out", str(tmp_path / "out"), "--json")
    assert ran.code == 0, ran.err
    assert "vision.io.child" in ran.seen
    record = json.loads(ran.out)
    assert record.pop("question") == QUESTION
    assert canaries_in(json.dumps(record)) == set()
    assert {file.name for file in ran.folder.iterdir()} >= {"answer.json", "masks", "preview.png"}
    assert ran.leaks == {}


@pytest.mark.parametrize("kind", INPUTS)
def test_inspect_lets_no_canary_out(kind: str, tmp_path: Path) -> None:
    path = INPUTS[kind](tmp_path)
    ran = run(tmp_path, "inspect", str(path), *(["--json"] if kind == "zip" else []))
    assert (ran.code, bool(ran.out)) == (0, True)
    assert ran.leaks == {}


def check_report(folder: Path, kinds: Sequence[str], *options: str) -> Ran:
    """Report on CTs by their paths and by a manifest, one of them broken."""
    paths = [str(INPUTS[kind](folder)) for kind in kinds]
    manifest = folder / f"{word('manifest')}.jsonl"
    rows = [{"case_id": f"c{number}", "input": path, "question": QUESTION} for number, path in enumerate(paths)]
    broken = folder / f"{word('broken')}.nii.gz"
    broken.write_bytes(Path(paths[0]).read_bytes()[:-200])
    rows.append({"case_id": "broken", "input": str(broken)})
    manifest.write_text("\n".join(map(json.dumps, rows)))
    ran = run(folder, "report", *paths, str(manifest), "--out", str(folder / "out"), *options)
    assert ran.code == 4, ran.err
    assert "E_TRUNCATED" in ran.out + ran.err
    assert ran.leaks == {}
    return ran


def test_report_of_some_lets_no_canary_out(tmp_path: Path) -> None:
    ran = check_report(tmp_path, ["nifti"])
    assert len(list(ran.folder.glob("[!.]*/case.json"))) == 3


@pytest.mark.slow
def test_report_of_many_lets_no_canary_out(tmp_path: Path) -> None:
    ran = check_report(tmp_path, ["nifti", "zip", "dicom"], "--format", "md,html,json")
    assert len(list(ran.folder.glob("[!.]*/case.json"))) == 7


@pytest.mark.slow
def test_report_that_is_only_tried_lets_no_canary_out(tmp_path: Path) -> None:
    check_report(tmp_path, ["nifti", "zip", "dicom"], "--dry-run")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("csv", f"case_id,input,{word('column')}\nc1,ct.nii,x\n"),
        slow("csv", f"case_id,input\n{word('case')}/..,ct.nii\n"),
        slow("csv", f'case_id,input\nc1,"{word("cell")}\n'),
        ("csv", f"case_id,input\nc1,{word('input')}.nii\n"),
        slow("jsonl", f'{{"case_id": "c1", "input": "x", "{word("key")}": "y"}}'),
        ("jsonl", f'{{"case_id": "{word("half")}'),
    ],
)
def test_refused_manifest_lets_no_canary_out(name: str, content: str, tmp_path: Path) -> None:
    manifest = tmp_path / f"{word('manifest')}.{name}"
    manifest.write_text(content)
    ran = run(tmp_path, "report", str(manifest), "--out", str(tmp_path / "out"))
    assert ran.code in (2, 4)
    assert ran.err.startswith("E_MANIFEST") or "E_NOT_FOUND" in ran.err
    assert ran.leaks == {}


def damaged(path: Path, kind: str) -> Path:
    """The input with a fault that the gate must name."""
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-300])
    elif kind == "text":
        path.write_text(word("text"))
    elif kind == "missing":
        path.unlink()
    else:
        slices = sorted(path.rglob("*.dcm"))
        if kind == "gap":
            slices[len(slices) // 2].unlink()
        elif kind == "cut":
            slices[3].write_bytes(slices[3].read_bytes()[:-400])
        else:
            slices[3].write_bytes(slices[3].read_bytes().replace(b"\x28\x00\x30\x00", b"\x28\x00\x31\x00", 1))
    return path


@pytest.mark.parametrize("kind", ["truncated", slow("text"), slow("missing"), "gap", slow("cut"), slow("no spacing")])
def test_refused_input_lets_no_canary_out(kind: str, tmp_path: Path) -> None:
    path = damaged((write_nifti if kind in ("truncated", "text", "missing") else write_dicom)(tmp_path), kind)
    ran = run(tmp_path, "ask", str(path), QUESTION, "--out", str(tmp_path / "out"))
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("E_")
    assert ran.leaks == {}


FAIL = f"""
import pydicom
from tests.fakes import BoxSegmenter
from assistant import api

class Failing(BoxSegmenter):
    def encode(self, ct, progress=None):
        patient = "{word("local")}"
        raise RuntimeError("of " + patient)

api.default_segmenter = Failing
"""
UNCAUGHT = """
import sys
from assistant import ask
from assistant.logs import install_clean_logs
install_clean_logs()
ask(sys.argv[1], "Segment the liver.")
"""


def test_error_of_our_own_lets_no_canary_out(tmp_path: Path) -> None:
    path = write_dicom(tmp_path)
    ran = run(tmp_path, "ask", str(path), QUESTION, program=FAIL + RUN)
    assert ran.code == 1
    assert ran.err == "Unexpected RuntimeError; run with BODYMAPS_DEBUG=1 for details.\n"
    assert ran.leaks == {}
    ran = run(tmp_path, str(path), program=FAIL + UNCAUGHT)
    assert ran.code == 1
    assert ran.err.startswith("RuntimeError\n")
    assert ran.leaks == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", INPUTS)
def test_shipped_model_lets_no_canary_out(kind: str, tmp_path: Path) -> None:
    path = INPUTS[kind](tmp_path)
    ran = run(tmp_path, "ask", str(path), QUESTION, "--out", str(tmp_path / "out"), "--json", program=RUN)
    assert ran.code == 0, ran.err
    assert "universal (" in ran.out
    assert ran.leaks == {}
