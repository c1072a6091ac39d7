"""One training pass: a batch in, losses out. Of the bare language model, and of one that sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from assistant.language.training.packing import IGNORED, Batch, apart
from vision.models.coarse_to_fine.tokens import CTTokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from assistant.language.sight import SightedLM

TEMPERATURE = 0.05
"""Of the choice among all queries: between cosines of 0.6 (both lungs) and 1.0 it is then sure."""


@dataclass(frozen=True)
class Losses:
    """Scalars: mean cross-entropy of the words learned, mean error of the mask queries (0 where there are none)."""

    words: Tensor
    masks: Tensor

    @property
    def total(self) -> Tensor:
        """What is to become small."""
        return self.words + self.masks


class Pass(Protocol):
    """What a stage trains by; a module, so that it can be wrapped for several GPUs."""

    def __call__(self, batch: Batch) -> Losses: ...


class TextPass(nn.Module):
    """The language model on words alone."""

    def __init__(self, lm: PreTrainedModel) -> None:
        super().__init__()
        self.lm = lm

    def forward(self, batch: Batch) -> Losses:
        output = self.lm(
            input_ids=batch.ids, attention_mask=apart(batch.segments), labels=batch.labels, use_cache=False
        )
        return Losses(output.loss, output.loss.new_zeros(()))


class SightPass(nn.Module):
    """A language model that sees, on words about CTs and on mask tokens.

    `tokens` are the CTs by the ids that the rows name, `queries` (query_width,) the segmenter's own vectors by
    structure, of length 1. A mask token is to say its structure's vector, and no other's; that of a structure without a
    vector is learned as a word only.
    """

    queries: Tensor

    def __init__(self, model: SightedLM, tokens: Mapping[str, CTTokens], queries: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model, self.tokens = model, tokens
        self.numbers = {name: number for number, name in enumerate(queries)}
        self.register_buffer("queries", torch.stack(list(queries.values())) if queries else torch.zeros(0, 1))

    def forward(self, batch: Batch) -> Losses:
        looked = self.model.look([None if ct is None else self.tokens[ct] for ct in batch.cts])
        output = self.model(batch.ids, apart(batch.segments), looked=looked, labels=batch.labels)
        assert output.loss is not None
        if not batch.masks:
            return Losses(output.loss, output.loss.new_zeros(()))
        # A mask token in a prompt was written by somebody else; those learned are the model's own.
        own = torch.where(batch.labels != IGNORED, batch.ids, torch.zeros_like(batch.ids))
        return Losses(output.loss, self._mask_loss(self.model.mask_queries(output, own), batch.masks))

    def _mask_loss(self, predicted: Tensor, masks: tuple[str, ...]) -> Tensor:
        known = [place for place, name in enumerate(masks) if name in self.numbers]
        if not known:
            return predicted.new_zeros(())
        wanted = torch.tensor([self.numbers[masks[place]] for place in known], device=predicted.device)
        cosines = functional.normalize(predicted[known].float(), dim=-1) @ self.queries.T
        away = 1 - cosines.gather(1, wanted[:, None]).mean()
        return away + functional.cross_entropy(cosines / TEMPERATURE, wanted)
