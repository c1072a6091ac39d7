"""Datasets that explain themselves in a dataset.json: Medical Segmentation Decathlon, and nnU-Net (raw)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from vision.benchmark.layouts.case import EvaluationCase
from vision.benchmark.layouts.references import named, numbered_reader
from vision.errors import InputRefused
from vision.io.refusal import refusing
from vision.structures import GROUP_WORDS, GROUPS, STRUCTURES, by_name, plain_words

DATASET = "dataset.json"
LARGEST_DATASET = 16 << 20
BACKGROUND, IGNORE = "background", "ignore"
ENDINGS = (".nii.gz", ".nii")
CHANNEL = "_0000"
"""nnU-Net's mark of a CT's first channel, before the file ending."""
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "colon cancer primaries": "colon_lesion",
        "hepatic vessel vessel": "hepatic_vessel",
        "hepatic vessel tumor": "liver_lesion",
    }
)
"""Topic and label of the Decathlon's CT tasks (Antonelli et al. 2022) that the structure table does not know."""
LESION_WORDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("cancer", "tumor", "tumors", "lesion", "lesions", "mass", "masses"), "_lesion"),
        **dict.fromkeys(("cyst", "cysts"), "_cyst"),
    }
)
PAIRS = frozenset(row.pair for row in STRUCTURES if row.pair)
REMEDY = "Compare it with what the Medical Segmentation Decathlon or nnU-Net describe."


def dataset_cases(folder: Path) -> list[EvaluationCase]:
    """The training cases that a dataset.json describes; annotated is every structure that it names.

    Labels are found by their names; a bare 'cancer' is that of the one organ beside it, or of the folder's topic
    (Task06_Lung). Raises InputRefused E_LAYOUT for a description that is neither kind, has several channels, an ignore
    label, no known structure, files outside the folder or files that are missing.
    """
    content = _read(folder / DATASET)
    channels = content.get("channel_names", content.get("modality"))
    if not isinstance(channels, dict) or len(channels) != 1:
        raise _unlike("does not describe one channel")
    known, integers, unnamed = _labels(content, [_topic(folder.name), _topic(str(content.get("name", "")))])
    if isinstance(content.get("training"), list):
        pairs = list(_listed_pairs(folder, content["training"]))
    elif "file_ending" in content:
        pairs = list(_folder_pairs(folder, content["file_ending"]))
    else:
        raise _unlike("has neither a list of training cases nor a file ending")
    missing = sum(not (ct.is_file() and reference.is_file()) for ct, reference in pairs)
    if missing:
        raise _unlike(f"describes {missing} of {len(pairs)} cases whose files are missing")
    return [
        EvaluationCase(_stem(reference), ct, numbered_reader(reference, known, integers), frozenset(known), unnamed)
        for ct, reference in pairs
    ]


def dataset_labels(folder: Path) -> tuple[dict[str, frozenset[int]], frozenset[int]]:
    """Structure -> integers of the label maps that a dataset.json explains, and all integers that it names.

    Raises InputRefused E_LAYOUT as `dataset_cases`; what else the description says is not looked at.
    """
    content = _read(folder / DATASET)
    known, integers, _ = _labels(content, [_topic(folder.name), _topic(str(content.get("name", "")))])
    return known, integers


def _labels(content: dict[str, Any], topics: list[str]) -> tuple[dict[str, frozenset[int]], frozenset[int], int]:
    """Structure -> integers, all integers, and how many labels are of something this project has no name for."""
    labels = content.get("labels")
    if not isinstance(labels, dict) or not labels:
        raise _unlike("names no labels")
    with refusing("E_LAYOUT", "The labels of the dataset.json cannot be read", REMEDY):
        numbers = _numbers(labels)
    known, unnamed = _by_structure(numbers, topics)
    if not known:
        raise _unlike("names no structure that is known here")
    return known, frozenset().union(*numbers.values()), unnamed


def _read(path: Path) -> dict[str, Any]:
    with refusing("E_LAYOUT", "The dataset.json cannot be read", REMEDY):
        with path.open("rb") as file:
            text = file.read(LARGEST_DATASET + 1)
        content = json.loads(text) if len(text) <= LARGEST_DATASET else None
    if not isinstance(content, dict):
        raise _unlike("is no description of a dataset")
    return content


def _unlike(what: str) -> InputRefused:
    return InputRefused("E_LAYOUT", f"The dataset.json {what}.", REMEDY)


def _numbers(labels: Mapping[str, Any]) -> dict[str, frozenset[int]]:
    """Label name -> its integers, of {"1": "liver"} (Decathlon) as of {"liver": 1, "kidney": [2, 3]} (nnU-Net)."""
    numbers: dict[str, frozenset[int]] = {}
    for key, value in labels.items():
        if key.isdecimal():
            name, integers = str(value), frozenset({int(key)})
        else:
            name, integers = key, frozenset(map(int, value if isinstance(value, list) else [value]))
        numbers[name] = numbers.get(name, frozenset()) | integers
    if any(plain_words(name) == IGNORE for name in numbers):
        raise _unlike("has an ignore label, so its cases cannot be scored as a whole")
    return {name: integers - {0} for name, integers in numbers.items() if integers != {0}}


def _by_structure(numbers: Mapping[str, frozenset[int]], topics: list[str]) -> tuple[dict[str, frozenset[int]], int]:
    """Structure -> integers, and how many labels are of something this project has no name for."""
    organs = frozenset().union(*(_organs(label) for label in numbers))
    known: dict[str, frozenset[int]] = {}
    unnamed = 0
    for label, integers in numbers.items():
        name = _structure(label, topics, organs)
        if name is None:
            unnamed += 1
        else:
            known[name] = known.get(name, frozenset()) | integers
    return known, unnamed


def _organs(label: str) -> frozenset[str]:
    """The structures whose lesions may stand beside a label: its own, or both of a pair ('kidney')."""
    name = named(label)
    pair = next((pair for pair, words in GROUP_WORDS.items() if plain_words(label) in words), None)
    return frozenset(GROUPS[pair] if name is None and pair in PAIRS else filter(None, [name]))


def _structure(label: str, topics: list[str], organs: frozenset[str]) -> str | None:
    phrases = [plain_words(label), *(plain_words(f"{topic} {label}") for topic in topics)]
    found = next((name for phrase in phrases if (name := ALIASES.get(phrase) or named(phrase))), None)
    ending = LESION_WORDS.get(phrases[0])
    if ending is None or (found is not None and by_name(found).kind == "lesion"):
        return found
    beside = {
        row.name
        for row in STRUCTURES
        if row.kind == "lesion" and row.name.endswith(ending) and organs & {*row.lesion_of}
    }
    return beside.pop() if len(beside) == 1 else found


def _topic(name: str) -> str:
    """What a dataset is about: Task08_HepaticVessel -> hepatic vessel."""
    bare = re.sub(r"^(Task|Dataset)\d+_", "", name)
    return plain_words(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare))


def _listed_pairs(folder: Path, training: list[Any]) -> Iterator[tuple[Path, Path]]:
    """CT and reference of each case of a list of {"image": ..., "label": ...}."""
    for entry in training:
        if not isinstance(entry, dict) or not {"image", "label"} <= entry.keys():
            raise _unlike("lists a training case without image and label")
        ct, reference = (_inside(folder, entry[key]) for key in ("image", "label"))
        ending = _ending(ct.name)
        first_channel = ct.with_name(f"{ct.name.removesuffix(ending)}{CHANNEL}{ending}")
        yield (first_channel if not ct.is_file() and first_channel.is_file() else ct), reference


def _folder_pairs(folder: Path, ending: Any) -> Iterator[tuple[Path, Path]]:
    """CT and reference of each label map in labelsTr."""
    if ending not in ENDINGS:
        raise _unlike("names another file ending than .nii.gz or .nii")
    for reference in sorted((folder / "labelsTr").glob(f"*{ending}")):
        if not reference.name.startswith("."):
            yield folder / "imagesTr" / f"{reference.name.removesuffix(ending)}{CHANNEL}{ending}", reference


def _inside(folder: Path, name: Any) -> Path:
    path = PurePosixPath(str(name))
    if path.is_absolute() or ".." in path.parts:
        raise _unlike("lists files outside its folder")
    return folder / path


def _ending(name: str) -> str:
    return next((ending for ending in ENDINGS if name.endswith(ending)), "")


def _stem(path: Path) -> str:
    return path.name.removesuffix(_ending(path.name))
