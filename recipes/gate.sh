#!/usr/bin/env bash
# Every figure about the gate and the server that the README and SECURITY.md give. Read it top to bottom; run it as
#
#   recipes/gate.sh [OUT]                          # everything made by code
#   BODYMAPS_DATA=/path/to/data recipes/gate.sh    # real CTs and DICOM series too
#
# About 20 minutes on two CPU cores. Stop it whenever you like; each part stands alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out="${1:-out/gate}"
python="${PYTHON:-.venv/bin/python}"
bodymaps="${BODYMAPS:-.venv/bin/bodymaps}"
slow=("$python" -m pytest -q -s -n 0 -m "slow or not slow")
mkdir -p "$out"

# 1. The catalogue: every row made by code, and what happens to it. docs/bad_inputs.md is the same table in words.
echo "== Catalogue of bad inputs"
"$python" -m pytest -q -n 0 tests/catalogue

# 2. 20,000 damaged headers a seed through the gate, and the same through plain nibabel and pydicom. No seed chose a rule.
for seed in 0 1 2; do
    echo "== Mutants, seed $seed"
    "$python" -m tests.fuzz.gate_mutants --nifti 10000 --dicom 10000 --seed "$seed" | tee "$out/mutants-$seed.txt"
done

# 3. Bombs: seconds and memory until each is refused.
echo "== Bombs"
"${slow[@]}" tests/vision/test_io_bombs.py

# 4. 48 axis orders and three obliques through the whole engine; units and formats that say the same differently.
echo "== Orientation and units"
"${slow[@]}" tests/assistant/test_orientations.py tests/vision/test_io_geometry.py

# 5. Bodies that are no adult abdomen: alarms on 160 wrong ones, false alarms on 100 good ones and on the real CTs.
echo "== Other bodies"
"${slow[@]}" tests/vision/test_io_body.py

# 6. What the gate costs beside the plain libraries, on a CT of 512 x 512 x 300 voxels made for it, in three forms.
echo "== Opening"
"$python" -m tests.make_large_ct "$out/large"
"$bodymaps" benchmark-opening "$out/large/ct.nii.gz" | tee "$out/opening-nifti.txt"
"$bodymaps" benchmark-opening "$out/large/dicom" | tee "$out/opening-dicom.txt"
"$bodymaps" benchmark-opening "$out/large/jpegls" | tee "$out/opening-jpegls.txt"

# 7. Batches killed at random moments and resumed: the same bytes as one that was not.
echo "== Killed batches"
"${slow[@]}" tests/assistant/test_batch_kill.py

# 8. The server: killed workers, 50 questions at once, 10 visitors, stop and disconnect, a soak, no network.
echo "== Server"
"${slow[@]}" tests/assistant/test_server_*.py

# 9. Injections and canaries.
echo "== Words and names"
"${slow[@]}" tests/test_injection.py tests/test_privacy_*.py

# 10. Real DICOM series, each after every mangling that people's exports show.
if [ -n "${BODYMAPS_DATA:-}" ]; then
    echo "== Real series, mangled"
    "${slow[@]}" tests/vision/test_io_real.py tests/vision/test_dicom_manglings.py
fi
