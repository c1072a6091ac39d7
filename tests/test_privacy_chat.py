"""The chat over real HTTP: no canary of an upload in what the browser gets, in logs, in names or on the disk."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.assistant.serve_client import Visitor, free_port
from tests.canaries import canaries_in, unpacked, word, write_nifti, write_zip
from tests.spy import seen_in, spied_on

PROGRAM = """
import sys
from assistant.logs import install_clean_logs
from assistant.serve.site import Site
from assistant.serve.start import Server
from tests.assistant.serve_engine import engine

install_clean_logs()
site = Site(engine=engine(sys.argv[1]))
Server(site, "127.0.0.1", int(sys.argv[2])).run()
site.close()
"""


@dataclass
class Told:
    """Everything that came back from the server: bodies and headers."""

    parts: list[bytes] = field(default_factory=list)

    def listen(self, visitor: Visitor) -> None:
        """Keep every response of a visitor from now on."""

        def keep(response: httpx.Response) -> None:
            self.parts.append(repr((response.headers, str(response.url))).encode())

        visitor.http.event_hooks["response"].append(keep)

    def add(self, what: object) -> None:
        self.parts.append(what if isinstance(what, bytes) else repr(what).encode())

    @property
    def canaries(self) -> set[str]:
        return {canary for part in self.parts for content in unpacked(part) for canary in canaries_in(content)}


@contextmanager
def chat(folder: Path, engine: str) -> Iterator[str]:
    """A chat in a process of its own, spied on; ended by Ctrl+C, it must leave nothing behind."""
    port = free_port()
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, engine, str(port)],
            cwd=folder,
            env=spied_on(folder),
            stdout=errors,
            stderr=errors,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    httpx.get(url)
                    break
                except httpx.TransportError:
                    assert process.poll() is None
                    time.sleep(0.05)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def send(visitor: Visitor, path: Path) -> httpx.Response:
    """Upload a file under its own telling name."""
    return visitor.upload(path, path.name)


def check_silence(folder: Path, told: Told) -> None:
    assert told.parts
    assert told.canaries == set()
    assert canaries_in((folder / "stderr").read_bytes()) == set()
    assert "vision.io.child" in seen_in(folder)
    assert canaries_in(seen_in(folder)) == set()
    # gradio makes a folder for itself when it is imported; no file may stay in it.
    assert [path for path in (folder / "tmp").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("write", [write_nifti, pytest.param(write_zip, marks=pytest.mark.slow)])
def test_chat_lets_no_canary_out(write, tmp_path: Path) -> None:
    path, told = write(tmp_path), Told()
    with chat(tmp_path, "boxes") as url:
        visitor = Visitor(url)
        told.listen(visitor)
        sent = send(visitor, path)
        told.add(sent.content)
        told.add(visitor.ask("", upload=sent.json()[0]))
        told.add(visitor.ask("Where is the liver, and how big is it?"))
        told.add(visitor.slice(3))
        links = visitor.files("Generate a report.")
        assert len(links) == 3
        for link in links:
            told.add(visitor.http.get(f"/{link}").content)
        visitor.leave()
    check_silence(tmp_path, told)


@pytest.mark.slow
def test_chat_that_refuses_and_fails_lets_no_canary_out(tmp_path: Path) -> None:
    good, told = write_nifti(tmp_path), Told()
    broken = tmp_path / f"{word('broken')}.nii.gz"
    broken.write_bytes(good.read_bytes()[:-200])
    with chat(tmp_path, "failing") as url:
        visitor = Visitor(url)
        told.listen(visitor)
        for path, said in ((broken, "E_TRUNCATED"), (good, "CT is open")):
            sent = send(visitor, path)
            messages = visitor.ask("", upload=sent.json()[0])
            assert said in str(messages)
            told.add(messages)
        messages = visitor.ask(f"Segment the liver of {word('question')}.")
        assert "E_UNEXPECTED" in str(messages)
        told.add([message for message in messages if message["role"] == "assistant"])
        other = tmp_path / f"{word('other')}.exe"
        other.write_bytes(word("executable").encode())
        told.add(send(visitor, other).content)
        visitor.leave()
    check_silence(tmp_path, told)
    log = (tmp_path / "stderr").read_text()
    assert "ValueError\n" in log
    assert "jane" not in log
