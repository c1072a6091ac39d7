#!/usr/bin/env bash
# The first shipped network, from labelled CTs to weights, top to bottom. On two CPU cores: 55 minutes of training.
#
#   BODYMAPS_DATA=/path/to/data recipes/compact.sh [OUT]
#
# $BODYMAPS_DATA/train holds one folder a case with ct.nii.gz and labels.nii.gz (AbdomenAtlas 1.1 integers). Your own
# cases go the same way: a JSON list with ct, labels, order and annotated; see vision/training/cases.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${BODYMAPS_DATA:?Set BODYMAPS_DATA to the folder that holds train/; the cases are not part of the project.}"
out="${1:-out/compact}"
bodymaps="${BODYMAPS:-.venv/bin/bodymaps}"
mkdir -p "$out"

# Freed memory stays with the process, which saves a CPU run from asking for the same pages at every step.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_TOP_PAD_=500000000

# 1. 24 analytic abdomens, drawn a tenth as often as a real CT each.
"$bodymaps" train phantoms --out "$out" --count 24 --first-seed 1000 > "$out/phantoms.json"

# 2. The case list: 12 real CTs and the phantoms, all with the same 8 organs and 3 kinds of painted lesions known.
.venv/bin/python - "$BODYMAPS_DATA/train" "$out" <<'PYTHON'
import json
import sys
from pathlib import Path

from assistant.training import SHIPPED_CHANNELS

train, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
real = [
    {
        "ct": str(case / "ct.nii.gz"),
        "labels": str(case / "labels.nii.gz"),
        "order": "abdomenatlas1.1",
        "annotated": list(SHIPPED_CHANNELS),
    }
    for case in sorted(train.iterdir())
    if (case / "ct.nii.gz").exists()
]
(out / "cases.json").write_text(json.dumps(real + json.loads((out / "phantoms.json").read_text()), indent=1))
PYTHON

# 3. Train; run the same line again after a kill and it goes on.
"$bodymaps" train vision --cases "$out/cases.json" --out "$out/run" --minutes 55 --steps 100000

# 4. Weights for vision/models/weights, without what did not learn; then recipes/evaluate.sh.
"$bodymaps" train export "$out/run" --out "$out/weights" --name compact \
    --leave-out gall_bladder,liver_lesion,pancreas_lesion,kidney_lesion
