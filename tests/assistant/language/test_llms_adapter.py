"""LoRA: what it trains, that it changes nothing before, and that it comes back from its files to the bit."""

from __future__ import annotations

import json

import pytest

from assistant.language.llms import LLMS, row_for
from assistant.language.llms.adapter import CONFIG, WEIGHTS, add_lora, has_lora, load_adapter, save_adapter
from assistant.language.llms.tiny import LAYERS, tiny_llm
from vision.errors import UsageError, WeightsError

ROW = row_for("Qwen3ForCausalLM")


def _ids():
    import torch

    return torch.tensor([[3, 70, 80, 1, 4, 90, 300, 1]])


def _logits(model):
    import torch

    with torch.no_grad():
        return model(_ids()).logits


def _step(model) -> float:
    """One step of AdamW; the loss before it."""
    import torch

    optimiser = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-2)
    loss = model(_ids(), labels=_ids()).loss
    loss.backward()
    optimiser.step()
    return loss.item()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model whose LoRA took two steps, and the folder it was saved to."""
    import torch

    torch.manual_seed(0)
    model = add_lora(tiny_llm(), ROW, rank=4, alpha=8)
    _step(model)
    _step(model)
    return model, save_adapter(model, tmp_path_factory.mktemp("adapter") / "lora")


@pytest.mark.parametrize("row", LLMS, ids=lambda row: row.name)
def test_lora_is_on_every_linear_adds_nothing_and_is_all_that_learns(row) -> None:
    import torch

    model = tiny_llm(row.architecture)
    before, expected = {key: each.clone() for key, each in model.named_parameters()}, _logits(model)
    assert add_lora(model, row, rank=4, alpha=8) is model
    assert len(model.get_submodule(row.layers_path)) == LAYERS
    assert torch.equal(_logits(model), expected)
    learning = [key for key, each in model.named_parameters() if each.requires_grad]
    assert len(learning) == 2 * LAYERS * len(row.lora_targets)
    assert all("lora_" in key for key in learning)
    first = _step(model)
    assert model(_ids(), labels=_ids()).loss.item() < first
    after = {key.replace(".base_layer", ""): each for key, each in model.named_parameters()}
    assert all(torch.equal(after[key], each) for key, each in before.items())


def test_lora_is_float32_on_a_bfloat16_model() -> None:
    import torch

    model = add_lora(tiny_llm().bfloat16(), ROW, rank=2, alpha=2)
    assert {each.dtype for each in model.parameters() if each.requires_grad} == {torch.float32}


def test_saved_lora_loads_to_the_same_logits_and_learns_no_more(trained) -> None:
    import torch

    model, folder = trained
    again = load_adapter(tiny_llm(), folder)
    assert torch.equal(_logits(again), _logits(model))
    assert not any(each.requires_grad for each in again.parameters())


def test_peft_itself_reads_the_saved_lora(trained) -> None:
    import torch
    from peft import PeftModel

    model, folder = trained
    assert torch.equal(_logits(PeftModel.from_pretrained(tiny_llm(), folder)), _logits(model))


def test_saved_configuration_names_no_place_on_a_disk(trained) -> None:
    config = json.loads((trained[1] / CONFIG).read_text(encoding="utf-8"))
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (4, 8, None)


def test_second_lora_is_refused(trained) -> None:
    with pytest.raises(UsageError, match="has a LoRA already"):
        add_lora(trained[0], ROW, rank=2, alpha=2)


def test_model_without_a_lora_has_none_to_save(tmp_path) -> None:
    model = tiny_llm()
    assert not has_lora(model)
    with pytest.raises(UsageError, match="no LoRA to save"):
        save_adapter(model, tmp_path)


def test_folder_without_a_lora_is_refused(tmp_path) -> None:
    with pytest.raises(WeightsError, match=r"no LoRA in that folder. It needs adapter_model\.safetensors"):
        load_adapter(tiny_llm(), tmp_path)


@pytest.mark.parametrize(("file", "content"), [(WEIGHTS, b"no"), (CONFIG, b"{"), (CONFIG, b'{"peft_type": "NONE"}')])
def test_damaged_lora_is_refused(trained, tmp_path, file, content) -> None:
    for name in (WEIGHTS, CONFIG):
        (tmp_path / name).write_bytes((trained[1] / name).read_bytes())
    (tmp_path / file).write_bytes(content)
    with pytest.raises(WeightsError, match="LoRA cannot be read"):
        load_adapter(tiny_llm(), tmp_path)


def test_adapter_of_another_kind_is_refused(trained, tmp_path) -> None:
    config = json.loads((trained[1] / CONFIG).read_text(encoding="utf-8"))
    (tmp_path / WEIGHTS).write_bytes((trained[1] / WEIGHTS).read_bytes())
    (tmp_path / CONFIG).write_text(json.dumps({"peft_type": "IA3", "target_modules": config["target_modules"]}))
    with pytest.raises(WeightsError, match="LoRA cannot be read"):
        load_adapter(tiny_llm(), tmp_path)


def _narrower():
    from transformers import Qwen3ForCausalLM

    config = tiny_llm().config
    config.intermediate_size = 64
    return Qwen3ForCausalLM(config)


def _shorter():
    from transformers import Qwen3ForCausalLM

    config = tiny_llm().config
    config.num_hidden_layers = 2
    config.layer_types = config.layer_types[:2]
    return Qwen3ForCausalLM(config)


@pytest.mark.parametrize("other", [_narrower, _shorter])
def test_lora_of_another_model_is_refused(trained, other) -> None:
    with pytest.raises(WeightsError, match="trained on another language model"):
        load_adapter(other(), trained[1])


def test_missing_peft_comes_with_the_command_that_installs_it(monkeypatch) -> None:
    from vision import extras

    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"A LoRA needs peft\. Run: pip install"):
        add_lora(tiny_llm(), ROW, rank=2, alpha=2)
