"""Engine: what answers inside a worker, by name, because a worker is another process."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from assistant.api import DEFAULT_LLM, DEFAULT_MODEL, RULES, named_planner, named_segmenter
from assistant.language.planner import import_libraries
from assistant.language.rules import RulePlanner
from assistant.plan import Memory, Planner
from assistant.serve.workers.needs import ModelNeeds, language_bytes, needs_of
from vision.geometry import CTVolume, Mask
from vision.models.registry import find_model
from vision.segmenter import Encoding, Progress, Segmenter, SizeSource, TokenSource, no_progress

if TYPE_CHECKING:
    from assistant.language.llms.memory import Quantisation
    from vision.models.coarse_to_fine.tokens import CTTokens


@dataclass(frozen=True)
class Engine:
    """`make` names a function that takes `arguments` and returns the segmenter and the planner, 'module:function'.

    `warm_up` names one without arguments that imports what every worker needs; it runs once, in the process that
    workers are forked from, and may start no thread and touch no GPU. Memory is set aside for CTs of the installed
    model `model`, and for the language model `llm` in `quantisation`, the default one where it is None.
    """

    make: str = f"{__name__}:make_both"
    warm_up: str = f"{__name__}:import_shipped"
    arguments: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    llm: str | None = None
    quantisation: Quantisation = "none"

    def needs(self) -> ModelNeeds:
        """What one CT takes. Raises WeightsError as `find_model` does, and E_LLM for no such language model."""
        needs = needs_of(find_model(self.model))
        llm = self.llm or DEFAULT_LLM
        return needs if llm == RULES else replace(needs, fixed=needs.fixed + language_bytes(llm, self.quantisation))

    def planner(self) -> Planner:
        """The planner alone, made in this process, once."""
        return named_planner(self.llm or DEFAULT_LLM, quantisation=self.quantisation)

    def start(self) -> tuple[Segmenter, Planner]:
        """The segmenter and the planner, made in this process."""
        make: Callable[..., tuple[Segmenter, Planner]] = pkgutil.resolve_name(self.make)
        return make(*self.arguments)


def engine_of(model: str, *, llm: str | None = None, quantisation: Quantisation = "none") -> Engine:
    """The engine of an installed model and a language model, the default one for None.

    Raises WeightsError E_MODEL for an unknown model.
    """
    found, named = find_model(model).name, llm or DEFAULT_LLM
    return Engine(
        warm_up=f"{__name__}:import_shipped" if named == RULES else f"{__name__}:import_with_language",
        arguments=(found, named, quantisation),
        model=found,
        llm=named,
        quantisation=quantisation,
    )


def make_both(
    model: str = DEFAULT_MODEL, llm: str | None = None, quantisation: Quantisation = "none"
) -> tuple[Segmenter, Planner]:
    """An installed model and the planner of a language model, the default one for None."""
    return named_segmenter(model), named_planner(llm or DEFAULT_LLM, quantisation=quantisation)


def import_shipped() -> None:
    """Import the network's libraries and fill the rules' tables."""
    import vision.models.coarse_to_fine  # noqa: F401

    RulePlanner().plan("Segment the liver.", Memory())


def import_with_language() -> None:
    """The same, and a language model's libraries. Each worker loads its own model: running one starts threads."""
    import_shipped()
    import_libraries()


class AdmittedSegmenter:
    """A `Segmenter` that calls `admit` before it computes; `admit` returns when it is this one's turn, or raises."""

    def __init__(self, base: Segmenter, admit: Callable[[], None]) -> None:
        self.base = base
        self.admit = admit
        self.name = base.name
        self.structures = base.structures
        self.lesion_sizes = dict(base.lesion_sizes) if isinstance(base, SizeSource) else {}

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
