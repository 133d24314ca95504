"""Thousands of odd inputs: does any end in a traceback?

    python -m benchmarks.fuzz [--inputs 10000] [--seed 0]

Half of them are files of each published benchmark, changed at random (bytes, cuts, JSON values of
other types, missing keys), which ``calprune data check`` reads; half are command lines of
``analyze``, ``rows`` and ``report`` with values at random, on a store of two small conditions.
Every one must end with a documented exit code and, unless it is 0, one line on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from calprune.cli import app
from calprune.commands.ending import ended
from calprune.data.storage.origin import SAMPLE

BENCHMARKS = (
    *("pope", "scienceqa", "mme", "mmbench", "seed_bench", "mmmu", "gqa", "textvqa", "mm_vet"),
)
TEXTS = {".json", ".jsonl", ".tsv", ".csv", ".txt", ".md", ".yaml"}
ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        10**30,
        1.5,
        "",
        "\x1b[31m",
        "a" * 5_000,
        "../../etc",
        [],
        {},
        [None],
        {"a": 1},
    ),
)
VALUES: dict[str, tuple[str, ...]] = {
    "--metric": ("ece", "ece:bins=0", "ece:bins=1e9", "nope", "ece,ece", "t_opt", "accuracy,aurc"),
    "--by": ("split", "category", "split,category", "split,split", "nope", "kind", ","),
    "--against": ("full", "scope:alpha=0", "scope", "@64", "full:full", "%", "saliency @64"),
    "--draws": ("100", "99", "-1", "1e3", "x", "101"),
    "--interval": ("auto", "basic", "percentile", "bridge", "x"),
    "--resample": ("images", "rows", "x"),
    "--correction": ("holm", "bh", "x"),
    "--permutations": ("1", "19", "0", "x"),
    "--confidence": ("raw", "margin", "raw,margin", "entropy", "auto,auto", "x", "gap"),
    "--calibrate": ("temperature", "platt", "isotonic", "x", "histogram:bins=0"),
    "--folds": ("2", "1", "5", "10000"),
    "--answer-set": ("offered", "all", "four", "x"),
    "--target": ("hard", "soft", "x"),
    "--format": ("table", "csv", "json", "latex", "md", "html", "parquet", "x"),
    "--select": ("full", "scope", "nope", "saliency @64", "*", "full,saliency"),
    "--keep": ("64", "64,128", "22%", "x", "-1", "0"),
    "--trend": ("alpha", "x", "gap_power"),
    "--detect": ("0.01", "0", "x"),
    "--top": ("5", "0", "-1", "x"),
    "--width": ("column", "8.5", "x", "-3"),
    "--verbalizers": ("yes=3869", "first", "x", "yes=", "=1"),
}
FLAGS = (
    *("--power", "--overview", "--pareto", "--calibration-slope", "--common", "--each-seed"),
    *("--changed", "--flips", "--confident-errors", "--mixed-numerics", "--titled"),
)


def command_line(draw: random.Random, store: Path, folder: Path) -> list[str]:
    name = draw.choice(["analyze", "analyze", "analyze", "rows", "report"])
    words = [name, "--store", str(store)]
    for option in draw.sample(sorted(VALUES), draw.choice([0, 1, 1, 2, 3])):
        words += [option, draw.choice(VALUES[option])]
    words += draw.sample(FLAGS, draw.choice([0, 0, 1, 2]))
    if name == "report":
        words += ["--out", str(folder / draw.choice(["r.html", "r.txt", "none/r.html"]))]
        words += ["--questions", "0"]
    return words


def changed(text: bytes, draw: random.Random) -> bytes:
    """A text file with something odd in it."""
    how = draw.randrange(5)
    if how < 3:
        with contextlib.suppress(ValueError):
            lines = text.decode().splitlines()
            whole = len(lines) < 2 or not lines[1].startswith("{")
            found = json.loads(text) if whole else [json.loads(line) for line in lines]
            _change(found, draw)
            parts = [json.dumps(found)] if whole else [json.dumps(one) for one in found]
            return "\n".join(parts).encode()
    made = bytearray(text)
    at = draw.randrange(len(made)) if made else 0
    if how == 3:
        del made[at : at + draw.choice([1, 50, len(made)])]
    else:
        made[at:at] = draw.choice([b"\0", b"\xff\xfe", b'"', b"\t\t\t", b"\n\n", b"{", b"," * 9])
    return bytes(made)


def _change(found: Any, draw: random.Random) -> None:
    """Something else in the place of one value, however deep."""
    while isinstance(found, list | dict) and found:
        keys = list(range(len(found))) if isinstance(found, list) else list(found)
        key = draw.choice(keys)
        if not isinstance(found[key], list | dict) or not found[key] or draw.random() < 0.2:
            if draw.random() < 0.2:
                del found[key]
            else:
                found[key] = draw.choice(ODD)
            return
        found = found[key]


def odd_folder(whole: Path, folder: Path, draw: random.Random) -> Path:
    """A benchmark's folder, one of whose files is odd."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    texts = [p for p in files if p.suffix in TEXTS]
    path = draw.choice(texts if texts and draw.random() < 0.8 else files)
    raw = path.read_bytes()
    if path.suffix in TEXTS:
        path.write_bytes(changed(raw, draw))
    elif draw.random() < 0.1:
        path.unlink()
    else:
        made = bytearray(raw)
        for _ in range(draw.choice([1, 20])):
            made[draw.randrange(len(made))] = draw.randrange(256)
        path.write_bytes(bytes(made[: draw.choice([len(made), len(made) // 2])]))
    return folder


def tried(words: list[str], ends: Counter[int]) -> str:
    """What is wrong with how a command ended; empty if nothing."""
    out, said = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            code = ended(lambda: app(words))
    except BaseException:  # what a user would see as a traceback
        return traceback.format_exc()
    ends[code] += 1
    if code not in (0, 2, 3, 4, 5):
        return f"exit code {code}: {said.getvalue()[-500:]}"
    if "Traceback" in said.getvalue():
        return said.getvalue()
    return "" if code == 0 or said.getvalue().strip() else f"exit code {code}, and nothing is said"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draw, ends, bad = random.Random(asked.seed), Counter[int](), 0
    with tempfile.TemporaryDirectory() as top:
        store = Path(top) / "store"
        store.mkdir()
        for name in ("full", "saliency-k64", "scope-alpha0-k64"):
            for path in list(SAMPLE.rglob(f"{name}*.h5"))[:1]:
                shutil.copy(path, store)
        made: dict[str, Path] = {}
        for name in BENCHMARKS:
            fixture: Any = import_module(f"tests.fixtures.{name}")
            for kind in ("official", "parquet"):
                make: Callable[[Path], Path] = getattr(fixture, kind)
                folder = Path(top) / "whole" / f"{name}-{kind}"
                folder.mkdir(parents=True)
                made[f"{name}-{kind}"] = make(folder)
        for i in range(asked.inputs):
            if i % 2:
                words = command_line(draw, store, Path(top))
            else:
                whole = draw.choice(sorted(made))
                name = whole.rsplit("-", 1)[0].replace("_", "-")
                folder = odd_folder(made[whole], Path(top) / "odd", draw)
                words = ["data", "check", name, "--data", str(folder)]
            wrong = tried(words, ends)
            if wrong:
                bad += 1
                print(
                    f"input {i}: calprune {' '.join(words)}\n{wrong}", file=sys.stderr, flush=True
                )
    print(
        f"{asked.inputs} inputs, {bad} of them with a traceback or no word; exit codes {dict(ends)}"
    )


if __name__ == "__main__":
    main()
