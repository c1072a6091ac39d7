"""A real server over real HTTP: what a visitor can do, and what nobody can."""

from __future__ import annotations

import json
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from assistant.serve.settings import ServerSettings
from assistant.serve.site import Site
from tests.assistant.serve_client import CONFIG, Visitor, served, text_of
from tests.assistant.serve_engine import engine, good_file

PASSWORD = ("ann", "correct horse")


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(engine=engine("boxes"), settings=ServerSettings(upload_bytes=2**22))


@pytest.fixture(scope="module")
def url(site: Site) -> Iterator[str]:
    with served(site) as address:
        yield address


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return good_file(tmp_path_factory.mktemp("ct"))


@pytest.fixture
def visitor(url: str) -> Iterator[Visitor]:
    visitor = Visitor(url)
    yield visitor
    visitor.leave()


def test_a_ct_is_sent_opened_asked_about_looked_at_and_taken_away(visitor: Visitor, ct: Path, tmp_path: Path) -> None:
    assert "The CT is open" in text_of(visitor.open(ct))
    assert "liver" in visitor.said("How big is the liver?")
    assert "data:image/png;base64," in visitor.slice(3)
    links = visitor.files("Generate a report.")
    taken = [visitor.http.get(f"/{link}") for link in links]
    assert [one.headers["content-disposition"] for one in taken] == [
        f'attachment; filename="{name}"' for name in ("answer.json", "masks.zip", "report.html")
    ]
    assert taken[0].json()["question"] == "Generate a report."
    (tmp_path / "masks.zip").write_bytes(taken[1].content)
    assert "masks/liver.nii.gz" in zipfile.ZipFile(tmp_path / "masks.zip").namelist()


def test_every_response_tells_the_browser_to_keep_to_itself(visitor: Visitor) -> None:
    for path in ("/", "/theme.css", "/gradio_api/nothing", f"/results/{'a' * 43}"):
        headers = visitor.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"] or path.startswith("/results")
        assert "http" not in headers["content-security-policy"]
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers


def test_the_cookie_is_set_once_and_not_for_who_comes_from_another_site(url: str) -> None:
    with httpx.Client(base_url=url) as browser:
        from_elsewhere = browser.get("/", headers={"sec-fetch-site": "cross-site"})
        assert "set-cookie" not in from_elsewhere.headers
        assert 'http-equiv="refresh"' in from_elsewhere.text
        first = browser.get("/")
        assert "HttpOnly; SameSite=Strict" in first.headers["set-cookie"]
        assert "set-cookie" not in browser.get("/").headers


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=app.py",
        "/gradio_api/file%3D/etc/passwd",
        "/file=/etc/passwd",
        "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/%2e%2e/routes.py",
        "/static/..%5c..%5croutes.py",
        "/gradio_api/proxy=http://127.0.0.1:1",
        "/monitoring",
        "/config",
        "/gradio_api/info",
        "/gradio_api/queue/status",
        "/gradio_api/runs",
        "/gradio_api/call/x/y",
        "/gradio_api/stream/a/b/1/playlist.m3u8",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_path_leads_out_of_the_page(visitor: Visitor, path: str) -> None:
    answer = visitor.http.get(path)
    assert answer.status_code == 404
    assert answer.text.startswith("E_NOT_FOUND")


def test_files_that_are_no_ct_or_too_large_are_not_kept(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 10)
    for name in ("evil.exe", "page.html", "a.nii.gz.svg", "../../x.py"):
        refused = visitor.upload(tmp_path / "x", name)
        assert (refused.status_code, refused.text[:11]) == (415, "E_FILE_TYPE")
    (tmp_path / "large").write_bytes(b"x" * (2**22 + 1))
    assert visitor.upload(tmp_path / "large", "large.nii").status_code == 413
    assert list(site.uploads.folder.iterdir()) == []


def test_an_oversized_body_is_cut_off_while_it_streams(visitor: Visitor, site: Site) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--xx\r\nContent-Disposition: form-data; name="files"; filename="a.nii"\r\n\r\n'
        while sent < 2**30:
            sent += 2**16
            yield b"x" * 2**16

    headers = {"content-type": "multipart/form-data; boundary=xx"}
    try:
        status = visitor.http.post("/gradio_api/upload", content=endless(), headers=headers).status_code
    except httpx.TransportError:
        status = 413  # the server hung up while we were sending
    assert status == 413
    assert sent < 2**27
    assert list(site.uploads.folder.iterdir()) == []


def test_the_name_of_a_file_is_nowhere(visitor: Visitor, ct: Path, site: Site) -> None:
    sent = visitor.upload(ct, "DOE_JANE_MRN4711.nii.gz")
    assert "DOE" not in sent.text
    names = " ".join(str(path) for path in site.folder.rglob("*"))
    assert "DOE" not in names
    said = json.dumps(visitor.ask("Segment the liver.", upload=sent.json()[0]))
    assert "The CT is open" in said
    assert "JANE" not in said


@pytest.mark.parametrize("path", ["/etc/passwd", "http://127.0.0.1:9/x.nii", "../sessions", "x.nii.gz"])
def test_a_file_that_was_not_sent_cannot_be_opened(visitor: Visitor, path: str) -> None:
    data = [{"text": "", "files": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}]
    refused = visitor.join("talk", data)
    assert (refused.status_code, refused.text[:13]) == (400, "E_UPLOAD_GONE")


def test_nothing_of_a_visitor_can_be_reached_by_another(visitor: Visitor, url: str, ct: Path) -> None:
    visitor.open(ct)
    links = visitor.files("How big is the liver?")
    upload = visitor.upload(ct).json()[0]
    other = Visitor(url)
    assert [other.http.get(f"/{link}").status_code for link in links] == [404] * 3
    other.tab, own = visitor.tab, other.tab
    assert "E_SESSION_CLOSED" in text_of(other.ask("How big is the liver?"))
    other.tab = own
    data = [{"text": "", "files": [{"path": upload, "meta": {"_type": "gradio.FileData"}}]}]
    assert other.join("talk", data).status_code == 400
    assert "E_NO_CT" in text_of(other.ask("How big is the liver?"))
    other.leave()
    assert "liver" in visitor.said("How big is the liver?")
    with httpx.Client(base_url=url) as nobody:
        assert nobody.get(f"/{links[0]}").status_code == 403


def test_words_of_a_question_stay_words(visitor: Visitor, ct: Path) -> None:
    visitor.open(ct)
    attack = "<img src=x onerror=alert(1)> [x](javascript:alert(1)) <script>alert(1)</script> **b** $$x$$"
    shown = json.dumps(visitor.ask(attack))
    assert "<img" not in shown
    assert "<script" not in shown
    assert "](javascript:" not in shown
    report = visitor.http.get(f"/{visitor.files(attack)[2]}").text
    assert "<script>alert" not in report
    assert "<img src=x" not in report


def test_another_site_can_send_nothing(visitor: Visitor) -> None:
    body = {"session_hash": visitor.tab, "fn_index": visitor.number("talk"), "data": []}
    for origin in ("https://evil.example", "http://localhost:1", "null"):
        refused = visitor.http.post("/gradio_api/queue/join", json=body, headers={"origin": origin})
        assert (refused.status_code, refused.text[:8]) == (403, "E_ORIGIN")
        assert visitor.http.get("/", headers={"origin": origin}).status_code == 403
    assert visitor.http.get("/", headers={"host": "evil.example"}).status_code == 421
    forwarded = visitor.http.get("/", headers={"x-forwarded-host": "evil.example"})
    assert "evil.example" not in forwarded.text
    asked = json.loads(CONFIG.findall(visitor.http.get("/?deep_link=" + "a" * 20).text)[0])
    assert asked["deep_link_state"] == "none"


def test_a_page_that_sends_too_much_is_slowed(url: str) -> None:
    visitor = Visitor(url)
    answers = {visitor.join("stop", []).status_code for _ in range(140)}
    assert answers == {200, 429}
    visitor.leave()


def test_too_many_uploads_of_a_visitor_or_an_address_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    with served(Site(engine=engine("boxes"), settings=ServerSettings(uploads_a_minute=2))) as url:
        visitors = [Visitor(url) for _ in range(6)]
        sent = [[visitor.upload(tmp_path / "x").status_code for _ in range(3)] for visitor in visitors]
        assert sent == [[200, 200, 429]] * 5 + [[429] * 3]
        for visitor in visitors:
            visitor.leave()


def test_a_body_that_is_too_long_is_refused(visitor: Visitor) -> None:
    answer = visitor.http.post("/gradio_api/queue/join", content=b"x" * 300_000)
    assert (answer.status_code, answer.text[:11]) == (413, "E_BODY_LONG")


def test_with_a_password_nothing_is_served_without_it(ct: Path) -> None:
    with served(Site(engine=engine("boxes"), auth=PASSWORD)) as url:
        with httpx.Client(base_url=url) as nobody:
            assert "auth_required" in nobody.get("/").text
            for path in ("/gradio_api/heartbeat/abc", "/gradio_api/queue/data", f"/results/{'a' * 43}"):
                assert nobody.get(path).status_code == 401
            for path in ("/gradio_api/upload", "/gradio_api/queue/join"):
                assert nobody.post(path, json={}).status_code == 401
            assert nobody.post("/login", data={"username": "ann", "password": "wrong"}).status_code == 400
        visitor = Visitor(url, login=PASSWORD)
        visitor.open(ct)
        links = visitor.files("How big is the liver?")
        assert visitor.http.get(f"/{links[0]}").status_code == 200
        for name in [cookie for cookie in visitor.http.cookies if cookie.startswith("access-token")]:
            del visitor.http.cookies[name]
        assert visitor.http.get(f"/{links[0]}").status_code == 401
        visitor.leave()


def test_thirty_wrong_passwords_open_nothing_and_lock_the_door() -> None:
    with served(Site(engine=engine("boxes"), auth=PASSWORD)) as url, httpx.Client(base_url=url, timeout=30) as browser:
        statuses: list[int] = []

        def guess(number: int) -> None:
            statuses.append(browser.post("/login", data={"username": "ann", "password": f"x{number}"}).status_code)

        threads = [threading.Thread(target=guess, args=(number,)) for number in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (statuses.count(400), statuses.count(429)) == (5, 25)
        locked = browser.post("/login", data={"username": PASSWORD[0], "password": PASSWORD[1]})
        assert locked.status_code == 429
        assert 1 <= int(locked.headers["retry-after"]) <= 30


def test_without_a_password_there_is_no_login(visitor: Visitor) -> None:
    assert visitor.http.post("/login", data={"username": "a", "password": "b"}).status_code == 404


def test_a_server_that_ends_hangs_up_on_open_tabs_at_once(ct: Path) -> None:
    site = Site(engine=engine("stuck"))
    with served(site) as url:
        visitor = Visitor(url)
        visitor.open(ct)
        visitor.join("talk", [{"text": "How big is the liver?", "files": []}])
        began = time.monotonic()
    assert time.monotonic() - began < 2.5
    assert len(site.sessions) == 0
    assert not site.folder.exists()
    visitor.leave()


def test_a_ct_without_memory_waits_for_an_idle_one_to_be_closed_and_both_are_told(ct: Path) -> None:
    site = Site(engine=engine("boxes"), settings=ServerSettings(memory_bytes=1200 * 2**20))
    with served(site) as url:
        first, second = Visitor(url), Visitor(url)
        assert "The CT is open" in text_of(first.open(ct))
        refused = text_of(second.open(ct))
        assert "E_MEMORY_BUSY" in refused
        assert "0.8 GiB of memory; 0.3 GiB are free" in refused
        for session in site.sessions._sessions.values():
            session.used -= site.settings.idle_ct_seconds
        assert "The CT is open" in text_of(second.open(ct))
        assert "E_CT_CLOSED" in first.said("How big is the liver?")
        assert "liver" in second.said("How big is the liver?")
        first.leave()
        second.leave()
