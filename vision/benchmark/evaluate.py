"""Evaluate a segmenter on cases with reference masks: one score for each annotated structure of each case."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vision.benchmark.cases import EvaluationCase, Reference, read_reference
from vision.benchmark.metrics import dice, surface_dice, volume_error
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
    volume_error_percent: float
    """Signed."""
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
    order: str | None,
    progress: Progress = no_progress,
    keep: Callable[[CaseResult], None] = no_result,
) -> Evaluation:
    """Segment every case and score what is annotated in it; `keep` is handed each case while its masks are in memory.

    `order` names the integers of label maps ('abdomenatlas1.1', 'universal32'). Raises what `read_reference` raises.
    """
    scores: list[CaseScore] = []
    lesions: list[LesionCount] = []
    unsegmented: dict[str, tuple[str, ...]] = {}
    encode_seconds: dict[str, float] = {}
    for number, case in enumerate(cases):
        progress(case.name, number / len(cases))
        result = evaluate_case(case, segmenter, order=order)
        scores += result.scores
        lesions += result.lesions
        unsegmented[case.name] = result.unsegmented
        encode_seconds[case.name] = result.encode_seconds
        keep(result)
    progress("done", 1.0)
    return Evaluation(segmenter.name, tuple(scores), tuple(lesions), unsegmented, encode_seconds)


def evaluate_case(case: EvaluationCase, segmenter: Segmenter, *, order: str | None) -> CaseResult:
    """Segment and score one case. Raises what `read_reference` raises."""
    reference = read_reference(case, order=order)
    started = time.perf_counter()
    encoding = segmenter.encode(reference.ct)
    encode_seconds = time.perf_counter() - started
    predicted: dict[str, Mask] = {}
    scores = []
    for name in (name for name in names() if name in reference.masks and name in segmenter.structures):
        started = time.perf_counter()
        predicted[name] = segmenter.segment(encoding, name)
        seconds = time.perf_counter() - started
        scores.append(score_mask(case.name, predicted[name], reference.masks[name], seconds=seconds))
    return CaseResult(
        case.name,
        tuple(scores),
        tuple(_unannotated_lesions(case.name, segmenter, encoding, reference)),
        tuple(sorted(reference.masks.keys() - segmenter.structures)),
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
        volume_error_percent=volume_error(predicted, reference),
        seconds=seconds,
    )


def _unannotated_lesions(
    case: str, segmenter: Segmenter, encoding: Encoding, reference: Reference
) -> list[LesionCount]:
    counts = []
    for name in sorted(name for name in segmenter.structures if by_name(name).kind == "lesion"):
        if reference.masks.get(name):
            continue
        found = segmenter.segment(encoding, name)
        counts.append(LesionCount(case, name, len(components(found)), volume_ml(found)))
    return counts
