"""Gradio as the guard sees it: what it remembers of logins and tabs."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr


class Inner:
    """The app that Gradio made of the page."""

    def __init__(self, app: gr.routes.App) -> None:
        self._app = app
        self._queue = app.get_blocks()._queue

    def user_of(self, cookies: Mapping[str, str]) -> str | None:
        """The name that somebody logged in with, from the cookies; None without a login."""
        app = self._app
        names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
        return next((app.tokens[cookies[name]] for name in names if cookies.get(name) in app.tokens), None)

    def knows(self, event: object) -> bool:
        """Whether the page has an event of this number."""
        return type(event) is int and event in self._app.get_blocks().fns

    def unfinished(self, tab: str) -> int:
        """Events of a tab whose end it did not hear of yet."""
        return len(self._queue.pending_event_ids_session.get(tab, ()))

    def has_messages_for(self, tab: str) -> bool:
        """Whether a stream to a tab has anything to wait for; Gradio fails in the middle of one that has not."""
        return tab in self._queue.pending_messages_per_session

    async def forget(self, tab: str) -> None:
        """Let go of the copy of the page and of the messages that Gradio keeps for every tab, in case it came back."""
        self._app.state_holder.session_data.pop(tab, None)
        self._app.state_holder.time_last_used.pop(tab, None)
        await self._queue.clean_events(session_hash=tab)
        self._queue.pending_messages_per_session.pop(tab, None)
        self._queue.pending_event_ids_session.pop(tab, None)
