"""How commands end that a person, a system or a reader of their output stops."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from assistant.terminal import run_command, tell

ROOT = Path(__file__).resolve().parents[2]
TERMINATED = "Terminated; nothing half-done was kept.\n"
INTERRUPTED = "Interrupted; nothing half-done was kept.\n"


def started(
    *words: str, before: tuple[str, ...] = (), settings: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """A command that is at work."""
    command = subprocess.Popen(
        [*before, sys.executable, "-m", "tests.assistant.signal_program", *words],
        cwd=ROOT,
        env={**os.environ, **(settings or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    while (line := command.stdout.readline()) != "at work\n":
        assert line, command.communicate()[1]
    return command


def report_on(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "jane_doe.nii").write_text("x")
    return "report", str(tmp_path / "jane_doe.nii"), "--out", str(tmp_path / "out")


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, INTERRUPTED),
        (signal.SIGTERM, 143, TERMINATED),
        (signal.SIGHUP, 143, TERMINATED),
    ],
)
def test_signal_ends_a_batch_with_its_code_one_line_and_nothing_half_done(
    tmp_path: Path, number: int, code: int, said: str
) -> None:
    command = started(*report_on(tmp_path))
    command.send_signal(number)
    _, complained = command.communicate(timeout=20)
    assert (command.returncode, complained.strip()) == (code, said.strip())
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")]
    assert sorted(left) == ["jane_doe.nii", "out", "out/.bodymaps", "out/.bodymaps/key"]


@pytest.mark.parametrize("words", [("ask", "ct.nii", "Liver?"), ("demo",), ("evaluate", "vision", "folder")])
def test_signal_ends_every_command_alike(tmp_path: Path, words: tuple[str, ...]) -> None:
    out = () if words[0] == "ask" else ("--out", str(tmp_path / "out"))
    command = started(*words, *out)
    command.terminate()
    assert command.communicate(timeout=20)[1] == TERMINATED
    assert command.returncode == 143
    assert list(tmp_path.iterdir()) == []


def test_second_signal_ends_the_command_at_once(tmp_path: Path) -> None:
    command = started(*report_on(tmp_path), settings={"SLOW_CLEANING": "1"})
    assert command.stdout is not None
    command.send_signal(signal.SIGINT)
    assert command.stdout.readline() == "cleaning\n"
    command.send_signal(signal.SIGINT)
    assert command.communicate(timeout=20)[1] == ""
    # A shell shows this as 130 too.
    assert command.returncode == -signal.SIGINT


def test_hangup_that_is_to_be_ignored_is_ignored(tmp_path: Path) -> None:
    command = started(*report_on(tmp_path), before=("nohup",))
    command.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired, match="timed out"):
        command.communicate(timeout=1)
    command.terminate()
    command.communicate(timeout=20)
    assert command.returncode == 143


def bodymaps(*words: str, **streams: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "assistant.cli", *words], cwd=ROOT, text=True, **streams)


def test_reader_that_leaves_ends_the_command_quietly() -> None:
    command = bodymaps("info", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None
    command.stdout.close()
    assert command.stderr is not None
    assert command.stderr.read() == ""
    assert command.wait(timeout=20) == 141


def test_reader_of_both_streams_that_leaves_ends_the_command_too() -> None:
    command = bodymaps("info", "--json", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert command.stdout is not None
    command.stdout.close()
    assert command.wait(timeout=20) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_output_onto_a_full_disk_is_a_resource_error() -> None:
    with open("/dev/full", "w") as full:
        command = bodymaps("info", stdout=full, stderr=subprocess.PIPE)
        complained = command.communicate(timeout=20)[1]
    assert command.returncode == 5
    assert complained.startswith("E_DISK: The disk is full.\n")
    assert "Traceback" not in complained


def test_person_who_has_left_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Left(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Left())
    tell("Is anybody there?")


@pytest.mark.parametrize(
    ("ends_with", "code"),
    [(None, 0), (SystemExit(), 0), (SystemExit(4), 4), (SystemExit("words"), 1), (KeyboardInterrupt(), 130)],
)
def test_command_ends_with_a_code(ends_with: BaseException | None, code: int) -> None:
    def command() -> None:
        if ends_with is not None:
            raise ends_with

    assert run_command(command) == code


def test_signals_are_as_before_once_a_command_has_ended() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    during = []
    run_command(lambda: during.append(signal.getsignal(signal.SIGTERM)))
    assert during != before[1:2]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
