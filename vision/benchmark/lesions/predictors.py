"""Who finds the lesions: a segmenter, or a folder of masks that somebody else's model wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from vision.benchmark.layouts import EvaluationCase
from vision.benchmark.layouts.datasets import DATASET, ENDINGS, dataset_labels
from vision.benchmark.layouts.find import COMBINED_NAME, LABELS_NAME
from vision.benchmark.layouts.references import label_map_reader, mask_files, numbered_reader
from vision.benchmark.lesions.lesion import LESIONS, Lesion, connected_lesions, with_confidence
from vision.benchmark.lesions.read import lesions_of_files, load_probabilities, require_same
from vision.errors import InputRefused, UsageError
from vision.geometry import CTVolume, Grid, Mask
from vision.segmenter import Progress, Segmenter, no_progress

MASK_FOLDERS = ("segmentations", "predictions", "masks")
PROBABILITIES = "probabilities"
LAYOUTS = (
    "It needs, for each case, CASE/segmentations/<lesion>.nii.gz (or predictions, masks, or the files in CASE itself), "
    f"CASE/{COMBINED_NAME} or CASE.nii.gz; with CASE/{PROBABILITIES}/<lesion>.nii.gz where there are probabilities."
)


class Predictor(Protocol):
    """Finds the lesions of a CT."""

    @property
    def name(self) -> str:
        """Shown above every result."""
        ...

    def predict(
        self, case: EvaluationCase, ct: CTVolume, structures: frozenset[str], progress: Progress = no_progress
    ) -> dict[str, list[Lesion]]:
        """The lesions of those of some structures that it searched for; a structure that is missing was not."""
        ...


class SegmenterPredictor:
    """The lesion structures of a segmenter: each part of a mask is a lesion, as sure as the segmenter says.

    Raises UsageError E_NO_LESIONS for a segmenter that knows none.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        if not segmenter.structures & LESIONS:
            raise UsageError(
                "E_NO_LESIONS",
                "This model has learned no lesions.",
                "Choose another with --model, or give masks of lesions with --predictions FOLDER.",
            )
        self.segmenter = segmenter
        self.name = segmenter.name

    def predict(
        self, case: EvaluationCase, ct: CTVolume, structures: frozenset[str], progress: Progress = no_progress
    ) -> dict[str, list[Lesion]]:
        encoding = self.segmenter.encode(ct, progress)
        found: dict[str, list[Lesion]] = {}
        for structure in sorted(structures & self.segmenter.structures):
            lesions = connected_lesions(self.segmenter.segment(encoding, structure))
            found[structure] = [
                with_confidence(lesion, lambda each: self.segmenter.confidence(encoding, each.mask()))
                for lesion in lesions
            ]
        return found


class FolderPredictor:
    """Masks in a folder, found by the names of the cases, in the layouts of `LAYOUTS`.

    A mask file may number its lesions, else its parts are the lesions. A lesion is as sure as the mean of the
    probability map over it; without a map nothing is known of that. `order` names the integers of label maps, for which
    a dataset.json in the folder does better.
    Raises InputRefused E_NOT_FOUND for a folder that is not there and E_LAYOUT for its dataset.json.
    """

    name = "masks in a folder"

    def __init__(self, folder: Path, *, order: str | None = None) -> None:
        if not folder.is_dir():
            raise InputRefused("E_NOT_FOUND", "The predictions are not a folder.", LAYOUTS)
        self.folder = folder
        self.order = order
        self._dataset = dataset_labels(folder) if (folder / DATASET).is_file() else None

    def predict(
        self, case: EvaluationCase, ct: CTVolume, structures: frozenset[str], progress: Progress = no_progress
    ) -> dict[str, list[Lesion]]:
        """Raises InputRefused E_PREDICTION for a case without a prediction, E_GRID for masks that are not on the CT,
        E_PROBABILITY, and what reading masks raises."""
        progress("reading predictions", 0.0)
        here = self.folder / case.name
        if not here.is_dir():
            return self._of_label_map(self._label_map(case.name), structures, ct.grid)
        for name in (COMBINED_NAME, LABELS_NAME):
            if (here / name).is_file() and not any((here / folder).is_dir() for folder in MASK_FOLDERS):
                return self._of_label_map(here / name, structures, ct.grid)
        inside = next((here / name for name in MASK_FOLDERS if (here / name).is_dir()), here)
        files, _ = mask_files(inside)
        maps, _ = mask_files(here / PROBABILITIES)
        return {
            structure: _told(lesions_of_files(files[structure], ct.grid, structure), maps, ct.grid)
            for structure in sorted(structures & files.keys())
        }

    def _label_map(self, case: str) -> Path:
        for ending in ENDINGS:
            if (self.folder / f"{case}{ending}").is_file():
                return self.folder / f"{case}{ending}"
        raise InputRefused("E_PREDICTION", "The folder of predictions has nothing for it.", LAYOUTS)

    def _of_label_map(self, path: Path, structures: frozenset[str], grid: Grid) -> dict[str, list[Lesion]]:
        read = label_map_reader(path, self.order) if self._dataset is None else numbered_reader(path, *self._dataset)
        masks: dict[str, Mask] = read(structures)
        found: dict[str, list[Lesion]] = {}
        for structure in sorted(structures & masks.keys()):
            require_same(masks[structure].grid, grid, structure)
            found[structure] = connected_lesions(masks[structure])
        return found


def _told(lesions: list[Lesion], maps: Mapping[str, tuple[Path, ...]], grid: Grid) -> list[Lesion]:
    """Lesions of one structure, each as sure as its probability map says, unchanged where there is none."""
    if not lesions or lesions[0].structure not in maps:
        return lesions
    values = np.zeros(grid.shape, dtype=np.float32)
    for path in maps[lesions[0].structure]:
        one, stored = load_probabilities(path)
        require_same(stored, grid, lesions[0].structure)
        values = np.maximum(values, one)
    return [with_confidence(each, lambda own: float(values[own.box.slices][own.voxels].mean())) for each in lesions]
