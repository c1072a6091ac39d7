"""How long each engine takes for a universal network, and whether its masks agree with those of torch in fp32."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from vision.benchmark.apart import peak_mib
from vision.benchmark.engines import ENGINES, Inputs, Passes
from vision.benchmark.speed_ct import read_ct
from vision.errors import UsageError
from vision.geometry import CTVolume, resample, working_grid
from vision.models.universal.network import UniversalNetwork, scale_hu, unblock

Result = TypeVar("Result")

FINE_SIDE = 64
"""Coarse voxels along each axis of the region of the fine pass, at most: 192 mm at 3 mm, a large liver."""


@dataclass(frozen=True)
class EngineRow:
    """One engine: seconds to build it, of its first call and the median of the next ones, per pass.

    `dice` is the mean over structures of the Dice of its masks with those of fp32, of the pass; `differ` the share of
    all voxels of all structures on which they differ. `skipped` says why there are no figures.
    """

    engine: str
    build: float | None = None
    coarse_first: float | None = None
    coarse: float | None = None
    coarse_dice: float | None = None
    coarse_differ: float | None = None
    fine_first: float | None = None
    fine: float | None = None
    fine_dice: float | None = None
    fine_differ: float | None = None
    skipped: str = ""


def time_engines(values: dict[str, Any]) -> dict[str, Any]:
    """The rows of the engines for an installed universal model on a stored CT, `runs` calls of each pass.

    All engines, unless `engines` names some.

    Raises UsageError E_NO_PASSES for a model of another kind, and what loading raises.
    """
    from vision.models.coarse_to_fine import UniversalSegmenter
    from vision.models.loading import load_segmenter

    segmenter = load_segmenter(values["model"], "cpu")
    if not isinstance(segmenter, UniversalSegmenter):
        raise UsageError(
            "E_NO_PASSES", f"{segmenter.name} has no coarse and fine pass.", "Name a universal model with --model."
        )
    ct = read_ct(values["ct"])
    rows = compare_engines(segmenter.network, ct, runs=values["runs"], engines=values.get("engines", tuple(ENGINES)))
    return {"rows": [asdict(row) for row in rows], "peak_mib": peak_mib()}


def compare_engines(
    network: UniversalNetwork, ct: CTVolume, *, runs: int, engines: tuple[str, ...] = tuple(ENGINES)
) -> list[EngineRow]:
    """A row for each of `engines`, the first of `ENGINES` beside them for agreement. The network is on the CPU."""
    copied = _plain_fp32(network)
    inputs = prepare(copied, ct)
    with torch.no_grad():
        first = next(iter(ENGINES))
        reference = _masks(copied, ENGINES[first](copied, inputs), inputs)
        return [_row(name, copied, inputs, reference, runs=runs) for name in engines]


def prepare(network: UniversalNetwork, ct: CTVolume) -> Inputs:
    """The whole scan at the coarse spacing, padded, and the middle of it near."""
    window_hu, spacing_mm = network.config.window_hu, network.config.spacing_mm
    grid = working_grid(ct.grid, spacing_mm)
    multiple = max(network.backbone.multiple, network.fine.multiple)
    scan = _padded(resample(ct.hu.clip(*window_hu), ct.grid, grid), multiple, window_hu)
    near = _padded(resample(ct.hu.clip(*window_hu), ct.grid, working_grid(ct.grid, spacing_mm / 2)), 2, window_hu)
    sizes = [min(FINE_SIDE, size) // multiple * multiple for size in scan.shape[2:]]
    starts = [(n - size) // 2 // multiple * multiple for n, size in zip(scan.shape[2:], sizes, strict=True)]
    i, j, k = (slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    full = torch.full((1, 1, *(2 * n for n in scan.shape[2:])), -1.0)
    a, b, c = (min(have, room) for have, room in zip(near.shape[2:], full.shape[2:], strict=True))
    full[:, :, :a, :b, :c] = near[:, :, :a, :b, :c]
    cut = (slice(2 * i.start, 2 * i.stop), slice(2 * j.start, 2 * j.stop), slice(2 * k.start, 2 * k.stop))
    return Inputs(scan, (i, j, k), full[(..., *cut)].contiguous())


def _padded(hu: Any, multiple: int, window_hu: tuple[float, float]) -> Tensor:
    scaled = scale_hu(torch.from_numpy(hu), window_hu)[None, None]
    pad = [n for size in reversed(scaled.shape[2:]) for n in (0, -size % multiple)]
    return torch.nn.functional.pad(scaled, pad, value=-1.0)


def _plain_fp32(network: UniversalNetwork) -> UniversalNetwork:
    """A copy on the CPU in fp32 and torch's usual layout, whatever the segmenter made of it."""
    copied = UniversalNetwork(network.config)
    copied.load_state_dict({key: value.float().contiguous() for key, value in network.state_dict().items()})
    return copied.eval()


def _row(
    name: str,
    network: UniversalNetwork,
    inputs: Inputs,
    reference: tuple[list[Tensor], list[Tensor]],
    *,
    runs: int,
) -> EngineRow:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            build, passes = _timed(lambda: ENGINES[name](network, inputs))
            coarse_first, features = _timed(lambda: passes.coarse(inputs.scan))
            context = inputs.context(features.decoded.float()).contiguous()
            fine_first, _ = _timed(lambda: passes.fine(inputs.near, context))
            coarse = statistics.median(_timed(lambda: passes.coarse(inputs.scan))[0] for _ in range(runs))
            fine = statistics.median(_timed(lambda: passes.fine(inputs.near, context))[0] for _ in range(runs))
            masks = _masks(network, passes, inputs)
    except UsageError as error:
        return EngineRow(name, skipped=f"{error.what} {error.remedy}")
    except (RuntimeError, TypeError, ValueError, OSError, ImportError) as error:
        # An engine may fail on a machine in ways of its own, and its words may name paths.
        return EngineRow(name, skipped=f"It failed here: {type(error).__name__}.")
    agreement = [_agreement(own, other) for own, other in zip(masks, reference, strict=True)]
    return EngineRow(
        name,
        build=build,
        coarse_first=coarse_first,
        coarse=coarse,
        coarse_dice=agreement[0][0],
        coarse_differ=agreement[0][1],
        fine_first=fine_first,
        fine=fine,
        fine_dice=agreement[1][0],
        fine_differ=agreement[1][1],
    )


def _masks(network: UniversalNetwork, passes: Passes, inputs: Inputs) -> tuple[list[Tensor], list[Tensor]]:
    """Masks (I, J, K) bool of every structure: of the whole scan, and of the region near; the heads are fp32 torch."""
    features = passes.coarse(inputs.scan)
    decoded, bottleneck = features.decoded.float(), features.bottleneck.float()
    fine = passes.fine(inputs.near, inputs.context(decoded).contiguous()).float()
    i, j, k = inputs.scan.shape[2:]
    a, b, c = inputs.near.shape[2:]
    far_masks, near_masks = [], []
    for structure in network.config.structures:
        query = network.queries((structure,))
        weights = network.head.weights(bottleneck, query)
        coarse = unblock(network.head.apply(decoded, weights), (i, j, k))
        refined = unblock(network.refine(fine, bottleneck, coarse[(..., *inputs.region)], query), (a, b, c))
        far_masks.append(coarse[0, 0] >= 0)
        near_masks.append(refined[0, 0] >= 0)
    return far_masks, near_masks


def _agreement(own: list[Tensor], other: list[Tensor]) -> tuple[float | None, float]:
    """Mean Dice over the structures that either has, None when neither has one; share of voxels that differ."""
    both = [int((a & b).sum()) for a, b in zip(own, other, strict=True)]
    sizes = [int(a.sum()) + int(b.sum()) for a, b in zip(own, other, strict=True)]
    dice = [2 * shared / size for shared, size in zip(both, sizes, strict=True) if size]
    differ = sum(int((a ^ b).sum()) for a, b in zip(own, other, strict=True)) / sum(a.numel() for a in own)
    return (statistics.fmean(dice) if dice else None), differ


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
