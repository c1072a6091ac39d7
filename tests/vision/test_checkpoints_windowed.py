"""Sliding windows as MONAI's, and a segmenter whose masks lie where the voxels do, on the CT's own grid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from safetensors.torch import save
from torch import Tensor, nn

from tests.catalogue.make_models import put_described
from vision.errors import Cancelled, WeightsError
from vision.geometry import CTVolume, Grid, Mask, reorient_array
from vision.measure import volume_ml
from vision.models.checkpoints.layouts import SUPREM_HU
from vision.models.checkpoints.networks import build_network
from vision.models.checkpoints.sliding import CERTAIN, slide, window_starts
from vision.models.checkpoints.windowed import WindowedSegmenter, WindowedState, body_box
from vision.models.coarse_to_fine import UniversalSegmenter
from vision.models.loading import load_segmenter
from vision.models.registry import find_model
from vision.models.runtime import Runtime
from vision.models.tensors import read_tensors, shapes_of
from vision.segmenter import Encoding, Segmenter

CPU = Runtime(torch.device("cpu"), torch.float32)
CONFIG = {"spacing_mm": 2.0, "window_hu": SUPREM_HU, "window_voxels": 64, "base_width": 1}
GRID = Grid.from_spacing((60, 56, 70), (1.4, 1.4, 2.0), (-40.0, -30.0, 500.0))
LIVER, SPLEEN = (-8.0, 8.0, 535.0), (12.0, 6.0, 600.0)
"""Centres of two balls in RAS+ mm: the spleen to the left, which is -x in RAS+, would be wrong if axes were mixed."""


class Bands(nn.Module):
    """In place of a network: class k of AbdomenAtlas 1.0 is what lies within 85 HU of 30 k - 100 HU."""

    def forward(self, volume: Tensor, classes: Tensor) -> Tensor:
        hu = volume * (SUPREM_HU[1] - SUPREM_HU[0]) + SUPREM_HU[0]
        return 85 - (hu - (30.0 * classes - 100)[None, :, None, None, None]).abs()


def bands(order: str = "abdomenatlas1.0") -> WindowedSegmenter:
    return WindowedSegmenter(Bands(), {**CONFIG, "order": order}, name="bands", runtime=CPU)


def two_balls(grid: Grid = GRID) -> CTVolume:
    """A fat cylinder in air with a liver of 22 mm radius at 20 HU and a spleen of 16 mm at 110 HU."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    mm = grid.to_mm(index)
    hu = np.full(grid.shape, -1000, dtype=np.int16)
    hu[np.linalg.norm(mm[..., :2] - (0, 5), axis=-1) < 38] = -150
    hu[np.linalg.norm(mm - LIVER, axis=-1) < 22] = 20
    hu[np.linalg.norm(mm - SPLEEN, axis=-1) < 16] = 110
    return CTVolume(hu, grid)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.mark.parametrize("shape", [(16, 16, 16), (23, 16, 40), (9, 30, 12)])
def test_sliding_is_monais_sliding(shape: tuple[int, int, int]) -> None:
    network = nn.Conv3d(1, 3, 5, padding=2)
    volume = torch.rand(1, 1, *shape)
    wanted = sliding_window_inference(volume, (16, 16, 16), 1, network, overlap=0.5, mode="gaussian").sigmoid()[0]

    def predict(window: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(window)[None, None])[0].numpy()

    found = slide(volume[0, 0].numpy(), 16, predict, count=3, told=lambda share: None)
    assert found.shape == (3, *shape)
    assert float(wanted.std()) > 0.02
    np.testing.assert_allclose(found / CERTAIN, wanted.numpy(), atol=0.51 / CERTAIN)


@pytest.mark.parametrize(("size", "starts"), [(8, [0]), (9, [0, 1]), (12, [0, 4]), (17, [0, 4, 8, 9]), (16, [0, 4, 8])])
def test_windows_overlap_by_half_and_end_with_the_volume(size: int, starts: list[int]) -> None:
    assert window_starts(size, 8) == starts


def test_progress_rises_to_the_end_and_stops_the_work_between_windows() -> None:
    shares: list[float] = []
    bands().encode(two_balls(), lambda step, share: shares.append(share))
    assert shares == sorted(shares)
    assert (shares[0], shares[-1], len(shares)) == (0.0, 1.0, 4)

    def stop(step: str, share: float) -> None:
        if share > 0.3:
            raise Cancelled("E_CANCELLED", "Stopped.", "Ask again.")

    with pytest.raises(Cancelled, match="Stopped"):
        bands().encode(two_balls(), stop)


@pytest.mark.parametrize("code", ["RAS", "LPS", "SAR", "PIL"])
def test_masks_lie_where_the_voxels_do_in_any_axis_order(code: str) -> None:
    segmenter: Segmenter = bands()
    whole = two_balls()
    grid, order, signs = GRID.reoriented(code)
    ct = CTVolume(np.ascontiguousarray(reorient_array(whole.hu, order, signs)), grid)
    encoding = segmenter.encode(ct)
    for structure, radius, hu in (("liver", 22, 20), ("spleen", 16, 110)):
        mask = segmenter.segment(encoding, structure)
        assert mask.grid is grid
        truth = ct.hu == hu
        shared = 2 * (mask.voxels & truth).sum() / (mask.voxels.sum() + truth.sum())
        assert shared > 0.93
        assert volume_ml(mask) == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.08)
        assert mask.score is not None
        assert 0.9 < mask.score <= 1
        assert segmenter.confidence(encoding, mask) == pytest.approx(mask.score, abs=0.06)


def test_structure_that_is_not_there_has_an_empty_mask_and_no_confidence() -> None:
    segmenter = bands()
    ct = CTVolume(np.full((20, 20, 20), -1000, dtype=np.int16), Grid.from_spacing((20, 20, 20), (2, 2, 2)))
    encoding = segmenter.encode(ct)
    mask = segmenter.segment(encoding, "liver")
    assert not mask
    assert mask.grid is ct.grid
    assert segmenter.confidence(encoding, mask) is None


def test_unknown_structure_is_a_key_error() -> None:
    segmenter = bands()
    with pytest.raises(KeyError, match="rectum"):
        segmenter.segment(segmenter.encode(two_balls()), "rectum")


def test_only_the_body_is_looked_at() -> None:
    body = np.zeros((60, 50, 40), dtype=bool)
    body[20:30, 15:45, 5:6] = True
    assert body_box(body) == ((10, 5, 0), (40, 50, 16))
    assert body_box(np.zeros((4, 5, 6), dtype=bool)) == ((0, 0, 0), (4, 5, 6))


def stated(**boxes: tuple[slice, slice, slice]) -> Encoding:
    """An encoding in which each structure is certain in its boxes; the network never ran."""
    segmenter = bands("universal32")
    grid = Grid.from_spacing((30, 30, 30), (2.0, 2.0, 2.0))
    probabilities = np.zeros((len(segmenter.channels), *grid.shape), dtype=np.uint8)
    for structure, box in boxes.items():
        probabilities[list(segmenter.channels).index(structure)][box] = CERTAIN
    return Encoding(CTVolume(np.zeros(grid.shape, dtype=np.int16), grid), WindowedState(grid, probabilities))


def segmented(encoding: Encoding, structure: str) -> Mask:
    return bands("universal32").segment(encoding, structure)


def test_lesion_counts_only_in_its_organ_and_two_voxels_around_it() -> None:
    encoding = stated(
        liver=(slice(5, 15), slice(5, 15), slice(5, 15)), liver_lesion=(slice(12, 25), slice(8, 10), slice(8, 10))
    )
    mask = segmented(encoding, "liver_lesion")
    assert mask.box is not None
    assert (mask.box.start, mask.box.stop) == ((12, 8, 8), (17, 10, 10))
    assert int(mask.voxels.sum()) == 5 * 2 * 2


def test_lesion_without_its_organ_is_not_there() -> None:
    assert not segmented(stated(liver_lesion=(slice(12, 25), slice(8, 10), slice(8, 10))), "liver_lesion")


def test_large_organ_is_one_piece_and_bowel_may_be_several() -> None:
    two = stated(liver=(slice(5, 15), slice(5, 15), slice(5, 15)), colon=(slice(5, 15), slice(5, 15), slice(5, 15)))
    for structure in ("liver", "colon"):
        two.state.probabilities[list(bands("universal32").channels).index(structure), 20:24, 20:24, 20:24] = CERTAIN
    assert int(segmented(two, "liver").voxels.sum()) == 1000
    assert int(segmented(two, "colon").voxels.sum()) == 1000 + 64


def test_of_the_channels_of_one_structure_the_largest_counts() -> None:
    class Lobes(nn.Module):
        def forward(self, volume: Tensor, classes: Tensor) -> Tensor:
            first = torch.zeros_like(volume).repeat(1, len(classes), 1, 1, 1) - 9
            first[:, classes == 29, :32] = 9
            first[:, classes == 28, 32:] = 9
            return first

    segmenter = WindowedSegmenter(Lobes(), {**CONFIG, "order": "vista3d"}, name="lobes", runtime=CPU)
    grid = Grid.from_spacing((64, 64, 64), (2.0, 2.0, 2.0))
    encoding = segmenter.encode(CTVolume(np.zeros(grid.shape, dtype=np.int16), grid))
    assert segmenter.segment(encoding, "lung_left").voxels.all()
    assert not segmenter.segment(encoding, "lung_right")


def put_tiny(folder: Path, name: str = "tiny") -> None:
    """An installed U-Net of nine classes with random weights."""
    network = {**CONFIG, "order": "abdomenatlas1.0", "vision_width": 8, "text_width": 4}
    built = build_network("suprem_unet", network)
    put_described(folder, save(dict(built.state_dict())), "suprem_unet", network, name=name)


def test_model_is_found_in_the_users_folder_and_loaded_by_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYMAPS_MODELS", str(tmp_path))
    put_tiny(tmp_path)
    segmenter = load_segmenter("tiny", "cpu")
    assert isinstance(segmenter, WindowedSegmenter)
    assert segmenter.name.startswith("tiny (")
    assert len(segmenter.structures) == 9
    shipped = load_segmenter("universal", "cpu")
    assert isinstance(shipped, UniversalSegmenter)
    assert shipped.structures == frozenset(find_model("universal").channels)


def test_unknown_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYMAPS_MODELS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"^E_MODEL: No model is called 'tiny'; installed: universal"):
        load_segmenter("tiny")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("controller.bias"), r"E_WEIGHTS_MISMATCH: tiny .* lacks the tensor 'controller"),
        (lambda tensors: tensors.update(extra=torch.ones(1)), r"E_WEIGHTS_MISMATCH: .* has the tensor 'extra', which"),
        (lambda tensors: tensors.update({"GAP.3.bias": torch.ones(1)}), r"E_WEIGHTS_MISMATCH: .*'GAP.3.bias' of shape"),
        (lambda tensors: tensors["GAP.3.bias"].fill_(np.nan), r"E_WEIGHTS_NONFINITE: .*not finite in 'GAP.3.bias'"),
    ],
)
def test_weights_that_do_not_fit_the_network_are_refused(tmp_path: Path, change: object, said: str) -> None:
    network = {**CONFIG, "order": "abdomenatlas1.0", "vision_width": 8, "text_width": 4}
    built = build_network("suprem_unet", network)
    tensors = {key: value.clone() for key, value in built.state_dict().items()}
    change(tensors)  # type: ignore[operator]
    entry = put_described(tmp_path, save(tensors), "suprem_unet", network)
    with pytest.raises(WeightsError, match=said):
        read_tensors(entry, shapes_of(built))


def test_weights_whose_header_only_the_library_refuses_are_corrupt(tmp_path: Path) -> None:
    network = {**CONFIG, "order": "abdomenatlas1.0", "vision_width": 8, "text_width": 4}
    built = build_network("suprem_unet", network)
    content = save(dict(built.state_dict()))
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].rstrip().replace(b"{", b'{"__metadata__":{"seconds":3},', 1)
    changed = len(header).to_bytes(8, "little") + header + content[8 + length :]
    entry = put_described(tmp_path, changed, "suprem_unet", network)
    with pytest.raises(WeightsError, match=r"^E_WEIGHTS_CORRUPT: tiny \(.* is no safetensors file"):
        read_tensors(entry, shapes_of(built))
