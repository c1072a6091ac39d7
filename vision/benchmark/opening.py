"""What the gate costs: opening a CT through it and with a plain library, in turn, each time in a fresh process.

`python -m vision.benchmark.opening gate|plain CT` is one run; it prints one JSON object.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vision.errors import InputRefused, UsageError
from vision.io import load_ct
from vision.io.plain import read_plainly
from vision.segmenter import Progress, no_progress

if TYPE_CHECKING:
    from rich.table import Table

KIBIBYTES = 1 if sys.platform == "darwin" else 1024
"""getrusage(2): ru_maxrss is in kilobytes on Linux, in bytes on macOS."""


@dataclass(frozen=True)
class Opening:
    """One reader: seconds from the call to the voxels, its libraries loaded in between; peak MiB, children included."""

    seconds: float
    peak_mib: float
    shape: tuple[int, ...]


@dataclass(frozen=True)
class OpeningBenchmark:
    """The gate beside the plain library. `ratio` is the median of the runs' own ratios, pair by pair."""

    gate: Opening
    plain: Opening
    ratio: float
    runs: int


def benchmark_opening(ct: Path, *, runs: int = 5, progress: Progress = no_progress) -> OpeningBenchmark:
    """Open a CT `runs` times by each reader, in turn, after one run of each that does not count.

    Raises UsageError for no runs, and InputRefused E_BENCHMARK for a CT that one of them cannot open.
    """
    if runs < 1:
        raise UsageError("E_RUNS", f"Nothing can be timed in {runs} runs.", "Give --runs 1 or more.")
    timed: dict[str, list[Opening]] = {"gate": [], "plain": []}
    for number in range(runs + 1):
        for name, openings in timed.items():
            progress(f"run {number} of {runs}, {name}", number / (runs + 1))
            opening = _open_apart(name, ct)
            if number:
                openings.append(opening)
    ratios = [gate.seconds / plain.seconds for gate, plain in zip(timed["gate"], timed["plain"], strict=True)]
    return OpeningBenchmark(
        gate=_median(timed["gate"]), plain=_median(timed["plain"]), ratio=statistics.median(ratios), runs=runs
    )


def opening_table(benchmark: OpeningBenchmark) -> Table:
    """The figures for people."""
    from rich.table import Table

    shape = " x ".join(map(str, benchmark.gate.shape))
    table = Table(
        title=f"Opening {shape} voxels",
        caption=f"Median of {benchmark.runs} runs in turn, each in a fresh process; the gate takes "
        f"{benchmark.ratio:.2f} times as long (median of the pairs).",
        caption_justify="left",
    )
    for name in ("reader", "seconds", "peak MiB"):
        table.add_column(name, justify="left" if name == "reader" else "right")
    for name, one in (("this gate, its child process included", benchmark.gate), ("plain library", benchmark.plain)):
        table.add_row(name, f"{one.seconds:.2f}", f"{one.peak_mib:.0f}")
    return table


def _median(openings: list[Opening]) -> Opening:
    return Opening(
        seconds=statistics.median(one.seconds for one in openings),
        peak_mib=max(one.peak_mib for one in openings),
        shape=openings[0].shape,
    )


def _open_apart(name: str, ct: Path) -> Opening:
    command = [sys.executable, "-m", "vision.benchmark.opening", name, str(ct)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputRefused("E_BENCHMARK", f"The CT cannot be opened ({name}).", "See: bodymaps inspect CT.")
    values = json.loads(done.stdout)
    return Opening(values["seconds"], values["peak_mib"], tuple(values["shape"]))


def main(name: str, ct: Path) -> dict[str, object]:
    """One run in this process."""
    started = time.perf_counter()
    voxels = load_ct(ct).hu if name == "gate" else read_plainly(ct)
    # The last slice of a mapped array is read, so that it counts when the system brings it in lazily.
    voxels.max()
    seconds = time.perf_counter() - started
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"seconds": seconds, "peak_mib": sum(peaks) * KIBIBYTES / 2**20, "shape": voxels.shape}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]))))
