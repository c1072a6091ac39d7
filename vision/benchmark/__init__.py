"""Evaluation: metrics of masks against a reference, over cases, with intervals."""

from vision.benchmark.cases import EvaluationCase, Reference, find_cases, read_reference
from vision.benchmark.evaluate import (
    CaseResult,
    CaseScore,
    Evaluation,
    LesionCount,
    evaluate_case,
    evaluate_cases,
    score_mask,
)
from vision.benchmark.metrics import Interval, bootstrap_interval, dice, surface_dice, volume_error
from vision.benchmark.summary import (
    StructureSummary,
    case_table,
    evaluation_json,
    lesion_table,
    structure_table,
    summarise,
    write_evaluation,
)

__all__ = [
    "CaseResult",
    "CaseScore",
    "Evaluation",
    "EvaluationCase",
    "Interval",
    "LesionCount",
    "Reference",
    "StructureSummary",
    "bootstrap_interval",
    "case_table",
    "dice",
    "evaluate_case",
    "evaluate_cases",
    "evaluation_json",
    "find_cases",
    "lesion_table",
    "read_reference",
    "score_mask",
    "structure_table",
    "summarise",
    "surface_dice",
    "volume_error",
    "write_evaluation",
]
