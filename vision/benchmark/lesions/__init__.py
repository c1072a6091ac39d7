"""Evaluation of lesions one by one: found, missed, invented; by size, with intervals over scans; the FROC curve."""

from vision.benchmark.lesions.estimate import Estimate, estimate
from vision.benchmark.lesions.evaluate import LesionCase, LesionEvaluation, evaluate_lesion_case, evaluate_lesions
from vision.benchmark.lesions.files import lesions_json, lesions_writer, write_lesions
from vision.benchmark.lesions.froc import RATES, FrocCurve, FrocPoint, froc_curve
from vision.benchmark.lesions.lesion import LESIONS, Lesion, connected_lesions, numbered_lesions
from vision.benchmark.lesions.matching import MIN_IOU, Matching, match_lesions
from vision.benchmark.lesions.predictors import FolderPredictor, Predictor, SegmenterPredictor
from vision.benchmark.lesions.summary import (
    ALL,
    SIZES,
    LesionSummary,
    lesion_reliability,
    reliable_from_mm,
    summarise_lesions,
)
from vision.benchmark.lesions.tables import lesion_tables

__all__ = [
    "ALL",
    "LESIONS",
    "MIN_IOU",
    "RATES",
    "SIZES",
    "Estimate",
    "FolderPredictor",
    "FrocCurve",
    "FrocPoint",
    "Lesion",
    "LesionCase",
    "LesionEvaluation",
    "LesionSummary",
    "Matching",
    "Predictor",
    "SegmenterPredictor",
    "connected_lesions",
    "estimate",
    "evaluate_lesion_case",
    "evaluate_lesions",
    "froc_curve",
    "lesion_reliability",
    "lesion_tables",
    "lesions_json",
    "lesions_writer",
    "match_lesions",
    "numbered_lesions",
    "reliable_from_mm",
    "summarise_lesions",
    "write_lesions",
]
