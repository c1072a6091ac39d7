"""Work in a thread of its own, with its steps streamed and a way to stop it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from assistant.serve.failures import stopped, typed
from assistant.speech import Say
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
class Said:
    """A sentence of the answer, finished and checked."""

    sentence: str


@dataclass(frozen=True)
class Done(Generic[T]):
    """The end of the work: its result."""

    result: T


@dataclass(frozen=True)
class Failed:
    """The end of the work: the error that ended it."""

    error: UserError


Update = Doing | Said | Done[T] | Failed


def run_streamed(task: Callable[[Progress, Say], T], stop: threading.Event) -> Iterator[list[Update[T]]]:
    """Run `task(progress, say)` in a thread; yield its steps as they change and its sentences as they come, a few at a
    time, and `Done` or `Failed` last.

    Setting `stop` makes the next call of either raise `Cancelled`; so does closing this generator. An error that is not
    a UserError becomes one without details.
    """
    steps: queue.Queue[Update[T]] = queue.Queue()
    told: list[Doing] = []
    unheard = threading.Event()

    def progress(step: str, share: float) -> None:
        if stop.is_set() or unheard.is_set():
            raise stopped()
        doing = Doing(step, round(share, 2))
        if told != [doing]:
            told[:] = [doing]
            steps.put(doing)

    def say(sentence: str) -> None:
        if stop.is_set() or unheard.is_set():
            raise stopped()
        steps.put(Said(sentence))

    def run() -> None:
        try:
            steps.put(Done(task(progress, say)))
        except Exception as error:  # the last line before the person: anything else would leave the page waiting
            steps.put(Failed(typed(error)))

    threading.Thread(target=run, name="conversation", daemon=True).start()
    try:
        while True:
            updates = _collect(steps)
            yield updates
            if isinstance(updates[-1], Done | Failed):
                return
    finally:
        unheard.set()


def _collect(steps: queue.Queue[Update[T]]) -> list[Update[T]]:
    """What arrives next, and what follows at once: nobody reads a step that is over in a blink."""
    updates = [steps.get()]
    until = time.monotonic() + BLINK_SECONDS
    while isinstance(updates[-1], Doing | Said):
        try:
            updates.append(steps.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            break
    return updates
