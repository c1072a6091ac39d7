"""Export a reader study: one blinded page of real and painted lesions in random order, the key in another file."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vision.benchmark.layouts import EvaluationCase
from vision.errors import UsageError
from vision.io import write_text
from vision.synthesis.reader_study.crops import FIELD_MM, SHAPE, WINDOW_HU, Crop, crops_of
from vision.synthesis.reader_study.key import KEY_FORMAT, PAINTED, REAL

PAGE_FILE = Path("for_readers") / "study.html"
KEY_FILE = "key.json"
TEMPLATE = Path(__file__).parent / "page.html"
MOST_PAIRS = 20
ALIKE = 1.5
"""How many times as long one lesion of a pair may be as the other: size must not tell."""


@dataclass(frozen=True)
class ExportedStudy:
    """What was written: the page for the readers, the key for whoever scores, and how many items of each kind."""

    page: Path
    key: Path
    real: int
    painted: Mapping[str, int]


def export_study(
    real_cases: Sequence[EvaluationCase],
    painted_cases: Mapping[str, Sequence[EvaluationCase]],
    out: Path,
    rng: np.random.Generator,
    *,
    most: int = MOST_PAIRS,
) -> ExportedStudy:
    """Write `for_readers/study.html` and `key.json` into a folder, from real cases and those of each engine.

    Each painted lesion is paired with a real one of the same structure and a similar long axis; at most `most` pairs,
    shared out among the engines, are shown in random order, so half of the page is real. Nothing in the page says
    where an item is from, but the readers must not be given the key. The same cases and `rng` give the same bytes.
    Raises UsageError E_READER_STUDY for less than one pair asked for or found, ResourceError, and what reading raises.
    """
    real = crops_of(real_cases, rng)
    painted = [crop for engine, cases in painted_cases.items() for crop in crops_of(cases, rng, engine=engine)]
    return write_study(real, painted, out, rng, most=most)


def write_study(
    real: Sequence[Crop], painted: Sequence[Crop], out: Path, rng: np.random.Generator, *, most: int = MOST_PAIRS
) -> ExportedStudy:
    """`export_study` of crops that are cut out already."""
    if most < 1:
        raise UsageError("E_READER_STUDY", f"A study of {most} pairs has nothing to read.", "Ask for 1 pair or more.")
    pairs = _shared_out(paired(real, painted), most, rng)
    if not pairs:
        raise UsageError(
            "E_READER_STUDY",
            f"No painted lesion ({len(painted)}) has a real one ({len(real)}) of the same structure and similar size.",
            "Give more real cases, or paint the lesions and sizes that the real cases have.",
        )
    items = [crop for pair in pairs for crop in pair]
    shuffled = [items[place] for place in rng.permutation(len(items))]
    pictures = [picture(crop) for crop in shuffled]
    study = hashlib.sha256(b"".join(pictures)).hexdigest()[:16]
    page = write_text(out / PAGE_FILE, study_page(pictures, study))
    key = write_text(out / KEY_FILE, json.dumps(_key(shuffled, study), indent=1) + "\n")
    engines = [crop.engine for crop in shuffled if crop.engine is not None]
    return ExportedStudy(page, key, len(pairs), {engine: engines.count(engine) for engine in dict.fromkeys(engines)})


def paired(real: Sequence[Crop], painted: Sequence[Crop]) -> list[tuple[Crop, Crop]]:
    """Painted and real lesions two by two: the same structure, long axes as alike as can be, none used twice."""
    from scipy.optimize import linear_sum_assignment

    unlike = np.array(
        [
            [
                abs(np.log(one.long_axis_mm / other.long_axis_mm)) if one.structure == other.structure else np.inf
                for other in real
            ]
            for one in painted
        ]
    ).reshape(len(painted), len(real))
    unlike = np.where(unlike <= np.log(ALIKE), unlike, 1e3)
    rows, columns = linear_sum_assignment(unlike)
    return [(painted[a], real[b]) for a, b in zip(rows, columns, strict=True) if unlike[a, b] < 1e3]


def picture(crop: Crop) -> bytes:
    """The slices of a crop one below the other as a grey PNG, seen from the feet with Anterior up, no word in it."""
    low, high = WINDOW_HU
    grey = np.rint(255 * (crop.hu - low) / (high - low)).astype(np.uint8)
    strip = np.concatenate([grey[::-1, ::-1, k].T for k in range(SHAPE[2])])
    file = io.BytesIO()
    Image.fromarray(strip).save(file, format="PNG", optimize=True)
    return file.getvalue()


def study_page(pictures: Sequence[bytes], study: str) -> str:
    """The page as text: everything in it, nothing fetched. `study` (hex) ties its answers to the key."""
    content = {
        "study": study,
        "slices": SHAPE[2],
        "pixels": SHAPE[0],
        "pictures": [f"data:image/png;base64,{base64.b64encode(one).decode('ascii')}" for one in pictures],
    }
    page = TEMPLATE.read_text(encoding="utf-8")
    low, high = WINDOW_HU
    shown = {"LEVEL": f"{(low + high) / 2:g}", "WIDTH": f"{high - low:g}", "FIELD": f"{FIELD_MM:g}"}
    for word, value in {**shown, "CONTENT": json.dumps(content)}.items():
        page = page.replace(f"%{word}%", value)
    return page


def _shared_out(pairs: Sequence[tuple[Crop, Crop]], most: int, rng: np.random.Generator) -> list[tuple[Crop, Crop]]:
    """At most so many pairs, drawn in turn from each engine as long as it has any."""
    turns: dict[str | None, int] = {}
    drawn: list[tuple[int, tuple[Crop, Crop]]] = []
    for place in rng.permutation(len(pairs)):
        engine = pairs[place][0].engine
        turns[engine] = turns.get(engine, 0) + 1
        drawn.append((turns[engine], pairs[place]))
    return [pair for _, pair in sorted(drawn, key=lambda one: one[0])[:most]]


def _key(shuffled: Sequence[Crop], study: str) -> dict[str, object]:
    return {
        "format": KEY_FORMAT,
        "study": study,
        "items": {
            str(number): {
                "truth": REAL if crop.engine is None else PAINTED,
                "engine": crop.engine,
                "case": crop.case,
                "structure": crop.structure,
                "lesion": crop.number,
                "long_axis_mm": round(crop.long_axis_mm, 1),
            }
            for number, crop in enumerate(shuffled, start=1)
        },
    }
