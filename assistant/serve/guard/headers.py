"""Headers of every response: what the browser may do with it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from assistant.serve.guard.routes import STATIC

PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio's page starts from scripts and styles written into it, and makes functions of strings.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
RESULT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
SECURITY: Mapping[str, str] = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
FOREIGN = ("server", "access-control-allow-origin", "access-control-allow-credentials")
"""Never sent: other sites have no business here."""


def with_headers(send: Send, path: str, *, cookie: str | None) -> Send:
    """`send` that adds the security headers, and the visitor's cookie where it is new."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name in FOREIGN:
                del headers[name]
            headers.update(SECURITY)
            headers["Content-Security-Policy"] = RESULT_POLICY if path.startswith("/results/") else PAGE_POLICY
            if STATIC.fullmatch(path) is None:
                headers["Cache-Control"] = "no-store"
            if cookie is not None:
                headers.append("Set-Cookie", cookie)
        await send(message)

    return sending
