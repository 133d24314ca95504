"""The documentation's site: what its strict build alone would not notice, or only later."""

from __future__ import annotations

import re
import textwrap
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

import house
import outside
import reference
import tree
from calprune.registry import GROUPS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
LAYERS = [{"type": "layers", "layers": ["house.collect | house.analyze", "house.data"]}]


@pytest.fixture(scope="module")
def package() -> tree.Tree:
    return tree.read(ROOT / "calprune")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A package of three rooms; the right one holds a shelf."""
    for name in ("", "collect", "data", "analyze", "analyze/metrics"):
        folder = tmp_path / "house" / name
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text(f'"""Room {name}. More."""\n')
    (tmp_path / "house/analyze/metrics/ece.py").write_text('"""E."""\n\n__all__ = ["Ece"]\n')
    return tmp_path / "house"


def drawn(modules: tree.Tree, contracts: list[dict[str, object]]) -> set[str]:
    """The packages whose boxes lead somewhere."""
    picture = ElementTree.fromstring(house.drawing(modules, contracts, {}))
    links = picture.iter("{http://www.w3.org/2000/svg}a")
    return {link.attrib["href"].removeprefix("#in-").replace("-", ".") for link in links}


def test_the_house_shows_every_room(package: tree.Tree) -> None:
    rooms = {n for n, m in package.items() if m.is_package and 1 <= n.count(".") <= 2}
    assert rooms <= drawn(package, CONTRACTS)


def test_a_box_leads_to_its_files(package: tree.Tree) -> None:
    listed = house.listing(package, CONTRACTS, {})
    anchors = {a.replace("-", ".") for a in re.findall(r"\{ #in-(\S+) \}", listed)}
    assert drawn(package, CONTRACTS) <= anchors


def test_a_new_room_is_drawn_and_so_is_one_that_no_contract_names(small: Path) -> None:
    before = drawn(tree.read(small), LAYERS)
    for name in ("judge", "analyze/tables"):
        (small / name).mkdir()
        (small / name / "__init__.py").write_text('"""New."""\n')
    after = drawn(tree.read(small), LAYERS)
    assert after - before == {"house.judge", "house.analyze.tables"}


def test_a_floor_that_is_gone_is_refused(small: Path) -> None:
    contracts = [{"type": "layers", "layers": ["house.roof", *LAYERS[0]["layers"]]}]
    with pytest.raises(LookupError, match=r"has no house\.roof"):
        house.drawing(tree.read(small), contracts, {})


def test_rooms_stand_in_the_order_of_their_own_contract(small: Path) -> None:
    for name in ("tables", "arrays"):
        (small / "analyze" / name).mkdir()
        (small / "analyze" / name / "__init__.py").write_text('"""R."""\n')
    inner = {"type": "layers", "containers": ["house.analyze"], "layers": ["tables", "(metrics)"]}
    rooms = house.rooms(tree.read(small), [*LAYERS, inner], "house.analyze")
    assert rooms == [f"house.analyze.{name}" for name in ("tables", "metrics", "arrays")]


def test_the_reference_has_what_is_exported_and_every_shelf(package: tree.Tree) -> None:
    pages = reference.pages(package, GROUPS)
    assert set(GROUPS) < set(pages)
    for name in package["calprune"].exported:
        assert f"::: calprune.{name}" in pages["calprune"][1]
    documented = re.findall(r"^::: (\S+)$", "\n".join(text for _, text in pages.values()), re.M)
    assert len(documented) == len(set(documented))
    assert "| `ece` | `bins=15`" in pages["metrics"][1]


@pytest.mark.parametrize("files", [[], ["a.py", "b.py"]])
def test_a_name_must_be_defined_once(small: Path, files: list[str]) -> None:
    for file in files:
        (small / file).write_text("class Wanted: ...\n")
    with pytest.raises(LookupError, match="Wanted"):
        tree.defining(tree.read(small), "Wanted")


def test_a_shelf_says_what_it_hands_on(small: Path) -> None:
    with pytest.raises(LookupError, match=r"house\.analyze\.metrics"):
        reference.pages(tree.read(small), {"metrics": "analyze/metrics"}, {}, {})


@pytest.mark.parametrize(
    ("page", "link", "target"),
    [
        ("index.md", "docs/format.md", "format.md"),
        ("index.md", "docs/figures/u-curve.png", "figures/u-curve.png"),
        ("index.md", "docs/tour.ipynb", "tour.md"),
        ("index.md", "CITATION.cff", "repository/CITATION.cff"),
        ("models.md", "../README.md#models", "index.md#models"),
        ("decisions/0007-one-package.md", "../../findings/README.md", "../findings.md"),
        ("metrics.md", "statistics.md", "statistics.md"),
        ("metrics.md", "no-such-page.md", "no-such-page.md"),
        ("metrics.md", "https://example.org/README.md", "https://example.org/README.md"),
    ],
)
def test_links_between_files_become_links_between_pages(page: str, link: str, target: str) -> None:
    assert outside.relinked(f"see [it]({link}).", page, ROOT) == f"see [it]({target})."


def test_code_is_left_alone() -> None:
    text = "```python\nx[0](README.md)\n```\n"
    assert outside.relinked(text, "contributing.md", ROOT) == text


@pytest.mark.parametrize(
    ("html", "fetches"),
    [
        ('<script src="https://cdn.example/m.js"></script>', True),
        ('<link rel="stylesheet" href="//fonts.example/css">', True),
        ("<img alt='' src='http://example.org/x.png'>", True),
        ("<style>@import url(https://example.org/x.css)</style>", True),
        ('<a href="https://example.org">a link is followed by a reader</a>', False),
        ('<link rel="canonical" href="https://example.org/">', False),
        ('<script src="assets/m.js"></script>', False),
    ],
)
def test_what_a_page_fetches_is_found(html: str, fetches: bool) -> None:
    assert bool(outside.fetched(html)) is fetches


def test_names_on_one_line_stay_together_each_with_its_type() -> None:
    griffe = pytest.importorskip("griffe", reason="installed with the extra [docs]")
    from joint_names import JointNames

    code = '''
        class Row:
            """One.

            Attributes:
                low, high: the ends.
                n, group: rows, and of what.
            """
            low: float
            high: float
            n: int
            group: str
    '''
    loaded = griffe.load_extensions(JointNames)
    files = {"__init__.py": textwrap.dedent(code)}
    with griffe.temporary_visited_package("rows", files, extensions=loaded) as package:
        section = package["Row"].docstring.parse("google")[-1]
    shown = [(i.name.split(",\N{NO-BREAK SPACE}"), str(i.annotation)) for i in section.value]
    assert shown == [(["low", "high"], "float"), (["n", "group"], "(int, str)")]


def test_our_own_style_and_script_fetch_nothing() -> None:
    for name in ("style.css", "iframe-worker.js"):
        assert "//" not in (DOCS / "site" / name).read_text()


def test_every_page_has_its_place() -> None:
    nav = set(re.findall(r"^ +- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert nav == {path.name for path in DOCS.glob("*.md")} | set(outside.PAGES)


def test_paragraphs_of_a_list_are_indented_by_four() -> None:
    """Less is a list on other sites and none on this one."""
    shown = [ROOT / file for file in outside.PAGES.values() if file.endswith(".md")]
    for path in [*shown, *DOCS.rglob("*.md")]:
        text = re.sub(r"^(```|~~~).*?^\1", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        assert not re.findall(r"\n\n {1,3}\S.*", text), path
