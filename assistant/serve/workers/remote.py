"""A conversation whose computing is done by a worker: what was found stays here, whatever happens to the worker."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping

from pydantic import TypeAdapter

from assistant.answer import Answer
from assistant.records import AnswerRecord, Finding
from assistant.serve.failures import packed, unpacked, worker_died
from assistant.serve.workers.line import Line, Ticket, waiting_words
from assistant.serve.workers.masks import MaskRecord, unpack_masks
from assistant.serve.workers.wire import Message, read_shared, share_ct, shared_ct
from assistant.serve.workers.zygote import Worker, Zygote
from assistant.speech import Say, unheard
from vision.errors import Cancelled, ResourceError, UserError
from vision.geometry import CTVolume, Mask
from vision.segmenter import Progress, no_progress

LISTEN_SECONDS = 0.05
"""How long the server listens to a worker before it looks whether to stop."""
GRACE_SECONDS = 1.0
"""How long a worker that was told to stop may take until it is killed."""
START_SECONDS = 60.0
"""How long a worker may take until it is ready for a question."""
FINDINGS: TypeAdapter[tuple[Finding, ...]] = TypeAdapter(tuple[Finding, ...])
MASKS: TypeAdapter[tuple[MaskRecord, ...]] = TypeAdapter(tuple[MaskRecord, ...])
BROKEN = (EOFError, OSError, ValueError, KeyError, TypeError)
"""What a worker that died, or that says what nobody asked for, ends as."""


class RemoteConversation:
    """Questions about one CT, answered by a worker. Fulfils `OpenCT`; one question at a time.

    A worker that died is replaced at the next question: the new one answers the earlier questions that found something
    again, so that every finding keeps its id. `on_close` is called once, when the CT is closed.
    """

    def __init__(
        self,
        ct: CTVolume,
        *,
        zygote: Zygote,
        line: Line,
        job_seconds: float,
        open_seconds: float = 0.0,
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        self._message, self._memory = share_ct(ct)
        self.ct = shared_ct(self._message, os.dup(self._memory))
        self.findings: tuple[Finding, ...] = ()
        self._masks: dict[str, Mask] = {}
        self._asked: list[str] = []
        self._zygote = zygote
        self._line = line
        self._job_seconds = job_seconds
        self._open_seconds = open_seconds
        self._on_close = on_close
        self._worker: Worker | None = None
        self._closed = False
        self._turn = threading.Lock()
        self._lock = threading.Lock()

    def masks(self) -> Mapping[str, Mask]:
        """Every mask so far, by finding id."""
        return dict(self._masks)

    def start(self, progress: Progress = no_progress) -> None:
        """Start a worker. `progress` is called often and may raise Cancelled. Raises the UserError that prevented it,
        ResourceError E_TIMEOUT when the worker is not ready in time.
        """
        with self._turn:
            try:
                self._start(progress)
            except ResourceError as error:
                if error.code != "E_WORKER_DIED":
                    raise
                raise worker_died(remedy="Close other programs and open the CT again.") from None

    def ask(self, question: str, *, progress: Progress = no_progress, say: Say = unheard) -> Answer:
        """Answer one question, telling `say` each sentence as it comes. `progress` is called often and may raise
        Cancelled, as `say` may: then nothing of the turn is kept.

        Raises the UserError of the work itself, or ResourceError: E_WORKER_DIED, E_BUSY, E_TIMEOUT.
        """
        with self._turn:
            if self._worker is not None and self._worker.wire.waits(0):
                self._end_worker()  # an idle worker has nothing to say: it is gone
            if self._worker is None:
                self._revive(progress)
            before = self.findings
            answer = self._exchange(question, progress, say)
            if answer.findings or self.findings != before:
                self._asked.append(question)
            self._open_seconds = 0.0
            return answer

    def close(self) -> None:
        """End the worker, even while it answers, and give back what the CT held."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._worker is not None:
                self._worker.kill()
        with self._turn:
            self._end_worker()
        os.close(self._memory)
        self._masks = {}
        self._on_close()

    def _start(self, progress: Progress) -> None:
        worker = self._zygote.fork()
        with self._lock:
            self._worker = worker
            if self._closed:
                worker.kill()
        try:
            worker.wire.send({"ct": self._message, "open_seconds": self._open_seconds}, self._memory)
            until = time.monotonic() + START_SECONDS
            while not worker.wire.waits(LISTEN_SECONDS):
                progress("starting", 0.0)
                if time.monotonic() > until:
                    raise _not_ready(START_SECONDS)
            message, _ = worker.wire.receive()
        except BROKEN:
            self._end_worker()
            raise worker_died() from None
        except UserError:
            self._end_worker()
            raise
        if "failed" in message:
            self._end_worker()
            raise unpacked(message["failed"])

    def _revive(self, progress: Progress) -> None:
        """Start a worker anew and let it answer again what was asked before.

        Stopped or refused meanwhile, it leaves what was found as it was before.
        """
        self._start(progress)
        findings, masks = self.findings, self._masks
        try:
            for number, question in enumerate(self._asked):
                told = _told_as("Finding again what was found", number / len(self._asked), progress)
                self._exchange(question, told, unheard)
        except UserError as error:
            self._end_worker()
            if error.code == "E_WORKER_DIED":
                self._asked, self.findings, self._masks = [], (), {}
                raise worker_died(remedy="The CT is still open, but what was found is lost: ask again.") from None
            self.findings, self._masks = findings, masks
            raise

    def _exchange(self, question: str, progress: Progress, say: Say) -> Answer:
        """Ask the worker and listen until it has answered."""
        worker, ticket = self._worker, _Admission(self._line)
        if worker is None:
            raise worker_died()
        try:
            worker.wire.send({"ask": question})
            try:
                return self._listen(worker, ticket, progress, say)
            except Cancelled:
                answer = self._stop(worker)
                if answer is None:
                    raise
                return answer
        except BROKEN:
            self._end_worker()
            raise worker_died() from None
        finally:
            ticket.leave()

    def _listen(self, worker: Worker, admission: _Admission, progress: Progress, say: Say) -> Answer:
        """Show what the worker does and says until its answer comes, and tell it when the device is its own."""
        step, share, ran = "planning", 0.0, time.monotonic()
        while True:
            place = admission.place
            if place:
                progress(waiting_words(place), 0.0)
                ran = time.monotonic()
            else:
                if admission.begins():
                    worker.wire.send({"go": True})
                progress(step, share)
            if time.monotonic() - ran > self._job_seconds:
                self._end_worker()
                raise _took_too_long(self._job_seconds)
            if not worker.wire.waits(LISTEN_SECONDS):
                continue
            message, memory = worker.wire.receive()
            if "answer" in message:
                return self._accept(message, memory)
            if "failed" in message:
                raise unpacked(message["failed"])
            if "said" in message:
                say(str(message["said"]))
            elif "wants" in message:
                refusal = admission.ask()
                if refusal is not None:
                    worker.wire.send({"refused": packed(refusal)})
            else:
                step, share = str(message["doing"]), float(message["share"])

    def _stop(self, worker: Worker) -> Answer | None:
        """Tell the worker to stop, and kill it when it does not. An answer that was on its way already counts."""
        worker.wire.send({"stop": True})
        until = time.monotonic() + GRACE_SECONDS
        while worker.wire.waits(max(0.0, until - time.monotonic())):
            message, memory = worker.wire.receive()
            if "answer" in message:
                return self._accept(message, memory)
            if "failed" in message:
                return None
        self._end_worker()
        return None

    def _accept(self, message: Message, memory: int | None) -> Answer:
        """Check an answer and keep it. Raises ValueError, KeyError or TypeError for one that does not fit the CT."""
        if memory is None:
            raise ValueError("an answer comes with its masks")
        records = MASKS.validate_python(message["masks"])
        bits = read_shared(memory, max(0, sum(record.size for record in records)))
        record = AnswerRecord.model_validate(message["answer"])
        findings = FINDINGS.validate_python(message["findings"])
        known = {**self._masks, **unpack_masks(records, bits, self.ct.grid)}
        masks = {str(name): known[name] for name in message["kept"]}
        self.findings, self._masks = findings, masks
        shown = {finding.id: masks[finding.id] for finding in record.findings if finding.id in masks}
        return Answer(record, shown, self.ct)

    def _end_worker(self) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
            if worker is not None:
                worker.kill()
                worker.close()


class _Admission:
    """The way of one question to the device: not asked for, in line, admitted."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._ticket: Ticket | None = None
        self._told = False

    @property
    def place(self) -> int:
        """The place in line, 0 when there is nothing to wait for."""
        return 0 if self._ticket is None else self._ticket.place

    def begins(self) -> bool:
        """Whether the worker is to be told that it is its turn; true once."""
        begins = self._ticket is not None and not self._told
        self._told = self._told or begins
        return begins

    def ask(self) -> ResourceError | None:
        """Stand in line, or return why that is not possible."""
        try:
            self._ticket = self._ticket or self._line.join()
        except ResourceError as busy:
            return busy
        return None

    def leave(self) -> None:
        """Let the next one in."""
        if self._ticket is not None:
            self._ticket.leave()


def _told_as(title: str, share: float, progress: Progress) -> Progress:
    """A progress callback that shows another title whatever it is told."""

    def told(step: str, _: float) -> None:
        progress(title, share)

    return told


def _not_ready(seconds: float) -> ResourceError:
    return ResourceError(
        "E_TIMEOUT",
        f"The program that answers was not ready after {seconds:g} seconds.",
        "Close other programs and try again.",
    )


def _took_too_long(seconds: float) -> ResourceError:
    return ResourceError(
        "E_TIMEOUT",
        f"The question took longer than {seconds / 60:g} minutes and was stopped.",
        "The CT is still open: ask for one thing at a time, or open a smaller CT.",
    )
