"""What holds for every engine: size, place, blending, facts, seeds, refusals."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from tests.vision.tumours.bodies import ORGAN_HU, organ_in_fat
from vision.errors import UsageError
from vision.structures import by_name
from vision.synthesis.tumours import ENGINES, Painted, Settled, Wish, make_engine, presets, synthesise
from vision.synthesis.tumours.facts import lesion_structure
from vision.synthesis.tumours.protocol import KINDS, ORGANS, Attenuation, Organ, Spacing

MILLIMETRE = (1.0, 1.0, 1.0)
SPACINGS = [MILLIMETRE, (0.8, 0.8, 2.5), (2.0, 0.9, 1.3)]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("engine", sorted(ENGINES))
class TestEveryEngine:
    def test_the_ct_is_bit_identical_outside_the_blurred_support(self, engine: str) -> None:
        ct, organ = organ_in_fat()
        wish = Wish("liver", diameter_mm=14)
        tumour = synthesise(ct, organ, MILLIMETRE, wish=wish, engine=make_engine(engine), rng=rng())
        widest = max(row.edge_mm[1] for row in presets() if row.organ == "liver")
        far = ndimage.distance_transform_edt(~tumour.mask) > 4 * math.hypot(widest, 0.3)
        assert (tumour.ct[far] == ct[far]).all()
        assert (tumour.ct[~far] != ct[~far]).any()
        assert tumour.ct.dtype == ct.dtype

    def test_the_mask_lies_in_the_organ_in_one_piece(self, engine: str) -> None:
        ct, organ = organ_in_fat()
        tumour = synthesise(
            ct, organ, MILLIMETRE, wish=Wish("liver", diameter_mm=20), engine=make_engine(engine), rng=rng(1)
        )
        assert not (tumour.mask & ~organ).any()
        assert ndimage.label(tumour.mask, np.ones((3, 3, 3)))[1] == 1

    def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_tumour(self, engine: str) -> None:
        ct, organ = organ_in_fat()
        one, two, other = (
            synthesise(
                ct, organ, MILLIMETRE, wish=Wish("liver", diameter_mm=12), engine=make_engine(engine), rng=rng(s)
            )
            for s in (3, 3, 4)
        )
        assert one.ct.tobytes() == two.ct.tobytes()
        assert one.facts == two.facts
        assert (one.mask != other.mask).any()

    @pytest.mark.parametrize("spacing", SPACINGS)
    def test_the_wished_diameter_holds_in_mm_at_any_spacing(self, engine: str, spacing: Spacing) -> None:
        ct, organ = organ_in_fat(spacing=spacing)
        tumour = synthesise(
            ct, organ, spacing, wish=Wish("liver", diameter_mm=18), engine=make_engine(engine), rng=rng(2)
        )
        assert tumour.facts.equivalent_diameter_mm == pytest.approx(18, rel=0.06)

    @pytest.mark.parametrize(("attenuation", "sign"), [("hypo", -1), ("hyper", 1)])
    def test_attenuation_moves_the_hu_in_the_stated_direction(
        self, engine: str, attenuation: Attenuation, sign: int
    ) -> None:
        ct, organ = organ_in_fat()
        wish = Wish("liver", diameter_mm=16, attenuation=attenuation, parts=())
        tumour = synthesise(ct, organ, MILLIMETRE, wish=wish, engine=make_engine(engine), rng=rng(5))
        assert sign * tumour.facts.hu_change > 8
        assert sign * (tumour.facts.hu_inside - tumour.facts.hu_organ) > 8

    def test_a_clipped_ct_stays_in_its_range(self, engine: str) -> None:
        ct, organ = organ_in_fat()
        clipped = np.clip(ct, -105, 115)
        wish = Wish("liver", diameter_mm=16, attenuation="hyper", parts=("calcification",))
        tumour = synthesise(clipped, organ, MILLIMETRE, wish=wish, engine=make_engine(engine), rng=rng(6))
        assert tumour.ct.min() >= -105
        assert tumour.ct.max() == 115

    def test_the_facts_are_those_of_the_mask_and_fit_into_json(self, engine: str) -> None:
        ct, organ = organ_in_fat()
        tumour = synthesise(
            ct, organ, MILLIMETRE, wish=Wish("liver", diameter_mm=16), engine=make_engine(engine), rng=rng(8)
        )
        facts = tumour.facts
        assert facts.volume_ml == pytest.approx(tumour.mask.sum() / 1000, abs=1e-3)
        assert facts.hu_inside == pytest.approx(tumour.ct[tumour.mask].mean(), abs=0.02)
        assert facts.hu_change == pytest.approx(
            (tumour.ct[tumour.mask].astype(float) - ct[tumour.mask]).mean(), abs=0.02
        )
        assert facts.centre_voxel == tuple(round(at) for at in ndimage.center_of_mass(tumour.mask))
        assert facts.hu_organ == pytest.approx(ORGAN_HU, abs=2)
        assert facts.long_axis_mm >= facts.short_axis_mm > 0
        assert json.loads(json.dumps(facts.as_json()))["engine"] == engine

    def test_a_ct_of_floats_stays_one(self, engine: str) -> None:
        ct, organ = organ_in_fat()
        tumour = synthesise(
            ct.astype(np.float32), organ, MILLIMETRE, wish=Wish("liver"), engine=make_engine(engine), rng=rng()
        )
        assert tumour.ct.dtype == np.float32


class Dot:
    """An engine that paints its centre voxel and keeps what it was given."""

    name = "dot"

    def __init__(self) -> None:
        self.seen: list[Settled] = []

    def paint(
        self,
        ct: NDArray[np.float32],
        room: NDArray[np.bool_],
        spacing: Spacing,
        wish: Settled,
        rng: np.random.Generator,
    ) -> Painted:
        self.seen.append(wish)
        mask = np.zeros(ct.shape, dtype=np.bool_)
        mask[wish.centre] = True
        return Painted(mask, np.full(ct.shape, 100, dtype=np.float32), ())


def test_a_wished_centre_is_the_centre() -> None:
    ct, organ = organ_in_fat()
    tumour = synthesise(ct, organ, MILLIMETRE, wish=Wish("liver", centre=(30, 28, 33)), engine=Dot(), rng=rng())
    assert tumour.facts.centre_voxel == (30, 28, 33)
    assert tumour.mask[30, 28, 33]


@pytest.mark.parametrize("centre", [(0, 0, 0), (99, 30, 30)])
def test_a_centre_outside_the_organ_is_refused(centre: tuple[int, int, int]) -> None:
    ct, organ = organ_in_fat()
    with pytest.raises(UsageError, match="does not lie in the organ") as refused:
        synthesise(ct, organ, MILLIMETRE, wish=Wish("liver", centre=centre), engine=Dot(), rng=rng())
    assert refused.value.code == "E_TUMOUR_CENTRE"


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("radius_mm", [0.0, 6.0])
def test_an_organ_without_room_is_refused(engine: str, radius_mm: float) -> None:
    ct, organ = organ_in_fat(radius_mm=radius_mm)
    with pytest.raises(UsageError, match="no room for a tumour of 40 mm") as refused:
        synthesise(ct, organ, MILLIMETRE, wish=Wish("liver", diameter_mm=40), engine=make_engine(engine), rng=rng())
    assert refused.value.code == "E_TUMOUR_ROOM"


def test_a_drawn_size_gives_way_to_the_room_there_is() -> None:
    ct, organ = organ_in_fat(radius_mm=7)
    for seed in range(6):
        tumour = synthesise(ct, organ, MILLIMETRE, wish=Wish("liver"), engine=make_engine("handcrafted"), rng=rng(seed))
        assert tumour.facts.equivalent_diameter_mm < 14


def test_arrays_that_do_not_match_are_refused() -> None:
    ct, organ = organ_in_fat()
    with pytest.raises(ValueError, match="one 3-D shape"):
        synthesise(ct, organ[1:], MILLIMETRE, wish=Wish("liver"), engine=Dot(), rng=rng())
    with pytest.raises(ValueError, match="bool mask"):
        synthesise(ct, organ.astype(np.uint8), MILLIMETRE, wish=Wish("liver"), engine=Dot(), rng=rng())  # type: ignore[arg-type]


def test_what_sticks_out_grows_into_fat_and_nothing_else() -> None:
    ct, organ = organ_in_fat(radius_mm=18, noise_hu=4)
    ct[:, :, :14] = 60
    wish = Wish("kidney", diameter_mm=22, exophytic="may_stick_out")
    outside = 0
    for seed in range(4):
        tumour = synthesise(ct, organ, MILLIMETRE, wish=wish, engine=make_engine("handcrafted"), rng=rng(seed))
        assert not tumour.mask[:, :, :13].any()
        outside += int((tumour.mask & ~organ).sum())
    assert outside > 200


@pytest.mark.parametrize("organ", ORGANS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_lesion_has_a_row_in_the_structure_table(organ: Organ, kind: str) -> None:
    name = lesion_structure(organ, "cyst" if kind == "cyst" else "tumour")
    assert by_name(name).kind == "lesion"
    assert replace(Wish(organ), words="").organ in name


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="cellular-automaton, diffusion, handcrafted, real-shape") as refused:
        make_engine("nothing")
    assert refused.value.code == "E_ENGINE"
