"""The sizes of the language model that ships, chosen so that all of it fits the repository.

All its files may have 12 MB: LM, tokenizer (0.2 MB), sight and adapter. In bf16 that is room for an LM of 4 M
parameters beside a sight of 1.4 M and an adapter; stored as int8 with one scale a row, for 7 M. Rounding to 8 bits
moves a weight by at most 1/254 of its row's largest; halving the parameters costs an LM of this size far more. So the
LM, which is most of it, is rounded; sight and adapter are small and stay as those of any other LM are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from assistant.language.llms.embedded import END, LONGEST, PAD, SPECIAL_TOKENS

if TYPE_CHECKING:
    from transformers import Qwen3Config

MOST_BYTES = 12_000_000
"""Of everything that ships."""

VOCAB = 3072
"""Tokens: 256 bytes, the special ones and 2,807 merges. More would be the words of single templates."""

SIGHT_SIZES: Mapping[str, int] = MappingProxyType({"latents": 32, "width": 128, "heads": 4, "depth": 2, "every": 2})
"""Sizes of its sight: half the usual width, for the decoder layers are narrow too."""


def embedded_config(*, vocab: int = VOCAB) -> Qwen3Config:
    """Qwen3 of 8 layers, 256 wide: 7.1 M parameters, of which 0.8 M are the tied embedding."""
    from transformers import Qwen3Config

    return Qwen3Config(
        vocab_size=vocab,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        pad_token_id=SPECIAL_TOKENS.index(PAD),
        eos_token_id=SPECIAL_TOKENS.index(END),
        bos_token_id=None,
        architectures=["Qwen3ForCausalLM"],
    )


def stored_bytes(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Bytes of an LM stored by `save_rounded`, by the shapes of its tensors without those that are tied."""
    return sum(
        math.prod(shape) + 4 * shape[0] if len(shape) == 2 else 4 * math.prod(shape) for shape in shapes.values()
    )
