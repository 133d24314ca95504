"""The report in a real browser: nothing is asked for, tables sort and filter, phones and paper."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calprune.analyze.html_report.page import page, write_page
from tests.analyze.calls import collect_data
from tests.analyze.conftest import make_condition, make_study_tables, make_table

SORTED = "table.sortable"
SCRIPT = "z</script><script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>\u202e"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    evil = replace(make_condition(), model=SCRIPT)
    table = make_table(evil, splits=("one", SCRIPT))
    tables = [*make_study_tables(), replace(table, provenance={SCRIPT: SCRIPT})]
    return write_page(
        page(collect_data(tables, draws=100)), tmp_path_factory.mktemp("page") / "r.html"
    )


@pytest.fixture
def opened(browser: Any, report: Path) -> Any:
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(report.as_uri())
    return browser


def picture(browser: Any, path: Path) -> None:
    asked = {"format": "png", "captureBeyondViewport": True}
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", asked)
    path.write_bytes(base64.b64decode(shot["data"]))
    assert path.stat().st_size > 10_000


def column(browser: Any, i: int) -> list[float | None]:
    """Sort keys of the first table's visible rows, None for what is missing."""
    return list(
        browser.execute_script(
            f"return [...document.querySelector('{SORTED}').tBodies[0].rows].filter(r => !r.hidden)"
            f".map(r => 'v' in r.cells[{i}].dataset ? Number(r.cells[{i}].dataset.v) : null)"
        )
    )


def button(browser: Any, i: int) -> Any:
    return browser.find_elements("css selector", f"{SORTED} thead th:nth-child({i + 1}) button")[0]


def test_it_is_quiet_and_asks_for_nothing(opened: Any, pictures: Path) -> None:
    picture(opened, pictures / "desktop.png")
    assert opened.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [
        e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"
    ]
    assert asked
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert opened.execute_script("return window.hurt") is None
    loaded = "return [...document.images].every(i => i.complete && i.naturalWidth > 0)"
    assert opened.execute_script(loaded)
    assert opened.execute_script("return document.images.length") >= 3


def test_a_column_sorts_both_ways_and_back(opened: Any) -> None:
    at = 3  # ECE
    before = column(opened, at)
    heading = "return document.querySelector('table.sortable thead').rows[0].cells[3].ariaSort"
    assert before != sorted(before, key=float)  # type: ignore[arg-type]
    for direction, falling in (("ascending", False), ("descending", True)):
        button(opened, at).send_keys("\ue007")  # Enter
        assert opened.execute_script(heading) == direction
        assert column(opened, at) == sorted(before, key=float, reverse=falling)  # type: ignore[arg-type]
    button(opened, at).click()
    assert opened.execute_script(heading) == "none"
    assert column(opened, at) == before


def test_what_is_missing_sorts_last_both_ways(opened: Any) -> None:
    opened.execute_script(
        "const row = document.querySelector('table.sortable').tBodies[0].rows[2];"
        "row.cells[3].removeAttribute('data-v')"
    )
    for _ in range(2):
        button(opened, 3).click()
        assert column(opened, 3).index(None) == len(column(opened, 3)) - 1


def test_rows_can_be_filtered(opened: Any) -> None:
    box = opened.find_element("css selector", "input[type=search]")
    box.send_keys("SCOPE K=32")
    assert len(column(opened, 3)) == 2
    assert opened.find_element("css selector", "[role=status]").text == "2 of 10 rows"
    box.send_keys(" nothing")
    assert column(opened, 3) == []


def test_a_phone_scrolls_tables_and_not_the_page(opened: Any, pictures: Path) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    opened.refresh()
    picture(opened, pictures / "phone.png")
    assert opened.execute_script("return document.documentElement.scrollWidth") == 360
    box = "const b = document.querySelector('.scroll'); return [b.scrollWidth, b.clientWidth]"
    inner, outer = opened.execute_script(box)
    assert inner > outer
    assert outer <= 360
    assert told(opened) == "↔ scroll sideways for more columns"
    cells = "return [...document.querySelectorAll('td.text')].map(c => c.offsetWidth)"
    assert min(width for width in opened.execute_script(cells) if width) > 80  # words stay whole
    desk = {"width": 3000, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", desk)
    opened.execute_script("document.querySelector('main').style.maxWidth = 'none'")
    assert told(opened) is None


def told(browser: Any) -> Any:
    """What the first table says about its width, once its box was measured."""
    return browser.execute_async_script(
        "requestAnimationFrame(() => setTimeout(() => arguments[0]("
        "document.querySelector('.scroll').querySelector('.sideways')?.textContent ?? null), 100))"
    )


def test_it_prints(opened: Any, pictures: Path) -> None:
    paper = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
    pdf = base64.b64decode(opened.execute_cdp_cmd("Page.printToPDF", paper)["data"])
    (pictures / "report.pdf").write_bytes(pdf)
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page/") > 1
