"""What the server and a worker say to each other: JSON over a socket, large arrays as memory behind a descriptor."""

from __future__ import annotations

import json
import mmap
import os
import socket
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

import numpy as np

from vision.geometry import CTVolume, Grid, Notice

if sys.platform == "linux":
    import fcntl

LARGEST_MESSAGE = 64 * 2**20
Message = dict[str, Any]


@dataclass(frozen=True)
class Wire:
    """One end of the line. `receive` raises EOFError or OSError once the other end is gone."""

    connection: Connection

    @classmethod
    def of(cls, end: socket.socket) -> Wire:
        """The wire over one end of a socket pair; it owns the descriptor from now on."""
        return cls(Connection(end.detach()))

    def send(self, message: Message, memory: int | None = None) -> None:
        """Send a message and, with it, the descriptor of some memory."""
        self.connection.send_bytes(json.dumps({**message, "memory": memory is not None}).encode())
        if memory is not None:
            send_handle(self.connection, memory, None)

    def receive(self) -> tuple[Message, int | None]:
        """Wait for a message. The descriptor that came along belongs to the caller."""
        message = json.loads(self.connection.recv_bytes(LARGEST_MESSAGE))
        return message, recv_handle(self.connection) if message.pop("memory") else None

    def waits(self, seconds: float) -> bool:
        """Whether a message, or the end of the other side, arrives within some seconds."""
        return self.connection.poll(seconds)

    def close(self) -> None:
        """Hang up."""
        self.connection.close()


def share(data: memoryview | bytes) -> int:
    """Put bytes into memory that other processes can map, sealed against changes where the system can.

    Not /dev/shm, which is 64 MiB in a container. The caller closes the descriptor.
    """
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            return os.dup(file.fileno())
    memory = os.memfd_create("bodymaps", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    left = memoryview(data).cast("B")
    while left:
        left = left[os.write(memory, left) :]
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    return memory


def read_shared(memory: int, most: int) -> bytes:
    """A copy of what lies in shared memory; its descriptor is closed. Raises ValueError for more than `most` bytes."""
    with os.fdopen(memory, "rb") as file:
        file.seek(0)
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"expected at most {most} bytes")
    return data


def share_ct(ct: CTVolume) -> tuple[Message, int]:
    """A CT as a message and its HU (any axis order in memory, kept) in shared memory."""
    turned = ct.hu.flags.f_contiguous and not ct.hu.flags.c_contiguous
    hu = ct.hu.T if turned else np.ascontiguousarray(ct.hu)
    message = {
        "shape": list(ct.grid.shape),
        "affine": ct.grid.affine.tolist(),
        "dtype": str(ct.hu.dtype),
        "turned": turned,
        "facts": dict(ct.facts),
        "warnings": [[notice.code, notice.text] for notice in ct.warnings],
    }
    return message, share(hu.data)


def shared_ct(message: Message, memory: int) -> CTVolume:
    """The CT of `share_ct`, its HU mapped read-only; the descriptor is closed."""
    shape = tuple(message["shape"])
    flat = np.frombuffer(mmap.mmap(memory, 0, access=mmap.ACCESS_READ), dtype=message["dtype"])
    os.close(memory)
    hu = flat.reshape(shape[::-1]).T if message["turned"] else flat.reshape(shape)
    warnings = tuple(Notice(code, text) for code, text in message["warnings"])
    return CTVolume(hu, Grid(shape, np.asarray(message["affine"])), message["facts"], warnings)
