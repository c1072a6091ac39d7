"""Cases in the layouts in which others share them: what is read, what is annotated, what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.vision.benchmark_cases import (
    GRID,
    LIVER,
    ORDER,
    SPLEEN,
    block,
    counts,
    ct,
    write_atlas_case,
    write_dev_case,
    write_integers,
)
from vision.benchmark import find_cases, read_reference
from vision.benchmark.layouts import read_annotated
from vision.errors import InputRefused, UsageError
from vision.geometry import Grid, Mask
from vision.io import write_ct, write_label_map, write_mask

LOBES = {
    "lung_upper_lobe_right": block("lung_right", (2, 4, 4), (8, 10, 10)),
    "lung_middle_lobe_right": block("lung_right", (8, 4, 4), (12, 10, 10)),
    "lung_lower_lobe_right": block("lung_right", (12, 4, 4), (16, 10, 10)),
}


def write_masks(folder: Path, masks: dict[str, Mask], *, into: str = "segmentations") -> Path:
    write_ct(ct(), folder / "ct.nii.gz")
    for name, mask in masks.items():
        write_mask(mask, folder / into / f"{name}.nii.gz")
    return folder


@pytest.mark.parametrize("into", ["segmentations", "predictions"])
def test_atlas_case_is_annotated_in_what_it_has_files_of(tmp_path: Path, into: str) -> None:
    (case,) = find_cases([write_masks(tmp_path / "a", {"liver": LIVER, "gallbladder": SPLEEN}, into=into)])
    assert case.annotated == {"liver", "gall_bladder"}
    assert counts(case) == {"liver": LIVER.count, "gall_bladder": SPLEEN.count}


def test_atlas_case_with_combined_labels_alone_is_read_by_their_order(tmp_path: Path) -> None:
    write_ct(ct(), tmp_path / "a" / "ct.nii.gz")
    write_integers(tmp_path / "a" / "combined_labels.nii.gz", {5: LIVER, 8: SPLEEN})
    (case,) = find_cases([tmp_path], order=ORDER)
    assert case.annotated is None
    assert counts(case) == {"liver": LIVER.count, "spleen": SPLEEN.count}


def test_masks_of_an_atlas_case_come_before_its_combined_labels(tmp_path: Path) -> None:
    folder = write_atlas_case(tmp_path / "a", [LIVER])
    write_integers(folder / "combined_labels.nii.gz", {8: SPLEEN})
    (case,) = find_cases([folder])
    assert counts(case) == {"liver": LIVER.count}


def test_lung_lobes_of_totalsegmentator_are_joined_and_its_names_are_ours(tmp_path: Path) -> None:
    masks = {**LOBES, "gallbladder": SPLEEN, "inferior_vena_cava": LIVER, "vertebrae_L1": SPLEEN}
    (case,) = find_cases([write_masks(tmp_path / "s0000", masks)])
    assert case.annotated == {"lung_right", "gall_bladder", "postcava"}
    assert case.unnamed == 1
    assert counts(case)["lung_right"] == sum(lobe.count for lobe in LOBES.values())


def test_lung_with_a_lobe_missing_is_not_annotated(tmp_path: Path) -> None:
    masks = {"lung_upper_lobe_left": LIVER, "liver": LIVER}
    (case,) = find_cases([write_masks(tmp_path / "s0000", masks)])
    assert case.annotated == {"liver"}


def test_only_wanted_mask_files_are_read(tmp_path: Path) -> None:
    folder = write_masks(tmp_path / "s0000", {"liver": LIVER, "spleen": SPLEEN})
    (folder / "segmentations" / "spleen.nii.gz").write_bytes(b"no image")
    (case,) = find_cases([folder])
    assert read_reference(case, frozenset({"liver"})).masks.keys() == {"liver"}


@pytest.mark.parametrize("mark", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
def test_split_of_totalsegmentator_is_chosen_by_its_table(tmp_path: Path, mark: str) -> None:
    for name in ("s0000", "s0001", "s0002"):
        write_masks(tmp_path / name, {"liver": LIVER})
    table = f"{mark}image_id;age;split\ns0000;60;train\ns0001;61;test\ns0002;62;test\n"
    (tmp_path / "meta.csv").write_text(table, encoding="utf-8")
    assert [case.name for case in find_cases([tmp_path], split="test")] == ["s0001", "s0002"]
    with pytest.raises(UsageError, match="E_SPLIT: Input 1 has no cases of this split"):
        find_cases([tmp_path], split="val")


def test_split_without_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"E_SPLIT: There is no meta\.csv"):
        find_cases([write_masks(tmp_path / "s0000", {"liver": LIVER})], split="test")


def test_table_of_splits_that_has_other_columns_is_refused(tmp_path: Path) -> None:
    write_masks(tmp_path / "s0000", {"liver": LIVER})
    (tmp_path / "meta.csv").write_text("image_id,split\ns0000,test\n")
    with pytest.raises(InputRefused, match=r"E_LAYOUT: The meta\.csv cannot be read"):
        find_cases([tmp_path], split="test")


def test_case_in_two_layouts_is_refused_and_the_known_layouts_are_told(tmp_path: Path) -> None:
    folder = write_atlas_case(tmp_path / "a", [LIVER])
    write_label_map([LIVER], folder / "labels.nii.gz")
    with pytest.raises(InputRefused, match=r"E_LAYOUT: .* mixes layouts: labels\.nii\.gz, segmentations\. Tried: "):
        find_cases([folder])


def test_folder_of_cases_in_two_layouts_is_refused(tmp_path: Path) -> None:
    write_atlas_case(tmp_path / "a", [LIVER])
    write_dev_case(tmp_path / "b", [LIVER])
    with pytest.raises(InputRefused, match="E_LAYOUT"):
        find_cases([tmp_path], order=ORDER)
    assert len(find_cases([tmp_path / "a", tmp_path / "b"], order=ORDER)) == 2


def test_folder_without_cases_is_refused_and_the_known_layouts_are_told(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputRefused, match=r"E_NO_CASE: .* Tried: .*AbdomenAtlas.*TotalSegmentator.*nnU-Net"):
        find_cases([tmp_path])
    with pytest.raises(InputRefused, match="E_NOT_FOUND"):
        find_cases([tmp_path / "missing"])


def test_case_whose_masks_have_no_name_here_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_NO_CASE: A case has no mask of a known structure"):
        find_cases([write_masks(tmp_path / "a", {"vertebrae_L1": LIVER})])


def test_two_mask_files_of_one_structure_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="E_LABEL: Two mask files of a case are of gall_bladder"):
        find_cases([write_masks(tmp_path / "a", {"gall_bladder": LIVER, "gallbladder": LIVER})])


def test_parts_of_a_structure_on_two_grids_are_refused(tmp_path: Path) -> None:
    moved = Grid.from_spacing(GRID.shape, GRID.spacing_mm, (5.0, 0.0, 0.0))
    lobes = {**LOBES, "lung_lower_lobe_right": Mask(LIVER.voxels, moved, "lung_right")}
    (case,) = find_cases([write_masks(tmp_path / "a", lobes)])
    with pytest.raises(InputRefused, match="E_GRID: The parts of lung_right"):
        read_reference(case)


def test_two_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = write_dev_case(tmp_path / "a", [LIVER])
    with pytest.raises(UsageError, match="E_CASE_TWICE"):
        find_cases([folder, tmp_path], order=ORDER)


def test_unknown_annotated_structure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No structure is called"):
        find_cases([write_dev_case(tmp_path / "a", [LIVER])], order=ORDER, annotated=frozenset({"livver2000"}))


def test_table_says_what_each_case_annotates_and_the_layout_says_the_rest(tmp_path: Path) -> None:
    for name in "ab":
        write_atlas_case(tmp_path / name, [LIVER])
    (tmp_path / "table.csv").write_text("case,annotated\na,liver gallbladder\nelsewhere,spleen\n")
    cases = find_cases([tmp_path], annotated=read_annotated(tmp_path / "table.csv"))
    assert [case.annotated for case in cases] == [{"liver", "gall_bladder"}, {"liver"}]


@pytest.mark.parametrize(
    ("text", "said"), [("patient,liver\n", "cannot be read"), ("case,annotated\na,liver\nb,jane\n", "Line 3 names")]
)
def test_table_of_what_is_annotated_that_cannot_be_read_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "table.csv").write_text(text + "x,y\n" * (said == "cannot be read"))
    with pytest.raises(InputRefused, match=f"E_ANNOTATED: .*{said}") as refused:
        read_annotated(tmp_path / "table.csv")
    assert "jane" not in str(refused.value)


@pytest.mark.data
@pytest.mark.skipif("BODYMAPS_DATA" not in os.environ, reason="BODYMAPS_DATA names no folder of real CTs")
def test_real_abdomen_is_annotated_in_its_eight_structures() -> None:
    (case,) = find_cases([Path(os.environ["BODYMAPS_DATA"]) / "dev" / "btcv_0010"], order=ORDER)
    wanted = {"aorta", "gall_bladder", "kidney_left", "kidney_right", "liver", "pancreas", "spleen", "stomach"}
    assert read_reference(case).annotated == wanted
