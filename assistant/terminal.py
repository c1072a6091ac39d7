"""How the command line talks: people read stderr, programs read stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from assistant.logs import DEBUG_VARIABLE
from vision.errors import ResourceError, UserError
from vision.segmenter import Progress, no_progress

UNEXPECTED_EXIT_CODE = 1
INTERRUPTED_EXIT_CODE = 130


def tell(text: str) -> None:
    """Say something to the person at the keyboard."""
    typer.echo(text, err=True)


def print_json(values: Any) -> None:
    """Give a program its answer."""
    typer.echo(json.dumps(values, indent=1, ensure_ascii=False))


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


def tell_error(error: Exception) -> int:
    """Say what went wrong and return the exit code; with BODYMAPS_DEBUG our own mistakes are raised again."""
    if isinstance(error, MemoryError):
        error = ResourceError("E_MEMORY", "The memory did not suffice.", "Close other programs or use a smaller CT.")
    if isinstance(error, UserError):
        tell(f"{error.code}: {error.what}\n{error.remedy}")
        return error.exit_code
    if os.environ.get(DEBUG_VARIABLE):
        raise error
    tell(f"Unexpected {type(error).__name__}; run with {DEBUG_VARIABLE}=1 for details.")
    return UNEXPECTED_EXIT_CODE
