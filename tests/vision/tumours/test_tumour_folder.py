"""Folders of CTs in, the same CTs with tumours out; resumed, cancelled, refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.vision.tumours.bodies import organ_in_fat
from vision.benchmark.layouts import find_cases, read_reference
from vision.errors import Cancelled, UsageError
from vision.geometry import CTVolume, Grid, Mask
from vision.io import load_ct, load_labels, write_ct, write_mask
from vision.segmenter import Encoding, Progress, no_progress
from vision.synthesis.tumours import Wish, make_engine
from vision.synthesis.tumours.case import Order, paint_case
from vision.synthesis.tumours.confusers import FOUND_IN
from vision.synthesis.tumours.folder import FolderResult, case_seed, synthesise_folder, write_sheet
from vision.synthesis.tumours.gate import SegmenterGate, segmenter_gate

LPS = np.diag((-2.5, -2.5, 2.0, 1.0))
ORDER = Order(Wish("liver"), ("liver",), count=2, size_mm=(6, 12))


@dataclass(frozen=True)
class Threshold:
    """A segmenter to which every voxel above some HU is a liver lesion."""

    above_hu: float
    name: str = "threshold"
    structures: frozenset[str] = frozenset({"liver", "liver_lesion"})

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        return Encoding(ct, None)

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        return Mask(encoding.ct.hu > self.above_hu, encoding.ct.grid, structure)

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        return None


def case_of(folder: Path, name: str, *, structure: str = "liver") -> None:
    """A case in AbdomenAtlas's layout, stored from left to right and back to front."""
    hu, organ = organ_in_fat(160, spacing=(2.5, 2.5, 2.0))
    grid = Grid((hu.shape[0], hu.shape[1], hu.shape[2]), LPS)
    write_ct(CTVolume(hu, grid), folder / name / "ct.nii.gz")
    write_mask(Mask(organ, grid, structure), folder / name / "segmentations" / f"{structure}.nii.gz")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        case_of(tmp_path / "in", name)
    return tmp_path / "in"


def paint(cases: Path, out: Path, order: Order = ORDER, **seeds: int) -> FolderResult:
    return synthesise_folder(
        find_cases([cases]), out, order, engine=make_engine("handcrafted"), seed=seeds.get("seed", 3)
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_case_comes_out_in_abdomenatlas_layout_with_masks_and_facts(cases: Path, tmp_path: Path) -> None:
    assert paint(cases, tmp_path / "out").painted == 2
    folder = tmp_path / "out" / "one"
    assert {path.name for path in (folder / "segmentations").iterdir()} == {"liver.nii.gz", "liver_tumor.nii.gz"}
    [read] = [case for case in find_cases([tmp_path / "out"]) if case.name == "one"]
    reference = read_reference(read)
    lesion, facts = reference.masks["liver_lesion"], json.loads((folder / "tumours.json").read_text())
    assert lesion
    assert not (lesion.voxels & ~reference.masks["liver"].voxels).any()
    before = load_ct(cases / "one" / "ct.nii.gz")
    assert (reference.ct.hu != before.hu).any()
    assert reference.ct.grid.matches(before.grid)
    assert (facts["engine"], facts["seed"], len(facts["tumours"])) == ("handcrafted", 3, 2)
    for tumour in facts["tumours"]:
        i, j, k = tumour["centre_voxel"]
        assert lesion.voxels[i, j, k]
        assert np.allclose(lesion.grid.to_mm(np.array([i, j, k])), tumour["centre_ras_mm"], atol=1e-3)
    total = sum(tumour["volume_ml"] for tumour in facts["tumours"])
    assert lesion.count * lesion.grid.voxel_ml == pytest.approx(total, abs=2e-3)


def test_a_resumed_run_equals_one_that_was_not_stopped(cases: Path, tmp_path: Path) -> None:
    def stop(step: str, share: float) -> None:
        if share >= 0.5:
            raise Cancelled("E_CANCELLED", "Stopped.", "Run it again.")

    engine = make_engine("handcrafted")
    with pytest.raises(Cancelled, match="Stopped"):
        synthesise_folder(find_cases([cases]), tmp_path / "out", ORDER, engine=engine, seed=3, progress=stop)
    resumed = paint(cases, tmp_path / "out")
    assert (resumed.painted, resumed.finished_before) == (1, 1)
    paint(cases, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_the_seed_of_a_case_depends_on_its_name_alone() -> None:
    assert case_seed(0, "one") == case_seed(0, "one")
    assert len({tuple(case_seed(seed, name)) for seed in (0, 1) for name in ("one", "two")}) == 4


def test_a_folder_of_other_settings_is_refused(cases: Path, tmp_path: Path) -> None:
    paint(cases, tmp_path / "out")
    with pytest.raises(UsageError, match="other settings") as refused:
        paint(cases, tmp_path / "out", seed=4)
    assert refused.value.code == "E_TUMOUR_OUT"


def test_the_folder_that_is_read_is_never_written_to(cases: Path, tmp_path: Path) -> None:
    before = contents(cases)
    with pytest.raises(UsageError, match="the one to read"):
        paint(cases, cases)
    assert contents(cases) == before
    case_of(tmp_path / "full", "one")
    with pytest.raises(UsageError, match="cases of these names"):
        paint(cases, tmp_path / "full")


def test_a_case_without_the_organ_is_refused_and_the_others_painted(cases: Path, tmp_path: Path) -> None:
    case_of(cases, "three", structure="spleen")
    result = paint(cases, tmp_path / "out")
    assert result.painted == 2
    [(number, error)] = result.refused
    assert (number, error.code) == (2, "E_TUMOUR_ORGAN")
    assert "None of the organs" in str(error)
    assert not (tmp_path / "out" / "three").exists()


def test_a_sheet_shows_what_was_painted(cases: Path, tmp_path: Path) -> None:
    paint(cases, tmp_path / "out")
    assert (
        write_sheet(find_cases([cases]), tmp_path / "out", tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    )
    few = write_sheet(find_cases([cases]), tmp_path / "out", tmp_path / "few.png", only=frozenset({1, 4}))
    with Image.open(tmp_path / "sheet.png") as whole, Image.open(few) as part:
        assert part.width < whole.width
    with pytest.raises(UsageError, match="A number is of no painted tumour"):
        write_sheet(find_cases([cases]), tmp_path / "out", tmp_path / "few.png", only=frozenset({1, 5}))
    with pytest.raises(UsageError, match="no painted tumour") as refused:
        write_sheet(find_cases([cases]), tmp_path / "nothing", tmp_path / "sheet.png")
    assert refused.value.code == "E_NO_TUMOUR"


def test_tumours_keep_apart_from_each_other_and_from_lesions_that_are_known(cases: Path) -> None:
    reference = read_reference(find_cases([cases])[0])
    known = np.zeros(reference.ct.grid.shape, dtype=np.bool_)
    known[30:34, 30:34, 38:42] = True
    masks = {**reference.masks, "liver_cyst": Mask(known, reference.ct.grid, "liver_cyst")}
    painted = paint_case(reference.ct, masks, ORDER, engine=make_engine("handcrafted"), rng=np.random.default_rng(0))
    lesion = painted.lesions["liver_lesion"].voxels
    assert not lesion[29:35, 29:35, 36:44].any()
    assert lesion.sum() * painted.ct.grid.voxel_ml == pytest.approx(
        sum(facts.volume_ml for facts in painted.facts), abs=2e-3
    )


def test_confusers_are_in_the_facts_and_the_ct_and_in_no_mask(cases: Path, tmp_path: Path) -> None:
    paint(cases, tmp_path / "without")
    paint(cases, tmp_path / "with", Order(ORDER.wish, ORDER.organs, ORDER.count, ORDER.size_mm, confusers=3))
    one, other = (tmp_path / name / "one" for name in ("without", "with"))
    assert contents(one / "segmentations") == contents(other / "segmentations")
    facts = json.loads((other / "tumours.json").read_text())
    assert (facts["confusers"], len(facts["painted_confusers"])) == (3, 3)
    plain, confused = (load_ct(folder / "ct.nii.gz") for folder in (one, other))
    changed = plain.hu != confused.hu
    organ = load_labels(other)["liver"].voxels
    assert changed.any()
    assert not (changed & ~organ).any()
    for confuser in facts["painted_confusers"]:
        assert confuser["name"] in FOUND_IN["liver"]
        i, j, k = confuser["centre_voxel"]
        assert changed[i, j, k]
        assert np.allclose(confused.grid.to_mm(np.array([i, j, k])), confuser["centre_ras_mm"], atol=1e-3)


def test_a_gate_keeps_what_its_segmenter_marks_and_is_named_in_the_facts(cases: Path, tmp_path: Path) -> None:
    found, engine = find_cases([cases]), make_engine("handcrafted")
    blind = SegmenterGate(Threshold(above_hu=3000))
    result = synthesise_folder(found, tmp_path / "blind", ORDER, engine=engine, seed=3, gate=blind)
    assert [error.code for _, error in result.refused] == ["E_TUMOUR_JUDGED", "E_TUMOUR_JUDGED"]
    sharp = segmenter_gate(Threshold(above_hu=-3000), ("liver",))
    assert synthesise_folder(found, tmp_path / "sharp", ORDER, engine=engine, seed=3, gate=sharp).painted == 2
    paint(cases, tmp_path / "plain")
    judged, plain = (json.loads((tmp_path / name / "one" / "tumours.json").read_text()) for name in ("sharp", "plain"))
    assert (judged["gate"], plain["gate"]) == ("threshold", None)
    assert judged["tumours"] == plain["tumours"]
    with pytest.raises(UsageError, match="other settings"):
        paint(cases, tmp_path / "sharp")


def test_a_gate_that_knows_no_lesion_of_an_organ_is_refused() -> None:
    with pytest.raises(UsageError, match="no lesions of: kidney, colon") as refused:
        segmenter_gate(Threshold(above_hu=0), ("liver", "kidney", "colon"))
    assert refused.value.code == "E_NO_LESIONS"


def test_an_order_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to paint"):
        Order(Wish("liver"), ("liver",), count=0)
    with pytest.raises(UsageError, match="not a range"):
        Order(Wish("liver"), ("liver",), count=1, size_mm=(40, 5))
    with pytest.raises(UsageError, match="fewer than 0 confusers"):
        Order(Wish("liver"), ("liver",), count=1, confusers=-1)


def test_a_case_too_small_for_any_tumour_says_so(cases: Path) -> None:
    reference = read_reference(find_cases([cases])[0])
    order = Order(Wish("liver", diameter_mm=80), ("liver",), count=2)
    with pytest.raises(UsageError, match="no room"):
        paint_case(
            reference.ct, reference.masks, order, engine=make_engine("handcrafted"), rng=np.random.default_rng(0)
        )
