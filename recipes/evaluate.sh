#!/usr/bin/env bash
# Every figure of the README's results tables, from the installed model. Read it top to bottom; run it as
#
#   BODYMAPS_DATA=/path/to/data recipes/evaluate.sh [OUT]
#
# $BODYMAPS_DATA/dev holds cases that no model or rule was ever fitted to; they serve for checking alone. Every case is a
# folder with ct.nii.gz and labels.nii.gz, whose integers are AbdomenAtlas 1.1's. A structure that a label map does not
# hold counts as not annotated there, so it is not scored. Each OUT/<part> holds results.csv (a row for each structure of
# each case), dsc.csv and nsd.csv (a row for each case), summary.csv, evaluation.json, dice.png and surface_dice.png.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${BODYMAPS_DATA:?Set BODYMAPS_DATA to the folder that holds dev/; the cases are not part of the project.}"
dev="$BODYMAPS_DATA/dev"
out="${1:-out/evaluation}"
bodymaps="${BODYMAPS:-.venv/bin/bodymaps}"

# What is evaluated: the installed weights by checksum, the structures they know, and the versions underneath.
mkdir -p "$out"
"$bodymaps" info --json > "$out/info.json"
"$bodymaps" info

# 1. Masks, whole abdomens: the 8 manually annotated structures of two portal-venous CTs (n = 2, so the two values stand
#    in the place of an interval). Dice, surface Dice at 2 mm, volume error; and how many lesions are suspected where none is annotated.
echo "== Two whole abdomens, manual reference"
"$bodymaps" evaluate vision "$dev/btcv_0010" "$dev/btcv_0039" --order abdomenatlas1.1 \
    --out "$out/whole" --overlays "$out/overlays"

# 2. Masks, thin slabs of other scanners and phases: 11 slices, native and arterial, manual reference. A slab cuts
#    everything, so volumes here are those of the slab.
echo "== Two slabs of 11 slices (native, arterial), manual reference"
"$bodymaps" evaluate vision "$dev/amos_0001_slab" "$dev/amos_0013_slab" --order abdomenatlas1.1 \
    --out "$out/amos" --overlays "$out/overlays"

# 3. A slab with full HU whose reference is another model's output: agreement, not truth.
echo "== One slab of 20 slices, reference by another model"
"$bodymaps" evaluate vision "$dev/ts_slab" --order abdomenatlas1.1 --out "$out/ts" --overlays "$out/overlays"

# 4. The same patient presented otherwise: axes, pixels of 0.7 to 3 mm, slices of 1 to 5 mm, HU clipped to 8 bits. The
#    whole abdomens were clipped by their source, so only the slabs say what clipping does.
echo "== Robustness"
"$bodymaps" evaluate robustness "$dev/btcv_0010" "$dev/btcv_0039" --order abdomenatlas1.1 --out "$out/robustness"
"$bodymaps" evaluate robustness "$dev/amos_0001_slab" "$dev/amos_0013_slab" "$dev/ts_slab" --order abdomenatlas1.1 \
    --out "$out/robustness_slabs"

# 5. Whether a mask's confidence can be believed: confidence against Dice, mask by mask.
echo "== Reliability"
"$bodymaps" evaluate reliability "$dev/btcv_0010" "$dev/btcv_0039" "$dev/amos_0001_slab" "$dev/amos_0013_slab" \
    "$dev/ts_slab" --order abdomenatlas1.1 --out "$out/reliability"

# 6. Words: 232 requests written by others. Right means: exactly the structures wanted, none more, none fewer.
echo "== Requests"
"$bodymaps" evaluate requests "$dev/requests.jsonl" --json > "$out/requests.json"
"$bodymaps" evaluate requests "$dev/requests.jsonl" | tee "$out/requests.txt"

# 7. Speed and memory on a whole abdomen at native resolution: a fresh process each time, the median of three.
echo "== Speed"
"$bodymaps" benchmark "$dev/btcv_0039/ct.nii.gz" --runs 3 | tee "$out/speed.txt"

# 8. Look at them: numbers hide what a picture shows at once. One sheet a case, reference beside prediction.
echo "== Pictures to look at"
ls "$out"/overlays/*.png
