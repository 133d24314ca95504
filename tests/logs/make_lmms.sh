#!/usr/bin/env bash
# Makes the log of lmms-eval in this folder, as make.sh does the others: its needs do not fit theirs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-}
if [ -z "$python" ]; then
    python3 -m venv "$work/venv"
    python="$work/venv/bin/python"
    # with filelock 4 every evaluation fails
    "$python" -m pip install -qq lmms-eval==0.7.3 "filelock<4"
fi
export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 OMP_NUM_THREADS=1
cp -r "$here"/collect_lmms.py "$here"/questions.jsonl "$here"/lmms-tasks "$work"
cd "$work"
"$python" -m lmms_eval --model dummy --tasks tiny_seen --include_path lmms-tasks \
    --output_path out --log_samples --batch_size 1
"$python" collect_lmms.py "$here"
