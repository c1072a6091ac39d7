"""Engine: what answers inside a worker, by name, because a worker is another process."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assistant.api import DEFAULT_MODEL
from assistant.plan import Memory, Planner
from assistant.serve.workers.needs import ModelNeeds, needs_of
from vision.geometry import CTVolume, Mask
from vision.models.registry import find_model
from vision.segmenter import Encoding, Progress, Segmenter, TokenSource, no_progress

if TYPE_CHECKING:
    from vision.models.coarse_to_fine.tokens import CTTokens


@dataclass(frozen=True)
class Engine:
    """`make` names a function that takes `arguments` and returns the segmenter and the planner, 'module:function'.

    `warm_up` names one without arguments that imports what every worker needs; it runs once, in the process that
    workers are forked from, and may start no thread and touch no GPU. Memory is set aside for CTs of the installed
    model `model`.
    """

    make: str = "assistant.serve.workers.engine:make_shipped"
    warm_up: str = "assistant.serve.workers.engine:import_shipped"
    arguments: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL

    def needs(self) -> ModelNeeds:
        """What one CT takes. Raises WeightsError as `find_model` does."""
        return needs_of(find_model(self.model))

    def start(self) -> tuple[Segmenter, Planner]:
        """The segmenter and the planner, made in this process."""
        make: Callable[..., tuple[Segmenter, Planner]] = pkgutil.resolve_name(self.make)
        return make(*self.arguments)


def engine_of(model: str) -> Engine:
    """The engine of an installed model. Raises WeightsError E_MODEL for an unknown one."""
    found = find_model(model).name
    return Engine("assistant.serve.workers.engine:make_named", arguments=(found,), model=found)


def make_named(model: str) -> tuple[Segmenter, Planner]:
    """An installed model and the default planner."""
    from assistant.api import default_planner, named_segmenter

    return named_segmenter(model), default_planner()


def make_shipped() -> tuple[Segmenter, Planner]:
    """The shipped weights and the default planner."""
    from assistant.api import default_planner, default_segmenter

    return default_segmenter(), default_planner()


def import_shipped() -> None:
    """Import the network's libraries and fill the planner's tables."""
    import vision.models.coarse_to_fine  # noqa: F401
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

    def tokens(self, encoding: Encoding) -> CTTokens | None:
        if not isinstance(self.base, TokenSource):
            return None
        self.admit()
        return self.base.tokens(encoding)
