"""The page: what it says, that strangers' text stays text, and how it is written."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune.analyze.html_report.markup import Html, element, join, text
from calprune.analyze.html_report.page import POLICY, check_path, page, write_page
from calprune.analyze.html_report.pictures import Pictures
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.sections import SECTIONS
from calprune.analyze.html_report.sections.summary import SENTENCES, sentences, summary
from calprune.analyze.html_report.sections.warnings import warnings
from calprune.analyze.html_report.tables import Column, TableCell, first_number, table, table_of
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.render import render_study
from calprune.analyze.tables.text_table import TextTable
from calprune.errors import PlanError, WriteError
from tests.analyze.calls import collect_data, estimate
from tests.analyze.conftest import hostile, make_condition, make_study_tables, make_table

ATTACK = "</style></script><script>x()</script><b onload='y' class=\"z\">&amp;\u202e\u2066\x1b\n"


class Outline(HTMLParser):
    """Names of elements, attributes, and whether they nest."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.stack: list[str] = []
        self.feed(markup)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.names.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img", "br"):
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


@dataclass(frozen=True)
class OneStudyTable:
    title: str
    shown: TextTable
    rows: tuple[Any, ...]
    footnotes: tuple[str, ...]


@pytest.fixture(scope="module")
def content() -> ReportData:
    return collect_data(make_study_tables(), draws=50)


@pytest.fixture(scope="module")
def whole(content: ReportData) -> str:
    return page(content)


def said(fragment: str | None) -> str:
    return re.sub(r"<[^>]+>", " ", fragment or "")


def test_only_our_markup_is_markup():
    shown = element("p", ATTACK, Html("<i>"), title=ATTACK)
    assert shown.count("<") == 3
    assert all(c.isprintable() for c in shown)
    assert "\\u202e" in text(ATTACK)
    assert join("<", None, Html("<")) == "&lt;<"


def test_the_page_is_whole_and_closed(whole: str, content: ReportData):
    outline = Outline(whole)
    assert outline.names.count("h1") == 1
    assert ("content", POLICY) in outline.attributes
    assert "default-src 'none'" in POLICY
    for name, value in outline.attributes:
        assert name not in ("onclick", "onload", "style", "srcset")
        assert name not in ("src", "href") or (value or "").startswith(("#", "data:"))
    assert not re.search(r"https?://", re.sub(r"data:[^\"]+", "", whole))
    assert page(content) == whole
    anchors = re.findall(r'href="#([a-z]+)"', whole)
    assert all(f'id="{anchor}"' in whole for anchor in anchors)


@pytest.mark.parametrize("where", ["selector", "model", "benchmark", "provenance", "tag"])
def test_hostile_text_never_becomes_markup(where: str):
    tables = [
        make_table(tags={"t": [ATTACK, "b"]}),
        make_table(make_condition("scope", 8), noise=1),
    ]
    by = None
    if where == "selector":
        tables = [hostile(t, f"<script>x(){i}\u202e") for i, t in enumerate(tables)]
    elif where == "provenance":
        tables = [replace(t, provenance={ATTACK: {ATTACK: ATTACK}}) for t in tables]
    elif where == "tag":
        tables, by = [replace(t, tags=tables[0].tags) for t in tables], "t"
    else:
        named = [replace(t.condition, **{where: ATTACK}) for t in tables]
        tables = [replace(t, condition=c) for t, c in zip(tables, named, strict=True)]
    data = collect_data(tables, by=by, draws=20)
    shown = page(data, figures=where == "selector")  # others: test_names_of_strangers_are_text
    outline = Outline(shown)
    assert outline.names.count("script") == outline.names.count("style") == 1
    assert "b" not in outline.names
    assert not {"onload", "onerror"} & {name for name, _ in outline.attributes}
    assert "\u202e" not in shown
    assert "&lt;script&gt;x()" in shown


def test_cells_sort_by_full_precision(whole: str, content: ReportData):
    for row in content.estimates:
        assert f'data-v="{row.value!r}"' in whole


def test_undefined_and_infinite_values_have_keys_that_sort():
    cells = [
        [TableCell("a"), TableCell("–", float("nan"))],
        [TableCell("b"), TableCell("∞", float("inf"))],
    ]
    shown = table("t", [Column("c", "text"), Column("v")], cells)
    assert shown.count("data-v") == 1
    assert 'data-v="Infinity"' in shown


@pytest.mark.parametrize(
    ("shown", "value"),
    [
        (".041 [.035, .048] | .061", 0.041),
        ("0.041 [0.03, 0.05]", 0.041),
        ("−1.5", -1.5),
        ("<=0.001", 0.001),
        ("full", None),
        ("-", None),
    ],
)
def test_numbers_of_text_tables(shown: str, value: float | None):
    assert first_number(shown) == value


def test_a_report_shows_a_hundred_groups_at_most(capsys: pytest.CaptureFixture[str]):
    def tables(groups: int) -> list[Any]:
        names = [f"v{i}" for i in range(groups)]
        conditions = (make_condition(), make_condition("scope", 8))
        made = [make_table(c, groups, 1, noise=i) for i, c in enumerate(conditions)]
        split = np.array(names)
        return [replace(t, split=split, category=split, tags={"t": split}) for t in made]

    for by in ("split", "category", "t"):
        with pytest.raises(PlanError, match=f"have 101 values of {by}, and a report or a figure"):
            collect_data(tables(101), by=by, draws=20)
    whole = collect_data(tables(101), draws=20)
    assert whole.groups == ()
    assert "have 101 splits, and a report shows at most 100 groups" in capsys.readouterr().err
    assert len({r.group for r in collect_data(tables(12), draws=20).groups}) == 13
    assert capsys.readouterr().err == ""


def altered(content: ReportData, p: float, *deltas: float) -> list[str]:
    """Sentences, were these the differences of ECE, each with this p."""
    own = [r for r in content.differences if r.metric.spec == "ece" and r.group == "all"]
    rows = [
        replace(r, delta=d, delta_debiased=d, p_adjusted=p)
        for r, d in zip(own, deltas, strict=False)
    ]
    return sentences(replace(content, differences=tuple(rows)), content.experiments[0])


def test_the_summary_opens_with_a_picture_and_five_sentences_at_most(content: ReportData):
    shown = summary(Pictures(content))
    opening = shown.split("<details")[0]
    assert opening.count("<img") == 2
    assert opening.index("<img") < opening.index("<li>")
    assert 3 <= opening.count("<li>") <= SENTENCES
    assert "Noise floor" in opening
    assert said(shown).count("Each condition against full") == 2
    alike = [r for r in content.differences if r.metric.spec == "ece" and r.p_adjusted > 0.05]
    assert ", ".join(r.condition.shown_title for r in alike) in said(shown)


def test_the_summary_never_crowns_what_may_be_chance(content: ReportData):
    (said_of,) = (s for s in altered(content, 0.2, -0.3, 0.1, -0.2) if s.startswith("ECE"))
    assert "none is better than full" in said_of
    assert "the test does not tell all of 3 apart" in said_of
    assert "by most" not in said_of


def test_the_summary_never_crowns_a_tie(content: ReportData):
    (tied,) = (s for s in altered(content, 0.01, -0.2001, -0.2002, 0.1) if s.startswith("ECE"))
    assert "none is better" not in tied
    names = [r.condition.shown_title for r in content.differences if r.metric.spec == "ece"]
    assert f"2 are better, by most {names[0]} and {names[1]}, −0.200;" in tied
    assert f"{names[2]} is worse, +0.100" in tied
    (worse,) = (s for s in altered(content, 0.01, 0.3, 0.1) if s.startswith("ECE"))
    assert "none is better than full" in worse
    assert f"2 are worse, by most {names[0]}, +0.300" in worse
    (one,) = (s for s in altered(content, 0.3, 0.3) if s.startswith("ECE"))
    assert "the test does not tell it apart" in one


def test_figures_come_in_the_order_of_a_reader(whole: str):
    figures = whole[whole.index('<section id="figures"') : whole.index('<section id="estimates"')]
    titles = re.findall(r"<figcaption><strong>([^<]*)", figures)
    assert titles[0].startswith("Calibration and accuracy of")
    assert titles[1].startswith("ECE of toy on shapes, minus full")
    assert titles[3].startswith("Reliability of")
    assert all(alt in figures for alt in re.findall(r'alt="([^"]*)"', whole))


def test_warnings_name_what_is_the_matter():
    odd = make_table(make_condition("scope", 8, alpha=1.0), noise=1, step=4.0)
    other = replace(
        make_table(make_condition("random", 8, seed=0), noise=2),
        provenance={"numerics": {"device": "gpu"}},
    )
    more = make_table(make_condition(benchmark="other"), images=4, per_image=1)
    shown = said(warnings(collect_data([make_table(), odd, other, more], draws=20)))
    for words in (
        "240 questions share 40 images",
        "equally likely",
        "random K=8, seed 0. --mixed-numerics compares them",
        "toy on other lacks conditions",
        "4 images: intervals are unreliable.",
    ):
        assert words in shown
    gathered = collect_data([make_table(), odd, other], draws=20, mixed_numerics=True)
    assert "mixed-numerics" not in said(warnings(gathered))
    assert {r.condition.name for r in gathered.differences} >= {"random @8 seed=0"}


def test_an_infinite_nll_is_a_warning_and_no_crash():
    found = collect_data([make_table()], draws=20)
    endless = (
        replace(r, value=math.inf, low=None, high=None) if r.metric.spec == "nll" else r
        for r in found.estimates
    )
    shown = page(replace(found, estimates=tuple(endless)), figures=False)
    assert "NLL is infinite in full" in shown
    assert 'data-v="Infinity"' in shown
    assert ">∞" in shown


def test_one_condition_has_no_comparison_and_no_reference_is_said():
    alone = collect_data([make_table()], draws=20)
    assert alone.differences == ()
    assert "comparisons" not in re.findall(r'<section id="([a-z]+)"', page(alone, figures=False))
    pruned = collect_data([make_table(make_condition("scope", 8))], draws=20)
    assert "no condition is called full" in said(warnings(pruned))
    with pytest.raises(PlanError, match="scoop"):
        collect_data([make_table()], draws=20, against="scoop")


def test_splits_have_tables_and_single_splits_do_not(content: ReportData):
    assert {r.group for r in content.groups} == {"all", "random", "popular", "adversarial"}
    assert collect_data([make_table(splits=("one",))], draws=20).groups == ()


def test_models_asked_in_two_ways_keep_their_names():
    two = [make_table(replace(make_condition(), dtype=d)) for d in ("float32", "float16")]
    found = collect_data(two, draws=20)
    assert {r.condition.model for r in found.groups} == {r.condition.model for r in found.estimates}
    assert len({r.condition.model for r in found.groups}) == 2


def test_a_study_stands_in_the_page_and_in_every_format(content: ReportData):
    rows: tuple[Estimate, ...] = tuple(estimate([make_table()], ["ece"], draws=0))
    grid = TextTable(
        "Table 1", ("condition", "published", "ours"), (("full", "0.041", "0.050"),), ("a note",)
    )
    one = OneStudyTable("Table 1", grid, rows, ("a <footnote>",))
    told = {"study": (one,), "power": ("It could show 0.01.",), "confidences": (grid,)}
    shown = page(replace(content, **told), figures=False)
    assert shown.count(">Table 1</caption>") == 2
    assert "a &lt;footnote&gt;" in shown
    assert "It could show 0.01." in shown
    for fmt in ("table", "md", "latex"):
        assert "a note" in render_study([one], fmt)
        assert "footnote" in render_study([one], fmt)
    assert json.loads(render_study([one], "json"))["tables"][0]["rows"][0]["value"] == rows[0].value
    assert render_study([one], "csv").splitlines()[1].startswith("Table 1,")


def test_text_columns_of_a_grid_are_told_from_numbers():
    shown = table_of(TextTable("t", ("a", "b", "c"), (("x", "0.5", "agrees"),), ()))
    assert re.findall(r'data-kind="(\w+)"', shown) == ["text", "number", "text"]


def test_it_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "new" / "report.html"
    assert write_page("one", path) == path

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        write_page("two", path)
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(WriteError, match=r"below\.html"):
        write_page("x", path / "below.html")


def test_the_name_must_be_one_of_a_page(tmp_path: Path):
    with pytest.raises(PlanError, match="is a folder"):
        check_path(tmp_path)
    with pytest.raises(PlanError, match=r"report\.html"):
        check_path(tmp_path / "report.csv")


def test_every_section_has_an_anchor_of_its_own():
    anchors = [anchor for anchor, _, _ in SECTIONS]
    assert len(set(anchors)) == len(anchors)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_has_contrast_in_light_and_dark(whole: str):
    palettes = re.findall(r":root \{([^}]+)\}", whole)[:2]
    assert len(palettes) == 2
    for palette in palettes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", palette))
        for ink in ("ink", "soft", "accent"):
            for ground in ("paper", "card", "mark"):
                pair = sorted((_luminance(colours[ink]), _luminance(colours[ground])))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (ink, ground)
