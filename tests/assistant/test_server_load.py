"""The server under load and under attack of bad luck: killed workers, many visitors, cut lines."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from assistant.serve.settings import ServerSettings
from assistant.serve.site import Site
from assistant.serve.workers.remote import RemoteConversation
from tests.assistant.serve_client import Visitor, served, served_apart, text_of
from tests.assistant.serve_engine import engine, good_file
from tests.assistant.serve_workers import ended
from vision.io import write_ct
from vision.phantom import make_phantom

pytestmark = pytest.mark.slow

TEXT_QUESTION = "What can you do?"
HEAVY_QUESTION = "How big is the liver?"


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_file(tmp_path_factory.mktemp("ct"))


def worker_pids() -> set[int]:
    """The workers of this process: children of its zygotes."""
    return {child.pid for zygote in psutil.Process().children() for child in zygote.children()}


def pid_of_the_only_worker(site: Site) -> int:
    conversations = [one.conversation for one in site.sessions._sessions.values() if one.conversation is not None]
    assert len(conversations) == 1
    assert isinstance(conversations[0], RemoteConversation)
    worker = conversations[0]._worker
    assert worker is not None
    return worker.pid


def in_background(task: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """A thread that runs a visitor's task, which may end as the visitor leaves, and its result in a list."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(task())
        except (httpx.TransportError, httpx.StreamError, RuntimeError) as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def until(condition: Callable[[], bool], seconds: float) -> float:
    """How long it takes until something is so; fails when it takes too long."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_worker_killed_twenty_times_is_twenty_typed_errors_and_the_next_job_runs(ct: Path) -> None:
    slowest = 0.0
    site = Site(engine=engine("slow"))
    with served(site) as url:
        visitor = Visitor(url)
        visitor.open(ct)
        for number in range(20):
            thread, told = in_background(lambda: text_of(visitor.ask(HEAVY_QUESTION)))
            until(lambda: len(site.line) == 1, 10)
            time.sleep(random.Random(number).uniform(0, 1))
            os.kill(pid_of_the_only_worker(site), signal.SIGKILL)
            began = time.monotonic()
            thread.join(10)
            slowest = max(slowest, time.monotonic() - began)
            assert "E_WORKER_DIED" in str(told[0])
            assert "measure" in visitor.said(TEXT_QUESTION)
        assert "liver" in visitor.said(HEAVY_QUESTION)
        assert len(site.line) == 0
        visitor.leave()
    print(f"\n20 kills: the slowest error came after {slowest:.2f} s")
    assert slowest < 5


def test_ten_visitors_and_a_thousand_operations_cross_nothing(tmp_path: Path) -> None:
    sizes = [6.0 + 0.1 * number for number in range(10)]
    paths = [write_ct(make_phantom(spacing_mm=(mm, mm, mm)).ct, tmp_path / f"{mm}.nii.gz") for mm in sizes]
    site = Site(engine=engine("boxes"), settings=ServerSettings(waiting=20, uploads_a_minute=1000))
    links: dict[int, list[str]] = {}
    with served(site) as url:
        visitors = [Visitor(url) for _ in sizes]
        tabs = [visitor.tab for visitor in visitors]

        def use(number: int) -> list[str]:
            visitor, dice = visitors[number], random.Random(number)
            shown = text_of(visitor.open(paths[number]))
            wrong = [] if f"{sizes[number]:.2g} \u00d7 {sizes[number]:.2g}" in shown else [shown]
            first = visitor.said(HEAVY_QUESTION)
            for _ in range(98):
                other = dice.choice([one for one in range(10) if one != number])
                kind = dice.randrange(5)
                if kind == 0:
                    links[number] = visitor.files(HEAVY_QUESTION)
                    record = visitor.http.get(f"/{links[number][0]}").json()
                    seen, wanted = record["ct"]["spacing_mm"], [round(sizes[number], 4)] * 3
                elif kind == 1:
                    seen, wanted = visitor.said(HEAVY_QUESTION), first
                elif kind == 2:
                    seen, wanted = visitor.slice(dice.randrange(20))[:18], '<img class="slice"'
                elif kind == 3:
                    tries = [visitor.http.get(f"/{link}").status_code for link in links.get(other, [])]
                    seen, wanted = set(tries) | {404}, {404}
                else:
                    visitor.tab = tabs[other]
                    seen, wanted = "E_SESSION_CLOSED" in visitor.said(HEAVY_QUESTION), True
                    visitor.tab = tabs[number]
                wrong += [] if seen == wanted else [f"{kind}: {seen} instead of {wanted}"]
            return wrong

        with ThreadPoolExecutor(10) as pool:
            assert list(pool.map(use, range(10))) == [[]] * 10
        volumes = {visitor.said(HEAVY_QUESTION) for visitor in visitors}
        assert len(volumes) > 5
        for visitor in visitors:
            visitor.leave()


def test_of_fifty_questions_nine_are_taken_and_the_rest_are_told_busy_within_a_second(ct: Path) -> None:
    with served_apart("slow", uploads_a_minute=1000) as server:
        visitors = [Visitor(server.url) for _ in range(50)]
        for visitor in visitors:
            visitor.open(ct)
        together = threading.Barrier(len(visitors))

        def ask(visitor: Visitor) -> tuple[float, str]:
            together.wait()
            began = time.monotonic()
            told = visitor.said(HEAVY_QUESTION)
            return time.monotonic() - began, told

        with ThreadPoolExecutor(len(visitors)) as pool:
            answers = list(pool.map(ask, visitors))
        for visitor in visitors:
            visitor.leave()
    busy = [(seconds, told) for seconds, told in answers if "E_BUSY" in told]
    answered = [told for _, told in answers if "liver" in told and "E_" not in told]
    slowest = max(seconds for seconds, _ in busy)
    print(f"\n50 at once: {len(answered)} answered, {len(busy)} told busy, the slowest of them after {slowest:.2f} s")
    assert (len(answered), len(busy)) == (9, 41)
    assert all(re.search(r"Try again in about \d+ seconds", told) for _, told in busy)
    assert slowest < 1


def test_a_text_question_is_answered_within_a_second_while_others_segment(ct: Path) -> None:
    site = Site(engine=engine("stuck"))
    with served(site) as url:
        busy, reader = Visitor(url), Visitor(url)
        busy.open(ct)
        reader.open(ct)
        thread, _ = in_background(lambda: busy.ask(HEAVY_QUESTION))
        until(lambda: len(site.line) == 1, 10)
        times = []
        for index in range(10):
            began = time.monotonic()
            assert "measure" in reader.said(TEXT_QUESTION)
            times.append(time.monotonic() - began)
            assert "data:image" in reader.slice(index)
        print(f"\ntext questions beside a segmentation: {max(times):.2f} s at most")
        assert max(times) < 1
        assert thread.is_alive()
        reader.leave()
        busy.leave()
        thread.join(10)


def test_stop_ends_the_work_within_two_seconds_twenty_times(ct: Path) -> None:
    slowest = 0.0
    for name in ("slow", "stuck"):
        site = Site(engine=engine(name))
        with served(site) as url:
            visitor = Visitor(url)
            visitor.open(ct)
            for number in range(10):
                thread, told = in_background(lambda visitor=visitor: text_of(visitor.ask(HEAVY_QUESTION)))
                until(lambda site=site: len(site.line) == 1, 10)
                time.sleep(random.Random(number).uniform(0, 0.5))
                pid = pid_of_the_only_worker(site)
                began = time.monotonic()
                visitor.join("stop", [])
                thread.join(10)
                slowest = max(slowest, time.monotonic() - began)
                assert "E_CANCELLED" in str(told[0])
                assert len(site.line) == 0
                assert name == "slow" or ended(pid, 0.5)
                assert "measure" in visitor.said(TEXT_QUESTION)
            visitor.leave()
    print(f"\n20 stops: the slowest took {slowest:.2f} s")
    assert slowest < 2


@pytest.mark.parametrize("cut", ["heartbeat", "everything"])
def test_a_tab_that_is_cut_off_stops_its_work_within_two_seconds(ct: Path, cut: str) -> None:
    slowest = 0.0
    site = Site(engine=engine("stuck"))
    with served(site) as url:
        for _ in range(5):
            visitor = Visitor(url)
            visitor.open(ct)
            visitor.join("talk", [{"text": HEAVY_QUESTION, "files": []}])
            until(lambda: len(site.line) == 1, 10)
            (pid,) = worker_pids()
            assert visitor.heartbeat is not None
            if cut == "heartbeat":
                visitor.heartbeat.close()
                visitor.heartbeat = None
            else:
                visitor.leave()
            slowest = max(slowest, until(lambda pid=pid: not psutil.pid_exists(pid), 5))
            until(lambda: len(site.sessions) == 0 and len(site.line) == 0, 5)
            until(lambda: site.budget.left == site.budget.total, 5)
            visitor.leave()
    print(f"\n5 cut tabs: the slowest worker ended after {slowest:.2f} s")
    assert slowest < 2
    assert list((site.folder / "sessions").glob("*")) == []


def test_a_stream_that_nobody_reads_any_more_stops_the_work_and_keeps_the_ct(ct: Path) -> None:
    site = Site(engine=engine("slow"))
    with served(site) as url:
        visitor = Visitor(url)
        visitor.open(ct)
        visitor.join("talk", [{"text": HEAVY_QUESTION, "files": []}])
        with visitor.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": visitor.tab}):
            until(lambda: len(site.line) == 1, 10)
        assert until(lambda: len(site.line) == 0, 5) < 2
        assert "measure" in visitor.said(TEXT_QUESTION)
        visitor.leave()
