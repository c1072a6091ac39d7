"""The table of language models: what it knows, and what it says of what it does not know."""

from __future__ import annotations

import pytest

from assistant.language.llms import LLMS, row_for
from assistant.language.llms.table import architectures
from assistant.language.llms.tiny import LAYERS, tiny_llm
from tests.sources import ROOT
from vision.errors import WeightsError


@pytest.mark.parametrize("row", LLMS, ids=lambda row: row.name)
def test_row_names_the_layers_and_the_linears_of_its_own_class(row) -> None:
    from torch import nn

    model = tiny_llm(row.architecture)
    layers = model.get_submodule(row.layers_path)
    assert type(model).__name__ == row.architecture
    assert isinstance(layers, nn.ModuleList)
    assert len(layers) == LAYERS
    linears = {name.rpartition(".")[2] for name, part in layers[0].named_modules() if isinstance(part, nn.Linear)}
    assert linears == set(row.lora_targets)


def test_row_is_found_by_every_name_that_a_config_may_hold() -> None:
    assert {row_for(name).name for name in architectures()} == {row.name for row in LLMS}
    assert row_for("Gemma3ForConditionalGeneration").architecture == "Gemma3ForCausalLM"


def test_hub_names_are_different_and_name_their_owner() -> None:
    names = [name for row in LLMS for name in row.hub_names]
    assert len(set(names)) == len(names)
    assert all(name.count("/") == 1 for name in names)


def test_architecture_that_is_not_in_the_table_is_refused_with_those_that_are() -> None:
    with pytest.raises(WeightsError, match=r"PhiForCausalLM are not known\. Known are: Qwen3ForCausalLM, .*SmolLM3"):
        row_for("PhiForCausalLM")


@pytest.mark.parametrize("name", ["", "Doe^John 1970", "A" * 61])
def test_architecture_that_is_no_class_name_is_not_quoted(name) -> None:
    with pytest.raises(WeightsError, match=r"architecture in its config\.json are not known") as caught:
        row_for(name)
    assert name not in str(caught.value) or not name


def test_documentation_names_all_that_can_be_loaded() -> None:
    page = (ROOT / "docs" / "language_models.md").read_text(encoding="utf-8")
    named = (*architectures(), *(name for row in LLMS for name in row.hub_names))
    missing = [name for name in named if f"`{name}`" not in page]
    assert missing == []
