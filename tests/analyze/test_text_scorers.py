"""Scorers of generated replies, held to examples worked by hand from the official rules."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune import registry
from calprune.analyze.scorers._evalai import CONTRACTIONS, normalised
from calprune.analyze.scorers.exact_match import ExactMatch
from calprune.analyze.scorers.mmmu import _NUMBERS, Mmmu, is_correct, parsed
from calprune.analyze.scorers.vqa import Vqa, soft_accuracy
from calprune.data.condition import ALL_TOKENS, Budget, Condition
from calprune.data.storage.logits import LogitTable, Replies
from calprune.errors import Mismatch

Row = tuple[str, Sequence[str]]
"""A reply and its references."""

TOKENS = ((10, 11), (20, 21))


def condition(budget: int | None = None, benchmark: str = "open", model: str = "toy") -> Condition:
    return Condition(
        benchmark=benchmark,
        benchmark_digest="b" * 64,
        model=model,
        model_digest="m" * 64,
        template="t" * 64,
        answer_tokens=TOKENS,
        pixels="none",
        selector="full" if budget is None else "random",
        parameters=(),
        revision=1,
        budget=ALL_TOKENS if budget is None else Budget("count", budget),
        reply=16,
    )


def open_table(
    rows: Sequence[Row],
    closed: Sequence[tuple[int, int]] = (),
    path: Path = Path("full.h5"),
    made: Condition | None = None,
    scorer: str = "judged",
) -> LogitTable:
    """Open rows, then closed ones, each of which is (top token, label)."""
    m, n = len(rows), len(rows) + len(closed)
    offset = np.minimum(np.arange(n + 1), m)
    empty = ((),) * len(closed)
    return LogitTable(
        path=path,
        condition=made or condition(),
        provenance={},
        id=np.array([f"v1_{i}" for i in range(n)]),
        split=np.array([""] * n),
        category=np.array([""] * n),
        cluster=np.array([f"im{i}" for i in range(n)]),
        duplicate_of=np.arange(n, dtype=np.int32),
        label=np.array([-1] * m + [label for _, label in closed], dtype=np.int16),
        offered=np.array([[i >= m] * 2 for i in range(n)]),
        answers=("yes", "no"),
        answer_tokens=np.array(TOKENS, dtype=np.int32),
        answer_logits=np.zeros((n, 2, 2), dtype=np.float32),
        log_z=np.full(n, 10.0, dtype=np.float32),
        entropy=np.ones(n, dtype=np.float32),
        mean_logit=np.zeros(n, dtype=np.float32),
        top_token=np.array([[99]] * m + [[token] for token, _ in closed], dtype=np.int32),
        top_logit=np.zeros((n, 1), dtype=np.float32),
        tokens=np.full((n, 1), 20, dtype=np.int32),
        visual=np.full((n, 1), 10, dtype=np.int32),
        scorer=scorer,
        replies=Replies(
            id=np.full(m, 2, dtype=np.int32),
            logprob=np.full(m, -0.5, dtype=np.float32),
            entropy=np.ones(m, dtype=np.float32),
            top2_gap=np.ones(m, dtype=np.float32),
            offset=offset.astype(np.int64),
            stop=np.arange(n) < m,
            text=(*(reply for reply, _ in rows), *[""] * len(closed)),
            question=(*(f"question {i}?" for i in range(m)), *[""] * len(closed)),
            references=(*(tuple(references) for _, references in rows), *empty),
        ),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("The", ""),
        ("Two dogs and a cat", "2 dogs and cat"),
        ("none", "0"),
        ("Ten", "10"),
        ("eleven", "eleven"),
        ("an one", "1"),
        ("1,000", "1000"),
        ("a, b", "b"),
        ("10:30", "10:30"),
        ("U.S.", "us"),
        ("3.5", "3.5"),
        ("3.", "3"),
        (".5", ".5"),
        ("v1.a", "v1a"),  # the intent was to keep a full stop after a digit
        ("1.2.x", "1.2x"),
        ("dont", "don't"),
        ("don't", "don't"),
        ("couldntve", "couldntve"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("somebody'd", "somebodyd"),  # the wrong way round in the original
        ("hes", "he's"),
        ("he's", "he 's"),
        ("macy's", "macy 's"),
        ("'s", "'s"),
        ("coca-cola", "coca cola"),
        ("coca -cola", "coca cola"),
        ("x-ray - y-axis", "xray yaxis"),
        ("and/or", "and or"),
        ("and / or", "and or"),
        ("either/or and / or", "eitheror and or"),
        ('"stop!"', "stop"),
        ("what? yes!", "what yes"),
        ("e.g. (this)", "eg this"),
        ("a\nb\tc", "b c"),
        ("one;two", "1 2"),
        ("50% & #1", "50% & #1"),
        ("." * 32 + "x", "x"),
        ("." * 34 + "x", "..x"),  # a flag stands where the count belongs
    ],
)
def test_evalai_normaliser(text: str, expected: str) -> None:
    assert normalised(text) == expected


def test_contractions_are_those_of_the_original() -> None:
    assert len(CONTRACTIONS) == 114
    assert {w.replace("'", "") for w in CONTRACTIONS} == {
        w.replace("'", "") for w in CONTRACTIONS.values()
    }
    assert CONTRACTIONS["yall'd've"] == CONTRACTIONS["y'all'dve"] == "y'all'd've"


@pytest.mark.parametrize(("k", "score"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_soft_accuracy_of_ten_people(k: int, score: float) -> None:
    people = ("The Yes.",) * k + tuple(f"other {i}" for i in range(10 - k))
    assert soft_accuracy("yes", people) == score
    assert Vqa().rows(open_table([(" yes\n", people)])).tolist() == [score]


def test_soft_accuracy_leaves_one_out_of_any_number() -> None:
    # 2 of 4 agree: left out are twice one of them (1 other agrees), twice another (2 agree)
    assert soft_accuracy("x", ("x", "x", "y", "z")) == (2 * 1 / 3 + 2 * 2 / 3) / 4
    assert soft_accuracy("", ("", "an", "the", "b")) == pytest.approx((3 * 2 / 3 + 1) / 4)


def test_too_few_references_for_soft_accuracy_are_an_error() -> None:
    with pytest.raises(Mismatch, match=r"full\.h5: row 1 \(v1_1\) has 3 references; .*exact-match"):
        Vqa().rows(open_table([("a", "abcd"), ("a", "abc")]))


@pytest.mark.parametrize(
    ("reply", "references", "right"),
    [
        ("Yes.", ["yes"], True),
        (" t-shirt.. ", ["t-shirt"], True),
        ("white shirt", ["shirt"], False),
        ("yes!", ["yes"], False),
        ("yes .", ["yes"], False),
        (".yes", ["yes"], False),
        ("left", ["right", "Left"], True),
        ("", ["no"], False),
        (".", ["no"], False),
    ],
)
def test_exact_match(reply: str, references: list[str], right: bool) -> None:
    assert ExactMatch().rows(open_table([(reply, references)])).tolist() == [right]


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("", [""]),
        ("24.", [24.0]),
        ("The answer is 24", [24.0]),
        ("It costs $6,000", ["it costs $6,000", 6000.0, 0.0]),  # 000 is a number of its own
        ("So x = 3.14159", [3.14]),
        ("So x = 3\nthat is all", ["x = 3", "all", 3.0]),
        ("x = 3\nit is so", ["so"]),  # an equation counts on the last line only
        ("First. Then B", ["first. then b"]),  # lower-cased before it is cut at capitals
        ("the result is :", ["the result is :"]),
        ("1.5e3 and -2", ["1.5e3 and -2", 1500.0, 1.0, 3.0, -2.0]),
        ("B", [" b", "b "]),
    ],
)
def test_open_replies_are_parsed(reply: str, found: list[str | float]) -> None:
    assert parsed(reply) == found


@pytest.mark.parametrize(
    ("reply", "references", "right"),
    [
        ("The answer is 24.", ["24"], True),
        ("24.004", ["24"], True),
        ("24.006", ["24"], False),
        ("about 6,000 dollars", ["$6,000", "6000"], True),
        ("around 12,34", ["1234"], False),
        ("1e3", ["1,000"], True),
        ("-7", ["7"], False),
        ("the Mona Lisa by Leonardo", ["Mona Lisa"], True),
        ("Mona", ["Mona Lisa"], False),
        ("x", ["X"], True),
        ("axb", ["x"], False),
        ("a x b", ["x"], True),
        ("mercury is the answer", ["Mercury"], False),  # only what follows the key phrase counts
        ("", ["24"], False),
        ("nan", ["nan"], False),
        ("inf", ["infinity"], True),
    ],
)
def test_mmmu_open_questions(reply: str, references: list[str], right: bool) -> None:
    assert is_correct(reply, tuple(references)) is right
    assert Mmmu().rows(open_table([(reply, references)])).tolist() == [right]


REPEATED = ("1", "1,111,", "1.1", "-1", ".1", "1e", "1e1.", "1 ", "so 1\n", "a.", "an, it's ", "x")


@pytest.mark.parametrize("unit", REPEATED)
@pytest.mark.parametrize("name", ["exact-match", "vqa", "mmmu"])
def test_a_long_reply_takes_time_in_proportion(name: str, unit: str) -> None:
    """What looks at each pair of characters would take hours."""
    text = (unit * 200_000)[:200_000]
    people = ("yes",) * 10
    scorer = registry.load("scorers", name)()
    start = time.process_time()
    assert scorer.rows(open_table([(text, people), (f"{text}x", people)])).tolist() == [0, 0]
    assert time.process_time() - start < 20


SLOW = (  # as they stand in the original
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),
    re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+"),
    re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])"),
)


@given(st.text("012,.-+eE x٣_", max_size=24))
@settings(max_examples=2000, deadline=None)
def test_numbers_are_found_as_in_the_original(text: str) -> None:
    assert [p.findall(text) for p in _NUMBERS] == [p.findall(text) for p in SLOW]


@pytest.mark.parametrize("name", ["exact-match", "vqa", "mmmu"])
def test_closed_rows_are_scored_by_the_first_token(name: str) -> None:
    people = ("yes",) * 10
    closed = [(11, 0), (20, 1), (20, 0), (77, 0)]
    scorer = registry.load("scorers", name)()
    assert scorer.name == name
    verdict = scorer.rows(open_table([("yes", people)], closed))
    assert verdict.tolist() == [1, 1, 1, 0, 0]
    assert verdict.dtype == np.float64


def test_a_row_with_options_and_a_reply_is_scored_by_its_reply() -> None:
    table = open_table([("Yes.", ["yes"]), ("Yes.", ["no"])])
    both = replace(table, offered=np.ones((2, 2), dtype=bool), label=np.array([1, 1], np.int16))
    assert ExactMatch().rows(both).tolist() == [1, 0]


def test_replies_alone_need_no_top_tokens() -> None:
    table = open_table([("yes", ["yes"])])
    bare = replace(table, top_token=np.zeros((1, 0), np.int32))
    assert ExactMatch().rows(bare).tolist() == [1]


def test_a_row_with_nothing_to_be_held_to_is_an_error() -> None:
    with pytest.raises(Mismatch, match=r"full\.h5: row 1 \(v1_1\) has neither .*collect again"):
        ExactMatch().rows(open_table([("a", ["a"]), ("b", [])]))
    with pytest.raises(Mismatch, match="row 0"):
        ExactMatch().rows(replace(open_table([("a", ["a"])]), replies=None))
