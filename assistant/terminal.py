"""How the command line talks: people read stderr, programs read stdout."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import typer

from assistant.logs import DEBUG_VARIABLE
from vision.errors import ResourceError, UserError
from vision.segmenter import Progress, no_progress

UNEXPECTED_EXIT_CODE = 1
INTERRUPTED_EXIT_CODE = 130
BROKEN_PIPE_EXIT_CODE = 141
TERMINATED_EXIT_CODE = 143
WIDE = 160
"""Columns of a table that goes into a file or pipe."""
ENDINGS = {
    INTERRUPTED_EXIT_CODE: "Interrupted; nothing half-done was kept.",
    TERMINATED_EXIT_CODE: "Terminated; nothing half-done was kept.",
}


def tell(text: str) -> None:
    """Say something to the person at the keyboard; one who has left is told nothing."""
    with suppress(BrokenPipeError):
        typer.echo(text, err=True)


def print_json(values: Any) -> None:
    """Give a program its answer."""
    typer.echo(json.dumps(values, indent=1, ensure_ascii=False))


def print_table(table: Any) -> None:
    """Print a table of rich to stdout, as wide as the terminal, or wide enough for a file."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else WIDE).print(table)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress callback that draws a bar on a terminal, and nothing into a file or pipe."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    from tqdm import tqdm

    with tqdm(total=100, file=sys.stderr, leave=False, bar_format="{percentage:3.0f}% |{bar:30}| {desc}") as bar:

        def show(step: str, share: float) -> None:
            bar.n = round(100 * min(max(share, 0.0), 1.0))
            bar.set_description_str(step)

        yield show


def run_command(command: Callable[[], object]) -> int:
    """Run a command of the command line to its end, whatever that is, and return the exit code.

    SIGINT ends it with 130, SIGTERM and SIGHUP with 143, a reader that closed the pipe with 141 and no words.
    """
    try:
        with _ending_on_signals():
            command()
        return 0
    except SystemExit as ended:
        # typer answers a closed pipe with exit code 1.
        code = BROKEN_PIPE_EXIT_CODE if isinstance(ended.__context__, BrokenPipeError) else ended.code
    except KeyboardInterrupt:
        code = INTERRUPTED_EXIT_CODE
    except Exception as error:
        return tell_error(error)
    if code in ENDINGS:
        tell(ENDINGS[code])
    return code if isinstance(code, int) else int(code is not None)


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Let the first SIGINT, SIGTERM or SIGHUP unwind the command; the second one ends the process at once."""
    caught = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32":
        caught.append(signal.SIGHUP)
    # What is ignored stays so: nohup, and jobs in the background of a script.
    before = {number: signal.getsignal(number) for number in caught if signal.getsignal(number) != signal.SIG_IGN}

    def end(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(TERMINATED_EXIT_CODE)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell_error(error: Exception) -> int:
    """Say what went wrong and return the exit code; with BODYMAPS_DEBUG our own mistakes are raised again."""
    if isinstance(error, MemoryError):
        error = ResourceError("E_MEMORY", "The memory did not suffice.", "Close other programs or use a smaller CT.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        from vision.io.files.atomic import output_error

        error = output_error(error)
    if isinstance(error, UserError):
        tell(f"{error.code}: {error.what}\n{error.remedy}")
        return error.exit_code
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    tell(f"Unexpected {type(error).__name__}; run with {DEBUG_VARIABLE}=1 for details.")
    return UNEXPECTED_EXIT_CODE
