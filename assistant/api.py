"""The Python way in: `ask`, `open_ct`, `plan_question`."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.answer import Answer
from assistant.conversation import Conversation
from assistant.plan import Memory, Planner, SkillCall
from vision.geometry import CTVolume
from vision.io import ASK, Choices
from vision.segmenter import Progress, Segmenter, no_progress

if TYPE_CHECKING:
    from assistant.language.llms.memory import Quantisation

DEFAULT_MODEL = "universal"
RULES = "rules"

DEFAULT_LLM = RULES
"""Who plans and words unless `llm` says otherwise. The embedded model has its first training only: its card tells."""


def open_ct(
    path: str | Path | CTVolume,
    *,
    series: str | None = None,
    choices: Choices = ASK,
    segmenter: Segmenter | None = None,
    planner: Planner | None = None,
    llm: str | None = None,
    quantisation: Quantisation = "none",
    progress: Progress = no_progress,
) -> Conversation:
    """Open a CT for conversation: NIfTI, DICOM folder or zip, or a CTVolume that is open already.

    `series` chooses one of several in a DICOM folder, `choices` settles whatever else the file leaves open. `llm` and
    `quantisation` choose the language model that plans, where no `planner` is given, as in `named_planner`. Raises
    vision.errors.InputRefused for what cannot be opened without guessing, and vision.errors.WeightsError
    when a model is missing.
    """
    started = time.perf_counter()
    progress("opening the CT", 0.0)
    chosen = choices if series is None else replace(choices, series=series)
    ct = path if isinstance(path, CTVolume) else _load(Path(path), chosen, progress)
    seconds = time.perf_counter() - started
    planner = planner or named_planner(llm or DEFAULT_LLM, quantisation=quantisation)
    return Conversation(ct, segmenter or default_segmenter(), planner, open_seconds=seconds)


def ask(
    ct: str | Path | CTVolume,
    question: str,
    *,
    out: str | Path | None = None,
    series: str | None = None,
    choices: Choices = ASK,
    model: str | None = None,
    llm: str | None = None,
    quantisation: Quantisation = "none",
) -> Answer:
    """Ask one question about a CT; with `out`, write the answer's files there. Errors as of `open_ct`.

    `model` names an installed model other than the shipped one, `llm` and `quantisation` a language model as in
    `named_planner`.
    """
    segmenter = None if model is None else named_segmenter(model)
    conversation = open_ct(ct, series=series, choices=choices, segmenter=segmenter, llm=llm, quantisation=quantisation)
    answer = conversation.ask(question)
    if out is not None:
        answer.save(Path(out))
    return answer


def plan_question(text: str) -> list[SkillCall]:
    """The skill calls that would answer a question; needs no CT and no weights."""
    return default_planner().plan(text, Memory())


def default_segmenter() -> Segmenter:
    """The segmenter of the shipped weights, loaded once per process."""
    return named_segmenter(DEFAULT_MODEL)


def chosen_segmenter(model: str | None) -> Segmenter:
    """The segmenter of an installed model, for None that of the shipped weights. Raises as `named_segmenter`."""
    return default_segmenter() if model is None else named_segmenter(model)


@functools.cache
def named_segmenter(model: str) -> Segmenter:
    """The segmenter of an installed model, loaded once per process. Raises vision.errors.WeightsError."""
    from vision.models.loading import load_segmenter

    return load_segmenter(model)


@functools.cache
def default_planner() -> Planner:
    """The planner of DEFAULT_LLM."""
    return named_planner(DEFAULT_LLM)


def named_planner(llm: str, *, quantisation: Quantisation = "none") -> Planner:
    """The planner of a language model, which also words answers; loaded once per process.

    `llm` is 'rules', 'embedded', a local folder in the format of transformers or of `bodymaps train language`, or a
    name of the model hub whose files `hf download` has fetched. Raises vision.errors.WeightsError, UsageError and
    ResourceError as `load_llm` does.
    """
    if llm == RULES:
        from assistant.language.rules import RulePlanner

        return RulePlanner()
    return _loaded_mind(llm, quantisation)


@functools.cache
def _loaded_mind(llm: str, quantisation: Quantisation) -> Planner:
    from assistant.language.mind import load_mind

    return load_mind(llm, quantisation=quantisation)


def _load(path: Path, choices: Choices, progress: Progress) -> CTVolume:
    from vision.io import load_ct

    return load_ct(path, choices=choices, progress=progress)
