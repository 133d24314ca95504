"""Which tests run without torch, and which are slow: by folder, and by measured CPU seconds.

``light`` are the tests of data, analysis, judge and commands that run where torch is not installed.
``slow`` are those in ``slow.txt``, which is measured and written, never edited:

    make quick PYTEST_ARGS='-m light --junitxml=build/light.xml'
    make quick PYTEST_ARGS='--junitxml=build/quick.xml'    # who pays for shared fixtures then
    python -m tests.lanes build/light.xml build/quick.xml
"""

from __future__ import annotations

import resource
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    import pytest

LIGHT = ("tests/data/", "tests/analyze/", "tests/judge/", "tests/commands/")
SLOW = Path(__file__).with_name("slow.txt")
LEAST = 0.25  # CPU seconds of a test, all its cases together, from which on it is slow
SPENT = "cpu"  # property of a test in pytest's XML report


def spent() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def mark(items: Iterable[pytest.Item], root: Path) -> None:
    """Give tests the marks ``light`` and ``slow``."""
    slow = set(measured())
    for item in items:
        file = item.path.relative_to(root).as_posix()
        if file.startswith(LIGHT) and item.get_closest_marker("torch") is None:
            item.add_marker("light")
        if f"{file}::{item.originalname if hasattr(item, 'originalname') else item.name}" in slow:
            item.add_marker("slow")


def measured() -> dict[str, float]:
    """Slow tests and their CPU seconds, all cases together."""
    rows = (line.split(maxsplit=1) for line in SLOW.read_text().splitlines())
    return {name: float(seconds) for seconds, name in rows}


def read(report: Path) -> dict[str, float]:
    """CPU seconds of each test in an XML report, all its cases and first uses of fixtures in it."""
    total = Counter[str]()
    for case in ElementTree.parse(report).iter("testcase"):
        for found in case.iter("property"):
            if found.get("name") == SPENT:
                file = f"{case.get('classname', '').replace('.', '/')}.py"
                name = f"{file}::{case.get('name', '').partition('[')[0]}"
                total[name] += float(found.get("value", 0))
    return total


def main(*reports: str) -> None:
    """Write down which tests are slow in any of these reports."""
    slow: dict[str, float] = {}
    for report in reports:
        for name, seconds in read(Path(report)).items():
            if seconds >= LEAST:
                slow[name] = max(seconds, slow.get(name, 0.0))
    SLOW.write_text("".join(f"{seconds:6.1f} {name}\n" for name, seconds in sorted(slow.items())))


if __name__ == "__main__":
    main(*sys.argv[1:])
