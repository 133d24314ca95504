"""Keep what the harnesses wrote, and what they printed of it, without paths and times."""

import json
import shutil
import sys
from pathlib import Path

here, printed = Path(sys.argv[1]), {}
results = next(Path("lm-eval").rglob("results_*.json"))
found = json.loads(results.read_text())
for private in ("pretty_env_info", "git_hash", "upper_git_hash", "total_evaluation_time_seconds"):
    found.pop(private, None)
time = "2026-12-01T00-00-00.000000"
(here / "lm-eval").mkdir(exist_ok=True)
(here / "lm-eval" / f"results_{time}.json").write_text(json.dumps(found) + "\n")
for path in Path("lm-eval").rglob("samples_*.jsonl"):
    task = path.name.removeprefix("samples_").rsplit("_", 1)[0]
    shutil.copy(path, here / "lm-eval" / f"samples_{task}_{time}.jsonl")
    metric = "exact_match,first" if task == "tiny_reply" else "acc,none"
    printed[f"lm-eval/samples_{task}_{time}.jsonl"] = found["results"][task][metric]
(here / "inspect").mkdir(exist_ok=True)
for path in Path("inspect").glob("*.eval"):
    from inspect_ai.log import read_eval_log

    log = read_eval_log(str(path), header_only=True)
    kept = here / "inspect" / f"{log.eval.task.replace('_', '-')}.eval"
    shutil.copy(path, kept)
    value = log.results.scores[0].metrics["accuracy"].value
    printed[f"inspect/{kept.name}"] = value
kept = {
    k: v for k, v in json.loads((here / "printed.json").read_text()).items() if k not in printed
}
printed |= kept
(here / "printed.json").write_text(json.dumps(printed, indent=2, sort_keys=True) + "\n")
