"""The parts of the guard: what is let through, rewritten, slowed down and refused."""

from __future__ import annotations

import asyncio

import pytest
from starlette.datastructures import Headers

from assistant.serve.guard.logins import FORGOTTEN_SECONDS, Logins, network_of
from assistant.serve.guard.origins import is_from_elsewhere, require_host, require_own_page
from assistant.serve.guard.rates import MOST_KEYS, Rate
from assistant.serve.guard.refusal import Refused
from assistant.serve.guard.routes import is_allowed
from assistant.serve.guard.visitors import cookie_header, new_secret, secret_of, tab_of, visitor_of
from assistant.serve.site import Site
from tests.assistant.fake_conversation import open_fake


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/assets/index-Ab_1.js"),
        ("GET", "/static/js/iframeResizer.contentWindow.min.js"),
        ("GET", "/theme.css"),
        ("GET", "/gradio_api/heartbeat/0a9z"),
        ("GET", "/gradio_api/queue/data"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/upload"),
        ("POST", "/login"),
        ("GET", f"/results/{'a' * 43}"),
    ],
)
def test_what_the_page_needs_is_there(method: str, path: str) -> None:
    assert is_allowed(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://example.org"),
        ("GET", "/monitoring"),
        ("GET", "/monitoring/summary"),
        ("GET", "/config"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/token"),
        ("GET", "/gradio_api/user"),
        ("GET", "/gradio_api/runs"),
        ("GET", "/gradio_api/deep_link"),
        ("GET", "/gradio_api/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/logout"),
        ("GET", "/svelte/index.js"),
        ("GET", "/gradio_api/custom_component/1/client/component/../../x"),
        ("GET", "/assets/../../../etc/passwd"),
        ("GET", "/assets/..%2f..%2fetc/passwd"),
        ("GET", "/assets/..\\..\\etc\\passwd"),
        ("GET", "/assets/.env"),
        ("GET", "/assets/"),
        ("GET", "//assets/index.js"),
        ("GET", "/results/../answer.json"),
        ("GET", f"/results/{'a' * 42}"),
        ("GET", f"/results/{'a' * 43}/masks.zip"),
        ("POST", "/"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/api/predict"),
        ("POST", "/gradio_api/call/predict"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/cancel"),
        ("POST", "/gradio_api/stream/x"),
        ("POST", "/gradio_api/process_recording"),
        ("PUT", "/gradio_api/upload"),
        ("OPTIONS", "/gradio_api/queue/join"),
        ("TRACE", "/"),
    ],
)
def test_everything_else_of_gradio_does_not_exist(method: str, path: str) -> None:
    assert not is_allowed(method, path)


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "[::1]:7860", "LOCALHOST:1"])
def test_this_machine_answers_under_its_own_names(host: str) -> None:
    require_host(Headers({"host": host}), only_loopback=True)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.5", "", "localhost.", "[::1"])
def test_a_foreign_name_that_points_here_reaches_nothing(host: str) -> None:
    with pytest.raises(Refused, match="E_HOST"):
        require_host(Headers({"host": host}), only_loopback=True)


def test_a_server_for_others_answers_under_any_name_but_none() -> None:
    require_host(Headers({"host": "ct.example.org"}), only_loopback=False)
    with pytest.raises(Refused, match="E_HOST"):
        require_host(Headers({}), only_loopback=False)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:7860", "origin": "https://evil.example"},
        {"host": "localhost:7860", "origin": "http://localhost:3000"},
        {"host": "localhost:7860", "origin": "null"},
        {"host": "localhost:7860", "origin": "http://localhost:7860", "sec-fetch-site": "cross-site"},
    ],
)
def test_a_page_of_another_site_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Refused, match="E_ORIGIN"):
        require_own_page(Headers(headers))


def test_the_own_page_and_programs_pass() -> None:
    require_own_page(Headers({"host": "localhost:7860", "origin": "http://localhost:7860"}))
    require_own_page(Headers({"host": "localhost:7860"}))
    assert is_from_elsewhere(Headers({"sec-fetch-site": "cross-site"}))
    assert not is_from_elsewhere(Headers({"sec-fetch-site": "same-origin"}))


def test_a_visitor_is_256_random_bits_that_no_script_and_no_other_site_can_use() -> None:
    secret = new_secret()
    assert secret != new_secret()
    header = cookie_header(secret, secure=True)
    for words in ("HttpOnly", "SameSite=Strict", "Secure", "Path=/"):
        assert words in header
    assert "Secure" not in cookie_header(secret, secure=False)
    name, _, value = header.partition(";")[0].partition("=")
    assert secret_of({name: value}) == secret
    assert secret_of({name: "short"}) is None
    assert secret not in visitor_of(secret)


def test_the_same_tab_of_another_visitor_is_another_tab() -> None:
    ann, ben = new_secret(), new_secret()
    assert tab_of(ann, "abc") == tab_of(ann, "abc")
    assert tab_of(ann, "abc") != tab_of(ben, "abc")
    assert is_allowed("GET", f"/gradio_api/heartbeat/{tab_of(ann, 'abc')}")


def test_a_rate_has_a_burst_and_refills() -> None:
    clock = Clock()
    rate = Rate(burst=2, per_second=1, clock=clock)
    rate.use("a")
    rate.use("a")
    with pytest.raises(Refused, match="E_RATE") as refused:
        rate.use("a")
    assert refused.value.response().headers["retry-after"] == "1"
    rate.use("b")
    clock.now = 1
    rate.use("a")


def test_a_rate_forgets_the_oldest_of_very_many() -> None:
    rate = Rate(burst=1, per_second=0.001)
    for number in range(MOST_KEYS + 1):
        rate.use(str(number))
    assert len(rate._buckets) == MOST_KEYS


def test_wrong_passwords_are_slowed_and_then_shut_out() -> None:
    clock = Clock()
    logins = Logins(most=5, clock=clock)
    delays = [logins.begin("10.0.0.9", "ann") for _ in range(5)]
    assert delays == [0.0, 0.25, 0.5, 1.0, 2.0]
    for address, name in (("10.0.0.9", "ann"), ("10.0.0.9", "ben"), ("::ffff:10.0.0.9", "ann")):
        with pytest.raises(Refused, match="E_LOGIN_WAIT") as refused:
            logins.begin(address, name)
        assert refused.value.status == 429
        assert refused.value.response().headers["retry-after"] == "30"
    assert logins.begin("10.0.0.7", "ben") == 0.0
    clock.now = 31
    assert logins.begin("10.0.0.9", "ann") == 4.0
    with pytest.raises(Refused, match="E_LOGIN_WAIT") as refused:
        logins.begin("10.0.0.9", "ann")
    assert refused.value.wait_seconds == pytest.approx(60)


def test_nobody_keeps_the_owner_of_a_name_out() -> None:
    logins = Logins(most=5, clock=Clock())
    for number in range(100):
        logins.begin(f"10.0.0.{number}", "ann")
    assert logins.begin("10.1.0.1", "ann ") == 4.0


def test_the_addresses_of_one_ipv6_network_are_one() -> None:
    logins = Logins(most=5, clock=Clock())
    for number in range(5):
        logins.begin(f"2001:db8:0:1::{number}", str(number))
    with pytest.raises(Refused, match="E_LOGIN_WAIT"):
        logins.begin("2001:db8:0:1:ffff::1", "ann")
    assert logins.begin("2001:db8:0:2::1", "ann") == 0.0
    assert network_of("no address") == "no address"


def test_a_right_password_and_time_forget_the_wrong_ones() -> None:
    clock = Clock()
    logins = Logins(most=5, clock=clock)
    for _ in range(4):
        logins.begin("10.0.0.9", "ann")
    logins.succeed("10.0.0.9", "ann")
    assert logins.begin("10.0.0.9", "ann") == 0.0
    clock.now = FORGOTTEN_SECONDS + 1
    assert logins.begin("10.0.0.9", "ann") == 0.0


def test_very_many_names_do_not_fill_the_memory() -> None:
    logins = Logins(most=5)
    for number in range(6000):
        logins.begin(f"10.0.{number // 250}.{number % 250}", str(number))
    assert len(logins._tries) == 10_000


def test_a_websocket_is_closed() -> None:
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    site = Site(open_with=open_fake)
    asyncio.run(site.app({"type": "websocket", "path": "/", "headers": []}, None, send))
    site.close()
    assert sent == [{"type": "websocket.close", "code": 1008}]
