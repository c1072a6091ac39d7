"""Attention from one sequence to another, and the gated block by which a decoder layer reads a CT."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Seen:
    """`values` (B, M, width) and which of them are `known` (B, M): nothing in the row of no CT."""

    values: Tensor
    known: Tensor


class Attention(nn.Module):
    """Multi-head attention from vectors of `query_width` to vectors of `width`, keys and values made apart."""

    def __init__(self, query_width: int, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(query_width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, query_width, bias=False)

    def keys_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """(B, M, width) -> keys and values (B, heads, M, width / heads)."""
        return self._split(self.key(source)), self._split(self.value(source))

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, *, known: Tensor) -> Tensor:
        """(B, T, query_width) that attended where `known` (B, M) is True, which must be somewhere in every row."""
        asked = self._split(self.query(query))
        attended = functional.scaled_dot_product_attention(
            asked, keys.to(asked.dtype), values.to(asked.dtype), attn_mask=known[:, None, None, :]
        )
        return self.out(attended.transpose(1, 2).flatten(2))

    def _split(self, vectors: Tensor) -> Tensor:
        return vectors.unflatten(2, (self.heads, -1)).transpose(1, 2)


class GatedCrossAttention(nn.Module):
    """What stands before a decoder layer: cross-attention to a CT and an MLP, each behind a tanh gate born closed.

    Flamingo's block (Alayrac et al. 2022, section 2.2). A closed gate adds exact zeros, so an untrained block leaves
    the language model as it was.
    """

    def __init__(self, hidden_width: int, width: int, *, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden_width)
        self.attention = Attention(hidden_width, width, heads=heads)
        self.gate = nn.Parameter(torch.zeros(()))
        self.mlp = nn.Sequential(
            nn.LayerNorm(hidden_width),
            nn.Linear(hidden_width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, hidden_width),
        )
        self.mlp_gate = nn.Parameter(torch.zeros(()))

    def prepare(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Keys and values (B, heads, M, width / heads) of what is seen, made once per CT."""
        return self.attention.keys_values(seen.values)

    def forward(self, hidden: Tensor, keys: Tensor, values: Tensor, *, known: Tensor) -> Tensor:
        """(B, T, D) in the number format of `hidden`. A row of `known` (B, M) without any True comes back as it went
        in, to the bit."""
        sees = known.any(1)
        # Over nothing some kernels give NaN, which would reach the gradients even where their result is not taken.
        attended = self.attention(self.norm(hidden.to(self.gate.dtype)), keys, values, known=known | ~sees[:, None])
        joined = hidden + (torch.tanh(self.gate) * attended).to(hidden.dtype)
        joined = joined + (torch.tanh(self.mlp_gate) * self.mlp(joined.to(self.gate.dtype))).to(hidden.dtype)
        return torch.where(sees[:, None, None], joined, hidden)
