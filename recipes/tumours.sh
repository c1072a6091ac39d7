#!/usr/bin/env bash
# Painted tumours, top to bottom: the pictures of docs/tumours.md, and real against synthetic on phantoms. Run it as
#
#   recipes/tumours.sh [OUT]                          # the comparison on phantoms alone
#   BODYMAPS_DATA=/path/to/data recipes/tumours.sh    # the pictures, too
#
# $BODYMAPS_DATA/unlabelled/<case>/ct.nii.gz are CTs without labels (here two of HCC-TACE-Seg, CC BY 4.0), lesions/ real shapes
# with cases.csv. MINUTES (10) is the budget of each of the 6 trainings of the comparison. Run it again after a kill and it goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out="$(realpath -m "${1:-out/tumours}")"
minutes="${MINUTES:-10}"
bodymaps="${BODYMAPS:-.venv/bin/bodymaps}"
mkdir -p "$out"

if [ -n "${BODYMAPS_DATA:-}" ]; then
    # 1. Organ masks of two CTs, by the installed model.
    for case in hcc_007_portal hcc_015; do
        [ -d "$out/cases/$case/segmentations" ] && continue
        "$bodymaps" ask "$BODYMAPS_DATA/unlabelled/$case/ct.nii.gz" \
            "segment the liver, pancreas, left kidney, right kidney and colon" --out "$out/asked/$case"
        mkdir -p "$out/cases/$case"
        cp "$BODYMAPS_DATA/unlabelled/$case/ct.nii.gz" "$out/cases/$case/"
        cp -r "$out/asked/$case/masks" "$out/cases/$case/segmentations"
    done

    # 2. Six tumours and a confuser a CT by each engine, and a sheet of all twelve. Look at them before anything is trained.
    for engine in handcrafted cellular-automaton real-shape; do
        shapes=()
        if [ "$engine" = real-shape ]; then shapes=(--shapes "$BODYMAPS_DATA/lesions"); fi
        "$bodymaps" synthesize "$out/cases" "$out/painted/$engine" --engine "$engine" "${shapes[@]}" \
            --count 6 --confusers 1 --seed 1 --sheet "$out/$engine.png"
    done

    # 3. The best and the worst of them, chosen by eye from the sheets by their numbers there.
    show() {
        "$bodymaps" synthesize sheet "$out/cases" "$out/painted/$1" --png "$out/pictures/tumours_${1//-/_}_$2.png" --only "$3"
    }
    mkdir -p "$out/pictures"
    show handcrafted best 2,4,9
    show handcrafted worst 5,7,11
    show cellular-automaton best 6,9,12
    show cellular-automaton worst 2,7,11

    # 4. One tumour that grows.
    "$bodymaps" synthesize growth "$out/cases/hcc_015/ct.nii.gz" "$out/cases/hcc_015" --size-mm 35 --seed 1 \
        --out "$out/pictures/tumour_growth.gif"
fi

# 5. Real against synthetic, on 24 phantoms with up to three lesions of known truth in liver, pancreas and kidneys: 3 seeds of
#    two arms. A lesion that is not there was looked for, which --annotated says. Tables on stdout, arms.json and arms.csv in OUT/arms.
[ -f "$out/phantoms.json" ] || {
    "$bodymaps" train phantoms --out "$out/phantoms" --count 24 --first-seed 3000 > "$out/phantoms.part"
    mv "$out/phantoms.part" "$out/phantoms.json"
}
"$bodymaps" evaluate lesions "$out/phantoms" --arms real,synthetic --seeds 3 --minutes "$minutes" --held-out 0.4 \
    --annotated liver,pancreas,kidney_left,kidney_right,liver_lesion,pancreas_lesion,kidney_lesion \
    --out "$out/arms" | tee "$out/arms.txt"
