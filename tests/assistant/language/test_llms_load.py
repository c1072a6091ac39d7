"""Loading language models from folders and from the hub's cache, and what is said of everything that is no model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from assistant.language.llms import LLMS
from assistant.language.llms import folder as folder_module
from assistant.language.llms import load as load_module
from assistant.language.llms.load import load_llm
from assistant.language.llms.tiny import save_tiny
from vision.errors import ResourceError, UsageError, WeightsError


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("llms") / "Doe_John")


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "Doe_John"))


def _edit(folder: Path, **changes) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | changes
    file.write_text(json.dumps(config), encoding="utf-8")


def _logits(llm):
    import torch

    with torch.no_grad():
        return llm.model(torch.tensor([[3, 70, 80, 1, 4]], device=llm.model.device)).logits


@pytest.mark.parametrize("row", LLMS, ids=lambda row: row.name)
def test_every_architecture_loads_from_a_folder_and_speaks(row, tmp_path) -> None:
    import torch

    from vision.models.runtime import pick_runtime

    llm = load_llm(save_tiny(tmp_path / "llm", row.architecture), device="cpu")
    assert (type(llm.model).__name__, llm.row, llm.name) == (row.architecture, row, row.name)
    assert llm.model.dtype == pick_runtime("cpu").dtype
    assert not llm.model.training
    ids = torch.tensor([llm.tokenizer.encode("<|user|>liver<|end|><|assistant|>")])
    assert llm.model.generate(ids, max_new_tokens=3, min_new_tokens=3, do_sample=False).shape[1] == ids.shape[1] + 3


def test_model_says_how_its_own_template_writes_calls(saved) -> None:
    assert load_llm(saved, device="cpu").tool_format.begin == "<tool_call>["


def test_loading_leaves_the_logging_of_transformers_as_it_was(saved) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_llm(saved, device="cpu")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def _save_picture_gemma(folder: Path) -> None:
    """A tiny Gemma 3 that sees pictures, as the 4 B ones of the hub, with keys as `save_pretrained` writes them."""
    import transformers

    from assistant.language.llms.tiny import tiny_llm, tiny_tokenizer

    text = tiny_llm("Gemma3ForCausalLM").config
    tower = transformers.SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = transformers.Gemma3Config(
        text_config=text,
        vision_config=tower,
        mm_tokens_per_image=4,
        image_token_index=9,
        boi_token_index=10,
        eoi_token_index=11,
    )
    transformers.Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)


@pytest.mark.parametrize("as_on_the_hub", ["language_model.model.", "model.language_model."])
def test_gemma_that_sees_pictures_loads_as_its_text_part(as_on_the_hub, tmp_path) -> None:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import Gemma3ForConditionalGeneration

    from vision.models.runtime import pick_runtime

    _save_picture_gemma(tmp_path / "llm")
    whole = Gemma3ForConditionalGeneration.from_pretrained(tmp_path / "llm", dtype=pick_runtime("cpu").dtype)
    file = tmp_path / "llm" / "model.safetensors"
    keys = ("language_model.model.", "model.language_model.")
    renamed = {
        next((as_on_the_hub + key.removeprefix(old) for old in keys if key.startswith(old)), key): tensor
        for key, tensor in load_file(file).items()
    }
    save_file(renamed, file, metadata={"format": "pt"})
    llm = load_llm(tmp_path / "llm", device="cpu")
    llm.model.save_pretrained(tmp_path / "again", save_original_format=False)
    llm.tokenizer.save_pretrained(tmp_path / "again")
    again = load_llm(tmp_path / "again", device="cpu")
    ids = torch.tensor([[3, 70, 80, 1, 4]])
    with torch.no_grad():
        expected = whole(ids).logits
    assert type(llm.model).__name__ == "Gemma3ForCausalLM"
    assert torch.equal(_logits(llm), expected)
    assert torch.equal(_logits(again), expected)


def test_name_of_the_hub_loads_from_its_cache(saved, tmp_path, monkeypatch) -> None:
    from huggingface_hub import constants

    kept = tmp_path / "models--Doe--tiny"
    shutil.copytree(saved, kept / "snapshots" / "abc")
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("abc", encoding="utf-8")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert load_llm("Doe/tiny", device="cpu").name == "Doe/tiny"


def test_name_that_was_not_fetched_comes_with_the_command_that_fetches_it(tmp_path, monkeypatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"has not been fetched .* Run: hf download Qwen/Qwen3-0\.6B --include"):
        load_llm("Qwen/Qwen3-0.6B")


def test_what_is_neither_folder_nor_name_is_refused_unquoted(tmp_path) -> None:
    with pytest.raises(WeightsError, match="no such folder with a language model") as caught:
        load_llm(tmp_path / "Doe_John")
    assert "Doe" not in str(caught.value)


def test_embedded_model_that_is_not_installed_is_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(folder_module, "EMBEDDED_FOLDER", tmp_path / "weights")
    with pytest.raises(WeightsError, match="embedded language model is not installed"):
        load_llm("embedded")


def test_embedded_model_loads_under_its_own_name(saved, monkeypatch) -> None:
    monkeypatch.setattr(folder_module, "EMBEDDED_FOLDER", saved)
    assert load_llm("embedded", device="cpu").name == "embedded"


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def _index(folder: Path, *names: str) -> None:
    content = {"weight_map": {str(number): name for number, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content), encoding="utf-8")


def _without_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


SPOILED = {
    "has no config.json": lambda f: (f / "config.json").unlink(),
    "config.json cannot be read": lambda f: (f / "config.json").write_text("{", encoding="utf-8"),
    "config.json is no JSON object": lambda f: (f / "config.json").write_text("[]", encoding="utf-8"),
    "architecture PhiForCausalLM are not known": lambda f: _edit(f, architectures=["PhiForCausalLM"]),
    "architecture none are not known": lambda f: _edit(f, architectures=[]),
    "architecture none are not": lambda f: _edit(f, architectures=3),
    "A LoRA adapter lies where": lambda f: (f / "adapter_config.json").write_text("{}", encoding="utf-8"),
    "no weights in safetensors": lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
    "1 of 2 files of the language model's weights": lambda f: _index(f, "model.safetensors", "b.safetensors"),
    "index of the language model's weights cannot be used": lambda f: _index(f, "../Doe_John/model.safetensors"),
    "index of the language model's weights cannot": lambda f: (f / folder_module.INDEX).write_text(
        '{"weight_map": []}'
    ),
    "no fast tokenizer": lambda f: (f / "tokenizer.json").unlink(),
    "tokenizer cannot be read": lambda f: (f / "tokenizer.json").write_text("{}", encoding="utf-8"),
    "has no chat template": _without_template,
    "weights of the language model are damaged": lambda f: _truncate(f / "model.safetensors"),
    "do not fit its config.json": lambda f: _edit(f, num_hidden_layers=5, layer_types=None),
    "weights of the language model do not fit": lambda f: _edit(f, intermediate_size=256),
    "language model do not fit its config.json": lambda f: _edit(f, hidden_size="Doe"),
    "do not fit its config": lambda f: _edit(f, num_attention_heads=0),
}


@pytest.mark.parametrize("said", SPOILED)
def test_folder_that_is_no_whole_model_is_refused(folder, said) -> None:
    SPOILED[said](folder)
    with pytest.raises(WeightsError, match=said) as caught:
        load_llm(folder, device="cpu")
    assert caught.value.code == "E_LLM"
    assert "Doe" not in str(caught.value)


def test_huge_config_is_not_read(folder, monkeypatch) -> None:
    monkeypatch.setattr(folder_module, "MOST_BYTES", 10)
    with pytest.raises(WeightsError, match=r"config\.json cannot be read"):
        load_llm(folder)


def test_model_that_does_not_fit_the_memory_is_refused_before_it_is_read(saved, monkeypatch) -> None:
    from assistant.serve.workers import memory

    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    with pytest.raises(ResourceError, match=r"needs 0\.0 GiB and 0\.0 GiB are free.*--load-in-4bit"):
        load_llm(saved, device="cpu")


def test_memory_that_ends_while_loading_is_told_as_that(saved, monkeypatch) -> None:
    from transformers import AutoModelForCausalLM

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", full)
    with pytest.raises(ResourceError, match="does not fit into the memory"):
        load_llm(saved, device="cpu")


@pytest.mark.parametrize(("stored", "asked"), [({"load_in_4bit": True}, "8bit"), ({"load_in_8bit": True}, "4bit")])
def test_stored_quantisation_is_not_changed_into_another(folder, stored, asked) -> None:
    _edit(folder, quantization_config={"quant_method": "bitsandbytes"} | stored)
    with pytest.raises(UsageError, match=rf"stored in .bit and cannot be made {asked}"):
        load_llm(folder, quantisation=asked)


@pytest.mark.parametrize("stored", [{"quant_method": "gptq", "bits": 4}, "gptq"])
def test_quantisation_of_another_library_is_refused(folder, stored) -> None:
    _edit(folder, quantization_config=stored)
    with pytest.raises(UsageError, match="stored in a quantisation that is not read here"):
        load_llm(folder)


@pytest.mark.parametrize(("package", "asked"), [("transformers", "none"), ("bitsandbytes", "4bit")])
def test_missing_package_comes_with_the_command_that_installs_it(saved, monkeypatch, package, asked) -> None:
    from vision import extras

    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None if name == package else name)
    with pytest.raises(UsageError, match=rf"needs {package}\. Run: pip install 'bodymaps-assistant\[language\]'"):
        load_llm(saved, quantisation=asked)


def test_package_that_would_call_the_network_is_refused_unless_the_hub_is_offline(saved, monkeypatch) -> None:
    monkeypatch.setattr(load_module, "missing_packages", lambda *names: [])
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(UsageError, match=r"kernels would have bitsandbytes fetch code.*Set HF_HUB_OFFLINE=1"):
        load_llm(saved, quantisation="4bit")


def test_model_of_a_byte_a_weight_is_not_quantised_again(folder) -> None:
    (folder / "model.safetensors").rename(folder / folder_module.ROUNDED_FILE)
    with pytest.raises(UsageError, match=r"small already\. Leave the flag out"):
        load_llm(folder, quantisation="4bit")
