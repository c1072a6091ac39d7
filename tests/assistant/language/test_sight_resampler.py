"""What a CT becomes before the language model reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from assistant.language.sight import Resampler, Seen, SightConfig
from tests.assistant.language.sighted import STRUCTURES, config, ct
from vision.errors import UsageError
from vision.structures import names


def resampler(**changes: int) -> Resampler:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return Resampler(config(**changes)).eval()


def test_a_ct_becomes_latents_and_one_vector_per_structure() -> None:
    seen = resampler()([ct(1), None])
    assert seen.values.shape == (2, 4 + len(STRUCTURES), 16)
    assert seen.known.tolist() == [[True] * 7, [False] * 7]
    assert not seen.values[1].any()


def test_no_ct_at_all_is_nothing_known() -> None:
    seen = resampler()([None, None])
    assert seen.values.shape == (2, 4, 16)
    assert not seen.known.any()


def test_structures_that_a_ct_has_no_token_of_are_not_known() -> None:
    seen = resampler()([ct(1), ct(2, structures=("spleen",))])
    assert seen.known.sum(1).tolist() == [7, 5]


def test_a_structure_that_the_sight_does_not_know_has_no_token() -> None:
    known, newer = resampler(), resampler(structures=("liver", "pancreas"))
    assert known([ct(1)]).known.sum() == 7
    assert newer([ct(1)]).known.sum() == 6


def test_a_structure_is_told_by_its_name_wherever_it_stands() -> None:
    whole = ct(1)
    order = [2, 0, 1]
    turned = replace(
        whole,
        structures=tuple(whole.structures[place] for place in order),
        pooled=whole.pooled[order],
        presence=whole.presence[order],
        volumes_ml=whole.volumes_ml[order],
        centres_mm=whole.centres_mm[order],
    )
    renamed = replace(whole, structures=("liver", "spleen", "stomach"))
    values = [resampler()([each]).values[0] for each in (whole, turned, renamed)]
    assert torch.allclose(values[0][4:][order], values[1][4:], atol=1e-6)
    assert torch.allclose(values[0][:4], values[1][:4], atol=1e-5)
    assert not torch.allclose(values[0][6], values[2][6], atol=1e-2)


@pytest.mark.parametrize("field", ["latents", "positions_mm", "pooled", "presence", "volumes_ml", "centres_mm"])
def test_everything_of_a_ct_reaches_what_is_seen(field: str) -> None:
    whole = ct(1)
    changed = replace(whole, **{field: whole.__dict__[field].flip(0)})
    assert not torch.allclose(resampler()([whole]).values, resampler()([changed]).values, atol=1e-3)


def test_the_scanners_origin_changes_nothing() -> None:
    here = ct(1)
    moved = torch.tensor([500.0, -80.0, 1250.0])
    there = replace(here, positions_mm=here.positions_mm + moved, centres_mm=here.centres_mm + moved)
    assert torch.allclose(resampler()([here]).values, resampler()([there]).values, atol=1e-4)


def test_what_is_nowhere_has_no_place() -> None:
    here = replace(ct(1), volumes_ml=torch.zeros(3))
    there = replace(here, centres_mm=here.centres_mm + 100)
    assert torch.equal(resampler()([here]).values, resampler()([there]).values)


def test_a_batch_of_two_equals_two_of_one() -> None:
    model, one, other = resampler(), ct(1), ct(2, structures=("liver",), lattice=5)
    together = model([one, other])
    alone: list[Seen] = [model([one]), model([other])]
    assert torch.allclose(together.values[0], alone[0].values[0], atol=1e-5)
    assert torch.allclose(together.values[1, together.known[1]], alone[1].values[0], atol=1e-5)


def test_names_are_those_of_the_structure_table() -> None:
    assert SightConfig(token_width=1, query_width=1, pooled_width=1, hidden_width=1).structures == names()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"latents": 0}, "latents is not a whole number from 1"),
        ({"width": 1.5}, "width is not a whole number from 1"),
        ({"every": True}, "every is not a whole number from 1"),
        ({"heads": 3}, "the width 16 does not split into 3 heads"),
        ({"mask_token_id": -1}, "mask_token_id is not a whole number from 0"),
        ({"structures": ("liver", "liver")}, "structures names one twice"),
    ],
)
def test_sizes_that_no_sight_can_have_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=f"E_SIGHT_CONFIG: No sight can be built: {said}"):
        config(**changes)
