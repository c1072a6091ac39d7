"""The routes that the page needs. Everything else that Gradio serves does not exist here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

NAME = r"[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*"
"""A file name that goes nowhere: no slash, no backslash, no leading dot."""

PUBLIC = re.compile(
    rf"/|/(assets|static)(/{NAME})+|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt|/gradio_api/app_id"
)
"""The page itself and its looks: nothing of a visitor is in them, and the login form needs them."""

STATIC = re.compile(rf"/(assets|static)(/{NAME})+")
"""What a browser may keep."""

ALLOWED: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "HEAD": PUBLIC,
        "GET": re.compile(
            rf"{PUBLIC.pattern}|/gradio_api/heartbeat/[a-z0-9]{{1,40}}|/gradio_api/queue/data"
            r"|/results/[A-Za-z0-9_-]{43}"
        ),
        "POST": re.compile(r"/login|/gradio_api/upload|/gradio_api/queue/join"),
    }
)


def is_allowed(method: str, path: str) -> bool:
    """Whether the page needs a route. `path` is decoded, without the query."""
    pattern = ALLOWED.get(method)
    return pattern is not None and pattern.fullmatch(path) is not None
