"""Figures inside the page, each as an image of its own that cannot run anything."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from calprune.analyze import figures as kinds
from calprune.analyze.html_report.markup import Html, element, join
from calprune.analyze.html_report.report_data import ReportData
from calprune.terminal import Tell, silent


def figures(data: ReportData, tell: Tell = silent) -> Html:
    """All kinds of figures that make sense for each model and benchmark."""
    return join(*(_figure(title, svg) for title, svg in _drawn(data, tell)))


def _drawn(data: ReportData, tell: Tell) -> Iterator[tuple[str, str]]:
    """What each figure shows, and its pages as SVG."""
    shown = data.metrics[:2] if len(data.metrics) > 2 else data.metrics
    for experiment in data.joined:
        own = kinds.FigureData(experiment, data.options)
        if not data.options.each_seed:
            own.know_estimates(data.metrics, data.of(experiment))
            compared = data.compared(experiment)
            if compared and data.options.by is None and not data.unlike:
                own.know_differences(data.compared_metrics, compared, data.against)
        for kind in kinds.names():
            found = kinds.of_kind(kind)
            for metric in shown if found.per_metric else shown[:1]:
                tell(f"figure {kind} of {own.title}")
                spec = kinds.FigureSpec(metric, None, None, data.against)
                if found.unavailable_because(own, spec):
                    continue
                text = kinds.svg_of(kind, own, spec)
                title = f"{found.title}, {own.title}" + f": {metric}" * found.per_metric
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
