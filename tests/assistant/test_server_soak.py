"""The server for a long time, without a network, and against the memory that it says it needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from assistant.serve.place import LOCK
from assistant.serve.workers.engine import Engine
from assistant.serve.workers.line import Line
from assistant.serve.workers.needs import needed_bytes
from assistant.serve.workers.remote import RemoteConversation
from assistant.serve.workers.zygote import Zygote
from tests.assistant.serve_client import Apart, Visitor, served_apart
from tests.assistant.serve_engine import good_file
from vision.geometry import CTVolume, Grid
from vision.phantom import make_phantom

pytestmark = pytest.mark.slow


def use(server: Apart, ct: Path, sessions: int) -> int:
    """Visitors who come one after the other, use everything and go; the number of operations."""
    for _ in range(sessions):
        visitor = Visitor(server.url)
        visitor.open(ct)
        visitor.said("What can you do?")
        for link in visitor.files("How big is the liver?"):
            visitor.http.get(f"/{link}").raise_for_status()
        visitor.slice(3)
        visitor.leave()
    return sessions * 10


def state(server: Apart) -> tuple[float, int, int, list[Path]]:
    """Memory in MiB, open descriptors, workers and files of a server."""
    process = psutil.Process(server.pid)
    workers = [worker for zygote in process.children() for worker in zygote.children()]
    files = [path for path in server.folder.rglob("*") if path.is_file() and path.name != LOCK]
    return process.memory_info().rss / 2**20, process.num_fds(), len(workers), files


def settled(server: Apart) -> tuple[float, int, int, list[Path]]:
    """The state once the last visitor's worker is gone."""
    for _ in range(100):
        if state(server)[2] == 0:
            break
        threading.Event().wait(0.05)
    return state(server)


def test_after_many_visitors_memory_descriptors_and_files_are_what_they_were(tmp_path: Path) -> None:
    ct = good_file(tmp_path)
    with served_apart("boxes", uploads_a_minute=10_000) as server:
        use(server, ct, 10)
        memory, descriptors, _, _ = settled(server)
        operations = use(server, ct, 40)
        after, open_now, workers, files = settled(server)
        print(f"\n{operations} operations: {memory:.0f} to {after:.0f} MiB, {descriptors} to {open_now} descriptors")
        assert after - memory < 50
        assert open_now <= descriptors + 3
        assert workers == 0
        assert files == []
    assert not server.folder.exists()


OFFLINE = """
import fcntl, socket, struct, sys
loopback = socket.socket()
try:
    fcntl.ioctl(loopback, 0x8914, struct.pack("16sH", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up and running
except PermissionError:
    pass
outside = []
def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in ("127.0.0.1", "::1"):
        outside.append(arguments[1])
        raise ConnectionRefusedError
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", "localhost", "::1", None):
        outside.append(arguments[0])
        raise socket.gaierror
sys.addaudithook(watch)
from pathlib import Path
from assistant.serve.site import Site
from tests.assistant.serve_client import Visitor, served, text_of
with served(Site()) as url:
    visitor = Visitor(url)
    assert "The CT is open" in text_of(visitor.run("open_example", [])[0])
    assert "mL" in visitor.said("How big is the liver?")
    assert "data:image/png" in visitor.slice(60)
    for link in visitor.files("Generate a report."):
        visitor.http.get(f"/{link}").raise_for_status()
    visitor.leave()
assert outside == [], outside
print("all of it worked")
"""


def test_everything_works_without_a_network_and_nothing_asks_for_one() -> None:
    unshare = shutil.which("unshare")
    apart = [unshare, "--map-root-user", "--net"] if unshare else []
    if apart and subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        apart = []
    command = [*apart, sys.executable, "-c", OFFLINE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.stdout.endswith("all of it worked\n"), done.stderr


@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [((248, 192, 122), (1.5, 1.5, 2.5)), ((512, 512, 90), (0.98, 0.98, 5.0)), ((512, 512, 300), (0.8, 0.8, 1.5))],
)
def test_a_ct_stays_within_the_memory_that_was_set_aside_for_it(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> None:
    source = make_phantom().ct.hu
    picked = (np.linspace(0, n - 1, m).astype(int) for n, m in zip(source.shape, shape, strict=True))
    ct = CTVolume(np.asfortranarray(source[np.ix_(*picked)]), Grid.from_spacing(shape, spacing_mm))
    zygote, here = Zygote(Engine(), threads=2), psutil.Process()
    before = here.memory_full_info().uss
    conversation = RemoteConversation(ct, zygote=zygote, line=Line(), job_seconds=600)
    conversation.start()
    worker = conversation._worker
    assert worker is not None
    process, peak, over = psutil.Process(worker.pid), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak.append(process.memory_full_info().uss)

    thread = threading.Thread(target=watch)
    thread.start()
    for question in ("How big is the liver?", "Generate a report.", "Segment the liver segments and the pancreas."):
        conversation.ask(question)
    over.set()
    thread.join()
    held = max(peak) + ct.hu.nbytes + max(0, here.memory_full_info().uss - before)
    conversation.close()
    zygote.close()
    needed = needed_bytes(shape, spacing_mm, Engine().needs())
    print(f"\n{shape}: {held / 2**20:.0f} MiB of {needed / 2**20:.0f}")
    assert held < needed < 2.5 * held
