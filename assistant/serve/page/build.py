"""The chat page as Gradio builds it: parts, events, looks, and every risky default of Gradio's set to the safe side."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr

from assistant.serve.desk import Desk
from assistant.serve.page.events import Events
from assistant.serve.page.layout import lay_out
from assistant.serve.sessions import Sessions
from assistant.serve.settings import ServerSettings

TITLE = "BodyMaps Assistant"
THREADS = 200
"""Threads for events of all pages together; an event that waits for an answer holds one."""

PINS: Mapping[str, Any] = MappingProxyType(
    {
        "show_error": False,
        "enable_monitoring": False,
        "run_history": False,
        "mcp_server": False,
        "ssr_mode": False,
        "pwa": False,
        "footer_links": [],
        "allowed_paths": [],
    }
)
"""What the page is served with, once and for all: nothing is recorded, monitored or served beside it."""

DARK: Mapping[str, str] = MappingProxyType(
    {
        "body_background_fill_dark": "#0b0e13",
        "background_fill_primary_dark": "#0f141b",
        "background_fill_secondary_dark": "#141b24",
        "block_background_fill_dark": "#0f141b",
        "block_border_color_dark": "#1e2733",
        "border_color_primary_dark": "#243041",
        "input_background_fill_dark": "#141b24",
        "button_secondary_background_fill_dark": "#141b24",
        "button_secondary_background_fill_hover_dark": "#1e2937",
        "button_secondary_border_color_dark": "#2b3747",
        "checkbox_label_background_fill_dark": "#141b24",
        "checkbox_label_background_fill_selected_dark": "#0c4a6e",
    }
)
"""The one look of the page: radiologists read in the dark."""


def build_page(desk: Desk, sessions: Sessions, settings: ServerSettings) -> gr.Blocks:
    """The page over a desk and its sessions. Gradio itself keeps nothing of a visitor."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, fill_height=True) as page:
        events = Events(desk, sessions, lay_out())
        events.wire()
        page.load(events.start, None, None, show_progress="hidden", api_visibility="private")
        # The page keeps a connection open only when something is to happen at its end. The guard sees that end.
        page.unload(lambda: None)
    page.max_threads = THREADS
    page.queue(max_size=settings.visitors, default_concurrency_limit=None, api_open=False)
    page.state_session_capacity = settings.visitors
    return page


def look() -> dict[str, Any]:
    """Theme, style and script of the page."""
    static = files("assistant.serve.page") / "static"
    theme = gr.themes.Base(
        primary_hue="sky",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return {
        "theme": theme.set(**DARK),
        "css": (static / "page.css").read_text(encoding="utf-8"),
        "js": (static / "page.js").read_text(encoding="utf-8"),
    }
