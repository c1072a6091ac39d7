"""`bodymaps evaluate language`: everything that was asked to be measured of one language model, or of the rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from assistant.language.evaluation.deep_tumor import (
    DeepTumorScore,
    answer_questions,
    read_measured,
    read_questions,
    score_answers,
)
from assistant.language.evaluation.deep_tumor.questions import Form
from assistant.language.evaluation.plans import PlanScore, plan_tasks, score_plans
from assistant.language.evaluation.requests import RequestScore, read_requests, score_requests
from assistant.language.evaluation.shares import evenly
from assistant.language.rules import RulePlanner
from assistant.language.training.rows import ChatRow, read_rows
from assistant.plan import Planner
from vision.errors import UsageError
from vision.segmenter import Progress, no_progress

if TYPE_CHECKING:
    from assistant.language.evaluation.faithfulness import Faithfulness
    from assistant.language.evaluation.masks import MaskScore
    from assistant.language.evaluation.visual import VisualScore
    from assistant.language.llms.memory import Quantisation
    from assistant.language.mind import LLMMind
    from assistant.language.taught import TaughtLLM
    from vision.benchmark import EvaluationCase
    from vision.models.coarse_to_fine.segmenter import UniversalSegmenter

PHANTOMS, WORDED = 4, 60
"""Analytic abdomens that faithfulness is counted on, and questions about them: each is a conversation of its own."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What is measured. Of `data` the held-out conversations count; `most` questions of each kind, spread over all.

    `llm` None measures the rule planner alone. `cases` have reference masks; `deep_tumor` and `measured` are the
    benchmark's own files.
    """

    data: tuple[Path, ...] = ()
    llm: str | None = None
    quantisation: Quantisation = "none"
    requests: Path | None = None
    cases: tuple[EvaluationCase, ...] = ()
    deep_tumor: Path | None = None
    measured: Path | None = None
    form: Form = "choice"
    most: int = 1_000_000
    model: str | None = None
    cts: tuple[Path, ...] = ()
    """Folders in which the CTs lie that the conversations name; without any, beside the conversations."""
    tokens: Path | None = None
    """Where CT tokens are kept; without it they are made anew."""


@dataclass(frozen=True)
class LanguageEvaluation:
    """What was measured; what was not asked for, or cannot be measured of this model, is empty."""

    llm: str
    plans: tuple[PlanScore, ...] = ()
    requests: tuple[RequestScore, ...] = ()
    visual: VisualScore | None = None
    masks: tuple[MaskScore, ...] = ()
    faithfulness: Faithfulness | None = None
    deep_tumor: DeepTumorScore | None = None
    left_out: tuple[str, ...] = ()
    """Why something was not measured, one sentence each."""


def evaluate_language(options: EvaluationOptions, *, progress: Progress = no_progress) -> LanguageEvaluation:
    """Measure a language model, the rule planner beside it.

    Raises InputRefused and WeightsError for files and models that cannot be read, UsageError E_NOTHING when there is
    nothing to measure.
    """
    if not (options.data or options.requests or options.deep_tumor):
        raise UsageError("E_NOTHING", "There is nothing to measure.", "Give --data, --requests or --deep-tumor.")
    if options.deep_tumor is not None and (options.measured is None or options.llm is None):
        raise UsageError(
            "E_NOTHING", "DeepTumorVQA needs a language model and measurements.", "Give --llm and --measured too."
        )
    taught = None if options.llm is None else _load(options)
    mind = None if taught is None else _mind(taught)
    planners: list[Planner] = [RulePlanner()] if mind is None else [mind, RulePlanner()]
    rows = spread(read_rows(options.data, split="held_out"), options.most) if options.data else []
    tasks = plan_tasks(rows)
    left_out: list[str] = []
    visual, faithful = None, None
    masks: tuple[MaskScore, ...] = ()
    if taught is not None and mind is not None and rows:
        visual = _visual(rows, taught, options, left_out, progress)
        masks = _masks(rows, taught, options, left_out, progress)
        faithful = _faithfulness(rows, mind, options, progress)
    return LanguageEvaluation(
        llm="rules" if taught is None else taught.llm.name,
        plans=tuple(score_plans(tasks, planner, progress=progress) for planner in planners) if tasks else (),
        requests=tuple(score_requests(read_requests(options.requests), planner) for planner in planners)
        if options.requests is not None
        else (),
        visual=visual,
        masks=masks,
        faithfulness=faithful,
        deep_tumor=None if taught is None or options.deep_tumor is None else _deep_tumor(taught, options, progress),
        left_out=tuple(left_out),
    )


def spread(rows: Sequence[ChatRow], most: int) -> list[ChatRow]:
    """At most `most` rows of each kind, spread evenly over those that there are, in order."""
    kept: list[int] = []
    for kind in dict.fromkeys(row.kind for row in rows):
        kept += evenly([place for place, row in enumerate(rows) if row.kind == kind], most)
    return [rows[place] for place in sorted(kept)]


def _load(options: EvaluationOptions) -> TaughtLLM:
    from assistant.language.taught import load_taught

    return load_taught(str(options.llm), quantisation=options.quantisation)


def _mind(taught: TaughtLLM) -> LLMMind:
    from assistant.language.mind import LLMMind

    return LLMMind(taught)


def _visual(
    rows: Sequence[ChatRow], taught: TaughtLLM, options: EvaluationOptions, left_out: list[str], progress: Progress
) -> VisualScore | None:
    from assistant.language.evaluation.visual import score_visual, visual_tasks
    from assistant.language.training.ct_tokens import ct_tokens, find_cts

    tasks = visual_tasks(rows, taught)
    if not tasks:
        return None
    if taught.sighted is None:
        left_out.append("Visual questions: this language model was taught no sight.")
        return None
    folders = options.cts or tuple(path.parent for path in options.data)
    paths = find_cts((str(task.sample.ct) for task in tasks), folders)
    with _token_folder(options) as folder:
        tokens = ct_tokens(paths, _segmenter(options), folder, progress=progress)
    return score_visual(tasks, taught, tokens, progress=progress)


def _masks(
    rows: Sequence[ChatRow], taught: TaughtLLM, options: EvaluationOptions, left_out: list[str], progress: Progress
) -> tuple[MaskScore, ...]:
    from assistant.language.evaluation.masks import mask_samples, score_masks

    if not options.cases:
        return ()
    if taught.mask_token_id is None:
        left_out.append("Masks through the token: this language model was taught no mask token.")
        return ()
    samples = mask_samples(rows, taught)
    return tuple(score_masks(options.cases, taught, _segmenter(options), samples, progress=progress))


def _faithfulness(
    rows: Sequence[ChatRow], mind: LLMMind, options: EvaluationOptions, progress: Progress
) -> Faithfulness | None:
    from assistant.language.evaluation.faithfulness import count_faithfulness
    from vision.phantom import make_phantom

    questions = [next(m.content for m in row.messages if m.role == "user") for row in rows if row.kind == "words"]
    if not questions:
        return None
    asked = evenly(questions, WORDED)
    phantoms = [make_phantom(seed=seed, spacing_mm=(3.0, 3.0, 4.0)) for seed in range(PHANTOMS)]
    segmenter = _segmenter(options)
    return count_faithfulness(
        [(phantom.ct, segmenter) for phantom in phantoms],
        asked,
        planner=mind,
        speaker=mind.speaker,
        progress=progress,
    )


def _deep_tumor(taught: TaughtLLM, options: EvaluationOptions, progress: Progress) -> DeepTumorScore:
    from assistant.language.evaluation.speaking import llm_chat

    assert options.deep_tumor is not None
    assert options.measured is not None
    questions = evenly(read_questions(options.deep_tumor), options.most)
    measured = read_measured(options.measured)
    answers = answer_questions(questions, llm_chat(taught), measured=measured, form=options.form, progress=progress)
    return score_answers(questions, answers, form=options.form)


def _segmenter(options: EvaluationOptions) -> UniversalSegmenter:
    from assistant.api import chosen_segmenter
    from assistant.language.training.ct_tokens import require_universal

    return require_universal(chosen_segmenter(options.model))


@contextmanager
def _token_folder(options: EvaluationOptions) -> Iterator[Path]:
    if options.tokens is not None:
        yield options.tokens
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)
