"""From the tokens of a CT to what a language model reads: learned latents that looked at all, and the structures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from assistant.language.sight.attention import Attention, Seen
from assistant.language.sight.config import SightConfig
from vision.errors import WeightsError
from vision.models.coarse_to_fine.tokens import CTTokens

WAVELENGTHS_MM = (1600.0, 800.0, 400.0, 200.0, 100.0, 50.0)
"""From twice the longest body to half a cell of the lattice."""
LARGE_LOG_ML = 7.3
"""Logarithm of a liver's 1,500 mL."""


class Resampler(nn.Module):
    """Tokens of CTs -> `latents` vectors each that read all of them (a perceiver), then one per structure.

    A lattice token knows its position in mm from the middle of its CT; a structure's token its name, its presence, its
    size, and its place where it has one.
    """

    def __init__(self, config: SightConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.rows = {name: row for row, name in enumerate(config.structures)}
        self.latents = nn.Parameter(0.02 * torch.randn(config.latents, width))
        self.lattice = nn.Sequential(nn.LayerNorm(config.token_width), nn.Linear(config.token_width, width))
        self.position = nn.Linear(6 * len(WAVELENGTHS_MM), width)
        self.pooled = nn.Sequential(nn.LayerNorm(config.pooled_width), nn.Linear(config.pooled_width, width))
        self.facts = nn.Linear(2, width)
        self.structure = nn.Embedding(len(config.structures), width)
        self.norm = nn.LayerNorm(width)
        self.readers = nn.ModuleList(_Reader(width, heads=config.heads) for _ in range(config.depth))
        self.last_norm = nn.LayerNorm(width)

    def forward(self, cts: Sequence[CTTokens | None]) -> Seen:
        """Raises WeightsError E_SIGHT_FIT for CT tokens of another width."""
        rows = [row for row, ct in enumerate(cts) if ct is not None]
        present = [ct for ct in cts if ct is not None]
        if not present:
            values = self.latents.new_zeros(len(cts), *self.latents.shape)
            return Seen(values, torch.zeros(values.shape[:2], dtype=torch.bool, device=values.device))
        lattice, lattice_known = self._lattice(present)
        structures, structures_known = self._structures(present)
        tokens = torch.cat((lattice, structures), 1)
        known = torch.cat((lattice_known, structures_known), 1)
        latents = self.latents.expand(len(present), -1, -1)
        for reader in self.readers:
            latents = reader(latents, tokens, known=known)
        read = self.last_norm(torch.cat((latents, structures), 1))
        read_known = torch.cat((known.new_ones(latents.shape[:2]), structures_known), 1)
        values = read.new_zeros(len(cts), *read.shape[1:]).index_copy(0, self._index(rows), read)
        return Seen(values, known.new_zeros(values.shape[:2]).index_copy(0, self._index(rows), read_known))

    def _lattice(self, cts: Sequence[CTTokens]) -> tuple[Tensor, Tensor]:
        """Tokens (P, N, width) of the lattices, and which are known (P, N)."""
        for ct in cts:
            _require_width(ct.latents, self.config.token_width)
        features = self._padded([ct.latents for ct in cts])
        positions = self._padded([fourier(ct.positions_mm - ct.positions_mm.mean(0)) for ct in cts])
        return self.norm(self.lattice(features) + self.position(positions)), self._known(
            [len(ct.latents) for ct in cts]
        )

    def _structures(self, cts: Sequence[CTTokens]) -> tuple[Tensor, Tensor]:
        """Tokens (P, S, width) of the structures that this sight has a name for, and which are known (P, S)."""
        for ct in cts:
            _require_width(ct.pooled, self.config.pooled_width)
        kept = [[place for place, name in enumerate(ct.structures) if name in self.rows] for ct in cts]
        names = [[self.rows[ct.structures[place]] for place in places] for ct, places in zip(cts, kept, strict=True)]
        pooled = self._padded([ct.pooled[places] for ct, places in zip(cts, kept, strict=True)])
        facts = self._padded([_facts(ct)[places] for ct, places in zip(cts, kept, strict=True)])
        where = self._padded([_places(ct)[places] for ct, places in zip(cts, kept, strict=True)])
        rows = pad_sequence([self._index(each) for each in names], batch_first=True)
        tokens = self.pooled(pooled) + self.facts(facts) + self.position(where) + self.structure(rows)
        return self.norm(tokens), self._known([len(places) for places in kept])

    def _padded(self, rows: Sequence[Tensor]) -> Tensor:
        return pad_sequence([row.to(self.latents) for row in rows], batch_first=True)

    def _known(self, lengths: Sequence[int]) -> Tensor:
        return torch.arange(max(lengths), device=self.latents.device) < self._index(lengths)[:, None]

    def _index(self, numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self.latents.device)


class _Reader(nn.Module):
    """One layer of the perceiver: latents attend to tokens and to each other, then an MLP."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, width, heads=heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, latents: Tensor, tokens: Tensor, *, known: Tensor) -> Tensor:
        query = self.norm(latents)
        keys, values = self.attention.keys_values(torch.cat((tokens, query), 1))
        all_known = torch.cat((known, known.new_ones(latents.shape[:2])), 1)
        latents = latents + self.attention(query, keys, values, known=all_known)
        return latents + self.mlp(latents)


def _facts(ct: CTTokens) -> Tensor:
    """(S, 2): presence, and size as a logarithm, about 1 for a liver."""
    return torch.stack((ct.presence, ct.volumes_ml.log1p() / LARGE_LOG_ML), -1)


def _places(ct: CTTokens) -> Tensor:
    """(S, 36) of the centres from the middle of the CT, zeros for what is nowhere."""
    return fourier(ct.centres_mm - ct.positions_mm.mean(0)) * (ct.volumes_ml > 0)[:, None]


def fourier(positions_mm: Tensor) -> Tensor:
    """(N, 3) mm -> (N, 36) sines and cosines at each of the wavelengths."""
    turns = positions_mm[:, :, None] * (2 * torch.pi / positions_mm.new_tensor(WAVELENGTHS_MM))
    return torch.cat((turns.sin(), turns.cos()), -1).flatten(1)


def _require_width(features: Tensor, width: int) -> None:
    if features.shape[-1] != width:
        raise WeightsError(
            "E_SIGHT_FIT",
            f"The segmenter's CT tokens have {features.shape[-1]} numbers, this language model reads {width}.",
            "Use the segmenter that the language model was trained with.",
        )
