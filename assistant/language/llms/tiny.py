"""Tiny random language models of each architecture's own class, and a tiny tokenizer, for tests and for documentation.

Nothing is downloaded. They know no language; what they show is that code runs, learns, saves and reloads.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.language.llms.embedded import END, PAD, SPECIAL_TOKENS, train_tokenizer
from assistant.language.llms.table import row_for
from assistant.plan import SKILL_NAMES
from vision.structures import STRUCTURES

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

VOCAB = 384
LAYERS = 4
WIDTH = 64


def tiny_tokenizer(*, vocab: int = VOCAB) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer of `vocab` tokens whose merges come from the names of structures and skills."""
    names = [structure.name for structure in STRUCTURES]
    calls = [f'{{"name":"{skill}","arguments":{{"structures":["{name}"]}}}}' for skill in SKILL_NAMES for name in names]
    return train_tokenizer([*calls, *(name.replace("_", " ") for name in names)], vocab=vocab)


def tiny_llm(architecture: str = "Qwen3ForCausalLM", *, vocab: int = VOCAB, seed: int = 0) -> PreTrainedModel:
    """A random model of 4 layers, width 64 and about 0.2 M parameters on the CPU, in float32 and eval mode.

    `architecture` is the `architecture` of a row of the table. The same seed gives the same weights, and torch's own
    random numbers go on as if nothing had been drawn. Raises WeightsError E_LLM for an architecture not in the table.
    """
    import torch
    import transformers

    row = row_for(architecture)
    makers = {
        "Qwen3ForCausalLM": (transformers.Qwen3ForCausalLM, transformers.Qwen3Config, {"head_dim": 16}),
        "LlamaForCausalLM": (transformers.LlamaForCausalLM, transformers.LlamaConfig, {}),
        "Gemma3ForCausalLM": (transformers.Gemma3ForCausalLM, transformers.Gemma3TextConfig, _gemma_only()),
        "MistralForCausalLM": (transformers.MistralForCausalLM, transformers.MistralConfig, {"sliding_window": None}),
        "SmolLM3ForCausalLM": (transformers.SmolLM3ForCausalLM, transformers.SmolLM3Config, {}),
    }
    model_class, config_class, own = makers[row.architecture]
    config = config_class(**_shared(vocab), **own)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_class(config).eval()


def save_tiny(folder: str | Path, architecture: str = "Qwen3ForCausalLM", *, seed: int = 0) -> Path:
    """Write a tiny model and its tokenizer as a folder that AutoModelForCausalLM and AutoTokenizer read."""
    tokenizer = tiny_tokenizer()
    tiny_llm(architecture, vocab=len(tokenizer), seed=seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Path(folder)


def _shared(vocab: int) -> dict[str, Any]:
    # A wide start (0.1) makes the logits of random weights differ enough for a test to see it.
    return {
        "vocab_size": vocab,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.1,
        "pad_token_id": SPECIAL_TOKENS.index(PAD),
        "eos_token_id": SPECIAL_TOKENS.index(END),
        "bos_token_id": None,
    }


def _gemma_only() -> dict[str, Any]:
    # Both kinds of layer, as in the real ones, and a window shorter than a test's text.
    return {
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"] * (LAYERS // 2),
    }
