"""Keep what lmms-eval wrote, and what it printed, without times and addresses in memory."""

import json
import re
import shutil
import sys
from pathlib import Path

here, time = Path(sys.argv[1]), "20261201_000000"
(results,) = Path("out").rglob("*_results.json")
(samples,) = Path("out").rglob("*_samples_tiny_seen.jsonl")
text = re.sub(r" at 0x[0-9a-f]+", "", results.read_text())
found = json.loads(text)
for name in ("start_time", "end_time", "total_evaluation_time_seconds", "date"):
    found.pop(name, None)
kept = here / "lmms-eval"
kept.mkdir(exist_ok=True)
(kept / f"{time}_results.json").write_text(json.dumps(found) + "\n")
shutil.copy(samples, kept / f"{time}_samples_tiny_seen.jsonl")
printed = json.loads((here / "printed.json").read_text())
value = found["results"]["tiny_seen"]["tiny_accuracy,none"]
printed[f"lmms-eval/{time}_samples_tiny_seen.jsonl"] = value
(here / "printed.json").write_text(json.dumps(printed, indent=2, sort_keys=True) + "\n")
