"""How much memory a language model takes, computed before it is loaded: to run it, and to train a LoRA on it.

tests/assistant/language/test_llms_memory.py holds the arithmetic against what a tiny model takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assistant.language.llms.table import DECODER_LINEARS, LLMRow
from vision.errors import WeightsError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

Quantisation = Literal["none", "4bit", "8bit"]

NF4_BLOCK, CONSTANT_BLOCK = 64, 256
"""Weights that share one constant, and constants that share one of their own (bitsandbytes, QLoRA section 3)."""
NF4_TABLES = 4 * (16 + 256) + 4
"""Bytes a linear: the 16 values of nf4, the 256 of its constants, their offset, all float32."""
TRAINED = 4
"""Bytes of a number that is trained: LoRA is float32, as are its gradient and the two moments of AdamW."""
LOSS_COPIES = 3
"""float32 numbers a logit: its log-probability, and the gradient on both sides of the softmax."""
SEES_PICTURES = ("vision_tower.", "multi_modal_projector.")
"""Parts of a Gemma 3 that are not loaded."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a LoRA run with gradient checkpointing, by what takes them."""

    linears: int
    """The frozen linears of the decoder layers, packed."""
    constants: int
    """What it takes to unpack them."""
    embeddings: int
    """Everything else that is frozen: embeddings, head, norms."""
    lora: int
    gradients: int
    optimiser: int
    checkpoints: int
    """The input of every decoder layer."""
    working: int
    """The larger of: one layer recomputed and differentiated, beside the logits; the loss over all logits."""

    @property
    def total(self) -> int:
        frozen = self.linears + self.constants + self.embeddings
        return frozen + self.lora + self.gradients + self.optimiser + self.checkpoints + self.working


def training_memory(
    model: PreTrainedModel,
    row: LLMRow,
    *,
    rank: int,
    batch: int,
    tokens: int,
    quantisation: Quantisation = "4bit",
    item_bytes: int = 2,
    extra_parameters: int = 0,
) -> TrainingMemory:
    """What a step of `batch` x `tokens` takes with LoRA of `rank` on all linears of the row and AdamW.

    `model` may lie on the meta device, plain and without LoRA. `item_bytes` is 2 for bfloat16, 4 for float32.
    `extra_parameters` are trained in float32 beside the LoRA: gates and resampler. Without the driver's own memory
    (about 0.5 GiB of a CUDA context) and what fragmentation costs.
    """
    linears = _linears(model, row)
    sizes = [linear.weight.numel() for linear in linears]
    frozen = sum(parameter.numel() for parameter in model.parameters()) - sum(sizes)
    trained = extra_parameters + sum(rank * (linear.in_features + linear.out_features) for linear in linears)
    packed = sum(packed_bytes(size, quantisation, item_bytes) for size in sizes)
    constants = sum(constant_bytes(linear.out_features, linear.in_features, quantisation) for linear in linears)
    config: Any = model.config
    count = batch * tokens
    logits = count * config.vocab_size * item_bytes
    layer = count * _layer_bytes(config, rank=rank, item_bytes=item_bytes)
    return TrainingMemory(
        linears=packed,
        constants=constants,
        embeddings=frozen * item_bytes,
        lora=TRAINED * trained,
        gradients=TRAINED * trained,
        optimiser=2 * TRAINED * trained,
        checkpoints=config.num_hidden_layers * count * config.hidden_size * item_bytes,
        working=logits + max(layer, LOSS_COPIES * 4 * count * config.vocab_size),
    )


def packed_bytes(numbers: int, quantisation: Quantisation, item_bytes: int) -> int:
    """Of the numbers of one linear: half a byte in nf4, one in int8."""
    return {"none": numbers * item_bytes, "4bit": (numbers + 1) // 2, "8bit": numbers}[quantisation]


def constant_bytes(out_features: int, in_features: int, quantisation: Quantisation) -> int:
    """Of one linear: nf4 keeps a byte every 64 weights, four every 256 of those, and tables; int8 four a row."""
    if quantisation == "none":
        return 0
    if quantisation == "8bit":
        return 4 * out_features
    blocks = math.ceil(out_features * in_features / NF4_BLOCK)
    return blocks + 4 * math.ceil(blocks / CONSTANT_BLOCK) + NF4_TABLES


def stored_bytes(files: Iterable[Path], *, quantisation: Quantisation, item_bytes: int) -> int:
    """What the weights in safetensors files will take when loaded; only their headers are read.

    `item_bytes` is that of the number format they are loaded in. Bytes count as bytes, though the small model that
    ships is unpacked. Raises WeightsError E_LLM for a damaged file.
    """
    from safetensors import SafetensorError, safe_open

    total = 0
    try:
        for file in files:
            with safe_open(file, framework="numpy") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                    stored = tensors.get_slice(name)
                    kept = "none" if stored.get_dtype() in ("U8", "I8") else quantisation
                    size = 1 if stored.get_dtype() in ("U8", "I8") else item_bytes
                    total += _tensor_bytes(name, stored.get_shape(), kept, size)
    except (SafetensorError, OSError):
        raise WeightsError(
            "E_LLM", "The weights of the language model are damaged.", "Fetch or copy the model again."
        ) from None
    return total


def _tensor_bytes(name: str, shape: list[int], quantisation: Quantisation, item_bytes: int) -> int:
    numbers = math.prod(shape)
    if any(part in name for part in SEES_PICTURES):
        return 0
    *_, owner, kind = ["", *name.split(".")]
    if kind == "weight" and owner in DECODER_LINEARS and len(shape) == 2:
        return packed_bytes(numbers, quantisation, item_bytes) + constant_bytes(shape[0], shape[1], quantisation)
    return numbers * item_bytes


def _linears(model: PreTrainedModel, row: LLMRow) -> list[nn.Linear]:
    from torch import nn

    layers = model.get_submodule(row.layers_path)
    found = [
        module
        for name, module in layers.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in row.lora_targets
    ]
    assert len(found) == len(row.lora_targets) * len(list(layers.children()))
    return found


def _layer_bytes(config: Any, *, rank: int, item_bytes: int) -> int:
    """Bytes a token that one decoder layer keeps for its backward pass, and the gradients of its widest part.

    RMSNorm computes in float32; LoRA casts the input of every linear to float32 and keeps it; attention keeps queries,
    keys, values (repeated for every head) and its output; the gated MLP keeps both branches and the activation.
    """
    width, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    head_width = config.head_dim or width // heads
    asked, keyed = heads * head_width, config.num_key_value_heads * head_width
    norms = 4 * (2 * width + asked + keyed)
    inputs = 4 * (5 * width + asked + inner) if item_bytes < 4 else 4 * (2 * width + inner)
    attention = 4 * item_bytes * asked
    mlp = 3 * item_bytes * inner
    lora = 7 * 4 * rank
    gradients = (2 * item_bytes + 4) * inner
    return norms + inputs + attention + mlp + lora + gradients
