"""Evaluate a segmenter on cases with reference masks: one score for each annotated structure of each case."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from vision.benchmark.layouts import EvaluationCase, Reference, read_reference
from vision.benchmark.metrics import dice, surface_dice, volume_error
from vision.errors import Cancelled, UserError
from vision.geometry import Mask
from vision.measure import components, volume_ml
from vision.segmenter import Encoding, Progress, Segmenter, no_progress
from vision.structures import by_name, names


@dataclass(frozen=True)
class CaseScore:
    """How one structure of one case came out. NaN where a metric is undefined, see `vision.benchmark.metrics`."""

    case: str
    structure: str
    dice: float
    surface_dice: float
    """At 2 mm."""
    reference_ml: float
    predicted_ml: float
    volume_error_ml: float
    """Signed, as in percent."""
    volume_error_percent: float
    confidence: float
    """The mask's own score, NaN where the segmenter gives none."""
    seconds: float
    """For this mask, once the case is encoded."""


@dataclass(frozen=True)
class LesionCount:
    """Pieces of a lesion structure found in a case in which none is annotated.

    They are false positives where the reference searched for lesions, else an upper bound.
    """

    case: str
    structure: str
    pieces: int
    volume_ml: float


@dataclass(frozen=True)
class CaseResult:
    """Everything about one case; `predicted` and `reference` hold the masks of the structures in `scores`."""

    case: str
    scores: tuple[CaseScore, ...]
    lesions: tuple[LesionCount, ...]
    unsegmented: tuple[str, ...]
    """Annotated structures that the segmenter does not know."""
    encode_seconds: float
    reference: Reference
    predicted: Mapping[str, Mask]


@dataclass(frozen=True)
class Evaluation:
    """What came out of all cases, without voxels."""

    segmenter: str
    scores: tuple[CaseScore, ...]
    lesions: tuple[LesionCount, ...]
    unsegmented: Mapping[str, tuple[str, ...]]
    """Case -> annotated structures that the segmenter does not know."""
    encode_seconds: Mapping[str, float]


def no_result(result: CaseResult) -> None:
    """A callback that does nothing with a case's masks."""


def evaluate_cases(
    cases: Sequence[EvaluationCase],
    segmenter: Segmenter,
    *,
    structures: frozenset[str] | None = None,
    progress: Progress = no_progress,
    keep: Callable[[CaseResult], None] = no_result,
) -> Evaluation:
    """Segment every case and score what is annotated in it, or only those of `structures`, under any of their names.

    `keep` is handed each case while its masks are in memory. Raises what `read_reference` raises, with the number of
    the case, and UsageError E_STRUCTURE.
    """
    chosen = None if structures is None else frozenset(by_name(name).name for name in structures)
    scores: list[CaseScore] = []
    lesions: list[LesionCount] = []
    unsegmented: dict[str, tuple[str, ...]] = {}
    encode_seconds: dict[str, float] = {}
    for number, case in enumerate(cases):
        told = share_of(progress, case.name, first=number / len(cases), last=(number + 1) / len(cases))
        told("reading", 0.0)
        with numbered(number + 1, len(cases)):
            result = evaluate_case(case, segmenter, structures=chosen, progress=told)
        scores += result.scores
        lesions += result.lesions
        unsegmented[case.name] = result.unsegmented
        encode_seconds[case.name] = result.encode_seconds
        keep(result)
    progress("done", 1.0)
    return Evaluation(segmenter.name, tuple(scores), tuple(lesions), unsegmented, encode_seconds)


def share_of(progress: Progress, what: str, *, first: float, last: float) -> Progress:
    """The progress of one part of the work, between two shares of all of it."""
    return lambda step, share: progress(f"{what}: {step}", first + share * (last - first))


@contextmanager
def numbered(number: int, count: int) -> Iterator[None]:
    """Say of a typed error in which case it happened, by its number: a name may be a patient's."""
    try:
        yield
    except Cancelled:
        raise
    except UserError as error:
        raise type(error)(error.code, f"Case {number} of {count}: {error.what}", error.remedy) from None


def evaluate_case(
    case: EvaluationCase,
    segmenter: Segmenter,
    *,
    structures: frozenset[str] | None = None,
    progress: Progress = no_progress,
) -> CaseResult:
    """Segment and score one case, in all annotated structures or in some. Raises what `read_reference` raises."""
    wanted = segmenter.structures if structures is None else segmenter.structures & structures
    reference = read_reference(case, wanted)
    asked = reference.annotated if structures is None else reference.annotated & structures
    started = time.perf_counter()
    encoding = segmenter.encode(reference.ct, progress)
    encode_seconds = time.perf_counter() - started
    predicted: dict[str, Mask] = {}
    scores = []
    for name in (name for name in names() if name in reference.masks):
        started = time.perf_counter()
        predicted[name] = segmenter.segment(encoding, name)
        seconds = time.perf_counter() - started
        scores.append(score_mask(case.name, predicted[name], reference.masks[name], seconds=seconds))
    return CaseResult(
        case.name,
        tuple(scores),
        tuple(_unannotated_lesions(case.name, segmenter, encoding, reference, wanted)),
        tuple(sorted(asked - segmenter.structures)),
        encode_seconds,
        reference,
        predicted,
    )


def score_mask(case: str, predicted: Mask, reference: Mask, *, seconds: float) -> CaseScore:
    """Every metric of one predicted mask. Raises ValueError for masks on different grids."""
    return CaseScore(
        case=case,
        structure=reference.structure,
        dice=dice(predicted, reference),
        surface_dice=surface_dice(predicted, reference),
        reference_ml=volume_ml(reference),
        predicted_ml=volume_ml(predicted),
        volume_error_ml=volume_ml(predicted) - volume_ml(reference),
        volume_error_percent=volume_error(predicted, reference),
        confidence=math.nan if predicted.score is None else predicted.score,
        seconds=seconds,
    )


def _unannotated_lesions(
    case: str, segmenter: Segmenter, encoding: Encoding, reference: Reference, wanted: frozenset[str]
) -> list[LesionCount]:
    counts = []
    for name in sorted(name for name in wanted if by_name(name).kind == "lesion"):
        if reference.masks.get(name):
            continue
        found = segmenter.segment(encoding, name)
        counts.append(LesionCount(case, name, len(components(found)), volume_ml(found)))
    return counts
