"""``pope``: POPE on COCO val2014, from its official files in a local folder.

Li et al., "Evaluating Object Hallucination in Large Vision-Language Models" (EMNLP 2023);
question files of AoiDragon/POPE, output/coco.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from calprune.data.benchmarks import Answer, Example, Published, file_digest
from calprune.errors import BenchmarkError

__all__ = ["Pope"]

_SPLITS = ("random", "popular", "adversarial")
_SUFFIX = "\nAnswer the question using a single word or phrase."


class Pope:
    """9,000 yes/no questions about 500 images of COCO val2014, 3,000 in each of three splits."""

    title = "POPE (COCO val2014), yes/no object questions; needs --data"
    answers = (Answer("yes", ("Yes", "yes")), Answer("no", ("No", "no")))
    # tokens as the Vicuna tokenizer counts them, in the template vicuna_v1
    published = Published(images=500, rows=9000, questions=5127, tail=26, trie=220)

    def examples(self, root: Path | None) -> Iterator[Example]:
        """Questions in file order; ids are ``split/question_id``."""
        for split in _SPLITS:
            path = _folder(root) / f"coco_pope_{split}.json"
            rows = _rows(path)
            if len(rows) == 2910:
                raise BenchmarkError(
                    f"{path}: the old random split of 2,910 rows; the published study uses 3,000: "
                    "take output/coco from AoiDragon/POPE"
                )
            for row in rows:
                yield _example(path, split, row)

    def picture(self, name: str, root: Path | None) -> Path:
        """The JPEG file."""
        return _folder(root) / "val2014" / name

    def digest(self, name: str, root: Path | None) -> str:
        """SHA-256 of the JPEG file."""
        return file_digest(self.picture(name, root))


def _folder(root: Path | None) -> Path:
    wanted = (
        "coco_pope_random.json, coco_pope_popular.json and coco_pope_adversarial.json, and the "
        "COCO images in a sub-folder val2014/"
    )
    now = "'calprune collect --bench shapes' needs no data and works now"
    if root is None:
        raise BenchmarkError(
            f"pope needs its data: put {wanted} in a folder, name it with --data; {now}"
        )
    if not (root / "coco_pope_random.json").is_file():
        raise BenchmarkError(f"pope: {root} lacks its files: it must hold {wanted}; {now}")
    return root


def _rows(path: Path) -> list[dict[str, object]]:
    try:
        with path.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.strip()]
    except OSError as error:
        raise BenchmarkError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise BenchmarkError(f"{path}: not one JSON object a line ({error})") from error


def _example(path: Path, split: str, row: dict[str, object]) -> Example:
    try:
        name, text, label = str(row["image"]), str(row["text"]), str(row["label"]).strip().lower()
        number = row["question_id"]
    except (KeyError, TypeError) as error:
        raise BenchmarkError(f"{path}: a row lacks {error}") from error
    if label not in ("yes", "no") or "/" in name or name.startswith("."):
        raise BenchmarkError(f"{path}: question {number}: bad label {label!r} or image {name!r}")
    return Example(
        id=f"{split}/{number}",
        image=name,
        prompt=text + _SUFFIX,
        label=0 if label == "yes" else 1,
        offered=(0, 1),
        split=split,
    )
