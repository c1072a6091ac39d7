from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from assistant.language.rules import RulePlanner
from assistant.plan import Memory
from vision.structures import GROUPS

FOLDER = os.environ.get("BODYMAPS_DATA", "")
REQUESTS = Path(FOLDER) / "dev" / "requests.jsonl"

WANTED = {
    "gallbladder": {"gall_bladder"},
    "inferior vena cava": {"postcava"},
    "portal vein and splenic vein": {"portal_vein_and_splenic_vein"},
    "right kidney": {"kidney_right"},
    "left kidney": {"kidney_left"},
    "right adrenal gland": {"adrenal_gland_right"},
    "left adrenal gland": {"adrenal_gland_left"},
    "left head of femur": {"femur_left"},
    "right head of femur": {"femur_right"},
    "seminal vesicles": {"seminal_vesicles"},
    "kidney": set(GROUPS["kidneys"]),
    "lung": set(GROUPS["lungs"]),
    "organs": set(GROUPS["organs"]),
    "everything": set(GROUPS["everything"]),
    "cardiovascular": set(GROUPS["cardiovascular"]),
    "gastrointestinal": set(GROUPS["gastrointestinal"]),
    "muscles": {"muscle"},
    "lung tumor": {"lung_lesion"},
    "bone lesion": {"bone_lesion"},
    "pancreatic tumor": {"pancreas_lesion"},
    "hepatic tumor": {"liver_lesion"},
}


def wanted(structure: str) -> set[str]:
    """Names of the structure table for the plain words of a request."""
    return WANTED.get(structure, {structure})


@pytest.mark.skipif(not REQUESTS.is_file(), reason="needs the requests of the data folder named in BODYMAPS_DATA")
def test_nine_of_ten_requests_by_others_name_exactly_the_structure_wanted() -> None:
    planner = RulePlanner()
    rows = [json.loads(line) for line in REQUESTS.read_text(encoding="utf-8").splitlines()]
    missed: Counter[str] = Counter()
    for row in rows:
        calls = planner.plan(row["text"], Memory())
        found = {name for call in calls for name in call.arguments.get("structures", ())}
        if found != wanted(row["structure"]):
            missed[row["structure"]] += 1
    share = 1 - missed.total() / len(rows)
    print(f"structures exactly right: {share:.3f} of {len(rows)}; missed by structure: {dict(missed)}")
    assert share >= 0.90, f"{share:.3f}: {dict(missed)}"
