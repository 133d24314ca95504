#!/usr/bin/env bash
# Makes the logs in this folder by the harnesses themselves, in an empty environment of its own:
#
#     tests/logs/make.sh
#
# Nothing is fetched but packages: the model is random and tiny, the questions lie beside this file.
# What a harness printed of its own log stands in printed.json. No path of the machine is kept.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-}
if [ -z "$python" ]; then
    python3 -m venv "$work/venv"
    python="$work/venv/bin/python"
    "$python" -m pip install -qq "lm-eval[hf]==0.4.13" inspect-ai==0.3.285 torch==2.13.0 \
        transformers==5.24.0 accelerate openpyxl
fi
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false
export INSPECT_DISABLE_MODEL_API_UPDATE_CHECK=1
cp -r "$here"/*.py "$here"/questions.jsonl "$here"/fruit.jsonl "$here"/tasks "$work"
cd "$work"
"$python" make_model.py tiny-random
"$python" -m lm_eval run --model hf --model_args pretrained=tiny-random,dtype=float32 \
    --tasks tiny_yes_no,tiny_fruit,tiny_reply --include_path tasks --output_path lm-eval \
    --log_samples --device cpu --batch_size 1
"$python" make_inspect.py
"$python" collect.py "$here"
