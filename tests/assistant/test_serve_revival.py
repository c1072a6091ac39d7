"""Workers that start, and start again: no start waits for ever, and what was found before is kept."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from assistant.serve.opening import Opening, in_workers
from assistant.serve.settings import DEFAULTS
from assistant.serve.workers.engine import Engine
from assistant.serve.workers.line import Line
from assistant.serve.workers.memory import MemoryBudget
from assistant.serve.workers.remote import RemoteConversation
from assistant.serve.workers.zygote import Zygote
from tests.assistant.serve_engine import engine, good_file
from tests.assistant.serve_workers import conversations, ended, pid_of, stop_after
from vision.errors import Cancelled, ResourceError
from vision.io import Choices

AGAIN = "Finding again what was found"


def kill_worker(conversation: RemoteConversation) -> None:
    pid = pid_of(conversation)
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)


def test_a_worker_that_hangs_at_its_start_is_ended_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.serve.workers.remote.START_SECONDS", 0.3)
    pids: list[int] = []
    fork = Zygote.fork

    def noted(zygote: Zygote):
        worker = fork(zygote)
        pids.append(worker.pid)
        return worker

    monkeypatch.setattr(Zygote, "fork", noted)
    with conversations("hanging") as open_one:
        with pytest.raises(ResourceError, match=r"E_TIMEOUT: .*not ready after 0\.3 seconds"):
            open_one()
        assert len(pids) == 1
        assert ended(pids[0])


def test_stop_ends_an_opening_whose_worker_hangs_and_gives_everything_back(tmp_path: Path) -> None:
    budget, reading, zygote = MemoryBudget(2**40), Line(), Zygote(engine("hanging"), threads=1)
    opening = Opening(budget, reading, in_workers(zygote, Line(), DEFAULTS), Engine().needs())
    began = time.monotonic()
    try:
        with pytest.raises(Cancelled, match="E_CANCELLED"):
            opening(good_file(tmp_path), Choices(), stop_after("starting"))
    finally:
        zygote.close()
    assert time.monotonic() - began < 30
    assert budget.left == budget.total
    assert len(reading) == 0


def test_stop_while_a_dead_worker_is_replaced_keeps_what_was_found() -> None:
    with conversations("boxes") as open_one:
        conversation = open_one()
        conversation.ask("How big is the liver?")
        conversation.ask("Segment the pancreas.")
        findings, masks = conversation.findings, conversation.masks()
        assert [finding.id for finding in findings] == ["F1", "F2"]
        kill_worker(conversation)

        def stop_at_the_second(step: str, share: float) -> None:
            stop_after(AGAIN if share > 0 else "nothing")(step, share)

        with pytest.raises(Cancelled, match="E_CANCELLED"):
            conversation.ask("How big is the liver?", progress=stop_at_the_second)
        assert conversation.findings == findings
        assert conversation.masks() == masks
        assert conversation.ask("How big is the pancreas?").findings[0].id == "F2"
        assert [finding.id for finding in conversation.findings] == ["F1", "F2"]


def test_questions_that_found_nothing_are_not_asked_again() -> None:
    with conversations("boxes") as open_one:
        conversation = open_one()
        for question in ("What can you do?", "How big is the liver?", "What can you do?"):
            conversation.ask(question)
        kill_worker(conversation)
        shares: list[float] = []
        conversation.ask(
            "What can you do?", progress=lambda step, share: shares.append(share) if step == AGAIN else None
        )
        assert set(shares) == {0.0}
        assert [finding.id for finding in conversation.findings] == ["F1"]
