"""Masks, label maps and CTs come back from disk as they went; no file is ever half there."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np
import pytest

from tests.catalogue.make_bombs import bomb
from tests.catalogue.make_files import fifo
from tests.catalogue.make_nifti import file_of, header_of, sform_of, sform_rows
from tests.catalogue.row import Maker
from tests.vision.small_files import AFFINE, SHAPE, body_hu, nifti_gz
from vision.errors import InputRefused, ResourceError, UsageError
from vision.geometry import CTVolume, Grid, Mask
from vision.io import (
    load_ct,
    load_labels,
    write_atomically,
    write_bytes,
    write_ct,
    write_label_map,
    write_mask,
    write_text,
)
from vision.io.nifti.volume import StoredVolume, read_nifti

GRID = Grid(SHAPE, AFFINE)


def box_mask(structure: str, start: int, stop: int, grid: Grid = GRID) -> Mask:
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[start:stop, 5:9, 2:6] = True
    return Mask(voxels, grid, structure)


def test_a_mask_is_written_as_uint8_on_the_grid_of_its_ct(tmp_path: Path) -> None:
    path = write_mask(box_mask("liver", 3, 8), tmp_path / "new" / "liver.nii.gz")
    image = nibabel.load(path)
    assert image.get_data_dtype() == np.uint8
    assert np.allclose(image.affine, AFFINE)
    assert np.allclose(image.get_qform(), AFFINE, atol=1e-4)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert not image.header["descrip"].item().strip(b"\0")
    assert np.array_equal(np.asarray(image.dataobj), box_mask("liver", 3, 8).voxels)


def test_the_same_mask_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_mask(box_mask("liver", 3, 8), tmp_path / "a.nii.gz").read_bytes()
    assert first == write_mask(box_mask("liver", 3, 8), tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_ct_comes_back_as_it_went(name: str, dtype: type, tmp_path: Path) -> None:
    hu = body_hu().astype(dtype) + (dtype(0.5) if dtype is np.float32 else dtype(0))
    ct = load_ct(write_ct(CTVolume(hu, GRID), tmp_path / name))
    assert np.array_equal(ct.hu, hu)
    assert ct.grid.matches(GRID)


def test_an_oblique_mask_opens_on_its_grid(tmp_path: Path) -> None:
    turn = np.deg2rad(20)
    affine = AFFINE.copy()
    affine[:3, :3] = (
        np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]) @ (AFFINE[:3, :3])
    )
    grid = Grid(SHAPE, affine)
    write_mask(box_mask("liver", 3, 8, grid), tmp_path / "liver.nii.gz")
    assert load_labels(tmp_path)["liver"].grid.matches(grid)


def test_another_suffix_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="E_SUFFIX"):
        write_mask(box_mask("liver", 3, 8), tmp_path / "liver.png")


def test_a_label_map_comes_back_by_name(tmp_path: Path) -> None:
    masks = [box_mask("liver_lesion", 4, 6), box_mask("liver", 3, 8), box_mask("IVC", 10, 12)]
    path = write_label_map(masks, tmp_path / "combined_labels.nii.gz")
    labels = np.asarray(nibabel.load(path).dataobj)
    assert sorted(np.unique(labels)) == [0, 5, 7, 101]
    again = load_labels(path)
    assert set(again) == {"liver", "liver_lesion", "postcava"}
    assert np.array_equal(again["liver_lesion"].voxels, masks[0].voxels)
    assert np.array_equal(again["liver"].voxels, masks[1].voxels & ~masks[0].voxels)
    assert load_labels(tmp_path).keys() == again.keys()


def test_a_label_map_of_nothing_or_of_what_has_no_integer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one mask"):
        write_label_map([], tmp_path / "a.nii.gz")
    with pytest.raises(UsageError, match="E_NO_LABEL"):
        write_label_map([box_mask("heart", 3, 8)], tmp_path / "a.nii.gz")
    other = Grid(SHAPE, AFFINE + np.diag([1.0, 0, 0, 0]))
    with pytest.raises(ValueError, match="lies on"):
        write_label_map([box_mask("liver", 3, 8), box_mask("spleen", 3, 8, other)], tmp_path / "a.nii.gz")


@pytest.fixture
def bare_labels(tmp_path: Path) -> Path:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[3:8, 5:9, 2:6], labels[10:12, 5:9, 2:6] = 1, 6
    path = tmp_path / "labels.nii.gz"
    path.write_bytes(nifti_gz(labels))
    return path


@pytest.mark.parametrize(
    ("order", "names"), [("abdomenatlas1.1", {"aorta", "pancreas"}), ("universal32", {"spleen", "liver"})]
)
def test_bare_integers_are_named_by_the_order_given(order: str, names: set[str], bare_labels: Path) -> None:
    masks = load_labels(bare_labels, order=order)
    assert set(masks) == names
    assert all(name == mask.structure for name, mask in masks.items())


def test_bare_integers_without_an_order_are_refused(bare_labels: Path) -> None:
    with pytest.raises(InputRefused, match=r"E_LABEL_ORDER.*universal32"):
        load_labels(bare_labels)
    bare_labels.with_name("labels.json").write_text(json.dumps({"format": "another program's"}))
    with pytest.raises(InputRefused, match="E_LABEL_ORDER"):
        load_labels(bare_labels)
    bare_labels.with_name("labels.json").write_text("{")
    with pytest.raises(InputRefused, match="E_LABEL: The names"):
        load_labels(bare_labels)


def test_an_unknown_order_names_the_known_ones(bare_labels: Path) -> None:
    with pytest.raises(UsageError, match=r"E_ORDER.*abdomenatlas1\.1"):
        load_labels(bare_labels, order="mine")


@pytest.mark.parametrize(("voxel", "what"), [(99, "integers"), (2.5, "whole numbers"), (-1, "whole numbers")])
def test_other_values_in_a_label_map_are_refused(voxel: float, what: str, tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, dtype=np.float32)
    labels[4, 4, 4] = voxel
    (tmp_path / "labels.nii.gz").write_bytes(nifti_gz(labels))
    with pytest.raises(InputRefused, match=f"E_LABEL.*{what}"):
        load_labels(tmp_path / "labels.nii.gz", order="abdomenatlas1.1")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (fifo, "E_NOT_REGULAR"),
        (file_of(lambda: nifti_gz()[:-100]), "E_TRUNCATED"),
        (header_of(xyzt_units=1), "E_SPACING"),
        (sform_of((-10, 0, 0), (0, -9, 0), (0, -9, 8)), "E_AFFINE"),
        (header_of(**sform_rows(-AFFINE)), "E_AFFINE_CONFLICT"),
        (bomb, "E_SIZE"),
    ],
)
def test_labels_pass_the_same_gate(make: Maker, code: str, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=f"^{code}:"):
        load_labels(make(tmp_path), order="abdomenatlas1.1")


def test_labels_that_change_while_they_are_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_mask(box_mask("liver", 3, 8), tmp_path / "liver.nii.gz")

    def then_written(*arguments: Any, **settings: Any) -> StoredVolume:
        stored = read_nifti(*arguments, **settings)
        path.write_bytes(path.read_bytes() + b"more")
        return stored

    monkeypatch.setattr("vision.io.labels.read_nifti", then_written)
    with pytest.raises(InputRefused, match="E_CHANGED"):
        load_labels(tmp_path)


def test_a_huge_file_beside_a_label_map_is_not_taken_for_its_names(bare_labels: Path) -> None:
    bare_labels.with_name("labels.json").write_bytes(b" " * (1 << 20) + b"{}")
    with pytest.raises(InputRefused, match="E_LABEL_ORDER"):
        load_labels(bare_labels)


def test_a_case_folder_is_read_by_its_file_names(tmp_path: Path) -> None:
    write_mask(box_mask("liver", 3, 8), tmp_path / "segmentations" / "liver.nii.gz")
    write_mask(box_mask("postcava", 9, 9), tmp_path / "segmentations" / "inferior_vena_cava.nii.gz")
    masks = load_labels(tmp_path)
    assert set(masks) == {"liver", "postcava"}
    assert not masks["postcava"]


def test_a_case_folder_with_a_stranger_or_another_grid_or_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_NO_IMAGES"):
        load_labels(tmp_path)
    write_mask(box_mask("liver", 3, 8), tmp_path / "liver.nii.gz")
    stranger = write_mask(box_mask("liver", 3, 8), tmp_path / "xyzzy_jane_doe.nii.gz")
    with pytest.raises(InputRefused, match="E_LABEL: Mask file 2 of 2"):
        load_labels(tmp_path)
    stranger.unlink()
    (tmp_path / "spleen.nii.gz").write_bytes(nifti_gz(np.ones((26, 24, 10), dtype=np.uint8)))
    with pytest.raises(InputRefused, match="E_GRID"):
        load_labels(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = write_text(tmp_path / "answer.json", "old")

    def fails(file: BinaryIO) -> None:
        file.write(b"ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ResourceError, match="E_DISK"):
        write_atomically(path, fails)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["answer.json"]


def test_a_place_that_cannot_be_written_is_a_resource_error(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"x")
    with pytest.raises(ResourceError, match="E_OUTPUT"):
        write_bytes(tmp_path / "file" / "below", b"x")


def test_a_written_file_has_usual_permissions(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "file", b"x")
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask
