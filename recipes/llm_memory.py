"""What a LoRA run on a 4-bit language model takes: computed for a 4 B model, computed and measured for a tiny one.

Run: python -m recipes.llm_memory [FOLDER], from the root of the project, with the folder of another model's config.json
if wanted. Nothing is downloaded; the shapes of Qwen3-4B-Instruct-2507 stand below, as its config.json has them.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, Qwen3Config

from assistant.language.llms import row_for
from assistant.language.llms.adapter import add_lora
from assistant.language.llms.load import LoadedLLM, load_llm
from assistant.language.llms.memory import TrainingMemory, training_memory
from assistant.language.llms.tiny import tiny_llm, tiny_tokenizer

GIB = 2**30
RANK = 16
QWEN3_4B: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": True,
}
VOCABS = (384, 8192)
"""Few tokens, so that a layer is what takes most; many, so that the loss is, as in every real model."""
SIGHT = 40_000_000
"""Gates at every fourth layer and the resampler beside it: 39.1 million parameters for a width of 2,560."""


def main() -> None:
    config = AutoConfig.from_pretrained(sys.argv[1]) if len(sys.argv) > 1 else Qwen3Config(**QWEN3_4B)
    model = without_weights(config)
    for batch, tokens in ((1, 1024), (1, 2048), (2, 2048)):
        needed = training_memory(
            model, row_for(type(model).__name__), rank=RANK, batch=batch, tokens=tokens, extra_parameters=SIGHT
        )
        tell(f"4-bit LoRA of rank {RANK}, {batch} x {tokens} tokens", needed, GIB, "GiB")
    for vocab in VOCABS:
        with tempfile.TemporaryDirectory() as folder:
            llm = load_llm(save_with(Path(folder), vocab), quantisation="4bit", device="cpu")
        computed = tiny_memory(llm, batch=4, tokens=256)
        tell(f"The same arithmetic for a tiny model of {vocab} tokens, 4 x 256 of them", computed, 2**20, "MiB")
        print(f"  {'measured':12} {measured_bytes(llm, batch=4, tokens=256) / 2**20:8.2f} MiB")


def save_with(folder: Path, vocab: int) -> Path:
    """A tiny model of so many tokens, of which its tokenizer uses the first ones."""
    tiny_llm(vocab=vocab).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def without_weights(config: object) -> PreTrainedModel:
    """The model of a configuration on the meta device: shapes only."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def tiny_memory(llm: LoadedLLM, *, batch: int, tokens: int) -> TrainingMemory:
    """What is computed for a loaded tiny model in 4 bits."""
    return training_memory(
        without_weights(llm.model.config),
        llm.row,
        rank=RANK,
        batch=batch,
        tokens=tokens,
        item_bytes=llm.model.dtype.itemsize,
    )


def measured_bytes(llm: LoadedLLM, *, batch: int, tokens: int) -> int:
    """What the second step of a LoRA run on the CPU holds at its peak, all tensors of the model included."""
    model = add_lora(llm.model, llm.row, rank=RANK, alpha=2 * RANK).train()
    model.activation_checkpointing_enable({"use_reentrant": False})
    optimiser = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad])
    ids = torch.randint(9, model.config.vocab_size, (batch, tokens), generator=torch.Generator().manual_seed(0))
    _step(model, optimiser, ids)
    held = frozen_bytes(model) + sum(4 * 4 * each.numel() for each in model.parameters() if each.requires_grad)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        _step(model, optimiser, ids)
    events = [each for each in recorded.profiler.kineto_results.events() if each.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda each: each.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return held + peak


def frozen_bytes(model: PreTrainedModel) -> int:
    """All that does not learn: packed weights, what unpacks them, embeddings, norms; tensors that are shared once."""
    tensors = [each for each in model.parameters() if not each.requires_grad]
    for module in model.modules():
        state = vars(module).get("_parameters", {}).get("weight")
        state = vars(state).get("quant_state") if state is not None else None
        if state is not None:
            tensors += [state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code]
    return sum({each.data_ptr(): each.numel() * each.element_size() for each in tensors}.values())


def _step(model: PreTrainedModel, optimiser: torch.optim.Optimizer, ids: torch.Tensor) -> None:
    model(ids, labels=ids).loss.backward()
    optimiser.step()
    # Kept at nought, so that they count at the peak of the next step as they do in the sum.
    optimiser.zero_grad(set_to_none=False)


def tell(title: str, memory: TrainingMemory, unit: int, name: str) -> None:
    print(title)
    for part, size in asdict(memory).items():
        print(f"  {part:12} {size / unit:8.2f} {name}")
    print(f"  {'total':12} {memory.total / unit:8.2f} {name}")


if __name__ == "__main__":
    main()
