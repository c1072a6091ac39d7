"""A conversation in a thread of the server: for systems that cannot fork, and for a segmenter given as an object."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from assistant.answer import Answer
from assistant.conversation import Conversation
from assistant.plan import Planner
from assistant.records import Finding
from assistant.serve.workers.engine import AdmittedSegmenter
from assistant.serve.workers.line import Line, Ticket, waiting_words
from assistant.speech import Say, unheard
from vision.geometry import CTVolume, Mask
from vision.segmenter import Progress, Segmenter, no_progress

LOOK_SECONDS = 0.05


class LocalConversation:
    """Fulfils `OpenCT` as `RemoteConversation` does, but a crash of the work is a crash of the server.

    Stopping waits for the next step of the work, and nothing limits its time.
    """

    def __init__(
        self,
        ct: CTVolume,
        segmenter: Segmenter,
        planner: Planner,
        *,
        line: Line,
        open_seconds: float = 0.0,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        admitted = AdmittedSegmenter(segmenter, self._admit)
        self._conversation = Conversation(ct, admitted, planner, open_seconds=open_seconds)
        self._line = line
        self._on_close = on_close
        self._ticket: Ticket | None = None
        self._progress: Progress = no_progress
        self._closed = False

    @property
    def ct(self) -> CTVolume:
        """The open CT."""
        return self._conversation.ct

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything found so far."""
        return self._conversation.findings

    def masks(self) -> Mapping[str, Mask]:
        """Every mask so far, by finding id."""
        return self._conversation.masks()

    def ask(self, question: str, *, progress: Progress = no_progress, say: Say = unheard) -> Answer:
        """Answer one question, waiting for the device where it is needed. Raises ResourceError E_BUSY."""
        self._progress = progress
        try:
            return self._conversation.ask(question, progress=progress, say=say)
        finally:
            if self._ticket is not None:
                self._ticket.leave()
                self._ticket = None

    def close(self) -> None:
        """Give back what the CT held."""
        if not self._closed:
            self._closed = True
            self._on_close()

    def _admit(self) -> None:
        if self._ticket is None:
            self._ticket = self._line.join()
            while self._ticket.place:
                self._progress(waiting_words(self._ticket.place), 0.0)
                time.sleep(LOOK_SECONDS)
