"""Plug-ins: built-in ones by file, foreign ones by entry point, and what the docs promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import calprune
from calprune import registry
from calprune.errors import PlanError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """An installed package whose selector is the example of docs/extending.md, word for word."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs/extending.md").read_text(), re.S)[0]
    (tmp_path / "far_away.py").write_text(code)
    info = tmp_path / "far_away-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: far-away\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[calprune.selectors]\nfarthest = far_away:Farthest\n")
    return tmp_path


def python(code: str, path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env=os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_foreign_selector_ranks(foreign: Path) -> None:
    code = """
import numpy as np
from calprune.collect.grid import grid, budgets
from calprune.collect.selectors import VisualTokens
cells = grid(["farthest:start=0,1"], budgets("4"))
rng = np.random.default_rng(0)
seen = VisualTokens("0" * 64, rng.normal(size=(9, 4)), rng.random(9), np.arange(9) == 5)
for cell in cells:
    order = cell.selector.rank(seen).order
    assert sorted(order[order >= 0].tolist()) == [0, 1, 2, 3, 4, 6, 7, 8], order
print([c.parameters for c in cells])
"""
    done = python(code, foreign)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[(('start', 0),), (('start', 1),)]"


def test_a_clash_of_names_is_an_error(foreign: Path) -> None:
    entries = foreign / "far_away-1.0.dist-info" / "entry_points.txt"
    entries.write_text("[calprune.selectors]\nscope = far_away:Farthest\n")
    done = python("import calprune.cli; calprune.cli.main()", foreign)
    assert done.returncode in (0, 2)
    code = "from calprune import registry; registry.names('selectors')"
    assert "two selectors are called 'scope'" in python(code, foreign).stderr


@pytest.mark.parametrize(("group", "word"), sorted(registry.WORDS.items()))
def test_a_word_with_a_meaning_is_no_name(group: str, word: str, foreign: Path) -> None:
    entries = foreign / "far_away-1.0.dist-info" / "entry_points.txt"
    entries.write_text(f"[calprune.{group}]\n{word} = far_away:Farthest\n")
    code = f"from calprune import registry; registry.names({group!r})"
    assert f"none of the {group} can be called {word!r}" in python(code, foreign).stderr


def test_listing_imports_nothing() -> None:
    code = """
import sys
from calprune import registry
print(registry.names("selectors"), registry.names("models"))
assert not [m for m in sys.modules if m.startswith("calprune.collect")]
"""
    assert "scope" in python(code, ROOT).stdout


@pytest.mark.parametrize("group", sorted(registry.GROUPS))
def test_every_builtin_exports_one_titled_name(group: str) -> None:
    for name in registry.names(group):
        assert isinstance(registry.load(group, name).title, str)


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(PlanError, match="did you mean saliency"):
        registry.load("selectors", "salience")


def test_a_parameter_is_not_given_twice() -> None:
    for group, text in (("selectors", "scope:alpha=0:alpha=1"), ("metrics", "ece:bins=5:bins=9")):
        with pytest.raises(PlanError, match=r"(alpha|bins) is given twice"):
            registry.parse(group, text)


def test_the_public_surface() -> None:
    assert sorted(calprune.__all__) == [
        "Budget", "CalpruneError", "Condition", "Study", "collect", "compare_selections", "open",
        "prepare",
    ]  # fmt: skip
    for name in calprune.__all__:
        assert getattr(calprune, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'evrything'"):
        calprune.evrything  # noqa: B018


def test_collect_is_a_function_however_often_and_whatever_was_imported() -> None:
    """Importing a subpackage binds its name in the package: once, the second call failed."""
    code = """
import calprune
first = calprune.collect
from calprune.collect.selectors import Ranking
import calprune.collect.run
assert callable(calprune.collect) and calprune.collect is first
for _ in range(2):
    try:
        calprune.collect("nothing")
    except calprune.CalpruneError as error:
        print(error)
"""
    done = python(code, ROOT)
    assert done.stdout.count("unknown benchmark 'nothing'") == 2, done.stderr


def test_a_failing_plugin_is_named(foreign: Path) -> None:
    file = foreign / "far_away.py"
    guarded = "min(self.start, len(salient) - 1)"
    assert guarded in file.read_text()
    file.write_text(file.read_text().replace(guarded, "self.start"))
    code = """
import sys
import calprune
try:
    calprune.collect("shapes", store=sys.argv[1], images=1, select="farthest:start=1000", keep=4)
except calprune.CalpruneError as error:
    print(error)
"""
    done = python(code, foreign, str(foreign / "store"))
    assert "selector 'farthest' failed on image" in done.stdout, done.stderr
    assert "IndexError" in done.stdout


def test_a_plug_in_is_made_with_one_value_of_each_parameter() -> None:
    assert registry.make("metrics", "ece:bins=10").bins == 10
    for group, text in (("metrics", "ece:bins=5,10"), ("calibrators", "histogram:bins=5,10")):
        with pytest.raises(PlanError, match=f"{text!r} takes one value of bins, not 2"):
            registry.make(group, text)


@pytest.mark.parametrize("group", registry.GROUPS)
def test_what_is_read_in_the_source_is_what_the_plugin_says(group: str) -> None:
    asked = ("title", "direction") if group == "metrics" else ("title",)
    for name in registry.names(group):
        said = registry.told(group, name, asked)
        if said is not None:
            plugin = registry.load(group, name)
            assert said == {a: getattr(plugin, a) for a in asked}, name
    if group != "studies":  # their titles are made
        assert said is not None


def test_what_no_source_says_is_left_to_loading() -> None:
    assert registry.told("metrics", "ece", ("title", "no_such_attribute")) is None
