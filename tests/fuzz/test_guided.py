"""A minute of fuzzing that is guided by the gate's own branches finds nothing untyped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.gate_mutants import ROOT

SECONDS = 60


@pytest.mark.slow
def test_a_minute_of_guided_fuzzing_crashes_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="pip install atheris")
    command = [sys.executable, "-m", "tests.fuzz.guided", "--seconds", str(SECONDS), "--keep", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS * 5, check=False)
    print("\n".join(line for line in done.stderr.splitlines() if line.startswith("stat::")))
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list(tmp_path.iterdir())
