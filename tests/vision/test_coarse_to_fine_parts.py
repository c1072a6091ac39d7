"""The parts of coarse to fine: sampling, regions, slabs, tokens, calibration, loading."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tests.vision.test_coarse_to_fine import BALL, GRIDS, tiny_network
from tests.vision.threshold_network import CPU, ball_ct, threshold_segmenter
from vision.geometry import CTVolume, Grid, resample
from vision.measure import centroid_mm
from vision.models.calibration import IDENTITY, calibrate
from vision.models.coarse_to_fine import UniversalSegmenter, load_universal, look, sampling
from vision.models.coarse_to_fine.look import find_body
from vision.models.coarse_to_fine.region import Region, cover, plan_blocks, plan_region, ramp
from vision.models.coarse_to_fine.views import PLAIN, View
from vision.models.registry import ModelEntry
from vision.models.runtime import pick_runtime
from vision.models.universal.network import scale_hu


def test_half_voxels_fill_the_box_of_the_whole_ones() -> None:
    grid = GRIDS["anisotropic"].reoriented("LPS")[0]
    half = sampling.halved(grid)
    assert half.spacing_mm == pytest.approx([n / 2 for n in grid.spacing_mm])
    corners = np.array([[-0.5] * 3, np.array(grid.shape) - 0.5])
    ends = np.array([[-0.5] * 3, np.array(half.shape) - 0.5])
    np.testing.assert_allclose(half.to_mm(ends), grid.to_mm(corners), atol=1e-9)


@pytest.mark.parametrize("code", ["RAS", "LPS", "IPL"])
def test_sampled_hu_are_those_of_resampling_and_pooling(code: str) -> None:
    rng = np.random.default_rng(1)
    grid = Grid.from_spacing((50, 40, 37), (0.8, 0.9, 2.5)).reoriented(code)[0]
    ct = CTVolume(rng.integers(-1000, 1000, grid.shape).astype(np.int16), grid)
    working = look.working_grid(grid, 3.0)
    wanted = resample(np.clip(ct.hu, -125, 275), grid, sampling.halved(working))
    i, j, k = working.shape
    pooled = wanted.reshape(i, 2, j, 2, k, 2).mean(axis=(1, 3, 5))
    window_hu = (-125.0, 275.0)
    np.testing.assert_allclose(sampling.sample_pooled_hu(ct, working, window_hu=window_hu), pooled, atol=1e-3)
    np.testing.assert_allclose(sampling.sample_hu(ct, sampling.halved(working), window_hu=window_hu), wanted, atol=1e-3)


def test_sampling_across_a_tilt_is_refused() -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[0.98, -0.2], [0.2, 0.98]]
    turn[:3, :3] /= np.linalg.norm(turn[:3, :3], axis=0)
    with pytest.raises(ValueError, match="tilted against each other"):
        sampling.sample_hu(ball_ct(GRIDS["coarse"]), Grid((5, 5, 5), turn), window_hu=(-125.0, 275.0))


SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))


@settings(max_examples=200, deadline=None)
@given(SIZES, st.data(), st.sampled_from([2, 4]), st.integers(0, 20), st.integers(0, 6))
def test_a_region_holds_its_box_at_multiples_within_the_volume(
    size: tuple[int, int, int], data: st.DataObject, multiple: int, least: int, margin: int
) -> None:
    shape = (size[0] * 3, size[1] * 3, size[2] * 3)
    padded = tuple(-(-n // 8) * 8 for n in shape)
    spans = []
    for n in shape:
        low = data.draw(st.integers(0, n - 1))
        spans.append(slice(low, data.draw(st.integers(low + 1, n))))
    region = plan_region(
        (spans[0], spans[1], spans[2]), margin=margin, least=least, multiple=multiple, shape=shape, padded=padded
    )
    for start, stop, span, n, most in zip(region.start, region.stop, spans, shape, padded, strict=True):
        assert start % multiple == 0
        assert (stop - start) % multiple == 0
        assert 0 <= start <= max(0, span.start - margin)
        assert min(n, span.stop + margin) <= stop <= most
        assert stop - start >= min(least, n)


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[st.integers(1, 60)] * 3), st.integers(500, 100_000))
def test_blocks_cover_a_region_at_multiples(size: tuple[int, int, int], most: int) -> None:
    region = Region((4, 8, 12), (4 + 4 * size[0], 8 + 4 * size[1], 12 + 4 * size[2]))
    blocks = plan_blocks(region, most_voxels=most, overlap=8, multiple=4)
    seen = np.zeros(size, dtype=bool)
    for block in blocks:
        assert all((b - a) % 4 == 0 and a % 4 == 0 for a, b in zip(block.start, block.stop, strict=True))
        seen[block.within(region).scaled(1, 4)] = True
    assert seen.all()
    assert len({block.shape for block in blocks}) == 1
    assert np.prod(blocks[0].shape) <= most or max(blocks[0].shape) <= 24


def test_neighbouring_spans_hand_over_linearly() -> None:
    spans = cover(64, 2, overlap=16, multiple=4)
    assert spans == [(0, 40), (24, 64)]
    weight = np.zeros(64)
    for span in spans:
        weight[slice(*span)] += ramp(span, (0, 64), 16)
    np.testing.assert_allclose(weight, 1.0)


@pytest.fixture
def long_ct() -> CTVolume:
    grid = Grid.from_spacing((16, 16, 300), (3.0, 3.0, 3.0))
    return CTVolume(np.random.default_rng(0).normal(40, 60, grid.shape).astype(np.float32), grid)


def test_slabs_look_like_the_whole_where_the_scan_is_alike_throughout(
    long_ct: CTVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = UniversalSegmenter(tiny_network("liver"), name="tiny", runtime=CPU)
    whole = segmenter.encode(long_ct).state.look.features
    monkeypatch.setattr(look, "SLAB_VOXELS", 16 * 16 * 192)
    padded = (16, 16, 300)
    assert len(look.plan_slabs(padded, multiple=4)) == 2
    slabs = segmenter.encode(long_ct).state.look.features
    deviation = float(whole.decoded.std())
    assert slabs.decoded.shape == whole.decoded.shape
    assert slabs.bottleneck.shape == whole.bottleneck.shape
    assert float((slabs.decoded - whole.decoded).abs().mean()) < 0.03 * deviation
    planes = slabs.decoded.diff(dim=-1).abs().mean((0, 1, 2, 3))
    assert float(planes.max()) < 1.3 * float(planes.median())


def test_constant_features_of_slabs_stay_constant() -> None:
    spans = cover(96, 3, overlap=32, multiple=4)
    parts = [torch.full((1, 2, 3, 3, (last - first) // 2), 0.7) for first, last in spans]
    whole = look.blend(parts, spans, depth=96, step=2)
    torch.testing.assert_close(whole, torch.full((1, 2, 3, 3, 48), 0.7))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 180), st.integers(4_000, 12_000_000), st.sampled_from([4, 8, 16]))
def test_slabs_leave_no_slice_out_and_overlap_as_wide_as_they_must(quarters: int, limit: int, multiple: int) -> None:
    depth = quarters * multiple
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(look, "SLAB_VOXELS", limit)
        spans = look.plan_slabs((96, 80, depth), multiple=multiple)
    weight = np.zeros(depth)
    for first, last in spans:
        assert first % multiple == 0
        weight[first:last] += ramp((first, last), (0, depth), look.OVERLAP_VOXELS)
    assert weight.min() > 0
    assert all(end - start >= look.OVERLAP_VOXELS for (_, end), (start, _) in itertools.pairwise(spans))


def test_views_shifted_and_in_other_hu_are_averaged_where_the_ct_lies() -> None:
    ct = ball_ct(GRIDS["fine"], BALL)
    plain = threshold_segmenter("liver")
    expected = plain.segment(plain.encode(ct), "liver")
    views = (PLAIN, View(shift=2), View(shift=6), View(offset_hu=20.0), View(offset_hu=-20.0))
    averaged = UniversalSegmenter(plain.network, name="threshold", runtime=CPU, views=views)
    np.testing.assert_array_equal(averaged.segment(averaged.encode(ct), "liver").voxels, expected.voxels)
    moved = UniversalSegmenter(plain.network, name="threshold", runtime=CPU, views=(View(offset_hu=20.0),))
    assert moved.segment(moved.encode(ct), "liver").count > 1.1 * expected.count


def test_contrast_is_turned_about_soft_tissue() -> None:
    window_hu = (-125.0, 275.0)
    hu = torch.tensor([-1000.0, 0.0, 50.0, 100.0, 270.0])
    shown = View(gain=1.2).shown(scale_hu(hu, window_hu), window_hu)
    torch.testing.assert_close(shown, scale_hu(torch.tensor([-160.0, -10.0, 50.0, 110.0, 314.0]), window_hu))


def test_a_shift_between_the_strides_is_refused() -> None:
    segmenter = UniversalSegmenter(tiny_network("liver"), name="tiny", runtime=CPU, views=(View(shift=1),))
    with pytest.raises(ValueError, match="shift of 1 voxels is no multiple of the stride 2"):
        segmenter.encode(ball_ct(GRIDS["coarse"], BALL))


def test_only_the_body_is_looked_at() -> None:
    grid = Grid.from_spacing((100, 100, 40), (3.0, 3.0, 3.0))
    hu = np.full(grid.shape, -1000, dtype=np.int16)
    hu[30:70, 40:65] = 40
    hu[10:14, 10:14, 10] = 40
    seen = threshold_segmenter("spleen").encode(CTVolume(hu, grid)).state.look.grid
    assert seen.shape == (48, 33, 40)
    np.testing.assert_allclose(seen.to_mm(np.zeros(3)), grid.to_mm(np.array([26, 36, 0])))


def test_tokens_have_fixed_shapes_and_lie_in_the_body() -> None:
    segmenter = UniversalSegmenter(tiny_network("liver", "spleen"), name="tiny", runtime=CPU)
    for grid in GRIDS.values():
        encoding = segmenter.encode(ball_ct(grid, BALL))
        tokens = segmenter.tokens(encoding)
        assert tokens.latents.shape == (96, 16)
        assert tokens.pooled.shape == (2, 8)
        assert tokens.structures == ("liver", "spleen")
        inside = encoding.state.look.grid.to_ijk(tokens.positions_mm.numpy())
        assert (inside > -0.5).all()
        assert (inside < np.array(encoding.state.look.grid.shape) - 0.5).all()


def test_a_structure_token_is_the_mean_of_the_features_under_it() -> None:
    segmenter = threshold_segmenter("liver", "aorta")
    tokens = segmenter.tokens(segmenter.encode(ball_ct(GRIDS["coarse"], BALL)))
    hu = (tokens.pooled[0].mean() + 1) * 200 - 125
    assert 100 < float(hu) < 275
    assert tokens.presence[0] > 0.95
    assert tokens.presence[1] < 0.05


def test_a_structure_token_knows_size_and_place() -> None:
    segmenter = threshold_segmenter("liver", "aorta")
    encoding = segmenter.encode(ball_ct(GRIDS["coarse"], BALL))
    tokens = segmenter.tokens(encoding)
    mask = segmenter.segment(encoding, "liver")
    centre = centroid_mm(mask)
    assert centre is not None
    assert float(tokens.volumes_ml[0]) == pytest.approx(mask.count * mask.grid.voxel_ml, rel=0.1)
    assert tokens.centres_mm[0].numpy() == pytest.approx(np.asarray(centre), abs=2.0)
    assert tokens.volumes_ml[1] == 0
    assert tokens.centres_mm[1].numpy() == pytest.approx(tokens.positions_mm.mean(0).numpy(), abs=1e-3)


def test_order_facts_come_from_the_coarse_look() -> None:
    segmenter = UniversalSegmenter(tiny_network("liver", "spleen"), name="tiny", runtime=CPU)
    facts = segmenter.order(segmenter.encode(ball_ct(GRIDS["coarse"], BALL)))
    assert [(fact.first, fact.second) for fact in facts] == [("liver", "spleen")]


def test_the_identity_leaves_a_score_and_a_line_moves_it() -> None:
    assert [calibrate(score, IDENTITY) for score in (0.0, 0.37, 1.0)] == [0.0, 0.37, 1.0]
    assert calibrate(0.5, (0.8, -0.3)) == pytest.approx(1 / (1 + np.exp(0.3)))
    for score in (0.2, 0.9):
        odds = (score / (1 - score)) ** 0.8 * np.exp(-0.3)
        assert calibrate(score, (0.8, -0.3)) == pytest.approx(odds / (1 + odds))
    assert 0 < calibrate(0.0, (0.8, -0.3)) < 1e-3
    assert 0.99 < calibrate(1.0, (0.8, -0.3)) < 1


def test_a_calibrated_segmenter_says_what_its_line_says() -> None:
    ct, network = ball_ct(GRIDS["coarse"], BALL), tiny_network("liver")
    plain = UniversalSegmenter(network, name="tiny", runtime=CPU)
    moved = UniversalSegmenter(network, name="tiny", runtime=CPU, calibration={"liver": (0.5, 0.2)})
    score = plain.segment(plain.encode(ct), "liver").score
    assert score is not None
    expected = calibrate(score, (0.5, 0.2))
    encoding = moved.encode(ct)
    mask = moved.segment(encoding, "liver")
    assert mask.score == pytest.approx(expected, abs=2e-3)
    assert moved.confidence(encoding, mask) == pytest.approx(expected, abs=0.05)


def test_the_cpu_runs_in_bfloat16_or_float32() -> None:
    runtime = pick_runtime("cpu")
    assert runtime.dtype in (torch.bfloat16, torch.float32)
    assert str(runtime) in ("cpu, bfloat16", "cpu, float32")


def test_installed_weights_answer_like_those_they_were_saved_from(tmp_path: Path) -> None:
    network = tiny_network("liver", "spleen").half().float()
    file = tmp_path / "tiny.safetensors"
    save_file({key: value.half().contiguous() for key, value in network.state_dict().items()}, file)

    entry = ModelEntry(
        name="tiny",
        file=file,
        card=tmp_path / "tiny.md",
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        channels=network.config.structures,
        config=network.config.to_dict(),
        kind="universal",
        calibration={"liver": (0.9, 0.1)},
    )
    loaded = load_universal(entry, device="cpu")
    assert loaded.structures == {"liver", "spleen"}
    assert loaded.calibration == {"liver": (0.9, 0.1)}
    ct = ball_ct(GRIDS["coarse"], BALL)
    same = UniversalSegmenter(network, name="tiny", runtime=loaded.runtime)
    np.testing.assert_array_equal(
        loaded.segment(loaded.encode(ct), "spleen").voxels, same.segment(same.encode(ct), "spleen").voxels
    )


def test_the_body_holds_its_gas_and_not_what_lies_beside_it() -> None:
    hu = np.full((40, 40, 6), -125.0, dtype=np.float32)
    hu[8:32, 8:32] = 40.0
    hu[14:20, 14:20] = -125.0
    hu[2:4, 2:4, 2] = 40.0
    body = find_body(hu, above_hu=-110.0)
    assert body[16, 16].all()
    assert body[8:32, 8:32].all()
    assert int(body.sum()) == 24 * 24 * 6
    assert find_body(np.full((4, 4, 4), -125.0, dtype=np.float32), above_hu=-110.0).all()
