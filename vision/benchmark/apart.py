"""Measurements in processes of their own: cold, and with a peak of memory that is theirs alone.

`python -m vision.benchmark.apart TASK` reads the task's values as JSON from stdin and prints its result as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from vision.errors import Cancelled, InputRefused, ResourceError, UsageError, UserError, WeightsError

TASKS = ("segment", "nnunet", "engines")
ERRORS = {error.exit_code: error for error in (InputRefused, UsageError, ResourceError, WeightsError, Cancelled)}
"""Exit code of a task that refused -> its error, whose code, what and remedy it printed as a JSON list."""


def run_apart(task: str, values: dict[str, Any]) -> dict[str, Any]:
    """The result of a task in a fresh process.

    Raises the UserError that the task ended with, ResourceError E_KILLED for a process that the system ended, and
    E_BENCHMARK for one that ended without a result.
    """
    done = subprocess.run(
        [sys.executable, "-m", "vision.benchmark.apart", task],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.strip().splitlines()
    if done.returncode == 0 and said:
        result: dict[str, Any] = json.loads(said[-1])
        return result
    if done.returncode in ERRORS and said:
        code, what, remedy = json.loads(said[-1])
        raise ERRORS[done.returncode](code, what, remedy)
    if done.returncode < 0:
        raise ResourceError(
            "E_KILLED", f"The measurement {task!r} was ended by signal {-done.returncode}.", "Free memory; try again."
        )
    # Only the kind of error: its words may name files.
    kind = done.stderr.strip().rpartition("\n")[2].partition(":")[0]
    why = f" ({kind})" if kind.isidentifier() else ""
    raise ResourceError(
        "E_BENCHMARK", f"The measurement {task!r} ended without a result{why}.", "See whether 'bodymaps ask' works."
    )


def peak_mib() -> float | None:
    """Peak resident memory of this process in MiB; None where the system does not tell.

    Linux's VmHWM, for getrusage's ru_maxrss also counts what the parent held when it started this process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text(encoding="ascii", errors="replace").splitlines())
        return round(int(lines["VmHWM"].split()[0]) / 1024, 1)
    if sys.platform == "win32":
        return None
    import resource

    # getrusage(2): bytes on macOS, kilobytes elsewhere.
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1)


def run_here(task: str, values: dict[str, Any]) -> dict[str, Any]:
    """The result of a task in this process. Raises ValueError for an unknown task."""
    if task == "segment":
        from vision.benchmark.speed_tasks import time_segmenter

        return time_segmenter(values)
    if task == "nnunet":
        from vision.benchmark.nnunet import time_nnunet

        return time_nnunet(values)
    if task == "engines":
        from vision.benchmark.engine_times import time_engines

        return time_engines(values)
    raise ValueError(f"{task!r} is none of {', '.join(TASKS)}")


def main() -> int:
    """One task; its result, or what it refused, is the last line of stdout."""
    try:
        result = run_here(sys.argv[1], json.load(sys.stdin))
    except UserError as error:
        print(json.dumps([error.code, error.what, error.remedy]))
        return error.exit_code
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
