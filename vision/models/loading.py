"""From the name of an installed model to a segmenter. The libraries of a network are imported when it is asked for."""

from __future__ import annotations

from vision.models.kinds import UNIVERSAL
from vision.models.registry import find_model
from vision.segmenter import Segmenter


def load_segmenter(name: str, device: str | None = None) -> Segmenter:
    """The segmenter of a model of `model_folders`, on the best device unless one is named.

    Raises WeightsError E_MODEL for an unknown name, and what the loading of its weights raises.
    """
    entry = find_model(name)
    if entry.kind == UNIVERSAL:
        from vision.models.coarse_to_fine import load_universal

        return load_universal(entry, device=device)
    from vision.models.checkpoints.windowed import load_windowed

    return load_windowed(entry, device=device)
