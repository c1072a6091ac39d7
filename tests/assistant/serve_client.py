"""Visitors of a real server: HTTP as the page speaks it, without a browser."""

from __future__ import annotations

import json
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from assistant.serve.site import Site
from assistant.serve.start import Server

CONFIG = re.compile(r"window\.gradio_config = (\{.*?\});</script>", re.DOTALL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(site: Site) -> Iterator[str]:
    """Serve a site on this machine; yields its address, ends it and the site afterwards."""
    port = free_port()
    server = Server(site, "127.0.0.1", port)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        site.close()


class Visitor:
    """One browser tab: its cookies, its session hash, its heartbeat."""

    def __init__(self, url: str, *, login: tuple[str, str] | None = None) -> None:
        self.http = httpx.Client(base_url=url, timeout=60)
        self.tab = secrets.token_hex(6)
        page = self.http.get("/").text
        if login is not None:
            self.http.post("/login", data={"username": login[0], "password": login[1]}).raise_for_status()
            page = self.http.get("/").text
        self.config = json.loads(CONFIG.findall(page)[0])
        self.heartbeat: httpx.Response | None = self.http.send(
            self.http.build_request("GET", f"/gradio_api/heartbeat/{self.tab}"), stream=True
        )
        self.run("start", [])

    def leave(self) -> None:
        """Drop every connection, as a closed tab does."""
        if self.heartbeat is not None:
            self.heartbeat.close()
            self.heartbeat = None
        self.http.close()

    def upload(self, path: Path, name: str = "ct.nii.gz") -> httpx.Response:
        """Send a file under a name."""
        with path.open("rb") as file:
            return self.http.post("/gradio_api/upload", files={"files": (name, file)})

    def ask(self, question: str, *, upload: str | None = None) -> list[dict[str, Any]]:
        """Send a question, a file or both; the chat's messages once it is over."""
        files = (
            []
            if upload is None
            else [{"path": upload, "orig_name": "JANE.nii.gz", "meta": {"_type": "gradio.FileData"}}]
        )
        return self.run("talk", [{"text": question, "files": files}])[0]

    def open(self, path: Path) -> list[dict[str, Any]]:
        """Upload a CT and open it."""
        sent = self.upload(path)
        sent.raise_for_status()
        return self.ask("", upload=sent.json()[0])

    def said(self, question: str) -> str:
        """The last words after a question."""
        return text_of(self.ask(question))

    def slice(self, index: int) -> str:
        """The picture of one slice, as the page gets it once it has followed the chat."""
        self.run("panel", ["Axial"])
        return str(self.run("move", ["Axial", index, "Abdomen", "Masks"])[0])

    def files(self, question: str) -> list[str]:
        """The links to the files of an answer."""
        self.ask(question)
        return re.findall(r'href="(results/[^"]+)"', str(self.run("panel", ["Axial"])))

    def join(self, handler: str, data: list[Any], **more: Any) -> httpx.Response:
        """Tell the server that something happened on the page."""
        body = {"session_hash": self.tab, "fn_index": self.number(handler), "data": data, **more}
        return self.http.post("/gradio_api/queue/join", json=body)

    def run(self, handler: str, data: list[Any], **more: Any) -> list[Any]:
        """An event and what it changed on the page in the end."""
        joined = self.join(handler, data, **more)
        joined.raise_for_status()
        last: list[Any] = []
        for message in self.listen():
            if message["msg"] == "process_completed" and message["event_id"] == joined.json()["event_id"]:
                assert message["success"], message["output"]
                last = message["output"]["data"]
                break
        return last

    def listen(self) -> Iterator[dict[str, Any]]:
        """The messages of the server to this tab."""
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.tab}) as stream:
            stream.raise_for_status()
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])

    def number(self, handler: str) -> int:
        """The number of the first event with a handler."""
        return next(one["id"] for one in self.config["dependencies"] if one["api_name"] == handler)


def text_of(messages: list[dict[str, Any]]) -> str:
    """The last message's words."""
    content = messages[-1]["content"]
    return str(content if isinstance(content, str) else " ".join(str(part.get("text", "")) for part in content))


class Apart(NamedTuple):
    """A server in a process of its own."""

    url: str
    pid: int
    folder: Path


@contextmanager
def served_apart(engine_name: str, **settings: object) -> Iterator[Apart]:
    """Serve in a process of its own, with an engine of `serve_engine`."""
    program = (
        "import sys\n"
        "from assistant.serve.settings import ServerSettings\n"
        "from assistant.serve.site import Site\n"
        "from tests.assistant.serve_client import served\n"
        "from tests.assistant.serve_engine import engine\n"
        f"site = Site(engine=engine({engine_name!r}), settings=ServerSettings(**{settings!r}))\n"
        "with served(site) as url:\n"
        "    print(url, site.folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url, folder = server.stdout.readline().split()
        yield Apart(url, server.pid, Path(folder))
