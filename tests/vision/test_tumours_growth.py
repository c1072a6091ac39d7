"""One tumour looked at several times."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tests.vision.tumours.bodies import organ_in_fat
from vision.errors import UsageError
from vision.synthesis.tumours import Wish
from vision.synthesis.tumours.growth import LOOKS, watch_growth, write_growth

SPACING = (2.0, 2.0, 2.0)


def test_looks_are_of_one_tumour_that_only_grows():
    ct, organ = organ_in_fat(spacing=SPACING)
    wish = Wish("liver", diameter_mm=26.0)
    looks = list(watch_growth(ct, organ, SPACING, wish=wish, shares=(0.4, 0.7, 1.0), seed=3))
    for early, late in pairwise(looks):
        assert (early.mask & ~late.mask).sum() <= 0.03 * early.mask.sum()
        assert early.mask.sum() < late.mask.sum()
    diameters = [look.facts.equivalent_diameter_mm for look in looks]
    assert diameters == pytest.approx([10.4, 18.2, 26.0], rel=0.05)


def test_two_looks_differ_by_the_growth_alone():
    ct, organ = organ_in_fat(spacing=SPACING)
    wish = Wish("liver", diameter_mm=24.0, parts=())
    early, late = watch_growth(ct, organ, SPACING, wish=wish, shares=(0.5, 1.0), seed=1)
    core = ndimage.binary_erosion(early.mask)
    assert early.ct[core].mean() == pytest.approx(late.ct[core].mean(), abs=15)
    assert (early.ct == ct)[~late.mask].mean() > 0.95
    assert early.facts.preset == late.facts.preset


def test_an_animation_holds_every_look(tmp_path):
    ct, organ = organ_in_fat(spacing=(4.0, 4.0, 4.0))
    path = write_growth(
        tmp_path / "growth.gif", ct, organ, (4.0, 4.0, 4.0), wish=Wish("liver", "cyst", 24.0, "hypo"), seed=0
    )
    with Image.open(path) as gif:
        assert gif.n_frames == LOOKS
        first = np.asarray(gif.convert("L"), dtype=float)
        gif.seek(LOOKS - 1)
        last = np.asarray(gif.convert("L"), dtype=float)
    assert last[16:].mean() < first[16:].mean()


def test_what_does_not_fit_is_refused_before_it_has_grown():
    ct, organ = organ_in_fat(radius_mm=14.0, spacing=SPACING)
    with pytest.raises(UsageError, match="E_TUMOUR_ROOM"):
        next(watch_growth(ct, organ, SPACING, wish=Wish("liver", diameter_mm=45.0), shares=(0.3,), seed=0))
