"""Scene: everything is found once, parts come by rule, and absence needs the place in view."""

from __future__ import annotations

import numpy as np
import pytest

from tests.assistant.small_scenes import BOXES, GRID, box_ct, box_masks, boxed, phantom
from tests.fakes import LabelMapSegmenter
from vision.geometry import CTVolume, Mask
from vision.scene import ANCHORS, DERIVED_FROM, IN_VIEW_WITH, ZONES, Scene, ability, lesion_names
from vision.segmenter import Encoding, Progress, no_progress
from vision.structures import ABDOMENATLAS, by_name


class CountingSegmenter(LabelMapSegmenter):
    """Notes what it was asked for."""

    def __init__(self, masks: dict[str, Mask]) -> None:
        super().__init__(masks)
        self.encoded = 0
        self.asked: list[str] = []

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        self.encoded += 1
        return super().encode(ct, progress)

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        self.asked.append(structure)
        return super().segment(encoding, structure)


def scene_of(*left_out: str, searches: frozenset[str] = frozenset()) -> Scene:
    masks = {name: mask for name, mask in box_masks().items() if name not in left_out}
    return Scene(box_ct(masks), LabelMapSegmenter(masks, searches=searches))


def test_a_ct_is_encoded_once_and_each_structure_segmented_once() -> None:
    segmenter = CountingSegmenter(box_masks())
    scene = Scene(box_ct(box_masks()), segmenter)
    for _ in range(2):
        scene.encode()
        scene.see("liver")
        scene.in_view("spleen")
    assert segmenter.encoded == 1
    assert segmenter.asked == ["liver"]


def test_a_segmented_structure_says_who_segmented_it_and_where_it_is_cut() -> None:
    sight = scene_of().see("aorta")
    assert sight.method == "segmented by label map"
    assert sight.cut_at == ("superior", "inferior")
    assert scene_of().see("spleen").cut_at == ()


def test_pancreas_parts_are_cut_from_the_pancreas_where_they_are_not_segmented() -> None:
    made = phantom()
    masks = {name: mask for name, mask in made.masks.items() if not name.startswith("pancreas_")}
    scene = Scene(made.ct, LabelMapSegmenter(masks))
    parts = [scene.see(f"pancreas_{part}").mask for part in ("head", "body", "tail")]
    assert scene.ability("pancreas_tail") == "derives"
    assert sum(part.count for part in parts) == made.masks["pancreas"].count
    assert all(part.count > 0 for part in parts)
    assert scene.see("pancreas_tail").method != scene.see("pancreas").method
    truth = made.masks["pancreas_tail"].voxels
    assert (parts[2].voxels & truth).sum() / truth.sum() > 0.5


def test_liver_segments_fill_the_liver() -> None:
    scene = Scene(phantom().ct, LabelMapSegmenter(phantom().masks))
    total = sum(scene.see(f"liver_segment_{number}").mask.count for number in range(1, 9))
    assert total == scene.see("liver").mask.count


def test_parts_of_an_organ_that_is_not_found_are_empty() -> None:
    scene = scene_of("liver", searches=frozenset({"liver"}))
    assert not scene.see("liver_segment_4").mask


@pytest.mark.parametrize(
    ("structure", "expected"), [("liver", "segments"), ("liver_segment_8", "derives"), ("pancreas_tail", "cannot")]
)
def test_abilities_come_from_what_the_segmenter_knows(structure: str, expected: str) -> None:
    assert scene_of().ability(structure) == expected
    assert ability(frozenset(BOXES), structure) == expected


def test_what_cannot_be_had_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="pancreas"):
        scene_of().see("pancreas")


def test_a_place_is_in_view_when_a_neighbour_is_seen_and_complete() -> None:
    assert scene_of("spleen", searches=frozenset({"spleen"})).in_view("spleen")
    assert not scene_of("liver", "kidney_left", "spleen").in_view("spleen")
    assert not scene_of().in_view("prostate")


def test_a_cut_neighbour_does_not_put_a_place_in_view() -> None:
    masks = {"liver": boxed("liver", ((34, 12, 10), (54, 38, 40)))}
    scene = Scene(box_ct(masks), LabelMapSegmenter(masks, searches=frozenset({"spleen"})))
    assert not scene.in_view("spleen")


PELVIS = {
    "femur_left": ((4, 20, 0), (14, 30, 14)),
    "femur_right": ((46, 20, 0), (56, 30, 14)),
    "bladder": ((24, 20, 2), (36, 32, 12)),
}
"""Boxes of the pelvis, the femurs cut below; 14 slices are 70 mm."""


def pelvis_scene(*left_out: str, cut_mm: int = 0) -> Scene:
    """A scan of the pelvis alone, its lowest slices cut away; everything else is looked for in vain."""
    masks = {}
    for name, ((i, j, k), stop) in PELVIS.items():
        if name not in left_out:
            masks[name] = boxed(name, ((i, j, k), (stop[0], stop[1], stop[2] - cut_mm // 5)))
    searches = frozenset(ABDOMENATLAS.values())
    return Scene(box_ct({}), LabelMapSegmenter(masks, searches=searches))


def test_a_prostate_not_seen_in_the_pelvis_is_in_view() -> None:
    assert pelvis_scene().whereabouts("prostate") == "in view"
    assert pelvis_scene("bladder").whereabouts("prostate") == "in view"
    assert pelvis_scene("bladder").whereabouts("bladder") == "in view"


def test_the_head_of_a_femur_alone_does_not_show_what_lies_below_it() -> None:
    scene = pelvis_scene("bladder", cut_mm=40)
    assert scene.whereabouts("prostate") == "unsure"
    assert scene.whereabouts("bladder") == "unsure"


def test_a_femur_cut_above_does_not_show_the_bladder() -> None:
    masks = {"femur_left": boxed("femur_left", ((4, 20, 10), (14, 30, 40)))}
    scene = Scene(box_ct(masks), LabelMapSegmenter(masks, searches=frozenset(ABDOMENATLAS.values())))
    assert scene.whereabouts("bladder") == "unsure"
    assert scene.whereabouts("femur_right") == "in view"


@pytest.mark.parametrize("structure", ["liver", "kidney_left", "celiac_trunk", "lung_left", "esophagus"])
def test_what_lies_in_a_zone_of_which_nothing_is_seen_is_out_of_view(structure: str) -> None:
    assert pelvis_scene().whereabouts(structure) == "out of view"


@pytest.mark.parametrize("structure", ["bladder", "prostate", "rectum", "femur_left"])
def test_an_abdomen_without_hips_leaves_the_pelvis_out_of_view(structure: str) -> None:
    masks = box_masks()
    scene = Scene(box_ct(masks), LabelMapSegmenter(masks, searches=frozenset(ABDOMENATLAS.values())))
    assert scene.whereabouts(structure) == "out of view"


def test_nothing_is_out_of_view_for_a_model_that_cannot_tell() -> None:
    assert scene_of().whereabouts("bladder") == "unsure"
    empty = Scene(box_ct({}), LabelMapSegmenter({}, searches=frozenset(ABDOMENATLAS.values())))
    assert {empty.whereabouts(name) for name in ABDOMENATLAS.values()} == {"unsure"}


def test_every_structure_of_abdomenatlas_has_landmarks_and_a_zone_unless_it_runs_through() -> None:
    assert set(ABDOMENATLAS.values()) - set(IN_VIEW_WITH) == {"colon", "intestine"}
    assert set(ABDOMENATLAS.values()) - set(ZONES) == {"aorta", "postcava", "colon", "intestine"}
    assert set(ZONES.values()) == set(ANCHORS)


def test_a_piece_is_shared_out_among_structures_largest_first() -> None:
    masks = {"kidney_left": boxed("kidney_left", ((0, 2, 2), (5, 6, 6)))}
    masks["kidney_right"] = boxed("kidney_right", ((5, 2, 2), (10, 6, 6)))
    scene = Scene(box_ct(masks), LabelMapSegmenter(masks))
    piece = boxed("kidney_lesion", ((2, 3, 3), (6, 5, 5)))
    shares = scene.part_of(piece, ("kidney_right", "kidney_left", "liver"))
    assert shares == {"kidney_left": 0.75, "kidney_right": 0.25}
    assert list(shares) == ["kidney_left", "kidney_right"]
    assert scene.part_of(boxed("kidney_lesion"), ("kidney_left",)) == {}


def test_confidence_is_the_segmenters() -> None:
    assert scene_of().confidence(box_masks()["liver"]) == 0.9


def test_lesions_of_a_segmenter_are_listed_sorted() -> None:
    segmenter = LabelMapSegmenter(box_masks(), searches=frozenset({"pancreas_lesion", "kidney_lesion"}))
    assert lesion_names(segmenter) == ("kidney_lesion", "liver_lesion", "pancreas_lesion")


def test_every_name_in_the_tables_is_a_structure() -> None:
    for name in (
        *DERIVED_FROM,
        *DERIVED_FROM.values(),
        *IN_VIEW_WITH,
        *(landmark.name for landmarks in IN_VIEW_WITH.values() for landmark in landmarks),
        *ZONES,
    ):
        assert by_name(name).name == name


def test_a_mask_of_another_grid_is_refused() -> None:
    masks = {"liver": Mask(np.zeros((2, 2, 2), dtype=bool), GRID.from_spacing((2, 2, 2), (1, 1, 1)), "liver")}
    with pytest.raises(ValueError, match="mask of liver lies on"):
        Scene(box_ct({}), LabelMapSegmenter(masks)).see("liver")
