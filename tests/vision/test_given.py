from types import MappingProxyType

import numpy as np
import pytest

from tests.fakes import BoxSegmenter
from vision.geometry import CTVolume, Grid, Mask
from vision.given import GivenMasks

GRID = Grid.from_spacing((8, 8, 8), (2.0, 2.0, 2.0))
CT = CTVolume(np.zeros((8, 8, 8), dtype=np.int16), GRID)


class SizedSegmenter(BoxSegmenter):
    lesion_sizes = MappingProxyType({"pancreas_lesion": 12.0, "liver_lesion": 10.0})


def ball(grid: Grid) -> Mask:
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[2:4, 2:4, 2:4] = True
    return Mask(voxels, grid, "pancreas_lesion", score=0.5)


def test_a_given_mask_is_answered_and_the_rest_is_asked_of_the_base() -> None:
    segmenter = GivenMasks(BoxSegmenter(("liver",)), {"pancreas_lesion": ball(GRID)})
    encoding = segmenter.encode(CT)
    assert segmenter.structures == {"liver", "pancreas_lesion"}
    assert segmenter.segment(encoding, "pancreas_lesion").count == 8
    assert segmenter.segment(encoding, "liver").structure == "liver"
    assert segmenter.confidence(encoding, ball(GRID)) == 0.5
    assert "given: pancreas_lesion" in segmenter.name


def test_sizes_found_reliably_are_the_bases_but_not_of_given_masks() -> None:
    assert GivenMasks(BoxSegmenter(("liver",)), {}).lesion_sizes == {}
    assert GivenMasks(SizedSegmenter(("liver",)), {"pancreas_lesion": ball(GRID)}).lesion_sizes == {
        "liver_lesion": 10.0
    }


def test_a_given_mask_of_another_ct_is_refused() -> None:
    other = ball(Grid.from_spacing((8, 8, 8), (1.0, 1.0, 1.0)))
    with pytest.raises(ValueError, match="not on"):
        GivenMasks(BoxSegmenter(("liver",)), {"pancreas_lesion": other}).encode(CT)
