"""The likeliest plan, token by token: a plain loop over a causal language model of transformers, with its cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from assistant.language.grammar.constraint import PlanMatcher

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def write_plan(lm: PreTrainedModel, prompt: Sequence[int], plan: PlanMatcher) -> list[int]:
    """The tokens of the plan that `lm` writes after a prompt, the one that ends the turn included.

    Of the tokens that may come next the likeliest is taken, the first of several; logits that are no numbers count as
    unlikeliest, so that even a broken model writes a plan. Raises what torch raises when memory runs out.
    """
    written: list[int] = []
    cache = None
    ids = torch.tensor([list(prompt)], device=lm.device)
    with torch.inference_mode():
        while not plan.done:
            output = lm(input_ids=ids, cache=cache, use_cache=True, logits_to_keep=1)
            logits = output.logits[0, -1]
            may = np.flatnonzero(plan.allowed()[: logits.shape[0]])
            scores = logits[torch.from_numpy(may).to(logits.device)].float().nan_to_num(nan=float("-inf"))
            token = int(may[int(scores.argmax())])
            plan.take(token)
            written.append(token)
            cache, ids = output.cache, torch.tensor([[token]], device=lm.device)
    return written
