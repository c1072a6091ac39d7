"""A real server among proxies and people who mean it harm."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx

from assistant.serve.site import Site
from tests.assistant.serve_client import Visitor, served
from tests.assistant.serve_engine import engine

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


def within(seconds: float, holds: Callable[[], bool]) -> None:
    """Wait until something holds; it must within the time."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    assert holds()
