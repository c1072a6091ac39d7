"""What trains at each stage, and that a learning step reaches that and nothing else."""

from __future__ import annotations

import pytest
import torch

from assistant.language.llms.adapter import add_lora
from assistant.language.llms.table import LLMS, row_for
from assistant.language.sight import SightedLM
from tests.assistant.language.sighted import MASK, QWEN, ct, open_gates, sighted, text
from vision.errors import UsageError

ARCHITECTURES = tuple(row.architecture for row in LLMS)


def with_lora(model: SightedLM, architecture: str) -> SightedLM:
    """A LoRA that has begun to act: its second matrix is born 0, which keeps gradients from the first."""
    add_lora(model.lm, row_for(architecture), rank=2, alpha=4)
    with torch.no_grad():
        for name, parameter in model.lm.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.02)
    return model


def trains(model: SightedLM) -> set[str]:
    """What trains, by its place: lm, lora, or the part of the sight."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    return {"lora" if "lora_" in name else name.removeprefix("sight.").split(".")[0] for name in names}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_reach_the_sight_and_lora_and_nothing_else(architecture: str) -> None:
    ids, attention_mask = text(2)
    ids[0, 4] = MASK
    model = open_gates(with_lora(sighted(architecture), architecture)).train()
    model.trainable("adapter")
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    output = model(ids, attention_mask, looked=model.look([ct(1), None]), labels=ids)
    (output.loss + model.mask_queries(output, ids)[:, 0].sum()).backward()
    torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=1.0).step()
    moved = {name for name, each in model.named_parameters() if not torch.equal(each, before[name])}
    expected = {name for name in before if name.startswith("sight.") or "lora_" in name}
    assert moved == expected


def test_embeddings_of_structures_that_no_ct_has_get_no_gradient() -> None:
    ids, attention_mask = text(1)
    model = open_gates(sighted()).train()
    model.trainable("sight")
    model(ids, attention_mask, looked=model.look([ct(1)]), labels=ids).loss.backward()
    rows = model.sight.resampler.rows
    touched = model.sight.resampler.structure.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert touched == sorted(rows[name] for name in ("liver", "spleen", "pancreas"))


def test_closed_gates_learn_to_open() -> None:
    ids, attention_mask = text(1)
    model = sighted().train()
    model.trainable("sight")
    model(ids, attention_mask, looked=model.look([ct(1)]), labels=ids).loss.backward()
    gates = [each.grad for name, each in model.sight.blocks.named_parameters() if name.endswith("gate")]
    assert len(gates) == 4
    assert all(gate is not None and gate != 0 for gate in gates)


def test_a_row_without_ct_teaches_the_sight_nothing() -> None:
    ids, attention_mask = text(2)
    model = open_gates(sighted()).train()
    model.trainable("sight")
    labels = ids.clone()
    labels[0] = -100
    model(ids, attention_mask, looked=model.look([ct(1), None]), labels=labels).loss.backward()
    gradients = [each.grad for each in model.sight.parameters() if each.grad is not None]
    assert gradients
    assert not any(each.any() for each in gradients)


@pytest.mark.parametrize(
    ("stage", "parts"),
    [
        ("text", {"lm"}),
        ("sight", {"resampler", "blocks"}),
        ("adapter", {"lora", "resampler", "blocks", "mask_token"}),
    ],
)
def test_a_stage_trains_exactly_its_parts(stage: str, parts: set[str]) -> None:
    model = with_lora(sighted(), QWEN)
    model.trainable("text")
    model.trainable(stage)
    assert trains(model) == parts


def test_the_text_stage_trains_every_weight_of_the_language_model() -> None:
    model = sighted()
    model.trainable("text")
    assert all(each.requires_grad for each in model.lm.parameters())


def test_the_adapter_stage_needs_lora() -> None:
    with pytest.raises(UsageError, match="E_TRAINABLE: This stage cannot be trained: the language model has no LoRA"):
        sighted().trainable("adapter")


def test_a_quantised_language_model_has_no_text_stage() -> None:
    model = sighted()
    linear = model.lm.get_submodule("model.layers.0.mlp.up_proj")
    linear.weight = torch.nn.Parameter(linear.weight.to(torch.uint8), requires_grad=False)
    with pytest.raises(UsageError, match="E_TRAINABLE: This stage cannot be trained: the language model is quantised"):
        model.trainable("text")
