"""Evaluation: metrics of masks against a reference, over cases, with intervals; robustness and reliability."""

from vision.benchmark.calibration import fit_calibration
from vision.benchmark.evaluate import (
    CaseResult,
    CaseScore,
    Evaluation,
    LesionCount,
    evaluate_case,
    evaluate_cases,
    score_mask,
)
from vision.benchmark.files import evaluation_json, results_writer, write_evaluation
from vision.benchmark.layouts import EvaluationCase, Reference, find_cases, read_reference
from vision.benchmark.metrics import Interval, bootstrap_interval, dice, surface_dice, volume_error
from vision.benchmark.presentations import Presentation, presentations
from vision.benchmark.reliability import Reliability, measure_reliability
from vision.benchmark.robustness import PresentedScore, evaluate_robustness, worst_changes
from vision.benchmark.summary import StructureSummary, case_table, lesion_table, structure_table, summarise

__all__ = [
    "CaseResult",
    "CaseScore",
    "Evaluation",
    "EvaluationCase",
    "Interval",
    "LesionCount",
    "Presentation",
    "PresentedScore",
    "Reference",
    "Reliability",
    "StructureSummary",
    "bootstrap_interval",
    "case_table",
    "dice",
    "evaluate_case",
    "evaluate_cases",
    "evaluate_robustness",
    "evaluation_json",
    "find_cases",
    "fit_calibration",
    "lesion_table",
    "measure_reliability",
    "presentations",
    "read_reference",
    "results_writer",
    "score_mask",
    "structure_table",
    "summarise",
    "surface_dice",
    "volume_error",
    "worst_changes",
    "write_evaluation",
]
