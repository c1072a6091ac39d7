"""A causal language model that sees CTs. Its own modules, their names and their weights stay as they are."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from assistant.language.sight.attention import GatedCrossAttention
from assistant.language.sight.config import SightConfig
from assistant.language.sight.mask_token import MaskToken
from assistant.language.sight.resampler import Resampler
from vision.errors import UsageError
from vision.models.coarse_to_fine.tokens import CTTokens

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

Stage = Literal["text", "sight", "adapter"]


@dataclass(frozen=True)
class Looked:
    """CTs as the decoder layers read them, one a row: `keys` and `values` of every block, (B, heads, M, width / heads),
    and which are `known` (B, M). `sees` is False when no row has a CT."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    known: Tensor
    sees: bool

    def block(self, place: int, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Keys, values and what is known for one block and `rows` texts, as beams are: each CT repeated for the texts
        that follow one another.

        Raises UsageError E_SIGHT_ROWS when the texts do not divide among the CTs.
        """
        have = len(self.known)
        kept = self.keys[place], self.values[place], self.known
        if rows == have:
            return kept
        if have == 0 or rows % have:
            raise UsageError(
                "E_SIGHT_ROWS", f"{rows} texts came with {have} CTs.", "Look at one CT, or None, for every text."
            )
        keys, values, known = (each.repeat_interleave(rows // have, 0) for each in kept)
        return keys, values, known


@dataclass(frozen=True)
class SightedOutput:
    """`logits` (B, T, V), the last `hidden` states (B, T, D) that they are made of, the mean `loss` over labels other
    than -100 when there were labels, and the cache, None while training."""

    loss: Tensor | None
    logits: Tensor
    hidden: Tensor
    past_key_values: Cache | None


class Sight(nn.Module):
    """Everything that is added to a language model: resampler, gated blocks, mask token."""

    def __init__(self, config: SightConfig, *, blocks: int) -> None:
        super().__init__()
        self.resampler = Resampler(config)
        self.blocks = nn.ModuleList(
            GatedCrossAttention(config.hidden_width, config.width, heads=config.heads) for _ in range(blocks)
        )
        self.mask_token: MaskToken | None = None
        if config.mask_token_id is not None:
            self.mask_token = MaskToken(
                config.mask_token_id,
                hidden_width=config.hidden_width,
                width=config.width,
                query_width=config.query_width,
            )


class SightedLM(nn.Module):
    """`lm` with a gated block before every `config.every`-th decoder layer of the list at `layers_path`.

    Blocks are joined by forward pre-hooks and kept in `sight`, so `lm` saves, loads and takes LoRA as without them. A
    mask token beyond the vocabulary lengthens it. `lm` must not be resized afterwards, nor its layers replaced.
    Raises UsageError E_SIGHT_FIT for a language model that the configuration is not for.
    """

    def __init__(self, lm: PreTrainedModel, layers_path: str, config: SightConfig) -> None:
        super().__init__()
        self.lm = lm
        self.config = config
        joined = _layers(lm, layers_path)[config.every - 1 :: config.every]
        weight = _embedding(lm).weight
        _require_fit(len(joined), weight.shape[1], config)
        self.sight = Sight(config, blocks=len(joined)).to(weight.device)
        for place, layer in enumerate(joined):
            layer.register_forward_pre_hook(partial(self._see, place), with_kwargs=True)
        if self.sight.mask_token is not None:
            _join_mask_token(lm, self.sight.mask_token)
        self._looked: Looked | None = None
        self._looking = threading.RLock()

    def look(self, tokens: Sequence[CTTokens | None]) -> Looked:
        """What every text of a batch is about, None for no CT: resampled, with keys and values, once per CT.

        A single CT serves any number of texts.

        Raises WeightsError E_SIGHT_FIT for the tokens of a segmenter that this sight is not for.
        """
        seen = self.sight.resampler(tokens)
        prepared = [cast(GatedCrossAttention, block).prepare(seen) for block in self.sight.blocks]
        keys, values = zip(*prepared, strict=True)
        return Looked(keys, values, seen.known, sees=any(ct is not None for ct in tokens))

    @contextmanager
    def looking(self, looked: Looked | None) -> Iterator[None]:
        """Whatever runs `lm` inside, such as `lm.generate`, sees `looked`; None is blind.

        One thread at a time looks, so that no text is written about another person's CT; others wait.
        """
        with self._looking:
            before, self._looked = self._looked, looked
            try:
                yield
            finally:
                self._looked = before

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        *,
        looked: Looked | None,
        labels: Tensor | None = None,
        past_key_values: Cache | None = None,
    ) -> SightedOutput:
        """Run (B, T) ids; with a cache, `input_ids` are the new ones and `attention_mask` covers the old ones too."""
        kept: list[Tensor] = []
        head = self.lm.get_output_embeddings()
        handle = head.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
        try:
            with self.looking(looked):
                output = self.lm(
                    input_ids=input_ids,
                    attention_mask=attention_mask,
                    labels=labels,
                    cache=past_key_values,
                    use_cache=not self.training,
                )
        finally:
            handle.remove()
        return SightedOutput(output.loss, output.logits, kept[0], output.cache)

    def mask_queries(self, output: SightedOutput, input_ids: Tensor) -> Tensor:
        """(n, query_width) of length 1 for `segment_query`, one per mask token of the ids, row by row.

        Raises UsageError E_MASK_TOKEN without a mask token in the configuration, or for one that opens a text.
        """
        if self.sight.mask_token is None:
            raise UsageError(
                "E_MASK_TOKEN",
                "This language model has no mask token.",
                "Name its id in the configuration of the sight.",
            )
        return self.sight.mask_token.queries(output.hidden, input_ids)

    def trainable(self, stage: Stage) -> None:
        """Let exactly one stage's parameters train: "text" those of the language model without LoRA, "sight" the
        resampler and the gated blocks, "adapter" the whole sight, with its mask token, and LoRA.

        Raises UsageError E_TRAINABLE for "text" on a quantised language model and "adapter" on one without LoRA.
        """
        lora = [each for name, each in self.lm.named_parameters() if "lora_" in name]
        base = [each for name, each in self.lm.named_parameters() if "lora_" not in name]
        if stage == "text" and not all(each.is_floating_point() for each in base):
            raise _cannot_train("the language model is quantised", "Load it without quantisation.")
        if stage == "adapter" and not lora:
            raise _cannot_train("the language model has no LoRA", "Add LoRA before this stage.")
        seeing = [*self.sight.resampler.parameters(), *self.sight.blocks.parameters()]
        chosen = {"text": base, "sight": seeing, "adapter": [*lora, *self.sight.parameters()]}[stage]
        self.requires_grad_(False)
        for each in chosen:
            each.requires_grad_(True)

    def _see(
        self, place: int, layer: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Forward pre-hook of a decoder layer: its hidden states (B, T, D) pass a block first."""
        if self._looked is None or not self._looked.sees:
            return None
        hidden = inputs[0]
        keys, values, known = self._looked.block(place, len(hidden))
        see = partial(self.sight.blocks[place], known=known)
        if layer.training and layer.gradient_checkpointing and torch.is_grad_enabled():
            hidden = checkpoint(see, hidden, keys, values, use_reentrant=False)
        else:
            hidden = see(hidden, keys, values)
        return (hidden, *inputs[1:]), named


def _layers(lm: PreTrainedModel, submodule: str) -> list[nn.Module]:
    try:
        return list(lm.get_submodule(submodule).children())
    except AttributeError:
        raise UsageError(
            "E_SIGHT_FIT",
            f"The language model has no decoder layers at {submodule[:60]!r}.",
            "Name the path of its list of decoder layers.",
        ) from None


def _embedding(lm: PreTrainedModel) -> nn.Embedding:
    return cast(nn.Embedding, lm.get_input_embeddings())


def _require_fit(blocks: int, hidden_width: int, config: SightConfig) -> None:
    if blocks == 0:
        raise UsageError(
            "E_SIGHT_FIT",
            f"The language model has fewer than {config.every} decoder layers.",
            "Make `every` of the configuration smaller.",
        )
    if hidden_width != config.hidden_width:
        raise UsageError(
            "E_SIGHT_FIT",
            f"The language model is {hidden_width} wide, the sight is for {config.hidden_width}.",
            "Use the language model that the sight was made for.",
        )


def _join_mask_token(lm: PreTrainedModel, token: MaskToken) -> None:
    """Give the language model the token's own vectors in place of its row of the embeddings."""
    rows = len(_embedding(lm).weight)
    if token.token_id >= rows:
        lm.resize_token_embeddings(token.token_id + 1, mean_resizing=False)
    embedding, head = _embedding(lm), cast(nn.Linear, lm.get_output_embeddings())
    token.start_at_mean(embedding, head, rows=rows)
    embedding.register_forward_hook(token.embed)
    head.register_forward_hook(token.score)


def _cannot_train(why: str, remedy: str) -> UsageError:
    return UsageError("E_TRAINABLE", f"This stage cannot be trained: {why}.", remedy)
