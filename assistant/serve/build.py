"""The chat page as an app, and starting it so that nobody else can reach it."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from assistant.plan import Planner
from assistant.serve.desk import Desk, Opener
from assistant.serve.events import Events
from assistant.serve.layout import lay_out
from assistant.serve.sessions import OpenCT, Sessions
from vision.errors import UsageError
from vision.segmenter import Progress, Segmenter

TITLE = "BodyMaps Assistant"
WAITING_AT_MOST = 16
LARGEST_UPLOAD = "2gb"
FILES_LIVE_SECONDS = 2 * 60 * 60
FOLDER_PREFIX = "bodymaps-"
LOOPBACK_NAMES = frozenset({"localhost"})

PINS: Mapping[str, Any] = MappingProxyType(
    {
        "quiet": True,
        "share": False,
        "show_error": False,
        "strict_cors": True,
        "enable_monitoring": False,
        "run_history": False,
        "mcp_server": False,
        "ssr_mode": False,
        "pwa": False,
        "footer_links": [],
        "allowed_paths": [],
        "max_file_size": LARGEST_UPLOAD,
        "state_session_capacity": 100,
    }
)
"""What `launch` sets once and for all: nothing is shared, recorded, monitored or served beside the page."""


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


def build_app(
    *,
    segmenter: Segmenter | None = None,
    planner: Planner | None = None,
    open_with: Opener | None = None,
    folder: Path | None = None,
) -> gr.Blocks:
    """Build the page. Without a segmenter the shipped one loads when the first CT is opened.

    `open_with` opens a CT in another way than `assistant.open_ct`. `folder` is where uploads lie while they are
    needed, a new private one by default.
    """
    place = private_folder() if folder is None else folder
    desk = Desk(open_with or _open_with(segmenter, planner), lambda progress: _example(place, progress))
    sessions = Sessions(place / "sessions")
    with gr.Blocks(
        title=TITLE,
        analytics_enabled=False,
        fill_width=True,
        fill_height=True,
        delete_cache=(600, FILES_LIVE_SECONDS),
    ) as app:
        parts = lay_out()
        events = Events(desk, sessions, parts)
        events.wire()
        app.load(events.start, None, parts.visitor, show_progress="hidden", api_visibility="private")
        app.unload(events.leave)
    app.queue(max_size=WAITING_AT_MOST, default_concurrency_limit=4, api_open=False)
    return app


def launch(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    auth: tuple[str, str] | None = None,
    segmenter: Segmenter | None = None,
    planner: Planner | None = None,
) -> None:
    """Serve the page until the process is stopped. `auth` is (name, password), needed wherever others can connect.

    Everything that was uploaded is removed at the end. Raises UsageError for a port that is taken, and for a host
    that others can reach without `auth`, or with an empty name or password.
    """
    require_safe(host, auth)
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        app = build_app(segmenter=segmenter, planner=planner, folder=Path(folder))
        require_free(host, port)
        print(f"The chat is at http://{host}:{port}  (Ctrl+C stops it)", file=sys.stderr)
        app.launch(server_name=host, server_port=port, auth=auth, **look(), **PINS)


def require_free(host: str, port: int) -> None:
    """Refuse a port that another program serves, or an address that this machine does not have."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host.strip("[]"), port), family=family):
            return
    except OSError:
        raise UsageError("E_PORT", f"{host}:{port} cannot be served from.", "Choose another with --port.") from None


def require_safe(host: str, auth: tuple[str, str] | None) -> None:
    """Refuse to serve CTs to others without a password."""
    if auth is not None and not all(auth):
        raise UsageError("E_AUTH", "The name or the password is empty.", "Give --auth NAME:PASSWORD.")
    if auth is None and not is_loopback(host):
        raise UsageError(
            "E_AUTH", f"On {host} anybody could open the CTs.", "Add --auth NAME:PASSWORD or use --host 127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() in LOOPBACK_NAMES


def private_folder() -> Path:
    """A new folder that only this user can read."""
    return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))


def look() -> dict[str, Any]:
    """Theme, style and script of the page, for `Blocks.launch`."""
    static = files("assistant.serve") / "static"
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


def _open_with(segmenter: Segmenter | None, planner: Planner | None) -> Opener:
    def open_with(path: Path, series: str | None, progress: Progress) -> OpenCT:
        from assistant.api import open_ct

        return open_ct(path, series=series, segmenter=segmenter, planner=planner, progress=progress)

    return open_with


def _example(folder: Path, progress: Progress) -> Path:
    """The package's own CT, made on the first click."""
    path = folder / "example.nii.gz"
    if not path.exists():
        from vision.io import write_ct
        from vision.phantom import make_phantom

        progress("Making the example CT", 0.0)
        write_ct(make_phantom(seed=0).ct, path)
    return path
