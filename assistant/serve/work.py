"""Work in a thread of its own, with its steps streamed and a way to stop it."""

from __future__ import annotations

import logging
import queue
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from vision.errors import Cancelled, UserError
from vision.segmenter import Progress

T = TypeVar("T")
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Doing:
    """One step of the work: what is being done, and the share of it done in [0, 1]."""

    step: str
    share: float


@dataclass(frozen=True)
class Done(Generic[T]):
    """The end of the work: its result."""

    result: T


@dataclass(frozen=True)
class Failed:
    """The end of the work: the error that ended it."""

    error: UserError


def run_streamed(task: Callable[[Progress], T], stop: threading.Event) -> Iterator[Doing | Done[T] | Failed]:
    """Run `task(progress)` in a thread; yield its steps as they come and `Done` or `Failed` last.

    Setting `stop` makes the next progress call raise `Cancelled`; so does closing this generator. An error that is not
    a UserError becomes one without details; the log gets its type and the lines of code, never its message.
    """
    steps: queue.Queue[Doing | Done[T] | Failed] = queue.Queue()

    def progress(step: str, share: float) -> None:
        if stop.is_set():
            raise Cancelled("E_CANCELLED", "Stopped.", "What was found before is kept; ask again whenever you like.")
        steps.put(Doing(step, share))

    def run() -> None:
        try:
            steps.put(Done(task(progress)))
        except UserError as error:
            steps.put(Failed(error))
        except Exception as error:  # the last line before the person: anything else would leave the page waiting
            LOG.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
            steps.put(Failed(_unexpected(error)))

    threading.Thread(target=run, name="conversation", daemon=True).start()
    try:
        while True:
            update = steps.get()
            yield update
            if not isinstance(update, Doing):
                return
    finally:
        stop.set()


def _unexpected(error: Exception) -> UserError:
    if isinstance(error, MemoryError):
        return UserError("E_MEMORY", "There was not enough memory.", "Close other programs or open a smaller CT.")
    return UserError(
        "E_UNEXPECTED",
        "Something went wrong inside the program.",
        "The CT is still open: ask again, or ask for one thing at a time. The terminal shows where it failed.",
    )
