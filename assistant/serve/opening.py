"""Opening a CT for a visitor: is there memory for it, then read it, then give it a worker of its own."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from assistant.plan import Planner
from assistant.serve.sessions import OpenCT
from assistant.serve.settings import ServerSettings
from assistant.serve.workers.engine import Engine
from assistant.serve.workers.line import Line, waiting_words
from assistant.serve.workers.local import LocalConversation
from assistant.serve.workers.memory import MemoryBudget, Reservation
from assistant.serve.workers.needs import ModelNeeds, needed_bytes
from assistant.serve.workers.remote import RemoteConversation
from assistant.serve.workers.zygote import Zygote
from vision.errors import InputRefused
from vision.geometry import CTVolume
from vision.io import LIMITS, Choices, inventory, load_ct
from vision.segmenter import Progress, Segmenter

CAN_FORK = sys.platform == "linux"
"""Windows has no fork, and Apple's libraries do not survive one."""


class Converse(Protocol):
    """Starts a conversation about a CT that took some seconds to read, and that frees its memory at its end.

    `progress` is called while that takes time, and may raise Cancelled.
    """

    def __call__(self, ct: CTVolume, *, seconds: float, memory: Reservation, progress: Progress) -> OpenCT: ...


@dataclass(frozen=True)
class Opening:
    """Opens CTs as `Opener` does, within the memory and a few at a time.

    `converse` is who answers about them, and `needs` what that takes.
    """

    budget: MemoryBudget
    line: Line
    converse: Converse
    needs: ModelNeeds

    def __call__(self, path: Path, choices: Choices, progress: Progress) -> OpenCT:
        """Open a CT. Raises ResourceError: E_MEMORY_BUSY, E_MEMORY_LARGE, E_BUSY; and what `load_ct` raises."""
        started = time.perf_counter()
        progress("opening the CT", 0.0)
        ticket = self.line.join()
        try:
            while place := ticket.place:
                progress(waiting_words(place), 0.0)
                time.sleep(0.05)
            memory = self.budget.reserve(self._needed(path, choices, progress))
            try:
                ct = load_ct(path, choices=choices, progress=progress)
                memory.resize(needed_bytes(ct.grid.shape, ct.grid.spacing_mm, self.needs))
                seconds = time.perf_counter() - started
                return self.converse(ct, seconds=seconds, memory=memory, progress=progress)
            except BaseException:
                memory.free()
                raise
        finally:
            ticket.leave()

    def _needed(self, path: Path, choices: Choices, progress: Progress) -> int:
        """What to set aside before reading: enough for any CT while there is plenty, else what the headers say.

        Nothing for a file whose headers are refused: reading it tells why, or what was chosen settles it.
        """
        largest = needed_bytes((LIMITS.voxels, 1, 1), (3.0, 3.0, 3.0), self.needs)
        if self.budget.left >= largest:
            return largest
        try:
            rows = inventory(path, progress=progress)
        except InputRefused:
            return 0
        chosen = [row for row in rows if choices.series in (None, str(row.index), row.identifier)] or rows
        return max(
            (
                needed_bytes((*row.shape, row.slices), (*row.spacing_mm, row.thickness_mm), self.needs)
                for row in chosen
                if row.spacing_mm is not None
            ),
            default=0,
        )


def in_workers(zygote: Zygote, line: Line, settings: ServerSettings) -> Converse:
    """Conversations in workers forked from a zygote, in one line for the device."""

    def converse(ct: CTVolume, *, seconds: float, memory: Reservation, progress: Progress) -> OpenCT:
        conversation = RemoteConversation(
            ct,
            zygote=zygote,
            line=line,
            job_seconds=settings.job_seconds,
            open_seconds=seconds,
            on_close=memory.free,
        )
        try:
            conversation.start(progress)
        except BaseException:
            conversation.close()
            raise
        return conversation

    return converse


def in_threads(segmenter: Segmenter | None, planner: Planner | None, line: Line, engine: Engine) -> Converse:
    """Conversations in the server itself, the engine's model and planner where none are given."""

    def converse(ct: CTVolume, *, seconds: float, memory: Reservation, progress: Progress) -> OpenCT:
        return LocalConversation(
            ct,
            segmenter or engine.start()[0],
            planner or engine.planner(),
            line=line,
            open_seconds=seconds,
            on_close=memory.free,
        )

    return converse
