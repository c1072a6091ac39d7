"""4 and 8 bits by bitsandbytes, on the CPU and, where there is one, on the GPU: load, learn, speak, come back."""

from __future__ import annotations

import math

import pytest

from assistant.language.llms import LLMS
from assistant.language.llms.adapter import add_lora, load_adapter, save_adapter
from assistant.language.llms.load import load_llm
from assistant.language.llms.tiny import save_tiny

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
pytest.importorskip("bitsandbytes")

DEVICES = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
BITS = pytest.mark.parametrize("quantisation", ["4bit", "8bit"])
ROWS = pytest.mark.parametrize("row", LLMS, ids=lambda row: row.name)


def _ids(llm):
    import torch

    return torch.tensor([[3, 70, 80, 1, 4, 90, 300, 310, 1]], device=llm.model.device)


def _logits(llm):
    import torch

    with torch.no_grad():
        return llm.model(_ids(llm)).logits.float()


def _gradient(llm):
    """All gradients of the LoRA in a row."""
    import torch

    llm.model.train()
    llm.model(_ids(llm), labels=_ids(llm)).loss.backward()
    return torch.cat([each.grad.flatten() for each in llm.model.parameters() if each.requires_grad]).float()


def _nothing(llm) -> None:
    """No evaluation before the training."""


@DEVICES
@BITS
@ROWS
def test_quantised_model_learns_speaks_and_comes_back_to_the_bit(row, quantisation, device, tmp_path) -> None:
    import torch

    folder = save_tiny(tmp_path / "plain", row.architecture)
    plain, llm = load_llm(folder, device=device), load_llm(folder, quantisation=quantisation, device=device)
    before = _logits(llm)
    error = (before - _logits(plain)).abs().mean() / _logits(plain).std()
    assert 0 < error < (0.5 if quantisation == "4bit" else 0.1)
    llm.model.save_pretrained(tmp_path / "packed", save_original_format=False)
    llm.tokenizer.save_pretrained(tmp_path / "packed")

    add_lora(llm.model, row, rank=4, alpha=8)
    assert torch.equal(_logits(llm), before)
    optimiser = torch.optim.AdamW([each for each in llm.model.parameters() if each.requires_grad], lr=1e-2)
    losses = []
    llm.model.train()
    for _ in range(3):
        loss = llm.model(_ids(llm), labels=_ids(llm)).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    llm.model.eval()
    assert losses[2] < losses[1] < losses[0]
    assert llm.model.generate(_ids(llm), max_new_tokens=3, min_new_tokens=3, do_sample=False).shape == (1, 12)

    save_adapter(llm.model, tmp_path / "lora")
    packed = load_llm(tmp_path / "packed", device=device)
    assert packed.quantisation == quantisation
    for base in (load_llm(folder, quantisation=quantisation, device=device), packed):
        load_adapter(base.model, tmp_path / "lora")
        assert torch.equal(_logits(base), _logits(llm))


@DEVICES
@BITS
def test_gradient_is_the_same_after_an_evaluation_and_near_the_plain_models(quantisation, device, tmp_path) -> None:
    import torch

    folder = save_tiny(tmp_path / "plain")
    found = []
    for kept, evaluate in (("none", _logits), (quantisation, _logits), (quantisation, _nothing)):
        llm = load_llm(folder, quantisation=kept, device=device)
        torch.manual_seed(0)
        add_lora(llm.model, llm.row, rank=4, alpha=8)
        evaluate(llm)
        found.append(_gradient(llm))
    plain, after, fresh = found
    assert torch.equal(after, fresh)
    assert torch.nn.functional.cosine_similarity(plain, after, dim=0) > 0.6


@BITS
def test_linears_alone_are_quantised(quantisation, tmp_path) -> None:
    import bitsandbytes

    llm = load_llm(save_tiny(tmp_path), quantisation=quantisation, device="cpu")
    kinds = {"4bit": bitsandbytes.nn.Linear4bit, "8bit": bitsandbytes.nn.Linear8bitLt}
    names = [name for name, part in llm.model.named_modules() if isinstance(part, kinds[quantisation])]
    assert len(names) == 4 * len(llm.row.lora_targets)
    assert all(name.startswith("model.layers.") for name in names)


def test_four_bits_are_nf4_with_constants_of_constants(tmp_path) -> None:
    import bitsandbytes

    llm = load_llm(save_tiny(tmp_path), quantisation="4bit", device="cpu")
    states = [part.weight.quant_state for part in llm.model.modules() if isinstance(part, bitsandbytes.nn.Linear4bit)]
    assert {(state.quant_type, state.nested, state.blocksize) for state in states} == {("nf4", True, 64)}
    assert all(state.absmax.numel() == math.ceil(math.prod(state.shape) / 64) for state in states)
