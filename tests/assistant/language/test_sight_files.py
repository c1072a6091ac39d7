"""A sight saved and loaded again, and files that are not one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from assistant.language.sight import load_sight, read_sight_config, save_sight
from tests.assistant.language.sighted import ct, open_gates, sighted, text
from vision.errors import WeightsError


def learned() -> Any:
    """A sight whose every weight differs from that of a new one."""
    model = open_gates(sighted())
    with torch.no_grad():
        for parameter in model.sight.parameters():
            parameter.add_(0.05)
    return model


def test_a_saved_sight_loads_to_the_same_logits_and_queries(tmp_path: Path) -> None:
    ids, attention_mask = text(2)
    ids[0, 4] = 9
    model, other = learned(), sighted()
    save_sight(model, tmp_path / "sight")
    load_sight(other, tmp_path / "sight")
    with torch.no_grad():
        outputs = [each(ids, attention_mask, looked=each.look([ct(1), None])) for each in (model, other)]
        assert torch.equal(outputs[0].logits, outputs[1].logits)
        assert torch.equal(model.mask_queries(outputs[0], ids), other.mask_queries(outputs[1], ids))


def test_the_configuration_comes_back_from_its_file(tmp_path: Path) -> None:
    model = sighted(mask_token_id=None, every=3, structures=("liver", "spleen"))
    save_sight(model, tmp_path)
    assert read_sight_config(tmp_path) == model.config


def test_nothing_of_the_language_model_is_saved(tmp_path: Path) -> None:
    model = sighted()
    save_sight(model, tmp_path)
    numbers = sum(each.numel() for each in model.sight.parameters())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["sight.json", "sight.safetensors"]
    assert (tmp_path / "sight.safetensors").stat().st_size < 4 * numbers + 20_000


def test_a_folder_without_a_sight_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"E_SIGHT_MISSING: The folder holds no sight\.json"):
        load_sight(sighted(), tmp_path)


@pytest.mark.parametrize(
    ("changes", "architecture", "said"),
    [
        ({"every": 1}, "Qwen3ForCausalLM", "it was made with another every"),
        ({"mask_token_id": 11}, "Qwen3ForCausalLM", "it was made with another mask_token_id"),
        ({"structures": ("liver",)}, "Qwen3ForCausalLM", "it was made with another structures"),
        ({}, "LlamaForCausalLM", "its language model is of the kind 'qwen3'"),
    ],
)
def test_the_sight_of_another_model_is_refused(
    changes: dict[str, Any], architecture: str, said: str, tmp_path: Path
) -> None:
    save_sight(sighted(), tmp_path)
    with pytest.raises(WeightsError, match=f"E_SIGHT_FIT: The sight is not for this model: {said}"):
        load_sight(sighted(architecture, **changes), tmp_path)


def test_tensors_that_are_not_those_of_the_description_are_refused(tmp_path: Path) -> None:
    save_sight(sighted(), tmp_path)
    save_sight(learned(), tmp_path / "other")
    (tmp_path / "other" / "sight.safetensors").replace(tmp_path / "sight.safetensors")
    with pytest.raises(WeightsError, match="E_WEIGHTS_CORRUPT"):
        load_sight(sighted(), tmp_path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda values: [values], "its keys are not config, llm, sha256"),
        (lambda values: {**values, "more": 1}, "its keys are not config, llm, sha256"),
        (lambda values: {**values, "config": 3}, "its configuration is not that of a sight"),
        (lambda values: {**values, "config": {**values["config"], "structures": [1]}}, "its structures are not names"),
        (lambda values: {**values, "config": {**values["config"], "width": 0}}, "width is not a whole number from 1"),
    ],
)
def test_a_description_that_is_none_is_refused(spoil: Callable[[Any], Any], said: str, tmp_path: Path) -> None:
    save_sight(sighted(), tmp_path)
    file = tmp_path / "sight.json"
    file.write_text(json.dumps(spoil(json.loads(file.read_text()))))
    with pytest.raises(WeightsError, match=f"E_SIGHT_DESCRIPTION: .*{said}"):
        read_sight_config(tmp_path)


def test_a_description_that_is_not_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sight.json").write_text("{")
    with pytest.raises(WeightsError, match=r"E_SIGHT_DESCRIPTION: .*it is not JSON"):
        read_sight_config(tmp_path)
