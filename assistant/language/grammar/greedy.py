"""The likeliest tokens under a grammar, one by one: a plain loop over a causal language model of transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from assistant.language.grammar.constraint import PlanMatcher

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def write_plan(lm: PreTrainedModel, prompt: Sequence[int], plan: PlanMatcher) -> list[int]:
    """The tokens of the plan that `lm` writes after a prompt, the one that ends the turn included.

    Taken as `likeliest` does, so that even a broken model writes a plan. Raises what torch raises when memory runs out.
    """
    written: list[int] = []
    for token in likeliest(lm, prompt, plan.allowed):
        plan.take(token)
        written.append(token)
        if plan.done:
            break
    return written


def likeliest(
    lm: PreTrainedModel,
    prompt: Sequence[int],
    allowed: Callable[[], NDArray[np.bool_]],
    *,
    held: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[int]:
    """The tokens that `lm` writes after a prompt, without end; `allowed` (V,) is asked anew before each.

    Of the tokens that may come next the likeliest is taken, the first of several; logits that are no numbers count as
    unlikeliest. `held` is entered for each step of the model, not while a token is with the caller.
    """
    cache = None
    ids = torch.tensor([list(prompt)], device=lm.device)
    while True:
        with torch.inference_mode(), held():
            output = lm(input_ids=ids, cache=cache, use_cache=True, logits_to_keep=1)
            logits = output.logits[0, -1]
        may = np.flatnonzero(allowed()[: logits.shape[0]])
        scores = logits[torch.from_numpy(may).to(logits.device)].float().nan_to_num(nan=float("-inf"))
        token = int(may[int(scores.argmax())])
        yield token
        cache, ids = output.cache, torch.tensor([[token]], device=lm.device)
