"""Figures inside the page, each as an image of its own that cannot run anything."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from calprune.analyze import figures as kinds
from calprune.analyze.figures import FigureData, FigureSpec, Picture
from calprune.analyze.html_report.markup import Html, element
from calprune.analyze.html_report.report_data import ReportData
from calprune.terminal import Tell, silent

FIRST = ("u-curve", "forest", "reliability")
ROOM = 4.6  # inches: two stand side by side on a screen, and one is legible on a telephone


def figures(data: ReportData, tell: Tell = silent) -> Html:
    """All kinds of figures that make sense for each model and benchmark."""
    return element(
        "div", *(figure_of(picture) for picture in _drawn(data, tell)), class_="pictures"
    )


def figure_data(data: ReportData) -> list[FigureData]:
    """What figures show of each model and benchmark, with the numbers that are known already."""
    found = []
    for experiment in data.joined:
        own = FigureData(experiment, data.options)
        if not data.options.each_seed:
            own.know_estimates(data.metrics, data.of(experiment))
            compared = data.compared(experiment)
            if compared and data.options.by is None and not data.unlike:
                own.know_differences(data.compared_metrics, compared, data.against)
        found.append(own)
    return found


def _drawn(data: ReportData, tell: Tell) -> Iterator[Picture]:
    shown = data.metrics[:2] if len(data.metrics) > 2 else data.metrics
    names = kinds.names()
    order = [*(name for name in FIRST if name in names), *(n for n in names if n not in FIRST)]
    for own in figure_data(data):
        for kind in order:
            found = kinds.of_kind(kind)
            for metric in shown if found.per_metric else shown[:1]:
                tell(f"figure {kind} of {own.title}")
                spec = FigureSpec(metric, None, None, data.against, ROOM)
                if not found.unavailable_because(own, spec):
                    yield from kinds.pictures(kind, own, spec)


def figure_of(picture: Picture) -> Html:
    """A picture with its title and notes below."""
    source = "data:image/svg+xml;base64," + b64encode(picture.svg.encode()).decode()
    image = element("img", src=source, alt=picture.title)
    notes = element("span", " ".join(picture.notes), class_="notes") if picture.notes else None
    return element(
        "figure", image, element("figcaption", element("strong", f"{picture.title}."), notes)
    )
