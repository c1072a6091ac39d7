"""The yardstick: MONAI's DynUNet as nnU-Net runs it in its usual full-resolution setting, with random weights.

Isensee et al., Nature Methods 2021: windows of 128 voxels at 1.5 mm, half of each overlapping the next, weighted by a
Gaussian of an eighth of the window, summed over the scan; then every output is interpolated to the CT's own grid and
the largest wins. No mirroring, as TotalSegmentator runs it.
"""

from __future__ import annotations

import math
import statistics
import time
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vision.benchmark.apart import peak_mib
from vision.benchmark.speed_ct import read_ct
from vision.errors import UsageError
from vision.extras import require_packages
from vision.geometry import resample, working_grid
from vision.models.runtime import pick_runtime

FILTERS = (32, 64, 128, 256, 320, 320)
OUTPUTS = 26
"""25 structures and background."""
WINDOW = 128
SPACING_MM = 1.5


def count_windows(shape: tuple[int, ...], *, window: int = WINDOW) -> int:
    """Windows of nnU-Net's sliding at half a window's step: as few as reach both ends of every axis."""
    return math.prod(math.ceil(max(0, size - window) / (window / 2)) + 1 for size in shape)


def time_nnunet(values: dict[str, Any]) -> dict[str, Any]:
    """Seconds for one CT: `resample`, `window` (median of `windows` timed), `windows`, `export`, `total`.

    Every window costs the same, so `total` is resample + windows x window + export. `export` is one output of
    `OUTPUTS` interpolated to the CT's grid and compared with the largest so far, times their number. Windows are timed
    in fp32 and under autocast in bf16. `filters` and `window` are nnU-Net's unless given.
    Raises UsageError E_EXTRA when MONAI is missing, E_RUNS for no windows.
    """
    if values["windows"] < 1:
        raise UsageError("E_RUNS", f"Nothing can be timed in {values['windows']} windows.", "Give 1 or more.")
    network = build_dynunet(values.get("filters", FILTERS))
    device, side = pick_runtime(values["device"]).device, values.get("window", WINDOW)
    ct = read_ct(values["ct"])
    started = time.perf_counter()
    grid = working_grid(ct.grid, SPACING_MM)
    hu = resample(ct.hu, ct.grid, grid)
    resampling = time.perf_counter() - started
    padded = np.pad(hu, [(0, max(0, side - size)) for size in hu.shape], constant_values=-1000.0)
    patch = torch.from_numpy(padded[:side, :side, :side].copy())[None, None] / 1000.0
    network.to(device)
    seconds = {
        name: _time_window(network, patch.to(device), runs=values["windows"], dtype=dtype)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    started = time.perf_counter()
    best = np.full(ct.grid.shape, -np.inf, dtype=np.float32)
    label = np.zeros(ct.grid.shape, dtype=np.uint8)
    logits = resample(hu, grid, ct.grid)
    larger = logits > best
    best[larger] = logits[larger]
    label[larger] = 1
    export = (time.perf_counter() - started) * OUTPUTS
    windows = count_windows(grid.shape, window=side)
    return {
        "grid": list(grid.shape),
        "windows": windows,
        "timed_windows": values["windows"],
        "resample": resampling,
        "export": export,
        "window": seconds,
        "total": {name: resampling + windows * each + export for name, each in seconds.items()},
        "peak_mib": peak_mib(),
    }


def build_dynunet(filters: list[int] | tuple[int, ...] = FILTERS) -> nn.Module:
    """nnU-Net's usual network: 3x3x3 kernels, two convolutions a level, instance normalisation, 26 outputs.

    Raises UsageError E_EXTRA when MONAI is missing.
    """
    require_packages("The comparison with MONAI's DynUNet", "monai")
    from monai.networks.nets.dynunet import DynUNet

    strides = [1] + [2] * (len(filters) - 1)
    network: nn.Module = DynUNet(
        *(3, 1, OUTPUTS, [3] * len(filters), strides, strides[1:]), filters=filters, norm_name="instance"
    )
    return network.eval()


def _time_window(network: nn.Module, patch: Tensor, *, runs: int, dtype: torch.dtype) -> float:
    """Median seconds of one window, its weighted sum included, after one that does not count."""
    total = torch.zeros((OUTPUTS, *patch.shape[2:]), device=patch.device)
    weight = _gaussian(patch.shape[-1]).to(patch.device)
    kind = patch.device.type
    timed = []
    with torch.inference_mode(), nullcontext() if dtype == torch.float32 else torch.autocast(kind, dtype):
        for _ in range(runs + 1):
            started = time.perf_counter()
            total += network(patch)[0].float() * weight
            # Reading one number waits for a GPU to be done.
            float(total[0, 0, 0, 0])
            timed.append(time.perf_counter() - started)
    return statistics.median(timed[1:])


def _gaussian(side: int) -> Tensor:
    """(side, side, side) weights, a Gaussian of an eighth of the window around its middle."""
    line = torch.exp(-0.5 * ((torch.arange(side) - (side - 1) / 2) / (side / 8)) ** 2)
    return line[:, None, None] * line[None, :, None] * line[None, None, :]
