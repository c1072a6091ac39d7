"""Samples as token ids, kept flat: half a million of them fit in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EncodedSample:
    """A prompt and the text to learn, as ids. `masks` are the structures of its mask tokens, in reading order."""

    prompt: tuple[int, ...]
    target: tuple[int, ...]
    ct: str | None = None
    masks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.prompt) + len(self.target)


@dataclass(frozen=True)
class Corpus:
    """Samples one behind the other: `ids` (T,) int32, sample n from `starts[n]` to `starts[n + 1]`, whose text to learn
    begins at `targets[n]`. `cts` and `masks` have an entry a sample, `blind` the number of the sample that says the
    same without facts, or -1. `first` numbers the samples that an epoch draws; the others are reached through `blind`.
    """

    ids: np.ndarray
    starts: np.ndarray
    targets: np.ndarray
    cts: tuple[str | None, ...]
    masks: tuple[tuple[str, ...], ...]
    blind: np.ndarray
    first: np.ndarray

    def length(self, number: int) -> int:
        """Tokens of a sample."""
        return int(self.starts[number + 1] - self.starts[number])


def gather(samples: Iterable[tuple[EncodedSample, EncodedSample | None]], *, longest: int) -> tuple[Corpus, int]:
    """A corpus of samples, each with the one that says the same without facts, and how many were too long for it.

    A sample whose text without facts is too long keeps its facts always.
    """
    kept: list[EncodedSample] = []
    blind: list[int] = []
    first: list[int] = []
    too_long = 0
    for sample, without in samples:
        if len(sample) > longest:
            too_long += 1
            continue
        first.append(len(kept))
        kept.append(sample)
        blind.append(-1)
        if without is not None and len(without) <= longest:
            blind[-1] = len(kept)
            kept.append(without)
            blind.append(-1)
    lengths = np.array([len(sample) for sample in kept], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    prompts = np.array([len(sample.prompt) for sample in kept], dtype=np.int64)
    ids = np.fromiter(
        (token for sample in kept for part in (sample.prompt, sample.target) for token in part),
        dtype=np.int32,
        count=int(starts[-1]),
    )
    corpus = Corpus(
        ids=ids,
        starts=starts,
        targets=starts[:-1] + prompts,
        cts=tuple(sample.ct for sample in kept),
        masks=tuple(sample.masks for sample in kept),
        blind=np.array(blind, dtype=np.int64),
        first=np.array(first, dtype=np.int64),
    )
    return corpus, too_long
