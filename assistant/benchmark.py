"""How long a whole answer takes and how much memory: each run in a fresh process, from the file to the words.

`python -m assistant.benchmark CT QUESTION FOLLOW_UP [SERIES]` is one run; it prints one JSON object.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.terminal import tell_error
from vision.errors import Cancelled, InputRefused, ResourceError, UsageError, UserError, WeightsError
from vision.segmenter import Progress, no_progress

if TYPE_CHECKING:
    from rich.table import Table

    from vision.segmenter import Segmenter

QUESTION = "Segment the liver and the left kidney and tell me their volumes."
FOLLOW_UP = "How big is the spleen?"
ONE_RUN = (sys.executable, "-m", "assistant.benchmark")
ERRORS = {error.exit_code: error for error in (InputRefused, UsageError, ResourceError, WeightsError, Cancelled)}
PHASES = {
    "start": "import the libraries and load the weights",
    "read": "read the CT",
    "encode": "encode it: the network over the whole scan",
    "masks": "masks on the CT's own grid, and measures",
    "words": "plan, word and verify",
    "answer": "whole answer, reading to words",
    "follow_up": "follow-up question on the same CT",
    "process": "the process, its start and both questions",
}


class Run(BaseModel):
    """Seconds of one run in a process of its own, and that process's peak resident memory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float
    read: float
    encode: float
    masks: float
    words: float
    answer: float
    """read + encode + masks + words; loading libraries and weights is `start`."""
    follow_up: float
    process: float = 0.0
    peak_mib: float | None
    """None where the system does not tell (Windows)."""
    text: str
    segmenter: str
    planner: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


class SpeedBenchmark(BaseModel):
    """Several runs on one CT. `seconds` holds the median of every phase, `peak_mib` the largest peak."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    follow_up: str
    cores: int
    machine: str
    seconds: dict[str, float]
    peak_mib: float | None
    runs: tuple[Run, ...]


def benchmark_ct(
    ct: Path,
    *,
    question: str = QUESTION,
    follow_up: str = FOLLOW_UP,
    series: str | None = None,
    runs: int = 3,
    one_run: Sequence[str] = ONE_RUN,
    progress: Progress = no_progress,
) -> SpeedBenchmark:
    """Ask one CT two questions in `runs` fresh processes, one after the other; medians.

    `one_run` is the command that does one run. Raises UsageError for no runs, and the UserError that a run ended with.
    """
    if runs < 1:
        raise UsageError("E_RUNS", f"Nothing can be timed in {runs} runs.", "Give --runs 1 or more.")
    timed = []
    for number in range(runs):
        progress(f"run {number + 1} of {runs}", number / runs)
        timed.append(_run_apart([*one_run, str(ct), question, follow_up, *([series] if series else [])]))
    progress("done", 1.0)
    peaks = [run.peak_mib for run in timed if run.peak_mib is not None]
    return SpeedBenchmark(
        question=question,
        follow_up=follow_up,
        cores=os.cpu_count() or 1,
        machine=f"{sys.platform} {platform.machine()}",
        seconds={phase: round(statistics.median(run.model_dump()[phase] for run in timed), 3) for phase in PHASES},
        peak_mib=max(peaks) if peaks else None,
        runs=tuple(timed),
    )


def time_answer(
    ct: Path, question: str, follow_up: str, *, load_segmenter: Callable[[], Segmenter], series: str | None = None
) -> Run:
    """One run in this process. Raises what opening and asking raise, UsageError for a question without masks."""
    started = time.perf_counter()
    from assistant.api import open_ct

    segmenter = load_segmenter()
    loaded = time.perf_counter()
    conversation = open_ct(ct, series=series, segmenter=segmenter)
    first = conversation.ask(question)
    answered = time.perf_counter()
    conversation.ask(follow_up)
    followed = time.perf_counter()
    if not first.masks:
        raise UsageError("E_NO_MASK", "The question led to no mask.", "Ask for a structure that the model segments.")
    seconds = first.record.seconds
    i, j, k = conversation.ct.grid.shape
    x, y, z = conversation.ct.grid.spacing_mm
    return Run(
        start=loaded - started,
        read=seconds["open"],
        encode=seconds["encode"],
        masks=seconds["skills"],
        words=max(0.0, answered - loaded - seconds["open"] - seconds["encode"] - seconds["skills"]),
        answer=answered - loaded,
        follow_up=followed - answered,
        peak_mib=peak_mib(),
        text=first.text,
        segmenter=first.record.segmenter,
        planner=first.record.planner,
        shape=(i, j, k),
        spacing_mm=(x, y, z),
    )


def peak_mib() -> float | None:
    """Peak resident memory of this process so far in MiB; None where the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage(2): kilobytes on Linux, bytes on macOS.
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def benchmark_table(benchmark: SpeedBenchmark) -> Table:
    """The medians for people."""
    from rich.table import Table

    run = benchmark.runs[0]
    shape, spacing = "x".join(map(str, run.shape)), "x".join(f"{step:.2g}" for step in run.spacing_mm)
    table = Table(
        title=f"{shape} voxels of {spacing} mm",
        caption=f"Median of {len(benchmark.runs)} runs, each in a fresh process. {benchmark.cores} cores, "
        f"{benchmark.machine}. {run.segmenter}.",
        caption_justify="left",
    )
    table.add_column("phase")
    table.add_column("seconds", justify="right")
    for phase, words in PHASES.items():
        if phase in ("answer", "follow_up", "process"):
            table.add_section()
        table.add_row(words, f"{benchmark.seconds[phase]:.2f}")
    table.add_section()
    table.add_row("peak memory, MiB", "unknown" if benchmark.peak_mib is None else f"{benchmark.peak_mib:.0f}")
    return table


def _run_apart(command: list[str]) -> Run:
    """One run in a process of its own. A run that failed is raised here as what it was."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    process = time.perf_counter() - started
    if done.returncode:
        raise _error_of(done.returncode, done.stderr)
    try:
        run = Run.model_validate_json(done.stdout.splitlines()[-1] if done.stdout else "")
    except ValidationError:
        raise ResourceError("E_BENCHMARK", "A run told nothing.", "Ask the same with 'bodymaps ask'.") from None
    return run.model_copy(update={"process": process})


def _error_of(exit_code: int, stderr: str) -> UserError:
    """The error that a run told as 'CODE: what' and a line with the remedy."""
    said = stderr.strip().splitlines()[-2:]
    code, colon, what = said[0].partition(": ") if said else ("", "", "")
    if exit_code in ERRORS and colon and len(said) == 2:
        return ERRORS[exit_code](code, what, said[1])
    if exit_code < 0:
        return ResourceError("E_KILLED", f"A run was ended by signal {-exit_code}.", "Free memory and try again.")
    return ResourceError("E_BENCHMARK", f"A run ended with {exit_code}.", "Ask the same with 'bodymaps ask'.")


def main(arguments: Sequence[str]) -> dict[str, Any]:
    """One run with the shipped weights, as plain JSON values."""
    from assistant.api import default_segmenter

    ct, question, follow_up, *series = arguments
    run = time_answer(
        Path(ct), question, follow_up, load_segmenter=default_segmenter, series=series[0] if series else None
    )
    return run.model_dump(mode="json")


if __name__ == "__main__":
    try:
        print(json.dumps(main(sys.argv[1:])))
    except Exception as error:
        sys.exit(tell_error(error))
