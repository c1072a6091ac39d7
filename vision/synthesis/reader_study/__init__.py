"""Can you tell? A blinded study of real and painted lesions for readers, its scores, and an automatic proxy."""

from vision.synthesis.reader_study.crops import Crop, crops_of
from vision.synthesis.reader_study.export import ExportedStudy, export_study
from vision.synthesis.reader_study.key import StudyAnswers, StudyKey, read_answers, read_key
from vision.synthesis.reader_study.proxy import Separability, separability_json, separability_table, tell_apart
from vision.synthesis.reader_study.score import StudyScore, score_json, score_study, score_table

__all__ = [
    "Crop",
    "ExportedStudy",
    "Separability",
    "StudyAnswers",
    "StudyKey",
    "StudyScore",
    "crops_of",
    "export_study",
    "read_answers",
    "read_key",
    "score_json",
    "score_study",
    "score_table",
    "separability_json",
    "separability_table",
    "tell_apart",
]
