"""Scene: one open CT, encoded once, and every mask that was asked for, each made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from vision.geometry import CTVolume, Mask, Notice
from vision.lesion_types.phase import Phase, phase_of
from vision.measure import (
    HOLLOW,
    NON_CONTRAST,
    SIDE_LANDMARKS,
    Intensity,
    Regions,
    anatomical_side_check,
    cut_at,
    extent_mm,
    intensity,
    liver_segments,
    organ_tissue,
    pancreas_parts,
)
from vision.segmenter import Encoding, Progress, Segmenter, SizeSource, TokenSource, no_progress
from vision.structures import by_name

if TYPE_CHECKING:
    from vision.models.coarse_to_fine.tokens import CTTokens

Ability = Literal["segments", "derives", "cannot"]

DERIVED_FROM = {
    **dict.fromkeys(("pancreas_head", "pancreas_body", "pancreas_tail"), "pancreas"),
    **{f"liver_segment_{number}": "liver" for number in range(1, 9)},
}
"""Structures made by a published rule from another mask."""

Whereabouts = Literal["in view", "out of view", "unsure"]
"""Whether the scan covers where a structure would lie."""


@dataclass(frozen=True)
class Landmark:
    """A neighbour that shows a structure's level of the body when it is seen.

    The scan may not cut it at `free_at` (None: at no side at all), and shows at least `least_mm` of it along the body.
    """

    name: str
    free_at: tuple[str, ...] | None = None
    least_mm: float = 0.0


_LIVER, _DOME = Landmark("liver"), Landmark("liver", free_at=("superior",))


def _below_hips(least_mm: float) -> tuple[Landmark, ...]:
    """A femur from its head, which lies at the level of the full bladder, downwards."""
    return tuple(Landmark(name, free_at=("superior",), least_mm=least_mm) for name in ("femur_left", "femur_right"))


IN_VIEW_WITH: Mapping[str, tuple[Landmark, ...]] = MappingProxyType(
    {
        "liver": (Landmark("spleen"), Landmark("kidney_right")),
        "spleen": (_LIVER, Landmark("kidney_left")),
        "pancreas": (_LIVER, Landmark("kidney_left")),
        "gall_bladder": (_LIVER,),
        "stomach": (_LIVER,),
        "duodenum": (_LIVER, Landmark("pancreas")),
        "kidney_left": (Landmark("kidney_right"),),
        "kidney_right": (Landmark("kidney_left"),),
        "adrenal_gland_left": (_LIVER, Landmark("kidney_left")),
        "adrenal_gland_right": (_LIVER, Landmark("kidney_right")),
        "aorta": (_LIVER,),
        "postcava": (_LIVER,),
        "hepatic_vessel": (_LIVER,),
        "portal_vein_and_splenic_vein": (_LIVER, Landmark("pancreas")),
        "celiac_trunk": (_LIVER, Landmark("pancreas")),
        "esophagus": (_DOME, Landmark("stomach", free_at=("superior",))),
        "lung_left": (Landmark("lung_right", free_at=(), least_mm=30.0), Landmark("spleen", free_at=("superior",))),
        "lung_right": (Landmark("lung_left", free_at=(), least_mm=30.0), _DOME),
        "bladder": _below_hips(40.0),
        "rectum": (Landmark("bladder"), *_below_hips(40.0)),
        "prostate": (Landmark("bladder"), *_below_hips(60.0)),
        "femur_left": (Landmark("femur_right", free_at=(), least_mm=20.0),),
        "femur_right": (Landmark("femur_left", free_at=(), least_mm=20.0),),
    }
)
"""A structure's place is in the scan when one of these landmarks says so; no scan shows that all bowel is gone."""

ANCHORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "chest": ("lung_left", "lung_right"),
        "upper abdomen": ("liver", "spleen", "kidney_left", "kidney_right", "stomach"),
        "pelvis": ("femur_left", "femur_right", "bladder"),
    }
)
"""Structures of which one at least is seen wherever a scan shows that zone of the body."""
ZONES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((*ANCHORS["chest"], "esophagus"), "chest"),
        **dict.fromkeys((*ANCHORS["upper abdomen"], "pancreas", "gall_bladder", "duodenum"), "upper abdomen"),
        **dict.fromkeys(("adrenal_gland_left", "adrenal_gland_right", "celiac_trunk"), "upper abdomen"),
        **dict.fromkeys(("hepatic_vessel", "portal_vein_and_splenic_vein"), "upper abdomen"),
        **dict.fromkeys((*ANCHORS["pelvis"], "prostate", "rectum"), "pelvis"),
    }
)
"""The zone that a structure lies in; what runs through several has none."""

SHOWN_BY = {
    **dict.fromkeys(("lung_left", "lung_right"), ("chest", "abdomen")),
    **dict.fromkeys(("femur_left", "femur_right"), ("abdomen", "legs")),
}
"""Regions of the scan in which a structure can lie, where these are not chest and abdomen."""
TRUNK = ("chest", "abdomen")
REGION_FACTS = ("head_mm", "chest_mm", "abdomen_mm", "legs_mm")
"""Facts of the gate (`vision.io.judge`)."""

UNENHANCED_HU = 75.0
"""Median of the aorta: 35 to 55 HU without contrast medium, from 90 HU on with it, even in late phases."""


def ability(segmented: frozenset[str], structure: str) -> Ability:
    """Whether a structure can be had: among those `segmented`, by rule from one of them, or not at all."""
    if structure in segmented:
        return "segments"
    return "derives" if DERIVED_FROM.get(structure) in segmented else "cannot"


@dataclass(frozen=True)
class Sight:
    """One structure as found: its mask, the sides where the scan cuts it, and how it was got."""

    mask: Mask
    cut_at: tuple[str, ...]
    method: str


class Scene:
    """One CT and a segmenter; the encoding and every mask are made on first use and kept."""

    def __init__(self, ct: CTVolume, segmenter: Segmenter) -> None:
        self.ct = ct
        self.segmenter = segmenter
        self._encoding: Encoding | None = None
        self._tokens: CTTokens | None = None
        self._sights: dict[str, Sight] = {}
        self._regions: dict[str, Regions] = {}
        self._tissues: dict[str, tuple[Intensity, float] | None] = {}

    def ability(self, structure: str) -> Ability:
        """Whether a structure can be had in this scene."""
        return ability(self.segmenter.structures, structure)

    def encode(self, progress: Progress = no_progress) -> Encoding:
        """Do the work that is paid once; instant afterwards."""
        if self._encoding is None:
            self._encoding = self.segmenter.encode(self.ct, progress)
        return self._encoding

    def tokens(self) -> CTTokens | None:
        """What a language model reads of the CT, made once; None where the segmenter makes no tokens."""
        if self._tokens is None and isinstance(self.segmenter, TokenSource):
            self._tokens = self.segmenter.tokens(self.encode())
        return self._tokens

    def see(self, structure: str) -> Sight:
        """Find one structure that `ability` says can be found. Raises KeyError for any other."""
        if structure not in self._sights:
            if self.ability(structure) == "derives":
                regions = self._regions_of(DERIVED_FROM[structure])
                empty = Mask(np.zeros(self.ct.grid.shape, dtype=bool), self.ct.grid, structure)
                mask, method = regions.masks.get(structure, empty), regions.method
            else:
                mask = self.segmenter.segment(self.encode(), structure)
                method = f"segmented by {self.segmenter.name}"
            self._sights[structure] = Sight(mask, cut_at(mask), method)
        return self._sights[structure]

    def whereabouts(self, structure: str) -> Whereabouts:
        """Whether the scan covers where a structure would lie, judged by which neighbours are seen and complete.

        Out of view is what lies in a zone of the body of which nothing is seen while another zone is.
        """
        if any(self._shown_by(landmark) for landmark in IN_VIEW_WITH.get(structure, ())):
            return "in view"
        zone = ZONES.get(structure)
        if zone is None or not any(self.ability(name) == "segments" for name in ANCHORS[zone]):
            return "unsure"
        seen = [other for other, anchors in ANCHORS.items() if any(self._landmark(name) for name in anchors)]
        return "out of view" if seen and zone not in seen else "unsure"

    def in_view(self, structure: str) -> bool:
        """Whether the scan certainly covers where a structure would lie."""
        return self.whereabouts(structure) == "in view"

    def _shown_by(self, landmark: Landmark) -> bool:
        if self.ability(landmark.name) != "segments":
            return False
        sight = self.see(landmark.name)
        cut = set(sight.cut_at) if landmark.free_at is None else set(sight.cut_at) & set(landmark.free_at)
        return bool(sight.mask) and not cut and extent_mm(sight.mask) >= landmark.least_mm

    def shows(self, structure: str) -> bool:
        """Whether the regions that the gate recognised can hold a structure; True where it recognised none."""
        regions = {fact.removesuffix("_mm") for fact in self.ct.facts if fact in REGION_FACTS}
        return not regions or bool(regions & set(SHOWN_BY.get(structure, TRUNK)))

    def notices(self) -> tuple[Notice, ...]:
        """Warnings that follow from what an encoded CT shows: organs on the wrong side, no contrast medium."""
        if self._encoding is None:
            return ()
        flip = self.side_doubt()
        unsaid = "phase" not in self.ct.facts and self.is_unenhanced()
        return (*((flip,) if flip else ()), *((NON_CONTRAST,) if unsaid else ()))

    def is_unenhanced(self) -> bool:
        """Whether the CT was taken without contrast medium: by what the file says, else by the HU of the aorta."""
        if "phase" in self.ct.facts:
            return self.ct.facts["phase"] == "non_contrast"
        aorta_hu = self._median("aorta")
        return aorta_hu is not None and aorta_hu < UNENHANCED_HU

    def phase(self) -> Phase:
        """The contrast phase: by what the file says, else by the HU of aorta and liver."""
        return phase_of(str(self.ct.facts.get("phase", "")), self._median("aorta"), self._median("liver"))

    def _median(self, structure: str) -> float | None:
        mask = self._landmark(structure)
        found = None if mask is None else intensity(self.ct, mask)
        return None if found is None else found.p50

    def tissue(self, organ: str) -> tuple[Intensity, float] | None:
        """HU of an organ outside all its lesions (`organ_tissue`), measured once; None where there is none to measure,
        and of what is mostly its contents."""
        if organ not in self._tissues:
            mask = None if organ in HOLLOW else self._landmark(organ)
            kinds = [name for name in lesion_names(self.segmenter) if organ in by_name(name).lesion_of]
            lesions = [self.see(name).mask for name in kinds] if mask is not None else []
            self._tissues[organ] = None if mask is None else organ_tissue(self.ct, mask, lesions)
        return self._tissues[organ]

    def side_doubt(self) -> Notice | None:
        """A warning when organs lie on the wrong side: left and right are then not certain."""
        landmarks = {name: self._landmark(name) for name in SIDE_LANDMARKS}
        return anatomical_side_check({name: mask for name, mask in landmarks.items() if mask is not None})

    def reliable_from_mm(self, lesion: str) -> float | None:
        """The smallest long axis of lesions found reliably: infinite for none, None where nothing is known."""
        return self.segmenter.lesion_sizes.get(lesion) if isinstance(self.segmenter, SizeSource) else None

    def confidence(self, part: Mask) -> float | None:
        """The segmenter's confidence in one piece of a structure."""
        return self.segmenter.confidence(self.encode(), part)

    def part_of(self, piece: Mask, names: tuple[str, ...]) -> dict[str, float]:
        """Share of a piece's voxels in each of the derived or segmented structures, those above zero, largest first."""
        if piece.box is None:
            return {}
        window = piece.box.slices
        inside = piece.voxels[window]
        shares = {
            name: float((self.see(name).mask.voxels[window] & inside).sum()) / piece.count
            for name in names
            if self.ability(name) != "cannot"
        }
        return dict(sorted(((n, s) for n, s in shares.items() if s > 0), key=lambda item: -item[1]))

    def _regions_of(self, organ: str) -> Regions:
        if organ not in self._regions:
            mask = self.see(organ).mask
            if organ == "pancreas":
                regions = pancreas_parts(
                    mask, aorta=self._landmark("aorta"), portal=self._landmark("portal_vein_and_splenic_vein")
                )
            else:
                regions = liver_segments(
                    mask,
                    gall_bladder=self._landmark("gall_bladder"),
                    postcava=self._landmark("postcava"),
                    portal=self._landmark("portal_vein_and_splenic_vein"),
                )
            self._regions[organ] = regions
        return self._regions[organ]

    def _landmark(self, structure: str) -> Mask | None:
        """A landmark's mask, None when the segmenter does not know it or it is not seen."""
        if self.ability(structure) != "segments":
            return None
        return self.see(structure).mask or None


def lesion_names(segmenter: Segmenter) -> tuple[str, ...]:
    """The lesion structures that a segmenter searches for, sorted."""
    return tuple(sorted(name for name in segmenter.structures if by_name(name).kind == "lesion"))
