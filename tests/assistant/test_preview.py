"""What the pictures show where: sides, millimetres, colours, axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from assistant.panes import AXIS_COLOUR, PLANES, lay_out, slice_count
from assistant.preview import best_slice, render_preview, render_slice
from assistant.records import Finding, Measurement, Status
from vision.errors import UsageError
from vision.geometry import Box, CTVolume, Grid, Mask, reorient_array
from vision.structures import by_name

AXIS_ORDERS = [
    "".join(sides[i] for i, sides in zip(order, flips, strict=True))
    for order in itertools.permutations(range(3))
    for flips in [("RAS", "RAS", "RAS"), ("LPI", "LPI", "LPI"), ("RPS", "RPS", "RPS")]
]
SHAPE = (40, 30, 20)


def blank_ct(axcodes: str = "RAS", spacing_mm: tuple[float, float, float] = (2.0, 2.0, 5.0)) -> CTVolume:
    grid, order, signs = Grid.from_spacing(SHAPE, spacing_mm).reoriented(axcodes)
    hu = reorient_array(np.full(SHAPE, -1000, dtype=np.int16), order, signs)
    return CTVolume(np.ascontiguousarray(hu), grid)


def block(ct: CTVolume, centre_mm: tuple[float, float, float], structure: str = "liver", radius_mm: float = 7) -> Mask:
    positions = np.moveaxis(np.indices(ct.grid.shape), 0, -1)
    inside = (np.abs(ct.grid.to_mm(positions) - centre_mm) <= radius_mm).all(axis=-1)
    return Mask(inside, ct.grid, structure)


def coloured(picture, rgb: tuple[int, int, int], width: int) -> np.ndarray:
    """(row, column) of the pixels of a colour, left of the legend."""
    pixels = np.asarray(picture)[:, :width].astype(int)
    return np.argwhere(np.abs(pixels - rgb).max(axis=-1) < 12)


@pytest.mark.parametrize("axcodes", AXIS_ORDERS)
def test_the_patients_right_front_and_top_lie_left_and_up_in_the_picture(axcodes: str) -> None:
    ct = blank_ct(axcodes)
    right_front_top = block(ct, (66, 46, 80))
    for plane in PLANES:
        index = best_slice(ct.grid, [right_front_top], plane)
        picture = render_slice(ct, [right_front_top], slice_index=index, plane=plane, fill=1.0)
        row, column = coloured(picture, by_name("liver").colour, 700).mean(axis=0)
        assert row < 360, plane
        assert column < 340, plane


@pytest.mark.parametrize("plane", PLANES)
def test_a_millimetre_is_as_long_across_as_down(plane: str) -> None:
    ct = blank_ct(spacing_mm=(1.0, 2.0, 5.0))
    cube = block(ct, (20, 30, 50), radius_mm=10)
    picture = render_slice(ct, [cube], slice_index=best_slice(ct.grid, [cube], plane), plane=plane, fill=1.0)
    extent = np.ptp(coloured(picture, by_name("liver").colour, 700), axis=0)
    pane = lay_out(ct.grid, plane, best_slice(ct.grid, [cube], plane), (710, 760))
    voxels = {"axial": (22, 21), "coronal": (25, 21), "sagittal": (25, 22)}[plane]
    assert extent * pane.pixel_mm == pytest.approx(voxels, abs=2.5)


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "SRA", "IPL"])
def test_a_measured_axis_is_drawn_at_its_millimetres_and_only_in_its_slice(axcodes: str) -> None:
    ct = blank_ct(axcodes)
    ends = ((20.0, 30.0, 50.0), (60.0, 30.0, 50.0))
    axis = Measurement(id="F1.long_axis", quantity="long_axis", value=40, unit="mm", method="m", endpoints_mm=ends)
    up = ct.grid.axis_of(2)
    index = round(float(ct.grid.to_ijk(np.asarray(ends[0]))[up]))
    picture = render_slice(ct, [], slice_index=index, measurements=[axis])
    pane = lay_out(ct.grid, "axial", index, (710, 760))
    drawn = coloured(picture, AXIS_COLOUR, 700)
    left, top = (710 - pane.size[0]) // 2, (760 - pane.size[1]) // 2
    for end in pane.pixels(np.asarray(ends)):
        assert np.abs(drawn - (end[1] + top, end[0] + left)).sum(axis=1).min() <= 2
    other = render_slice(ct, [], slice_index=index + 2, measurements=[axis])
    assert len(coloured(other, AXIS_COLOUR, 700)) == 0


def test_a_box_is_drawn_in_the_slices_it_crosses_only() -> None:
    ct = blank_ct()
    box = Box((10, 10, 5), (20, 20, 8), ct.grid, 0.8)
    seen = [
        len(coloured(render_slice(ct, [], slice_index=index, boxes=[box]), AXIS_COLOUR, 700)) > 0
        for index in (4, 5, 7, 8)
    ]
    assert seen == [False, True, True, False]


def test_a_lesion_is_drawn_over_its_organ_whatever_the_order() -> None:
    ct = blank_ct()
    organ, lesion = block(ct, (40, 30, 50), "liver", 20), block(ct, (40, 30, 50), "liver_lesion", 6)
    pictures = [render_slice(ct, masks, slice_index=10, fill=1.0) for masks in ([organ, lesion], [lesion, organ])]
    assert len(coloured(pictures[1], by_name("liver_lesion").colour, 700)) > 0
    assert pictures[0].tobytes() == pictures[1].tobytes()


def test_the_best_slice_shows_the_largest_cut_of_a_lesion() -> None:
    ct = blank_ct()
    voxels = np.zeros(SHAPE, dtype=bool)
    voxels[10:12, 10:12, 3:9] = True
    voxels[8:14, 8:14, 7] = True
    lesion = Mask(voxels, ct.grid, "liver_lesion")
    assert best_slice(ct.grid, [block(ct, (40, 30, 80)), lesion], "axial") == 7
    assert best_slice(ct.grid, [], "axial") == SHAPE[2] // 2


def test_the_sheet_is_drawn_with_lesions_with_organs_only_and_with_nothing() -> None:
    ct = blank_ct()
    lesion = block(ct, (40, 30, 50), "liver_lesion", 10)
    ends = ((30.0, 30.0, 50.0), (50.0, 30.0, 50.0))
    axis = Measurement(id="F1.long_axis", quantity="long_axis", value=20, unit="mm", method="m", endpoints_mm=ends)
    found = Finding(id="F1", structure="liver_lesion", status=Status.SEEN, measurements=(axis,))
    absent = Finding(id="F2", structure="prostate", status=Status.NOT_ASSESSABLE, why="It lies below the scan.")
    with_lesion = render_preview(ct, {"F1": lesion}, [found, absent])
    with_organ = render_preview(ct, {"F1": block(ct, (40, 30, 50))}, [absent])
    with_nothing = render_preview(ct, {}, [])
    assert with_lesion.height > with_organ.height == with_nothing.height
    assert len(coloured(with_lesion, AXIS_COLOUR, with_lesion.width)) > 0


def test_an_unknown_plane_a_missing_slice_and_an_empty_window_are_refused() -> None:
    ct = blank_ct()
    with pytest.raises(UsageError, match=r"no plane 'oblique'.*axial"):
        slice_count(ct.grid, "oblique")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"no axial slice 20.*0 to 19"):
        render_slice(ct, [], slice_index=20)
    with pytest.raises(UsageError, match="window of 100 to 100 HU is empty"):
        render_slice(ct, [], slice_index=0, window_hu=(100, 100))


def test_a_mask_on_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="lies on"):
        render_slice(blank_ct(), [block(blank_ct("LPS"), (40, 30, 50))], slice_index=3)
