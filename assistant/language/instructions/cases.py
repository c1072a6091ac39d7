"""CTs of known truth for visual questions: phantoms made for them, synthetic CTs as drawn, one's own lists."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from assistant.language.instructions.grammar import words_of
from assistant.language.instructions.measured import records_of
from assistant.records import Finding
from assistant.skills.looks import PHASE_WORDS
from prompts import load_words
from vision.errors import InputRefused, UsageError
from vision.io.files.atomic import write_text
from vision.segmenter import Progress, no_progress

if TYPE_CHECKING:
    from vision.phantom import Phantom

CASES_FILE = "cases.json"
QUIET_HU, NOISY_HU = 10.0, 20.0
"""SD of the noise below which it is low and above which it is high; between them lie most routine CTs."""
FATTY_HU, FED_HU = 20.0, 100.0
"""A liver darkened by more looks fatty; content of the gut brighter than this is oral contrast."""
_NOISE: Mapping[str, tuple[float, float]] = MappingProxyType({"low": (4, 8), "usual": (12, 17), "high": (26, 40)})
_SPLEEN: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"increased": (1.38, 1.55), "usual": (0.92, 1.08), "reduced": (0.5, 0.65)}
)
_SHRUNKEN = (0.45, 0.62)


@dataclass(frozen=True)
class VisualCase:
    """A CT by the name that rows carry, the word of each topic that is known of it, and what was measured on it."""

    ct: str
    truth: Mapping[str, str]
    records: tuple[Finding, ...] = ()


def answers_of(topic: str) -> tuple[str, ...]:
    """The words of a topic. Raises KeyError for no topic."""
    looks = load_words("wording")["looks"]
    return tuple(looks[topic]["words"] if topic in looks else words_of("visual")[topic]["words"])


def topics() -> tuple[str, ...]:
    """All topics that there are questions for."""
    return tuple(words_of("visual"))


def draw_truth(rng: Random) -> dict[str, str]:
    """What a phantom is to show, every word of a topic as likely as the others."""
    from vision.phantom import PHASES

    truth = {
        "phase": PHASE_WORDS[rng.choice(PHASES)],
        "oral_contrast": rng.choice(answers_of("oral_contrast")),
        "noise": rng.choice(answers_of("noise")),
        "steatosis": rng.choice(answers_of("steatosis")),
        "missing": rng.choice(answers_of("missing")),
    }
    if "spleen" not in truth["missing"]:
        truth["spleen_size"] = rng.choice(answers_of("spleen_size"))
    if "kidney" not in truth["missing"]:
        truth["side"] = rng.choice(answers_of("side"))
        truth["kidney_size"] = rng.choice(answers_of("kidney_size"))
    return truth


def phantom_of(truth: Mapping[str, str], seed: int, *, spacing_mm: tuple[float, float, float]) -> Phantom:
    """A phantom that shows a truth; the same bytes for the same arguments."""
    from vision.phantom import Condition, Lesion, make_phantom

    rng = Random(f"phantom {seed}")  # noqa: S311  -- draws persons, keeps no secret
    phase = next(name for name, word in PHASE_WORDS.items() if word == truth["phase"])
    condition = Condition(
        steatosis_hu=rng.uniform(32, 48) if truth["steatosis"] == "fatty" else 0.0,
        oral_contrast_hu=rng.uniform(180, 380) if truth["oral_contrast"] == "present" else rng.uniform(5, 30),
        noise_hu=rng.uniform(*_NOISE[truth["noise"]]),
        sizes=_sizes(truth, rng),
        missing=frozenset(_missing(truth["missing"])),
    )
    lesions = []
    if "side" in truth:
        small = 0.6 if truth["kidney_size"].startswith(truth["side"]) else 1.0
        lesions.append(Lesion("kidney_lesion", truth["side"], small * rng.uniform(26, 34)))
    # Seed 0 is the demo's person, who is the same for every truth.
    return make_phantom(seed=seed + 1, spacing_mm=spacing_mm, lesions=lesions, phase=phase, condition=condition)


def _sizes(truth: Mapping[str, str], rng: Random) -> dict[str, float]:
    sizes = {"kidney_left": rng.uniform(0.95, 1.05), "kidney_right": rng.uniform(0.95, 1.05)}
    sizes["spleen"] = rng.uniform(*_SPLEEN[truth.get("spleen_size", "usual")])
    for side in ("left", "right"):
        if truth.get("kidney_size", "").startswith(side):
            sizes[f"kidney_{side}"] = rng.uniform(*_SHRUNKEN)
    return sizes


def _missing(words: str) -> list[str]:
    named = {
        "gallbladder": "gall_bladder",
        "spleen": "spleen",
        "left kidney": "kidney_left",
        "right kidney": "kidney_right",
    }
    return [structure for name, structure in named.items() if name in words]


def write_phantom_cases(
    out: Path,
    *,
    count: int,
    seed: int,
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 2.5),
    progress: Progress = no_progress,
) -> Path:
    """Write `count` phantoms as ct.nii.gz in folders of their own, and cases.json with what each shows.

    Returns cases.json. The same arguments give the same cases; what is there already is written anew.
    Raises UsageError E_COUNT for a count below one, ResourceError when it cannot be written.
    """
    from vision.io import write_ct

    if count < 1:
        raise UsageError("E_COUNT", "The number of cases is below one.", "Ask for at least one case with --count.")
    rows = []
    for number in range(count):
        progress("making cases", number / count)
        truth = draw_truth(Random(f"case {seed} {number}"))  # noqa: S311  -- draws persons, keeps no secret
        phantom = phantom_of(truth, seed * 100_000 + number, spacing_mm=spacing_mm)
        name = f"visual_{number + 1:04d}"
        (out / name).mkdir(parents=True, exist_ok=True)
        write_ct(phantom.ct, out / name / "ct.nii.gz")
        records = records_of(phantom.ct, phantom.masks, side=truth.get("side"))
        rows.append(case_row(f"{name}/ct.nii.gz", truth, records))
    progress("done", 1.0)
    return write_text(out / CASES_FILE, json.dumps(rows, indent=1) + "\n")


def case_row(ct: str, truth: Mapping[str, str], records: Sequence[Finding]) -> dict[str, Any]:
    """A case as `read_cases` reads it."""
    return {
        "ct": ct,
        "truth": dict(truth),
        "records": [record.model_dump(mode="json", exclude_defaults=True) for record in records],
    }


def read_cases(path: Path) -> list[VisualCase]:
    """The cases of a JSON list: rows with 'ct' and 'truth' (word by topic), or with 'drawn' as synthesize writes them;
    'records' of what was measured may stand beside them.

    A CT is called as the list calls it. Raises InputRefused E_NOT_FOUND for a missing file, E_CASES for one that is no
    such list, names an unknown topic or word, or tells nothing.
    """
    if not path.is_file():
        raise InputRefused("E_NOT_FOUND", "The list of cases does not exist.", "Check the path after --cases.")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        cases = [VisualCase(str(row["ct"]), _truth_of(row), _records_of(row)) for row in rows]
    except (ValueError, KeyError, TypeError):
        raise InputRefused(
            "E_CASES",
            "The file is no list of cases with their truth.",
            'Each needs {"ct": ..., "truth": {topic: word}}; topics are ' + ", ".join(topics()) + ".",
        ) from None
    told = [case for case in cases if case.truth]
    if not told:
        raise InputRefused("E_CASES", "The list of cases tells nothing of any CT.", "Give at least one truth.")
    return told


def _truth_of(row: Mapping[str, Any]) -> Mapping[str, str]:
    truth = drawn_truth(row["drawn"]) if "drawn" in row else dict(row["truth"])
    for topic, word in truth.items():
        if word not in answers_of(topic):
            raise ValueError("unknown word of a topic")
    return MappingProxyType(truth)


def _records_of(row: Mapping[str, Any]) -> tuple[Finding, ...]:
    return tuple(Finding.model_validate(record) for record in row.get("records", ()))


def drawn_truth(drawn: Mapping[str, Any]) -> dict[str, str]:
    """What the facts of a CT of `vision.synthesis.anatomy` say of it; a liver between two words is left out."""
    truth = {"phase": PHASE_WORDS[str(drawn["phase"])]}
    steatosis, oral = float(drawn["steatosis_hu"]), float(drawn["oral_contrast_hu"])
    if steatosis == 0 or steatosis > FATTY_HU:
        truth["steatosis"] = "fatty" if steatosis else "not fatty"
    truth["oral_contrast"] = "present" if oral >= FED_HU else "absent"
    noise = float(drawn["noise_hu"])
    truth["noise"] = "low" if noise < QUIET_HU else "high" if noise > NOISY_HU else "usual"
    return truth
