"""Folders of label maps in, folders of drawn cases out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from vision.errors import InputRefused, UsageError
from vision.geometry import CTVolume, Grid
from vision.io import load_ct, load_labels, write_ct
from vision.synthesis.anatomy import Anatomy, SyntheticCT, Tissue, contact_sheet, read_anatomies, synthesise_folder


@pytest.fixture
def anatomies(tmp_path: Path) -> Path:
    """A folder with one label map, stored from right to left: a liver, a spleen, an aorta."""
    labels = np.zeros((60, 40, 16), dtype=np.int16)
    labels[4:28, 8:34, 2:14] = Tissue.LIVER
    labels[38:56, 6:24, 2:14] = Tissue.SPLEEN
    labels[28:34, 10:16] = Tissue.AORTA
    grid = Grid((60, 40, 16), np.diag((-4.0, 4.0, 4.0, 1.0)))
    folder = tmp_path / "maps"
    (folder / "one").mkdir(parents=True)
    write_ct(CTVolume(labels, grid), folder / "one" / "labels.nii.gz")
    (folder / "index.csv").write_text("subject,structures\none,liver spleen aorta someday\n", encoding="utf-8")
    return folder


def test_label_maps_are_read_in_ras_order_completed_and_cached(anatomies: Path, tmp_path: Path) -> None:
    [anatomy] = read_anatomies(anatomies, tmp_path / "cache")
    assert anatomy.annotated == {"liver", "spleen", "aorta"}
    right, left = (np.argwhere(anatomy.tissues == code)[:, 0].mean() for code in (Tissue.LIVER, Tissue.SPLEEN))
    assert right > left
    (anatomies / "one" / "labels.nii.gz").unlink()
    [again] = read_anatomies(anatomies, tmp_path / "cache")
    assert again.annotated == anatomy.annotated
    assert (again.tissues == anatomy.tissues).all()


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no index") as refused:
        read_anatomies(tmp_path, tmp_path / "cache")
    assert refused.value.code == "E_ANATOMIES"


def test_a_damaged_label_map_is_refused(anatomies: Path, tmp_path: Path) -> None:
    (anatomies / "one" / "labels.nii.gz").write_bytes(b"not a label map at all")
    with pytest.raises(InputRefused):
        read_anatomies(anatomies, tmp_path / "cache")


def test_a_drawn_folder_reads_back_as_cts_with_masks(anatomies: Path, tmp_path: Path) -> None:
    listed = synthesise_folder(anatomies, tmp_path / "drawn", count=1, seed=5)
    rows = json.loads(listed.read_text(encoding="utf-8"))
    assert [row["annotated"] for row in rows] == [["aorta", "liver", "spleen"]]
    ct = load_ct(listed.parent / rows[0]["ct"])
    masks = load_labels(listed.parent / rows[0]["labels"])
    assert set(masks) == {"aorta", "liver", "spleen"}
    assert masks["liver"].grid.matches(ct.grid)
    assert ct.hu[masks["liver"].voxels].mean() > 10
    assert (listed.parent / "contact_sheet.png").read_bytes().startswith(b"\x89PNG")


def test_a_seed_draws_the_same_folder_again(anatomies: Path, tmp_path: Path) -> None:
    one = synthesise_folder(anatomies, tmp_path / "a", count=1, seed=5)
    shutil.copytree(tmp_path / "a" / "completed_anatomies", tmp_path / "b" / "completed_anatomies")
    two = synthesise_folder(anatomies, tmp_path / "b", count=1, seed=5)
    assert one.read_bytes() == two.read_bytes()
    assert (load_ct(one.parent / "case_0001/ct.nii.gz").hu == load_ct(two.parent / "case_0001/ct.nii.gz").hu).all()


def test_no_cases_are_refused(anatomies: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to draw") as refused:
        synthesise_folder(anatomies, tmp_path / "drawn", count=0, seed=0)
    assert refused.value.code == "E_COUNT"
    with pytest.raises(ValueError, match="at least one case"):
        contact_sheet([], tmp_path / "sheet.png")


def test_a_sheet_shows_a_row_for_every_case(tmp_path: Path) -> None:
    from PIL import Image

    tissues = np.full((30, 20, 10), Tissue.LIVER, dtype=np.uint8)
    case = SyntheticCT(np.full((30, 20, 10), 75, dtype=np.int16), Anatomy(tissues, frozenset()).tissues, {})
    with Image.open(contact_sheet([case, case, case], tmp_path / "sheet.png")) as sheet:
        assert sheet.height * 5 == sheet.width * 3
        assert sheet.getpixel((5, 5)) == int(200 / 400 * 255)
