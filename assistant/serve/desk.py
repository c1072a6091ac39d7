"""The desk between the page and the conversations: takes uploads and questions, streams what happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from assistant.language.words import LONGEST_QUESTION
from assistant.records import readable
from assistant.serve.page.view import (
    Message,
    answer_text,
    choice_text,
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
from assistant.serve.sessions import OpenCT, Session, Waiting
from assistant.serve.uploads import Uploads, describe_upload
from assistant.serve.work import Doing, Done, Failed, Said, run_streamed
from assistant.speech import Say
from vision.errors import UsageError, UserError
from vision.io import Choices, inventory
from vision.io.choices import ways_out
from vision.segmenter import Progress

T = TypeVar("T")
Opener = Callable[[Path, Choices, Progress], OpenCT]
"""Opens a CT: where it lies, what was chosen (which series), a progress callback."""

OF_SERIES = ("E_SERIES_AMBIGUOUS", "E_DERIVED")
"""Refusals that a choice among the series of the upload settles."""


@dataclass(frozen=True)
class Desk:
    """Serves sessions. Every method yields when a session's messages have changed and more is to come.

    Each raises UsageError E_ONE_QUESTION, and changes nothing, while the session is at work already.

    `open_with` opens a CT, `make_example` returns the file of the example CT and makes it when it is not there,
    `uploads` holds what was sent.
    """

    open_with: Opener
    make_example: Callable[[Progress], Path]
    uploads: Uploads

    def talk(self, session: Session, question: str, upload: str | None) -> Iterator[None]:
        """Open the upload of that name, if there is one, then answer the question, if there is one."""
        question = readable(question).strip()
        yield from self._serve(session, self._open_and_ask(session, question, upload))

    def open_example(self, session: Session) -> Iterator[None]:
        """Open the example CT."""
        yield from self._serve(session, self._open_and_say(session, "Open the example CT.", self._open_example))

    def choose(self, session: Session, value: str) -> Iterator[None]:
        """Open an upload in the way that was chosen, then answer the question that came with it."""
        waiting = session.waiting
        if waiting is not None and value in waiting.ways:
            yield from self._serve(session, self._open_chosen(session, waiting, *waiting.ways[value]))

    def _serve(self, session: Session, work: Iterator[None]) -> Iterator[None]:
        """Do the work unless the session is at work already; an error of the work becomes a message."""
        if not session.busy.acquire(blocking=False):
            what = "The question before is still being answered."
            raise UsageError("E_ONE_QUESTION", what, "One question at a time: wait for the answer, or stop it.")
        try:
            session.begin()
            yield from work
        except UserError as error:
            session.messages.append(said(error_text(error)))
        finally:
            session.touch()
            session.busy.release()

    def _open_and_ask(self, session: Session, question: str, upload: str | None) -> Iterator[None]:
        taken = None if upload is None else self.uploads.take(upload, session.folder, visitor=session.visitor)
        if taken is not None:
            session.messages.append(said(describe_upload(taken), role="user"))
        if question:
            session.messages.append(said(plain(question[:LONGEST_QUESTION]), role="user"))
        yield
        if len(question) > LONGEST_QUESTION:
            if taken is not None:
                taken.unlink(missing_ok=True)
            what = f"The question has {len(question)} characters."
            raise UsageError("E_QUESTION_LONG", what, f"Use at most {LONGEST_QUESTION}.")
        if taken is not None:
            yield from self._open_upload(session, taken, Choices(), question)
        elif question:
            yield from self._ask(session, question)

    def _open_upload(self, session: Session, upload: Path, choices: Choices, question: str) -> Iterator[None]:
        """Open an upload and ask the question, or offer what there is to choose and keep the upload until then."""
        try:
            yield from self._open(session, lambda progress: self.open_with(upload, choices, progress))
        except UserError as error:
            ways = yield from self._ways_out(session, upload, choices, error)
            if not ways:
                raise
            session.waiting = Waiting(upload, ways, question)
            options = [(value, label) for value, (label, _) in ways.items()]
            session.messages.append(said(choice_text(error), options=options))
            return
        finally:
            if session.waiting is None or session.waiting.upload != upload:
                upload.unlink(missing_ok=True)
        if question:
            yield from self._ask(session, question)

    def _ways_out(
        self, session: Session, upload: Path, choices: Choices, error: UserError
    ) -> Generator[None, None, dict[str, tuple[str, Choices]]]:
        """What may be chosen after a refusal, by the value of its button; nothing when the file itself is wrong."""
        if error.code in OF_SERIES:
            found = yield from _stream(session, lambda progress, _: inventory(upload, progress=progress))
            rows = [row for row in found if row.modality == "CT" and row.spacing_mm is not None]
            return {str(row.index): (series_label(row), replace(choices, series=str(row.index))) for row in rows}
        ways = ways_out(error.remedy, choices)
        return {str(number): (label, chosen) for number, (label, chosen) in enumerate(ways.items())}

    def _open_chosen(self, session: Session, waiting: Waiting, label: str, choices: Choices) -> Iterator[None]:
        session.waiting = None
        session.messages.append(said(label, role="user"))
        yield
        yield from self._open_upload(session, waiting.upload, choices, waiting.question)

    def _open_example(self, progress: Progress) -> OpenCT:
        return self.open_with(self.make_example(progress), Choices(), progress)

    def _open_and_say(self, session: Session, said_by_user: str, task: Callable[[Progress], OpenCT]) -> Iterator[None]:
        session.messages.append(said(said_by_user, role="user"))
        yield
        yield from self._open(session, task)

    def _open(self, session: Session, task: Callable[[Progress], OpenCT]) -> Iterator[None]:
        """Close what is open and open another CT. Raises the UserError that prevented it."""
        self._drop_waiting(session)
        session.close_ct()
        # Adopted in the thread that opens: the page may be gone by the time that it is done.
        conversation = yield from _stream(session, lambda progress, _: session.adopt(task(progress)))
        line = f"The CT is open: {ct_line(conversation.ct)}. What would you like to know?"
        session.messages.append(said(line))
        yield

    def _drop_waiting(self, session: Session) -> None:
        waiting, session.waiting = session.waiting, None
        if waiting is not None:
            waiting.upload.unlink(missing_ok=True)

    def _ask(self, session: Session, question: str) -> Iterator[None]:
        conversation = session.conversation
        if conversation is None:
            raise _no_ct(session)
        steps = _Steps(session.messages)
        answer = yield from _stream(
            session, lambda progress, say: conversation.ask(question, progress=progress, say=say), steps
        )
        session.offer(answer)
        steps.become(trace_message(answer), said(answer_text(answer)))


def _no_ct(session: Session) -> UsageError:
    if session.ct_was_closed:
        what = "The CT was closed: it was not used for a while, and its memory was needed for another."
        return UsageError("E_CT_CLOSED", what, "Open it again.")
    return UsageError("E_NO_CT", "No CT is open yet.", "Drop a file into the box below, or open the example CT.")


class _Steps:
    """The steps of one piece of work among a chat's messages, told by identity: other messages may come between.

    What is said meanwhile stands after them, until the whole answer takes its place or the work fails.
    """

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages
        self._own: list[Message] = []
        self._running, self._began = "", 0.0
        self._sentences: list[str] = []
        self._words: list[Message] = []

    def show(self, doing: Doing) -> None:
        """What is being done now: the step that runs goes on, or another begins."""
        step = step_message(doing.step, done=doing.share)
        if self._own and doing.step == self._running:
            self._update(step)
            return
        self.end()
        self._running, self._began = doing.step, time.monotonic()
        self._own.append(step)
        self._messages.insert(self._place(self._words[0]) if self._words else len(self._messages), step)

    def say(self, sentence: str) -> None:
        """A sentence of the answer has come."""
        self._sentences.append(sentence)
        words = said(plain(" ".join(self._sentences)))
        if self._words:
            self._messages[self._place(self._words[0])] = words
        else:
            self._messages.append(words)
        self._words = [words]

    def end(self) -> None:
        """The latest step has ended, if there is one."""
        if self._own:
            self._update(finish_step(self._own[-1], time.monotonic() - self._began))

    def fold(self) -> None:
        """Fold the steps into one message, if there are any, and take back what was said; all have ended."""
        self.take_back()
        if self._own:
            folded = folded_steps(self._own)
            self.become(folded)
            self._own = [folded]

    def become(self, *messages: Message) -> None:
        """Show these at the end of the chat, and the steps and what was said no more."""
        self.take_back()
        for step in self._own:
            del self._messages[self._place(step)]
        self._own = []
        self._messages.extend(messages)

    def take_back(self) -> None:
        """Show what was said no more."""
        for words in self._words:
            del self._messages[self._place(words)]
        self._words = []

    def _update(self, step: Message) -> None:
        """Show the latest step as this one."""
        self._messages[self._place(self._own[-1])] = step
        self._own[-1] = step

    def _place(self, step: Message) -> int:
        return next(place for place, message in enumerate(self._messages) if message is step)


def _stream(
    session: Session, task: Callable[[Progress, Say], T], steps: _Steps | None = None
) -> Generator[None, None, T]:
    """Run a task and show its steps as messages, folded into one at the end, and what it says until then.

    Returns the task's result; raises the UserError that ended it.
    """
    steps = steps or _Steps(session.messages)
    try:
        for updates in run_streamed(task, session.stop):
            for update in updates:
                if isinstance(update, Done):
                    steps.end()
                    steps.fold()
                    return update.result
                if isinstance(update, Failed):
                    steps.end()
                    steps.fold()
                    raise update.error
                if isinstance(update, Said):
                    steps.say(update.sentence)
                else:
                    steps.show(update)
            yield
    finally:
        steps.take_back()
    raise AssertionError("the work ends with Done or Failed")
