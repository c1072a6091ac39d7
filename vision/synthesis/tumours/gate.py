"""The quality gate: keep a painted tumour only if a judge, usually a trained segmenter, sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision.errors import UsageError
from vision.geometry import CTVolume, Grid
from vision.segmenter import Segmenter
from vision.synthesis.tumours.case import lesions_of
from vision.synthesis.tumours.protocol import Engine, Organ, Spacing, Tumour, Wish
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


@dataclass(frozen=True, eq=False)
class SegmenterGate:
    """A painter that keeps what a trained segmenter marks as a lesion, of whatever kind, of the wished organ."""

    segmenter: Segmenter

    def __call__(
        self,
        ct: NDArray[Any],
        organ_mask: NDArray[np.bool_],
        spacing: Spacing,
        *,
        wish: Wish,
        engine: Engine,
        rng: np.random.Generator,
    ) -> Tumour:
        """As `synthesise_judged`."""
        return synthesise_judged(
            ct, organ_mask, spacing, wish=wish, engine=engine, rng=rng, judge=self._judge(wish.organ)
        )

    def _judge(self, organ: Organ) -> Judge:
        """Certain where the segmenter marks a lesion of the organ; (I, J, K) run to the right, to the front and up."""

        def judge(hu: NDArray[Any], spacing: Spacing) -> NDArray[np.float32]:
            shape = (hu.shape[0], hu.shape[1], hu.shape[2])
            encoding = self.segmenter.encode(CTVolume(hu, Grid.from_spacing(shape, spacing)))
            marked = np.zeros(shape, dtype=np.float32)
            for structure in sorted(lesions_of(organ) & self.segmenter.structures):
                marked[self.segmenter.segment(encoding, structure).voxels] = 1.0
            return marked

        return judge


def segmenter_gate(segmenter: Segmenter, organs: Sequence[Organ]) -> SegmenterGate:
    """The gate of a segmenter for tumours of some organs.

    Raises UsageError E_NO_LESIONS when it has learned no lesions, or none of one of the organs.
    """
    blind = [organ for organ in organs if not lesions_of(organ) & segmenter.structures]
    if blind:
        raise UsageError(
            "E_NO_LESIONS",
            f"The model of the gate has learned no lesions of: {', '.join(blind)}.",
            "Choose another with --gate, or name with --organ organs whose lesions it knows.",
        )
    return SegmenterGate(segmenter)
