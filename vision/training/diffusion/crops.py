"""What the diffusion engine learns from: crops of CTs, and crops with a tumour painted in. Crop n is the same always.

There is no tumour of a patient among them: those painted by other engines are all that the denoiser can learn, so at
best it paints their look into the texture of real CTs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vision.errors import UsageError
from vision.synthesis.tumours.case import hosts_of
from vision.synthesis.tumours.diffusion.networks import Asked
from vision.synthesis.tumours.protocol import ORGANS, Engine, Organ, Wish
from vision.synthesis.tumours.synthesise import synthesise
from vision.training.cases import TrainingCase

STRUCTURES = tuple(dict.fromkeys(host for organ in ORGANS for host in hosts_of(organ)))
"""The structures whose masks a case of this training needs, in the order of its rows."""
CYST_SHARE = 0.25
ROOM_VOXELS = 12
LARGEST_SHARE = 0.6
"""Of the crop's edge, for a tumour: the network is to see what lies around it."""
NEAR_ORGAN_SHARE = 0.7
GAIN, SHIFT_HU = (0.85, 1.15), 40.0
TRIES = 40
_PLAIN, _PAINTED = 1, 2


@dataclass(frozen=True, eq=False)
class PaintedCrop:
    """A crop without and with a tumour, (N, N, N) float32 HU, its voxels `inside`, 0 or 1, and what it is."""

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    inside: NDArray[np.float32]
    asked: Asked


class CropSupply:
    """Crops of prepared cases, whose structures are STRUCTURES; `engines` paint."""

    def __init__(
        self,
        cases: Sequence[TrainingCase],
        engines: Sequence[Engine],
        *,
        spacing_mm: float,
        seed: int,
    ) -> None:
        """Raises UsageError E_CASE_LIST when no case annotates an organ."""
        self.cases, self.engines, self.spacing_mm, self.seed = cases, engines, spacing_mm, seed
        self.places: list[tuple[int, Organ, NDArray[np.int64]]] = []
        for number, case in enumerate(cases):
            for organ in ORGANS:
                voxels = np.flatnonzero(_organ(case, organ, case.tissues))
                if voxels.size:
                    self.places.append((number, organ, voxels))
        if not self.places:
            raise UsageError(
                "E_CASE_LIST",
                "No case annotates an organ that tumours are painted into.",
                f"List cases that annotate one of {', '.join(STRUCTURES)}.",
            )

    @property
    def organs(self) -> tuple[Organ, ...]:
        """The organs that any case annotates."""
        return tuple(organ for organ in ORGANS if any(organ == place[1] for place in self.places))

    def plain(self, number: int, voxels: int) -> NDArray[np.float32]:
        """(voxels,) * 3 float32 HU of one CT, flipped, with contrast and level a little changed; mostly near organs."""
        rng = np.random.default_rng([self.seed, _PLAIN, number])
        if rng.random() < NEAR_ORGAN_SHARE:
            case, _, centre = self._near_organ(rng)
        else:
            case = self.cases[int(rng.integers(len(self.cases)))]
            centre = rng.integers(case.hu.shape)
        crop = _crop(case.hu, centre - voxels // 2, voxels).astype(np.float32)
        crop = np.flip(crop, axis=tuple(np.flatnonzero(rng.random(3) < 0.5)))
        crop = crop * np.float32(rng.uniform(*GAIN)) + np.float32(rng.uniform(-SHIFT_HU, SHIFT_HU))
        return np.ascontiguousarray(crop)

    def painted(self, number: int, voxels: int) -> PaintedCrop:
        """One tumour without parts, dark, alike or bright, in its surroundings; see `PaintedCrop`.

        Raises UsageError E_TUMOUR_ROOM when none of 40 tries finds room.
        """
        rng = np.random.default_rng([self.seed, _PAINTED, number])
        for _ in range(TRIES):
            case, organ, centre = self._near_organ(rng)
            reach = voxels + 2 * ROOM_VOXELS
            start = centre - reach // 2
            hu = _crop(case.hu, start, reach)
            room = _organ(case, organ, _crop(case.tissues, start, reach))
            wish = Wish(
                organ,
                "cyst" if organ != "colon" and rng.random() < CYST_SHARE else "tumour",
                attenuation=("hypo", "iso", "hyper")[int(rng.integers(3))],
                parts=(),
            )
            engine = self.engines[int(rng.integers(len(self.engines)))]
            spacing = (self.spacing_mm, self.spacing_mm, self.spacing_mm)
            try:
                tumour = synthesise(hu, room, spacing, wish=wish, engine=engine, rng=rng)
            except UsageError:
                continue
            facts = tumour.facts
            if facts.long_axis_mm > LARGEST_SHARE * voxels * self.spacing_mm:
                continue
            jitter = rng.integers(-ROOM_VOXELS // 2, ROOM_VOXELS // 2 + 1, size=3)
            corner = np.clip(np.array(facts.centre_voxel) - voxels // 2 + jitter, 0, reach - voxels)
            before, after, inside = (
                _crop(array, corner, voxels).astype(np.float32) for array in (hu, tumour.ct, tumour.mask)
            )
            asked = Asked(organ, wish.kind, facts.hu_inside, facts.hu_organ, facts.equivalent_diameter_mm)
            return PaintedCrop(before, after, inside, asked)
        raise UsageError(
            "E_TUMOUR_ROOM", f"None of {TRIES} tumours found room.", "List cases with whole organs, not with slabs."
        )

    def _near_organ(self, rng: np.random.Generator) -> tuple[TrainingCase, Organ, NDArray[np.int64]]:
        """A case, an organ and a voxel of it."""
        number, organ, voxels = self.places[int(rng.integers(len(self.places)))]
        case = self.cases[number]
        chosen = voxels[int(rng.integers(len(voxels)))]
        return case, organ, np.array(np.unravel_index(int(chosen), case.hu.shape))


def _organ(case: TrainingCase, organ: Organ, tissues: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where some of a case's tissue codes are the organ; nowhere when the case does not annotate it."""
    rows = [row for row in map(STRUCTURES.index, hosts_of(organ)) if case.annotated[row]]
    codes: NDArray[np.bool_] = case.members[rows].any(axis=0) & (np.arange(256) > 0)
    inside: NDArray[np.bool_] = codes[tissues]
    return inside


def _crop(array: NDArray[Any], start: NDArray[np.int64], voxels: int) -> NDArray[Any]:
    """(voxels,) * 3 from `start` on; beyond the edge a CT goes on as at its edge, and nothing is in any mask."""
    first = [int(at) for at in start]
    padding = [(max(0, -at), max(0, at + voxels - count)) for at, count in zip(first, array.shape, strict=True)]
    i, j, k = (slice(max(0, at), max(0, at + voxels)) for at in first)
    cut = array[i, j, k]
    return np.pad(cut, padding, mode="edge") if array.dtype.kind in "if" else np.pad(cut, padding)
