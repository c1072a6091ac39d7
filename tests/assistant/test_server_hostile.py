"""A real server among proxies and people who mean it harm."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from assistant.serve.guard.visitors import COOKIE
from assistant.serve.settings import ServerSettings
from assistant.serve.site import Site
from assistant.serve.start import most_open_files
from tests.assistant.serve_client import Visitor, served
from tests.assistant.serve_engine import engine, good_file
from vision.io import load_ct

PASSWORD = ("ann", "correct horse")


def test_behind_a_proxy_with_tls_that_keeps_the_name_the_chat_works_and_another_site_is_refused() -> None:
    through = {"host": "ct.example.org", "x-forwarded-proto": "https", "x-forwarded-for": "10.1.2.3"}
    form = {"username": PASSWORD[0], "password": PASSWORD[1]}
    with served(Site(engine=engine("boxes"), auth=PASSWORD)) as url, httpx.Client(base_url=url) as browser:
        page = browser.get("/", headers=through)
        assert page.status_code == 200
        assert page.headers["set-cookie"].endswith("; Secure")
        own = {**through, "origin": "https://ct.example.org"}
        assert browser.post("/login", data=form, headers=own).status_code == 200
        for origin in ("https://evil.example", "https://ct.example.org:1"):
            refused = browser.post("/login", data=form, headers={**through, "origin": origin})
            assert (refused.status_code, refused.text[:8]) == (403, "E_ORIGIN")


def test_what_was_sent_and_not_opened_goes_with_the_last_tab(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    site = Site(engine=engine("boxes"))
    with served(site) as url:
        first, second, other = Visitor(url), Visitor(url), Visitor(url)
        second.http.cookies = first.http.cookies
        second_beat = second.http.send(second.http.build_request("GET", "/gradio_api/heartbeat/abc"), stream=True)
        first.upload(tmp_path / "x")
        kept = other.upload(tmp_path / "x").json()[0]
        first.leave()
        time.sleep(1)
        assert len(list(site.uploads.folder.iterdir())) == 2
        second_beat.close()
        within(5, lambda: [path.name for path in site.uploads.folder.iterdir()] == [kept])
        second.leave()
        other.leave()


def test_connections_that_say_nothing_are_closed_and_the_chat_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.serve.guard.connections.HEAD_SECONDS", 0.5)
    with served(Site(engine=engine("boxes"), settings=ServerSettings(visitors=2))) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        mute = [socket.create_connection(address) for _ in range(40)]
        for one in mute:
            one.settimeout(5)
            with suppress(OSError):
                one.sendall(b"GET / HTTP/1.1\r\n")
        assert [hung_up(one) for one in mute] == [True] * 40
        visitor = Visitor(url)
        time.sleep(1.5)
        assert "E_NO_CT" in visitor.said("How big is the liver?")
        visitor.leave()


def test_a_ct_is_read_however_many_connections_are_open(tmp_path: Path) -> None:
    if most_open_files() < 2000:
        pytest.skip("so many files may not be open here")
    with ExitStack() as opened:
        for _ in range(1100):
            opened.enter_context(open(os.devnull, "rb"))
        assert load_ct(good_file(tmp_path)).hu.size


@pytest.mark.parametrize("more", [{"fn_index": 9999}, {"fn_index": True}, {"session_hash": "\ud800"}])
def test_an_event_that_the_page_has_not_is_refused(more: dict[str, object]) -> None:
    with served(Site(engine=engine("boxes"))) as url:
        visitor = Visitor(url)
        body = {"session_hash": visitor.tab, "fn_index": visitor.number("talk"), "data": [], **more}
        refused = visitor.http.post("/gradio_api/queue/join", content=json.dumps(body))
        assert (refused.status_code, refused.text[:6]) == (400, "E_BODY")
        visitor.leave()


def test_a_login_that_is_no_form_is_refused() -> None:
    with served(Site(engine=engine("boxes"), auth=PASSWORD)) as url, httpx.Client(base_url=url) as browser:
        for kind in ("multipart/form-data", "multipart/form-data; boundary=xx"):
            refused = browser.post("/login", content=b"--xx\r\nbroken", headers={"content-type": kind})
            assert (refused.status_code, refused.text[:6]) == (400, "E_BODY")


def test_gradio_keeps_nothing_of_a_tab_that_never_listened_and_it_may_not_ask_for_much() -> None:
    site = Site(engine=engine("boxes"))
    with served(site) as url:
        visitor = Visitor(url)
        answers = [visitor.join("stop", []).status_code for _ in range(40)]
        assert answers == [200] * 32 + [429] * 8
        queue = site.page._queue
        assert len(queue.pending_messages_per_session) == len(queue.pending_event_ids_session) == 1
        visitor.leave()
        within(5, lambda: not queue.pending_messages_per_session and not queue.pending_event_ids_session)


def test_another_cookie_for_every_event_does_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.serve.guard.guard.ADDRESS_TIMES", 1)
    with served(Site(engine=engine("boxes"), settings=ServerSettings(requests_a_second=1))) as url:
        answers = []
        for number in range(6):
            headers = {"cookie": f"{COOKIE}={str(number) * 43}"}
            body = {"session_hash": "a", "fn_index": 0, "data": []}
            answers.append(httpx.post(f"{url}/gradio_api/queue/join", json=body, headers=headers).status_code)
        assert answers[:4] == [200] * 4
        assert 429 in answers[4:]


def hung_up(line: socket.socket) -> bool:
    """Whether the server closes a connection without a word."""
    with line:
        try:
            return line.recv(100) == b""
        except ConnectionError:
            return True


def within(seconds: float, holds: Callable[[], bool]) -> None:
    """Wait until something holds; it must within the time."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    assert holds()


@pytest.mark.slow
def test_a_stream_that_outlives_its_tab_ends_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    with served(Site(engine=engine("boxes"))) as url:
        visitor = Visitor(url)
        path = f"/gradio_api/queue/data?session_hash={visitor.tab}"
        same = httpx.Client(base_url=url, cookies=visitor.http.cookies)
        with same, same.stream("GET", path, timeout=20) as stream:
            assert visitor.heartbeat is not None
            visitor.heartbeat.close()
            visitor.heartbeat = None
            rest = "".join(stream.iter_text())
        visitor.leave()
    assert stream.status_code == 200
    assert "error" not in rest
    assert "Exception" not in capfd.readouterr().err
