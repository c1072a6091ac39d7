"""Presets, settled wishes, and wishes read from words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vision.errors import UsageError
from vision.synthesis.tumours import Preset, Wish, presets, settle
from vision.synthesis.tumours.presets import NATIVE_BELOW_HU
from vision.synthesis.tumours.protocol import KINDS, ORGANS, PARTS, Attenuation, Organ
from vision.synthesis.tumours.words import organ_named, read_words, vocabulary


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("row", presets(), ids=lambda row: f"{row.organ}-{row.name}")
def test_every_preset_row_holds_ranges_probabilities_and_a_source(row: Preset) -> None:
    assert row.organ in ORGANS
    assert row.kind in KINDS
    for low, high in (row.diameter_mm, row.contrast_hu, row.native_hu, row.texture_hu, row.edge_mm):
        assert low <= high
    assert tuple(row.parts) == PARTS
    assert all(0 <= chance <= 1 for chance in (*row.parts.values(), row.sticks_out, row.share))
    assert row.source


@pytest.mark.parametrize("organ", ORGANS)
def test_the_shares_of_an_organs_tumours_add_up_to_one(organ: Organ) -> None:
    for kind in {row.kind for row in presets() if row.organ == organ}:
        assert sum(row.share for row in presets() if (row.organ, row.kind) == (organ, kind)) == pytest.approx(1)


@pytest.mark.parametrize("row", presets(), ids=lambda row: f"{row.organ}-{row.name}")
@pytest.mark.parametrize("native", [True, False])
def test_the_contrast_has_the_sign_of_the_attenuation_in_every_phase(row: Preset, native: bool) -> None:
    organ_hu = NATIVE_BELOW_HU[row.organ] + (-12 if native else 40)
    for seed in range(5):
        settled = settle(Wish(row.organ, row.kind), [row], rng(seed), organ_hu=organ_hu)
        assert {
            "hypo": settled.contrast_hu < -3,
            "hyper": settled.contrast_hu > 3,
            "iso": abs(settled.contrast_hu) < 9,
        }[row.attenuation]


def test_a_solid_tumour_is_never_darker_than_fluid() -> None:
    settled = [settle(Wish("liver", attenuation="hypo"), presets(), rng(seed), organ_hu=75) for seed in range(30)]
    assert min(one.organ_hu + one.contrast_hu for one in settled) >= 8


def test_a_cyst_has_the_hu_of_fluid_in_any_phase() -> None:
    for organ_hu in (40, 100, 200):
        settled = settle(Wish("kidney", "cyst"), presets(), rng(), organ_hu=organ_hu)
        assert -5 <= settled.organ_hu + settled.contrast_hu <= 15


def test_what_is_wished_is_what_is_settled() -> None:
    wish = Wish("liver", diameter_mm=23, attenuation="hyper", exophytic="inside", parts=("capsule",))
    settled = settle(wish, presets(), rng(), centre=(1, 2, 3))
    assert (settled.diameter_mm, settled.attenuation, settled.parts) == (23, "hyper", ("capsule",))
    assert settled.centre == (1, 2, 3)


def test_small_tumours_have_no_necrosis_and_a_sharp_edge() -> None:
    settled = [settle(Wish("kidney", diameter_mm=6), presets(), rng(seed)) for seed in range(40)]
    assert not any("necrotic core" in one.parts for one in settled)
    assert max(one.edge_mm for one in settled) <= 0.72


def test_a_lesion_that_nobody_describes_is_refused() -> None:
    with pytest.raises(UsageError, match="cyst of the colon") as refused:
        settle(Wish("colon", "cyst"), presets(), rng())
    assert refused.value.code == "E_TUMOUR_PRESET"


@pytest.mark.parametrize("diameter_mm", [0.5, 400.0])
def test_an_impossible_size_is_refused(diameter_mm: float) -> None:
    with pytest.raises(UsageError, match="cannot be painted") as refused:
        settle(Wish("liver", diameter_mm=diameter_mm), presets(), rng())
    assert refused.value.code == "E_TUMOUR_SIZE"


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("large hypodense", Wish("liver", diameter_mm=40, attenuation="hypo")),
        ("3 cm", Wish("liver", diameter_mm=30)),
        ("a 12 x 9 mm hyper-attenuating liver lesion", Wish("liver", diameter_mm=10.5, attenuation="hyper")),
        ("small, 2,5 cm mass", Wish("liver", diameter_mm=25)),
        (
            "small hyperattenuating cyst with calcification",
            Wish("liver", "cyst", diameter_mm=10, attenuation="hyper", parts=("calcification",)),
        ),
        ("renal tumor, exophytic, necrotic", Wish("kidney", exophytic="may_stick_out", parts=("necrotic core",))),
        ("rim-enhancing metastases", Wish("liver", parts=("rim",))),
    ],
)
def test_a_phrase_is_read_as_a_wish(words: str, wish: Wish) -> None:
    organ = organ_named(words) or "liver"
    assert read_words(words, organ=organ) == replace(wish, words=words)


@pytest.mark.parametrize("word", vocabulary())
def test_every_word_of_the_table_changes_the_wish_as_it_says(word: str) -> None:
    says, value = vocabulary()[word]
    wish = read_words(word, organ=None if says == "organ" else "colon")
    said: dict[str, object] = {
        "size": wish.diameter_mm,
        "attenuation": wish.attenuation,
        "kind": wish.kind,
        "organ": wish.organ,
        "part": wish.parts and wish.parts[0],
        "growth": wish.exophytic,
        "nothing": "",
    }
    assert said[says] == (float(value) if says == "size" else value)


def test_larger_words_mean_larger_tumours() -> None:
    sizes = [read_words(word, organ="liver").diameter_mm or 0 for word in ("tiny", "small", "medium", "large", "huge")]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("hypodnse", "hypodense"),
        ("large small", "more than one size"),
        ("hypodense hyperdense", "more than one attenuation"),
        ("exophytic endophytic", "more than one way to grow"),
        ("liver", "more than one organ"),
    ],
)
def test_words_that_mean_nothing_or_contradict_are_refused(words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        read_words(words, organ="kidney")
    assert refused.value.code == "E_TUMOUR_WORDS"
    assert "hypodnse" not in str(refused.value)


def test_words_without_an_organ_are_refused_when_none_is_given() -> None:
    with pytest.raises(UsageError, match="do not name an organ"):
        read_words("large")


def test_the_attenuation_of_a_wish_chooses_the_preset() -> None:
    chosen: tuple[Attenuation, ...] = ("hypo", "iso", "hyper")
    for attenuation in chosen:
        assert settle(Wish("pancreas", attenuation=attenuation), presets(), rng()).attenuation == attenuation
