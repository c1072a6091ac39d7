"""Bodies of requests: read up to a limit, rewritten to what the page may say, handed on."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Message, Receive, Scope

from assistant.serve.guard.refusal import Refused

LARGEST_BODY = 256 * 1024
PAGE_MAY_SAY = ("data", "event_data", "fn_index", "trigger_id")
DEEPEST = 20
TAB = re.compile("[a-z0-9]{1,40}")
"""A browser's name of a tab."""
REST_SECONDS = 2.0
BODY_SECONDS = 30.0
"""In so long a small body arrives, over any line."""


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises Refused for one that is too long (413) or that does not end in time (408)."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(receive)
    except TimeoutError:
        raise Refused(408, "E_BODY", "The request did not end.", "Try again.") from None


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "E_BODY", "The request was cut off.", "Try again.")
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise Refused(413, "E_BODY_LONG", "The request is too long.", "Ask a shorter question.")
        if not message.get("more_body", False):
            return bytes(body)


class Body:
    """The body of a request as it arrives: `receive` that remembers whether it has ended."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def receive(self) -> Message:
        """The next part, or the end of the connection."""
        message = await self._receive()
        self._ended = self._ended or not message.get("more_body", False)
        return message

    async def ends_soon(self) -> bool:
        """Whether the body ends within `LARGEST_BODY` more bytes and a few seconds; they are thrown away.

        A browser reads the answer to a request that it has sent whole; of one that it is still sending it may only see
        that the line was cut.
        """
        thrown = 0
        try:
            async with asyncio.timeout(REST_SECONDS):
                while not self._ended and thrown <= LARGEST_BODY:
                    thrown += len((await self.receive()).get("body", b""))
        except TimeoutError:
            pass
        return self._ended


def with_body(scope: Scope, receive: Receive, body: bytes) -> tuple[Scope, Receive]:
    """A request with another body; what comes after it (the end of the connection) is heard as before."""
    headers = [
        (name, value) for name, value in scope["headers"] if name not in (b"content-length", b"transfer-encoding")
    ]
    given: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return given.pop() if given else await receive()

    return {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}, replay


def rewrite_event(
    body: bytes, *, tab: Callable[[str], str], file: Callable[[str], str], knows: Callable[[object], bool]
) -> bytes:
    """An event of the page under the server's name of its tab (`tab`) and of each uploaded file (`file`).

    Everything that the page has no need to say is left out, a file's own name first. `knows` says whether there is an
    event of a number. Raises Refused.
    """
    event = parse_json(body)
    session_hash = event.get("session_hash")
    if not isinstance(session_hash, str) or not TAB.fullmatch(session_hash) or not knows(event.get("fn_index")):
        raise malformed()
    kept = {name: _clean(event[name], file, DEEPEST) for name in PAGE_MAY_SAY if name in event}
    return json.dumps({**kept, "session_hash": tab(session_hash)}).encode()


def parse_json(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises Refused for anything else."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise malformed() from None
    if not isinstance(parsed, dict):
        raise malformed()
    return parsed


def _clean(value: Any, file: Callable[[str], str], depth: int) -> Any:
    if depth == 0:
        raise malformed()
    if isinstance(value, list):
        return [_clean(one, file, depth - 1) for one in value]
    if isinstance(value, Mapping) and "path" in value:
        return {"path": file(str(value["path"])), "meta": {"_type": "gradio.FileData"}}
    if isinstance(value, Mapping):
        return {name: _clean(one, file, depth - 1) for name, one in value.items()}
    return value


def malformed() -> Refused:
    """The answer to a body that the page would not send."""
    return Refused(400, "E_BODY", "The request is not what the page sends.", "Reload the page.")
