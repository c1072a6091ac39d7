"""Decoding that cannot leave the grammar: which tokens may come next, for a loop of our own and for `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assistant.language.grammar.lark import plan_lark
from assistant.language.grammar.text import parse_calls
from assistant.plan import SkillCall
from vision.errors import WeightsError
from vision.extras import require_packages

if TYPE_CHECKING:
    import torch
    from llguidance import LLMatcher, LLTokenizer
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

    from assistant.language.llms.table import ToolFormat

LIMIT = 768
"""Tokens of a plan. Everything that can be segmented, segmented and measured, takes about 300."""

CLOSING = 160
"""Tokens before the limit from which on a plan is only brought to its end; the longest end, letter by letter."""


class Constraint:
    """The grammar of plans over the tokens of one tokenizer, as one model family writes its tool calls.

    Making one takes 0.7 s for 151,000 tokens; keep it. A mask takes 35 microseconds then, 15 for 384 tokens, and never
    more than 0.4 ms (CPU seconds, plans of the rules): little beside the 5 ms a token of the smallest model.

    `ends` are ids that end a turn besides the tokenizer's own. Raises UsageError E_EXTRA without llguidance,
    WeightsError E_LLM for a tokenizer that is not of the tokenizers library.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, tool_format: ToolFormat, *, ends: Sequence[int] = ()
    ) -> None:
        require_packages("A plan of a language model", "llguidance", install="llguidance")
        from llguidance import LLMatcher
        from transformers import PreTrainedTokenizerFast

        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise WeightsError(
                "E_LLM", "This tokenizer is not of the tokenizers library.", "Use a model that has a tokenizer.json."
            )
        self.tool_format = tool_format
        own = () if tokenizer.eos_token_id is None else (int(tokenizer.eos_token_id),)
        self.ends = tuple(dict.fromkeys((*own, *ends)))
        self._tokens = _token_table(tokenizer, self.ends)
        self._lark = LLMatcher.grammar_from_lark(plan_lark(tool_format, special=_special(tokenizer, self._tokens)))
        self._lengthening = _tokens_with(tokenizer, self._tokens.vocab_size, (",", ";"))

    def start(self, *, limit: int = LIMIT) -> PlanMatcher:
        """A plan that is to be written in at most `limit` tokens."""
        from llguidance import LLMatcher

        matcher = LLMatcher(self._tokens, self._lark, log_level=0)
        return PlanMatcher(matcher, self._tokens, self._lengthening, limit)

    def processor(self, *, limit: int = LIMIT) -> PlanLogits:
        """The same for `generate(logits_processor=[...], max_new_tokens=limit + 1)`; one of its own for every call."""
        return PlanLogits(self, limit)

    def read(self, tokens: Sequence[int]) -> list[SkillCall]:
        """The calls that tokens write, those that end a turn left out. Raises UsageError E_PLAN."""
        kept = [token for token in tokens if token not in self.ends]
        return parse_calls(self._tokens.decode_str(kept), self.tool_format)


class PlanMatcher:
    """One plan as it is being written: ask what may come next, then take one of it, until it is done."""

    def __init__(self, matcher: LLMatcher, tokens: LLTokenizer, lengthening: NDArray[np.bool_], limit: int) -> None:
        self._matcher = matcher
        self._ends = list(tokens.eos_tokens)
        self._lengthening = lengthening
        self._left = limit
        self.done = False
        """Whether the token that ends the turn was taken."""
        self.cut = False
        """Whether the limit, not the model, brought the plan to its end."""

    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens may come next, (V,) of the tokenizer's own vocabulary; never none."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = np.unpackbits(bits, count=self._lengthening.size, bitorder="little").view(np.bool_)
        if self._left > CLOSING:
            return allowed
        short = _only(allowed, self._ends) if allowed[self._ends].any() else allowed & ~self._lengthening
        self.cut = self.cut or (bool(short.any()) and bool((short != allowed).any()))
        return short if short.any() else allowed

    def take(self, token: int) -> None:
        """Write one token. Raises ValueError for one that may not come next."""
        if self.done or not self._matcher.consume_token(token):
            raise ValueError("the token may not come next in a plan")
        self._left -= 1
        self.done = token in self._ends


class PlanLogits:
    """A logits processor of transformers: greedy or sampled, batches too, but no beams."""

    def __init__(self, constraint: Constraint, limit: int) -> None:
        self._constraint = constraint
        self._limit = limit
        self._plans: list[PlanMatcher] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (B, V) with -inf where a token may not follow input_ids (B, T); rows that are done stay as they are.

        Raises ValueError for a token that was not allowed: another row's, as beams bring.
        """
        import torch

        if not self._plans:
            self._plans = [self._constraint.start(limit=self._limit) for _ in range(scores.shape[0])]
        else:
            for plan, token in zip(self._plans, input_ids[:, -1].tolist(), strict=True):
                if not plan.done:
                    plan.take(token)
        return torch.stack([scores_allowed(plan, row) for plan, row in zip(self._plans, scores, strict=True)])


def scores_allowed(plan: PlanMatcher, scores: torch.Tensor) -> torch.Tensor:
    """Scores (V,) of the model with -inf where a token may not come next; as they are once the plan is done.

    A model may have more rows than its tokenizer has tokens: what lies beyond is never allowed.
    """
    import torch

    if plan.done:
        return scores
    allowed = torch.zeros(scores.shape[0], dtype=torch.bool)
    known = torch.from_numpy(plan.allowed())[: scores.shape[0]]
    allowed[: known.shape[0]] = known
    return scores.masked_fill(~allowed.to(scores.device), float("-inf"))


def _only(allowed: NDArray[np.bool_], tokens: list[int]) -> NDArray[np.bool_]:
    """Of the allowed ones, those among `tokens`."""
    kept = np.zeros_like(allowed)
    kept[tokens] = allowed[tokens]
    return kept


def _token_table(tokenizer: PreTrainedTokenizerFast, ends: tuple[int, ...]) -> LLTokenizer:
    from llguidance.hf import from_tokenizer

    return from_tokenizer(tokenizer, eos_token=list(ends))


def _special(tokenizer: PreTrainedTokenizerFast, tokens: LLTokenizer) -> dict[str, int]:
    """Tokens that are no text, the longest first, so that none is taken for the beginning of another."""
    added = {token.content: index for index, token in tokenizer.added_tokens_decoder.items()}
    longest_first = sorted(added, key=len, reverse=True)
    return {content: added[content] for content in longest_first if tokens.is_special_token(added[content])}


def _tokens_with(tokenizer: PreTrainedTokenizerFast, size: int, marks: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which of `size` tokens hold one of the marks, (V,)."""
    pieces = (piece or "" for piece in tokenizer.convert_ids_to_tokens(list(range(size))))
    return np.fromiter((any(mark in piece for mark in marks) for piece in pieces), np.bool_, size)
