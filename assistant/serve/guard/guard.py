"""Guard: the ASGI app in front of Gradio. It decides who may ask for what before anything of Gradio's runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant.serve.guard.bodies import Body, malformed, read_body, rewrite_event, with_body
from assistant.serve.guard.headers import with_headers
from assistant.serve.guard.logins import Logins, network_of
from assistant.serve.guard.origins import is_from_elsewhere, require_host, require_own_page
from assistant.serve.guard.rates import Rate
from assistant.serve.guard.receiving import receive_upload
from assistant.serve.guard.refusal import Refused, not_found, slow_down
from assistant.serve.guard.routes import PUBLIC, is_allowed
from assistant.serve.guard.visitors import cookie_header, cookies_of, new_secret, secret_of, tab_of, visitor_of
from assistant.serve.inner import Inner
from assistant.serve.sessions import Sessions
from assistant.serve.settings import ServerSettings
from assistant.serve.uploads import Uploads
from vision.errors import UsageError, UserError

VISITOR_HEADER = "x-bodymaps-visitor"
"""How the page's handlers learn whose request it is; what a browser sends under this name is dropped."""
DROPPED_HEADERS = frozenset({VISITOR_HEADER, "x-forwarded-host", "x-gradio-server", "x-gradio-user", "forwarded"})
BURST_SECONDS = 4
COME_IN = '<!doctype html><meta http-equiv="refresh" content="0;url=./"><title>BodyMaps Assistant</title>'
MOST_UNFINISHED = 32
"""Events of a tab that did not hear of their end; Gradio keeps every message until then."""
ADDRESS_TIMES = 10
"""Events from one address: so many times those of one visitor."""


@dataclass(frozen=True)
class Visit:
    """One request: whose it is, and how to answer it. `secret` is the visitor's cookie."""

    scope: Scope
    receive: Receive
    send: Send
    secret: str
    user: str

    @property
    def visitor(self) -> str:
        """The visitor's name inside the server."""
        return visitor_of(self.secret)

    @property
    def address(self) -> str:
        """Where the request comes from."""
        client = self.scope.get("client")
        return "" if client is None else str(client[0])

    def tab(self, session_hash: str) -> str:
        """The server's name of one of the visitor's tabs."""
        return tab_of(self.secret, session_hash)


class Guard:
    """Wraps the page's app. Routes that are not on the list do not exist; the rest is limited, rewritten or served.

    `inner` is what Gradio knows; `needs_login` says that a password is set, `only_loopback` that only this machine may
    connect.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        sessions: Sessions,
        uploads: Uploads,
        settings: ServerSettings,
        inner: Inner,
        needs_login: bool,
        only_loopback: bool,
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._uploads = uploads
        self._settings = settings
        self._inner = inner
        self._needs_login = needs_login
        self._only_loopback = only_loopback
        self._closing = asyncio.Event()
        self._tabs_open: Counter[str] = Counter()
        self._logins = Logins(most=settings.wrong_logins)
        a_minute = settings.uploads_a_minute
        self._upload_rate = Rate(burst=a_minute, per_second=a_minute / 60)
        self._address_rate = Rate(burst=5 * a_minute, per_second=5 * a_minute / 60)
        per_second = settings.requests_a_second
        self._event_rate = Rate(burst=BURST_SECONDS * per_second, per_second=per_second)
        per_second *= ADDRESS_TIMES
        self._event_address_rate = Rate(burst=BURST_SECONDS * per_second, per_second=per_second)

    def close(self) -> None:
        """End every stream that is open to a tab; called within the loop that serves them."""
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let Gradio answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, body = Headers(scope=scope), Body(receive)
        cookies = cookies_of(headers.get("cookie", ""))
        secret, user = secret_of(cookies), self._inner.user_of(cookies)
        enters = secret is None and scope["path"] == "/" and not is_from_elsewhere(headers)
        cookie = cookie_header(new_secret(), secure=scope["scheme"] == "https") if enters else None
        send = with_headers(send, scope["path"], cookie=cookie)
        try:
            require_host(headers, only_loopback=self._only_loopback)
            require_own_page(headers)
            if not is_allowed(scope["method"], scope["path"]):
                raise not_found()
            visit = Visit(_stripped(scope), body.receive, send, secret or "", user or "")
            if secret is None and scope["path"] == "/" and not enters:
                await HTMLResponse(COME_IN)(scope, receive, send)
            elif scope["path"] == "/login":
                await self._login(visit)
            elif PUBLIC.fullmatch(scope["path"]):
                await self._app(visit.scope, visit.receive, send)
            else:
                if self._needs_login and user is None:
                    raise Refused(401, "E_LOGIN", "You are not logged in.", "Reload the page and log in.")
                query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
                await self._answer(visit, query.get("session_hash", ""))
        except Refused as refused:
            response = refused.response()
            if scope["method"] == "POST" and not await body.ends_soon():
                response.headers["Connection"] = "close"
            await response(scope, receive, send)

    async def _answer(self, visit: Visit, session_hash: str) -> None:
        """Serve what belongs to a visitor; `session_hash` is the browser's name of the tab, if the query gives one."""
        path = visit.scope["path"]
        if not visit.secret:
            raise Refused(403, "E_VISITOR", "Your browser sent no cookie.", "Allow cookies and reload the page.")
        if path.startswith("/results/"):
            await self._result(visit, path.rpartition("/")[2])
        elif path == "/gradio_api/upload":
            await self._upload(visit)
        elif path == "/gradio_api/queue/join":
            await self._event(visit)
        elif path == "/gradio_api/queue/data":
            tab = visit.tab(session_hash)
            query = urlencode({"session_hash": tab}).encode()
            await self._listen(visit, {"query_string": query}, tab, lasts=lambda: self._inner.has_messages_for(tab))
        else:
            tab = visit.tab(path.rpartition("/")[2])
            beat = f"/gradio_api/heartbeat/{tab}"
            self._tabs_open[visit.visitor] += 1
            try:
                await self._listen(visit, {"path": beat, "raw_path": beat.encode()}, tab)
            finally:
                self._tabs_open -= Counter([visit.visitor])
                await asyncio.shield(self._leave(tab, visit.visitor))

    async def _leave(self, tab: str, visitor: str) -> None:
        """Remove what belongs to a tab that is gone, and with the last tab the uploads of the visitor."""
        await run_in_threadpool(self._sessions.leave, tab)
        await self._inner.forget(tab)
        if not self._tabs_open[visitor]:
            await run_in_threadpool(self._uploads.leave, visitor)

    async def _login(self, visit: Visit) -> None:
        """Let a password be tried, later and later."""
        if not self._needs_login:
            raise not_found()
        body = await read_body(visit.receive)
        try:
            form = await Request(*with_body(visit.scope, visit.receive, body)).form()
        except (MultiPartException, ValueError, LookupError):
            raise malformed() from None
        name, password = form.get("username"), form.get("password")
        if not isinstance(name, str) or not isinstance(password, str):
            raise malformed()
        await asyncio.sleep(self._logins.begin(visit.address, name))

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self._logins.succeed(visit.address, name)
            await visit.send(message)

        await self._app(*with_body(visit.scope, visit.receive, body), watch)

    async def _upload(self, visit: Visit) -> None:
        """Take a file."""
        self._upload_rate.use(visit.visitor)
        self._address_rate.use(network_of(visit.address))
        headers = Headers(scope=visit.scope)
        length = headers.get("content-length", "")
        name = await receive_upload(
            visit.receive,
            content_type=headers.get("content-type", ""),
            length=int(length) if length.isdigit() else None,
            most=self._settings.upload_bytes,
            uploads=self._uploads,
            visitor=visit.visitor,
        )
        await JSONResponse([name])(visit.scope, visit.receive, visit.send)

    async def _event(self, visit: Visit) -> None:
        """Hand on what happened on the page: a question, a slice, a button."""
        self._event_rate.use(visit.visitor)
        self._event_address_rate.use(network_of(visit.address))

        def tab(session_hash: str) -> str:
            if self._inner.unfinished(visit.tab(session_hash)) >= MOST_UNFINISHED:
                raise slow_down(1)
            return visit.tab(session_hash)

        def file(name: str) -> str:
            try:
                return str(self._uploads.find(name, visitor=visit.visitor))
            except UsageError as error:
                raise Refused(400, error.code, error.what, error.remedy) from None

        body = rewrite_event(await read_body(visit.receive), tab=tab, file=file, knows=self._inner.knows)
        scope = {**visit.scope, "headers": [*visit.scope["headers"], (VISITOR_HEADER.encode(), visit.visitor.encode())]}
        await self._app(*with_body(scope, visit.receive, body), visit.send)

    async def _listen(
        self, visit: Visit, change: dict[str, object], tab: str, *, lasts: Callable[[], bool] = lambda: True
    ) -> None:
        """Keep a stream to a tab open while it `lasts`; when the tab drops it before its end, its work is stopped."""
        ended = False

        async def receive() -> Message:
            if not lasts():
                return {"type": "http.disconnect"}
            message = await self._unless_closing(visit.receive)
            if message["type"] == "http.disconnect" and not ended:
                self._sessions.interrupt(tab)
            return message

        async def send(message: Message) -> None:
            nonlocal ended
            ended = ended or (message["type"] == "http.response.body" and not message.get("more_body", False))
            await visit.send(message)

        await self._app({**visit.scope, **change}, receive, send)
        if not lasts() and not ended:
            await visit.send({"type": "http.response.body", "body": b""})

    async def _unless_closing(self, receive: Receive) -> Message:
        """What arrives next, or the end when the server closes first."""
        arrives, closes = asyncio.ensure_future(receive()), asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait((arrives, closes), return_when=asyncio.FIRST_COMPLETED)
            return arrives.result() if arrives.done() else {"type": "http.disconnect"}
        finally:
            arrives.cancel()
            closes.cancel()

    async def _result(self, visit: Visit, token: str) -> None:
        """Hand out a file of an answer to whom it belongs to."""
        try:
            path = await run_in_threadpool(self._sessions.file, token, visitor=visit.visitor, owner=visit.user)
        except UserError as error:
            raise Refused(507, error.code, error.what, error.remedy) from None
        if path is None:
            raise not_found()
        response: Response = FileResponse(path, filename=path.name, content_disposition_type="attachment")
        await response(visit.scope, visit.receive, visit.send)


def _stripped(scope: Scope) -> Scope:
    """A request without its query, which the page has no need of, and without headers that would be believed."""
    dropped = {name.encode() for name in DROPPED_HEADERS}
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in dropped]
    return {**scope, "headers": headers, "query_string": b""}
