"""Who has which CT open: one session a visitor, reached only by an id that nobody can guess."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from assistant.answer import Answer
from assistant.records import Finding
from vision.errors import UsageError
from vision.geometry import CTVolume, Mask
from vision.segmenter import Progress, no_progress

MOST_SESSIONS = 6
IDLE_SECONDS = 45 * 60.0


class OpenCT(Protocol):
    """What the page needs of a conversation about one open CT."""

    @property
    def ct(self) -> CTVolume: ...

    @property
    def findings(self) -> tuple[Finding, ...]: ...

    def ask(self, question: str, *, progress: Progress = no_progress) -> Answer: ...

    def masks(self) -> Mapping[str, Mask]: ...


@dataclass(frozen=True)
class Waiting:
    """An upload with several series: what may be chosen, and the question to ask afterwards."""

    upload: Path
    series: tuple[str, ...]
    question: str


@dataclass
class Session:
    """One visitor's open CT, answers and chat; lives in this process only and never reaches the browser's state.

    `owner` is the name that the visitor logged in with, '' without login. `folder` is private to the session.
    `messages` are chat messages in the order shown. `busy` is held while the conversation works.
    """

    owner: str
    folder: Path
    conversation: OpenCT | None = None
    answers: list[Answer] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    waiting: Waiting | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)
    used: float = 0.0

    def close(self) -> None:
        """Stop what runs and forget the CT, the answers and every file."""
        self.stop.set()
        self.conversation, self.waiting = None, None
        self.answers.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """The open sessions of this process: at most `most`, the least recently used closed first, idle ones too."""

    def __init__(
        self,
        folder: Path,
        *,
        most: int = MOST_SESSIONS,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._most = most
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._tabs: dict[str, str] = {}
        self._lock = threading.Lock()

    def start(self, *, owner: str = "", tab: str = "") -> str:
        """Open a session and return its id. `tab` is the browser tab's own name, for `leave`."""
        key = secrets.token_urlsafe(32)
        folder = self._folder / secrets.token_hex(16)
        folder.mkdir(mode=0o700, parents=True)
        with self._lock:
            closed = self._expired()
            self._sessions[key] = Session(owner, folder, used=self._clock())
            self._tabs[tab] = key
            while len(self._sessions) > self._most:
                closed.append(self._sessions.popitem(last=False)[1])
        for session in closed:
            session.close()
        return key

    def get(self, key: str, *, owner: str = "") -> Session:
        """The session of an id. Raises UsageError when it was closed or belongs to somebody else."""
        with self._lock:
            closed = self._expired()
            session = self._sessions.get(key)
            if session is not None and session.owner == owner:
                session.used = self._clock()
                self._sessions.move_to_end(key)
            else:
                session = None
        for old in closed:
            old.close()
        if session is None:
            raise UsageError(
                "E_SESSION_CLOSED", "This conversation was closed.", "Reload the page and open the CT again."
            )
        return session

    def leave(self, tab: str) -> None:
        """Close the session of a browser tab that was closed or reloaded."""
        with self._lock:
            session = self._sessions.pop(self._tabs.pop(tab, ""), None)
        if session is not None:
            session.close()

    def __len__(self) -> int:
        return len(self._sessions)

    def _expired(self) -> list[Session]:
        """Take idle sessions out; the caller closes them after it let the lock go."""
        oldest = self._clock() - self._idle_seconds
        late = [key for key, session in self._sessions.items() if session.used < oldest and not session.busy.locked()]
        self._tabs = {tab: key for tab, key in self._tabs.items() if key in self._sessions and key not in late}
        return [self._sessions.pop(key) for key in late]
