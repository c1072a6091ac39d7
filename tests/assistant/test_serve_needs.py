"""Memory that is set aside for a CT: by its size, and by what the description of its model says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from assistant.api import RULES
from assistant.serve.workers import needs
from assistant.serve.workers.engine import Engine, engine_of
from assistant.serve.workers.needs import ModelNeeds, needed_bytes, needs_of
from tests.catalogue.make_models import TINY, put_described
from tests.vision.test_models_kinds import TEXT_DRIVEN
from vision.models.coarse_to_fine import fine, look
from vision.models.registry import ModelEntry, find_model

SMALL, LARGE = (512, 512, 90), (512, 512, 300)
SPACING_MM = (0.8, 0.8, 1.5)
PLAIN = ModelNeeds(fixed=1000, voxel=2, working_mm=2.0, working=3, passed=5)


def universal(folder: Path, content: bytes = b"", **changes: Any) -> ModelEntry:
    return put_described(folder, content, "universal", {**TINY.to_dict(), **changes})


def test_bytes_are_those_of_voxels_working_voxels_and_passes() -> None:
    shape, spacing_mm = (10, 20, 30), (1.0, 2.0, 4.0)
    working = 5 * 20 * 60
    assert needed_bytes(shape, spacing_mm, PLAIN) == 1000 + 2 * 6000 + (3 + 5) * working
    few = dataclasses.replace(PLAIN, most_passed=100)
    assert needed_bytes(shape, spacing_mm, few) == 1000 + 2 * 6000 + 3 * working + 5 * 100
    thin = dataclasses.replace(PLAIN, most_slices=4)
    assert needed_bytes(shape, spacing_mm, thin) == 1000 + 2 * 6000 + 3 * working + 5 * 4 * 20 * 60
    blocked = dataclasses.replace(few, block=700)
    assert needed_bytes(shape, spacing_mm, blocked) == 1000 + 2 * 6000 + 3 * working + 700


def test_a_larger_ct_and_an_unknown_slice_distance_need_more() -> None:
    shipped = Engine().needs()
    assert needed_bytes(LARGE, SPACING_MM, shipped) > needed_bytes(SMALL, SPACING_MM, shipped)
    assert needed_bytes(LARGE, (0.8, 0.8, None), shipped) > needed_bytes(LARGE, SPACING_MM, shipped)


@pytest.mark.parametrize(
    "changes", [{"widths": (64, 8)}, {"backbone": "unet"}, {"fine_widths": (64, 8)}, {"spacing_mm": 2.0}]
)
def test_a_larger_universal_network_needs_more(tmp_path: Path, changes: dict[str, Any]) -> None:
    least = needed_bytes(LARGE, SPACING_MM, needs_of(universal(tmp_path)))
    assert needed_bytes(LARGE, SPACING_MM, needs_of(universal(tmp_path, **changes))) > least


def test_weights_count_by_the_size_of_their_file(tmp_path: Path) -> None:
    without = needs_of(universal(tmp_path))
    assert needs_of(universal(tmp_path, bytes(1000))).fixed == without.fixed + 3000
    assert needs_of(dataclasses.replace(universal(tmp_path), file=tmp_path / "none")).fixed == without.fixed


def test_a_converted_swin_unetr_needs_gigabytes_more_than_the_shipped_model(tmp_path: Path) -> None:
    network = {**TEXT_DRIVEN, "base_width": 48}
    large = needs_of(put_described(tmp_path, b"", "suprem_swinunetr", network))
    shipped = Engine().needs()
    assert needed_bytes(LARGE, SPACING_MM, large) > needed_bytes(LARGE, SPACING_MM, shipped) + 2 * 2**30


def test_chat_sets_aside_what_its_model_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Engine(llm=RULES).needs() == needs_of(find_model("universal"))
    monkeypatch.setenv("BODYMAPS_MODELS", str(tmp_path))
    own = universal(tmp_path, b"weights")
    assert engine_of("tiny", llm=RULES).needs() == needs_of(own)


def test_sizes_of_passes_are_those_of_the_segmenter() -> None:
    assert (needs.SLAB_VOXELS, needs.BLOCK_VOXELS) == (look.SLAB_VOXELS, fine.BLOCK_VOXELS)
