"""Figures inside the page, each as an image of its own that cannot run anything."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from calprune.analyze.html.content import Content
from calprune.analyze.html.markup import Html, element, join
from calprune.analyze.study import Study

_TITLES = {"reliability": "Reliability: accuracy against confidence", "curve": "{} against tokens"}
_NOISE = re.compile(rb"<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)


def drawings(content: Content) -> Html:
    """All figures of each model and benchmark."""
    return join(*(_figure(title, svg) for title, svg in _drawn(content)))


def _drawn(content: Content) -> Iterator[tuple[str, bytes]]:
    """What each figure shows, and the figure as SVG."""
    for setting in content.settings:
        study = Study(tuple(table for cell in setting.cells for table in cell.tables))
        of = f"{setting.model} on {setting.benchmark}"
        yield _TITLES["reliability"] + f", {of}", _svg(study, "reliability", of, content)
        if all(cell.full for cell in setting.cells):
            continue
        for metric in content.metrics[:2] if len(content.metrics) > 2 else content.metrics:
            title = next(r.title for r in content.of(setting) if r.metric == metric)
            svg = _svg(study, "curve", of, content, metric)
            yield _TITLES["curve"].format(title) + f", {of}", svg


def _svg(study: Study, kind: str, of: str, content: Content, metric: str = "ece") -> bytes:
    """One figure; drawn into a folder that is gone afterwards."""
    with TemporaryDirectory() as folder:
        paths = study.plot(
            kind,
            Path(folder) / "figure",
            metric,
            draws=content.draws,
            seed=content.seed,
            of=of,
            **content.reading,
        )
        svg = next(path for path in paths if path.suffix == ".svg").read_bytes()
    return _NOISE.sub(b"", svg)


def _figure(title: str, svg: bytes) -> Html:
    source = "data:image/svg+xml;base64," + b64encode(svg).decode()
    image = element("img", src=source, alt=title)
    box = element(
        "div", image, class_="scroll drawn", tabindex="0", role="region", aria_label=title
    )
    return element("figure", box, element("figcaption", title))
