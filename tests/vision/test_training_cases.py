"""Training: cases are prepared once, a seed gives a patch seen wide and near, scanners differ."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vision.training_parts import (
    GRID,
    MASKS,
    PLAIN,
    SMALL,
    STILL,
    STRUCTURES,
    box_mask,
    case_of,
    ct_of,
    patch_of,
)
from vision.errors import UsageError
from vision.geometry import CTVolume, Grid, Mask
from vision.io import write_ct, write_label_map
from vision.training.cases import (
    label_members,
    member_table,
    prepare_case,
    prepare_list,
    read_case,
    read_case_list,
    save_case,
)
from vision.training.patches import PatchConfig
from vision.training.scanner import Scanner, draw_scanner


def test_a_prepared_case_holds_its_structures_on_the_fine_grid() -> None:
    case = case_of()
    assert case.hu.shape == case.tissues.shape == GRID.shape
    assert case.annotated.tolist() == [True, True, False]
    for index, name in enumerate(("liver", "spleen")):
        np.testing.assert_array_equal(case.voxels_of(index), MASKS[name].voxels)
    assert not case.voxels_of(2).any()


def test_a_lesion_and_a_vessel_belong_to_the_organ_they_lie_in() -> None:
    inside = {"liver_lesion": box_mask("liver_lesion", (6, 6, 6), (9, 9, 9))}
    inside["hepatic_vessel"] = box_mask("hepatic_vessel", (12, 12, 12), (14, 14, 20))
    case = prepare_case(
        ct_of(), {**inside, **MASKS}, annotated=frozenset({"liver"}), structures=STRUCTURES, spacing_mm=1.5
    )
    np.testing.assert_array_equal(case.voxels_of(0), MASKS["liver"].voxels)
    assert len(np.unique(case.tissues)) == 5


def test_every_structure_owns_its_own_code_and_shares_only_what_lies_in_it() -> None:
    members = label_members()
    assert members["aorta"] == (1,)
    assert set(members["liver"]) == {5, 19, *range(121, 129)}
    assert not set(members["kidney_left"]) & set(members["kidney_right"])
    assert not {101, 102, 103, 104, 105, 106} & {code for codes in members.values() for code in codes}
    assert member_table(("aorta",), members).sum() == 1


def test_a_saved_case_reads_back_the_same(tmp_path: Path) -> None:
    case = case_of()
    save_case(case, tmp_path / "case.npz")
    stored = read_case(tmp_path / "case.npz")
    np.testing.assert_array_equal(stored.hu, case.hu)
    np.testing.assert_array_equal(stored.tissues, case.tissues)
    np.testing.assert_array_equal(stored.members, case.members)
    np.testing.assert_array_equal(stored.annotated, case.annotated)
    assert [path.name for path in tmp_path.iterdir()] == ["case.npz"]


def test_the_same_seed_draws_the_same_patch() -> None:
    first, again, other = patch_of(3), patch_of(3), patch_of(4)
    assert torch.equal(first.hu, again.hu)
    assert torch.equal(first.fine_tissues, again.fine_tissues)
    assert not torch.equal(first.hu, other.hu)


@pytest.mark.parametrize("seed", range(8))
def test_a_patch_is_seen_wide_and_near(seed: int) -> None:
    patch = patch_of(seed)
    assert patch.hu.shape[1:] == patch.tissues.shape
    assert patch.tissues.shape[:2] == (16, 16)
    assert patch.tissues.shape[2] % SMALL.multiple == 0
    near = [n // 2 for n in patch.fine_tissues.shape]
    assert all(n % 4 == 0 for n in near)
    assert all(int(a) % 2 == 0 for a in patch.fine_start)
    assert all(int(a) + n <= m for a, n, m in zip(patch.fine_start, near, patch.tissues.shape, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_both_views_show_the_same_place(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vision.training.patches.draw_scanner", lambda rng: PLAIN)
    patch = patch_of(seed, STILL)
    i, j, k = (int(n) for n in patch.fine_start)
    wide = patch.hu[:, i : i + 8, j : j + 8, k : k + 8]
    near = torch.nn.functional.avg_pool3d(patch.fine_hu[None], 2)[0]
    inner = (slice(None), *[slice(1, 7)] * 3)
    assert float((wide - near)[inner].abs().mean()) < 8.0
    codes = patch.fine_tissues
    for code, hu in ((5, 100.0), (8, 150.0)):
        deep = torch.nn.functional.avg_pool3d((codes == code).float()[None, None], 3, 1, 1)[0, 0] > 0.99
        assert torch.allclose(patch.fine_hu[0][deep], torch.tensor(hu), atol=0.5)


def test_a_thin_scan_ends_in_air() -> None:
    config = PatchConfig(slab_probability=1.0, slab_size=(16, 16), slab_mm=(20.0, 22.0), fine_size=(8, 8, 4))
    patch = patch_of(0, config)
    assert patch.hu.shape == (1, 16, 16, 16)
    assert bool(patch.hu[..., 7:].eq(-125.0).all())
    assert not bool(patch.tissues[..., 7:].any())


def test_a_scanner_changes_contrast_but_not_place() -> None:
    hu, tissues = torch.zeros(8, 8, 8), torch.zeros(8, 8, 8, dtype=torch.uint8)
    tissues[:4] = 5
    offsets = np.zeros(256, np.float32)
    offsets[5] = 40.0
    brighter = Scanner(offsets, gain=1.0, shift_hu=0.0, thickness_mm=0.0, blur_mm=0.0, noise_hu=0.0)
    seen = brighter.scan(hu, tissues, 3.0, np.random.default_rng(0))
    assert float(seen[1, 4, 4]) == 40.0
    assert float(seen[6, 4, 4]) == 0.0


def test_noise_is_quieter_in_larger_voxels() -> None:
    noisy = Scanner(PLAIN.offsets, gain=1.0, shift_hu=0.0, thickness_mm=0.0, blur_mm=0.0, noise_hu=20.0)
    hu, tissues = torch.zeros(24, 24, 24), torch.zeros(24, 24, 24, dtype=torch.uint8)
    fine = noisy.scan(hu, tissues, 1.5, np.random.default_rng(0)).std()
    coarse = noisy.scan(hu, tissues, 3.0, np.random.default_rng(0)).std()
    assert float(fine) == pytest.approx(20.0, rel=0.05)
    assert float(coarse) == pytest.approx(10.0, rel=0.05)


def test_scanners_differ_and_some_keep_the_ct_as_it_is() -> None:
    drawn = [draw_scanner(np.random.default_rng(seed)) for seed in range(60)]
    assert any(scanner.offsets.any() for scanner in drawn)
    assert any(not scanner.offsets.any() and scanner.gain == 1.0 for scanner in drawn)
    assert any(scanner.thickness_mm > 3 for scanner in drawn)


def write_list(folder: Path, **changes: object) -> Path:
    """A case list of one case beside its files: the same voxels, large enough for a body."""
    grid = Grid.from_spacing(GRID.shape, (5.0, 5.0, 10.0))
    write_ct(CTVolume(np.where(ct_of().hu == 0, -1000, ct_of().hu).astype(np.int16), grid), folder / "ct.nii.gz")
    write_label_map([Mask(mask.voxels, grid, name) for name, mask in MASKS.items()], folder / "labels.nii.gz")
    row = {"ct": "ct.nii.gz", "labels": "labels.nii.gz", "order": "abdomenatlas1.1", "annotated": ["liver", "spleen"]}
    (folder / "cases.json").write_text(json.dumps([{k: v for k, v in {**row, **changes}.items() if v is not None}]))
    return folder / "cases.json"


def test_a_case_list_is_prepared_once_and_then_read_from_the_cache(tmp_path: Path) -> None:
    entries = read_case_list(write_list(tmp_path))
    first = prepare_list(entries, tmp_path / "cache", structures=STRUCTURES, spacing_mm=10.0)
    (tmp_path / "ct.nii.gz").unlink()
    again = prepare_list(entries, tmp_path / "cache", structures=STRUCTURES, spacing_mm=10.0)
    np.testing.assert_array_equal(first[0].tissues, again[0].tissues)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["0000.npz"]


@pytest.mark.parametrize("changes", [{"ct": None}, {"order": None}, {"annotated": 7}, {"annotated": ["lever"]}])
def test_a_malformed_case_list_says_what_each_entry_needs(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="E_CASE_LIST: The case list is not a list of training cases"):
        read_case_list(write_list(tmp_path, **changes))


def test_a_case_list_that_is_not_there_or_empty_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E_CASE_LIST"):
        read_case_list(tmp_path / "none.json")
    (tmp_path / "empty.json").write_text("[]")
    with pytest.raises(UsageError, match="E_CASE_LIST: The case list is empty"):
        read_case_list(tmp_path / "empty.json")
