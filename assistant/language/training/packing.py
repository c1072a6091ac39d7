"""Rows of several conversations each, kept apart by the attention mask: nothing is padded away, nothing leaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from assistant.language.training.encoded import Corpus

IGNORED = -100
"""The label of a token that is not learned, as transformers counts it."""

WINDOW = 512
"""Samples that are packed at a time: enough to fill rows, few enough that an order stays random."""


@dataclass(frozen=True)
class Batch:
    """Rows to learn from. `ids`, `labels` and `segments` (B, T) int64; a segment is one conversation, 0 is padding.

    `cts` has one CT a row, None for none; `masks` the structures of the mask tokens, row by row in reading order.
    """

    ids: Tensor
    labels: Tensor
    segments: Tensor
    cts: tuple[str | None, ...]
    masks: tuple[str, ...]

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(self.ids.to(device), self.labels.to(device), self.segments.to(device), self.cts, self.masks)


def apart(segments: Tensor) -> Tensor:
    """(B, 1, T, T) bool: which earlier token each token may look at, those of its own conversation.

    Positions run on through a row. RoPE turns queries and keys by their distance, so what stands before a conversation
    moves nothing in it; padding looks at itself, since attention to nothing is NaN.
    """
    same = segments[:, :, None] == segments[:, None, :]
    return (same & torch.ones_like(same).tril())[:, None]


def epoch_rows(corpus: Corpus, *, row_tokens: int, facts_dropped: float, seed: int, epoch: int) -> list[list[int]]:
    """The rows of one epoch: every sample once, in an order of its own, those of a row about one CT.

    A sample that can is told without facts with probability `facts_dropped`.
    """
    rng = np.random.default_rng([seed, epoch])
    drawn = np.where(rng.random(len(corpus.first)) < facts_dropped, corpus.blind[corpus.first], -1)
    numbers = np.where(drawn >= 0, drawn, corpus.first)[rng.permutation(len(corpus.first))]
    rows: list[list[int]] = []
    for start in range(0, len(numbers), WINDOW):
        by_ct: dict[str | None, list[int]] = {}
        for number in numbers[start : start + WINDOW].tolist():
            by_ct.setdefault(corpus.cts[number], []).append(number)
        for same_ct in by_ct.values():
            packed = first_fit([corpus.length(number) for number in same_ct], row_tokens)
            rows += [[same_ct[place] for place in places] for places in packed]
    return [rows[place] for place in rng.permutation(len(rows))]


def first_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Places of `lengths` in rows of at most `capacity`, the longest first, each in the first row that has room.

    No more than 11/9 of the fewest rows plus one (Johnson 1973). Raises ValueError for one that no row can hold.
    """
    rows: list[list[int]] = []
    room: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        length = lengths[place]
        if length > capacity:
            raise ValueError(f"{length} tokens do not fit a row of {capacity}")
        row = next((number for number, left in enumerate(room) if left >= length), None)
        if row is None:
            rows.append([place])
            room.append(capacity - length)
        else:
            rows[row].append(place)
            room[row] -= length
    return rows


def collate(corpus: Corpus, rows: Sequence[Sequence[int]], *, pad: int) -> Batch:
    """Lay rows of samples out, as long as the longest of them."""
    width = max(sum(corpus.length(number) for number in row) for row in rows)
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    labels = np.full((len(rows), width), IGNORED, dtype=np.int64)
    segments = np.zeros((len(rows), width), dtype=np.int64)
    for row, numbers in enumerate(rows):
        place = 0
        for segment, number in enumerate(numbers, 1):
            start, target, stop = corpus.starts[number], corpus.targets[number], corpus.starts[number + 1]
            end = place + int(stop - start)
            ids[row, place:end] = corpus.ids[start:stop]
            labels[row, end - int(stop - target) : end] = corpus.ids[target:stop]
            segments[row, place:end] = segment
            place = end
    return Batch(
        ids=torch.from_numpy(ids),
        labels=torch.from_numpy(labels),
        segments=torch.from_numpy(segments),
        cts=tuple(corpus.cts[row[0]] for row in rows),
        masks=tuple(name for row in rows for number in row for name in corpus.masks[number]),
    )


@dataclass(frozen=True)
class Supply:
    """Batches of a corpus without end; batch n is the same batch always, whoever asks and from where on.

    Of several processes, number `rank` of `ranks` takes every `ranks`-th.
    """

    corpus: Corpus
    row_tokens: int
    rows: int
    facts_dropped: float
    pad: int
    seed: int
    rank: int = 0
    ranks: int = 1

    def batches(self, first: int) -> Iterator[Batch]:
        """Batches from number `first` of this process on."""
        number, wanted = 0, first * self.ranks + self.rank
        epoch = 0
        while True:
            rows = epoch_rows(
                self.corpus,
                row_tokens=self.row_tokens,
                facts_dropped=self.facts_dropped,
                seed=self.seed,
                epoch=epoch,
            )
            for start in range(0, len(rows), self.rows):
                if number == wanted:
                    yield collate(self.corpus, rows[start : start + self.rows], pad=self.pad)
                    wanted += self.ranks
                number += 1
            epoch += 1
