"""The likeliest words under the grammar, token by token: what a language model writes about the records of a turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from assistant.language.taught import MASK
from assistant.language.wording.grammar import words_lark
from vision.errors import WeightsError
from vision.extras import require_packages

if TYPE_CHECKING:
    from llguidance import LLMatcher
    from transformers import PreTrainedTokenizerFast

    from assistant.language.llms.load import LoadedLLM
    from assistant.language.sight import Looked, SightedLM
    from vision.models.coarse_to_fine.tokens import CTTokens

LIMIT = 400
"""Tokens of an answer; twenty short sentences have fewer."""


class Eyes:
    """A sight that looks once at each CT, not at every question about it."""

    def __init__(self, sighted: SightedLM) -> None:
        self.sighted = sighted
        self._seen: tuple[CTTokens, Looked] | None = None

    def look(self, tokens: CTTokens) -> Looked:
        """The CT as the decoder layers read it."""
        import torch

        if self._seen is None or self._seen[0] is not tokens:
            with torch.inference_mode():
                self._seen = (tokens, self.sighted.look([tokens]))
        return self._seen[1]


class Writer:
    """Greedy writing by one language model; `eyes` are its sight, None where it has none.

    Making one takes about a second for 150,000 tokens; keep it. Raises UsageError E_EXTRA without llguidance,
    WeightsError E_LLM for a tokenizer that is not of the tokenizers library.
    """

    def __init__(self, llm: LoadedLLM, eyes: Eyes | None) -> None:
        require_packages("Words of a language model", "llguidance", install="llguidance")
        from llguidance.hf import from_tokenizer

        if not llm.tokenizer.is_fast:
            raise WeightsError(
                "E_LLM", "This tokenizer is not of the tokenizers library.", "Use a model that has a tokenizer.json."
            )
        self._llm = llm
        self._eyes = eyes
        added = {token.content: index for index, token in llm.tokenizer.added_tokens_decoder.items()}
        self._mask_token_id = added.get(MASK)
        tokenizer = cast("PreTrainedTokenizerFast", llm.tokenizer)
        self._tokens = from_tokenizer(tokenizer, eos_token=llm.ends)

    def write(
        self, prompt: Sequence[int], slots: Sequence[str], *, tokens: CTTokens | None, limit: int = LIMIT
    ) -> Iterator[str]:
        """The text so far after each token that follows a prompt, mask tokens left out, at most `limit` of them.

        Taken as `likeliest` does. `tokens` are the CT that is seen. Raises what torch raises when memory runs out.
        """
        from assistant.language.grammar.greedy import likeliest

        matcher = self._matcher(slots)
        written: list[int] = []
        for step in likeliest(self._llm.model, prompt, lambda: _allowed(matcher), held=self._sight(tokens)):
            token = step.token
            matcher.consume_token(token)
            if token in self._tokens.eos_tokens or len(written) >= limit:
                return
            if token != self._mask_token_id:
                written.append(token)
                yield self._tokens.decode_str(written)
            if matcher.is_stopped():
                return

    def _matcher(self, slots: Sequence[str]) -> LLMatcher:
        from llguidance import LLMatcher

        lark = words_lark(slots, mask_token_id=self._mask_token_id)
        return LLMatcher(self._tokens, LLMatcher.grammar_from_lark(lark), log_level=0)

    def _sight(self, tokens: CTTokens | None) -> Callable[[], AbstractContextManager[None]]:
        """What is held while the model reads: the CT that it sees, nothing where it has no sight."""
        if self._eyes is None:
            return nullcontext
        sighted, looked = self._eyes.sighted, None if tokens is None else self._eyes.look(tokens)
        return lambda: sighted.looking(looked)


def _allowed(matcher: LLMatcher) -> NDArray[np.bool_]:
    """Which tokens may come next, (V,)."""
    return np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little").view(np.bool_)
