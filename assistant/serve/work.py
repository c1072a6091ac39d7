"""Work in a thread of its own, with its steps streamed and a way to stop it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from assistant.serve.failures import stopped, typed
from vision.errors import UserError
from vision.segmenter import Progress

T = TypeVar("T")
BLINK_SECONDS = 0.1


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


def run_streamed(task: Callable[[Progress], T], stop: threading.Event) -> Iterator[list[Doing | Done[T] | Failed]]:
    """Run `task(progress)` in a thread; yield its steps as they change, a few at a time, and `Done` or `Failed` last.

    Setting `stop` makes the next progress call raise `Cancelled`; so does closing this generator. An error that is not
    a UserError becomes one without details.
    """
    steps: queue.Queue[Doing | Done[T] | Failed] = queue.Queue()
    told: list[Doing] = []
    unheard = threading.Event()

    def progress(step: str, share: float) -> None:
        if stop.is_set() or unheard.is_set():
            raise stopped()
        doing = Doing(step, round(share, 2))
        if told != [doing]:
            told[:] = [doing]
            steps.put(doing)

    def run() -> None:
        try:
            steps.put(Done(task(progress)))
        except Exception as error:  # the last line before the person: anything else would leave the page waiting
            steps.put(Failed(typed(error)))

    threading.Thread(target=run, name="conversation", daemon=True).start()
    try:
        while True:
            updates = _collect(steps)
            yield updates
            if not isinstance(updates[-1], Doing):
                return
    finally:
        unheard.set()


def _collect(steps: queue.Queue[Doing | Done[T] | Failed]) -> list[Doing | Done[T] | Failed]:
    """What arrives next, and what follows at once: nobody reads a step that is over in a blink."""
    updates = [steps.get()]
    until = time.monotonic() + BLINK_SECONDS
    while isinstance(updates[-1], Doing):
        try:
            updates.append(steps.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            break
    return updates
