"""Connections: only so many, and none that never says what it wants."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 30.0
MOST_FOR_EACH = 2
"""Beyond so many times the connections that are answered, one is not even listened to."""


class Connection(H11Protocol):
    """A connection that is closed when the head of its next request, or a body that nobody reads, does not end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to listen, or hang up when there are far too many."""
        super().connection_made(transport)
        self._waited_after: Any = None
        self._watch = self.loop.call_later(HEAD_SECONDS, self._close_if_silent)
        if self.limit_concurrency is not None and len(self.connections) > MOST_FOR_EACH * self.limit_concurrency:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to watch any more."""
        self._watch.cancel()
        super().connection_lost(exc)

    def _close_if_silent(self) -> None:
        """Close when no request came since the last look. `scope` is that of the latest request."""
        waits = self.conn.their_state is h11.IDLE or (self.scope is not None and self.cycle.response_complete)
        if waits and self._waited_after is self.scope:
            self.transport.close()
            return
        self._waited_after = self.scope if waits else self
        self._watch = self.loop.call_later(HEAD_SECONDS, self._close_if_silent)
