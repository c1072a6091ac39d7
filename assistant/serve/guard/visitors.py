"""Visitors: a browser is known by a cookie that nobody can guess, and owns the tabs that it names."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from starlette.requests import cookie_parser

COOKIE = "bodymaps_visitor"
WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{43}")


def cookies_of(header: str) -> dict[str, str]:
    """The cookies of a Cookie header."""
    return cookie_parser(header)


def new_secret() -> str:
    """A cookie's value: 256 random bits."""
    return secrets.token_urlsafe(32)


def secret_of(cookies: dict[str, str]) -> str | None:
    """The visitor's cookie, None without one."""
    value = cookies.get(COOKIE, "")
    return value if WELL_FORMED.fullmatch(value) else None


def visitor_of(secret: str) -> str:
    """The visitor's name inside the server; the cookie cannot be told from it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:32]


def tab_of(secret: str, session_hash: str) -> str:
    """The name of a tab inside the server. Another visitor who learns its `session_hash` names another tab by it."""
    return hmac.new(secret.encode(), session_hash.encode(), hashlib.sha256).hexdigest()[:40]


def cookie_header(secret: str, *, secure: bool) -> str:
    """The Set-Cookie header: no script reads it, and no other site makes the browser send it."""
    return f"{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if secure else "")
