"""The zygote: a process that has imported everything once and forks a worker whenever a CT is opened.

It is started by `exec`, so it shares nothing with the server but a socket, and it never starts a thread or a GPU, so
forking it is safe. It ends when that socket closes, whatever ended the server.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from assistant.logs import install_clean_logs
from assistant.serve.failures import worker_died
from assistant.serve.workers.engine import Engine
from assistant.serve.workers.wire import Wire

START_SECONDS = 120.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""While the zygote imports: a pool of threads would not survive the fork. Workers set their own number."""
PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {} import main; main(*sys.argv[2:])"
KILLED_BEFORE_THE_SERVER = "900"


@dataclass(frozen=True)
class Worker:
    """A worker process as the server sees it; `pid_handle` means this process even when its number is used again."""

    wire: Wire
    pid: int
    pid_handle: int | None

    @classmethod
    def of(cls, wire: Wire, pid: int) -> Worker:
        """The worker of a process that has just been forked."""
        try:
            return cls(wire, pid, os.pidfd_open(pid) if sys.platform == "linux" else None)
        except ProcessLookupError:
            return cls(wire, pid, None)

    def kill(self) -> None:
        """End the process at once."""
        try:
            if sys.platform != "linux":
                os.kill(self.pid, signal.SIGKILL)
            elif self.pid_handle is not None:
                signal.pidfd_send_signal(self.pid_handle, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        """Hang up; called once, by the thread that listens."""
        if self.pid_handle is not None:
            os.close(self.pid_handle)
        self.wire.close()


class Zygote:
    """The server's handle on the zygote; starts it when it is first needed, and again if it died."""

    def __init__(self, engine: Engine, *, threads: int) -> None:
        self.engine = engine
        self.threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._closed = False
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Start importing now, in the background, so that the first CT need not wait for it."""
        with self._lock:
            self._running()

    def fork(self) -> Worker:
        """A new worker. Raises ResourceError E_WORKER_DIED when none can be started."""
        with self._lock:
            for _ in range(2):
                try:
                    return self._fork()
                except (OSError, EOFError):
                    self._stop()
            raise worker_died(remedy="Close other programs and open the CT again.")

    def close(self) -> None:
        """End the zygote; its workers end as their own wires close."""
        with self._lock:
            self._closed = True
            self._stop()

    def _fork(self) -> Worker:
        control = self._running()
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(control, [b"fork"], [theirs.fileno()])
        answer = control.recv(8)
        if len(answer) < 8:
            ours.close()
            raise EOFError
        return Worker.of(Wire.of(ours), struct.unpack("q", answer)[0])

    def _running(self) -> socket.socket:
        if self._closed:
            raise EOFError
        if self._control is None or self._process is None or self._process.poll() is not None:
            self._stop()
            ours, theirs = socket.socketpair()
            ours.settimeout(START_SECONDS)
            with theirs:
                number = theirs.fileno()
                program = PROGRAM.format(__name__)
                names = [self.engine.make, self.engine.warm_up, *self.engine.arguments]
                self._process = subprocess.Popen(
                    [sys.executable, "-c", program, json.dumps(sys.path), str(number), str(self.threads), *names],
                    env={**os.environ, **ONE_THREAD},
                    pass_fds=[number],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,
                )
            self._control = ours
        return self._control

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def main(control: str, threads: str, make: str, warm_up: str, *arguments: str) -> None:
    """The zygote itself: fork a worker for every request, until the server hangs up."""
    from assistant.serve.workers.worker import work

    engine = Engine(make, warm_up, arguments)
    install_clean_logs()
    with socket.socket(fileno=int(control)) as server:
        _die_first()
        call(warm_up)
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            request, descriptors, _, _ = socket.recv_fds(server, 4, 1)
            if len(request) < 4 or not descriptors:
                return
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                server.close()
                try:
                    work(Wire.of(socket.socket(fileno=descriptors[0])), make=engine.start, threads=int(threads))
                finally:
                    os._exit(0)
            os.close(descriptors[0])
            server.sendall(struct.pack("q", pid))


def call(name: str) -> object:
    """Call the function of a name 'module:function'."""
    function: Callable[[], object] = pkgutil.resolve_name(name)
    return function()


def _die_first() -> None:
    """Ask the kernel to end these processes before the server when memory runs out, and leave no memory on disk."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text(KILLED_BEFORE_THE_SERVER, encoding="ascii")
