#!/usr/bin/env bash
# The shipped universal segmenter, from labelled CTs and label maps to weights, top to bottom.
#
#   BODYMAPS_DATA=/path/to/data [MINUTES=90] recipes/universal.sh [OUT]
#
# $BODYMAPS_DATA/train holds one folder a case with ct.nii.gz and labels.nii.gz (AbdomenAtlas 1.1 integers), unlabelled/ CTs
# without labels, anatomies/ label maps without CT and their index.csv, lesions/ shapes of real tumours. Your own cases go the same way: a JSON list with ct,
# labels, order and annotated (vision/training/cases.py), a folder with index.csv (vision/synthesis/anatomy/library.py).
# Run the script again after a kill and it goes on. On several GPUs put `accelerate launch` before the training lines:
# accelerate launch --num_processes 4 -m assistant.cli train vision ...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${BODYMAPS_DATA:?Set BODYMAPS_DATA to the folder that holds train/, unlabelled/ and anatomies/; they are not part of the project.}"
out="$(realpath -m "${1:-out/universal}")"
minutes="${MINUTES:-90}"
held_out="${HELD_OUT:-btcv_0034}"
bodymaps="${BODYMAPS:-.venv/bin/bodymaps}"
mkdir -p "$out"

# Freed memory stays with the process, which saves a CPU run from asking for the same pages at every step.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_TOP_PAD_=500000000

# 1. 12 analytic abdomens, each drawn a twentieth as often as a real CT, so that the demo's world is known too.
"$bodymaps" train phantoms --out "$out" --count 12 --first-seed 1000 > "$out/phantoms.json"

# Tumours are painted on the fly into the organs whose lesions a case annotates; the automaton is kept to test with.
painting=(--tumours handcrafted,real-shape --shapes "$BODYMAPS_DATA/lesions")

# 2. The case list: the real CTs, of which one is held out for the curve, with the 8 structures that people annotated. Their
#    livers were looked at and show no tumour; that pancreas and kidneys have none is taken for granted.
.venv/bin/python - "$BODYMAPS_DATA/train" "$out" "$held_out" <<'PYTHON'
import json
import sys
from pathlib import Path

train, out, held_out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]), sys.argv[3]
manual = ["aorta", "gall_bladder", "kidney_left", "kidney_right", "liver", "pancreas", "spleen", "stomach"]
none_there = ["kidney_cyst", "kidney_lesion", "liver_cyst", "liver_lesion", "pancreas_lesion"]
real = [
    {
        "ct": str(case / "ct.nii.gz"),
        "labels": str(case / "labels.nii.gz"),
        "order": "abdomenatlas1.1",
        "annotated": manual + none_there,
        "held_out": case.name == held_out,
    }
    for case in sorted(train.iterdir())
    if (case / "ct.nii.gz").exists()
]
(out / "cases.json").write_text(json.dumps(real + json.loads((out / "phantoms.json").read_text()), indent=1))
PYTHON

# 3. A teacher: a third of the time on real cases and on CTs synthesised from the anatomies while training.
[ -f "$out/taught" ] || {
    "$bodymaps" train vision --cases "$out/cases.json" --anatomies "$BODYMAPS_DATA/anatomies" --out "$out/teacher" \
        "${painting[@]}" --minutes "$((minutes / 3))" --steps 1000000
    touch "$out/taught"
}

# 4. It labels the CTs that nobody did where it is sure, and the vena cava of those that people annotated in part. Look at
#    them before going on: a pupil learns its teacher's mistakes. Their livers have tumours, so these stay unknown there.
mkdir -p "$out/self/without" "$out/self/beside"
[ -f "$out/self/cases.json" ] || {
    .venv/bin/python - "$BODYMAPS_DATA/unlabelled" "$out" <<'PYTHON'
import json
import sys
from pathlib import Path

unlabelled, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
found = [{"ct": str(ct), "annotated": [], "source": "pseudo"} for ct in sorted(unlabelled.glob("*/ct.nii.gz"))]
real = [case for case in json.loads((out / "cases.json").read_text()) if case.get("source") != "phantom"]
(out / "self" / "without.json").write_text(json.dumps(found))
(out / "self" / "beside.json").write_text(json.dumps(real))
PYTHON
    organs=aorta,gall_bladder,kidney_left,kidney_right,liver,pancreas,postcava,spleen,stomach
    "$bodymaps" train pseudo "$out/teacher" --cases "$out/self/without.json" --out "$out/self/without" --only "$organs" \
        --share 0.5 > "$out/self/without_rows.json"
    "$bodymaps" train pseudo "$out/teacher" --cases "$out/self/beside.json" --out "$out/self/beside" --only postcava \
        --share 0.25 > "$out/self/beside_rows.json"
    .venv/bin/python - "$out" <<'PYTHON'
import json
import sys
from pathlib import Path

out = Path(sys.argv[1])
rows = json.loads((out / "cases.json").read_text())
for case in rows:
    case["ct"], case["labels"] = str((out / case["ct"]).resolve()), str((out / case["labels"]).resolve())
for kind in ("without", "beside"):
    labelled = json.loads((out / "self" / f"{kind}_rows.json").read_text())
    none_there = ["kidney_cyst", "kidney_lesion", "pancreas_lesion"] if kind == "without" else []
    for case in labelled:
        rows.append({**case, "labels": f"{kind}/{case['labels']}", "annotated": case["annotated"] + none_there})
(out / "self" / "cases.json").write_text(json.dumps(rows, indent=1))
PYTHON
}

# 5. The pupil begins with its teacher's tensors and learns from all of it.
"$bodymaps" train vision --cases "$out/self/cases.json" --anatomies "$BODYMAPS_DATA/anatomies" --out "$out/run" \
    "${painting[@]}" --start "$out/teacher" --minutes "$((minutes - minutes / 3))" --steps 1000000

# 6. Twelve CTs that it has not seen, from anatomies that it has, say what it learned: every structure, with its Dice.
"$bodymaps" train export "$out/run" --out "$out/models" --name trial
[ -f "$out/fresh/cases.json" ] ||
    "$bodymaps" synthesize anatomy "$BODYMAPS_DATA/anatomies" --out "$out/fresh" --count 12 --seed 900
export BODYMAPS_MODELS="$out/models"
"$bodymaps" evaluate vision "$out"/fresh/case_* --order abdomenatlas1.1 --model trial --out "$out/learned"

# 7. The line that makes its confidence the Dice to expect, from the held-out CT and half of the fresh ones.
"$bodymaps" evaluate reliability "$BODYMAPS_DATA/train/$held_out" "$out"/fresh/case_000[1-6] \
    --order abdomenatlas1.1 --model trial --out "$out/calibration"

# 8. Lesions of the engine that it never saw, in the held-out CT and in the fresh ones: how sure to be, and of what size.
mkdir -p "$out/held"
for copy in 1 2 3 4 5 6; do cp -rn "$BODYMAPS_DATA/train/$held_out" "$out/held/${held_out}_$copy"; done
"$bodymaps" synthesize "$out/held" "$out/lesions/held" --engine cellular-automaton --order abdomenatlas1.1 \
    --organ liver --organ pancreas --organ kidney --count 4 --size-mm 5..40 --seed 1
"$bodymaps" synthesize "$out/fresh" "$out/lesions/fresh" --engine cellular-automaton --count 5 --size-mm 5..40 --seed 9
"$bodymaps" evaluate lesions "$out/lesions/held" "$out/lesions/fresh" --model trial --out "$out/lesions_learned" \
    --annotated liver_lesion,liver_cyst,pancreas_lesion,kidney_lesion,kidney_cyst,colon_lesion

# 9. Weights for vision/models/weights: what step 6 finds below a mean Dice of 0.6, left and right together, is left out, and
#    lesions of which step 8 finds fewer than one in four suspected to be true, so that nobody takes silence for an
#    absence. The line of a lesion's confidence is that of those that are answered. Then recipes/evaluate.sh and recipes/lesions.sh.
left_out="$(.venv/bin/python - "$out/learned/summary.csv" "$out/lesions_learned/predicted_lesions.csv" <<'PYTHON'
import csv
import sys

from vision.structures import by_name, names

with open(sys.argv[1], newline="") as file:
    rows = [row for row in csv.DictReader(file) if row["metric"] == "dice" and " " not in row["structure"]]
pairs = {}
for row in rows:
    pairs.setdefault(by_name(row["structure"]).pair or row["structure"], []).append(row)
weak = [pair for pair in pairs.values() if sum(float(row["mean"]) for row in pair) / len(pair) < 0.6]
with open(sys.argv[2], newline="") as file:
    found = list(csv.DictReader(file))
suspected = {name: [row["verdict"] == "hit" for row in found if row["structure"] == name] for name in names("lesion")}
doubtful = [name for name, true in suspected.items() if not true or sum(true) / len(true) < 0.25]
print(",".join([*(row["structure"] for pair in weak for row in pair), *doubtful]))
PYTHON
)"
lesions="$(.venv/bin/python - "$left_out" <<'PYTHON'
import sys

from vision.structures import names

print(",".join(name for name in names("lesion") if name not in sys.argv[1].split(",")))
PYTHON
)"
[ -z "$lesions" ] || "$bodymaps" evaluate lesions "$out/lesions/held" "$out/lesions/fresh" --model trial --structures "$lesions" \
    --annotated "$lesions" --out "$out/lesions_answered"
"$bodymaps" train export "$out/run" --out "$out/weights" --name universal --leave-out "$left_out" \
    --calibration "$out/calibration/reliability.json" ${lesions:+--lesions "$out/lesions_answered"}
