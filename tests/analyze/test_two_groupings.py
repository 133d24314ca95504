"""Groups of two columns: every combination, in order, and never two under one name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calprune.analyze.experiments.grouping import groups
from calprune.analyze.study import Study
from calprune.errors import PlanError
from tests.analyze.calls import analyze, read_predictions
from tests.analyze.conftest import make_condition, make_table

BOTH = [f"{a} / {b}" for a in ("random", "popular", "adversarial") for b in ("colour", "count")]


@pytest.fixture(scope="module")
def study() -> Study:
    pruned = make_condition("scope", 8, alpha=0.5)
    return Study((make_table(), make_table(pruned, noise=1, signal=1.0)))


def test_each_combination_is_a_group_that_has_its_rows(study: Study):
    found = study.estimates(["accuracy"], by=("split", "category"), draws=0)
    first = found[found["condition"] == "full"]
    assert first["group"].tolist() == ["all", *BOTH]
    assert set(first["by"]) == {"split,category"}
    assert first["n"].tolist() == [240, *[40] * 6]
    one = study.select(selector="full").tables[0]
    right = read_predictions(one).correct
    for name, value in zip(first["group"][1:], first["value"][1:], strict=True):
        split, category = name.split(" / ")
        own = (one.split == split) & (one.category == category)
        assert value == pytest.approx(right[own].mean())
    assert found.equals(study.estimates(["accuracy"], by="split, category", draws=0))


def test_comparisons_have_a_family_in_each(study: Study):
    found = study.compare("accuracy", by="category,split", draws=0, permutations=9)
    assert found["group"].tolist()[:3] == ["all", "colour / random", "colour / popular"]
    assert set(found["family"]) == {1}


def test_tables_and_exports_name_both(study: Study):
    text = analyze(study.tables, metrics=["ece"], by="split,category", draws=0)
    assert "toy on shapes: ECE by split / category" in text
    assert "random / count" in text
    text = analyze(study.tables, metrics=["ece"], by="split,category", draws=0, fmt="csv")
    assert ',"split,category",random / count,' in text
    text = analyze(
        study.tables, metrics=["ece"], by="split,category", against="full", draws=0, permutations=9
    )
    assert "split / category random / count: ECE against full" in text


def test_numbers_of_options_come_in_their_order():
    table = make_table(answers=4, uneven=True)
    names = [name for name, _ in groups(read_predictions(table), "category,n_options")]
    assert names[1:4] == [f"colour / {n} options" for n in (2, 3, 4)]


PAIRS = [("a / b", "c"), ("a", "b / c"), ('"a', "c"), ("", "c"), ("(none)", "c"), ("all", "c")]


def test_two_combinations_never_have_one_name():
    n = len(PAIRS) * 20
    table = make_table(images=20, per_image=len(PAIRS))
    first, second = (np.resize(np.array([p[i] for p in PAIRS]), n) for i in (0, 1))
    read = read_predictions(replace(table, split=first, category=second))
    found = dict(groups(read, "split,category")[1:])
    assert len(found) == len(PAIRS)
    assert {int(mask.sum()) for mask in found.values() if mask is not None} == {20}
    assert {'"a / b" / c', 'a / "b / c"', "(none) / c", '"(none)" / c', "all / c"} < found.keys()


@pytest.mark.parametrize("by", ["split,", "split,split", ",", ("split", "")])
def test_what_names_no_two_columns_is_refused(study: Study, by: str | tuple[str, ...]):
    with pytest.raises(PlanError, match="different columns, named like split or split,category"):
        study.estimates(["ece"], by=by)


def test_an_unknown_one_of_two_is_named(study: Study):
    with pytest.raises(PlanError, match=r"unknown grouping 'catgory': did you mean category"):
        study.estimates(["ece"], by="split,catgory")


def test_too_many_combinations_are_refused(study: Study, tmp_path: Path):
    tags = {"t": [f"v{i}" for i in range(61)]}
    wide = Study(
        tuple(make_table(t.condition, tags=tags, noise=i) for i, t in enumerate(study.tables))
    )
    with pytest.raises(PlanError, match="have 122 values of t,category"):
        wide.plot("curve", tmp_path / "c", by="t,category")


@pytest.mark.usefixtures("undrawn")
def test_figures_have_a_panel_for_each(study: Study, tmp_path: Path):
    study.plot("curve", tmp_path / "curve", by=["split", "category"], draws=10)
    numbers = (tmp_path / "curve.csv").read_text()
    assert all(f",{name}," in numbers for name in ["all", *BOTH])
