"""The limits of the server: one frozen set of settings, printed at the start."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import psutil

GIB = 2**30
SHARE_OF_MEMORY = 0.8


@dataclass(frozen=True)
class ServerSettings:
    """How much the server takes from whom. Sizes in bytes, times in seconds."""

    upload_bytes: int = 2 * GIB
    """Largest file that may be sent."""
    uploads_lying_bytes: int = 8 * GIB
    """All files that were sent and not opened yet, of all visitors together."""
    uploads_lying: int = 3
    """The same in files, of one visitor."""
    uploads_a_minute: int = 12
    """Files that one visitor may send in a minute; from one address five times as many."""
    requests_a_second: int = 20
    """Events of one visitor's page (questions, slices, buttons); those of four seconds may come at once."""
    waiting: int = 8
    """Questions in line for the device; further ones are told that it is busy."""
    at_once: int = 1
    """Questions that compute on the device at the same time."""
    opening_at_once: int = 2
    """Files that are read at the same time; as many as questions may wait in line for it."""
    job_seconds: float = 15 * 60.0
    """Longest time that one question may compute."""
    idle_ct_seconds: float = 10 * 60.0
    """A CT that was not used for so long is closed when another needs its memory."""
    retention_seconds: float = 2 * 60 * 60.0
    """A conversation that was not used for so long is closed, with its CT and its files."""
    visitors: int = 300
    """Browser tabs that may be open; those with a CT are bounded by the memory."""
    memory_bytes: int = 0
    """Memory for open CTs; 0 stands for 80 % of what is available when the server starts."""
    threads: int = 0
    """Threads of one question; 0 stands for all cores, shared by the questions that compute at once."""
    wrong_logins: int = 5
    """Wrong passwords, from one address or for one name, until the next tries have to wait."""

    @property
    def worker_threads(self) -> int:
        """Threads that each worker computes with."""
        cores = len(psutil.Process().cpu_affinity() or [0]) if sys.platform == "linux" else os.cpu_count() or 1
        return self.threads or max(1, cores // self.at_once)

    def printed(self, memory_bytes: int) -> str:
        """The limits in force, one line, for the terminal. `memory_bytes` is what the memory came to."""
        return (
            f"Limits: files up to {self.upload_bytes / GIB:g} GiB, {self.waiting} questions waiting, "
            f"{self.at_once} computing, {self.job_seconds / 60:g} min a question, "
            f"{memory_bytes / GIB:.1f} GiB for open CTs, kept for {self.retention_seconds / 3600:g} h"
        )


DEFAULTS = ServerSettings()
