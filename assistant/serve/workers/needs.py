"""Needs: how much memory an open CT takes, by its size and by what the description of the model says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vision.models.kinds import UNIVERSAL
from vision.models.registry import ModelEntry

if TYPE_CHECKING:
    from assistant.language.llms.memory import Quantisation

WORKER_BYTES = 150 * 2**20
"""A worker without a CT and without a model."""
LANGUAGE_BYTES = 300 * 2**20
"""What a language model's libraries, tokenizer and grammar take beside its weights."""
LOADED_FILES = 3
"""Weights are read, checked and put into the network: at that time they are there so many times."""
VOXEL_BYTES = 20
"""HU and what resampling and measuring need, for each voxel of the CT."""
MASK_BYTES = 0.4
"""A mask is a byte a voxel, but memory is only taken where it is written: this share of its voxels, at most."""
FOUND_BYTES = 6
"""Logits, coarse mask and probabilities near of one structure, for each voxel of the universal network's 3 mm grid."""
FINEST_VOLUMES = 6
"""Volumes of the universal network's finest features that are there at once, float32."""
WINDOW_VOLUMES = 20
"""The same for a converted network's window, in volumes of its base width: 19 were measured of U-Net and Swin UNETR."""
SLAB_VOXELS = 12_000_000
BLOCK_VOXELS = 750_000
"""Voxels at 3 mm that the universal network looks at in one pass, wide and near."""
SLIDING_BYTES = 12
"""Sums of sliding windows for one structure and voxel of the slices that are not finished."""
UNKNOWN_MM = 5.0


@dataclass(frozen=True)
class ModelNeeds:
    """What a model takes for one CT, in bytes.

    `fixed` whatever the CT; `voxel` for each of its voxels; `working` for each voxel of the model's grid of
    `working_mm`; `passed` for each of those that one pass holds, which are at most `most_passed` and lie in at most
    `most_slices` slices; `block` is what a pass takes at least.
    """

    fixed: float
    voxel: float
    working_mm: float
    working: float
    passed: float
    most_passed: float = math.inf
    most_slices: float = math.inf
    block: float = 0.0


def needed_bytes(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float | None], needs: ModelNeeds) -> int:
    """Memory for one open CT while it is asked for everything: HU, the network's passes, masks, in worker and server.

    With 25 structures answered a fifth and more above what tests/assistant/test_server_soak.py measured: 622 MiB for
    248x192x122, 1569 for 512x512x90, 2781 for 512x512x300 voxels. An unknown slice distance counts as 5 mm.
    """
    sides = [count * (step or UNKNOWN_MM) / needs.working_mm for count, step in zip(shape, spacing_mm, strict=True)]
    working = math.prod(sides)
    passed = min(working, needs.most_passed, working / min(sides) * needs.most_slices)
    kept = needs.fixed + needs.voxel * math.prod(shape) + needs.working * working
    return int(kept + max(needs.block, needs.passed * passed))


def needs_of(model: ModelEntry) -> ModelNeeds:
    """What an installed model takes for one CT, from its description and the size of its file."""
    network, answered = model.config, len(model.channels)
    stored = model.file.stat().st_size if model.file.is_file() else 0
    fixed = WORKER_BYTES + LOADED_FILES * stored
    voxel = VOXEL_BYTES + MASK_BYTES * answered
    if model.kind == UNIVERSAL:
        # The compact backbone computes at every second voxel of each axis, all others at each.
        step = 2 if network["backbone"] == "compact" else 1
        return ModelNeeds(
            fixed=fixed,
            voxel=voxel,
            working_mm=network["spacing_mm"],
            working=FOUND_BYTES * answered,
            passed=FINEST_VOLUMES * 4 * network["widths"][0] / step**3,
            most_passed=SLAB_VOXELS,
            block=FINEST_VOLUMES * 4 * network["fine_widths"][0] * BLOCK_VOXELS,
        )
    window = network["window_voxels"]
    return ModelNeeds(
        fixed=fixed + WINDOW_VOLUMES * 4 * network["base_width"] * window**3,
        voxel=voxel,
        working_mm=network["spacing_mm"],
        working=SLIDING_BYTES + answered,
        passed=SLIDING_BYTES * answered,
        most_slices=window,
    )


def language_bytes(llm: str, quantisation: Quantisation) -> int:
    """Memory of one language model, taught or not: its libraries, and its weights unless they lie on a GPU.

    Raises WeightsError E_LLM as `load_taught` does for one that is not there.
    """
    from assistant.language.llms.folder import open_folder
    from assistant.language.llms.memory import stored_bytes
    from assistant.language.taught import base_of
    from vision.models.runtime import pick_runtime

    runtime = pick_runtime()
    weights = open_folder(base_of(llm)).weights
    if runtime.device.type == "cuda":
        return LANGUAGE_BYTES
    return LANGUAGE_BYTES + stored_bytes(weights, quantisation=quantisation, item_bytes=runtime.dtype.itemsize)
