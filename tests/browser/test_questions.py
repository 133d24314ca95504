"""Single questions in a real browser: chosen by clicks and keys, looked at, and downloaded."""

from __future__ import annotations

import csv
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune.analyze.html_report.page import page, write_page
from calprune.analyze.html_report.question_pages import QuestionChoice
from calprune.analyze.study import Study
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.origin import SAMPLE
from calprune.data.storage.store import Store
from tests.analyze.calls import collect_data
from tests.analyze.conftest import make_condition, make_table, verdict_scorer
from tests.analyze.conftest import opened as replied
from tests.browser.test_report import SCRIPT, picture

PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
BROKEN = "SCOPE α=0, K=64"
DOWN, ENTER = "\ue015", "\ue007"


@pytest.fixture(scope="module")
def tables() -> list[LogitTable]:
    every = Store(SAMPLE).tables()
    return [t for t in every if t.condition.selector in ("full", "scope", "fastv")]


@pytest.fixture(scope="module")
def report(tables: list[LogitTable], tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = collect_data(tables, draws=100, permutations=50, questions=QuestionChoice(each=40))
    return write_page(page(data, figures=False), tmp_path_factory.mktemp("page") / "r.html")


@pytest.fixture
def opened(browser: Any, report: Path) -> Any:
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get_log("browser")
    browser.get(report.as_uri())
    choose(browser, "After", BROKEN)
    return browser


def field(browser: Any, label: str) -> Any:
    """What a label is of."""
    (found,) = [
        x for x in browser.find_elements("css selector", ".choose label") if x.text == label
    ]
    return browser.find_element("id", found.get_attribute("for"))


def choose(browser: Any, label: str, value: str) -> None:
    from selenium.webdriver.support.select import Select

    Select(field(browser, label)).select_by_visible_text(value)


def listed(browser: Any) -> list[str]:
    return [x.text for x in browser.find_elements("css selector", ".list .what")]


def said(browser: Any) -> str:
    return str(browser.find_element("css selector", ".shown").text)


def expected(tables: list[LogitTable], name: str = "scope:alpha=0 @64") -> Any:
    """Rows of one condition that the page may show, the most broken first."""
    rows = Study(tuple(tables)).rows(conditions=[name]).query("duplicate_of == ''").copy()
    rows["lost"] = rows.label_probability_before - rows.label_probability
    return rows.sort_values("lost", ascending=False, kind="stable")


def save(browser: Any, folder: Path) -> list[dict[str, str]]:
    """What the button downloads."""
    asked = {"behavior": "allow", "downloadPath": str(folder)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", asked)
    browser.find_element("css selector", ".acts button").click()
    for _ in range(100):
        if found := list(folder.glob("*.csv")):
            with found[0].open(newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file))
        time.sleep(0.1)
    raise AssertionError("nothing was downloaded")


def test_the_five_most_broken_are_found_and_downloaded(
    opened: Any, tables: list[LogitTable], tmp_path: Path
) -> None:
    choose(opened, "List", "first 5")
    first = expected(tables).head(5)
    assert listed(opened) == first.question.tolist()
    assert first.id.iloc[0] in said(opened)
    assert "64 of 576 tokens kept" in said(opened)
    found = save(opened, tmp_path)
    assert [row["id"] for row in found] == first.id.tolist()
    for column in ("question", "image", "label", "answer", "answer_before", "options", "condition"):
        assert [row[column] for row in found] == first[column].tolist()
    for column in ("confidence", "confidence_before", "label_probability", "confidence_change"):
        own = [float(row[column]) for row in found]
        assert own == pytest.approx(first[column].tolist(), abs=1.01e-4)
    assert {row["kept_tokens"] for row in found} == {"64"}
    summary = opened.find_element("css selector", ".command summary")
    summary.click()
    command = opened.find_element("css selector", ".command code").text
    assert command.startswith("calprune rows --bench shapes --model shapes-llava --against full")
    assert "--select 'scope:alpha=0 @64'" in command
    assert opened.get_log("browser") == []


def test_what_is_shown_is_chosen_by_filters(opened: Any, tables: list[LogitTable]) -> None:
    choose(opened, "List", "all")
    choose(opened, "Show", "right before, wrong after")
    choose(opened, "Split", "adversarial")
    field(opened, "Confidence after, from").send_keys("0.9")
    own = expected(tables).query("flip == 'to wrong' and confidence >= 0.9")
    read = """return JSON.parse(
        document.querySelector('script[type="application/json"]').textContent).id"""
    on_page = set(opened.execute_script(read))
    shared = Study(tuple(tables)).rows(conditions=["scope:alpha=0 @64"])
    again = shared.assign(first=shared.duplicate_of.where(shared.duplicate_of != "", shared.id))
    adversarial = set(again.query("split == 'adversarial'")["first"])
    rows = own[own.id.isin(on_page & adversarial)]
    assert 0 < len(rows) < len(own)
    assert listed(opened) == rows.question.tolist()[:50]
    told = opened.find_element("css selector", ".count").text
    assert told.startswith(f"{len(rows)} listed of {len(rows)} that fit")
    field(opened, "to").send_keys("0.1")
    assert "No question on this page is so." in said(opened)
    assert not opened.find_element("css selector", ".acts button").is_enabled()


def test_keys_move_through_the_list(opened: Any) -> None:
    opened.find_element("css selector", ".list button").click()
    where = ".turn [aria-live]"
    for keys, place in (("j", 2), ("j", 3), ("k", 2), (DOWN, 3), ("\ue014", 4), ("\ue010", 50),
                        ("\ue011", 1), ("k", 1)):  # fmt: skip
        opened.switch_to.active_element.send_keys(keys)
        assert opened.find_element("css selector", where).text == f"{place} of 50"
        current = opened.find_elements("css selector", ".list [aria-current]")
        assert [x.get_attribute("tabindex") for x in current] == ["0"]
        assert opened.switch_to.active_element == current[0]
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert opened.execute_script(outline) == "solid"
    after = field(opened, "After")
    after.send_keys("j")  # a form's own keys stay its own
    assert opened.find_element("css selector", where).text.startswith("1 of")
    opened.find_element("css selector", "[aria-label='Next question']").send_keys(ENTER)
    assert opened.find_element("css selector", where).text.startswith("2 of")


def test_every_control_has_a_name(opened: Any) -> None:
    unnamed = (
        "return [...document.querySelectorAll('.viewer select, .viewer input, .viewer button')]"
        ".filter(x => !(x.labels?.length || x.textContent.trim() || x.ariaLabel)).length"
    )
    assert opened.execute_script(unnamed) == 0
    assert opened.execute_script("return document.querySelectorAll('.viewer select').length") >= 5


def test_pictures_fade_where_tokens_are_dropped(opened: Any, tables: list[LogitTable]) -> None:
    cells = (
        "return [...document.querySelectorAll('.square')].map(s => "
        "(s.querySelector('.faded').getAttribute('d').match(/M/g) ?? []).length)"
    )
    assert opened.execute_script(cells) == [0, 576 - 64]
    choose(opened, "Before", "FastV K=128")
    assert opened.execute_script(cells) == [576 - 128, 576 - 64]
    loaded = "return [...document.querySelectorAll('.square img')].map(i => i.naturalWidth)"
    opened.execute_script("return Promise.all([...document.images].map(i => i.decode()))")
    assert all(width > 100 for width in opened.execute_script(loaded))
    shown = "return getComputedStyle(document.querySelector('.square svg')).display"
    assert opened.execute_script(shown) != "none"
    opened.find_element("css selector", ".check input").click()
    assert opened.execute_script(shown) == "none"


def test_a_phone_shows_it_without_scrolling_sideways(opened: Any, pictures: Path) -> None:
    picture(opened, pictures / "questions.png")
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    opened.refresh()
    picture(opened, pictures / "questions-phone.png")
    assert opened.execute_script("return document.documentElement.scrollWidth") == 360
    wide = (
        "return [...document.querySelectorAll('.viewer *')].filter(x => "
        "x.getBoundingClientRect().right > 361 && !x.closest('svg')).map(x => x.className)"
    )
    assert opened.execute_script(wide) == []
    small = (
        "return [...document.querySelectorAll('.turn button, .list button, .acts button')]"
        ".filter(x => x.getBoundingClientRect().height < 32).length"
    )
    assert opened.execute_script(small) == 0


def test_without_scripts_it_says_so(browser: Any, report: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(report.as_uri())
        told = browser.find_element("css selector", ".viewer noscript").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "needs JavaScript" in told
    assert "calprune rows --bench shapes" in told


def test_open_questions_are_sorted_by_what_is_known(browser: Any, tmp_path: Path) -> None:
    made = [make_table(make_condition()), make_table(make_condition("scope", 64), noise=1)]
    tables = [replied(table, noise=i) for i, table in enumerate(made)]
    choice = QuestionChoice(each=5)
    with verdict_scorer():
        data = collect_data(tables, ["accuracy"], draws=100, permutations=50, questions=choice)
        rows = Study(tuple(tables)).rows(conditions=["scope @64"])
    path = write_page(page(data, figures=False), tmp_path / "r.html")
    browser.get_log("browser")
    browser.get(path.as_uri())
    rows["moved"] = rows.confidence_change.abs()
    first = rows.sort_values("moved", ascending=False, kind="stable").iloc[0]
    assert first.id in said(browser)
    assert "An open question." in said(browser)
    assert "no picture" in said(browser)
    assert browser.get_log("browser") == []


def test_text_of_strangers_stays_text(browser: Any, tmp_path: Path) -> None:
    formula = f'=1+1,"{SCRIPT}'
    tables = [
        replace(
            make_table(make_condition(*of), noise=i),
            id=np.array([f"{formula}{n:05d}" for n in range(240)]),
            answers=(SCRIPT, "no"),
        )
        for i, of in enumerate(((), ("scope", 64)))
    ]
    data = collect_data(tables, draws=100, permutations=50, questions=QuestionChoice(each=5))
    path = write_page(page(data, figures=False), tmp_path / "r.html")
    browser.get_log("browser")
    browser.get(path.as_uri())
    assert "=1+1" in said(browser)
    assert browser.execute_script("return window.hurt") is None
    folder = tmp_path / "saved"
    folder.mkdir()
    found = save(browser, folder)
    assert all(row["id"].startswith("'=1+1,\"z</script>") for row in found)
    assert browser.get_log("browser") == []
