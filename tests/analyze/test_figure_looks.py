"""What a careful author asks of a picture: width, size of words, colours, places and captions."""

from __future__ import annotations

import re
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.text import Text
from PIL import Image

from calprune import registry
from calprune.analyze import figures
from calprune.analyze.figures._broken import NOTE, break_of
from calprune.analyze.figures._look import PRINTED, WIDTHS
from calprune.analyze.figures._pages import saved
from calprune.analyze.figures._series import MARKERS, apart, series_styles
from calprune.analyze.figures._style import (
    FIRST,
    REST,
    across_page,
    colours_of,
    contrast,
    fitted,
    ink_on,
    shades,
)
from calprune.analyze.figures.heatmap import CREST, VLAG
from calprune.analyze.study import Study
from calprune.errors import PlanError
from tests.analyze.calls import estimate, few, figure_data
from tests.analyze.conftest import make_condition, make_study_tables, make_table

KINDS = figures.names()
QUICK = {"draws": 5, "permutations": 19}
SPEC = figures.FigureSpec()
LEAST = 6.0  # points, as journals ask of the smallest words


@pytest.fixture(scope="module")
def tables():
    return [t for t in make_study_tables() if t.condition.seed in (None, 0)]


@pytest.fixture(scope="module")
def subject(tables):
    return figure_data(tables, **QUICK)


def pages(kind, subject, how=figures.BARE, **spec):
    with figures.styled(size=how.font_size):
        made = figures.of_kind(kind).make(subject, figures.FigureSpec(**spec, room=how.room))
    return made.pages


def size_of(path):
    with Image.open(path) as image:
        return image.size


def words_of(figure, monkeypatch):
    """All texts that are drawn and not empty."""
    words, draw = [], Text.draw

    def noted(self, renderer):
        words.append(self)
        draw(self, renderer)

    with monkeypatch.context() as patch:
        patch.setattr(Text, "draw", noted)
        figure.canvas.draw()
    return [word for word in words if word.get_text()]


def test_every_method_has_a_colour_of_its_own_that_shows_on_white():
    known = registry.packaged("selectors")
    colours = colours_of([])
    for name in known:
        assert contrast(to_rgb(colours[name])) >= 3, name
    first = [*FIRST, "full"]
    assert len({colours[name] for name in first}) == len(first)
    assert not {colours[name] for name in known if name not in first} & {
        colours[name] for name in first
    }
    assert len(set(REST)) == len(REST)
    more = colours_of(["aardvark", "zebra"])
    assert {name: more[name] for name in known} == {name: colours[name] for name in known}


@pytest.mark.parametrize("colour", [*FIRST.values(), *REST])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shades_of_a_colour_can_be_seen_and_told_apart(colour, count):
    found = shades(colour, count)
    seen = [contrast(shade) for shade in found]
    assert min(seen) >= 3
    assert all(one > 1.1 * other for one, other in pairwise(seen))


@pytest.mark.parametrize("steps", [CREST, VLAG])
def test_numbers_in_cells_can_be_read(steps):
    shown = LinearSegmentedColormap.from_list("steps", steps)(np.linspace(0, 1, 512))[:, :3]
    assert min(contrast(face, to_rgb(ink_on(face))) for face in shown) >= 4.5


def test_what_a_width_may_be():
    assert figures.look().room is None
    assert figures.look("column") == figures.Look(WIDTHS["column"], PRINTED)
    assert figures.look("12.5", 9).width == 12.5
    assert figures.look("page", formats=["pdf", "png"]).formats == ("png", "pdf")
    for asked, said in (
        ({"width": "colum"}, "column .8.5 cm., page"),
        ({"width": "0"}, "up to 100 cm"),
        ({"width": "nan"}, "up to 100 cm"),
        ({"width": "101"}, "up to 100 cm"),
        ({"width": "3"}, "nothing legible fits"),
        ({"font_size": 3.0}, "4 to 36 points"),
        ({"font_size": float("nan")}, "4 to 36 points"),
        ({"formats": ["gif"]}, "unknown format of pictures"),
    ):
        with pytest.raises(PlanError, match=said):
            figures.look(**asked)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_exactly_as_wide_as_asked_and_bare(tables, kind, tmp_path):
    paths = Study(tuple(tables)).plot(kind, tmp_path / "f", width="column", **few(kind))
    found = {path.name: path for path in paths}
    assert 2.54 * size_of(found["f.png"])[0] / 150 == pytest.approx(8.5, abs=0.02)
    (wide,) = re.findall(r"<svg[^>]* width=\"([\d.]+)pt\"", found["f.svg"].read_text()[:2000])
    assert float(wide) / 72 * 2.54 == pytest.approx(8.5, abs=0.01)
    (box,) = set(re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ", found["f.pdf"].read_bytes()))
    assert float(box) / 72 * 2.54 == pytest.approx(8.5, abs=0.01)
    caption = found["f.txt"].read_text()
    assert "toy on shapes" in caption
    assert caption.count("\n") == 1


def test_words_stand_in_a_picture_only_if_asked_for(tables, tmp_path):
    study = Study(tuple(tables))
    study.plot("curve", tmp_path / "bare", **few("curve"))
    study.plot("curve", tmp_path / "told", titled=True, **few("curve"))
    bare, told = (size_of(tmp_path / f"{name}.png") for name in ("bare", "told"))
    assert bare[0] == told[0]
    assert 40 < told[1] - bare[1] < 140
    assert (tmp_path / "bare.txt").read_text() == (tmp_path / "told.txt").read_text()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", ["column", "page"])
def test_words_of_print_are_large_enough_and_inside(subject, kind, width, monkeypatch):
    how = figures.look(width)
    for page in pages(kind, subject, how):
        assert page.figure.get_suptitle() == ""
        saved(page.figure, "png")
        shown = words_of(page.figure, monkeypatch)
        renderer = page.figure.canvas.get_renderer()
        assert len(shown) > 5
        assert min(word.get_fontsize() for word in shown) >= LEAST - 1e-9
        for box in (word.get_window_extent(renderer) for word in shown):
            left, right = box.x0, page.figure.bbox.width - box.x1
            assert min(left, right, box.y0, page.figure.bbox.height - box.y1) > -1.5


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 2), (5, 3), (6, 3), (7, 3), (9, 3)])
def test_last_rows_are_as_full_as_can_be(count, columns):
    assert fitted(count, 3) == columns


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (7, 4), (8, 4), (9, 3), (12, 4)])
def test_panels_fill_their_page(count, columns):
    assert across_page(count, 2.2, 2.0, None) == (columns, 12)
    assert across_page(count, 2.2, 2.95, 4.2)[0] <= 2


def lines(*names, kept=(8, 16), signal=None):
    made = [make_table(make_condition(), noise=1)]
    for i, name in enumerate(names):
        how = {"signal": signal} if name == "random" and signal is not None else {}
        made += [make_table(make_condition(name, k), noise=10 * i + k, **how) for k in kept]
    return made


def places(kind, tables):
    """Places along x of the marks of each line, and the notes."""
    (page,) = pages(kind, figure_data(tables, **QUICK))
    axes = page.figure.axes[0]
    found = {
        line.get_label(): line.get_xdata() for line in axes.lines if line.get_marker() in MARKERS
    }
    return found, page.notes


def test_points_stand_on_their_k_unless_the_caption_says_otherwise():
    few_lines = lines("random", "saliency", "divprune")
    found, notes = places("curve", few_lines)
    assert all(sorted(x) == [8, 16] for x in found.values())
    assert any("Areas" in note for note in notes)
    assert not any("side by side" in note for note in notes)
    many = lines("random", "saliency", "divprune", "cdpruner", "scope", "visionzip")
    found, notes = places("curve", many)
    assert any(sorted(x) != [8, 16] for x in found.values())
    assert sum("side by side" in note for note in notes) == 1
    alone = [*many, make_table(make_condition("hiprune", 32), noise=99)]
    found, _ = places("curve", alone)
    assert found["HiPrune"].tolist() == [32]


def test_an_outlier_does_not_flatten_the_others():
    usual = estimate(lines("random", "saliency", "divprune"), ["accuracy"], draws=0)
    assert break_of(usual) is None
    odd = lines("random", "saliency", "divprune", signal=-1.0)
    at = break_of(estimate(odd, ["accuracy"], draws=20))
    assert at is not None
    assert at.below
    assert at.main[0] == at.beyond[1]
    assert at.main[1] - at.main[0] < at.beyond[1] - at.beyond[0]
    (page,) = pages("curve", figure_data(odd, **QUICK), metric="accuracy")
    assert NOTE in page.notes
    limits = [axes.get_ylim() for axes in page.figure.axes[:2]]
    assert limits == [at.main, at.beyond] or limits[0][1] > limits[1][1]


def test_an_outlier_of_a_forest_is_an_arrow_with_its_number():
    odd = lines("random", "saliency", "divprune", "scope", kept=(16,), signal=-3.0)
    (page,) = pages("forest", figure_data(odd, **QUICK), metric="accuracy")
    assert "Arrows: beyond the axis, with the difference." in page.notes
    (axes,) = page.figure.axes
    (arrow,) = [line for line in axes.lines if line.get_marker() in ("<", ">")]
    assert arrow.get_marker() == "<"
    assert any(text.get_text().startswith("−") for text in axes.texts)
    (usual,) = pages("forest", figure_data(lines("saliency", "scope"), **QUICK))
    assert not any("Arrows" in note for note in usual.notes)


def test_each_page_of_a_forest_says_which_group_it_shows(subject):
    narrow = figures.look("column")
    titles = [
        page.figure.axes[0].get_title(loc="left")
        for page in pages("forest", subject, narrow, by="category")
    ]
    assert titles == ["all", "colour", "count"]
    (alone,) = pages("forest", subject, narrow)
    assert alone.figure.axes[0].get_title(loc="left") == ""


def test_notes_explain_only_marks_that_are_there(subject, tables):
    (page,) = pages("heatmap", subject)
    starred = any("*" in text.get_text() for axes in page.figure.axes for text in axes.texts)
    assert any(note.startswith("*") for note in page.notes) == starred
    assert any("Empty" in note for note in page.notes) is False
    (bare,) = pages("heatmap", figure_data(tables, **{**QUICK, "draws": 0}))
    assert not any("±" in note for note in bare.notes)
    (page,) = pages("change", subject)
    starred = any(text.get_text() == "*" for axes in page.figure.axes for text in axes.texts)
    assert any(note.startswith("*") for note in page.notes) == starred
    for page in pages("reliability", subject):
        hollow = any(
            line.get_markerfacecolor() == "white"
            for axes in page.figure.axes
            for line in axes.lines
        )
        assert any("Hollow" in note for note in page.notes) == hollow


@pytest.mark.parametrize("kind", KINDS)
def test_places_do_not_depend_on_how_a_layout_was_solved(subject, kind):
    for page in pages(kind, subject):
        saved(page.figure, "svg")
        for axes in page.figure.axes:
            bounds = np.array(axes.get_position(original=True).bounds)
            np.testing.assert_allclose(bounds, np.round(bounds, 6), rtol=0, atol=1e-12)


def test_a_figure_without_groups_says_so_where_groups_were_asked_for(subject):
    for kind, said in (("pareto", True), ("curve", False)):
        spec = figures.FigureSpec(by="split")
        notes = figures.pictures(kind, subject, spec)[0].notes
        assert any("not by group" in note for note in notes) == said
    assert not any("by group" in n for n in figures.pictures("pareto", subject, SPEC)[0].notes)


def test_the_front_is_drawn_as_steps(subject):
    (page,) = pages("pareto", subject)
    (line,) = [x for x in page.figure.axes[0].lines if x.get_drawstyle() == "steps-pre"]
    x, y = line.get_xdata(), line.get_ydata()
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    assert page.figure.axes[0].get_xlim()[0] == x[0]


@pytest.mark.parametrize("kind", ["reliability", "risk-coverage", "confidence"])
def test_a_figure_of_one_budget_says_and_takes_which(subject, kind, tables):
    page = pages(kind, subject)[0]
    assert re.search(r"at K = \d+", page.title)
    page = pages(f"{kind}:budget=8", subject)[0]
    assert page.title.endswith("at K = 8")
    assert pages(kind, subject, budget=16)[0].title.endswith("at K = 16")
    with pytest.raises(PlanError, match="unknown budget '9'"):
        pages(f"{kind}:budget=9", subject)


def test_settings_of_one_method_are_shades_and_marks_of_one_colour(tables):
    rows = estimate(tables, ["ece"], draws=0)
    own = [s for (name, _), s in series_styles(rows).items() if name == "scope"]
    assert len({s.colour for s in own}) == len({s.marker for s in own}) == len(own) == 2
    assert not apart(rows)


def test_sizes_follow_the_words(subject):
    large, small = (
        pages("u-curve", subject, figures.look("page", size))[0] for size in (10.0, 5.0)
    )
    assert large.figure.get_figwidth() == pytest.approx(small.figure.get_figwidth())
    widths = [page.figure.axes[0].lines[-1].get_linewidth() for page in (large, small)]
    assert widths[0] == pytest.approx(2 * widths[1])
    assert mpl.rcParams["font.size"] != 5.0
