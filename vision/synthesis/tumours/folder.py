"""A folder of CTs with masks -> the same CTs with painted tumours, in the layout of AbdomenAtlas X; resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vision.benchmark.layouts import EvaluationCase, Reference, read_reference
from vision.errors import Cancelled, ResourceError, UsageError, UserError
from vision.geometry import CTVolume, Mask, reorient_array
from vision.io import load_ct, load_integers, write_ct, write_mask, write_text
from vision.measure import components
from vision.segmenter import Progress, no_progress
from vision.structures import by_name
from vision.synthesis.tumours.case import ConfuserFacts, Order, PaintedCase, paint_case
from vision.synthesis.tumours.gate import SegmenterGate
from vision.synthesis.tumours.protocol import Engine, TumourFacts
from vision.synthesis.tumours.sheet import Pair, contact_sheet, cut_pair
from vision.synthesis.tumours.synthesise import synthesise

FORMAT = "bodymaps-tumours-1"
SETTINGS_NAME, FACTS_NAME, CT_NAME, MASKS_NAME = "synthesis.json", "tumours.json", "ct.nii.gz", "segmentations"
SHOWN = 12


@dataclass(frozen=True)
class FolderResult:
    """What became of a folder: cases painted now, finished before, and refused, each by its number from 1."""

    painted: int
    finished_before: int
    refused: tuple[tuple[int, UserError], ...]


def synthesise_folder(
    cases: Sequence[EvaluationCase],
    out: Path,
    order: Order,
    *,
    engine: Engine,
    seed: int,
    gate: SegmenterGate | None = None,
    progress: Progress = no_progress,
) -> FolderResult:
    """Paint an order into every case and write `OUT/<case>/`: ct.nii.gz, segmentations/, tumours.json.

    Cases are what `find_cases` finds, in any layout. `segmentations` holds `<organ>_tumor.nii.gz` (or `_cyst`)
    with the tumours known before, and every other annotated mask; an organ includes its tumours. Confusers are in the
    facts and in no mask. With a `gate` only what it passes is kept. Each case has its own
    seed, from its name, so that a run that was stopped (`progress` may raise Cancelled) and resumed equals one that was
    not. A case in which nothing can be painted is refused and leaves no folder. Raises UsageError
    E_TUMOUR_OUT when `out` holds other cases or tumours of other settings, and ResourceError.
    """
    judge = None if gate is None else gate.segmenter.name
    settings = {"format": FORMAT, "engine": engine.name, "seed": seed, **asdict(order), "gate": judge}
    _claim(out, cases, settings)
    painted, before = 0, 0
    refused: list[tuple[int, UserError]] = []
    for number, case in enumerate(cases, 1):
        progress(f"case {number} of {len(cases)}", (number - 1) / len(cases))
        folder = out / case.name
        if (folder / FACTS_NAME).is_file():
            before += 1
            continue
        try:
            reference = read_reference(case)
            rng = np.random.default_rng(case_seed(seed, case.name))
            painter = synthesise if gate is None else gate
            result = paint_case(reference.ct, reference.masks, order, engine=engine, rng=rng, painter=painter)
        except (Cancelled, ResourceError):
            raise
        except UserError as error:
            refused.append((number, error))
            continue
        write_case(result, reference, folder, settings)
        painted += 1
    progress("done", 1.0)
    return FolderResult(painted, before, tuple(refused))


def case_seed(seed: int, name: str) -> list[int]:
    """The seed of one case: that of the run, and its name's hash, whatever else lies in the folder."""
    digest = hashlib.sha256(name.encode("utf-8")).digest()
    return [seed, *(int.from_bytes(digest[at : at + 4], "little") for at in (0, 4, 8, 12))]


def write_case(result: PaintedCase, reference: Reference, folder: Path, settings: dict[str, Any]) -> None:
    """Write one case; its facts last, because they say that it is finished. Raises ResourceError."""
    write_ct(result.ct, folder / CT_NAME)
    lesions = dict(result.lesions)
    for name, mask in reference.masks.items():
        if name in lesions:
            lesions[name] = Mask(lesions[name].voxels | mask.voxels, mask.grid, name)
    for name, mask in {**_with_tumours(reference.masks, result.lesions), **lesions}.items():
        write_mask(mask, folder / MASKS_NAME / f"{file_stem(name)}.nii.gz")
    content = {
        **settings,
        "mask_of": {name: f"{file_stem(name)}.nii.gz" for name in result.lesions},
        "tumours": [_placed(facts, result.ct) for facts in result.facts],
        "painted_confusers": [_placed(facts, result.ct) for facts in result.confusers],
    }
    write_text(folder / FACTS_NAME, json.dumps(content, indent=1) + "\n")


def _placed(facts: TumourFacts | ConfuserFacts, ct: CTVolume) -> dict[str, Any]:
    """Facts as JSON, with where the middle is in RAS+ mm."""
    centre = ct.grid.to_mm(np.asarray(facts.centre_voxel))
    return {**facts.as_json(), "centre_ras_mm": [round(float(mm), 3) for mm in centre]}


def file_stem(structure: str) -> str:
    """AbdomenAtlas's file name of a structure: liver_lesion -> liver_tumor."""
    return structure.removesuffix("_lesion") + "_tumor" if structure.endswith("_lesion") else structure


def write_sheet(cases: Sequence[EvaluationCase], out: Path, png: Path, *, only: frozenset[int] | None = None) -> Path:
    """Write a sheet of tumours of a finished folder, without and with: the first twelve, or those numbered `only`.

    Tumours are numbered from 1 in the order of the cases. Raises UsageError E_NO_TUMOUR when the folder holds none, or
    none of a number; InputRefused, ResourceError.
    """
    wanted = frozenset(range(1, SHOWN + 1)) if only is None else only
    pairs: list[Pair] = []
    first = 1
    for case in cases:
        if not (out / case.name / FACTS_NAME).is_file():
            continue
        content = json.loads((out / case.name / FACTS_NAME).read_text(encoding="utf-8"))
        rows = {number: row for number, row in enumerate(content["tumours"], first) if number in wanted}
        first += len(content["tumours"])
        if rows:
            pairs += _pairs(load_ct(case.ct), out / case.name, rows, content["mask_of"])
    if first == 1:
        raise UsageError("E_NO_TUMOUR", "There is no painted tumour to show.", "Paint some first.")
    if only is not None and len(pairs) < len(only):
        raise UsageError("E_NO_TUMOUR", "A number is of no painted tumour.", f"Choose from 1 to {first - 1}.")
    return contact_sheet(pairs, png)


def _pairs(
    before: CTVolume, folder: Path, rows: Mapping[int, dict[str, Any]], mask_of: Mapping[str, str]
) -> list[Pair]:
    upright, axes, signs = before.grid.reoriented("RAS")
    old = reorient_array(before.hu, axes, signs)
    new = reorient_array(load_ct(folder / CT_NAME).hu, axes, signs)
    pairs = []
    for number, row in rows.items():
        labels, _ = load_integers(folder / MASKS_NAME / mask_of[row["structure"]])
        i, j, k = (round(float(at)) for at in upright.to_ijk(np.asarray(row["centre_ras_mm"])))
        contrast = row["hu_inside"] - row["hu_organ"]
        pair = cut_pair(
            old,
            new,
            reorient_array(labels > 0, axes, signs),
            upright.spacing_mm,
            centre=(i, j, k),
            long_axis_mm=row["long_axis_mm"],
            caption=f"{number}. {row['organ']} {row['preset']} {row['long_axis_mm']:.0f} mm {contrast:+.0f} HU",
        )
        pairs.append(pair)
    return pairs


def _with_tumours(masks: Mapping[str, Mask], lesions: Mapping[str, Mask]) -> dict[str, Mask]:
    """Masks in which an organ includes the tumours painted into it, also where they stick out."""
    widened = dict(masks)
    for piece in (piece for lesion in lesions.values() for piece in components(lesion)):
        for host in (name for name in by_name(piece.structure).lesion_of if name in masks):
            if (masks[host].voxels & piece.voxels).any():
                widened[host] = Mask(widened[host].voxels | piece.voxels, piece.grid, host)
    return widened


def _claim(out: Path, cases: Sequence[EvaluationCase], settings: dict[str, Any]) -> None:
    """Say in the folder what is painted there, or refuse one that holds something else."""
    text = json.dumps(settings, indent=1) + "\n"
    file = out / SETTINGS_NAME
    if any(case.ct.resolve().is_relative_to((out / case.name).resolve()) for case in cases):
        raise UsageError("E_TUMOUR_OUT", "The folder to write to is the one to read.", "Give another --out folder.")
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        raise UsageError(
            "E_TUMOUR_OUT", "The folder holds tumours of other settings.", "Give another folder, or the same settings."
        )
    if not file.is_file() and any((out / case.name).exists() for case in cases):
        raise UsageError("E_TUMOUR_OUT", "The folder holds cases of these names already.", "Give another folder.")
    write_text(file, text)
