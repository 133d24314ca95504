"""Figures inside the page, each as an image of its own that cannot run anything."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from calprune.analyze import figures
from calprune.analyze.html_report.content import Content
from calprune.analyze.html_report.markup import Html, element, join


def drawings(content: Content) -> Html:
    """All kinds of figures that make sense for each model and benchmark."""
    return join(*(_figure(title, svg) for title, svg in _drawn(content)))


def _drawn(content: Content) -> Iterator[tuple[str, str]]:
    """What each figure shows, and its pages as SVG."""
    shown = content.metrics[:2] if len(content.metrics) > 2 else content.metrics
    for experiment in content.joined:
        data = figures.FigureData(experiment, content.options)
        for kind in figures.names():
            found = figures.of_kind(kind)
            for metric in shown if found.per_metric else shown[:1]:
                spec = figures.FigureSpec(metric, None, None, content.against)
                if found.unavailable_because(data, spec):
                    continue
                text = figures.svg_of(kind, data, spec)
                title = f"{found.title}, {data.title}" + f": {metric}" * found.per_metric
                for page in text.split("\n<svg"):
                    yield (
                        title[:1].upper() + title[1:],
                        page if page[:4] == "<svg" else f"<svg{page}",
                    )


def _figure(title: str, svg: str) -> Html:
    source = "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()
    image = element("img", src=source, alt=title)
    box = element(
        "div", image, class_="scroll drawn", tabindex="0", role="region", aria_label=title
    )
    return element("figure", box, element("figcaption", title))
