"""Work in a thread of its own: its steps, its end, and how it is stopped."""

from __future__ import annotations

import threading
import time

from assistant.serve.work import BLINK_SECONDS, Doing, Done, Failed, run_streamed
from vision.errors import Cancelled


def test_too_little_memory_is_said() -> None:
    def task(progress, say) -> None:
        raise MemoryError

    ended = list(run_streamed(task, threading.Event()))[-1][-1]
    assert isinstance(ended, Failed)
    assert ended.error.code == "E_MEMORY"


def test_work_streams_each_step_once_then_its_result() -> None:
    def task(progress, say) -> int:
        progress("one", 0.5)
        progress("one", 0.5)
        time.sleep(3 * BLINK_SECONDS)
        progress("two", 0.9)
        return 7

    assert list(run_streamed(task, threading.Event())) == [[Doing("one", 0.5)], [Doing("two", 0.9), Done(7)]]


def test_closing_the_stream_stops_the_work() -> None:
    ended = threading.Event()

    def task(progress, say) -> None:
        try:
            for step in range(10**9):
                progress(str(step), 0.1)
        except Cancelled:
            ended.set()
            raise

    stream = run_streamed(task, threading.Event())
    next(stream)
    stream.close()
    assert ended.wait(5)
