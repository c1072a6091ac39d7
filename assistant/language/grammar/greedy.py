"""The likeliest tokens under a grammar, one by one: a plain loop over a causal language model of transformers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from assistant.language.grammar.constraint import PlanMatcher

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Step:
    """One token, and how likely it was among those that might come."""

    token: int
    chance: float


@dataclass(frozen=True)
class WrittenPlan:
    """The tokens of a plan, the one that ends the turn included, and how likely all of them were together."""

    tokens: tuple[int, ...]
    chance: float


def write_plan(lm: PreTrainedModel, prompt: Sequence[int], plan: PlanMatcher) -> WrittenPlan:
    """The plan that `lm` writes after a prompt.

    Taken as `likeliest` does, so that even a broken model writes a plan. Raises what torch raises when memory runs out.
    """
    steps: list[Step] = []
    for step in likeliest(lm, prompt, plan.allowed):
        plan.take(step.token)
        steps.append(step)
        if plan.done:
            break
    return WrittenPlan(tuple(step.token for step in steps), math.prod(step.chance for step in steps))


def likeliest(
    lm: PreTrainedModel,
    prompt: Sequence[int],
    allowed: Callable[[], NDArray[np.bool_]],
    *,
    held: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[Step]:
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
        best = int(scores.argmax())
        token = int(may[best])
        yield Step(token, float(scores.softmax(0)[best].nan_to_num(nan=0.0)))
        cache, ids = output.cache, torch.tensor([[token]], device=lm.device)
