"""Parts of an analytic pancreas and liver, with vessels where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from vision.geometry import Grid, Mask, reorient_array
from vision.measure import Regions, centroid_mm, liver_segments, pancreas_parts

GRID = Grid.from_spacing((120, 90, 60), (2.0, 2.0, 3.0), (-120.0, -90.0, 0.0))
X, Y, Z = np.meshgrid(
    *[GRID.affine[a, 3] + GRID.spacing_mm[a] * np.arange(n) for a, n in enumerate(GRID.shape)], indexing="ij"
)


def mask_of(voxels: np.ndarray, structure: str) -> Mask:
    return Mask(voxels, GRID, structure)


def ball(centre: tuple[float, float, float], radii: tuple[float, float, float], structure: str) -> Mask:
    offsets = ((axis - c) / r for axis, c, r in zip((X, Y, Z), centre, radii, strict=True))
    return mask_of(sum(offset**2 for offset in offsets) <= 1, structure)


def vessel(x: float, y: float, radius: float, structure: str) -> Mask:
    return mask_of(np.hypot(X - x, Y - y) <= radius, structure)


EMPTY = mask_of(np.zeros(GRID.shape, dtype=bool), "aorta")
PANCREAS = mask_of((np.abs(Y - 20) < 8) & (np.abs(Z - 60 + 0.2 * X) < 12) & (X > -80) & (X < 60), "pancreas")
AORTA = vessel(-10, -20, 10, "aorta")
PORTAL = mask_of((np.hypot(X - 14, Y - 10) <= 6) & (Z > 40) & (Z < 75), "portal_vein_and_splenic_vein")

LIVER = ball((40, 0, 90), (75, 70, 70), "liver")
CAVA = vessel(25, -40, 10, "postcava")
GALL_BLADDER = ball((50, 40, 40), (12, 12, 15), "gall_bladder")
BRANCH = mask_of((np.abs(X - 35) < 25) & (np.abs(Y + 10) < 5) & (np.abs(Z - 80) < 5), "portal_vein_and_splenic_vein")
OTHER_GRID = Mask(np.ones((2, 2, 2), dtype=bool), Grid.from_spacing((2, 2, 2), (1, 1, 1)), "aorta")


def segments() -> Regions:
    return liver_segments(LIVER, gall_bladder=GALL_BLADDER, postcava=CAVA, portal=BRANCH)


def place(regions: Regions, name: str) -> tuple[float, float, float]:
    centre = centroid_mm(regions.masks[name])
    assert centre is not None
    return centre


def borders(regions: Regions) -> tuple[float, float]:
    """Where the head ends and where the tail begins, mm to the right."""
    head, tail = (X[regions.masks[f"pancreas_{part}"].voxels] for part in ("head", "tail"))
    return float(head.min()), float(tail.max())


ALL = [
    pytest.param(lambda: pancreas_parts(PANCREAS, aorta=AORTA, portal=PORTAL), PANCREAS, id="pancreas by vessels"),
    pytest.param(lambda: pancreas_parts(PANCREAS, aorta=AORTA), PANCREAS, id="pancreas by aorta"),
    pytest.param(lambda: pancreas_parts(PANCREAS), PANCREAS, id="pancreas by length"),
    pytest.param(segments, LIVER, id="liver by portal vein"),
    pytest.param(
        lambda: liver_segments(LIVER, gall_bladder=GALL_BLADDER, postcava=CAVA), LIVER, id="liver by gallbladder"
    ),
]


@pytest.mark.parametrize(("divide", "organ"), ALL)
def test_parts_are_disjoint_and_cover_the_organ(divide, organ):
    regions = divide()
    total = sum(part.voxels.astype(int) for part in regions.masks.values())
    assert (total == organ.voxels).all()
    assert all(regions.masks.values())
    assert all(name == part.structure for name, part in regions.masks.items())
    assert regions.method
    assert regions.approximate


def test_head_ends_at_the_left_border_of_the_vein_and_tail_begins_at_that_of_the_aorta():
    regions = pancreas_parts(PANCREAS, aorta=AORTA, portal=PORTAL)
    assert borders(regions) == pytest.approx((8, -20), abs=3)
    assert regions.missing == ()


def test_without_the_vein_the_right_border_of_the_aorta_stands_in_and_is_named():
    regions = pancreas_parts(PANCREAS, aorta=AORTA)
    assert borders(regions) == pytest.approx((0, -20), abs=3)
    assert regions.missing == ("portal_vein_and_splenic_vein",)
    assert "in place of" in regions.method


def test_a_splenic_vein_lengthwise_is_no_border_of_the_head():
    splenic = mask_of((np.abs(Y - 5) < 5) & (np.abs(Z - 60) < 8) & (np.abs(X) < 60), "portal_vein_and_splenic_vein")
    regions = pancreas_parts(PANCREAS, aorta=AORTA, portal=splenic)
    assert regions.missing == ("portal_vein_and_splenic_vein",)


@pytest.mark.parametrize("aorta", [None, EMPTY])
def test_without_an_aorta_the_gland_is_divided_along_its_length(aorta):
    regions = pancreas_parts(PANCREAS, aorta=aorta)
    assert regions.missing == ("aorta", "portal_vein_and_splenic_vein")
    assert borders(regions) == pytest.approx((60 - 0.35 * 140, 60 - 0.48 * 140), abs=6)


def test_a_separate_crumb_of_the_gland_joins_the_nearest_part():
    crumb = mask_of(PANCREAS.voxels & (np.abs(X + 60) > 4), "pancreas")
    regions = pancreas_parts(crumb)
    assert (X[regions.masks["pancreas_tail"].voxels] < -64).any()
    assert sum(part.count for part in regions.masks.values()) == crumb.count


def test_an_empty_organ_has_no_parts():
    for regions in (
        pancreas_parts(EMPTY, aorta=AORTA),
        liver_segments(EMPTY, gall_bladder=GALL_BLADDER, postcava=CAVA),
    ):
        assert regions.masks == {}
        assert regions.missing


def test_liver_segments_lie_where_couinaud_put_them():
    regions = segments()
    at = {number: place(regions, f"liver_segment_{number}") for number in range(1, 9)}
    for upper, lower in ((8, 5), (7, 6), (2, 3)):
        assert at[upper][2] > at[lower][2] + 20
    for right, left in ((8, 4), (5, 4), (4, 3), (4, 2)):
        assert at[right][0] > at[left][0]
    assert at[8][1] > at[7][1]
    assert at[5][1] > at[6][1]
    assert np.hypot(at[1][0] - 25, at[1][1] + 40) < 30


def test_the_portal_branch_parts_upper_from_lower():
    regions = segments()
    assert Z[regions.masks["liver_segment_8"].voxels].min() == pytest.approx(80, abs=3)
    assert regions.missing == ()


def test_without_the_portal_vein_the_top_of_the_gallbladder_parts_upper_from_lower():
    regions = liver_segments(LIVER, gall_bladder=GALL_BLADDER, postcava=CAVA)
    assert Z[regions.masks["liver_segment_8"].voxels].min() == pytest.approx(55, abs=4)
    assert regions.missing == ("portal_vein_and_splenic_vein",)


def test_a_portal_vein_outside_the_livers_height_is_not_used():
    low = mask_of((np.abs(X - 40) < 10) & (np.abs(Y) < 10) & (Z < 10), "portal_vein_and_splenic_vein")
    regions = liver_segments(LIVER, gall_bladder=GALL_BLADDER, postcava=CAVA, portal=low)
    assert regions.missing == ("portal_vein_and_splenic_vein",)


@pytest.mark.parametrize(
    ("gall_bladder", "postcava", "missing"),
    [
        (None, CAVA, ("gall_bladder",)),
        (GALL_BLADDER, None, ("postcava",)),
        (EMPTY, EMPTY, ("gall_bladder", "postcava")),
        (ball((40, -80, 60), (8, 8, 8), "gall_bladder"), CAVA, ("gall_bladder",)),
    ],
)
def test_without_its_landmarks_a_liver_is_not_divided(gall_bladder, postcava, missing):
    regions = liver_segments(LIVER, gall_bladder=gall_bladder, postcava=postcava)
    assert regions.masks == {}
    assert regions.missing == missing


def test_segments_and_parts_are_the_same_in_another_axis_order():
    def turned(mask: Mask) -> Mask:
        grid, order, signs = mask.grid.reoriented("ILA")
        return Mask(np.ascontiguousarray(reorient_array(mask.voxels, order, signs)), grid, mask.structure)

    here = segments().masks
    there = liver_segments(
        turned(LIVER), gall_bladder=turned(GALL_BLADDER), postcava=turned(CAVA), portal=turned(BRANCH)
    ).masks
    parts = pancreas_parts(PANCREAS, aorta=AORTA).masks
    turned_parts = pancreas_parts(turned(PANCREAS), aorta=turned(AORTA)).masks
    for own, other in ((here, there), (parts, turned_parts)):
        for name, part in own.items():
            assert (turned(part).voxels == other[name].voxels).mean() > 0.9999


@pytest.mark.parametrize(
    "divide",
    [
        lambda: pancreas_parts(PANCREAS, aorta=OTHER_GRID),
        lambda: pancreas_parts(PANCREAS, portal=OTHER_GRID),
        lambda: liver_segments(LIVER, gall_bladder=OTHER_GRID),
        lambda: liver_segments(LIVER, postcava=OTHER_GRID),
    ],
)
def test_landmarks_on_another_grid_are_refused(divide):
    with pytest.raises(ValueError, match="lies on"):
        divide()
