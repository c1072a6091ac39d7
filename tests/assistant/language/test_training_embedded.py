"""The model that ships: its sizes fit the repository, and a byte a weight is enough to hold it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from assistant.language.embedded import (
    MOST_BYTES,
    ROUNDED_FILE,
    SIGHT_SIZES,
    embedded_config,
    load_rounded,
    save_rounded,
    stored_bytes,
)
from assistant.language.embedded.storage import round_rows
from assistant.language.llms.tiny import tiny_llm
from assistant.language.sight import SightConfig, SightedLM
from vision.errors import WeightsError

LORA_RANK = 8
TOKENIZER_BYTES = 300_000


def stored_shapes() -> tuple[dict[str, tuple[int, ...]], int]:
    """The shapes of the LM that are stored, and how many numbers its sight has (float16), for the shipped segmenter."""
    from transformers import Qwen3ForCausalLM

    with torch.device("meta"):
        lm = Qwen3ForCausalLM(embedded_config())
        sight = SightConfig(token_width=256, query_width=64, pooled_width=32, hidden_width=256, **SIGHT_SIZES)
        model = SightedLM(lm, "model.layers", sight)
    shapes = {name: tuple(tensor.shape) for name, tensor in lm.state_dict().items() if name != "lm_head.weight"}
    return shapes, sum(parameter.numel() for parameter in model.sight.parameters())


def test_everything_that_ships_fits_the_repository() -> None:
    shapes, sight = stored_shapes()
    numbers = sum(torch.Size(shape).numel() for shape in shapes.values())
    lora = 4 * LORA_RANK * sum(sum(shape) for name, shape in shapes.items() if "proj" in name)
    assert 7.0e6 < numbers < 7.2e6
    assert stored_bytes(shapes) + 2 * sight + lora + TOKENIZER_BYTES < MOST_BYTES
    # In bf16 it would not fit: the reason for bytes.
    assert 2 * numbers + 2 * sight + lora + TOKENIZER_BYTES > MOST_BYTES


def test_rounding_errs_by_at_most_half_a_step_of_the_row() -> None:
    matrix = torch.randn(20, 50, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 3, 20)[:, None]
    matrix[4] = 0
    rows, scale = round_rows(matrix)
    assert rows.dtype == torch.int8
    assert bool(((rows.float() * scale - matrix).abs() <= 0.5001 * scale).all())
    assert bool((rows[4] == 0).all())


def test_a_rounded_model_says_almost_the_same_and_reloads_to_the_bit(tmp_path: Path) -> None:
    lm = tiny_llm("Qwen3ForCausalLM")
    save_rounded(lm, tmp_path / "one")
    first = load_rounded(tmp_path / "one")
    ids = torch.arange(40)[None]
    with torch.no_grad():
        wanted, found = lm(input_ids=ids).logits, first(input_ids=ids).logits
    assert float((wanted - found).abs().max()) < 0.05 * float(wanted.abs().max())
    save_rounded(first, tmp_path / "two")
    again = load_rounded(tmp_path / "two")
    with torch.no_grad():
        torch.testing.assert_close(again(input_ids=ids).logits, found, atol=1e-4, rtol=1e-4)


def test_a_file_takes_the_bytes_that_were_computed(tmp_path: Path) -> None:
    lm = tiny_llm("Qwen3ForCausalLM")
    file = save_rounded(lm, tmp_path)
    shapes = {name: tuple(tensor.shape) for name, tensor in lm.state_dict().items()}
    header = 8 + int.from_bytes(file.read_bytes()[:8], "little")
    assert file.stat().st_size - header == stored_bytes(shapes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("model.norm.weight"), "missing or of another shape"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "does not describe"),
        (lambda tensors: tensors.pop("model.layers.0.mlp.up_proj.weight.row_scale"), "do not belong together"),
        (lambda tensors: tensors["model.norm.weight"].fill_(float("nan")), "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change: object, said: str) -> None:
    assert callable(change)
    file = save_rounded(tiny_llm("Qwen3ForCausalLM"), tmp_path)
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    with pytest.raises(WeightsError, match=f"E_LLM.*{said}"):
        load_rounded(tmp_path)


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"E_LLM.*FileNotFoundError"):
        load_rounded(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({}))
    (tmp_path / ROUNDED_FILE).write_bytes(b"PK\x03\x04")
    with pytest.raises(WeightsError, match=r"E_LLM.*cannot be read"):
        load_rounded(tmp_path)
