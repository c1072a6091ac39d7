#!/usr/bin/env bash
# The shipped language model, from nothing to weights, top to bottom: words, then sight, then adapter, masks and plans.
#
#   BODYMAPS_DATA=/path/to/data [MINUTES=120] [PLANS=320000] [WORDS=16000] [CASES=240] recipes/language.sh [OUT]
#
# Run it again after a kill and it goes on. On several GPUs put `accelerate launch` before a training line:
#
#   accelerate launch --num_processes 4 -m assistant.cli train language ...
#
# A language model of the hub is taught the same way; it has words already, so the first stage is skipped:
#
#   hf download Qwen/Qwen3-4B-Instruct-2507 --include '*.json' '*.jinja' 'model*.safetensors'
#   bodymaps train language --llm Qwen/Qwen3-4B-Instruct-2507 --load-in-4bit --data OUT/plans.jsonl ... --out OUT/qwen
#   bodymaps chat --llm OUT/qwen/llm
#
# With 4 bits, gradient checkpointing and one row of 1,024 tokens at a time that takes 6 GiB of a GPU: the sum is in
# docs/language_models.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

: "${BODYMAPS_DATA:?Set BODYMAPS_DATA to the folder that holds dev/ and anatomies/; neither is part of the project.}"
out="$(realpath -m "${1:-out/language}")"
minutes="${MINUTES:-120}"
bodymaps="${BODYMAPS:-.venv/bin/bodymaps}"
mkdir -p "$out"

# Freed memory stays with the process, which saves a CPU run from asking for the same pages at every step.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_TOP_PAD_=500000000

# 1. Conversations: plans in hundreds of phrasings a skill, and words over records, which are five times as long. An
#    eighth of the phrasings is held out: nothing is ever trained on them.
[ -f "$out/plans.jsonl" ] ||
    "$bodymaps" data instructions --out "$out/plans.jsonl" --kinds plan --count "${PLANS:-320000}" --seed 1
[ -f "$out/words.jsonl" ] ||
    "$bodymaps" data instructions --out "$out/words.jsonl" --kinds words --count "${WORDS:-16000}" --seed 2

# 2. CTs whose look is known, phantoms and synthetic ones, and questions that only they answer; and as many others that
#    are kept for step 4.
for split in seen unseen; do
    seed=$([ "$split" = seen ] && echo 0 || echo 1)
    [ -f "$out/$split/phantoms/cases.json" ] ||
        "$bodymaps" data cases --out "$out/$split/phantoms" --count "${CASES:-240}" --seed "$seed"
    [ -f "$out/$split/synthetic/cases.json" ] ||
        "$bodymaps" synthesize anatomy "$BODYMAPS_DATA/anatomies" --out "$out/$split/synthetic" \
            --count "$((${CASES:-240} / 4))" --seed "10$seed"
    for kind in phantoms synthetic; do
        [ -f "$out/$split/$kind.jsonl" ] ||
            "$bodymaps" data instructions --out "$out/$split/$kind.jsonl" --kinds visual --count 20000 --seed "$seed" \
                --cases "$out/$split/$kind/cases.json"
    done
done

# 3. The three stages. Words: the whole model, 7.1 M parameters, its own tokenizer of 3,072 tokens. Sight: gates and
#    resampler, the words frozen. Adapter: LoRA, the mask token and its way into the segmenter's query space, everything
#    together. Records are withheld from three in ten questions about CTs that have them, so that it learns to look.
"$bodymaps" train language --data "$out/plans.jsonl" --data "$out/words.jsonl" \
    --data "$out/seen/phantoms.jsonl" --data "$out/seen/synthetic.jsonl" \
    --cts "$out/seen/phantoms" --cts "$out/seen/synthetic" --out "$out/run" --minutes "$minutes"

# 4. What it is worth on held-out phrasings and unseen CTs, the rule planner beside it; the CT zeroed, records withheld.
dev="$BODYMAPS_DATA/dev"
"$bodymaps" evaluate language --llm "$out/run/llm" --requests "$dev/requests.jsonl" --data "$out/plans.jsonl" --data "$out/words.jsonl" \
    --data "$out/unseen/phantoms.jsonl" --data "$out/unseen/synthetic.jsonl" \
    --cts "$out/unseen/phantoms" --cts "$out/unseen/synthetic" \
    --cases "$dev/btcv_0010" --cases "$dev/btcv_0039" --order abdomenatlas1.1 --most 1000 --out "$out/evaluation"

# 5. The folder goes to assistant/language/weights, whole. 12 MB is the limit of the repository.
ls -l "$out/run/llm" "$out/run/llm/adapter"
bytes="$(du -sb "$out/run/llm" | cut -f1)"
echo "$bytes bytes"
[ "$bytes" -lt 12000000 ]
