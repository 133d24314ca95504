#!/usr/bin/env bash
# inspect-ai 0.3.285: an .eval log is a zip that Python 3.11's zipfile lists and cannot read.
#
# Behaviour: the log of an evaluation is a zip archive in which every member, even the header, is
# compressed with method 93 (Zstandard). zipfile before Python 3.14 opens it and gives all names;
# the first read raises NotImplementedError ("That compression method is not supported").
# Members: _journal/start.json, samples/1_epoch_1.json, _journal/summaries/1.json,
# summaries.json, header.json.
# Within a process that has imported inspect_ai the same read works, as the import teaches
# zipfile the method: a reader that was tried only beside the library breaks without it.
#
# Why it matters: logs hold replies and log-probabilities, from which confidences are scored
# later, often in an environment without the evaluation's own packages. A check by names passes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -c 'import sys; sys.exit(sys.version_info >= (3, 14))' ||
    { echo "needs Python 3.11 to 3.13: set PYTHON"; exit 2; }
"$folder/venv/bin/python" -m pip install -qq inspect-ai==0.3.285 pydantic==2.14.4 \
    zipfile-zstd==0.0.4 numpy==2.4.6
cat > "$folder/make.py" <<'EOF'
import sys
import zipfile
from pathlib import Path

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import match

reply = ModelOutput.from_content("mockllm/model", "Yes")
eval(
    Task(dataset=[Sample(input="Is there a cat?", target="Yes")], scorer=match()),
    model=get_model("mockllm/model", custom_outputs=[reply]),
    log_dir=sys.argv[1],
    display="none",
)
(path,) = Path(sys.argv[1]).glob("*.eval")
print("beside inspect_ai: header of", len(zipfile.ZipFile(path).read("header.json")), "bytes")
EOF
cat > "$folder/read.py" <<'EOF'
import sys
import zipfile
from pathlib import Path

(path,) = Path(sys.argv[1]).glob("*.eval")
archive = zipfile.ZipFile(path)
print("methods:", {m.filename: m.compress_type for m in archive.infolist()})
try:
    archive.read("header.json")
except NotImplementedError as error:
    print("without it: NotImplementedError:", error)
    sys.exit({m.compress_type for m in archive.infolist()} != {93})
sys.exit("the header was read")
EOF
cd "$folder"
venv/bin/python make.py "$folder/logs"
venv/bin/python read.py "$folder/logs"
