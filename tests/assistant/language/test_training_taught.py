"""What a training leaves, put on a language model again; and what is refused on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from assistant.language.embedded import load_rounded, save_rounded
from assistant.language.evaluation.masks import score_masks
from assistant.language.evaluation.visual import score_visual
from assistant.language.llms.adapter import add_lora
from assistant.language.llms.load import LoadedLLM, load_llm
from assistant.language.llms.table import row_for
from assistant.language.llms.tiny import save_tiny, tiny_llm, tiny_tokenizer
from assistant.language.mind import LLMMind
from assistant.language.planner import TAUGHT
from assistant.language.sight import SightedLM
from assistant.language.taught import TaughtLLM, add_teaching, describe_taught, give_mask_token, load_taught
from assistant.language.training.recipe import StageConfig
from assistant.language.training.samples import Sample
from assistant.language.training.teach import corpus_of, save_teaching
from tests.assistant.language.sighted import config, ct, open_gates
from vision.errors import UsageError, WeightsError


def llm_of(architecture: str = "Qwen3ForCausalLM") -> LoadedLLM:
    tokenizer = tiny_tokenizer()
    return LoadedLLM(model=tiny_llm(architecture), tokenizer=tokenizer, row=row_for(architecture))


@pytest.mark.parametrize("change", [{"hidden_size": "wide"}, {"num_attention_heads": 0}, {"hidden_act": "none"}])
def test_a_small_model_whose_description_is_damaged_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    save_rounded(tiny_llm(), tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(WeightsError, match=r"E_LLM.*files cannot be read"):
        load_rounded(tmp_path)


@pytest.fixture
def untaught() -> TaughtLLM:
    return TaughtLLM(llm_of(), None)


def logits_of(model: SightedLM) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.arange(20, 30)[None], None, looked=model.look([ct(1)])).logits


@pytest.mark.parametrize("architecture", ["Qwen3ForCausalLM", "LlamaForCausalLM", "Gemma3ForCausalLM"])
def test_a_teaching_returns_on_the_same_language_model(tmp_path: Path, architecture: str) -> None:
    llm = llm_of(architecture)
    token = give_mask_token(llm)
    model = open_gates(SightedLM(llm.model, llm.row.layers_path, config(mask_token_id=token)))
    add_lora(llm.model, llm.row, rank=2, alpha=4)
    with torch.no_grad():
        for name, parameter in llm.model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.05)
    wanted = logits_of(model.eval())
    save_teaching(model, llm, tmp_path)
    torch.testing.assert_close(logits_of(model), wanted)
    taught = add_teaching(llm_of(architecture), tmp_path)
    assert taught.sighted is not None
    assert taught.mask_token_id == token
    # The sight is kept in half precision.
    torch.testing.assert_close(logits_of(taught.sighted), wanted, atol=0.02, rtol=0.02)
    assert not any(parameter.requires_grad for parameter in taught.sighted.parameters())


def test_a_folder_without_a_teaching_leaves_a_language_model_as_it_is(tmp_path: Path) -> None:
    llm = llm_of()
    before = len(llm.tokenizer)
    assert add_teaching(llm, tmp_path) == TaughtLLM(llm, None)
    assert len(llm.tokenizer) == before


def test_a_model_of_words_alone_reads_what_it_was_taught_with(tmp_path: Path) -> None:
    describe_taught(tmp_path, "a/model")
    taught = add_teaching(llm_of(), tmp_path)
    assert taught.taught
    assert LLMMind(taught)._planner._reading is TAUGHT


def test_the_mask_token_is_given_once() -> None:
    llm = llm_of()
    assert give_mask_token(llm) == give_mask_token(llm) == llm.tokenizer.convert_tokens_to_ids("<|mask|>")


def test_a_teaching_apart_names_its_language_model(tmp_path: Path) -> None:
    save_tiny(tmp_path / "lm", "LlamaForCausalLM")
    describe_taught(tmp_path / "taught", str(tmp_path / "lm"))
    assert load_taught(tmp_path / "taught").llm.row.architecture == "LlamaForCausalLM"


@pytest.mark.parametrize("content", ["{", "{}", '{"llm": 3}', '{"llm": ""}'])
def test_a_teaching_that_names_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "taught.json").write_text(content)
    with pytest.raises(WeightsError, match=r"E_LLM.*taught.json does not name"):
        load_taught(tmp_path)


def test_a_model_of_a_byte_a_weight_loads_as_any_other_and_takes_no_fewer_bits(tmp_path: Path) -> None:
    save_tiny(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    save_rounded(tiny_llm("Qwen3ForCausalLM"), tmp_path)
    loaded = load_llm(tmp_path, device="cpu")
    ids = torch.arange(10)[None]
    with torch.no_grad():
        wanted = load_rounded(tmp_path)(input_ids=ids).logits
        torch.testing.assert_close(loaded.model(input_ids=ids).logits.float(), wanted, atol=0.3, rtol=0.1)
    with pytest.raises(UsageError, match=r"E_QUANTISATION.*small already"):
        load_llm(tmp_path, quantisation="8bit")


def test_conversations_longer_than_a_row_are_left_out_and_counted(tmp_path: Path) -> None:
    short, long = (
        Sample([{"role": "user", "content": words}], None, "Yes.", None) for words in ("liver", 99 * "liver ")
    )
    config_of_row = replace(StageConfig("text", learning_rate=1e-3), row_tokens=40)
    corpus = corpus_of([short, long], llm_of(), config_of_row, run=tmp_path)
    assert len(corpus.first) == 1
    assert json.loads((tmp_path / "samples.json").read_text())["too_long"] == 1
    with pytest.raises(UsageError, match=r"E_STAGE_ROWS.*40 tokens"):
        corpus_of([long], llm_of(), config_of_row, run=tmp_path)


def test_what_cannot_see_is_not_asked_what_it_sees(untaught: TaughtLLM) -> None:
    with pytest.raises(ValueError, match="no sight"):
        score_visual([], untaught, {})


def test_what_has_no_mask_token_is_not_asked_for_masks(untaught: TaughtLLM) -> None:
    from typing import Any, cast

    with pytest.raises(ValueError, match="no mask token"):
        score_masks([], untaught, cast(Any, None), {})
