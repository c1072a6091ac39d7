"""The command line: what goes to which stream, how it ends, and that its light commands stay light."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from assistant import cli
from assistant.records import INTENDED_USE, AnswerRecord, WarningRecord
from assistant.terminal import tell_error
from vision.errors import InputRefused, ResourceError, UsageError, UserError, WeightsError
from vision.io import Choices

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "gradio", "nibabel", "scipy", "monai", "transformers")


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "assistant.cli", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(frozen=True)
class WrittenAnswer:
    record: AnswerRecord

    @property
    def text(self) -> str:
        return self.record.text

    def save(self, folder: Path) -> Path:
        folder.mkdir()
        (folder / "answer.json").write_text(self.record.model_dump_json())
        return folder


class WrittenConversation:
    def ask(self, question: str, *, progress: Callable[[str, float], None]) -> WrittenAnswer:
        progress("looking", 0.5)
        warning = WarningRecord(code="W_PARTIAL", text="The scan is short.")
        record = AnswerRecord(
            question=question, text="The liver: 1,500 mL.", planner="rules", segmenter="x", warnings=(warning,)
        )
        return WrittenAnswer(record)


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command in this process, on conversations that are already written; returns the exit code.

    Opening `raise_this` raises it instead.
    """

    def run(*words: str, raise_this: BaseException | None = None) -> int:
        def open_ct(
            path: Path, *, choices: Choices, segmenter: None, planner: None, progress: object
        ) -> WrittenConversation:
            if raise_this is not None:
                raise raise_this
            return WrittenConversation()

        api = ModuleType("assistant.api")
        monkeypatch.setattr(api, "open_ct", open_ct, raising=False)
        monkeypatch.setattr(api, "named_segmenter", lambda model: None, raising=False)
        monkeypatch.setitem(sys.modules, "assistant.api", api)
        monkeypatch.setattr(sys, "argv", ["bodymaps", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    return run


@pytest.mark.parametrize("words", ["'info', '--json'", "'--help'", "'ask', '--help'", "'report', '--help'"])
def test_light_command_imports_nothing_heavy(words: str) -> None:
    program = (
        f"import sys\nfrom assistant.cli import main\nsys.argv = ['bodymaps', {words}]\n"
        f"try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip().splitlines()[-1] == "[]"


def test_info_is_one_json_object_that_says_how_each_structure_is_had() -> None:
    told = json.loads(command("info", "--json").stdout)
    assert {row["ability"] for row in told["structures"]} <= {"segments", "derives", "cannot"}
    assert {"liver", "pancreas_tail", "liver_segment_4", "liver_lesion"} <= {row["name"] for row in told["structures"]}
    assert told["intended_use"] == INTENDED_USE


def test_info_for_people_names_what_is_missing() -> None:
    assert "Cannot segment yet" in command("info").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("aks", "ct.nii.gz", "liver?"), 2, "Did you mean 'ask'"),
        (("ask", "ct.nii.gz"), 2, "Missing argument"),
        (("chat", "--auth", "anna"), 2, "E_AUTH: --auth is not USER:PASSWORD"),
        (("report", "no-such-folder", "--out", "out"), 3, "E_NOT_FOUND: Input 1 does not exist"),
        (("train", "vision", "--cases", "none.json", "--out", "out"), 3, "E_NOT_FOUND: The case list does not exist"),
    ],
)
def test_wrong_use_ends_with_its_code_and_no_traceback(words: tuple[str, ...], code: int, said: str) -> None:
    done = command(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_text_file_called_ct_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").write_text("hello")
    done = command("inspect", str(tmp_path / "ct.nii.gz"))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("E_")
    assert "Traceback" not in done.stderr


def test_answer_goes_to_stdout_and_the_rest_to_stderr(main, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("ask", "ct.nii", "How big is the liver?") == 0
    streams = capsys.readouterr()
    assert streams.out == "The liver: 1,500 mL.\n"
    assert "W_PARTIAL: The scan is short." in streams.err
    assert INTENDED_USE in streams.err


def test_json_answer_is_the_record(main, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("ask", "ct.nii", "How big is the liver?", "--json") == 0
    streams = capsys.readouterr()
    assert AnswerRecord.model_validate_json(streams.out).question == "How big is the liver?"
    assert "The liver: 1,500 mL." in streams.err


def test_answer_is_saved_where_asked_and_printed_as_saved(
    main, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main("ask", "ct.nii", "Liver?", "--json", "--out", str(tmp_path / "out")) == 0
    assert capsys.readouterr().out.rstrip() == (tmp_path / "out" / "answer.json").read_text().rstrip()


def test_answer_that_cannot_be_saved_is_said_all_the_same(
    main, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(answer: WrittenAnswer, folder: Path) -> Path:
        raise ResourceError("E_DISK", "The disk is full.", "Free space.")

    monkeypatch.setattr(WrittenAnswer, "save", fail)
    assert main("ask", "ct.nii", "Liver?", "--out", str(tmp_path / "out")) == 5
    streams = capsys.readouterr()
    assert streams.out == "The liver: 1,500 mL.\n"
    assert "E_DISK" in streams.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("E_X", "What.", "Do."), 2),
        (InputRefused("E_X", "What.", "Do."), 3),
        (ResourceError("E_X", "What.", "Do."), 5),
        (WeightsError("E_X", "What.", "Do."), 6),
    ],
)
def test_user_error_is_shown_as_it_is(main, capsys: pytest.CaptureFixture[str], error: UserError, code: int) -> None:
    assert main("ask", "ct.nii", "Liver?", raise_this=error) == code
    assert capsys.readouterr().err == "E_X: What.\nDo.\n"


def test_memory_that_runs_out_is_a_resource_error(main, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("ask", "ct.nii", "Liver?", raise_this=MemoryError()) == 5
    assert capsys.readouterr().err.startswith("E_MEMORY")


def test_interruption_ends_with_130(main, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("ask", "ct.nii", "Liver?", raise_this=KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.endswith("Interrupted; nothing half-done was kept.\n")


def test_our_own_mistake_is_one_plain_line(main, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("ask", "ct.nii", "Liver?", raise_this=ZeroDivisionError("secret")) == 1
    assert capsys.readouterr().err == "Unexpected ZeroDivisionError; run with BODYMAPS_DEBUG=1 for details.\n"


def test_our_own_mistake_is_shown_whole_for_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYMAPS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError, match="secret"):
        tell_error(ZeroDivisionError("secret"))
