"""Who has which CT open: one session a browser tab, reached only by the visitor whose tab it is."""

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
from assistant.serve.downloads import FILES, Takeaway
from assistant.serve.failures import stopped
from assistant.serve.settings import DEFAULTS, ServerSettings
from assistant.speech import Say, unheard
from vision.errors import ResourceError, UsageError
from vision.geometry import CTVolume, Mask
from vision.io import Choices
from vision.segmenter import Progress, no_progress


class OpenCT(Protocol):
    """What the page needs of a conversation about one open CT."""

    @property
    def ct(self) -> CTVolume: ...

    @property
    def findings(self) -> tuple[Finding, ...]: ...

    def ask(self, question: str, *, progress: Progress = no_progress, say: Say = unheard) -> Answer: ...

    def masks(self) -> Mapping[str, Mask]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Waiting:
    """An upload that leaves a choice: what may be chosen, by the value of its button, and the question to ask then.

    A way is what its button says, and the choices with which the upload is then opened.
    """

    upload: Path
    ways: Mapping[str, tuple[str, Choices]]
    question: str


@dataclass
class Session:
    """One tab's open CT, answers and chat; lives in this process only and never reaches the browser's state.

    `visitor` is whose browser it is, `owner` the name that was logged in with, '' without login. `folder` is private
    to the session. `messages` are chat messages in the order shown. `results` are the files of the latest answer by
    their secret tokens. `busy` is held while the conversation works, `lock` for moments, by whoever opens or closes.
    `ct_was_closed` says that the CT had to go for another's; `shown` is which CT and how many answers the page shows.
    """

    visitor: str
    owner: str
    folder: Path
    conversation: OpenCT | None = None
    answers: list[Answer] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, tuple[Takeaway, str]] = field(default_factory=dict)
    waiting: Waiting | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)
    clock: Callable[[], float] = time.monotonic
    used: float = 0.0
    ct_was_closed: bool = False
    shown: tuple[OpenCT | None, int] = (None, 0)
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Work begins: it is stopped by an event of its own."""
        with self.lock:
            self.stop = threading.Event()
            if self.closed:
                self.stop.set()

    def touch(self) -> None:
        """It is in use just now."""
        self.used = self.clock()

    def adopt(self, conversation: OpenCT) -> OpenCT:
        """Make a CT that was just opened the session's. Raises Cancelled when the session was closed meanwhile."""
        with self.lock:
            closed = self.closed
            if not closed:
                self.conversation = conversation
        if closed:
            conversation.close()
            raise stopped()
        return conversation

    def offer(self, answer: Answer) -> None:
        """Remember an answer; its files can be taken away, those of the one before no more."""
        takeaway = Takeaway(answer, self.folder)
        with self.lock:
            before = self._takeaways()
            self.answers.append(answer)
            self.results = {secrets.token_urlsafe(32): (takeaway, name) for name in FILES}
            if self.closed:
                before.add(takeaway)
        for one in before:
            one.close()

    def close_ct(self) -> None:
        """Close the CT, if there is one, and forget its answers and their files."""
        with self.lock:
            conversation, self.conversation = self.conversation, None
            takeaways, self.results = self._takeaways(), {}
            self.answers.clear()
            self.ct_was_closed = False
        if conversation is not None:
            conversation.close()
        for takeaway in takeaways:
            takeaway.close()

    def close(self) -> None:
        """Stop what runs and forget the CT, the answers and every file."""
        with self.lock:
            self.closed = True
            self.stop.set()
        self.close_ct()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _takeaways(self) -> set[Takeaway]:
        return {takeaway for takeaway, _ in self.results.values()}


class Sessions:
    """The open sessions of this process, by tab. No visitor's CT is closed without a word because another came."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: ServerSettings = DEFAULTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def start(self, tab: str, *, visitor: str, owner: str = "") -> Session:
        """Open a session for a tab that has none. Raises ResourceError E_VISITORS when there are too many."""
        self.sweep()
        with self._lock:
            known = self._sessions.get(tab)
            if known is not None and (known.visitor, known.owner) == (visitor, owner):
                return known
            if known is not None:
                raise _closed()
            gone = self._spare() if len(self._sessions) >= self._settings.visitors else None
            folder = self._folder / secrets.token_hex(16)
            folder.mkdir(mode=0o700, parents=True)
            self._sessions[tab] = Session(visitor, owner, folder, clock=self._clock, used=self._clock())
        if gone is not None:
            gone.close()
        return self._sessions[tab]

    def get(self, tab: str, *, visitor: str, owner: str = "") -> Session:
        """The session of a tab. Raises UsageError when it was closed or belongs to somebody else."""
        self.sweep()
        with self._lock:
            session = self._sessions.get(tab)
            if session is None or (session.visitor, session.owner) != (visitor, owner):
                raise _closed()
            session.touch()
            self._sessions.move_to_end(tab)
            return session

    def file(self, token: str, *, visitor: str, owner: str) -> Path | None:
        """The file of a token, written when it is not there yet; None unless it is this visitor's own and still open.

        Raises ResourceError E_DISK or E_OUTPUT.
        """
        with self._lock:
            own = [one for one in self._sessions.values() if (one.visitor, one.owner) == (visitor, owner)]
        for session in own:
            found = session.results.get(token)
            if found is not None:
                takeaway, name = found
                return takeaway.file(name)
        return None

    def interrupt(self, tab: str) -> None:
        """Stop what a tab's session computes: nobody listens any more."""
        with self._lock:
            session = self._sessions.get(tab)
        if session is not None and session.busy.locked():
            session.stop.set()

    def leave(self, tab: str) -> None:
        """Close the session of a browser tab that was closed, reloaded or cut off."""
        with self._lock:
            session = self._sessions.pop(tab, None)
        if session is not None:
            session.close()

    def sweep(self) -> None:
        """Close the sessions that nobody used for longer than files are kept."""
        oldest = self._clock() - self._settings.retention_seconds
        with self._lock:
            late = [key for key, one in self._sessions.items() if one.used < oldest and not one.busy.locked()]
            closed = [self._sessions.pop(key) for key in late]
        for session in closed:
            session.close()

    def close_an_idle_ct(self) -> bool:
        """Close the CT that was not used for longest, if it may be closed for another; whether one was."""
        oldest = self._clock() - self._settings.idle_ct_seconds
        with self._lock:
            candidates = list(self._sessions.values())
        for session in candidates:
            if session.used < oldest and session.conversation is not None and session.busy.acquire(blocking=False):
                try:
                    session.close_ct()
                    session.ct_was_closed = True
                    return True
                finally:
                    session.busy.release()
        return False

    def close(self) -> None:
        """Close every session."""
        with self._lock:
            tabs = list(self._sessions)
        for tab in tabs:
            self.leave(tab)

    def __len__(self) -> int:
        return len(self._sessions)

    def _spare(self) -> Session:
        """Take out the session that can go for a new one: the one without a CT that was not used for longest."""
        spare = (key for key, one in self._sessions.items() if one.conversation is None and not one.busy.locked())
        key = next(spare, None)
        if key is None:
            raise ResourceError(
                "E_VISITORS",
                f"{len(self._sessions)} conversations are open here already.",
                "Try again later, or close a tab that you do not need.",
            )
        return self._sessions.pop(key)


def _closed() -> UsageError:
    return UsageError("E_SESSION_CLOSED", "This conversation was closed.", "Reload the page and open the CT again.")
