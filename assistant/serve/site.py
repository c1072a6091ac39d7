"""Site: everything that serves the chat, put together: memory, workers, sessions, the page, and the guard in front."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from starlette.routing import Mount

from assistant.api import DEFAULT_MODEL
from assistant.plan import Planner
from assistant.serve.desk import Desk, Opener
from assistant.serve.guard import Guard
from assistant.serve.inner import Inner
from assistant.serve.opening import CAN_FORK, Opening, in_threads, in_workers
from assistant.serve.page.build import PINS, build_page, look
from assistant.serve.place import Place
from assistant.serve.sessions import Sessions
from assistant.serve.settings import DEFAULTS, SHARE_OF_MEMORY, ServerSettings
from assistant.serve.uploads import Uploads
from assistant.serve.workers.engine import Engine, engine_of
from assistant.serve.workers.line import Line
from assistant.serve.workers.memory import MemoryBudget, available_bytes
from assistant.serve.workers.zygote import Zygote
from vision.segmenter import Progress, Segmenter

SWEEP_SECONDS = 30.0
GRADIO_FOLDER = "GRADIO_TEMP_DIR"
"""Gradio takes a file of a visitor from the folder that this variable names and from nowhere else."""


class Site:
    """The chat as an ASGI app, `app`, with what it needs around it. `close` ends workers and removes every file.

    Without a segmenter the shipped one answers, each CT in a worker of its own; `engine` names what answers there. One
    that is given as an object answers in threads of this process. `open_with` opens CTs in another way altogether.
    """

    def __init__(
        self,
        *,
        settings: ServerSettings = DEFAULTS,
        auth: tuple[str, str] | None = None,
        only_loopback: bool = True,
        segmenter: Segmenter | None = None,
        planner: Planner | None = None,
        engine: Engine | None = None,
        open_with: Opener | None = None,
    ) -> None:
        self._place = Place()
        self.folder = self._place.folder
        self.settings = settings
        self.sessions = Sessions(self.folder / "sessions", settings=settings)
        self.uploads = Uploads(self.folder / "uploads", settings=settings)
        memory = settings.memory_bytes or int(SHARE_OF_MEMORY * available_bytes())
        self.budget = MemoryBudget(memory, self.sessions.close_an_idle_ct)
        self.line = Line(at_once=settings.at_once, most_waiting=settings.waiting)
        apart = CAN_FORK and segmenter is None and planner is None and open_with is None
        engine = engine or engine_of(DEFAULT_MODEL)
        self.zygote = Zygote(engine, threads=settings.worker_threads) if apart else None
        if self.zygote is not None:
            converse = in_workers(self.zygote, self.line, settings)
        else:
            converse = in_threads(segmenter, planner, self.line, engine)
        reading = Line(at_once=settings.opening_at_once, most_waiting=settings.waiting)
        desk = Desk(open_with or Opening(self.budget, reading, converse, engine.needs()), self._example, self.uploads)
        self._folder_before = os.environ.get(GRADIO_FOLDER)
        os.environ[GRADIO_FOLDER] = str(self.uploads.folder)
        self.page = build_page(desk, self.sessions, settings)
        limit = f"{settings.upload_bytes}b"
        outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        gr.mount_gradio_app(outer, self.page, "/", auth=auth, max_file_size=limit, **look(), **PINS)
        self.app = Guard(
            outer,
            sessions=self.sessions,
            uploads=self.uploads,
            settings=settings,
            inner=Inner(_gradio_app(outer)),
            needs_login=auth is not None,
            # Behind a proxy the name is the proxy's; the password keeps others out.
            only_loopback=only_loopback and auth is None,
        )
        self._closed = threading.Event()
        threading.Thread(target=self._sweep, name="sweep", daemon=True).start()

    def warm(self) -> None:
        """Start what the first CT would have to wait for."""
        if self.zygote is not None:
            self.zygote.warm()

    def close(self) -> None:
        """End everything; nothing stays on the disk."""
        self._closed.set()
        self.sessions.close()
        if self.zygote is not None:
            self.zygote.close()
        if self._folder_before is None:
            os.environ.pop(GRADIO_FOLDER, None)
        else:
            os.environ[GRADIO_FOLDER] = self._folder_before
        self._place.close()

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP_SECONDS):
            self.sessions.sweep()
            self.uploads.sweep()

    def _example(self, progress: Progress) -> Path:
        """The package's own CT, made on the first click."""
        path = self.folder / "example.nii.gz"
        if not path.exists():
            from vision.io import write_ct
            from vision.phantom import make_phantom

            progress("Making the example CT", 0.0)
            write_ct(make_phantom(seed=0).ct, path)
        return path


def _gradio_app(outer: FastAPI) -> gr.routes.App:
    inner = [route.app for route in outer.routes if isinstance(route, Mount)][-1]
    assert isinstance(inner, gr.routes.App)
    return inner
