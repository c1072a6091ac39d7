"""Engine: what answers inside a worker, by name, because a worker is another process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assistant.plan import Memory, Planner
from vision.geometry import CTVolume, Mask
from vision.segmenter import Encoding, Progress, Segmenter, no_progress


@dataclass(frozen=True)
class Engine:
    """`make` names a function without arguments that returns the segmenter and the planner, 'module:function'.

    `warm_up` names one that imports what every worker needs; it runs once, in the process that workers are forked
    from, and may start no thread and touch no GPU.
    """

    make: str = "assistant.serve.workers.engine:make_shipped"
    warm_up: str = "assistant.serve.workers.engine:import_shipped"


def make_shipped() -> tuple[Segmenter, Planner]:
    """The shipped weights and the default planner."""
    from assistant.api import default_planner, default_segmenter

    return default_segmenter(), default_planner()


def import_shipped() -> None:
    """Import the network's libraries and fill the planner's tables."""
    import vision.models.compact_segmenter  # noqa: F401
    from assistant.api import default_planner

    default_planner().plan("Segment the liver.", Memory())


class AdmittedSegmenter:
    """A `Segmenter` that calls `admit` before it computes; `admit` returns when it is this one's turn, or raises."""

    def __init__(self, base: Segmenter, admit: Callable[[], None]) -> None:
        self.base = base
        self.admit = admit
        self.name = base.name
        self.structures = base.structures

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        self.admit()
        return self.base.encode(ct, progress)

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        self.admit()
        return self.base.segment(encoding, structure)

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        return self.base.confidence(encoding, part)
