"""The same patient presented otherwise: what changes, what stays, and how it is summed up."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.fakes import LabelMapSegmenter
from tests.vision.benchmark_cases import LIVER, ORDER, SPLEEN, write_dev_case
from vision.benchmark import PresentedScore, dice, evaluate_robustness, find_cases, presentations, worst_changes
from vision.benchmark.presentations import carried, clipped, reordered, resliced, respaced, slab_weights, spaced_grid
from vision.benchmark.robustness import presentation_table, scores_writer, worst_table, write_robustness
from vision.errors import InputRefused, UsageError
from vision.geometry import CTVolume, Grid, Mask
from vision.segmenter import Encoding, Progress, no_progress

GRID = Grid((30, 24, 20), np.array([[-1.5, 0, 0, 20.0], [0, -1.5, 0, 15.0], [0, 0, 3.0, -30.0], [0, 0, 0, 1]]))


def ramp(grid: Grid) -> CTVolume:
    """HU that rise by 1 a mm towards the head and by 2 a mm to the right, 0 in the middle of the grid."""
    centres = grid.to_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    middle = grid.to_mm((np.asarray(grid.shape) - 1) / 2)
    hu = (centres - middle) @ np.array([2.0, 0.0, 1.0])
    return CTVolume(hu.astype(np.float32), grid, {"slice_thickness_mm": grid.spacing_mm[2]})


def ball(grid: Grid, radius_mm: float) -> Mask:
    centres = grid.to_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    middle = GRID.to_mm((np.asarray(GRID.shape) - 1) / 2)
    return Mask(np.linalg.norm(centres - middle, axis=-1) <= radius_mm, grid, "liver")


def inner(volume: np.ndarray) -> np.ndarray:
    return volume[4:-4, 4:-4, 2:-2]


@pytest.mark.parametrize("codes", ["RAS", "SPR", "ASL"])
def test_other_axes_hold_the_same_hu_at_the_same_place(codes: str) -> None:
    turned = reordered(ramp(GRID), axcodes=codes)
    assert turned.grid.axcodes == codes
    np.testing.assert_allclose(turned.hu, ramp(turned.grid).hu, atol=1e-3)


@pytest.mark.parametrize("pixel_mm", [0.7, 1.5, 3.0])
def test_other_pixels_hold_the_same_hu_at_the_same_place(pixel_mm: float) -> None:
    presented = respaced(ramp(GRID), pixel_mm=pixel_mm)
    assert presented.grid.spacing_mm == pytest.approx((pixel_mm, pixel_mm, 3.0))
    np.testing.assert_allclose(inner(presented.hu), inner(ramp(presented.grid).hu), atol=1e-2)


@pytest.mark.parametrize("slice_mm", [1.0, 3.0, 5.0])
def test_other_slices_hold_the_same_hu_at_the_same_place_and_say_how_thick_they_are(slice_mm: float) -> None:
    presented = resliced(ramp(GRID), slice_mm=slice_mm)
    assert presented.grid.spacing_mm == pytest.approx((1.5, 1.5, slice_mm))
    assert presented.facts["slice_thickness_mm"] == slice_mm
    # The mean of whole old slices and a share of the next lies off its own middle by a fraction of a mm.
    np.testing.assert_allclose(inner(presented.hu), inner(ramp(presented.grid).hu), atol=0.3 if slice_mm > 3 else 1e-2)


def test_thicker_slice_is_the_mean_of_what_lies_in_it() -> None:
    grid = Grid.from_spacing((2, 2, 6), (1.0, 1.0, 1.0))
    hu = np.broadcast_to(np.array([0, 30, 60, 0, 0, 90], dtype=np.int16), grid.shape).copy()
    presented = resliced(CTVolume(hu, grid), slice_mm=3.0)
    assert presented.hu[0, 0].tolist() == [30, 30]
    assert presented.hu.dtype == np.int16


def test_slab_counts_a_slice_by_the_share_that_lies_in_it() -> None:
    weights = slab_weights(np.array([1.0]), 4, 2.0)
    assert weights.tolist() == [[0.25, 0.5, 0.25, 0.0]]


def test_clipped_hu_lie_on_256_steps_of_the_window() -> None:
    grid = Grid.from_spacing((16, 16, 8), (1.0, 1.0, 1.0))
    hu = np.linspace(-1000, 1000, 16 * 16 * 8, dtype=np.float32).reshape(grid.shape)
    presented = clipped(CTVolume(hu, grid)).hu
    inside = np.abs(hu - 75) <= 200
    assert (presented.min(), presented.max()) == (-125, 275)
    assert np.unique(presented).size <= 256
    assert np.abs(presented - hu)[inside].max() <= 400 / 255 / 2 + 1e-3


def test_spaced_grid_keeps_centre_and_axes() -> None:
    grid = spaced_grid(GRID, (0.7, 0.9, 5.0))
    assert grid.axcodes == GRID.axcodes
    assert grid.spacing_mm == pytest.approx((0.7, 0.9, 5.0))
    middles = [each.to_mm((np.asarray(each.shape) - 1) / 2) for each in (grid, GRID)]
    np.testing.assert_allclose(middles[0], middles[1], atol=1e-9)


@pytest.mark.parametrize("way", presentations(), ids=lambda way: way.name)
def test_reference_follows_the_ct_into_every_presentation(way) -> None:
    grid = way.present(ramp(GRID)).grid
    moved = carried(ball(GRID, 14.0), grid)
    assert dice(moved, ball(grid, 14.0)) > 0.93


def test_mask_comes_back_from_other_axes_without_loss() -> None:
    turned, _, _ = GRID.reoriented("SPR")
    back = carried(carried(ball(GRID, 14.0), turned), GRID)
    assert np.array_equal(back.voxels, ball(GRID, 14.0).voxels)


def test_empty_mask_stays_empty_on_another_grid() -> None:
    empty = Mask(np.zeros(GRID.shape, dtype=bool), GRID, "liver")
    assert not carried(empty, spaced_grid(GRID, (3.0, 3.0, 5.0)))


class Fragile:
    """A `Segmenter` that carries the truth along, and loses half of it where slices are thicker than 4 mm."""

    name = "fragile"
    structures = frozenset({"liver", "spleen"})

    def __init__(self) -> None:
        self.masks = {"liver": LIVER, "spleen": SPLEEN}

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        return Encoding(ct, None)

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        grid = encoding.ct.grid
        found = carried(self.masks[structure], grid)
        if structure != "liver" or grid.spacing_mm[grid.axis_of(2)] != 5.0:
            return found
        assert found.box is not None
        voxels = found.voxels.copy()
        voxels[: (found.box.start[0] + found.box.stop[0]) // 2] = False
        return Mask(voxels, grid, structure)

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        return None


def test_worst_change_names_what_costs_a_structure_its_dice(tmp_path: Path) -> None:
    cases = find_cases([write_dev_case(tmp_path / "a", [LIVER, SPLEEN])], order=ORDER)
    scores = evaluate_robustness(cases, Fragile())
    assert {score.dice for score in scores if score.kind == "unchanged"} == {1.0}
    worst = {(row.structure, row.kind): row for row in worst_changes(scores)}
    assert worst.keys() == {(name, kind) for name in Fragile.structures for kind in ("axes", "spacing", "slices", "HU")}
    assert worst["liver", "slices"].presentation == "slices of 5 mm"
    assert worst["liver", "slices"].change == pytest.approx(-1 / 3, abs=0.01)
    assert {row.change for key, row in worst.items() if key != ("liver", "slices")} == {0.0}
    assert worst["liver", "axes"].n == 6


def test_robustness_tables_and_files_hold_the_worst(tmp_path: Path) -> None:
    cases = find_cases([write_dev_case(tmp_path / "a", [LIVER, SPLEEN])], order=ORDER)
    scores = evaluate_robustness(cases, Fragile(), structures=frozenset({"liver"}))
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(worst_table(scores), presentation_table(scores))
    told = console.export_text()
    assert "-0.333" in told
    assert "pixels of 0.7 mm" in told
    assert "spleen" not in told
    out = write_robustness(scores, tmp_path / "out", segmenter="fragile")
    with (out / "robustness.csv").open(newline="") as lines:
        assert len(list(csv.DictReader(lines))) == 1 + len(presentations())
    assert "liver,slices,3,-0.333333,slices of 5 mm,a" in (out / "robustness_worst.csv").read_text()


def test_structure_that_is_absent_is_not_presented(tmp_path: Path) -> None:
    folder = write_dev_case(tmp_path / "a", [LIVER])
    cases = find_cases([folder], order=ORDER, annotated=frozenset({"liver", "spleen"}))
    assert {score.structure for score in evaluate_robustness(cases, Fragile(), changes=())} == {"liver"}


def test_scores_of_each_finished_case_are_written_at_once(tmp_path: Path) -> None:
    for name in "ab":
        write_dev_case(tmp_path / name, [LIVER])
    (tmp_path / "b" / "labels.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputRefused, match="Case 2 of 2"):
        evaluate_robustness(
            find_cases([tmp_path], order=ORDER), Fragile(), changes=(), keep=scores_writer(tmp_path / "out")
        )
    assert (tmp_path / "out" / "robustness.csv").read_text().splitlines()[1:] == ["a,unchanged,as it is,liver,1.0,0.0"]


def test_change_that_is_undefined_is_never_the_worst() -> None:
    rows = [PresentedScore("a", "axes", f"axes {n}", "liver", 0.5, change) for n, change in enumerate((math.nan, -0.1))]
    (worst,) = worst_changes(rows)
    assert (worst.change, worst.n) == (-0.1, 1)


def test_unknown_structure_is_refused_before_any_case_is_read() -> None:
    with pytest.raises(UsageError, match="E_STRUCTURE"):
        evaluate_robustness([], LabelMapSegmenter({}), structures=frozenset({"livver2000"}))
