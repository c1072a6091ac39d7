"""The token that stands for a mask: its rows of the embeddings, and how it becomes a query vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vision.errors import UsageError

ROWS_AT_ONCE = 8192


class MaskToken(nn.Module):
    """Its `input` and `output` (D,) stand in for its rows of a language model's embeddings, which stay as they are:
    these two train, whether the head is tied or not, and nothing else of the embeddings does."""

    def __init__(self, token_id: int, *, hidden_width: int, width: int, query_width: int) -> None:
        super().__init__()
        self.token_id = token_id
        self.input = nn.Parameter(torch.zeros(hidden_width))
        self.output = nn.Parameter(torch.zeros(hidden_width))
        self.project = nn.Sequential(
            nn.LayerNorm(hidden_width), nn.Linear(hidden_width, width), nn.GELU(), nn.Linear(width, query_width)
        )

    @torch.no_grad()
    def start_at_mean(self, embedding: nn.Embedding, head: nn.Linear, *, rows: int) -> None:
        """Begin at the mean of what the embedding gives and of the head's rows (Hewitt 2021): no token's neighbour."""
        ids = torch.arange(rows, device=self.input.device)
        total = torch.stack([embedding(part).double().sum(0) for part in ids.split(ROWS_AT_ONCE)]).sum(0)
        self.input.copy_(total / rows)
        self.output.copy_(head.weight[:rows].mean(0, dtype=torch.float64))

    def embed(self, embedding: nn.Module, inputs: tuple[Tensor], embedded: Tensor) -> Tensor:
        """Forward hook of the embedding: where the token stands, its own vector."""
        return torch.where((inputs[0] == self.token_id)[..., None], self.input.to(embedded.dtype), embedded)

    def score(self, head: nn.Module, inputs: tuple[Tensor], logits: Tensor) -> Tensor:
        """Forward hook of the head: the token's own logit. In place, for a copy of all logits may take gigabytes."""
        hidden = inputs[0]
        logits[..., self.token_id] = (hidden @ self.output.to(hidden.dtype)).to(logits.dtype)
        return logits

    def queries(self, hidden: Tensor, input_ids: Tensor) -> Tensor:
        """(n, query_width) of length 1, one per mask token of (B, T) ids in reading order, from the hidden state
        (B, T, D) one position before it. Raises UsageError E_MASK_TOKEN for one that nothing precedes."""
        places = input_ids == self.token_id
        if bool(places[:, 0].any()):
            raise UsageError(
                "E_MASK_TOKEN",
                "A mask token stands first, where no hidden state predicts it.",
                "Give the ids and the hidden states of the whole text, not of a continuation alone.",
            )
        before = hidden[:, :-1][places[:, 1:]].to(self.input.dtype)
        return functional.normalize(self.project(before), dim=-1)
