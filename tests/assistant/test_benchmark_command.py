"""The speed benchmark: phases, medians, peaks, and runs that fail. A stand-in takes the place of the network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from assistant import benchmark, cli, commands_benchmark
from assistant.benchmark import PHASES, Run, benchmark_ct, benchmark_table, peak_mib, time_answer
from tests.fakes import BoxSegmenter
from vision.benchmark import apart
from vision.errors import InputRefused, ResourceError, UsageError
from vision.io import write_ct
from vision.phantom import make_phantom

QUESTION, FOLLOW_UP = "Segment the liver.", "How big is the spleen?"


@pytest.fixture(scope="module")
def ct_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    phantom = make_phantom(spacing_mm=(6.0, 6.0, 8.0), lesions=())
    return write_ct(phantom.ct, tmp_path_factory.mktemp("ct") / "ct.nii.gz")


def a_run(**changes: object) -> Run:
    seconds = dict.fromkeys(("start", "read", "encode", "masks", "words", "answer", "follow_up"), 1.0)
    values = {
        **seconds,
        "peak_mib": 900.0,
        "text": "The liver: 1,500 mL.",
        "segmenter": "boxes",
        "planner": "rules",
        "shape": (4, 5, 6),
        "spacing_mm": (1.0, 1.0, 2.5),
    }
    return Run.model_validate({**values, **changes})


def writes(*lines: str) -> tuple[str, ...]:
    """A command that takes the place of one run."""
    return sys.executable, "-c", "; ".join(lines)


def test_one_run_times_every_phase_of_the_answer(ct_file: Path) -> None:
    run = time_answer(ct_file, QUESTION, FOLLOW_UP, load_segmenter=BoxSegmenter)
    assert run.answer == pytest.approx(run.read + run.encode + run.masks + run.words, abs=0.01)
    assert min(run.read, run.masks, run.follow_up) > 0
    assert "liver" in run.text.lower()
    assert run.segmenter == "boxes"


def test_question_without_a_mask_times_nothing(ct_file: Path) -> None:
    with pytest.raises(UsageError, match="E_NO_MASK"):
        time_answer(ct_file, "What can you do?", FOLLOW_UP, load_segmenter=BoxSegmenter)


def test_peak_memory_holds_what_this_process_holds() -> None:
    before = peak_mib()
    assert before is not None
    kept = bytearray(b"1") * (64 << 20)
    after = peak_mib()
    assert after is not None
    assert after >= before
    assert after > len(kept) >> 20


def test_medians_are_over_runs_and_the_peak_is_the_largest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ct_file: Path
) -> None:
    written = iter([a_run(encode=3.0, peak_mib=800.0), a_run(encode=9.0), a_run(encode=4.0)])
    monkeypatch.setattr(benchmark, "_run_apart", lambda command: next(written))
    timed = benchmark_ct(ct_file, runs=3)
    assert timed.seconds["encode"] == 4.0
    assert timed.peak_mib == 900.0
    assert timed.seconds.keys() == PHASES.keys()


def test_each_run_is_a_process_of_its_own_that_is_told_what_to_ask(ct_file: Path) -> None:
    told = a_run().model_dump_json()
    one_run = writes("import sys", "assert sys.argv[2:] == ['Liver?', 'Spleen?', '2']", f"print({told!r})")
    told_steps: list[str] = []
    timed = benchmark_ct(
        ct_file,
        question="Liver?",
        follow_up="Spleen?",
        series="2",
        runs=2,
        one_run=one_run,
        progress=lambda step, share: told_steps.append(step),
    )
    assert len(timed.runs) == 2
    assert timed.runs[0].process > 0
    assert told_steps == ["run 1 of 2", "run 2 of 2", "done"]


def test_run_that_is_refused_is_refused_here(tmp_path: Path) -> None:
    one_run = writes(
        "import sys", "print('E_NOT_FOUND: no such CT.\\nCheck the path.', file=sys.stderr)", "sys.exit(3)"
    )
    with pytest.raises(InputRefused, match=r"E_NOT_FOUND: no such CT\. Check the path\."):
        benchmark_ct(tmp_path / "none.nii", runs=1, one_run=one_run)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("import os", "os.kill(os.getpid(), 9)"), "E_KILLED: A run was ended by signal 9"),
        (("raise SystemExit(1)",), "E_BENCHMARK: A run ended with 1"),
        (("print('hello')",), "E_BENCHMARK: A run told nothing"),
    ],
)
def test_run_that_dies_is_a_resource_error(ct_file: Path, lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(ResourceError, match=said):
        benchmark_ct(ct_file, runs=1, one_run=writes(*lines))


def test_no_runs_are_refused(ct_file: Path) -> None:
    with pytest.raises(UsageError, match="E_RUNS"):
        benchmark_ct(ct_file, runs=0)


def test_table_shows_every_phase_and_the_peak(ct_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "_run_apart", lambda command: a_run(encode=7.25))
    console = Console(width=120, record=True)
    console.print(benchmark_table(benchmark_ct(ct_file, runs=1)))
    shown = console.export_text()
    assert [words for words in PHASES.values() if words not in shown] == []
    assert "7.25" in shown
    assert "900" in shown
    assert "4x5x6 voxels of 1x1x2.5 mm" in shown


def test_command_prints_json(
    ct_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "_run_apart", lambda command: a_run())
    monkeypatch.setattr(sys, "argv", ["bodymaps", "benchmark", str(ct_file), "--runs", "2", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    told = json.loads(capsys.readouterr().out)
    assert len(told["runs"]) == 2
    assert told["seconds"]["follow_up"] == 1.0


def test_options_may_stand_before_the_ct(
    ct_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "_run_apart", lambda command: a_run())
    monkeypatch.setattr(sys, "argv", ["bodymaps", "benchmark", "--runs", "1", "--json", str(ct_file)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 1


def test_speed_command_measures_the_parts_that_are_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = {"segmenter": "s", "load": 1.0, "encode": 1.0, "structures": {"liver": 1.0, "spleen": 1.0}, "found": 2}
    told = json.dumps({**run, "peak_mib": 9.0, "gpu_mib": None})
    done = subprocess.CompletedProcess([], 0, told, "")
    monkeypatch.setattr(apart.subprocess, "run", lambda *command, **options: done)
    words = ["speed", "--shape", "48x40x32", "--parts", "model,slices", "--slices", "8,16,24", "--runs", "1", "--json"]
    monkeypatch.setattr(sys, "argv", ["bodymaps", "benchmark", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    report = json.loads(capsys.readouterr().out)
    assert report["shape"] == [48, 40, 32]
    assert report["model"]["everything"] == 3.0
    assert [row["slices"] for row in report["slices"]] == [8, 16, 24]


@pytest.mark.parametrize("options", [{"shape": "512x512"}, {"shape": "axbxc"}, {"slices": "50,,100"}, {"slices": "0"}])
def test_speed_command_refuses_what_are_no_numbers(options: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="E_NUMBERS: --"):
        commands_benchmark.speed(**options)
