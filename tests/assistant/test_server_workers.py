"""Conversations in workers: the same answers, and typed errors whatever happens to a worker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from assistant.api import default_planner
from assistant.conversation import Conversation
from assistant.serve.workers.line import Line
from assistant.serve.workers.local import LocalConversation
from assistant.serve.workers.remote import RemoteConversation
from assistant.serve.workers.wire import Wire
from assistant.serve.workers.worker import Turn
from assistant.serve.workers.zygote import Zygote
from tests.assistant.serve_engine import STRUCTURES, engine, tall_ct
from tests.assistant.serve_workers import Open, conversations, ended, pid_of, stop_after
from tests.fakes import BoxSegmenter
from vision.errors import Cancelled, ResourceError, UserError, WeightsError


@pytest.fixture(scope="module")
def boxes() -> Iterator[Open]:
    with conversations("boxes") as open_one:
        yield open_one


def test_a_worker_answers_as_the_conversation_itself_does(boxes: Open) -> None:
    here, there = Conversation(tall_ct(), BoxSegmenter(STRUCTURES), default_planner()), boxes()
    for question in ("How big is the liver?", "Segment the pancreas.", "What can you do?", "Generate a report."):
        wanted, got = here.ask(question), there.ask(question)
        assert got.record.model_copy(update={"seconds": {}, "trace": ()}) == wanted.record.model_copy(
            update={"seconds": {}, "trace": ()}
        )
        assert there.findings == here.findings
        assert sorted(got.masks) == sorted(wanted.masks)
        for finding_id, mask in here.masks().items():
            copy = there.masks()[finding_id]
            assert np.array_equal(copy.voxels, mask.voxels)
            assert (copy.structure, copy.score) == (mask.structure, mask.score)


def test_the_ct_of_the_page_is_the_ct_that_was_opened(boxes: Open) -> None:
    ct = boxes().ct
    assert np.array_equal(ct.hu, tall_ct().hu)
    assert ct.grid.matches(tall_ct().grid)
    assert not ct.hu.flags.writeable


def test_a_killed_worker_leaves_the_findings_and_the_next_question_finds_them_again(boxes: Open) -> None:
    conversation = boxes()
    first = conversation.ask("How big is the liver?")
    pid = pid_of(conversation)
    os.kill(pid, signal.SIGKILL)
    assert ended(pid)
    assert conversation.findings == first.findings
    assert conversation.masks()
    steps: list[str] = []
    again = conversation.ask("How big is the liver?", progress=lambda step, share: steps.append(step))
    assert again.findings == first.findings
    assert "Finding again what was found" in steps
    assert conversation.ask("Segment the pancreas.").findings[0].id == "F2"


def test_a_worker_that_dies_at_work_is_a_typed_error_and_the_ct_stays_open() -> None:
    with conversations("deadly") as open_one:
        conversation = open_one()
        assert conversation.ask("How big is the liver?").findings[0].id == "F1"
        began = time.monotonic()
        with pytest.raises(ResourceError, match=r"E_WORKER_DIED.*The CT is still open"):
            conversation.ask("Segment the pancreas.")
        assert time.monotonic() - began < 5
        assert [finding.id for finding in conversation.findings] == ["F1"]
        assert conversation.ask("How big is the liver?").findings[0].id == "F1"


def test_when_the_old_questions_kill_the_new_worker_too_they_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    with conversations("deadly") as open_one:
        conversation = open_one()
        conversation.ask("How big is the liver?")
        conversation._asked.append("Segment the pancreas.")
        conversation._end_worker()
        with pytest.raises(ResourceError, match=r"E_WORKER_DIED.*what was found is lost"):
            conversation.ask("How big is the liver?")
        assert conversation.findings == ()
        assert conversation.masks() == {}
        assert conversation.ask("How big is the liver?").findings[0].id == "F1"


def test_what_prevents_a_conversation_is_said_when_the_ct_is_opened() -> None:
    with conversations("without_weights") as open_one, pytest.raises(WeightsError, match="E_WEIGHTS_MISSING"):
        open_one()


def test_an_engine_that_cannot_be_imported_is_a_typed_error() -> None:
    with conversations("nowhere") as open_one, pytest.raises(UserError, match="E_UNEXPECTED"):
        open_one()


def test_an_unexpected_error_of_a_worker_shows_no_detail_and_ends_nothing() -> None:
    with conversations("failing") as open_one:
        conversation = open_one()
        pid = pid_of(conversation)
        with pytest.raises(UserError, match="E_UNEXPECTED") as error:
            conversation.ask("How big is the liver?")
        assert "jane" not in str(error.value)
        assert "measure" in conversation.ask("What can you do?").text
        assert pid_of(conversation) == pid


def test_a_worker_that_listens_stops_at_once_and_goes_on() -> None:
    with conversations("slow") as open_one:
        conversation = open_one()
        pid = pid_of(conversation)
        began = time.monotonic()
        with pytest.raises(Cancelled, match="E_CANCELLED"):
            conversation.ask("How big is the liver?", progress=stop_after("looking at the CT"))
        assert time.monotonic() - began < 2
        assert pid_of(conversation) == pid
        assert conversation.findings == ()
        assert "measure" in conversation.ask("What can you do?").text


def test_a_worker_that_does_not_listen_is_killed_within_two_seconds() -> None:
    with conversations("stuck") as open_one:
        conversation = open_one()
        pid = pid_of(conversation)
        began = time.monotonic()
        with pytest.raises(Cancelled, match="E_CANCELLED"):
            conversation.ask("How big is the liver?", progress=stop_after("looking at the CT"))
        assert time.monotonic() - began < 2
        assert ended(pid)
        assert "measure" in conversation.ask("What can you do?").text


def test_a_question_has_a_time_limit() -> None:
    with conversations("stuck") as open_one:
        conversation = open_one(job_seconds=0.3)
        pid = pid_of(conversation)
        with pytest.raises(ResourceError, match=r"E_TIMEOUT: The question took longer than 0.005 minutes"):
            conversation.ask("How big is the liver?")
        assert ended(pid)


def test_only_questions_that_segment_stand_in_line(boxes: Open) -> None:
    line = Line(at_once=1, most_waiting=0)
    other = line.join()
    assert other.place == 0
    conversation = boxes(line=line)
    assert "measure" in conversation.ask("What can you do?").text
    with pytest.raises(ResourceError, match="E_BUSY: The computer is busy"):
        conversation.ask("How big is the liver?")
    other.leave()
    assert conversation.ask("How big is the liver?").findings
    assert len(line) == 0


def test_the_place_in_line_is_shown_and_a_stopped_question_leaves_it(boxes: Open) -> None:
    line = Line(at_once=1, most_waiting=2)
    first = line.join()
    assert first.place == 0
    conversation = boxes(line=line)
    with pytest.raises(Cancelled, match="E_CANCELLED"):
        conversation.ask("How big is the liver?", progress=stop_after("Waiting: 1st in line"))
    assert len(line) == 1


def test_closing_a_ct_ends_its_worker_even_at_work() -> None:
    freed: list[bool] = []
    zygote = Zygote(engine("stuck"), threads=1)
    conversation = RemoteConversation(
        tall_ct(), zygote=zygote, line=Line(), job_seconds=60, on_close=lambda: freed.append(True)
    )
    conversation.start()
    pid = pid_of(conversation)
    at_work, errors = threading.Event(), []

    def ask() -> None:
        try:
            conversation.ask("How big is the liver?", progress=lambda step, _: at_work.set() if "CT" in step else None)
        except ResourceError as error:
            errors.append(error.code)

    thread = threading.Thread(target=ask)
    thread.start()
    assert at_work.wait(20)
    conversation.close()
    conversation.close()
    thread.join(5)
    assert errors == ["E_WORKER_DIED"]
    assert freed == [True]
    assert ended(pid)
    with pytest.raises(ResourceError, match="E_WORKER_DIED"):
        conversation.ask("What can you do?")
    zygote.close()


def test_a_dead_zygote_is_started_again(boxes: Open) -> None:
    conversation = boxes()
    zygote = conversation._zygote
    assert zygote._process is not None
    os.kill(zygote._process.pid, signal.SIGKILL)
    zygote._process.wait()
    assert "measure" in boxes().ask("What can you do?").text
    assert "measure" in conversation.ask("What can you do?").text


def test_workers_are_killed_before_the_server_and_leave_no_core(boxes: Open) -> None:
    conversation = boxes()
    process = psutil.Process(pid_of(conversation))
    with open(f"/proc/{process.pid}/oom_score_adj", encoding="ascii") as score:
        assert int(score.read()) == 900
    assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert process.nice() >= 5


def test_workers_end_when_the_server_is_killed() -> None:
    program = (
        "import time\n"
        "from tests.assistant.serve_workers import conversations, pid_of\n"
        "with conversations('stuck') as open_one:\n"
        "    one = open_one()\n"
        "    print(pid_of(one), one._zygote._process.pid, flush=True)\n"
        "    one.ask('How big is the liver?')\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        worker, zygote = map(int, server.stdout.readline().split())
        time.sleep(0.5)
        assert psutil.pid_exists(worker)
        server.kill()
    assert ended(worker)
    assert ended(zygote)


def test_a_worker_whose_server_is_gone_raises_nothing_that_a_skill_could_catch() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    turn = Turn(Wire.of(theirs))
    with pytest.raises(SystemExit):
        turn.send({"doing": "step", "share": 0.0})
    with pytest.raises(SystemExit):
        turn.receive()


def test_where_nothing_can_be_forked_a_conversation_runs_in_a_thread() -> None:
    freed: list[bool] = []
    line = Line(at_once=1, most_waiting=0)
    conversation = LocalConversation(
        tall_ct(), BoxSegmenter(STRUCTURES), default_planner(), line=line, on_close=lambda: freed.append(True)
    )
    assert conversation.ask("How big is the liver?").findings[0].id == "F1"
    assert list(conversation.masks()) == ["F1"]
    other = line.join()
    with pytest.raises(ResourceError, match="E_BUSY"):
        conversation.ask("Segment the pancreas.")
    other.leave()
    assert conversation.ask("Segment the pancreas.").findings[0].id == "F2"
    assert len(conversation.findings) == 2
    assert conversation.ct.grid.matches(tall_ct().grid)
    conversation.close()
    conversation.close()
    assert freed == [True]
