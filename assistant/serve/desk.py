"""The desk between the page and the conversations: takes uploads and questions, streams what happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from assistant.serve.sessions import OpenCT, Session, Waiting
from assistant.serve.uploads import describe_upload, take_upload
from assistant.serve.view import (
    answer_text,
    ct_line,
    error_text,
    finish_step,
    folded_steps,
    plain,
    said,
    series_label,
    step_message,
    trace_message,
)
from assistant.serve.work import Doing, Failed, run_streamed
from vision.errors import UsageError, UserError
from vision.io import inventory
from vision.segmenter import Progress

T = TypeVar("T")
Opener = Callable[[Path, str | None, Progress], OpenCT]
"""Opens a CT: where it lies, which series (None: the only one), a progress callback."""

LONGEST_QUESTION = 2000


@dataclass(frozen=True)
class Desk:
    """Serves sessions. Every method yields whenever a session's messages have changed; the page then shows them.

    `open_with` opens a CT, `make_example` returns the file of the example CT and makes it when it is not there.
    """

    open_with: Opener
    make_example: Callable[[Progress], Path]

    def talk(self, session: Session, question: str, upload: Path | None) -> Iterator[None]:
        """Open the upload, if there is one, then answer the question, if there is one."""
        question = question.strip()
        if upload is not None:
            session.messages.append(said(describe_upload(upload), role="user"))
        if question:
            session.messages.append(said(plain(question[:LONGEST_QUESTION]), role="user"))
        yield from self._serve(session, self._open_and_ask(session, question, upload))

    def open_example(self, session: Session) -> Iterator[None]:
        """Open the example CT."""
        session.messages.append(said("Open the example CT.", role="user"))
        yield from self._serve(session, self._open(session, self._open_example))

    def choose_series(self, session: Session, number: str) -> Iterator[None]:
        """Open the series chosen among those of an upload, then answer the question that came with it."""
        waiting = session.waiting
        if waiting is not None and number in waiting.series:
            session.messages.append(said(f"Series {number}", role="user"))
            yield from self._serve(session, self._open_chosen(session, waiting, number))

    def _serve(self, session: Session, work: Iterator[None]) -> Iterator[None]:
        """Do the work unless the session is at work already; an error becomes a message."""
        yield
        if not session.busy.acquire(blocking=False):
            session.messages.append(said("One question at a time: wait for the answer, or stop it."))
            yield
            return
        try:
            yield from work
        except UserError as error:
            session.messages.append(said(error_text(error)))
            yield
        finally:
            session.busy.release()

    def _open_and_ask(self, session: Session, question: str, upload: Path | None) -> Iterator[None]:
        if len(question) > LONGEST_QUESTION:
            what = f"The question has {len(question)} characters."
            raise UsageError("E_QUESTION_LONG", what, f"Use at most {LONGEST_QUESTION}.")
        if upload is not None:
            taken = take_upload(upload, session.folder)
            try:
                yield from self._open(session, lambda progress: self.open_with(taken, None, progress))
            except UserError as error:
                if error.code != "E_SERIES_AMBIGUOUS":
                    taken.unlink(missing_ok=True)
                    raise
                yield from self._offer_series(session, taken, question)
                return
            taken.unlink(missing_ok=True)
        if question:
            yield from self._ask(session, question)

    def _offer_series(self, session: Session, upload: Path, question: str) -> Iterator[None]:
        """Ask which series of an upload is meant, and keep the upload until that is known."""
        rows = [row for row in inventory(upload) if row.modality == "CT" and row.spacing_mm is not None]
        session.waiting = Waiting(upload, tuple(str(row.index) for row in rows), question)
        options = [(str(row.index), series_label(row)) for row in rows]
        session.messages.append(said("This upload holds several CT series. Which one do you mean?", options=options))
        yield

    def _open_chosen(self, session: Session, waiting: Waiting, number: str) -> Iterator[None]:
        session.waiting = None
        try:
            yield from self._open(session, lambda progress: self.open_with(waiting.upload, number, progress))
        finally:
            waiting.upload.unlink(missing_ok=True)
        if waiting.question:
            yield from self._ask(session, waiting.question)

    def _open_example(self, progress: Progress) -> OpenCT:
        return self.open_with(self.make_example(progress), None, progress)

    def _open(self, session: Session, task: Callable[[Progress], OpenCT]) -> Iterator[None]:
        """Close what is open and open another CT. Raises the UserError that prevented it."""
        session.conversation = None
        session.answers.clear()
        session.conversation = yield from _stream(session, task)
        line = f"The CT is open: {ct_line(session.conversation.ct)}. What would you like to know?"
        session.messages.append(said(line))
        yield

    def _ask(self, session: Session, question: str) -> Iterator[None]:
        conversation = session.conversation
        if conversation is None:
            raise UsageError("E_NO_CT", "No CT is open yet.", "Drop a file into the box below, or open the example CT.")
        answer = yield from _stream(session, lambda progress: conversation.ask(question, progress=progress))
        session.answers.append(answer)
        session.messages[-1:] = [trace_message(answer), said(answer_text(answer))]
        yield


def _stream(session: Session, task: Callable[[Progress], T]) -> Generator[None, None, T]:
    """Run a task and show its steps as messages, folded into one at the end.

    Returns the task's result; raises the UserError that ended it.
    """
    session.stop = threading.Event()
    first, running, began = len(session.messages), "", time.monotonic()
    for update in run_streamed(task, session.stop):
        steps = session.messages[first:]
        ended = not isinstance(update, Doing) or update.step != running
        if steps and ended:
            session.messages[-1] = finish_step(steps[-1], time.monotonic() - began)
        if isinstance(update, Doing):
            if ended:
                running, began = update.step, time.monotonic()
                session.messages.append(step_message(update.step, done=update.share))
            else:
                session.messages[-1] = step_message(update.step, done=update.share)
            yield
            continue
        if steps:
            session.messages[first:] = [folded_steps(session.messages[first:])]
        if isinstance(update, Failed):
            raise update.error
        return update.result
    raise AssertionError("the work ends with Done or Failed")
