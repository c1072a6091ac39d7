#!/usr/bin/env bash
# Every figure on lesions in the README and the card, from the installed model. Read it top to bottom; run it as
#
#   BODYMAPS_DATA=/path/to/data recipes/lesions.sh [OUT]
#
# No CT here has an annotated tumour, so tumours are painted into $BODYMAPS_DATA/dev, by the engine that the shipped weights
# were never trained with; what that says of real tumours is told by the CTs in unlabelled/, whose liver tumours are visible
# and which have to be looked at. Run it again after a kill and it goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${BODYMAPS_DATA:?Set BODYMAPS_DATA to the folder that holds dev/ and unlabelled/; the cases are not part of the project.}"
dev="$BODYMAPS_DATA/dev"
out="$(realpath -m "${1:-out/lesions}")"
bodymaps="${BODYMAPS:-.venv/bin/bodymaps}"
lesions=liver_lesion,liver_cyst,pancreas_lesion,kidney_lesion,kidney_cyst,colon_lesion

# 1. Two CTs, five times each with four other tumours in liver, pancreas and kidneys, and again with three in the liver alone.
mkdir -p "$out/dev_in"
for copy in 1 2 3 4 5; do
    for case in btcv_0010 btcv_0039; do cp -rn "$dev/$case" "$out/dev_in/${case}_$copy"; done
done
"$bodymaps" synthesize "$out/dev_in" "$out/dev" --engine cellular-automaton --order abdomenatlas1.1 \
    --organ liver --organ pancreas --organ kidney --count 4 --size-mm 5..40 --seed 1
"$bodymaps" synthesize "$out/dev_in" "$out/dev_liver" --engine cellular-automaton --order abdomenatlas1.1 \
    --organ liver --count 3 --size-mm 5..40 --seed 2

# 2. Found, missed, invented. Scans of one patient resemble each other: the intervals draw scans, of which only two differ.
echo "== Painted tumours in dev CTs"
"$bodymaps" evaluate lesions "$out/dev" --annotated "$lesions" --out "$out/dev_found" | tee "$out/dev_found.txt"
"$bodymaps" evaluate lesions "$out/dev_liver" --structures liver_lesion --annotated "$lesions" \
    --out "$out/liver_found" | tee "$out/liver_found.txt"

# 3. The same CTs without tumours: how many boxes are false.
echo "== CTs without annotated lesions"
"$bodymaps" evaluate lesions "$dev/btcv_0010" "$dev/btcv_0039" --order abdomenatlas1.1 --annotated "$lesions" \
    --out "$out/healthy" | tee "$out/healthy.txt"

# 4. Real tumours, without masks: the boxes are to be looked at, OUT/real/<case>/preview.png.
echo "== Patients with hepatocellular carcinoma"
for case in hcc_007_arterial hcc_007_portal hcc_013 hcc_015; do
    echo "-- $case"
    "$bodymaps" ask "$BODYMAPS_DATA/unlabelled/$case/ct.nii.gz" "Mark the suspected tumours in the liver." \
        --out "$out/real/$case"
done | tee "$out/real.txt"
