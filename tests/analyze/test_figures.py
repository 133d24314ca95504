"""Every kind of figure, on tables that are small, odd or hostile; what is written, and as SVG."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.text import Text

from calprune import registry
from calprune.analyze import figures
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.figures._pages import saved
from calprune.analyze.figures._style import DPI, TICKS, brief, paged
from calprune.analyze.figures.heatmap import CREST, VLAG
from calprune.analyze.study import Study
from calprune.errors import PlanError
from tests.analyze.calls import compare, estimate, few, figure_data, svg_of
from tests.analyze.conftest import (
    make_condition,
    make_study_tables,
    make_table,
    opened,
)

KINDS = figures.names()
QUICK = {"draws": 5, "permutations": 19}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def tables():
    return [t for t in make_study_tables() if t.condition.seed in (None, 0)]


@pytest.fixture(scope="module")
def subject(tables):
    """Shared, as a report shares it: numbers are computed once."""
    return figure_data(tables, **QUICK)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_kinds_there_are():
    assert {
        *("change", "confidence", "curve", "forest", "heatmap", "pareto", "reliability"),
        *("risk-coverage", "u-curve"),
    } <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_for_a_page_is_small_and_stands_alone(subject, kind):
    text = svg_of(kind, subject)
    assert len(text) < 200_000
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title").text
    assert not list(root.iter(f"{SVG}style"))
    own = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(own) == len(set(own))
    asked = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    assert asked == set(own)
    assert svg_of(kind, subject) == text


def test_ids_are_different_in_different_figures(subject):
    found = [
        {e.get("id") for e in ElementTree.fromstring(svg_of(kind, subject)).iter()} - {None}
        for kind in KINDS
    ]
    assert sum(map(len, found)) == len(set.union(*found))


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_strangers_are_text(kind):
    odd = '<script>"id=1"&$\\frac{1$\x1b[31m_^'
    tables = [make_table(make_condition(odd)), make_table(noise=3)]
    tables += [
        make_table(make_condition(odd, k, alpha=a), noise=k + int(9 * a))
        for k in (8, 16)
        for a in (0.5, 1.0)
    ]
    tables = [replace(t, condition=replace(t.condition, model=odd)) for t in tables]
    text = svg_of(kind, tables, **QUICK)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "&lt;script&gt;" in text
    ElementTree.fromstring(text)


def test_one_condition_has_the_figures_that_make_sense(tmp_path, capsys):
    paths = Study((make_table(),)).draw(tmp_path, draws=5)
    assert {p.stem for p in paths} == {
        f"toy-shapes-{kind}" for kind in ("confidence", "reliability", "risk-coverage")
    }
    assert capsys.readouterr().err == ""


def test_what_was_asked_for_and_cannot_be_is_said(tmp_path, capsys):
    assert Study((make_table(),)).draw(tmp_path, kinds=["curve", "forest"], draws=5) == []
    said = capsys.readouterr().err
    assert "no figure curve of toy on shapes: no condition prunes anything" in said
    assert "no figure forest of toy on shapes: nothing to compare with 'full'" in said


def test_conditions_that_cannot_be_paired_lose_only_paired_figures(tables, tmp_path, capsys):
    moved = [replace(tables[-1], provenance={"numerics": {"device": "cuda"}})]
    study = Study((*tables[:-1], *moved))
    paths = study.draw(tmp_path, kinds=["forest", "heatmap", "curve"], draws=5, permutations=9)
    assert {p.stem for p in paths} == {"toy-shapes-curve-ece", "toy-shapes-heatmap-ece"}
    assert "computed differently (device)" in capsys.readouterr().err
    all_the_same = study.draw(
        tmp_path, kinds=["forest"], draws=5, permutations=9, mixed_numerics=True
    )
    assert {p.stem for p in all_the_same} == {"toy-shapes-forest-ece"}


def test_many_conditions_come_on_pages(tmp_path):
    tables = [make_table(images=8)]
    tables += [
        make_table(make_condition(f"method-{i:02}-of-a-long-name", k), images=8, noise=i)
        for i in range(12)
        for k in (8, 16)
    ]
    for kind, pages in (("reliability", 2), ("curve", 2)):
        paths = Study(tuple(tables)).plot(kind, tmp_path / kind, **few(kind))
        assert len([p for p in paths if p.suffix == ".png"]) == pages
        assert len([p for p in paths if p.suffix == ".csv"]) == 1
    shown = {r["condition"] for r in rows_of(tmp_path / "reliability.csv")}
    assert len(shown) == 13
    text = svg_of("curve", tables, draws=0)
    assert text.count("<svg") == 2


def test_groups_get_panels(subject):
    text = svg_of("curve", subject, by="category")
    assert ">colour<" in text
    assert ">count<" in text
    assert ">colour<" in svg_of("forest", subject, by="category")


@pytest.mark.parametrize("kind", ["curve", "forest"])
def test_more_than_a_hundred_panels_are_refused(kind):
    names = {"t": [f"v{i}" for i in range(101)]}
    tables = [make_table(c, 101, 1, tags=names) for c in (make_condition(), make_condition("a", 8))]
    with pytest.raises(PlanError, match="101 values of t"):
        svg_of(kind, tables, by="t", **QUICK)


@pytest.mark.parametrize("kind", KINDS)
def test_replies_are_drawn(kind):
    tables = [
        opened(make_table(c), 1.0, (0.0, 0.4, 1.0), noise=i)
        for i, c in enumerate(
            [make_condition(), *(make_condition("scope", 8, alpha=a) for a in (0.5, 1.0))]
        )
    ]
    assert "<svg" in svg_of(kind, tables, target="soft", **QUICK)


def test_metrics_that_are_undefined_everywhere_are_not_drawn():
    tables = [
        make_table(c, answers=5, letters=True)
        for c in (make_condition(), *(make_condition("scope", 8, alpha=a) for a in (0.5, 1.0)))
    ]
    how = {"metric": "nll", "answer_set": "four", **QUICK}
    for kind in ("curve", "heatmap", "change", "forest", "pareto"):
        with pytest.raises(PlanError, match="every NLL is undefined or infinite"):
            svg_of(kind, tables, **how)


def test_single_undefined_values_leave_gaps(subject, tables):
    class Sometimes:
        name, title, direction, unit = "sometimes", "sometimes", "lower", "plain"

        def signature(self, predictions):
            return self.name

        def tally(self, predictions):
            return predictions.confidence[:, None]

        def value(self, total):
            mean = total[:, 0] / 240
            return mean * float("nan") if mean[0] > 0.85 else mean

    values = [e.value for e in estimate(tables, [Sometimes()], draws=0)]
    assert any(v != v for v in values)
    assert any(v == v for v in values)
    for kind in ("curve", "heatmap", "change", "forest", "pareto"):
        assert "<svg" in svg_of(kind, subject, metric=Sometimes())


@pytest.mark.usefixtures("undrawn")
def test_the_numbers_of_a_figure_stand_beside_it(tables, tmp_path):
    study = Study(tuple(tables))
    for kind, columns in {
        "heatmap": {"parameter", "level", "value", "reference", "p_adjusted"},
        "forest": {"delta", "low", "high", "p_adjusted", "family"},
        "change": {"delta", "level", "baseline", "p_adjusted"},
        "risk-coverage": {"coverage", "answered", "risk"},
        "confidence": {"low_edge", "high_edge", "right", "wrong"},
        "pareto": {"value", "accuracy", "front"},
    }.items():
        *_, table = study.plot(kind, tmp_path / kind, **few(kind))
        assert columns <= set(rows_of(table)[0])
    counted = [r for r in rows_of(tmp_path / "confidence.csv") if r["condition"] == "full"]
    assert sum(float(r["right"]) + float(r["wrong"]) for r in counted) == pytest.approx(240)
    expected = {e.condition.name: e.value for e in estimate(tables, ["accuracy"], draws=0)}
    assert sum(float(r["right"]) for r in counted) == pytest.approx(240 * expected["full"])


@pytest.mark.usefixtures("undrawn")
def test_the_isotonic_curve_is_an_option(tables, tmp_path):
    *_, table = Study(tuple(tables)).plot("reliability:isotonic=true", tmp_path / "r", draws=5)
    assert {r["curve"] for r in rows_of(table)} == {"bins", "isotonic"}


def test_parameters_of_kinds_are_checked(subject):
    with pytest.raises(PlanError, match=r"'alfa'.*alpha"):
        svg_of("heatmap:parameter=alfa", subject)
    with pytest.raises(PlanError, match="nothing to compare with alpha = 7; values are"):
        svg_of("change:baseline=7", subject)
    with pytest.raises(PlanError, match="accuracy is the other axis"):
        svg_of("pareto", subject, metric="accuracy")
    with pytest.raises(PlanError, match="there is no condition 'fool'"):
        svg_of("forest", subject, against="fool")
    with pytest.raises(PlanError, match="known: change, confidence, curve"):
        svg_of("pie", subject)


def test_the_example_of_the_docs_draws(tables, monkeypatch, tmp_path):
    text = (Path(__file__).parents[2] / "docs/extending.md").read_text()
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", text, re.S) if "class Ranking" in c)
    (tmp_path / "ranking_figure.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    entry = EntryPoint("ranking", "ranking_figure:Ranking", "calprune.figures")
    monkeypatch.setitem(registry._shelf("figures"), "ranking", entry)
    paths = Study(tuple(tables)).draw(tmp_path, kinds=["ranking"], draws=5)
    assert {p.name for p in paths} == {
        f"toy-shapes-ranking-ece.{suffix}" for suffix in ("png", "svg", "pdf", "txt", "csv")
    }


def test_pages_are_even_and_names_are_shortened_in_the_middle():
    assert [len(p) for p in paged(range(13), 12)] == [7, 6]
    assert paged([], 5) == []
    assert brief("a" * 40 + "-k64", 20).endswith("-k64")
    assert len(brief("a" * 100, 20)) == 20
    assert brief("$x$") == r"\$x\$"


def test_only_the_formats_asked_for_are_written(tables, tmp_path):
    study = Study(tuple(tables))
    for asked, made in ((["pdf", "png"], ["png", "pdf"]), (["svg"], ["svg"])):
        folder = tmp_path / asked[0]
        folder.mkdir()
        paths = study.plot("curve", folder / "c", formats=asked, draws=5)
        assert [p.suffix for p in paths] == [f".{kind}" for kind in (*made, "txt", "csv")]
        assert set(folder.iterdir()) == set(paths)
    with pytest.raises(PlanError, match=r"unknown format of pictures 'gif'.*known: pdf, png, svg"):
        study.draw(tmp_path, formats=["gif"])


def test_style_and_heat_maps_are_those_of_seaborn():
    import seaborn

    style = seaborn.axes_style("ticks")
    assert style | TICKS == style
    for name, shades in (("crest", CREST), ("vlag", VLAG)):
        ours = LinearSegmentedColormap.from_list(name, shades)
        theirs = seaborn.color_palette(name, as_cmap=True)
        at = np.linspace(0, 1, 256)
        assert np.abs(ours(at) - theirs(at)).max() < 6 / 255


def test_what_was_computed_is_taken_over_and_not_computed_again(tables, monkeypatch):
    metrics = ("ece", "accuracy", "aurc")
    fresh, known = figure_data(tables, **QUICK), figure_data(tables, **QUICK)
    rows = estimate(tables, metrics, draws=5)
    differences = compare(tables, metrics[:2], "full", **QUICK)
    known.know_estimates(metrics, rows)
    known.know_differences(metrics[:2], differences, "full")
    assert fresh.estimates("accuracy", "ece") == [
        row for pair in zip(rows[1::3], rows[::3], strict=True) for row in pair
    ]
    wanted = fresh.estimates(*metrics[1:]), fresh.differences("accuracy", "full")
    monkeypatch.setattr(Experiment, "predictions", lambda *_: pytest.fail("computed again"))
    assert (known.estimates(*metrics[1:]), known.differences("accuracy", "full")) == wanted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dpi", [DPI, 72])
def test_no_word_is_cut_or_lies_on_another_panel(subject, kind, dpi, monkeypatch):
    words, draw = [], Text.draw

    def noted(self, renderer):
        words.append(self)
        draw(self, renderer)

    with figures.styled():
        for page in figures.of_kind(kind).make(subject, figures.FigureSpec()).pages:
            page = page.figure
            saved(page, "png")
            page.set_dpi(dpi)
            words.clear()
            with monkeypatch.context() as patch:
                patch.setattr(Text, "draw", noted)
                page.canvas.draw()
            renderer = page.canvas.get_renderer()
            shown = [w.get_window_extent(renderer) for w in words if w.get_text()]
            assert len(shown) > 5
            for box in shown:
                inside = (box.x0, box.y0, page.bbox.width - box.x1, page.bbox.height - box.y1)
                assert min(inside) > -0.01 * dpi
            over = [w.get_window_extent(renderer) for w in page.texts]
            around = [a.get_tightbbox(renderer, for_layout_only=True) for a in page.axes]
            panels = [box.padded(-0.02 * dpi) for box in around]
            assert not any(box.overlaps(panel) for box in over for panel in panels)
