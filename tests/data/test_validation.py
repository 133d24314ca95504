"""What a file may say: its columns before they are cast, and together with its condition."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune.data.condition import ALL_TOKENS, Budget, Condition, canonical_json, sha256_of
from calprune.data.storage.agreement import check_agreement
from calprune.data.storage.container import Arrays, Sealed, as_text, header, pack
from calprune.data.storage.publishing import publish
from calprune.data.storage.reading import check_file, read_logits
from calprune.data.storage.sealing import seal
from calprune.data.storage.validation import check_values
from calprune.errors import Mismatch, StoreError
from tests.data.test_condition import PLAIN
from tests.data.test_container import ranking
from tests.data.test_store import cut_arrays, logit_arrays, sealed

FAR = 2**32 + 4


def written(path: Path, content: Sealed) -> Path:
    """A file whose writer checked no law."""
    publish(path, pack(content), header)
    return path


# Columns ----------------------------------------------------------------------------------------

WHOLE = [
    "run/tokens", "run/visual", "run/merged", "example/duplicate_of", "logit/top_token",
    "image/kept", "image/position", "image/tied", "image/question", "image/until", "prompt/head",
    "prompt/tail", "answer/token",
]  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_are_checked_before_they_are_cast(tmp_path: Path, name: str) -> None:
    """2**32 + 4 reads as 4 once it is cast."""
    arrays = cut_arrays() | {"image/position": np.zeros((6, 5), dtype=np.int32)}
    arrays[name] = arrays[name].astype(np.int64)
    arrays[name].flat[0] += 2**32
    if name == "run/visual":
        arrays["run/tokens"] = arrays["run/tokens"].astype(np.int64) + 2**32
    path = written(tmp_path / "far.h5", sealed(arrays))
    with pytest.raises(Mismatch, match=r"far\.h5: .*32 bits"):
        read_logits(path)


def test_a_logit_beyond_float32(tmp_path: Path) -> None:
    arrays = logit_arrays()
    arrays["logit/answer"] = arrays["logit/answer"].astype(np.float64)
    arrays["logit/answer"][0, 0, 0] = -1e300
    with pytest.raises(Mismatch, match=r"logit/answer: .*float32"):
        read_logits(written(tmp_path / "far.h5", sealed(arrays)))


def test_text_is_text_value_by_value() -> None:
    """A letter that one value begins and the next one ends is none."""
    arrays = logit_arrays()
    arrays["example/split"] = np.array([b"\xc3", b"\xa4", b"", b"", b"", b""])
    with pytest.raises(Mismatch, match="example/split: text that is not UTF-8"):
        check_values("calprune.logits", arrays)
    arrays["example/split"] = as_text(["ä"] * 6)
    check_values("calprune.logits", arrays)


LAWS: dict[str, tuple[str, Any, Any, str]] = {
    "cluster": ("example/cluster", 1, b"", r"row 1.*no name"),
    "answer": ("answer/name", 0, b"", "answer names are empty"),
    "image": ("image/id", 0, b"", "image/id"),
    "duplicate of a duplicate": ("example/duplicate_of", slice(1, 3), [0, 1], "a duplicate"),
    "log z below the top": ("logit/top", (2, 0), 9.5, r"row 2.*below a top logit"),
    "top token twice": ("logit/top_token", (3, 1), 0, r"row 3.*twice"),
    "head": ("prompt/head", 0, -1, "prompt/head"),
    "tail": ("prompt/tail", (0, 0), -1, "prompt/tail"),
    "merged": ("run/merged", (2, 1), -1, r"row 2.*merged"),
    "more merged than seen": ("run/merged", (2, 1), 6, r"row 2.*merged"),
    "kept": ("image/kept", (0, 0), -2, "image/kept"),
    "question": ("image/question", 0, -2, "image/question"),
    "tied": ("image/tied", 0, -1, "image/tied"),
}


@pytest.mark.parametrize("name", LAWS)
def test_every_column_of_logits_has_a_law(name: str) -> None:
    column, at, value, message = LAWS[name]
    arrays = cut_arrays()
    check_values("calprune.logits", arrays)
    arrays[column][at] = value
    with pytest.raises(Mismatch, match=message):
        check_values("calprune.logits", arrays)


def test_labels_are_read_as_int16() -> None:
    n = 2**15
    arrays = logit_arrays() | {
        "answer/name": as_text([str(i) for i in range(n)]),
        "answer/token": np.arange(n, dtype=np.int32)[:, None],
        "logit/answer": np.zeros((6, n, 1), dtype=np.float32),
        "example/offered": np.ones((6, n), dtype=np.bool_),
    }
    with pytest.raises(Mismatch, match="32768 answers"):
        check_values("calprune.logits", arrays)


def features() -> Arrays:
    return {
        "image/id": as_text(["a"]),
        "image/digest": as_text(["0" * 64]),
        "image/offset": np.array([0, 2]),
        "image/size": np.array([[4, 8]]),
        "token/cell": np.zeros((2, 3), dtype=np.int32),
        "token/glue": np.zeros(2, dtype=np.bool_),
        "token/box": np.zeros((2, 4), dtype=np.float32),
        "view/patches": np.zeros((2, 3), dtype=np.float32),
    }


def audits() -> Arrays:
    return {
        "example/id": as_text(["q0", "q1"]),
        "logit/answer": np.array([[[1.0, -np.inf]], [[2.0, -np.inf]]], dtype=np.float32),
        "logit/log_z": np.ones(2, dtype=np.float32),
        "delta/answer": np.zeros(2, dtype=np.float32),
        "delta/log_z": np.zeros(2, dtype=np.float32),
        "delta/flipped": np.zeros(2, dtype=np.bool_),
    }


def of_text(values: list[int]) -> dict[str, Any]:
    return {"image/question": np.array(values, dtype=np.int32)}


OTHERS = {
    "size": ("features", features(), "image/size", (0, 1), 0),
    "cell": ("features", features(), "token/cell", (0, 1), -2),
    "box": ("features", features(), "token/box", (0, 1), np.inf),
    "gain": ("rankings", ranking().arrays, "rank/gain", (0, 1), np.nan),
    "question": ("rankings", ranking().arrays | of_text([0, 0, 0]), "image/question", 0, -2),
    "audited id": ("audits", audits(), "example/id", 1, b"q0"),
    "audited logit": ("audits", audits(), "logit/answer", (0, 0, 0), np.nan),
    "audited log z": ("audits", audits(), "logit/log_z", 0, np.inf),
    "distance": ("audits", audits(), "delta/answer", 0, -1.0),
    "distance of log z": ("audits", audits(), "delta/log_z", 0, np.nan),
}


@pytest.mark.parametrize("name", OTHERS)
def test_so_have_those_of_other_formats(name: str) -> None:
    form, arrays, column, at, value = OTHERS[name]
    check_values(f"calprune.{form}", arrays)
    arrays[column][at] = value
    with pytest.raises(Mismatch):
        check_values(f"calprune.{form}", arrays)


# Columns and condition --------------------------------------------------------------------------


def plain(kept: int, of: int = 0, layers: int = 3, text: int = 5) -> Arrays:
    """Rows that saw ``kept`` tokens, every second one of the image's, or all ``of`` it."""
    order = np.arange(of) if of else 2 * np.arange(kept)
    arrays = logit_arrays(kept=kept) | {
        "prompt/head": np.arange(2, dtype=np.int32),
        "prompt/tail": np.tile(np.arange(text - 2, dtype=np.int32), (6, 1)),
        "image/kept": np.tile(order.astype(np.int32), (3, 1)),
        "run/visual": np.full((6, layers), kept, dtype=np.int32),
    }
    arrays["run/tokens"] = arrays["run/visual"] + text
    return arrays


def budgeted(
    budget: Budget, features: str | None = "patches@-2", pixels: str = "Clip/pad"
) -> Condition:
    return dataclasses.replace(PLAIN, budget=budget, features=features, pixels=pixels)


K = Budget("count", 64)


@pytest.mark.parametrize(
    ("condition", "arrays"),
    [
        (budgeted(K), plain(64)),
        (budgeted(K), plain(40, of=40)),  # a small image
        (budgeted(Budget("count", 0), None), plain(0)),
        (budgeted(ALL_TOKENS, None), plain(576, of=576)),
        (budgeted(Budget("ratio", 0.5)), plain(288)),
        (budgeted(K, pixels="Clip/hf"), plain(88)),  # with row ends
        (budgeted(Budget("count", 64, "crop")), plain(320)),
        (budgeted(Budget("count", 64, "split")), plain(60)),  # twelve of each crop
    ],
)
def test_what_a_budget_leaves(condition: Condition, arrays: Arrays) -> None:
    check_agreement(condition, arrays)


def test_windows_and_choices_inside_the_model() -> None:
    """Some layers may see less; a choice inside is bound at the last layer."""
    arrays = plain(64)
    arrays["run/visual"][:, 1], arrays["run/tokens"][:, 1] = 10, 13
    check_agreement(budgeted(K), arrays)
    arrays["run/tokens"][:, 1] = 15
    with pytest.raises(Mismatch, match="layer 1, other than in other layers"):
        check_agreement(budgeted(K), arrays)
    inside = cut_arrays(v=90, leave=40)
    check_agreement(budgeted(K, None), inside)
    with pytest.raises(Mismatch, match="50 visual tokens in layer 2, more than"):
        check_agreement(budgeted(Budget("count", 49), None), inside)


@pytest.mark.parametrize(
    ("condition", "arrays", "said"),
    [
        (budgeted(K), plain(100), "more than its condition keeps"),
        (budgeted(K), plain(50), "fewer than its condition keeps"),
        (budgeted(Budget("count", 0), None), plain(5), "keeps none"),
        (budgeted(K), plain(0), "keeps some"),
        (budgeted(ALL_TOKENS, None), plain(576), "fewer than its condition keeps"),
        (budgeted(Budget("ratio", 0.5)), plain(0), "keeps some"),
        (budgeted(Budget("count", 64, "split")), plain(65), "more than its condition keeps"),
        (
            budgeted(Budget("ratio", 0.5)),
            plain(288) | {f"image/{x}": np.zeros((3, 3), np.int32) for x in ("kept", "position")},
            "more than the 3 of image/kept",
        ),
        (
            budgeted(K),
            plain(64) | {"run/tokens": np.full((6, 3), 70, dtype=np.int32)},
            "more text than its prompt",
        ),
    ],
)
def test_what_no_budget_leaves(
    condition: Condition, arrays: Arrays, said: str, tmp_path: Path
) -> None:
    with pytest.raises(Mismatch, match=said):
        read_logits(written(tmp_path / "x.h5", sealed(arrays, condition)))
    with pytest.raises(Mismatch, match=said):  # nor would it ever be written
        seal(tmp_path / "y.h5", sealed(arrays, condition))
    assert not (tmp_path / "y.h5").exists()


# Conditions -------------------------------------------------------------------------------------

ODD: dict[str, dict[str, Any]] = {
    "an id beyond int32": {"answer_tokens": [[5, 2**31], [7]]},
    "a negative id": {"answer_tokens": [[5, -1], [7]]},
    "ids that are no list": {"answer_tokens": [5, 7]},
    "text for an id": {"answer_tokens": [["5"], [7]]},
    "a list": {"parameters": {"alpha": [1, 2]}},
    "an object": {"parameters": {"alpha": {}}},
    "null": {"parameters": {"alpha": None}},
    "4,000 digits": {"parameters": {"alpha": int("9" * 4000)}},
    "4,000 digits for a seed": {"seed": int("9" * 4000)},
    "4,000 digits for a budget": {
        "budget": {"kind": "count", "value": int("9" * 4000), "scope": "global"}
    },
    "beyond 64 bits": {"revision": 2**63},
    "long text": {"parameters": {"alpha": "x" * 2000}},
    "negative": {"reply": -1},
    "positions": {"positions": "sideways"},
}


@pytest.mark.parametrize("name", ODD)
def test_conditions_of_strange_values(name: str, tmp_path: Path) -> None:
    manifest = PLAIN.to_json() | ODD[name]
    with pytest.raises(StoreError):
        Condition.from_json(manifest)
    content = Sealed("calprune.logits", sha256_of(manifest), manifest, {}, logit_arrays())
    path = written(tmp_path / "odd.h5", content)
    for read in (read_logits, check_file):
        with pytest.raises(StoreError, match=r"odd\.h5"):
            read(path)


def test_a_long_number_anywhere(tmp_path: Path) -> None:
    """Python reads 4,000 digits, and prints them wherever the number is shown."""
    content = dataclasses.replace(ranking(), provenance={"n": int("9" * 4000)})
    assert len(canonical_json(content.provenance)) > 4000
    with pytest.raises(Mismatch, match="a number of 4000 digits"):
        check_file(written(tmp_path / "x.h5", content))


def test_a_reply_is_no_longer_than_allowed() -> None:
    arrays = logit_arrays() | {"gen/offset": np.array([0, 0, 0, 0, 3, 3, 3])}
    check_agreement(dataclasses.replace(PLAIN, reply=3), arrays)
    with pytest.raises(Mismatch, match="a reply of 3 tokens"):
        check_agreement(dataclasses.replace(PLAIN, reply=2), arrays)
