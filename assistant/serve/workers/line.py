"""The line in front of the device: a few jobs run at once, a few wait, the rest are told that it is busy."""

from __future__ import annotations

import threading
import time
from collections import deque

from vision.errors import ResourceError

USUAL_SECONDS = 20.0


class Ticket:
    """A place in a line. It is given back by `leave`, which may be called more than once."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.runs_since: float | None = None

    @property
    def place(self) -> int:
        """0 when it is this one's turn, else how many stand in line up to and with it."""
        return self._line.place_of(self)

    def leave(self) -> None:
        """Make room for the next."""
        self._line.remove(self)


class Line:
    """At most `at_once` tickets run and at most `most_waiting` wait, first come first served."""

    def __init__(self, *, at_once: int = 1, most_waiting: int = 8) -> None:
        self.at_once = at_once
        self.most_waiting = most_waiting
        self._tickets: list[Ticket] = []
        self._seconds: deque[float] = deque(maxlen=16)
        self._lock = threading.Lock()

    def join(self) -> Ticket:
        """Stand in line. Raises ResourceError E_BUSY when it is full."""
        with self._lock:
            if len(self._tickets) >= self.at_once + self.most_waiting:
                raise ResourceError(
                    "E_BUSY",
                    f"The computer is busy: {self.most_waiting} questions are waiting already.",
                    f"Try again in about {self._wait_seconds():.0f} seconds. Questions that need no segmentation are "
                    "answered meanwhile.",
                )
            ticket = Ticket(self)
            self._tickets.append(ticket)
            return ticket

    def place_of(self, ticket: Ticket) -> int:
        """See `Ticket.place`."""
        with self._lock:
            place = max(0, self._tickets.index(ticket) + 1 - self.at_once)
            if place == 0 and ticket.runs_since is None:
                ticket.runs_since = time.monotonic()
            return place

    def remove(self, ticket: Ticket) -> None:
        """See `Ticket.leave`."""
        with self._lock:
            if ticket in self._tickets:
                self._tickets.remove(ticket)
                if ticket.runs_since is not None:
                    self._seconds.append(time.monotonic() - ticket.runs_since)

    def __len__(self) -> int:
        return len(self._tickets)

    def _wait_seconds(self) -> float:
        """How long the whole line takes, judged by the last jobs; at least a few seconds."""
        usual = sum(self._seconds) / len(self._seconds) if self._seconds else USUAL_SECONDS
        return max(5.0, usual * len(self._tickets) / self.at_once)


def waiting_words(place: int) -> str:
    """What is shown of a place in line: 'Waiting: 3rd in line'."""
    ending = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"Waiting: {place}{ending} in line"
