"""However a file turns its axes, the answer says the same side and the same volume."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from assistant.answer import Answer
from assistant.api import default_planner, default_segmenter, open_ct
from assistant.conversation import Conversation
from vision.geometry import CTVolume, Grid, Mask, reorient_array
from vision.io import write_ct
from vision.phantom import make_phantom
from vision.segmenter import Encoding, Progress, no_progress

AXCODES = [
    "".join(ends)
    for order in itertools.permutations((("R", "L"), ("A", "P"), ("S", "I")))
    for ends in itertools.product(*order)
]
BALLS = {
    "liver": ((70.0, 20.0, 30.0), 45.0),
    "spleen": ((-80.0, -20.0, 30.0), 30.0),
    "kidney_left": ((-60.0, -40.0, -40.0), 28.0),
}
"""Centre in RAS mm from the middle of the CT, radius in mm."""
QUESTION = "Segment the liver and the left kidney and tell me their volumes."


class BallSegmenter:
    """A `Segmenter` whose organs are balls in the patient's millimetres, whatever the grid."""

    name = "balls"
    structures = frozenset(BALLS)

    def __init__(self, middle_mm: np.ndarray) -> None:
        self.middle_mm = middle_mm

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        return Encoding(ct=ct, state=None)

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        grid = encoding.ct.grid
        centre, radius = BALLS[structure]
        ijk = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
        inside = np.linalg.norm(grid.to_mm(ijk) - (self.middle_mm + centre), axis=-1) <= radius
        return Mask(inside, grid, structure, score=0.9)

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        return 0.9


def middle_of(grid: Grid) -> np.ndarray:
    return grid.to_mm((np.asarray(grid.shape) - 1) / 2)


def volumes(answer: Answer) -> dict[str, float]:
    measured = {finding.structure: finding.measurement("volume") for finding in answer.findings}
    return {name: volume.value for name, volume in measured.items() if volume}


def asked(path: Path, segmenter: BallSegmenter) -> Answer:
    return open_ct(path, segmenter=segmenter, planner=default_planner()).ask(QUESTION)


def assert_true(answer: Answer) -> None:
    """Sides as they are, volumes within half a percent of the balls."""
    assert "W_POSSIBLE_FLIP" not in {warning.code for warning in answer.warnings}
    sides = {finding.structure: finding.site.side for finding in answer.findings}
    assert sides == {"liver": None, "kidney_left": "left"}
    for name, volume in volumes(answer).items():
        truth = 4 / 3 * np.pi * BALLS[name][1] ** 3 / 1000
        assert abs(volume / truth - 1) <= 0.005, (name, volume, truth)
    assert set(volumes(answer)) == {"liver", "kidney_left"}


@pytest.fixture(scope="module")
def phantom_ct() -> CTVolume:
    return make_phantom(seed=0, spacing_mm=(3.0, 3.0, 3.0), lesions=()).ct


@pytest.mark.parametrize(
    "axcodes",
    [code if code in ("RAS", "LPS", "PIR") else pytest.param(code, marks=pytest.mark.slow) for code in AXCODES],
)
def test_each_of_the_48_axis_orders_gives_the_same_sides_and_volumes(
    axcodes: str, phantom_ct: CTVolume, tmp_path: Path
) -> None:
    grid, order, signs = phantom_ct.grid.reoriented(axcodes)
    turned = CTVolume(np.asfortranarray(reorient_array(phantom_ct.hu, order, signs)), grid)
    assert_true(asked(write_ct(turned, tmp_path / "ct.nii.gz"), BallSegmenter(middle_of(phantom_ct.grid))))


@pytest.mark.parametrize(
    ("axis", "degrees"),
    [(2, 20), pytest.param(0, 30, marks=pytest.mark.slow), pytest.param(1, -25, marks=pytest.mark.slow)],
)
def test_an_oblique_ct_gives_the_same_sides_and_volumes(
    axis: int, degrees: float, phantom_ct: CTVolume, tmp_path: Path
) -> None:
    turned = oblique(phantom_ct, axis, degrees)
    assert turned.grid.is_oblique
    assert_true(asked(write_ct(turned, tmp_path / "ct.nii.gz"), BallSegmenter(middle_of(phantom_ct.grid))))


def oblique(ct: CTVolume, axis: int, degrees: float) -> CTVolume:
    """The same patient sampled on a grid turned about its middle."""
    first, second = [a for a in range(3) if a != axis]
    angle = np.deg2rad(degrees)
    turn = np.eye(3)
    turn[[first, first, second, second], [first, second, first, second]] = [
        np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle),
    ]  # fmt: skip
    affine = np.eye(4)
    affine[:3, :3] = turn @ ct.grid.affine[:3, :3]
    affine[:3, 3] = middle_of(ct.grid) - affine[:3, :3] @ ((np.asarray(ct.grid.shape) - 1) / 2)
    grid = Grid(ct.grid.shape, affine)
    ijk = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    places = np.moveaxis(ct.grid.to_ijk(grid.to_mm(ijk)), -1, 0)
    hu = map_coordinates(ct.hu.astype(np.float32), places, order=1, mode="constant", cval=-1000)
    return CTVolume(np.asfortranarray(np.rint(hu).astype(np.int16)), grid)


@pytest.mark.slow
def test_the_shipped_model_gives_the_same_volumes_in_every_axis_order(phantom_ct: CTVolume) -> None:
    found = {}
    for axcodes in AXCODES:
        grid, order, signs = phantom_ct.grid.reoriented(axcodes)
        turned = CTVolume(np.asfortranarray(reorient_array(phantom_ct.hu, order, signs)), grid)
        found[axcodes] = volumes(Conversation(turned, default_segmenter(), default_planner()).ask(QUESTION))
    reference = found["RAS"]
    assert set(reference) == {"liver", "kidney_left"}
    worst = max(abs(each[name] / reference[name] - 1) for each in found.values() for name in reference)
    print(f"48 axis orders: largest difference of a volume {worst:.4%}")
    assert worst <= 0.005
