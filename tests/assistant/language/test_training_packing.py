"""Packing: rows hold whole conversations, nothing leaks between them, every batch is the same batch always."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assistant.language.llms.tiny import tiny_llm
from assistant.language.training.encoded import Corpus, EncodedSample, gather
from assistant.language.training.packing import (
    IGNORED,
    Supply,
    apart,
    collate,
    epoch_rows,
    first_fit,
)


def sample_of(number: int, *, ct: str | None = None, masks: tuple[str, ...] = ()) -> EncodedSample:
    """A sample of its own tokens: 10 + number, as many as its number says."""
    return EncodedSample((10 + number,) * (2 + number % 3), (10 + number,) * (1 + number % 4), ct=ct, masks=masks)


def corpus_of(*samples: EncodedSample, blind: EncodedSample | None = None) -> Corpus:
    corpus, _ = gather([(sample, blind) for sample in samples], longest=64)
    return corpus


def supply_of(corpus: Corpus, *, rank: int = 0, ranks: int = 1) -> Supply:
    return Supply(corpus, row_tokens=16, rows=2, facts_dropped=0.3, pad=0, seed=3, rank=rank, ranks=ranks)


@given(st.lists(st.integers(1, 20), max_size=40))
def test_rows_hold_every_sample_once_and_never_too_much(lengths: list[int]) -> None:
    rows = first_fit(lengths, 20)
    assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
    assert all(sum(lengths[place] for place in row) <= 20 for row in rows)


def test_a_sample_longer_than_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="21 tokens do not fit a row of 20"):
        first_fit([3, 21], 20)


def test_samples_too_long_are_left_out_and_counted() -> None:
    long = EncodedSample((1,) * 60, (2,) * 5)
    corpus, too_long = gather([(sample_of(1), None), (long, None), (sample_of(2), long)], longest=64)
    assert too_long == 1
    assert len(corpus.first) == 2
    assert corpus.blind.tolist() == [-1, -1]


def test_a_row_is_about_one_ct() -> None:
    corpus = corpus_of(*(sample_of(number, ct=f"ct{number % 3}") for number in range(30)))
    rows = epoch_rows(corpus, row_tokens=16, facts_dropped=0.0, seed=0, epoch=0)
    assert sorted(number for row in rows for number in row) == list(range(30))
    assert all(len({corpus.cts[number] for number in row}) == 1 for row in rows)
    assert any(len(row) > 1 for row in rows)


@pytest.mark.parametrize(("share", "told"), [(0.0, 0), (1.0, 40), (0.3, 12)])
def test_facts_are_withheld_as_often_as_asked(share: float, told: int) -> None:
    corpus = corpus_of(*(sample_of(number) for number in range(40)), blind=EncodedSample((7,), (8,)))
    rows = epoch_rows(corpus, row_tokens=16, facts_dropped=share, seed=1, epoch=0)
    numbers = [number for row in rows for number in row]
    blind = sum(number not in set(corpus.first.tolist()) for number in numbers)
    assert len(numbers) == 40
    assert abs(blind - told) <= 4


def test_only_targets_are_learned() -> None:
    samples = [EncodedSample((11, 12), (13, 14), masks=("liver",)), EncodedSample((15,), (16,), masks=("spleen",))]
    batch = collate(corpus_of(*samples), [[0, 1]], pad=0)
    assert batch.ids.tolist() == [[11, 12, 13, 14, 15, 16]]
    assert batch.labels.tolist() == [[IGNORED, IGNORED, 13, 14, IGNORED, 16]]
    assert batch.segments.tolist() == [[1, 1, 1, 1, 2, 2]]
    assert batch.masks == ("liver", "spleen")


def test_a_packed_conversation_reads_as_it_does_alone() -> None:
    """The whole point of packing: the logits of every conversation are those that it has in a row of its own."""
    lm = tiny_llm("Qwen3ForCausalLM")
    corpus = corpus_of(*(sample_of(number) for number in range(5)))
    packed = collate(corpus, [[0, 1, 2, 3, 4]], pad=0)
    with torch.no_grad():
        together = lm(input_ids=packed.ids, attention_mask=apart(packed.segments)).logits[0]
        place = 0
        for number in range(5):
            alone = collate(corpus, [[number]], pad=0)
            logits = lm(input_ids=alone.ids).logits[0]
            torch.testing.assert_close(together[place : place + len(logits)], logits, atol=1e-4, rtol=1e-4)
            place += len(logits)


def test_padding_moves_nothing_and_stays_finite() -> None:
    lm = tiny_llm("Qwen3ForCausalLM")
    corpus = corpus_of(sample_of(1), sample_of(2), sample_of(3))
    batch = collate(corpus, [[0], [1, 2]], pad=0)
    with torch.no_grad():
        both = lm(input_ids=batch.ids, attention_mask=apart(batch.segments)).logits
        alone = lm(input_ids=collate(corpus, [[0]], pad=0).ids).logits[0]
    assert bool(torch.isfinite(both).all())
    torch.testing.assert_close(both[0, : len(alone)], alone, atol=1e-4, rtol=1e-4)


def test_batch_number_n_is_the_same_from_wherever_one_starts() -> None:
    supply = supply_of(corpus_of(*(sample_of(number) for number in range(20))))
    whole = list(islice(supply.batches(0), 12))
    for first in (1, 5, 11):
        assert torch.equal(next(supply.batches(first)).ids, whole[first].ids)


def test_epochs_differ_in_their_order() -> None:
    corpus = corpus_of(*(sample_of(number) for number in range(20)))
    orders = [epoch_rows(corpus, row_tokens=16, facts_dropped=0.0, seed=0, epoch=epoch) for epoch in (0, 1)]
    assert orders[0] != orders[1]


def test_processes_share_the_batches_out() -> None:
    corpus = corpus_of(*(sample_of(number) for number in range(20)))
    whole = list(islice(supply_of(corpus).batches(0), 6))
    for rank in (0, 1):
        own = list(islice(supply_of(corpus, rank=rank, ranks=2).batches(0), 3))
        assert all(torch.equal(batch.ids, whole[2 * n + rank].ids) for n, batch in enumerate(own))


def test_a_corpus_keeps_ids_and_targets_of_every_sample() -> None:
    samples = [sample_of(number) for number in range(7)]
    corpus = corpus_of(*samples)
    for number, sample in enumerate(samples):
        start, stop = corpus.starts[number], corpus.starts[number + 1]
        np.testing.assert_array_equal(corpus.ids[start:stop], [*sample.prompt, *sample.target])
        assert stop - corpus.targets[number] == len(sample.target)
