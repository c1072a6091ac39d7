"""Coarse to fine: masks land on the CT's own voxels, whatever else is asked, on any grid, in words or by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.vision.threshold_network import CPU, ThresholdNetwork, ball_ct, box_ct, threshold_segmenter
from vision.errors import Cancelled, UsageError
from vision.geometry import CTVolume, Grid, Mask, reorient_array
from vision.models.coarse_to_fine import UniversalSegmenter, find, fine
from vision.models.coarse_to_fine.find import Found
from vision.models.coarse_to_fine.region import Region
from vision.models.universal.network import UniversalConfig, UniversalNetwork

BALL = ((12.0, -7.0, 508.0), 30.0)
GRIDS = {
    "fine": Grid.from_spacing((90, 84, 80), (1.1, 1.1, 1.3), (-40.3, -55.7, 455.1)),
    "coarse": Grid.from_spacing((60, 56, 50), (2.1, 2.2, 2.4), (-50.0, -66.0, 448.0)),
    "anisotropic": Grid.from_spacing((110, 100, 34), (0.9, 1.0, 3.0), (-38.9, -56.1, 458.4)),
}


def tiny_network(*structures: str) -> UniversalNetwork:
    """Random weights whose corrections are not zero."""
    torch.manual_seed(5)
    config = UniversalConfig(structures=structures, widths=(8, 16), fine_widths=(8, 16), query_width=8, hidden=8)
    network = UniversalNetwork(config)
    with torch.no_grad():
        network.fine_head.controller.weight.normal_(0, 0.3)
        network.head.controller.bias[-8:] = 0.2
    return network


@pytest.mark.parametrize("code", ["RAS", "LPS", "SAR", "IPL"])
@pytest.mark.parametrize("name", GRIDS)
def test_a_mask_lies_on_the_right_voxels_to_a_tenth_of_a_mm(name: str, code: str) -> None:
    grid, order, signs = GRIDS[name].reoriented(code)
    whole, is_face = box_ct(GRIDS[name], BALL[0], 28.3)
    ct = CTVolume(np.ascontiguousarray(reorient_array(whole.hu, order, signs)), grid)
    segmenter = threshold_segmenter("liver")
    mask = segmenter.segment(segmenter.encode(ct), "liver")
    assert mask.grid is grid
    sure = reorient_array(is_face, order, signs) & (np.abs(ct.hu - 50.0) > 1.0)
    assert (sure & (np.abs(ct.hu - 50.0) < 10.0)).sum() > 1000
    np.testing.assert_array_equal(mask.voxels[sure], (ct.hu > 50.0)[sure])


def test_blocks_of_a_large_region_give_the_voxels_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ct = ball_ct(GRIDS["fine"], BALL)
    segmenter = threshold_segmenter("liver")
    whole = segmenter.segment(segmenter.encode(ct), "liver")
    network = segmenter.network
    assert isinstance(network, ThresholdNetwork)
    assert len(network.asked) == 1
    monkeypatch.setattr(fine, "BLOCK_VOXELS", 30 * 30 * 30)
    pieces = segmenter.segment(segmenter.encode(ct), "liver")
    assert len(network.asked) > 2
    np.testing.assert_array_equal(pieces.voxels, whole.voxels)


def test_blocks_of_random_weights_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    grid = Grid.from_spacing((60, 60, 120), (3.0, 3.0, 3.0))
    ct = CTVolume(rng.normal(40, 60, grid.shape).astype(np.float32), grid)
    segmenter = UniversalSegmenter(tiny_network("liver"), name="tiny", runtime=CPU)
    monkeypatch.setattr(fine, "BLOCK_VOXELS", 60 * 60 * 50)
    state = segmenter.encode(ct).state
    wanted = segmenter.network.queries(("liver",)).detach()
    region = Region((0, 0, 0), state.look.padded)
    logits = fine.fine_logits(
        ct,
        segmenter.network,
        state.look,
        query=wanted,
        coarse=fine.coarse_logits(segmenter.network, state.look, wanted, runtime=CPU),
        region=region,
        runtime=CPU,
        progress=lambda step, share: None,
    )
    planes = np.abs(np.diff(logits, axis=2)).mean(axis=(0, 1))
    assert planes.max() < 1.25 * np.median(planes)


def test_a_mask_is_the_same_alone_and_after_others() -> None:
    ct = ball_ct(GRIDS["coarse"], BALL)
    segmenter = UniversalSegmenter(tiny_network("liver", "spleen", "aorta"), name="tiny", runtime=CPU)
    alone = segmenter.segment(segmenter.encode(ct), "spleen")
    encoding = segmenter.encode(ct)
    segmenter.tokens(encoding)
    for name in ("aorta", "liver"):
        segmenter.segment(encoding, name)
    after = segmenter.segment(encoding, "spleen")
    assert alone.count > 0
    np.testing.assert_array_equal(after.voxels, alone.voxels)
    assert after.score == alone.score


def test_a_structure_is_computed_once() -> None:
    segmenter = threshold_segmenter("liver")
    encoding = segmenter.encode(ball_ct(GRIDS["coarse"], BALL))
    assert segmenter.segment(encoding, "liver") is segmenter.segment(encoding, "liver")


def test_an_empty_ct_has_no_structure() -> None:
    segmenter = threshold_segmenter("liver", "aorta")
    encoding = segmenter.encode(ball_ct(GRIDS["coarse"]))
    mask = segmenter.segment(encoding, "liver")
    assert not mask
    assert mask.score is None
    assert mask.grid is GRIDS["coarse"]
    assert segmenter.confidence(encoding, mask) is None


def test_a_ct_of_five_slices_is_segmented() -> None:
    grid = Grid.from_spacing((70, 70, 5), (1.5, 1.5, 5.0), (-40.0, -60.0, 498.0))
    ct = ball_ct(grid, BALL)
    segmenter = threshold_segmenter("liver")
    mask = segmenter.segment(segmenter.encode(ct), "liver")
    sure = np.abs(ct.hu - 50.0) > 5.0
    np.testing.assert_array_equal(mask.voxels[sure], (ct.hu > 50.0)[sure])


def test_clipped_and_whole_hu_give_one_mask() -> None:
    whole = ball_ct(GRIDS["anisotropic"], BALL)
    clipped = CTVolume(np.clip(whole.hu, -125, 275), whole.grid)
    segmenter = UniversalSegmenter(tiny_network("liver"), name="tiny", runtime=CPU)
    masks = [segmenter.segment(segmenter.encode(ct), "liver") for ct in (whole, clipped)]
    assert masks[0].count > 0
    np.testing.assert_array_equal(masks[0].voxels, masks[1].voxels)


def test_float_hu_give_the_mask_of_integer_hu() -> None:
    whole = ball_ct(GRIDS["coarse"], BALL)
    rounded = np.round(whole.hu)
    segmenter = threshold_segmenter("liver")
    masks = [
        segmenter.segment(segmenter.encode(CTVolume(rounded.astype(kind), whole.grid)), "liver")
        for kind in (np.float32, np.int16)
    ]
    assert masks[0].count > 0
    np.testing.assert_array_equal(masks[0].voxels, masks[1].voxels)


def test_an_organ_is_its_largest_piece_and_a_lesion_stays_only_in_its_organ() -> None:
    ct = ball_ct(GRIDS["fine"], ((0.0, -7.0, 508.0), 25.0), ((45.0, -7.0, 508.0), 13.0))
    segmenter = threshold_segmenter("liver", "liver_lesion")
    encoding = segmenter.encode(ct)
    seen = {"liver": ct.hu > 50.0, "liver_lesion": ct.hu > 150.0}
    for name, voxels in seen.items():
        mask = segmenter.segment(encoding, name)
        middle = mask.grid.to_mm(np.argwhere(mask.voxels))[:, 0]
        assert middle.max() < 30.0
        assert (mask.grid.to_mm(np.argwhere(voxels))[:, 0] > 35.0).any()
        assert mask.count > 0.6 * voxels.sum()


def test_a_piece_that_is_more_likely_no_lesion_is_not_suspected_and_organs_stay() -> None:
    inside = ((0.0, -7.0, 508.0), 25.0), ((45.0, -7.0, 508.0), 13.0)
    network, ct = threshold_segmenter("liver", "liver_lesion").network, ball_ct(GRIDS["fine"], *inside)
    masks = {}
    for intercept in (0.0, -8.0):
        line = dict.fromkeys(("liver", "liver_lesion"), (1.0, intercept))
        segmenter = UniversalSegmenter(network, name="threshold", runtime=CPU, calibration=line)
        encoding = segmenter.encode(ct)
        masks[intercept] = {name: segmenter.segment(encoding, name) for name in line}
    assert masks[0.0]["liver_lesion"].count > 0
    assert masks[-8.0]["liver_lesion"].count == 0
    assert masks[-8.0]["liver"].count == masks[0.0]["liver"].count > 0


def test_pieces_are_kept_by_their_own_probability() -> None:
    voxels, probability = np.zeros((9, 5, 5), dtype=bool), np.full((9, 5, 5), 0.1, dtype=np.float16)
    voxels[:3], voxels[6:] = True, True
    probability[:3], probability[6:] = 0.9, 0.6
    found = Found(voxels, probability, Grid.from_spacing((9, 5, 5), (1.0, 1.0, 1.0)))
    sure = found.only(lambda mean: mean > 0.8)
    assert sure is not None
    assert sure.voxels[:3].all()
    assert not sure.voxels[3:].any()
    assert found.only(lambda mean: mean > 0.95) is None


def test_what_is_left_out_is_not_answered_though_the_network_has_words_for_it() -> None:
    ct, network = ball_ct(GRIDS["coarse"], BALL), tiny_network("liver", "kidney_left", "spleen", "kidney_right")
    whole = UniversalSegmenter(network, name="tiny", runtime=CPU)
    part = UniversalSegmenter(network, name="tiny", runtime=CPU, answered=("kidney_right", "liver"))
    assert part.structures == {"liver", "kidney_right"}
    encoding = part.encode(ct)
    with pytest.raises(KeyError, match="spleen"):
        part.segment(encoding, "spleen")
    for words in ("spleen", "left kidney"):
        with pytest.raises(UsageError, match=r"E_STRUCTURE: This model has not learned '(spleen|kidney_left)'"):
            part.segment_phrase(encoding, words)
    with pytest.raises(UsageError, match="E_STRUCTURE: This model has no words for 'spleen_lesion'"):
        part.segment_phrase(encoding, "spleen tumour")
    assert part.tokens(encoding).structures == ("liver", "kidney_right")
    np.testing.assert_array_equal(
        part.segment(encoding, "liver").voxels, whole.segment(whole.encode(ct), "liver").voxels
    )


def test_work_stops_when_the_person_stops_it() -> None:
    def stop(step: str, share: float) -> None:
        if step == stops_at:
            raise Cancelled("E_CANCELLED", "The work was stopped.", "Ask again.")

    segmenter = threshold_segmenter("liver")
    ct = ball_ct(GRIDS["coarse"], BALL)
    stops_at = "looking at the CT"
    with pytest.raises(Cancelled, match="stopped"):
        segmenter.encode(ct, stop)
    encoding = segmenter.encode(ct)
    stops_at = "looking closer"
    with pytest.raises(Cancelled, match="stopped"):
        segmenter.segment(encoding, "liver", stop)
    assert segmenter.segment(encoding, "liver")


def test_progress_rises_to_its_end() -> None:
    steps: list[float] = []
    threshold_segmenter("liver").encode(ball_ct(GRIDS["coarse"], BALL), lambda step, share: steps.append(share))
    assert steps == sorted(steps)
    assert steps[-1] == 1.0


def test_a_structure_that_the_network_does_not_know_is_a_key_error() -> None:
    segmenter = threshold_segmenter("liver")
    with pytest.raises(KeyError, match="aorta"):
        segmenter.segment(segmenter.encode(ball_ct(GRIDS["coarse"])), "aorta")


def test_a_mask_of_nothing_is_refused() -> None:
    nothing = np.zeros((2, 2, 2), dtype=bool)
    grid = Grid.from_spacing((2, 2, 2), (3.0, 3.0, 3.0))
    with pytest.raises(ValueError, match="nothing was found of liver"):
        find.Found(nothing, nothing.astype(np.float16), grid).mask(grid, "liver", 0.5)


def test_confidence_of_the_whole_mask_is_about_its_score() -> None:
    segmenter = threshold_segmenter("liver")
    encoding = segmenter.encode(ball_ct(GRIDS["fine"], BALL))
    mask = segmenter.segment(encoding, "liver")
    assert mask.score is not None
    assert segmenter.confidence(encoding, mask) == pytest.approx(mask.score, abs=0.01)
    assert segmenter.confidence(encoding, Mask(mask.voxels, mask.grid, "aorta")) is None


@pytest.mark.parametrize("words", ["liver", "hepar", "the Liver", "liver parenchyma"])
def test_a_synonym_gives_the_mask_of_the_name(words: str) -> None:
    segmenter = threshold_segmenter("liver", "spleen")
    encoding = segmenter.encode(ball_ct(GRIDS["coarse"], BALL))
    assert segmenter.segment_phrase(encoding, words) is segmenter.segment(encoding, "liver")


def test_a_pair_without_a_side_is_both() -> None:
    ct = ball_ct(GRIDS["coarse"], BALL)
    segmenter = UniversalSegmenter(tiny_network("kidney_left", "kidney_right"), name="tiny", runtime=CPU)
    encoding = segmenter.encode(ct)
    both = segmenter.segment_phrase(encoding, "kidneys")
    left, right = (segmenter.segment(encoding, f"kidney_{side}") for side in ("left", "right"))
    assert left.count > 0
    np.testing.assert_array_equal(both.voxels, left.voxels | right.voxels)


def test_words_never_trained_are_refused() -> None:
    segmenter = threshold_segmenter("liver")
    encoding = segmenter.encode(ball_ct(GRIDS["coarse"], BALL))
    with pytest.raises(UsageError, match="no words for 'lesion'"):
        segmenter.segment_phrase(encoding, "liver tumour")


def test_a_query_vector_gives_the_mask_of_its_words() -> None:
    segmenter = threshold_segmenter("liver")
    encoding = segmenter.encode(ball_ct(GRIDS["coarse"], BALL))
    query = segmenter.network.queries(("liver",))[0]
    mask = segmenter.segment_query(encoding, query, name="liver")
    np.testing.assert_array_equal(mask.voxels, segmenter.segment(encoding, "liver").voxels)
