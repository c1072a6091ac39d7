"""What one process of the speed benchmark does: load a model, look at a CT, make masks on its own grid."""

from __future__ import annotations

import time
from typing import Any

from vision.benchmark.apart import peak_mib
from vision.benchmark.speed_ct import read_ct
from vision.errors import UsageError


def time_segmenter(values: dict[str, Any]) -> dict[str, Any]:
    """Seconds of a model on a CT: `load`, `encode`, and each of `structures` (all when there are none) in turn.

    The masks are kept until the end, as an answer keeps them. `values` also name the stored CT, `model` and `device`.
    Raises UsageError E_STRUCTURE for a structure that the model does not segment, and what loading raises.
    """
    started = time.perf_counter()
    from vision.models.loading import load_segmenter

    segmenter = load_segmenter(values["model"], values["device"])
    load = time.perf_counter() - started
    wanted = values["structures"] or sorted(segmenter.structures)
    for structure in wanted:
        if structure not in segmenter.structures:
            raise UsageError(
                "E_STRUCTURE", f"{segmenter.name} does not segment {structure}.", "'bodymaps info' lists what it does."
            )
    ct = read_ct(values["ct"])
    started = time.perf_counter()
    encoding = segmenter.encode(ct)
    encode = time.perf_counter() - started
    masks, seconds = [], {}
    for structure in wanted:
        started = time.perf_counter()
        masks.append(segmenter.segment(encoding, structure))
        seconds[structure] = time.perf_counter() - started
    return {
        "segmenter": segmenter.name,
        "load": load,
        "encode": encode,
        "structures": seconds,
        "found": sum(bool(mask) for mask in masks),
        "peak_mib": peak_mib(),
        "gpu_mib": _gpu_peak_mib(),
    }


def _gpu_peak_mib() -> float | None:
    import torch

    if not torch.cuda.is_available():
        return None
    return round(torch.cuda.max_memory_allocated() / 2**20, 1)
