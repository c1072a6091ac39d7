"""Which predicted lesion found which reference lesion.

The rule. A prediction can find a reference lesion when their intersection over union is at least 0.1. Pairs are taken
from the most confident prediction on, of one confidence the pair of larger overlap first, and each lesion is taken
once (one-to-one). A prediction that could only find what another one found is a fragment: no hit, and no false
positive. A missed lesion whose prediction found another one is merged with it. All other predictions are false.

Why. An overlap of 0.1 asks that the lesion is pointed at, not that it is outlined; Dice says how well it is. It is the
threshold of the PI-CAI challenge and of nnDetection (Baumgartner et al. 2021) for lesions in three dimensions, where a
shift by one thick slice costs a small lesion half of its overlap; a benchmark of outlines may ask for 0.5. One-to-one,
else one mask over a whole organ would find everything in it. Most confident first, as Metrics Reloaded (Maier-Hein et
al. 2024) has it: raising the threshold of confidence then takes pairs away and changes none, so one matching gives the
whole FROC curve. Fragments as in PI-CAI and LUNA16: a lesion marked twice is marked, and sends nobody to a wrong place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vision.benchmark.lesions.lesion import Lesion, common_voxels

MIN_IOU = 0.1
Verdict = Literal["hit", "fragment", "false positive"]


@dataclass(frozen=True, eq=False)
class Matching:
    """How R reference lesions and P predicted ones meet.

    `found_by` holds for each reference lesion the number of its prediction, None when missed; `merged` whether it was
    missed because that prediction found another. `verdicts` holds one for each prediction. `common` (R, P) are common
    voxels, `iou` (R, P) the intersection over union.
    """

    found_by: tuple[int | None, ...]
    merged: tuple[bool, ...]
    verdicts: tuple[Verdict, ...]
    common: np.ndarray
    iou: np.ndarray

    def reference_of(self, prediction: int) -> int | None:
        """The number of the reference lesion that a prediction found, None for no hit."""
        return self.found_by.index(prediction) if prediction in self.found_by else None


def match_lesions(references: Sequence[Lesion], predictions: Sequence[Lesion], *, min_iou: float = MIN_IOU) -> Matching:
    """Match lesions of one structure in one CT by the rule above.

    A prediction without confidence counts as sure. Raises ValueError for an overlap outside (0, 1].
    """
    if not 0 < min_iou <= 1:
        raise ValueError(f"an overlap to match by is above 0 and at most 1, got {min_iou}")
    common = np.array(
        [[common_voxels(reference, prediction) for prediction in predictions] for reference in references], dtype=int
    ).reshape(len(references), len(predictions))
    sizes = np.array([lesion.count for lesion in references], dtype=int)[:, None]
    iou = common / (sizes + np.array([lesion.count for lesion in predictions], dtype=int) - common)
    meets = iou >= min_iou
    pairs = sorted(np.argwhere(meets).tolist(), key=lambda pair: (-sure(predictions[pair[1]]), -iou[tuple(pair)]))
    found_by: list[int | None] = [None] * len(references)
    for reference, prediction in pairs:
        if found_by[reference] is None and prediction not in found_by:
            found_by[reference] = prediction
    return Matching(
        found_by=tuple(found_by),
        merged=tuple(found is None and bool(row.any()) for found, row in zip(found_by, meets, strict=True)),
        verdicts=tuple(_verdict(number in found_by, column) for number, column in enumerate(meets.T)),
        common=common,
        iou=iou,
    )


def sure(lesion: Lesion) -> float:
    """The confidence of a prediction, 1 where nothing estimated one."""
    return 1.0 if lesion.confidence is None else lesion.confidence


def _verdict(is_hit: bool, meets: np.ndarray) -> Verdict:
    if is_hit:
        return "hit"
    return "fragment" if meets.any() else "false positive"
