"""Writing instruction data, and its command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assistant.cli import app
from assistant.language.instructions import makers_of, write_rows
from assistant.language.training.rows import read_rows
from vision.errors import UsageError


def test_rows_are_written_whole_counted_and_read_by_the_recipe(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    shown: list[float] = []
    makers = makers_of("plan, words", seed=1, cases=None)
    summary = write_rows(out, count=60, makers=makers, progress=lambda step, share: shown.append(share))
    assert summary.rows == {"plan": 30, "words": 30}
    assert sum(line["rows"] for line in summary.table()) == 60
    assert shown[-1] == 1.0
    assert len(read_rows([out], split="train")) + sum(summary.held_out.values()) == 60
    assert out.read_bytes() == write_again(tmp_path / "again.jsonl")


def write_again(out: Path) -> bytes:
    write_rows(out, count=60, makers=makers_of("plan,words", seed=1, cases=None))
    return out.read_bytes()


def test_no_rows_and_unknown_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="below one"):
        write_rows(tmp_path / "rows.jsonl", count=0, makers=makers_of("plan", seed=1, cases=None))
    for kinds in ("", "poems", "plan,poems"):
        with pytest.raises(UsageError, match="kind of row is not known"):
            makers_of(kinds, seed=1, cases=None)
    with pytest.raises(UsageError, match="need CTs whose truth is known"):
        makers_of("visual", seed=1, cases=None)


def test_the_command_writes_rows_of_all_kinds(tmp_path: Path) -> None:
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps([{"ct": word, "truth": {"noise": word}} for word in ("low", "high")]))
    out = tmp_path / "rows.jsonl"
    arguments = ["data", "instructions", "--out", str(out), "--count", "9", "--kinds", "plan,words,visual"]
    result = CliRunner().invoke(app, [*arguments, "--cases", str(cases)])
    assert result.exit_code == 0
    kinds = [json.loads(line)["kind"] for line in out.read_text(encoding="utf-8").splitlines()]
    assert kinds == ["plan", "words", "visual"] * 3
    assert "held out" in result.stdout


def test_making_plan_rows_loads_no_torch() -> None:
    program = (
        "import sys; from assistant.language.instructions import makers_of;"
        "[make(0) for make in makers_of('plan,words', seed=0, cases=None).values()];"
        "print(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
