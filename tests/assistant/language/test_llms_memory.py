"""The memory that is computed against the memory that is taken, on models small enough to take it."""

from __future__ import annotations

import pytest

from assistant.language.llms import LLMS, row_for
from assistant.language.llms.memory import (
    TrainingMemory,
    constant_bytes,
    packed_bytes,
    stored_bytes,
    training_memory,
)
from assistant.language.llms.tiny import save_tiny, tiny_llm
from vision.errors import WeightsError

ROW = row_for("Qwen3ForCausalLM")


def _needed(model=None, **changes) -> TrainingMemory:
    options = {"rank": 4, "batch": 1, "tokens": 16} | changes
    return training_memory(tiny_llm() if model is None else model, ROW, **options)


@pytest.mark.parametrize("row", LLMS, ids=lambda row: row.name)
def test_stored_model_takes_what_its_parameters_take(row, tmp_path) -> None:
    model = tiny_llm(row.architecture)
    file = save_tiny(tmp_path, row.architecture) / "model.safetensors"
    expected = sum(each.numel() for each in model.parameters()) * 4
    assert stored_bytes([file], quantisation="none", item_bytes=4) == expected


def test_frozen_parts_of_a_plain_model_are_its_parameters() -> None:
    needed = _needed(quantisation="none", item_bytes=4)
    assert needed.linears + needed.embeddings == sum(each.numel() * 4 for each in tiny_llm().parameters())
    assert needed.constants == 0


def test_lora_gradients_and_optimiser_are_what_peft_and_adamw_make() -> None:
    import torch

    from assistant.language.llms.adapter import add_lora

    model = add_lora(tiny_llm(), ROW, rank=4, alpha=8)
    learning = [each for each in model.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(learning)
    ids = torch.tensor([[3, 70, 1]])
    model(ids, labels=ids).loss.backward()
    optimiser.step()
    moments = [value for state in optimiser.state.values() for value in state.values() if value.dim()]
    needed = _needed()
    assert needed.lora == sum(each.numel() * each.element_size() for each in learning)
    assert needed.gradients == sum(each.grad.numel() * each.grad.element_size() for each in learning)
    assert needed.optimiser == sum(each.numel() * each.element_size() for each in moments)


def test_model_without_weights_needs_the_same() -> None:
    import torch
    from transformers import Qwen3ForCausalLM

    with torch.device("meta"):
        empty = Qwen3ForCausalLM(tiny_llm().config)
    assert _needed(empty) == _needed()


def test_tokens_and_rows_count_alike_and_only_where_they_are_held() -> None:
    one, two = _needed(tokens=32), _needed(batch=2)
    assert one == two
    assert one.checkpoints == 2 * _needed().checkpoints
    assert one.linears == _needed().linears


def test_parameters_beside_the_lora_are_trained_in_float32_too() -> None:
    assert _needed(extra_parameters=1000).total - _needed().total == 16 * 1000


@pytest.mark.parametrize(("quantisation", "expected"), [("none", 512), ("4bit", 128), ("8bit", 256)])
def test_linear_is_packed(quantisation, expected) -> None:
    assert packed_bytes(256, quantisation, 2) == expected


@pytest.mark.parametrize(
    ("quantisation", "expected"), [("none", 0), ("8bit", 4 * 512), ("4bit", 512 * 512 // 64 + 4 * 16 + 4 * 272 + 4)]
)
def test_constants_of_a_linear_of_512_by_512(quantisation, expected) -> None:
    assert constant_bytes(512, 512, quantisation) == expected


def test_lora_on_four_billion_weights_fits_sixteen_gigabytes() -> None:
    from transformers import Qwen3Config

    from recipes.llm_memory import QWEN3_4B, RANK, SIGHT, without_weights

    model = without_weights(Qwen3Config(**QWEN3_4B))
    needed = training_memory(model, ROW, rank=RANK, batch=2, tokens=2048, extra_parameters=SIGHT)
    assert needed.lora == 4 * (33_030_144 + SIGHT)
    assert needed.total + 2**30 < 16e9


def test_damaged_weights_are_told_as_that(tmp_path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(WeightsError, match="weights of the language model are damaged"):
        stored_bytes([tmp_path / "model.safetensors"], quantisation="none", item_bytes=2)


@pytest.mark.slow
@pytest.mark.parametrize("vocab", [384, 8192])
def test_step_in_four_bits_takes_what_is_computed(vocab, tmp_path) -> None:
    pytest.importorskip("bitsandbytes")
    from assistant.language.llms.load import load_llm
    from recipes.llm_memory import measured_bytes, save_with, tiny_memory

    llm = load_llm(save_with(tmp_path, vocab), quantisation="4bit", device="cpu")
    computed = tiny_memory(llm, batch=4, tokens=256).total
    measured = measured_bytes(llm, batch=4, tokens=256)
    assert 0.95 * measured < computed < 1.25 * measured
