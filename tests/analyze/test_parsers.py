"""Wordy replies to closed questions: each script's rule against an independent retyping of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune import registry
from calprune.analyze.confidence_definition import resolve
from calprune.analyze.parser import option_texts
from calprune.analyze.predictions.sequence_likelihood import reply_log_confidence
from calprune.data.storage.logits import Replies
from calprune.errors import PlanError
from tests.analyze.calls import analyze, estimate, read_predictions
from tests.analyze.conftest import make_table, saying

DOCS = Path(__file__).parents[2] / "docs"
YES_NO = {"yes": "", "no": ""}
OPTIONS = {"A": "a red car", "B": "a blue car", "C": "No car", "D": "snow"}


def read(rule, reply, options):
    return registry.load("parsers", rule)().answer(reply.strip(), options)


# By hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "pope", "mme"),
    [
        ("Yes", "yes", "yes"),
        ("No", "no", "no"),
        ("no.", "no", "no"),
        ("NO", "yes", "no"),
        ("None", "yes", "no"),
        ("There is no cat", "no", None),
        ("There is a cat, not a dog", "no", None),
        ("No, there is not.", "no", "no"),
        ("Well. No", "yes", None),
        ("not sure", "no", "no"),
        ("snow", "yes", "no"),
        ("eyes", "yes", "yes"),
        ("nothing", "yes", "no"),
        ("unknown", "yes", None),
        ("  No", "no", "no"),
        ("No\nway", "yes", "no"),
        ("", "yes", None),
    ],
)
def test_yes_or_no(reply, pope, mme):
    assert read("pope", reply, YES_NO) == pope
    assert read("mme", reply, YES_NO) == mme


@pytest.mark.parametrize(
    ("reply", "scienceqa", "seed", "mmbench", "mmmu"),
    [
        ("B", "B", "B", "B", "B"),
        ("B.", None, None, "B", "B"),
        ("B. a blue car", "B", None, "B", None),
        ("(B)", None, None, "B", "B"),
        ("(A) a red car", None, None, "A", "A"),
        ("The answer is B.", "B", None, "B", "B"),
        ("The answer is B", None, None, "B", "B"),
        ("The answer is Blue", "B", None, None, None),
        ("The answer is A. The answer is B.", None, None, None, "B"),
        ("b", None, None, None, None),
        ("a blue car", None, None, "B", None),
        ("I think that it is a blue car", None, None, "B", "B"),
        ("None", None, None, None, None),
        ("E", "E", None, None, None),
        ("E. what", "E", None, None, None),
        ("Z", None, None, None, None),
        ("", None, None, None, None),
    ],
)
def test_letters(reply, scienceqa, seed, mmbench, mmmu):
    found = [read(r, reply, OPTIONS) for r in ("scienceqa", "seed-bench", "mmbench", "mmmu")]
    assert found == [scienceqa, seed, mmbench, mmmu]


def test_the_table_of_the_documentation():
    lines = (DOCS / "scores.md").read_text().splitlines()
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines[: next(i for i, x in enumerate(lines) if x.startswith("*none* is wrong"))]
        if line.startswith("|")
    ]
    checked = 0
    for replies, _, *cells in rows:
        for reply in replies.split("`, `"):
            for name, cell in zip(head[2:], cells, strict=True):
                rule, expected = name.strip("`"), cell.split(",")[0]
                if expected:
                    options = YES_NO if rule in ("pope", "mme") else OPTIONS
                    found = read(rule, reply.strip("`"), options)
                    assert (found or "none") == expected, (reply, rule)
                    checked += 1
    assert checked > 30


# Against the scripts, typed anew -----------------------------------------------------------------


def script_pope(text):
    if text.find(".") != -1:
        text = text.split(".")[0]
    text = text.replace(",", "")
    words = text.split(" ")
    if "No" in words or "not" in words or "no" in words:
        return "no"
    return "yes"


def script_mme(text):
    text = text.lower()
    if text in ["yes", "no"]:
        return text
    prefix = text[:4]
    if "yes" in prefix:
        return "yes"
    if "no" in prefix:
        return "no"
    return "other"


def script_scienceqa(text):
    letters = ["A", "B", "C", "D", "E"]
    if text in letters:
        return text
    if len(text) >= 3 and text[0] in letters and text[1:3] == ". ":
        return text[0]
    found = re.findall(r"The answer is ([A-Z]).", text)
    return found[0] if len(found) == 1 else "FAILED"


def script_mmbench(text, choices):
    """False where ChatGPT would be asked, Z for no answer."""
    for refusal in ("I can't process this file.", "Cannot determine the answer"):
        if refusal in text:
            return "Z"
    spaced = text
    for mark in ".()[],:;!*#{}":
        spaced = spaced.replace(mark, " ")
    splits = [x.strip() for x in spaced.split()]
    count = 0
    for letter in choices:
        if letter in splits:
            count += 1
    if count == 1:
        for letter in choices:
            if letter in splits and splits.index(letter) > (len(splits) - 5):
                return letter
    elif count == 0 and "Z" in splits:
        return "Z"
    lower = text.lower()
    if len(lower) > 2 * sum(len(str(v)) for v in choices.values()):
        return False
    candidates = [k for k in choices if str(choices[k]).lower() in lower]
    return candidates[0] if len(candidates) == 1 else False


def script_mmmu(response, index2ans):
    """``guess`` where the script draws an option."""
    for char in [",", ".", "!", "?", ";", ":", "'"]:
        response = response.strip(char)
    response = " " + response + " "
    index_ans, bracket, candidates = True, False, []
    for choice in index2ans:
        if f"({choice})" in response:
            candidates.append(choice)
            bracket = True
    if len(candidates) == 0:
        for choice in index2ans:
            if f" {choice} " in response:
                candidates.append(choice)
    if len(candidates) == 0 and len(response.split()) > 5:
        for index, ans in index2ans.items():
            if ans.lower() in response.lower():
                candidates.append(index)
                index_ans = False
    if len(candidates) == 0:
        return "guess"
    if len(candidates) == 1:
        return candidates[0]
    starts = []
    for can in candidates:
        if index_ans and bracket:
            starts.append(response.rfind(f"({can})"))
        elif index_ans:
            starts.append(response.rfind(f" {can} "))
        else:
            starts.append(response.lower().rfind(index2ans[can].lower()))
    return candidates[int(np.argmax(starts))]


WORDS = st.sampled_from(
    [
        *("yes", "Yes", "YES", "no", "No", "NO", "not", "none", "None", "nope", "snow", "eyes"),
        *("A", "B", "C", "D", "E", "Z", "a", "(A)", "(B)", "(C)", "B.", "C,", "A:", "[D]", "*B*"),
        *("The answer is B.", "The answer is A", "The answer is", "a red car", "A blue car"),
        *("There", "is", "cat", "the", "I think", "No car", "snow", "'", "!", ";", "#"),
        *("Cannot determine the answer", "I can't process this file."),
    ]
)
REPLIES = st.one_of(
    st.lists(
        st.tuples(WORDS, st.sampled_from([" ", "  ", ". ", ", ", "\n", "", "."])), max_size=9
    ).map(lambda parts: "".join(word + gap for word, gap in parts)),
    st.text(alphabet="yesnoYESNO .,\n", max_size=8),
    st.text(max_size=12),
)
TEXTS = st.lists(
    st.sampled_from(["a red car", "A blue car", "No car", "snow", "car", "yes", "İ", "B"]),
    min_size=2,
    max_size=5,
)


@given(REPLIES)
@settings(max_examples=300, deadline=None)
def test_yes_or_no_is_the_scripts(reply):
    text = reply.strip()
    assert read("pope", reply, YES_NO) == script_pope(text)
    assert (read("mme", reply, YES_NO) or "other") == script_mme(text)


@given(REPLIES, TEXTS)
@settings(max_examples=400, deadline=None)
def test_letters_are_the_scripts(reply, texts):
    text, options = reply.strip(), dict(zip("ABCDE", texts, strict=False))
    assert (read("scienceqa", reply, options) or "FAILED") == script_scienceqa(text)
    assert (read("seed-bench", reply, options) == "B") == (text == "B")
    undecided = (False, "Z")  # ChatGPT is asked, or the reply has no answer
    found, expected = read("mmbench", reply, options), script_mmbench(text, dict(options))
    assert found == (None if expected in undecided else expected)
    expected = script_mmmu(text, options)
    assert (read("mmmu", reply, options) or "guess") == expected


# From questions and files ------------------------------------------------------------------------


def test_options_are_found_in_the_question():
    asks = "\nAnswer with the option's letter from the given choices directly."
    plain = f"Which?\nA. one\nB. two\nlines. C\nC. three{asks}"
    assert option_texts(plain, "ABC") == {"A": "one", "B": "two\nlines. C", "C": "three"}
    mmmu = f"Which\nA. of these?\n(A) one\n(B) (two)\n{asks}"
    assert option_texts(mmmu, "AB") == {"A": "one", "B": "(two)"}
    assert option_texts("A hint\nA. hint\nA. one\nB. two", "AB") == {"A": "one", "B": "two"}
    assert option_texts("Is it so?", ["yes", "no"]) == YES_NO
    assert option_texts(plain, "ABCD") == dict.fromkeys("ABCD", "")


def replying(texts, label, parser, scorer, stop=None, **options):
    """A table whose first tokens all spell the first answer, and whose replies are these texts."""
    n = len(texts)
    table = saying(make_table(pairs=True, **options), [0] * n, label)
    question = "Which?" + "".join(f"\n{x}. {OPTIONS.get(x, '')}" for x in table.answers)
    replies = Replies(
        id=np.arange(2 * n, dtype=np.int32),
        logprob=np.full(2 * n, -0.5, np.float32),
        entropy=np.ones(2 * n, np.float32),
        top2_gap=np.ones(2 * n, np.float32),
        offset=2 * np.arange(n + 1, dtype=np.int64),
        stop=np.array([True] * n if stop is None else stop),
        text=tuple(texts),
        question=(question,) * n,
        references=((),) * n,
    )
    return replace(table, replies=replies, parser=parser, scorer=scorer)


def value(table, metric="score"):
    return estimate([table], [metric], draws=0)[0].value


POPE = (["There is no cat", "Yes", "No", " Yes. No"], [1, 0, 1, 1])


def test_the_reply_decides_where_there_is_one():
    table = replying(*POPE, "pope", "f1-over-splits", splits=["all"])
    assert value(table) == pytest.approx(2 / 3)  # TP 1, FP 1
    assert [value(table, m) for m in ("precision", "recall", "yes-ratio")] == [0.5, 1.0, 0.5]
    without = replace(table, replies=None, parser="")
    assert value(without) == pytest.approx(2 / 5)  # all said yes
    assert read_predictions(table).parsed_answer.tolist() == [1, 0, 1, 0]
    assert read_predictions(without).parsed_answer.tolist() == [0] * 4


def test_confidence_stays_that_of_the_first_token():
    table = replying(*POPE, "pope", "f1-over-splits")
    for confidence in ("auto", "product", "answer-set", "raw"):
        with_, without = (
            read_predictions(t, confidence=confidence)
            for t in (table, replace(table, replies=None, parser=""))
        )
        assert with_.convention == without.convention
        assert (with_.confidence == without.confidence).all()
        assert (with_.correct == without.correct).all()
        assert not with_.replied.any()
    assert reply_log_confidence(table.replies, resolve("product").replies, "").shape == (0,)


@pytest.mark.parametrize(
    ("parser", "scorer", "expected", "pairs"),
    [
        ("scienceqa", "accuracy", 1 / 4, 0.0),
        ("seed-bench", "accuracy", 0.0, 0.0),
        ("mmbench", "accuracy", 1.0, 1.0),
        ("mmbench", "circular", 1.0, 1.0),
        ("mmmu", "mmmu", 3 / 4, 1 / 2),
    ],
)
def test_every_scorer_hears_the_reply(parser, scorer, expected, pairs):
    texts = ["(A) a red car", "B.", "The answer is B.", "no car"]
    table = replying(texts, [0, 1, 1, 2], parser, scorer, answers=4, letters=True)
    assert (value(table), value(table, "acc-plus")) == (expected, pairs)
    assert "|said:reply(" in str(estimate([table], ["vanilla"], draws=0)[0].signature)


def test_mme_counts_what_is_neither_as_wrong():
    table = replying(["No", "eyes", "The answer is no", "No"], [1, 0, 1, 1], "mme", "pairs")
    table = replace(table, category=np.array(["one"] * 4), cluster=np.array(["a"] * 4))
    assert value(table) == pytest.approx(100 * (3 / 4 + 1 / 2))


def test_the_table_says_what_decided():
    table = replying(*POPE, "pope", "f1-over-splits", stop=[True, True, False, True])
    text = analyze([table], metrics=["score", "f1"], draws=0)
    assert "|said:reply(pope),cut:1" in text
    told = "the whole reply decides, read by the rule pope; the limit cut 1 of these replies"
    assert f"score (mean F1), F1: {told}\n" in text
    plain = analyze([replace(table, replies=None, parser="")], metrics=["score"], draws=0)
    assert "|said:first-token|" in plain
    assert "score (mean F1): the greedy first token decides\n" in plain
    unread = analyze([replace(table, parser="")], metrics=["score"], draws=0)  # nobody reads them
    assert "|said:first-token|" in unread
    against = analyze(
        [table, replace(table, condition=replace(table.condition, selector="blind"))],
        metrics=["score"],
        against="full",
        draws=0,
    )
    assert told in against


def test_a_rule_that_is_not_installed_is_named():
    table = replying(*POPE, "poope", "f1-over-splits")
    with pytest.raises(PlanError, match=r"parser 'poope'.*pope"):
        read_predictions(table)


def test_open_rows_beside_closed_replies():
    """Tokens of closed replies lie between those of open ones; rules look at the latter alone."""
    table = replying(["No", "cat", "No", "a dog"], [1, -1, 1, -1], "pope", "exact-match")
    offered = np.array([[True] * 2, [False] * 2, [True] * 2, [False] * 2])
    logprob = np.array([-9, -9, -0.1, -0.2, -9, -9, -0.3, -0.4], np.float32)
    replies = replace(table.replies, logprob=logprob, references=((), ("cat",), (), ("cat",)))
    table = replace(table, offered=offered, replies=replies)
    predictions = read_predictions(table)
    assert predictions.replied.tolist() == [False, True, False, True]
    assert predictions.item_scores.tolist() == [1, 1, 1, 0]
    assert predictions.confidence[[1, 3]] == pytest.approx(np.exp([-0.1, -0.3]))
    for rule in ("first-token", "mean-logprob", "minimum"):
        found = reply_log_confidence(replies, resolve(rule).replies, "here")
        assert found == pytest.approx([-0.1, -0.3], abs=1e-6)
    assert "said:reply(pope)|" in str(estimate([table], ["score"], draws=0)[0].signature)
