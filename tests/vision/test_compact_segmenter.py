"""The compact segmenter: masks on the CT's own grid, slabs like one pass, lesions only in their organs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalogue.make_models import description_of, put_model
from vision.geometry import CTVolume, Grid, reorient_array
from vision.measure import volume_ml
from vision.models import compact_segmenter
from vision.models.compact import CompactConfig, CompactUNet
from vision.models.compact_segmenter import CompactSegmenter, load_compact, plan_slabs, save_compact
from vision.models.registry import ModelEntry, find_model, read_models
from vision.models.runtime import Runtime, pick_runtime

CPU = Runtime(torch.device("cpu"), torch.float32)
LEVELS = {"liver": (-22, 140), "liver_lesion": (140, 276), "spleen": (1000, 2000)}
"""HU windows of the segmenter that thresholds: halfway from clipped air (-125) to liver (80) to lesion (200), so that
partial volumes at a surface fall evenly to both sides. No voxel is spleen."""


class ThresholdSegmenter(CompactSegmenter):
    """A compact segmenter whose network is replaced by HU windows."""

    def _infer(self, hu: np.ndarray) -> np.ndarray:
        planes = [(hu > LEVELS[name][0]) & (hu < LEVELS[name][1]) for name in self.config.channels]
        return np.stack(planes).astype(np.float16)


def segmenter_of(*channels: str, spacing_mm: float = 2.0) -> ThresholdSegmenter:
    network = CompactUNet(CompactConfig(channels=channels, widths=(2,), spacing_mm=spacing_mm))
    return ThresholdSegmenter(network, name="threshold", runtime=CPU)


def tiny_network(widths: tuple[int, ...] = (4, 8)) -> CompactUNet:
    """A network with weights that float16 holds exactly, and a head that is not zero."""
    torch.manual_seed(3)
    network = CompactUNet(CompactConfig(channels=("liver", "spleen"), widths=widths))
    torch.nn.init.normal_(network.head.weight, std=0.5)
    return network.half().float()


def balls(grid: Grid, *parts: tuple[tuple[float, float, float], float, int], dtype: type = np.int16) -> CTVolume:
    """A CT of air with balls (centre in RAS+ mm, radius in mm, HU), later ones over earlier ones."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    mm = grid.to_mm(index)
    hu = np.full(grid.shape, -1000, dtype=dtype)
    for centre, radius, value in parts:
        hu[np.linalg.norm(mm - centre, axis=-1) < radius] = value
    return CTVolume(hu, grid)


FINE = Grid.from_spacing((70, 60, 40), (1.3, 1.3, 2.0), (-40.0, -30.0, 500.0))


@pytest.mark.parametrize("code", ["RAS", "LPS", "SAR", "PIL", "AIR", "IPL"])
def test_a_mask_returns_on_the_ct_grid_in_any_axis_order(code: str) -> None:
    segmenter = segmenter_of("liver")
    ct = balls(FINE, ((5.0, 8.0, 540.0), 24.0, 80))
    grid, order, signs = FINE.reoriented(code)
    turned = CTVolume(np.ascontiguousarray(reorient_array(ct.hu, order, signs)), grid)
    expected = segmenter.segment(segmenter.encode(ct), "liver")
    mask = segmenter.segment(segmenter.encode(turned), "liver")
    assert mask.grid is grid
    np.testing.assert_array_equal(mask.voxels, reorient_array(expected.voxels, order, signs))
    assert volume_ml(mask) == pytest.approx(4 / 3 * np.pi * 24**3 / 1000, rel=0.02)
    assert mask.score is not None
    assert 0.9 < mask.score <= 1


def test_float_hu_give_the_mask_of_integer_hu() -> None:
    segmenter, part = segmenter_of("liver"), ((5.0, 8.0, 540.0), 20.0, 80)
    whole, real = balls(FINE, part), balls(FINE, part, dtype=np.float32)
    np.testing.assert_array_equal(
        segmenter.segment(segmenter.encode(whole), "liver").voxels,
        segmenter.segment(segmenter.encode(real), "liver").voxels,
    )


def test_an_organ_is_its_largest_piece() -> None:
    segmenter = segmenter_of("liver")
    ct = balls(FINE, ((-10.0, 8.0, 540.0), 20.0, 80), ((38.0, 8.0, 540.0), 8.0, 80))
    mask = segmenter.segment(segmenter.encode(ct), "liver")
    assert volume_ml(mask) == pytest.approx(4 / 3 * np.pi * 20**3 / 1000, rel=0.03)


def test_a_lesion_is_kept_only_where_it_touches_its_organ() -> None:
    segmenter = segmenter_of("liver", "liver_lesion")
    inside, outside = ((-10.0, 8.0, 540.0), 7.0, 200), ((38.0, 8.0, 540.0), 8.0, 200)
    ct = balls(FINE, ((-10.0, 8.0, 540.0), 20.0, 80), inside, outside)
    encoding = segmenter.encode(ct)
    lesion = segmenter.segment(encoding, "liver_lesion")
    assert volume_ml(lesion) == pytest.approx(4 / 3 * np.pi * 7**3 / 1000, rel=0.15)
    index = np.argwhere(lesion.voxels)
    assert FINE.to_mm(index)[:, 0].max() < 10


def test_an_organ_includes_its_lesion() -> None:
    segmenter = segmenter_of("liver", "liver_lesion")
    ct = balls(FINE, ((-10.0, 8.0, 540.0), 20.0, 80), ((-10.0, 8.0, 540.0), 10.0, 200))
    encoding = segmenter.encode(ct)
    organ, lesion = segmenter.segment(encoding, "liver"), segmenter.segment(encoding, "liver_lesion")
    assert not (lesion.voxels & ~organ.voxels).any()
    assert volume_ml(organ) == pytest.approx(4 / 3 * np.pi * 20**3 / 1000, rel=0.03)


def test_a_speck_is_no_lesion() -> None:
    segmenter = segmenter_of("liver", "liver_lesion")
    ct = balls(FINE, ((-10.0, 8.0, 540.0), 20.0, 80), ((-10.0, 8.0, 540.0), 1.6, 200))
    assert not segmenter.segment(segmenter.encode(ct), "liver_lesion")


def test_what_is_not_there_gives_an_empty_mask_on_the_ct_grid() -> None:
    segmenter = segmenter_of("liver", "spleen")
    mask = segmenter.segment(segmenter.encode(balls(FINE, ((5.0, 8.0, 540.0), 24.0, 80))), "spleen")
    assert not mask
    assert mask.grid is FINE


def test_a_structure_that_the_network_does_not_know_is_a_key_error() -> None:
    segmenter = segmenter_of("liver")
    with pytest.raises(KeyError, match="aorta"):
        segmenter.segment(segmenter.encode(balls(FINE)), "aorta")


def test_confidence_is_the_mean_probability_of_a_piece() -> None:
    segmenter = segmenter_of("liver", "spleen")
    encoding = segmenter.encode(balls(FINE, ((5.0, 8.0, 540.0), 24.0, 80)))
    mask = segmenter.segment(encoding, "liver")
    confidence = segmenter.confidence(encoding, mask)
    assert confidence is not None
    assert 0.95 < confidence <= 1
    assert segmenter.confidence(encoding, segmenter.segment(encoding, "spleen")) is None
    assert segmenter.confidence(encoding, dataclasses.replace(mask, structure="aorta")) is None


def test_widening_an_empty_mask_is_refused() -> None:
    segmenter = segmenter_of("liver")
    with pytest.raises(ValueError, match="mask of liver is empty"):
        compact_segmenter.widen(segmenter.segment(segmenter.encode(balls(FINE)), "liver"), 2)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 700), st.integers(4_000, 12_000_000), st.sampled_from([4, 8, 16]))
def test_slabs_keep_every_slice_once_with_their_halo(depth: int, limit: int, multiple: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact_segmenter, "SLAB_VOXELS", limit)
        slabs = plan_slabs((100, 90, depth), multiple)
    kept = [number for _, _, first, last in slabs for number in range(first, last)]
    assert kept == list(range(depth))
    for first, last, keep_first, keep_last in slabs:
        assert first % multiple == 0
        assert keep_first < keep_last
        assert first == 0 or keep_first - first >= compact_segmenter.HALO_VOXELS
        assert last == depth or last - keep_last >= compact_segmenter.HALO_VOXELS


def test_slab_by_slab_equals_one_pass_where_the_scan_looks_alike_throughout(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid.from_spacing((16, 16, 230), (2.0, 2.0, 2.0))
    hu = np.random.default_rng(0).integers(-200, 300, grid.shape).astype(np.int16)
    segmenter = CompactSegmenter(tiny_network(), name="tiny", runtime=CPU)
    whole = segmenter.encode(CTVolume(hu, grid)).state.probabilities
    monkeypatch.setattr(compact_segmenter, "SLAB_VOXELS", 16 * 16 * 130)
    assert len(plan_slabs(grid.shape, segmenter.network.multiple)) > 2
    pieces = segmenter.encode(CTVolume(hu, grid)).state.probabilities
    assert float(np.ptp(whole.astype(np.float32))) > 0.1
    np.testing.assert_allclose(pieces.astype(np.float32), whole.astype(np.float32), atol=2e-3)


def test_encoding_can_be_stopped_between_slabs() -> None:
    steps: list[tuple[str, float]] = []
    segmenter_of("liver").encode(balls(FINE), lambda step, share: steps.append((step, share)))
    assert [share for _, share in steps] == sorted(share for _, share in steps)
    assert steps[-1][1] == 1.0


def write_model(folder: Path, network: CompactUNet) -> ModelEntry:
    """A model folder as the package ships it."""
    save_compact(network.state_dict(), folder / "saved.safetensors")
    content = (folder / "saved.safetensors").read_bytes()
    put_model(folder, content, description_of(content, network.config))
    return read_models(folder)["tiny"]


def test_saved_weights_give_identical_probabilities(tmp_path: Path) -> None:
    network, ct = (
        tiny_network(),
        CTVolume(np.zeros((9, 10, 11), dtype=np.int16), Grid.from_spacing((9, 10, 11), (2, 2, 2))),
    )
    write_model(tmp_path, network)
    loaded = load_compact(find_model("tiny", tmp_path), device="cpu")
    first = CompactSegmenter(network, name="tiny", runtime=loaded.runtime).encode(ct).state.probabilities
    np.testing.assert_array_equal(loaded.encode(ct).state.probabilities, first)
    assert loaded.structures == {"liver", "spleen"}
    assert loaded.name.startswith("tiny (")


def test_a_model_has_its_channels_card_and_a_title_with_the_checksum(tmp_path: Path) -> None:
    entry = write_model(tmp_path, tiny_network())
    assert entry.channels == ("liver", "spleen")
    assert entry.card == tmp_path / "tiny.md"
    assert entry.title == f"tiny ({entry.sha256[:8]})"


def test_the_cpu_runs_in_bfloat16_or_float32() -> None:
    runtime = pick_runtime("cpu")
    assert runtime.dtype in (torch.bfloat16, torch.float32)
    assert str(runtime) in ("cpu, bfloat16", "cpu, float32")
