"""Who may talk to the server: pages that it served itself, under a name that is its own."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from assistant.serve.guard.refusal import Refused

LOOPBACK_NAMES = frozenset({"localhost"})


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in LOOPBACK_NAMES


def require_host(headers: Headers, *, only_loopback: bool) -> None:
    """Refuse a request for another name than this machine's own: so a foreign page whose name was made to point here
    (DNS rebinding) reaches nothing.

    A server for others has a password instead, which such a page does not know. Raises Refused.
    """
    host = _name(f"http://{headers.get('host', '')}")
    if not host or (only_loopback and not is_loopback(host)):
        raise Refused(421, "E_HOST", "This server does not answer under that name.", "Use the address it printed.")


def require_own_page(headers: Headers) -> None:
    """Refuse what a page of another site sends. What has no Origin is from no browser, and passes. Raises Refused."""
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "none")
    same = origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    if not same or (origin is not None and site in ("cross-site", "same-site")):
        raise Refused(403, "E_ORIGIN", "Another site sent this.", "Use the chat's own page.")


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_from_elsewhere(headers: Headers) -> bool:
    """Whether a link on another site led here; the browser holds the visitor's cookie back then."""
    return headers.get("sec-fetch-site") in ("cross-site", "same-site")
