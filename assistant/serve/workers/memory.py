"""Memory: how much there is, and who may have it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from vision.errors import ResourceError

GIB = 2**30
CGROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, use and the key of what is only cached, in version 2 and version 1 of Linux's control groups."""


def available_bytes(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """What this process and its children may still use, the limits of its control groups respected."""
    free = [psutil.virtual_memory().available]
    places = {root}
    if own.exists():
        for line in own.read_text(encoding="ascii").splitlines():
            inside = line.rpartition(":")[2].strip("/")
            for base in (root / inside, root / "memory" / inside):
                places |= {base, *(parent for parent in base.parents if parent.is_relative_to(root))}
    free += [left for place in places for names in CGROUP_FILES if (left := _left(place, *names)) is not None]
    return max(0, min(free))


@dataclass(frozen=True)
class Reservation:
    """Memory that is set aside until `free` is called, which may happen more than once."""

    budget: MemoryBudget
    number: int

    def resize(self, count: int) -> None:
        """Set aside another number of bytes instead. Raises ResourceError E_MEMORY_BUSY as `reserve` does."""
        self.budget.take(self.number, count)

    def free(self) -> None:
        """Give it back."""
        self.budget.give_back(self.number)


class MemoryBudget:
    """`total` bytes for all open CTs. `make_room` is asked to close one that is idle when they run out."""

    def __init__(self, total: int, make_room: Callable[[], bool] = lambda: False) -> None:
        self.total = total
        self.make_room = make_room
        self._taken: dict[int, int] = {}
        self._next = 0
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """Bytes that are not set aside."""
        return self.total - sum(self._taken.values())

    def reserve(self, count: int) -> Reservation:
        """Set memory aside. Raises ResourceError E_MEMORY_BUSY when there is not enough, E_MEMORY_LARGE when there
        never will be.
        """
        with self._lock:
            self._next += 1
            number = self._next
        self.take(number, count)
        return Reservation(self, number)

    def take(self, number: int, count: int) -> None:
        """See `Reservation.resize`."""
        while True:
            with self._lock:
                left = self.left + self._taken.get(number, 0)
                if count <= left:
                    self._taken[number] = count
                    return
            if count > self.total or not self.make_room():
                raise self._refusal(count, left)

    def give_back(self, number: int) -> None:
        """See `Reservation.free`."""
        with self._lock:
            self._taken.pop(number, None)

    def _refusal(self, count: int, left: int) -> ResourceError:
        if count > self.total:
            return ResourceError(
                "E_MEMORY_LARGE",
                f"This CT needs about {count / GIB:.1f} GiB of memory; {self.total / GIB:.1f} GiB may be used here.",
                "Crop the CT to the abdomen or resample it, or start the chat where there is more memory.",
            )
        return ResourceError(
            "E_MEMORY_BUSY",
            f"This CT needs about {count / GIB:.1f} GiB of memory; {left / GIB:.1f} GiB are free while others work.",
            "Try again in a few minutes: a CT that nobody uses is closed.",
        )


def _left(place: Path, limit: str, used: str, cached: str) -> int | None:
    """What one control group has left, None when it sets no limit."""
    if not (place / limit).exists() or not (place / used).exists():
        return None
    most = (place / limit).read_text(encoding="ascii").strip()
    if not most.isdigit():
        return None
    facts = (place / "memory.stat").read_text(encoding="ascii").split() if (place / "memory.stat").exists() else []
    reusable = int(facts[facts.index(cached) + 1]) if cached in facts else 0
    return int(most) - int((place / used).read_text(encoding="ascii")) + reusable
