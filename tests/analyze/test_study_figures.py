"""A study's own figures: which number stands where, what is said of it, and the pictures."""

from __future__ import annotations

import csv
import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text

import calprune
from calprune import registry
from calprune.analyze.figures import Page, look, styled
from calprune.analyze.figures._pages import _with_words
from calprune.analyze.reproduction.figures import (
    figures_of,
    pictures_of,
    records_of,
    write_figures,
)
from calprune.analyze.reproduction.figures.layout import arranged
from calprune.analyze.reproduction.figures.lines import break_of
from calprune.analyze.reproduction.figures.points import FigurePoints
from calprune.data.studies import (
    FigureMark,
    FigurePanel,
    Publication,
    StudyFigure,
    Table,
    TableAxis,
    find_study,
)
from calprune.errors import PlanError
from tests.analyze.calls import reproduce
from tests.analyze.conftest import make_condition, make_table

PUBLISHED = {"calibration": {"figure-2", "figure-3"}, "gap-power": {"figure-4"}}
POPE = {"benchmark": "pope", "model": "llava-1.5-7b"}


def whole_grid(**where):
    """Every condition that the study ran on POPE, of few made-up questions."""
    found = []
    for spec, budgets in find_study("calibration").conditions("pope", "llava-1.5-7b"):
        name, *given = spec.split(":")
        told = dict(part.split("=") for part in given)
        for alpha in told.pop("alpha", "").split(","):
            values = {k: float(v) if v[0].isdigit() else v for k, v in told.items()}
            values |= {"alpha": float(alpha)} if alpha else {}
            for keep in budgets or (None,):
                for seed in range(3) if name == "random" else (None,):
                    made = make_condition(name, keep, seed, **where, **values)
                    noise = len(found)
                    found.append(make_table(made, noise=noise, signal=2.0 - noise / 30))
    return found


@pytest.fixture(scope="module")
def grid() -> list[FigurePoints]:
    return figures_of("calibration", reproduce(whole_grid(**POPE), "calibration", draws=20))


def test_every_cell_of_every_figure_exists_and_no_study_needs_code_of_its_own() -> None:
    """Marks name cells of the study's own tables; those of a table of bins name its rows."""
    drawn = 0
    for name in registry.names("studies"):
        study = find_study(name)
        tables = {t.name: t for t in study.tables}
        for panel in (panel for figure in study.figures for panel in figure.panels):
            table = tables[panel.table]
            rows, columns = {r.label for r in table.rows}, {c.label for c in table.columns}
            assert set(panel.rows) <= rows
            drawn += len(panel.kept)
            for mark in (*panel.marks, *panel.references, *panel.beside):
                assert mark.row in rows, (name, panel.table, mark)
                assert mark.column in columns or (panel.each and not mark.column)
                drawn += 1
    assert drawn > 60


@pytest.mark.parametrize("name", PUBLISHED)
def test_without_a_cache_the_published_marks_are_drawn_alone(name: str) -> None:
    found = figures_of(name, reproduce([], name))
    assert {one.figure.name for one in found} == PUBLISHED[name]
    for one in found:
        cells = [p.cell for panel in one.panels for p in panel.points]
        assert all(c.value is None for c in cells)
        assert {c.published for c in cells} > {None} or all(c.published for c in cells)


def test_published_numbers_stand_where_the_paper_draws_them() -> None:
    two, three = figures_of("calibration", reproduce([], "calibration"))
    best = [p for p in two.panels[0].points if p.cell.published == 0.016]
    assert [(p.mark.series, p.mark.x) for p in best] == [("0", "128")]
    lines = {p.mark.series for p in two.panels[1].marks}
    assert lines == {"K = 64", "K = 128", "K = 192"}
    across = {p.mark.series: p.cell.published for p in two.panels[1].references}
    assert across == {"random, K = 128": 0.046, "saliency, K = 128": 0.051, "full": 0.041}
    curve = {p.mark.x: p.cell.published for p in three.panels[0].marks}
    assert curve == {"576": 0.041, "192": 0.027, "128": 0.024, "64": 0.031, "32": 0.045}
    assert {p.mark.x: p.cell.published for p in three.panels[0].beside}["32"] == 82.7
    assert [p.mark.series for p in three.panels[1].marks] == ["SCOPE", "random"] * 2
    assert [panel.letter for panel in three.panels] == ["a", "b", "c", "d"]


def test_the_largest_gain_is_at_64_tokens_and_the_exponent_1_5() -> None:
    (four,) = figures_of("gap-power", reproduce([], "gap-power"))
    (panel,) = four.panels
    most = max(panel.marks, key=lambda p: p.cell.published or -math.inf)
    assert (most.mark.x, most.mark.series, most.cell.published) == ("64", "p = 1.5", 21.0)
    assert len(panel.marks) == 7 * 3


def test_ours_stand_beside_the_published_numbers(grid: list[FigurePoints]) -> None:
    for one in grid:
        for row in records_of(one):
            if row["published"] is None:
                assert row["difference"] is None
                continue
            assert row["difference"] == pytest.approx(row["ours"] - row["published"])
            assert row["model"] == "llava-1.5-7b"
            assert row["source"].startswith("arXiv 2604.12035")
        assert not any(panel.lacking for panel in one.panels)


def test_bars_are_moved_to_the_plug_in_value_that_is_drawn(grid: list[FigurePoints]) -> None:
    for point in grid[0].panels[0].points:
        cell = point.cell
        assert cell.debiased is not None
        assert point.high - point.low == pytest.approx(cell.high - cell.low)
        assert point.low - cell.low == pytest.approx(cell.value - cell.debiased)


def test_the_bins_of_a_reliability_diagram_are_its_points(grid: list[FigurePoints]) -> None:
    full, pruned = grid[1].panels[2:]
    assert {p.cell.row for p in full.points} == {"576"}
    assert {p.cell.row for p in pruned.points} == {"128"}
    for panel in (full, pruned):
        assert [b.accuracy for b in panel.bins] == [p.cell.value for p in panel.points]
        assert [f"{b.confidence:.6f}" for b in panel.bins] == [p.mark.x for p in panel.points]


def test_what_lacks_is_said_and_not_drawn() -> None:
    tables = [t for t in whole_grid(**POPE) if t.condition.selector in ("full", "scope")]
    two, three = figures_of("calibration", reproduce(tables, "calibration", draws=20))
    assert two.panels[1].lacking == ("2 of 12 marks: this condition is not in the cache",)
    assert three.panels[1].lacking == ("2 of 4 marks: this condition is not in the cache",)
    (picture, _) = pictures_of([two, three])
    assert "(b) 2 of 12 marks: this condition is not in the cache." in picture.notes
    alone = figures_of("calibration", reproduce(tables[1:2], "calibration", draws=20))[1]
    assert alone.panels[2].empty
    assert "not in the cache" in pictures_of([alone])[0].svg


def test_another_model_and_another_benchmark_are_named_in_the_caption() -> None:
    two, _ = figures_of("calibration", reproduce(whole_grid(), "calibration", draws=20))
    notes = pictures_of([two])[0].notes
    assert (
        "Filled: toy on shapes, in place of the study's llava-1.5-7b on pope: no agreement is "
        "claimed." in notes
    )
    assert "Hollow: published." in notes


def test_a_figure_of_every_benchmark_has_the_panels_that_are_there() -> None:
    tables = calprune.open("sample").tables
    one, _ = figures_of("scope-appendix", reproduce(tables, "scope-appendix", draws=20))
    assert [panel.name for panel in one.panels] == ["shapes"]
    assert [p.mark.x for p in one.panels[0].marks if p.cell.value is not None] == ["0", "0.5", "1"]


def test_a_figure_that_would_be_empty_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert figures_of("scope-appendix", reproduce([], "scope-appendix")) == []
    told = capsys.readouterr().err
    assert "Figure 1" in told
    assert "nothing of it is in the cache, and nothing published" in told
    assert "Figure 2" in told
    assert "no benchmark of it is in the cache" in told


def test_pictures_captions_and_numbers_are_written_alike_each_time(
    grid: list[FigurePoints], tmp_path: Path
) -> None:
    how = look("column", formats=["svg"])
    first = write_figures(grid, tmp_path / "a", look=how)
    again = write_figures(grid, tmp_path / "b", look=how)
    assert [p.name for p in first] == [
        f"llava-1-5-7b-calibration-figure-{n}.{kind}"
        for n in (2, 3)
        for kind in ("svg", "txt", "csv")
    ]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    caption = first[1].read_text()
    assert caption.startswith("Figure 2: ECE over alpha and budget on POPE. (a) ECE over alpha")
    with first[2].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9 + 12
    assert {"ours", "published", "difference"} <= set(rows[0])


@pytest.mark.parametrize("room", [None, 4.2, 8.6])
def test_no_words_are_cut_off_or_stand_on_one_another(
    grid: list[FigurePoints], room: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, shown = Text.draw, []

    def drawn(self: Text, renderer: Any) -> None:
        if self.get_text().strip() and self.get_visible():
            shown.append((self.get_text(), self.get_window_extent(renderer)))
        usual(self, renderer)

    for one, words in itertools.product(grid, (False, True)):
        with styled():
            figure = arranged(one, room)
            if words:
                _with_words(Page(figure, "A title", ("A note of some length.",) * 9))
            figure.draw_without_rendering()  # lays out
            figure.set_layout_engine(None)
            monkeypatch.setattr(Text, "draw", drawn)
            shown.clear()
            figure.draw_without_rendering()
            monkeypatch.setattr(Text, "draw", usual)
        width, height = figure.canvas.get_width_height()
        assert len(shown) > 30
        for i, (text, box) in enumerate(shown):
            assert min(box.x0, box.y0) > -1, text
            assert max(box.x1 - width, box.y1 - height) < 1, text
            assert not [other for other, o in shown[i + 1 :] if _overlap(box, o) > 2], text


def _overlap(one, other) -> float:
    """Square pixels that two boxes share."""
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    tall = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(wide, 0.0) * max(tall, 0.0)


def test_a_reference_far_above_breaks_the_axis(grid: list[FigurePoints]) -> None:
    panel = grid[0].panels[1]
    far = replace(panel.references[0], cell=replace(panel.references[0].cell, value=0.9, high=0.95))
    assert break_of(replace(panel, references=(far, *panel.references[1:]))) is not None
    near = tuple(
        replace(p, cell=replace(p.cell, value=0.05, low=0.04, high=0.06)) for p in panel.references
    )
    assert break_of(replace(panel, references=near)) is None


def test_a_caption_names_few_reasons_and_the_numbers_all(tmp_path: Path) -> None:
    """Each pair of files here is refused in words of its own."""
    tables = []
    for i, keep in enumerate((32, 48, 64, 96)):
        for power in (1.0, 1.5):
            where = {"benchmark": "mme", "model": "llava-1.5-7b", "alpha": 1.0}
            made = make_condition("scope", keep, gap_power=power, **where)
            tag = {"place": [str(power)]}
            tables.append(make_table(made, noise=i, scorer="accuracy", tags=tag))
    (four,) = figures_of("gap-power", reproduce(tables, "gap-power", draws=20))
    assert len(four.panels[0].lacking) == 3
    assert four.panels[0].lacking[-1].endswith("other reasons, in the file of the numbers")
    paths = write_figures([four], tmp_path, look=look(formats=["svg"]))
    assert paths[-1].read_text().count("cannot be paired") == 4


def test_scores_of_another_benchmark_are_told_from_the_published() -> None:
    where = {"alpha": 1.0, "benchmark": "shapes", "model": "toy"}
    tables = [
        make_table(make_condition("scope", 64, gap_power=p, **where), noise=n, scorer="accuracy")
        for n, p in enumerate((1.0, 1.5))
    ]
    (four,) = figures_of("gap-power", reproduce(tables, "gap-power", draws=20))
    assert four.panels[0].y == "change of shapes score (points)"
    notes = pictures_of([four])[0].notes
    assert "Published scores are of mme, and may be on another scale than ours." in notes


def own_study(row: str, table: str = "t") -> Publication:
    """A reader's study, all of it: a table of two cells, and a figure of them."""
    cells = Table(
        "t", "Mine", "toy", "shapes", (TableAxis("full", "full"), TableAxis("64", "scope", 64)),
        (TableAxis("ECE", metric="ece"),),
    )  # fmt: skip
    panel = FigurePanel("ECE", table, "groups", "K", "ECE", (FigureMark(row, "ECE", row, "SCOPE"),))
    figure = StudyFigure("figure-1", "Mine", (panel,))
    numbers = Path("mine.csv")
    return Publication("mine", "Mine", "a paper", (), (cells,), numbers, (figure,))


def test_a_study_of_ones_own_needs_no_other_file(tmp_path: Path) -> None:
    numbers = tmp_path / "mine.csv"
    numbers.write_text("table,row,column,value,source\nt,64,ECE,.05,here\n")
    study = replace(own_study("64"), numbers=numbers)
    tables = [make_table(), make_table(make_condition("scope", 64, alpha=1.0))]
    (one,) = figures_of(study, reproduce(tables, study, draws=20))
    (point,) = one.panels[0].points
    assert point.cell.published == 0.05
    assert point.cell.value is not None
    assert [p.name for p in write_figures([one], tmp_path, look=look(formats=["svg"]))] == [
        f"toy-mine-figure-1.{kind}" for kind in ("svg", "txt", "csv")
    ]


def test_a_figure_of_what_its_study_lacks_is_refused(tmp_path: Path) -> None:
    numbers = tmp_path / "mine.csv"
    numbers.write_text("table,row,column,value,source\n")
    study = replace(own_study("65"), numbers=numbers)
    with pytest.raises(PlanError, match="mine: a figure draws 'ECE' of '65', which t does not"):
        figures_of(study, reproduce([], study))
    study = replace(own_study("64", table="u"), numbers=numbers)
    with pytest.raises(PlanError, match="draws 'u', which is none of its tables"):
        figures_of(study, reproduce([], study))
