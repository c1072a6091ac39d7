"""Real against synthetic: two networks learn from the same CTs, one from annotated tumours and one from painted ones.

Both are tested on the same real lesions, over several seeds (Hu et al., CVPR 2023, asked this of the liver). The
modules that train import torch; this one does not.
"""

from vision.benchmark.arms.cases import ARMS, Arm, Surveyed, split_cases, survey
from vision.benchmark.arms.compare import ArmsComparison, ArmsConfig, arms_json, compare_arms, write_arms
from vision.benchmark.arms.statistics import MetricDifference, compare_metrics
from vision.benchmark.arms.tables import arms_tables

__all__ = [
    "ARMS",
    "Arm",
    "ArmsComparison",
    "ArmsConfig",
    "MetricDifference",
    "Surveyed",
    "arms_json",
    "arms_tables",
    "compare_arms",
    "compare_metrics",
    "split_cases",
    "survey",
    "write_arms",
]
