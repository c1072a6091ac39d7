"""Tiny sighted language models and CT tokens for tests."""

from __future__ import annotations

from typing import Any

import torch

from assistant.language.llms.table import row_for
from assistant.language.llms.tiny import VOCAB, WIDTH, tiny_llm
from assistant.language.sight import SightConfig, SightedLM
from vision.models.coarse_to_fine.tokens import CTTokens

MASK = 9
STRUCTURES = ("liver", "spleen", "pancreas")
QWEN = "Qwen3ForCausalLM"


def config(**changes: Any) -> SightConfig:
    sizes = {"token_width": 10, "query_width": 8, "pooled_width": 6, "hidden_width": WIDTH}
    return SightConfig(**{**sizes, "latents": 4, "width": 16, "heads": 2, "mask_token_id": MASK, **changes})


def ct(seed: int, *, structures: tuple[str, ...] = STRUCTURES, lattice: int = 12) -> CTTokens:
    random = torch.Generator().manual_seed(seed)
    return CTTokens(
        latents=torch.randn(lattice, 10, generator=random),
        positions_mm=150 * torch.randn(lattice, 3, generator=random),
        structures=structures,
        pooled=torch.randn(len(structures), 6, generator=random),
        presence=torch.rand(len(structures), generator=random),
        volumes_ml=1500 * torch.rand(len(structures), generator=random) + 1,
        centres_mm=150 * torch.randn(len(structures), 3, generator=random),
    )


def sighted(architecture: str = QWEN, **changes: Any) -> SightedLM:
    """A sighted tiny model in eval mode, its gates closed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = SightedLM(tiny_llm(architecture), row_for(architecture).layers_path, config(**changes))
    return model.eval()


def open_gates(model: SightedLM, opening: float = 0.7) -> SightedLM:
    with torch.no_grad():
        for name, parameter in model.sight.blocks.named_parameters():
            if name.endswith("gate"):
                parameter.fill_(opening)
    return model


def text(rows: int = 2, *, length: int = 7, seed: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (rows, length) without a mask token, and their attention mask."""
    ids = torch.randint(MASK + 1, VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))
    return ids, torch.ones_like(ids)
