"""A worker: holds the conversation about one CT and answers the server's questions until it is told to end."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from typing import Any

from assistant.conversation import Conversation
from assistant.serve.failures import packed, stopped, typed, unpacked
from assistant.serve.workers.engine import AdmittedSegmenter
from assistant.serve.workers.masks import pack_masks
from assistant.serve.workers.wire import Message, Wire, share, shared_ct
from vision.geometry import Mask

NICENESS = 5
"""The server answers before the workers compute."""


class Turn:
    """The worker's side of one question: tells what is being done, hears when to stop, asks for the device.

    Raises SystemExit when the server is gone: nothing that the conversation does may hold the process then.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._admitted = False
        self._told: tuple[str, float] | None = None

    def begin(self) -> None:
        """Another question: nothing is admitted yet."""
        self._admitted, self._told = False, None

    def progress(self, step: str, share: float) -> None:
        """Tell the server, unless it knows. Raises Cancelled when it has said stop."""
        self._hear_all()
        if self._told != (step, round(share, 2)):
            self._told = (step, round(share, 2))
            self.send({"doing": step, "share": share})

    def say(self, sentence: str) -> None:
        """Tell the server a sentence of the answer. Raises Cancelled when it has said stop."""
        self._hear_all()
        self.send({"said": sentence})

    def admit(self) -> None:
        """Wait for the device, once a question. Raises Cancelled, or what the server refuses it with."""
        self._hear_all()
        if not self._admitted:
            self.send({"wants": "device"})
            while not self._admitted:
                self._hear(self.receive()[0])

    def send(self, message: Message, memory: int | None = None) -> None:
        """Send a message to the server."""
        try:
            self._wire.send(message, memory)
        except OSError:
            raise SystemExit from None

    def receive(self) -> tuple[Message, int | None]:
        """Wait for a message of the server."""
        try:
            return self._wire.receive()
        except (EOFError, OSError):
            raise SystemExit from None

    def _hear_all(self) -> None:
        while self._wire.waits(0):
            self._hear(self.receive()[0])

    def _hear(self, message: Message) -> None:
        if "stop" in message:
            raise stopped()
        if "refused" in message:
            raise unpacked(message["refused"])
        self._admitted = self._admitted or "go" in message


def work(wire: Wire, *, make: Callable[[], Any], threads: int) -> None:
    """Open the CT that the server sends, then answer until the server hangs up. Raises SystemExit at the end."""
    os.nice(NICENESS)
    _end_with(wire)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)
    turn = Turn(wire)
    try:
        conversation = _open(turn, make)
    except Exception as error:  # a person is waiting for the reason
        turn.send({"failed": packed(typed(error))})
        return
    turn.send({"ready": True})
    known: dict[str, Mask] = {}
    while True:
        message, _ = turn.receive()
        if "ask" in message:
            turn.begin()
            known = _answer(conversation, message["ask"], turn, known)
            _leave_the_gpu()


def _open(turn: Turn, make: Callable[[], Any]) -> Conversation:
    message, memory = turn.receive()
    assert memory is not None
    ct = shared_ct(message["ct"], memory)
    segmenter, planner = make()
    return Conversation(ct, AdmittedSegmenter(segmenter, turn.admit), planner, open_seconds=message["open_seconds"])


def _answer(conversation: Conversation, question: str, turn: Turn, known: dict[str, Mask]) -> dict[str, Mask]:
    """Answer one question; the masks that the server does not know yet go along. Returns all it knows then."""
    try:
        record = conversation.ask(question, progress=turn.progress, say=turn.say).record
    except Exception as error:  # the last line before the server: anything else would end the conversation
        turn.send({"failed": packed(typed(error))})
        return known
    masks = dict(conversation.masks())
    records, bits = pack_masks({name: mask for name, mask in masks.items() if known.get(name) is not mask})
    reply: Message = {
        "answer": record.model_dump(mode="json"),
        "findings": [finding.model_dump(mode="json") for finding in conversation.findings],
        "masks": [mask.model_dump(mode="json") for mask in records],
        "kept": list(masks),
    }
    memory = share(bits)
    turn.send(reply, memory)
    os.close(memory)
    return masks


def _leave_the_gpu() -> None:
    """Give back what torch keeps on the GPU for a next question, which may be another worker's."""
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _end_with(wire: Wire) -> None:
    """End this process when the server is gone, even while it computes."""
    line = select.poll()
    line.register(wire.connection.fileno(), 0)

    def wait() -> None:
        line.poll()
        os._exit(0)

    threading.Thread(target=wait, name="end with the server", daemon=True).start()
