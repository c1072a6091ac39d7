"""Find the cases in folders, in the layouts in which abdominal CTs with masks are shared."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vision.benchmark.layouts.case import EvaluationCase
from vision.benchmark.layouts.datasets import DATASET, dataset_cases
from vision.benchmark.layouts.references import label_map_reader, mask_file_reader, mask_files, named
from vision.errors import InputRefused, UsageError
from vision.io.refusal import refusing
from vision.structures import by_name

CT_NAME = "ct.nii.gz"
LABELS_NAME = "labels.nii.gz"
COMBINED_NAME = "combined_labels.nii.gz"
META_NAME = "meta.csv"
LARGEST_META = 64 << 20
TRIED = (
    f"Tried: {CT_NAME} with {LABELS_NAME}; AbdomenAtlas ({CT_NAME} with segmentations/, predictions/ or "
    f"{COMBINED_NAME}); TotalSegmentator ({CT_NAME} with segmentations/<class>.nii.gz); the Medical Segmentation "
    f"Decathlon and nnU-Net ({DATASET} with imagesTr and labelsTr)."
)
Annotated = frozenset[str] | Mapping[str, frozenset[str]]


def find_cases(
    folders: Sequence[Path],
    *,
    order: str | None = None,
    annotated: Annotated | None = None,
    split: str | None = None,
) -> list[EvaluationCase]:
    """The cases in some folders, each a dataset, a folder of cases or a case itself; sorted by name within a folder.

    `order` names the integers of label maps without names ('abdomenatlas1.1', 'universal32'). `annotated` are the
    structures, under any name, that are known in every case, or those of each case by its name; without it the layout
    says so: the files of a folder of masks, the labels of a dataset.json, or what a label map holds. `split` keeps
    the cases of one split of TotalSegmentator's meta.csv.
    Raises InputRefused E_NOT_FOUND for a folder that is missing, E_NO_CASE for one in no known layout, E_LAYOUT for one
    in several; UsageError E_SPLIT for a split without cases, E_CASE_TWICE for two cases of one name, and E_STRUCTURE.
    """
    found = [case for number, folder in enumerate(folders, 1) for case in _cases_in(folder, number, order, split)]
    twice = sum(count > 1 for count in Counter(case.name for case in found).values())
    if twice:
        raise UsageError("E_CASE_TWICE", f"{twice} names are those of several cases.", "Rename or leave out some.")
    if annotated is None:
        return found
    if isinstance(annotated, Mapping):
        table = {case: _known(structures) for case, structures in annotated.items()}
        return [replace(case, annotated=table.get(case.name, case.annotated)) for case in found]
    known = _known(annotated)
    return [replace(case, annotated=known) for case in found]


def read_annotated(path: Path) -> dict[str, frozenset[str]]:
    """What each case annotates, of a CSV with the columns case and annotated; blanks, commas or | between structures.

    Raises InputRefused E_ANNOTATED for a file that cannot be read so, with the number of the first line at fault.
    """
    remedy = "Give a .csv with the columns case and annotated: liver_0,liver spleen."
    with refusing("E_ANNOTATED", "The table of what is annotated cannot be read", remedy):
        with path.open("rb") as file:
            text = file.read(LARGEST_META).decode("utf-8-sig")
        rows = [(row["case"], row["annotated"]) for row in csv.DictReader(text.splitlines())]
    table: dict[str, frozenset[str]] = {}
    for line, (case, annotated) in enumerate(rows, start=2):
        words = re.split(r"[\s,|;]+", (annotated or "").strip())
        table[case] = frozenset(name for word in words if word and (name := named(word)))
        if len(table[case]) < len(frozenset(words) - {""}):
            raise InputRefused("E_ANNOTATED", f"Line {line} names a structure that is not in the table.", remedy)
    return table


def _known(structures: frozenset[str]) -> frozenset[str]:
    return frozenset(by_name(name).name for name in structures)


def _cases_in(folder: Path, number: int, order: str | None, split: str | None) -> list[EvaluationCase]:
    if not folder.is_dir():
        raise InputRefused("E_NOT_FOUND", f"Input {number} is not a folder.", "Give folders of cases.")
    inside = [folder] if (folder / CT_NAME).is_file() else sorted(path for path in folder.iterdir() if path.is_dir())
    fitting = {path: fits for path in inside if (fits := _layouts_of(path))}
    layouts = {layout for fits in fitting.values() for layout in fits}
    is_dataset = (folder / DATASET).is_file()
    if len(layouts) + is_dataset > 1:
        names = sorted([*layouts, DATASET] if is_dataset else layouts)
        raise InputRefused("E_LAYOUT", f"Input {number} mixes layouts: {', '.join(names)}.", TRIED)
    if split is not None:
        chosen = _of_split(folder / META_NAME, split)
        fitting = {path: fits for path, fits in fitting.items() if path.name in chosen}
        if is_dataset or not fitting:
            raise UsageError(
                "E_SPLIT", f"Input {number} has no cases of this split.", f"Splits are those of its {META_NAME}."
            )
    cases = dataset_cases(folder) if is_dataset else [_MAKERS[fits[0]](path, order) for path, fits in fitting.items()]
    if not cases:
        raise InputRefused("E_NO_CASE", f"Input {number} holds no case with a reference.", TRIED)
    return cases


def _layouts_of(folder: Path) -> list[str]:
    """The layouts that a case folder fits; an AbdomenAtlas case may hold its masks twice, in files and combined."""
    if not (folder / CT_NAME).is_file():
        return []
    fits = [name for name in ("segmentations", "predictions") if (folder / name).is_dir()]
    if not fits and (folder / COMBINED_NAME).is_file():
        fits = [COMBINED_NAME]
    return [*fits, LABELS_NAME] if (folder / LABELS_NAME).is_file() else fits


def _label_map_case(name: str) -> Callable[[Path, str | None], EvaluationCase]:
    def make(folder: Path, order: str | None) -> EvaluationCase:
        return EvaluationCase(folder.name, folder / CT_NAME, label_map_reader(folder / name, order))

    return make


def _masks_case(name: str) -> Callable[[Path, str | None], EvaluationCase]:
    def make(folder: Path, order: str | None) -> EvaluationCase:
        files, unnamed = mask_files(folder / name)
        if not files:
            raise InputRefused(
                "E_NO_CASE", "A case has no mask of a known structure.", "Name the files after structures."
            )
        return EvaluationCase(
            folder.name, folder / CT_NAME, mask_file_reader(files), frozenset(files), unnamed, files=files
        )

    return make


_MAKERS: Mapping[str, Callable[[Path, str | None], EvaluationCase]] = {
    LABELS_NAME: _label_map_case(LABELS_NAME),
    COMBINED_NAME: _label_map_case(COMBINED_NAME),
    "segmentations": _masks_case("segmentations"),
    "predictions": _masks_case("predictions"),
}


def _of_split(path: Path, split: str) -> frozenset[str]:
    """Names of the cases of a split in a ';' separated table with the columns image_id and split."""
    if not path.is_file():
        raise UsageError("E_SPLIT", f"There is no {META_NAME} that tells splits.", "Leave out --split.")
    with refusing("E_LAYOUT", f"The {META_NAME} cannot be read", "It has the columns image_id and split, with ';'."):
        with path.open("rb") as file:
            text = file.read(LARGEST_META).decode("utf-8-sig")
        return frozenset(
            row["image_id"] for row in csv.DictReader(text.splitlines(), delimiter=";") if row["split"] == split
        )
