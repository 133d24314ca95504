"""The prompt is the official one, and its answers are read as officially."""

from __future__ import annotations

import hashlib

import pytest

from calprune.judge.prompt import AGAIN, PROMPT, asked, score_of


def test_prompt_is_the_official_one() -> None:
    assert PROMPT.startswith("Compare the ground truth and prediction from AI models, to give a ")
    assert PROMPT.count("\n") == 11
    assert PROMPT.endswith("physical characteristics. | 1.0\n")
    first = hashlib.sha256(PROMPT.encode()).hexdigest()
    assert first == "d1b3e0a5b4e72c888b77164489d705bba4dd149934fff564dfba6443d81afe3f"


def test_question_is_a_row_of_the_prompts_table() -> None:
    text = asked("What is x?", "-1<AND>-5", "x = 3 or 4")
    assert text == f"{PROMPT}\nWhat is x? | -1 <AND> -5 | x = 3 or 4 | "
    assert asked("q", "a", "r", again=True) == f"{PROMPT}\nq | a | r | {AGAIN}"


@pytest.mark.parametrize(
    ("content", "score"),
    [
        ("0.5", 0.5),
        ("1.0\n\nBecause", 1.0),
        (" 0.0", 0.0),
        ("1", 1.0),
        ("0.85 or so", 0.85),
        ("7", None),
        ("-0.1", None),
        ("1.01", None),
        ("NaN", None),
        ("inf", None),
        ("", None),
        ("The score is 0.5", None),
        ("0.5.", None),
    ],
)
def test_scores_are_read_as_mm_vet_does(content: str, score: float | None) -> None:
    assert score_of(content) == score
