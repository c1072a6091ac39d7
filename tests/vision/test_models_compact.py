"""The compact network: shapes, tiles, determinism. Tiny, seeded, on the CPU."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.models.compact import CompactConfig, CompactUNet, depth_to_space, scale_hu, space_to_depth

TINY = CompactConfig(channels=("liver", "spleen"), widths=(4, 8))


def network_of(config: CompactConfig = TINY) -> CompactUNet:
    """A network whose head is not zero, in eval mode."""
    torch.manual_seed(0)
    network = CompactUNet(config).eval()
    torch.nn.init.normal_(network.head.weight, std=0.5)
    return network


def volume_of(*shape: int, seed: int = 1) -> torch.Tensor:
    """Noise in [-1, 1], (B, 1, I, J, K)."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("widths", [(4,), (4, 8), (4, 6, 8)])
def test_logits_have_the_size_of_the_volume_and_a_channel_a_structure(widths: tuple[int, ...]) -> None:
    network = network_of(CompactConfig(channels=("liver", "spleen", "aorta"), widths=widths))
    size = network.multiple
    with torch.inference_mode():
        assert network(volume_of(1, 1, 2 * size, size, 3 * size)).shape == (1, 3, 2 * size, size, 3 * size)


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sizes \(8, 8, 6\) are not multiples of 4"):
        network_of()(volume_of(1, 1, 8, 8, 6))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 2), st.integers(1, 3), st.tuples(*[st.integers(1, 4)] * 3))
def test_depth_to_space_undoes_space_to_depth(batch: int, channels: int, half: tuple[int, int, int]) -> None:
    volume = torch.arange(batch * channels * 8 * half[0] * half[1] * half[2], dtype=torch.float32)
    volume = volume.reshape(batch, channels, *[2 * n for n in half])
    assert torch.equal(depth_to_space(space_to_depth(volume)), volume)


def test_each_block_of_eight_voxels_becomes_eight_channels_of_its_place() -> None:
    volume = torch.zeros(1, 1, 4, 4, 4)
    volume[0, 0, 2:, :2, :2] = torch.arange(8.0).reshape(2, 2, 2)
    assert space_to_depth(volume)[0, :, 1, 0, 0].tolist() == list(range(8))


def test_blocks_are_the_logits_before_depth_to_space() -> None:
    network, volume = network_of(), volume_of(1, 1, 8, 8, 8)
    with torch.inference_mode():
        assert torch.equal(depth_to_space(network.blocks(volume)), network(volume))


def test_training_and_use_compute_the_same_for_no_statistics_are_kept() -> None:
    network, volume = network_of(), volume_of(1, 1, 8, 8, 16)
    with torch.no_grad():
        used = network(volume)
        network.train()(3 * volume)
        assert torch.equal(network(volume), used)
    assert list(network.buffers()) == []


def test_a_batch_of_two_equals_two_of_one() -> None:
    network = network_of()
    first, second = volume_of(1, 1, 8, 8, 8, seed=1), volume_of(1, 1, 8, 8, 8, seed=2)
    with torch.inference_mode():
        both = network(torch.cat([first, second]))
        torch.testing.assert_close(both, torch.cat([network(first), network(second)]), atol=1e-5, rtol=1e-3)


def test_the_same_volume_gives_the_same_logits() -> None:
    network, volume = network_of(), volume_of(1, 1, 8, 12, 8)
    with torch.inference_mode():
        assert torch.equal(network(volume), network(volume))


def test_an_untrained_network_finds_nothing() -> None:
    with torch.inference_mode():
        logits = CompactUNet(TINY)(volume_of(1, 1, 8, 8, 8))
    assert torch.equal(logits, torch.full_like(logits, -2.0))


def test_gradients_reach_every_parameter() -> None:
    network = network_of().train()
    network(volume_of(1, 1, 8, 8, 8)).square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_hu_are_clipped_to_the_window_and_scaled_to_one() -> None:
    scaled = scale_hu(torch.tensor([-1000.0, -125.0, 75.0, 275.0, 3000.0]), (-125.0, 275.0))
    assert scaled.tolist() == [-1, -1, 0, 1, 1]


def test_a_configuration_survives_json() -> None:
    config = CompactConfig(channels=("liver", "liver_lesion"), widths=(4, 8, 16), spacing_mm=2.5, window_hu=(-100, 200))
    assert CompactConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
