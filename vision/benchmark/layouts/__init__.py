"""The layouts in which CTs with reference masks are shared -> cases: where the CT is, its masks, what is annotated."""

from vision.benchmark.layouts.case import EvaluationCase, Reference, read_reference
from vision.benchmark.layouts.find import find_cases, read_annotated

__all__ = ["EvaluationCase", "Reference", "find_cases", "read_annotated", "read_reference"]
