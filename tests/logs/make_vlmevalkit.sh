#!/usr/bin/env bash
# Makes the tables of VLMEvalKit in this folder, by a published build of it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-}
if [ -z "$python" ]; then
    python3 -m venv "$work/venv"
    python="$work/venv/bin/python"
    # without xlsxwriter it writes pickles in place of spreadsheets, and then fails to find them
    "$python" -m pip install -qq ms-vlmeval==0.0.20 xlsxwriter openpyxl
fi
cp "$here"/make_vlmevalkit.py "$here"/questions.jsonl "$work"
cd "$work"
"$python" make_vlmevalkit.py "$here"
