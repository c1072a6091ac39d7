"""Conversations in workers, for tests: opened with an engine of `serve_engine`, ended with the test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from assistant.serve.failures import stopped
from assistant.serve.workers.line import Line
from assistant.serve.workers.remote import RemoteConversation
from assistant.serve.workers.zygote import Zygote
from tests.assistant.serve_engine import engine, tall_ct
from vision.segmenter import Progress, no_progress

Open = Callable[..., RemoteConversation]


@contextmanager
def conversations(name: str) -> Iterator[Open]:
    zygote = Zygote(engine(name), threads=1)
    opened: list[RemoteConversation] = []

    def open_one(
        *, line: Line | None = None, job_seconds: float = 60.0, progress: Progress = no_progress
    ) -> RemoteConversation:
        conversation = RemoteConversation(tall_ct(), zygote=zygote, line=line or Line(), job_seconds=job_seconds)
        opened.append(conversation)
        conversation.start(progress)
        return conversation

    try:
        yield open_one
    finally:
        for conversation in opened:
            conversation.close()
        zygote.close()


def pid_of(conversation: RemoteConversation) -> int:
    worker = conversation._worker
    assert worker is not None
    return worker.pid


def ended(pid: int, seconds: float = 5.0) -> bool:
    """Whether a process ends in time."""
    until = time.monotonic() + seconds
    while psutil.pid_exists(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not psutil.pid_exists(pid)


def stop_after(step: str) -> Callable[[str, float], None]:
    def progress(doing: str, share: float) -> None:
        if doing == step:
            raise stopped()

    return progress
