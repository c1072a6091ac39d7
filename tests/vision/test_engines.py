"""Engines of the universal network: each gives the masks that torch gives in fp32, or says what it needs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from tests.fakes import BoxSegmenter
from vision.benchmark.apart import run_here
from vision.benchmark.engine_times import compare_engines, prepare
from vision.benchmark.engines import ENGINES, require_installed
from vision.benchmark.speed_ct import make_speed_ct, store_ct
from vision.errors import UsageError
from vision.geometry import CTVolume
from vision.models import loading
from vision.models.coarse_to_fine import UniversalSegmenter
from vision.models.runtime import Runtime
from vision.models.universal.network import UniversalConfig, UniversalNetwork

NEEDS = {"OpenVINO": "openvino", "ONNX": "onnxruntime"}
EVERY = [
    pytest.param(name, marks=pytest.mark.slow) if name.startswith(("OpenVINO", "torch.compile")) else name
    for name in ENGINES
]


@pytest.fixture(scope="module")
def ct() -> CTVolume:
    return make_speed_ct((40, 32, 24), spacing_mm=9.0)


@pytest.fixture(scope="module")
def network() -> UniversalNetwork:
    torch.manual_seed(0)
    config = UniversalConfig(("liver", "spleen"), widths=(8, 12), fine_widths=(8, 12), query_width=8, hidden=8)
    config = UniversalConfig(**{**config.to_dict(), "spacing_mm": 9.0})
    network = UniversalNetwork(config)
    for head in (network.head, network.fine_head):
        torch.nn.init.normal_(head.controller.weight, std=0.5)
    return network.eval()


@pytest.mark.parametrize("name", EVERY)
def test_engine_agrees_with_fp32(name: str, network: UniversalNetwork, ct: CTVolume) -> None:
    for word, package in NEEDS.items():
        if name.startswith(word):
            pytest.importorskip(package, reason=f"{package} is not installed")
    (row,) = compare_engines(network, ct, runs=1, engines=(name,))
    assert row.skipped == ""
    assert row.engine == name
    least = 0.9 if "bf16" in name else 0.999
    for dice, differ in ((row.coarse_dice, row.coarse_differ), (row.fine_dice, row.fine_differ)):
        assert dice is not None
        assert dice >= least
        assert differ is not None
        assert differ <= 0.02
    assert row.coarse is not None
    assert row.coarse > 0


def test_the_network_is_left_as_it_was(network: UniversalNetwork, ct: CTVolume) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    compare_engines(network, ct, runs=1, engines=("torch bf16, channels_last_3d",))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_region_near_is_the_region_of_the_scan_at_twice_the_size(network: UniversalNetwork, ct: CTVolume) -> None:
    inputs = prepare(network, ct)
    region = inputs.scan[(..., *inputs.region)]
    assert inputs.near.shape[2:] == tuple(2 * n for n in region.shape[2:])
    pooled = torch.nn.functional.avg_pool3d(inputs.near, 2)
    assert float(torch.corrcoef(torch.stack([pooled.flatten(), region.flatten()]))[0, 1]) > 0.9


def test_engine_that_is_not_installed_says_what_to_install(
    network: UniversalNetwork, ct: CTVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    (row,) = compare_engines(network, ct, runs=1, engines=("OpenVINO bf16",))
    assert row.skipped == "This engine needs openvino. Run: pip install openvino."
    assert row.coarse is None
    with pytest.raises(UsageError, match="E_EXTRA: This engine needs nonesuch"):
        require_installed("nonesuch")


def test_engine_that_fails_says_so_without_the_words_of_its_library(
    network: UniversalNetwork, ct: CTVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **options: object) -> None:
        raise RuntimeError("cannot write /home/anna/cache")

    if importlib.util.find_spec("onnxruntime") is None or importlib.util.find_spec("onnx") is None:
        pytest.skip("onnx is not installed")
    monkeypatch.setattr(torch.onnx, "export", fail)
    (row,) = compare_engines(network, ct, runs=1, engines=("ONNX Runtime fp32",))
    assert row.skipped == "It failed here: RuntimeError."


def test_installed_universal_model_is_measured_on_a_stored_ct(
    network: UniversalNetwork, ct: CTVolume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = UniversalSegmenter(network, name="tiny", runtime=Runtime(torch.device("cpu"), torch.float32))
    monkeypatch.setattr(loading, "load_segmenter", lambda name, device: segmenter)
    values = {"model": "tiny", "ct": store_ct(ct, tmp_path), "runs": 1, "engines": ["torch fp32"]}
    (row,) = run_here("engines", values)["rows"]
    assert (row["coarse_dice"], row["fine_differ"]) == (1.0, 0.0)


def test_model_without_two_passes_is_refused(ct: CTVolume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_segmenter", lambda name, device: BoxSegmenter(name=name))
    with pytest.raises(UsageError, match="E_NO_PASSES: converted has"):
        run_here("engines", {"model": "converted", "device": None, "ct": store_ct(ct, tmp_path), "runs": 1})
