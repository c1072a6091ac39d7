"""A real server among proxies and people who mean it harm."""

from __future__ import annotations

import httpx

from assistant.serve.site import Site
from tests.assistant.serve_client import served
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
