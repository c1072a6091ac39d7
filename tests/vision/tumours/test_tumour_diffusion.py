"""The diffusion engine with an untrained tiny network: what holds whatever the weights are."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.vision.tumours.bodies import organ_in_fat
from tests.vision.tumours.tiny_diffusion import TINY, tiny_engine, tiny_network
from vision.errors import UsageError, WeightsError
from vision.synthesis.tumours import Tumour, Wish, make_engine, presets, settle, synthesise
from vision.synthesis.tumours.diffusion.config import DiffusionConfig, read_config
from vision.synthesis.tumours.diffusion.engine import sampled_change
from vision.synthesis.tumours.diffusion.networks import Asked, LatentDiffusion
from vision.synthesis.tumours.diffusion.storage import SHIPPED, open_diffusion, save_diffusion
from vision.synthesis.tumours.protocol import Spacing
from vision.synthesis.tumours.words import read_words

MILLIMETRE = (1.0, 1.0, 1.0)
ASKED = Asked("liver", "tumour", 60.0, 110.0, 16.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def painted(wish: Wish, *, seed: int = 0, spacing: Spacing = MILLIMETRE) -> tuple[np.ndarray, np.ndarray, Tumour]:
    """The CT before, its organ, and the tumour."""
    ct, organ = organ_in_fat(spacing=spacing)
    return ct, organ, synthesise(ct, organ, spacing, wish=wish, engine=tiny_engine(), rng=rng(seed))


def latent_of(asked: Asked = ASKED, *, seed: int = 0) -> torch.Tensor:
    """A sample for a ball in the middle of a crop of 16 voxels, before the nearest codes are taken."""
    hu, inside = (torch.from_numpy(each).float()[None, None] for each in organ_in_fat(32, 8, spacing=(2.0, 2.0, 2.0)))
    network, generator = tiny_network(), torch.Generator().manual_seed(seed)
    conditions = network.conditions(network.to_unit(hu), inside, [asked])
    return network.sample(conditions, torch.randn(1, TINY.code_width, 4, 4, 4, generator=generator), generator)


def saved(folder: Path) -> Path:
    save_diffusion(
        tiny_network(),
        folder,
        organs=("liver",),
        recipe={"seed": 0},
        trained_steps={"denoiser": 0},
        trained_seconds={"denoiser": 0.4},
    )
    return folder


def test_the_ct_is_bit_identical_outside_the_blurred_support() -> None:
    ct, _, tumour = painted(Wish("liver", diameter_mm=14))
    widest = max(row.edge_mm[1] for row in presets() if row.organ == "liver")
    far = ndimage.distance_transform_edt(~tumour.mask) > 4 * np.hypot(widest, 0.3)
    assert (tumour.ct[far] == ct[far]).all()
    assert (tumour.ct[~far] != ct[~far]).any()
    assert tumour.ct.dtype == ct.dtype


def test_the_mask_lies_in_the_organ_in_one_piece_and_the_facts_name_the_engine() -> None:
    _, organ, tumour = painted(Wish("liver", diameter_mm=20))
    assert not (tumour.mask & ~organ).any()
    assert ndimage.label(tumour.mask, np.ones((3, 3, 3)))[1] == 1
    assert tumour.facts.engine == "diffusion"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_tumour() -> None:
    one, two, other = (painted(Wish("liver", diameter_mm=12), seed=seed)[2] for seed in (3, 3, 4))
    assert one.ct.tobytes() == two.ct.tobytes()
    assert one.facts == two.facts
    assert (one.mask != other.mask).any()


@pytest.mark.parametrize("spacing", [(0.8, 0.8, 2.5), (2.0, 0.9, 1.3)])
def test_the_wished_diameter_holds_in_mm_at_any_spacing(spacing: Spacing) -> None:
    tumour = painted(Wish("liver", diameter_mm=18), spacing=spacing)[2]
    assert tumour.facts.equivalent_diameter_mm == pytest.approx(18, rel=0.06)


@pytest.mark.parametrize(("word", "sign"), [("hypodense", -1), ("hyperdense", 1)])
def test_a_word_of_attenuation_moves_the_hu_in_the_stated_direction(word: str, sign: int) -> None:
    wish = replace(read_words(f"{word} 16 mm lesion", organ="liver"), parts=())
    facts = painted(wish, seed=5)[2].facts
    assert sign * facts.hu_change > 8
    assert sign * (facts.hu_inside - facts.hu_organ) > 8


def test_a_larger_word_gives_a_larger_tumour() -> None:
    volumes = [painted(read_words(word, organ="liver"))[2].facts.volume_ml for word in ("tiny", "small", "medium")]
    assert volumes == sorted(set(volumes))


def test_the_mean_is_the_settled_one_whatever_the_network_says() -> None:
    ct, organ = organ_in_fat()
    wish = settle(Wish("liver", diameter_mm=20, parts=()), presets(), rng(), organ_hu=110, centre=(32, 32, 32))
    result = tiny_engine().paint(ct.astype(np.float32), organ, MILLIMETRE, wish, rng())
    inside = (ct + result.change)[result.mask]
    assert inside.mean() == pytest.approx(wish.organ_hu + wish.contrast_hu, abs=0.1)


def test_a_calcification_that_was_wished_is_painted() -> None:
    ct, organ = organ_in_fat()
    wish = settle(Wish("liver", parts=("calcification",)), presets(), rng(), organ_hu=110, centre=(32, 32, 32))
    result = tiny_engine().paint(ct.astype(np.float32), organ, MILLIMETRE, replace(wish, diameter_mm=20), rng())
    assert result.parts == ("calcification",)
    assert (ct + result.change)[result.mask].max() > 160


@pytest.mark.parametrize(
    "changed",
    [
        {"organ": "kidney"},
        {"kind": "cyst"},
        {"level_hu": 150.0},
        {"organ_hu": 60.0},
        {"diameter_mm": 8.0},
    ],
)
def test_everything_that_is_asked_for_reaches_the_sample(changed: dict[str, Any]) -> None:
    assert (latent_of(replace(ASKED, **changed)) - latent_of()).abs().max() > 1e-4


def test_noise_and_what_surrounds_the_tumour_reach_the_sample() -> None:
    assert (latent_of(seed=1) != latent_of()).any()
    network, inside = tiny_network(), torch.zeros(1, 1, 16, 16, 16)
    inside[..., 4:12, 4:12, 4:12] = 1
    ct = torch.zeros(1, 1, 16, 16, 16)
    other_inside, other_outside = ct.clone(), ct.clone()
    other_inside[..., 6:10, 6:10, 6:10] = 1
    other_outside[..., :4] = 1
    known = [network.conditions(one, inside, [ASKED]).known for one in (ct, other_inside, other_outside)]
    assert (known[0] == known[1]).all()
    assert (known[0] != known[2]).any()


def test_a_crop_of_any_size_comes_back_in_its_size() -> None:
    hu, inside = np.full((13, 18, 9), 100, np.float32), np.zeros((13, 18, 9), np.float32)
    inside[4:8, 6:10, 3:6] = 1
    change = sampled_change(tiny_network(), hu, inside, ASKED, rng())
    assert change.shape == hu.shape
    assert np.isfinite(change).all()


def test_four_steps_see_the_noise_that_difftumor_says() -> None:
    shares = LatentDiffusion(DiffusionConfig(unet_widths=(16,), widths=(4,), codes=4)).scheduler.alphas_cumprod
    assert shares[:3].tolist() == pytest.approx([0.847, 0.494, 0.144], abs=2e-3)
    assert shares[3] < 1e-3


def test_latents_lie_in_the_range_of_the_codes_and_a_code_is_its_own_nearest() -> None:
    network = tiny_network()
    latent = network.encode(torch.rand(1, 1, 16, 16, 16) * 2 - 1)
    assert latent.shape == (1, TINY.code_width, 4, 4, 4)
    assert latent.abs().max() <= 1
    codes = network.codebook()
    found, _ = network.autoencoder.quantize(codes[:, :, None, None, None])
    assert torch.allclose(found[:, :, 0, 0, 0], codes, atol=1e-6)


def test_an_organ_that_was_not_learned_is_refused() -> None:
    ct, organ = organ_in_fat()
    with pytest.raises(UsageError, match="have not learned tumours of the pancreas") as refused:
        synthesise(ct, organ, MILLIMETRE, wish=Wish("pancreas", diameter_mm=9), engine=tiny_engine(), rng=rng())
    assert refused.value.code == "E_TUMOUR_ORGAN"


def test_an_organ_without_room_is_refused() -> None:
    ct, organ = organ_in_fat(radius_mm=6)
    with pytest.raises(UsageError, match="no room"):
        synthesise(ct, organ, MILLIMETRE, wish=Wish("liver", diameter_mm=40), engine=tiny_engine(), rng=rng())


def test_saved_weights_come_back_in_half_precision_and_paint(tmp_path: Path) -> None:
    engine = make_engine("diffusion", weights=saved(tmp_path))
    network = open_diffusion(tmp_path).network
    assert network.config == TINY
    for name, tensor in tiny_network().state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor.half().float()), name
    ct, organ = organ_in_fat(32, 12)
    assert synthesise(ct, organ, MILLIMETRE, wish=Wish("liver", diameter_mm=8), engine=engine, rng=rng()).mask.any()
    with pytest.raises(UsageError, match="have not learned tumours of the kidney"):
        synthesise(ct, organ, MILLIMETRE, wish=Wish("kidney", diameter_mm=8), engine=engine, rng=rng())


def test_a_folder_without_weights_says_how_to_train(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="bodymaps train diffusion") as refused:
        make_engine("diffusion", weights=tmp_path)
    assert refused.value.code == "E_DIFFUSION_WEIGHTS"


@pytest.mark.skipif(SHIPPED.is_dir(), reason="weights come with the package")
def test_a_package_without_weights_says_so() -> None:
    with pytest.raises(WeightsError, match="no weights of the diffusion engine"):
        make_engine("diffusion")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"more": 1}, "exactly network, organs"),
        ({"organs": ["liver", "lung"]}, "organs is not"),
        ({"organs": []}, "organs is not"),
        ({"sha256": 3}, "sha256 is not"),
        ({"network": {}}, "network does not have exactly"),
        ({"network": {**TINY.as_json(), "codes": 0}}, "network.codes is not an integer"),
        ({"network": {**TINY.as_json(), "unet_widths": [16, 12]}}, "network.unet_widths is not a list of multiples"),
        ({"network": {**TINY.as_json(), "unet_widths": [8]}}, "multiples of 8 from 16 on"),
        ({"network": {**TINY.as_json(), "steps": True}}, "network.steps is not an integer"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    description = saved(tmp_path) / "diffusion.json"
    description.write_text(json.dumps({**json.loads(description.read_text()), **changes}))
    with pytest.raises(WeightsError, match=said) as refused:
        open_diffusion(tmp_path)
    assert refused.value.code == "E_WEIGHTS_DESCRIPTION"


def test_a_description_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (saved(tmp_path) / "diffusion.json").write_text("{")
    with pytest.raises(WeightsError, match="is not an object"):
        open_diffusion(tmp_path)


def test_a_configuration_survives_its_json() -> None:
    config = DiffusionConfig()
    assert read_config(json.loads(json.dumps(config.as_json()))) == config


@pytest.mark.slow
def test_a_cube_of_96_takes_less_than_ten_seconds() -> None:
    ct, organ = organ_in_fat(96, 42)
    torch.manual_seed(0)
    engine = replace(tiny_engine(), network=LatentDiffusion(DiffusionConfig()).eval())
    begun = time.process_time()
    synthesise(ct, organ, MILLIMETRE, wish=Wish("liver", diameter_mm=40), engine=engine, rng=rng())
    assert time.process_time() - begun < 10
