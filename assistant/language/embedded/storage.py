"""An LM stored in a byte a weight: every row of a matrix as int8 and one scale. Read with safetensors alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from assistant.language.llms.folder import ROUNDED_FILE
from vision.errors import WeightsError
from vision.io.files.atomic import write_bytes, write_text

if TYPE_CHECKING:
    from transformers import Qwen3ForCausalLM

_SCALE = ".row_scale"
_TIED = "lm_head.weight"
_LARGEST = 127


def save_rounded(lm: Qwen3ForCausalLM, folder: Path) -> Path:
    """Write config.json and the weights: matrices as int8 with a float32 scale a row, vectors as float32.

    Returns the file of weights. Both are written whole or not at all. Raises ResourceError.
    """
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    for name, tensor in lm.state_dict().items():
        if name == _TIED and lm.config.tie_word_embeddings:
            continue
        if tensor.dim() == 2:
            tensors[name], tensors[name + _SCALE] = round_rows(tensor)
        else:
            tensors[name] = tensor.float().cpu().contiguous()
    described = lm.config.to_diff_dict() | {"architectures": [type(lm).__name__]}
    write_text(folder / "config.json", json.dumps(described, indent=1, default=str) + "\n")
    return write_bytes(folder / ROUNDED_FILE, save(tensors, metadata={"format": "pt"}))


def load_rounded(folder: Path) -> Qwen3ForCausalLM:
    """The LM of `save_rounded` in float32, in eval mode, on the CPU.

    Raises WeightsError E_LLM for files that are missing, damaged or of another model.
    """
    from safetensors.torch import load
    from transformers import Qwen3Config, Qwen3ForCausalLM

    try:
        described = json.loads((folder / "config.json").read_text("utf-8"))
        stored = load((folder / ROUNDED_FILE).read_bytes())
        with torch.random.fork_rng(devices=[]):
            lm = Qwen3ForCausalLM(Qwen3Config(**described))
    except Exception as error:  # what transformers checks a value with raises nothing narrower
        raise _unfit(f"its files cannot be read ({type(error).__name__})") from None
    lm.load_state_dict(_weights(stored, {name: tensor.shape for name, tensor in lm.state_dict().items()}), strict=False)
    lm.tie_weights()
    return lm.eval()


def round_rows(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(R, C) -> int8 (R, C) and float32 scales (R, 1); a row of zeros has the scale 1."""
    matrix = matrix.detach().float().cpu()
    largest = matrix.abs().amax(1, keepdim=True)
    scale = torch.where(largest > 0, largest / _LARGEST, torch.ones_like(largest))
    return torch.round(matrix / scale).to(torch.int8), scale


def _weights(stored: dict[str, Tensor], wanted: dict[str, torch.Size]) -> dict[str, Tensor]:
    """The stored tensors as float32, exactly those that the model has but the tied one."""
    tensors = {}
    for name, shape in wanted.items():
        if name not in stored and name == _TIED:
            continue
        tensor, scale = stored.get(name), stored.get(name + _SCALE)
        if tensor is None or tensor.shape != shape:
            raise _unfit(f"the tensor {name!r} is missing or of another shape")
        if (tensor.dtype == torch.int8) != (scale is not None) or (scale is not None and scale.shape != (shape[0], 1)):
            raise _unfit(f"the tensor {name!r} and its scales do not belong together")
        tensors[name] = tensor.float() if scale is None else tensor.float() * scale
        if not bool(torch.isfinite(tensors[name]).all()):
            raise _unfit(f"the tensor {name!r} has numbers that are not finite")
    unknown = {name.removesuffix(_SCALE) for name in stored} - wanted.keys()
    if unknown:
        raise _unfit("it holds tensors that its config.json does not describe")
    return tensors


def _unfit(what: str) -> WeightsError:
    return WeightsError("E_LLM", f"The small language model cannot be loaded: {what}.", "Install the package again.")
