"""Words for conditions: what they replace, what they leave, and what is refused."""

from __future__ import annotations

import json

import pytest

from calprune.analyze.labels import UNLABELLED, check_used, labels_of, read_labels
from calprune.analyze.study import Study
from calprune.data.condition_names import parse_name
from calprune.errors import DamagedFile, IncompleteError, PlanError
from tests.analyze.calls import analyze
from tests.analyze.conftest import make_condition, make_table

WORDS = {"scope": "Ours", "scope:alpha=0.5": "half", "random @16": "a coin", "full": "unpruned"}


@pytest.mark.parametrize(
    ("name", "title", "line"),
    [
        ("scope:alpha=1 @16", "Ours α=1, K=16", "Ours α=1"),
        ("scope:alpha=0.5 @16", "half, K=16", "half"),
        ("random @16", "a coin", "random"),
        ("random @8 seed=0", "random K=8, seed 0", "random"),
        ("random @16 seed=0", "a coin, seed 0", "random"),
        ("full", "unpruned", "unpruned"),
        ("scope:alpha=0.5:gap_power=2 @22%", "Ours α=0.5, p=2, 22%", "Ours α=0.5, p=2"),
    ],
)
def test_the_most_exact_name_counts(name, title, line):
    labels = labels_of(WORDS)
    assert (labels.title(parse_name(name)), labels.line(parse_name(name))) == (title, line)
    assert UNLABELLED.title(parse_name(name)) == parse_name(name).title


def test_a_file_is_an_object_of_names_and_words(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(WORDS))
    assert read_labels(path) == labels_of(WORDS)
    assert read_labels(None) == UNLABELLED
    for text, error, said in (
        ("[1]", PlanError, "JSON object"),
        ('{"scope": 3}', PlanError, "JSON object"),
        ('{"scope":', DamagedFile, "not JSON"),
        ('{"scope": ""}', PlanError, "1 to 60 letters"),
        ('{"scope": "' + 61 * "x" + '"}', PlanError, "1 to 60 letters"),
        ('{"scope:alpha": "x"}', PlanError, "is not read"),
        ('{"scope@8": "x", "scope @8": "y"}', PlanError, "two labels"),
    ):
        path.write_text(text)
        with pytest.raises(error, match=said) as refused:
            read_labels(path)
        assert str(path) in str(refused.value)
    with pytest.raises(IncompleteError, match="no such file"):
        read_labels(tmp_path / "none.json")


def test_labels_that_name_nothing_are_told_and_two_of_one_name_refused():
    here = [parse_name(name) for name in ("full", "scope:alpha=1 @16", "scope:alpha=0.5 @16")]
    assert check_used(labels_of({"full": "all"}), here) == []
    seeds = [parse_name("random @16 seed=0"), parse_name("random @16 seed=1")]
    assert check_used(labels_of({"random @16": "a coin"}), seeds) == []
    (said,) = check_used(labels_of({"full": "all", "scop": "Ours"}), here)
    assert "unknown condition 'scop': did you mean scope" in said
    with pytest.raises(PlanError, match="'scop'"):
        check_used(labels_of({"scop": "Ours"}), here)
    with pytest.raises(PlanError, match="both called 'x'"):
        check_used(labels_of({"full": "x", "scope:alpha=1 @16": "x"}), here)


def test_people_read_labels_and_programs_names(tmp_path, capsys):
    tables = [make_table(c, noise=i) for i, c in enumerate(conditions())]
    study = Study(tuple(tables)).labelled({"scope:alpha=1": "coverage & more"})
    *_, caption, table = study.plot("forest", tmp_path / "f", draws=20, permutations=19)
    assert "scope:alpha=1 @16" in table.read_text()
    assert "coverage &" not in table.read_text() + caption.read_text()
    svg = (tmp_path / "f.svg").read_text()
    assert "<svg" in svg
    text = analyze(tables, "latex", draws=20, labels=study.labels)
    assert r"coverage \& more, K=16" in text
    assert "coverage &" not in analyze(tables, "csv", draws=20, labels=study.labels)
    assert capsys.readouterr().err == ""


def conditions():
    return [make_condition(), *(make_condition("scope", 16, alpha=a) for a in (0.5, 1.0))]
