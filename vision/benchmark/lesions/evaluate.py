"""Evaluate a predictor of lesions on cases with reference lesions: one row a lesion, one row a case and structure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vision.benchmark.evaluate import numbered, share_of
from vision.benchmark.layouts import EvaluationCase, read_reference
from vision.benchmark.lesions.lesion import LESIONS, Lesion
from vision.benchmark.lesions.matching import MIN_IOU, Matching, Verdict, match_lesions, sure
from vision.benchmark.lesions.predictors import Predictor
from vision.benchmark.lesions.read import reference_lesions
from vision.errors import UsageError
from vision.segmenter import Progress, no_progress
from vision.structures import by_name


@dataclass(frozen=True)
class ReferenceRow:
    """One reference lesion and what became of it. NaN where it was missed, or where nothing is known."""

    case: str
    structure: str
    number: int
    """From 1, as in the mask file or largest first."""
    long_axis_mm: float
    volume_ml: float
    found: bool
    merged: bool
    """Missed, but its prediction found another lesion."""
    confidence: float
    """Of the prediction that found it."""
    iou: float
    dice: float
    """0 when missed."""
    predicted_long_axis_mm: float
    size_error_mm: float
    """Predicted minus reference long axis."""


@dataclass(frozen=True)
class PredictedRow:
    """One predicted lesion. `confidence` is NaN where nothing estimated one; `sure` then counts as 1."""

    case: str
    structure: str
    number: int
    long_axis_mm: float
    volume_ml: float
    confidence: float
    verdict: Verdict
    reference: int | None
    """The number of the reference lesion that it found."""

    @property
    def sure(self) -> float:
        """The confidence by which it is sorted."""
        return 1.0 if math.isnan(self.confidence) else self.confidence


@dataclass(frozen=True)
class CaseRow:
    """One structure of one case: counts, and the Dice of all its lesions together (NaN when neither side has any)."""

    case: str
    structure: str
    lesions: int
    found: int
    merged: int
    predictions: int
    false_positives: int
    fragments: int
    dice: float


@dataclass(frozen=True)
class LesionCase:
    """Everything about one case. `unsearched` are annotated structures that its prediction does not hold."""

    case: str
    references: tuple[ReferenceRow, ...]
    predictions: tuple[PredictedRow, ...]
    rows: tuple[CaseRow, ...]
    unsearched: frozenset[str]


@dataclass(frozen=True)
class LesionEvaluation:
    """What came out of all cases in which lesions are annotated.

    `unsearched` are annotated structures that no prediction holds, so nothing is counted of them; `unannotated` is the
    number of cases that say nothing about lesions and were left out.
    """

    predictor: str
    min_iou: float
    references: tuple[ReferenceRow, ...]
    predictions: tuple[PredictedRow, ...]
    rows: tuple[CaseRow, ...]
    unsearched: tuple[str, ...]
    unannotated: int


def no_case(case: LesionCase) -> None:
    """A callback that does nothing with a case."""


def evaluate_lesions(
    cases: Sequence[EvaluationCase],
    predictor: Predictor,
    *,
    structures: frozenset[str] | None = None,
    min_iou: float = MIN_IOU,
    progress: Progress = no_progress,
    keep: Callable[[LesionCase], None] = no_case,
) -> LesionEvaluation:
    """Compare predicted with reference lesions in every case, structure by structure, by the rule of `matching`.

    An annotated structure without a mask in a case's prediction counts as searched without result, if `structures`
    names it or any other case's prediction holds it. `keep` is handed each finished case.
    Raises UsageError E_STRUCTURE for a structure that is no lesion, E_IOU for an overlap outside (0, 1],
    E_NOT_ANNOTATED where no case annotates a lesion, E_NO_LESIONS where no prediction holds an annotated lesion; and
    what reading raises, with the number of the case.
    """
    chosen = _chosen(structures)
    if not 0 < min_iou <= 1:
        raise UsageError("E_IOU", f"Lesions cannot be matched by an overlap of {min_iou:g}.", "Give more than 0 to 1.")
    done: list[LesionCase] = []
    for position, case in enumerate(cases):
        told = share_of(progress, case.name, first=position / len(cases), last=(position + 1) / len(cases))
        with numbered(position + 1, len(cases)):
            result = evaluate_lesion_case(case, predictor, structures=chosen, min_iou=min_iou, progress=told)
        if result is not None:
            done.append(result)
            keep(result)
    progress("done", 1.0)
    if not done:
        raise UsageError(
            "E_NOT_ANNOTATED",
            "No case says anything about lesions.",
            "Say with --annotated which lesions were searched for in the reference; those without any count as absent.",
        )
    return _gathered(done, predictor.name, frozenset() if structures is None else chosen, min_iou, len(cases))


def evaluate_lesion_case(
    case: EvaluationCase,
    predictor: Predictor,
    *,
    structures: frozenset[str] = LESIONS,
    min_iou: float = MIN_IOU,
    progress: Progress = no_progress,
) -> LesionCase | None:
    """Evaluate one case; None when it annotates none of the structures. Raises as `evaluate_lesions`."""
    progress("reading", 0.0)
    reference = read_reference(case, structures)
    if not reference.masks:
        return None
    predicted = predictor.predict(case, reference.ct, frozenset(reference.masks), progress)
    references: list[ReferenceRow] = []
    predictions: list[PredictedRow] = []
    rows: list[CaseRow] = []
    for structure in reference.masks:
        lesions, found = reference_lesions(case, reference, structure), predicted.get(structure, [])
        matching = match_lesions(lesions, found, min_iou=min_iou)
        references += _reference_rows(case.name, lesions, found, matching)
        predictions += _predicted_rows(case.name, found, matching)
        rows.append(_case_row(case.name, structure, lesions, found, matching))
    return LesionCase(
        case.name, tuple(references), tuple(predictions), tuple(rows), frozenset(reference.masks) - predicted.keys()
    )


def _chosen(structures: frozenset[str] | None) -> frozenset[str]:
    if structures is None:
        return LESIONS
    chosen = frozenset(by_name(name).name for name in structures)
    other = sorted(chosen - LESIONS)
    if other:
        raise UsageError("E_STRUCTURE", f"{other[0]!r} is no lesion.", "Name lesions, such as liver_lesion.")
    return chosen


def _gathered(
    done: Sequence[LesionCase], predictor: str, named: frozenset[str], min_iou: float, cases: int
) -> LesionEvaluation:
    """The rows of all cases, less those of structures that nobody searched for."""
    annotated = frozenset(row.structure for case in done for row in case.rows)
    searched = named.union(*(frozenset(row.structure for row in case.rows) - case.unsearched for case in done))
    if not annotated & searched:
        raise UsageError(
            "E_NO_LESIONS",
            "The predictions hold none of the lesions that the cases annotate.",
            "Compare the names of the masks, or name with --structures what was searched for.",
        )
    return LesionEvaluation(
        predictor=predictor,
        min_iou=min_iou,
        references=tuple(row for case in done for row in case.references if row.structure in searched),
        predictions=tuple(row for case in done for row in case.predictions if row.structure in searched),
        rows=tuple(row for case in done for row in case.rows if row.structure in searched),
        unsearched=tuple(sorted(annotated - searched)),
        unannotated=cases - len(done),
    )


def _reference_rows(
    case: str, lesions: Sequence[Lesion], predictions: Sequence[Lesion], matching: Matching
) -> list[ReferenceRow]:
    rows = []
    for number, (lesion, by, merged) in enumerate(zip(lesions, matching.found_by, matching.merged, strict=True)):
        prediction = None if by is None else predictions[by]
        own = math.nan if prediction is None else prediction.long_axis_mm
        rows.append(
            ReferenceRow(
                case=case,
                structure=lesion.structure,
                number=number + 1,
                long_axis_mm=lesion.long_axis_mm,
                volume_ml=lesion.volume_ml,
                found=prediction is not None,
                merged=merged,
                confidence=math.nan if prediction is None else sure(prediction),
                iou=math.nan if by is None else float(matching.iou[number, by]),
                dice=0.0
                if by is None or prediction is None
                else 2 * int(matching.common[number, by]) / (lesion.count + prediction.count),
                predicted_long_axis_mm=own,
                size_error_mm=own - lesion.long_axis_mm,
            )
        )
    return rows


def _predicted_rows(case: str, predictions: Sequence[Lesion], matching: Matching) -> list[PredictedRow]:
    references = [matching.reference_of(number) for number in range(len(predictions))]
    return [
        PredictedRow(
            case=case,
            structure=lesion.structure,
            number=number,
            long_axis_mm=lesion.long_axis_mm,
            volume_ml=lesion.volume_ml,
            confidence=math.nan if lesion.confidence is None else lesion.confidence,
            verdict=verdict,
            reference=None if reference is None else reference + 1,
        )
        for number, (lesion, verdict, reference) in enumerate(
            zip(predictions, matching.verdicts, references, strict=True), start=1
        )
    ]


def _case_row(
    case: str, structure: str, lesions: Sequence[Lesion], predictions: Sequence[Lesion], matching: Matching
) -> CaseRow:
    voxels = sum(lesion.count for lesion in (*lesions, *predictions))
    return CaseRow(
        case=case,
        structure=structure,
        lesions=len(lesions),
        found=sum(by is not None for by in matching.found_by),
        merged=sum(matching.merged),
        predictions=len(predictions),
        false_positives=matching.verdicts.count("false positive"),
        fragments=matching.verdicts.count("fragment"),
        dice=2 * int(matching.common.sum()) / voxels if voxels else math.nan,
    )
