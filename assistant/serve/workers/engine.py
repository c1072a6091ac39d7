"""Engine: what answers inside a worker, by name, because a worker is another process."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from assistant.api import DEFAULT_MODEL, RULES, default_planner, named_planner
from assistant.language.llms.folder import EMBEDDED
from assistant.language.planner import has_embedded, import_libraries
from assistant.language.rules import RulePlanner
from assistant.plan import Memory, Planner
from assistant.serve.workers.needs import ModelNeeds, language_bytes, needs_of
from vision.geometry import CTVolume, Mask
from vision.models.registry import find_model
from vision.segmenter import Encoding, Progress, Segmenter, TokenSource, no_progress

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

    make: str = "assistant.serve.workers.engine:make_shipped"
    warm_up: str = "assistant.serve.workers.engine:import_shipped"
    arguments: tuple[str, ...] = ()
    model: str = DEFAULT_MODEL
    llm: str | None = None
    quantisation: Quantisation = "none"

    def needs(self) -> ModelNeeds:
        """What one CT takes. Raises WeightsError as `find_model` does, and E_LLM for no such language model."""
        needs = needs_of(find_model(self.model))
        llm = self.llm or (EMBEDDED if has_embedded() else RULES)
        return needs if llm == RULES else replace(needs, fixed=needs.fixed + language_bytes(llm, self.quantisation))

    def planner(self) -> Planner:
        """The planner alone, made in this process, once."""
        return default_planner() if self.llm is None else named_planner(self.llm, quantisation=self.quantisation)

    def start(self) -> tuple[Segmenter, Planner]:
        """The segmenter and the planner, made in this process."""
        make: Callable[..., tuple[Segmenter, Planner]] = pkgutil.resolve_name(self.make)
        return make(*self.arguments)


def engine_of(model: str, *, llm: str | None = None, quantisation: Quantisation = "none") -> Engine:
    """The engine of an installed model and a language model, the default one for None.

    Raises WeightsError E_MODEL for an unknown model.
    """
    found = find_model(model).name
    if llm is None:
        return Engine(f"{__name__}:make_named", arguments=(found,), model=found)
    return Engine(
        f"{__name__}:make_both",
        f"{__name__}:import_shipped" if llm == RULES else f"{__name__}:import_with_language",
        arguments=(found, llm, quantisation),
        model=found,
        llm=llm,
        quantisation=quantisation,
    )


def make_named(model: str) -> tuple[Segmenter, Planner]:
    """An installed model and the default planner."""
    from assistant.api import named_segmenter

    return named_segmenter(model), default_planner()


def make_both(model: str, llm: str, quantisation: Quantisation) -> tuple[Segmenter, Planner]:
    """An installed model and the planner of a language model."""
    from assistant.api import named_segmenter

    return named_segmenter(model), named_planner(llm, quantisation=quantisation)


def make_shipped() -> tuple[Segmenter, Planner]:
    """The shipped weights and the default planner."""
    from assistant.api import default_segmenter

    return default_segmenter(), default_planner()


def import_shipped() -> None:
    """Import the network's libraries and fill the planner's tables; a language model's too where one ships."""
    import vision.models.coarse_to_fine  # noqa: F401

    if has_embedded():
        import_libraries()
    RulePlanner().plan("Segment the liver.", Memory())


def import_with_language() -> None:
    """The same for a language model that was chosen. Each worker loads its own: running one starts threads."""
    import_shipped()
    import_libraries()


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
