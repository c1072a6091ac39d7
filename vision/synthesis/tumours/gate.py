"""The quality gate: keep a painted tumour only if a judge, usually a trained segmenter, sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision.errors import UsageError
from vision.synthesis.tumours.protocol import Engine, Spacing, Tumour, Wish
from vision.synthesis.tumours.synthesise import synthesise

Judge = Callable[[NDArray[Any], Spacing], NDArray[np.floating[Any]]]
"""(I, J, K) HU and spacing in mm -> (I, J, K) probability of a tumour."""
NEEDED_SHARE, MARKED_FROM = 0.7, 0.5
"""FreeTumor (Nat Commun 2025) keeps a tumour of which its baseline marks more than 70 % of the voxels."""


def marked_share(tumour: Tumour, spacing: Spacing, judge: Judge) -> float:
    """The share in 0..1 of the tumour's voxels to which the judge gives a probability of at least 0.5.

    Raises ValueError when the judge answers another shape.
    """
    probability = judge(tumour.ct, spacing)
    if probability.shape != tumour.mask.shape:
        raise ValueError(f"a judge answers on the CT's grid {tumour.mask.shape}, got {probability.shape}")
    return float(np.mean(probability[tumour.mask] >= MARKED_FROM))


def synthesise_judged(
    ct: NDArray[Any],
    organ_mask: NDArray[np.bool_],
    spacing: Spacing,
    *,
    wish: Wish,
    engine: Engine,
    rng: np.random.Generator,
    judge: Judge,
    needed_share: float = NEEDED_SHARE,
    tries: int = 4,
) -> Tumour:
    """As `synthesise`, but paint anew, at most `tries` times, until the judge marks `needed_share` of the tumour.

    What passes is what the judge finds already: the gate takes out what no reader would call a tumour, and with it the
    small and faint ones that a better network is to learn, so train without it where those matter. Raises UsageError
    E_TUMOUR_JUDGED when none passes, and what `synthesise` raises.
    """
    for _ in range(tries):
        tumour = synthesise(ct, organ_mask, spacing, wish=wish, engine=engine, rng=rng)
        if marked_share(tumour, spacing, judge) >= needed_share:
            return tumour
    raise UsageError(
        "E_TUMOUR_JUDGED",
        f"Of {tries} tumours none was marked by the judge in {needed_share:.0%} of its voxels.",
        "Ask for a larger tumour or more contrast, or lower the share.",
    )
