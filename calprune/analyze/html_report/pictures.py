"""Figures of a page, each drawn once: those that open it, and all the others in order."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from calprune.analyze import figures as kinds
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.figures import FigureData, FigureSpec, Picture
from calprune.analyze.html_report.markup import Html, element
from calprune.analyze.html_report.report_data import ReportData
from calprune.terminal import Tell, silent

FIRST = ("u-curve", "forest", "reliability")
OPENING = ("forest", "u-curve")
ROOM = 4.6  # inches: two stand side by side on a screen, and one is legible on a telephone


class Pictures:
    """Figures of a page's data; each is drawn when first asked for."""

    def __init__(self, data: ReportData, tell: Tell = silent, wanted: bool = True) -> None:
        """Of these data.

        Args:
            data: what the page tells.
            tell: told what is being drawn.
            wanted: whether there are any.
        """
        self.data = data
        self._tell = tell
        self._wanted = wanted
        self._numbers: dict[str, FigureData] = {}
        self._drawn: dict[tuple[str, str, str], list[Picture]] = {}

    def opening(self, experiment: Experiment) -> Html | None:
        """Differences beside the U-curve of the first metric as one picture, if there is any."""
        shown = [one for kind in OPENING for one in self.of(experiment, kind)[:1]]
        if not shown:
            return None
        said = "; ".join(picture.title for picture in shown)
        note = element("a", "What the marks mean.", href="#figures")
        caption = element("figcaption", f"{said}. ", note)
        return element("figure", *(image(picture) for picture in shown), caption, class_="pair")

    def all(self) -> Iterator[Picture]:
        """Every kind that makes sense, of each model and benchmark: what matters most first."""
        names = kinds.names()
        order = [*(name for name in FIRST if name in names), *(n for n in names if n not in FIRST)]
        for experiment in self.data.joined:
            for kind in order:
                yield from self.of(experiment, kind)

    def of(self, experiment: Experiment, kind: str) -> list[Picture]:
        """A kind's pages for the first metrics; none where it cannot be drawn."""
        if not self._wanted:
            return []
        shown = self.data.compared_metrics[:2]
        metrics = shown if kinds.of_kind(kind).per_metric else shown[:1]
        return [one for metric in metrics for one in self._of(experiment, kind, metric)]

    def _of(self, experiment: Experiment, kind: str, metric: str) -> list[Picture]:
        key = (experiment.title, kind, metric)
        if key not in self._drawn:
            self._tell(f"figure {kind} of {experiment.title}")
            own = self._figure_data(experiment)
            spec = FigureSpec(metric, None, None, self.data.against, ROOM)
            lacks = kinds.of_kind(kind).unavailable_because(own, spec)
            self._drawn[key] = [] if lacks else kinds.pictures(kind, own, spec)
        return self._drawn[key]

    def _figure_data(self, experiment: Experiment) -> FigureData:
        """What figures show, with the numbers that are known already."""
        if experiment.title not in self._numbers:
            joined = next(one for one in self.data.joined if one.title == experiment.title)
            own = FigureData(joined, self.data.options)
            if not self.data.options.each_seed:
                own.know_estimates(self.data.metrics, self.data.of(joined))
                compared = self.data.compared(joined)
                if compared and self.data.options.by is None and not self.data.unlike:
                    own.know_differences(self.data.compared_metrics, compared, self.data.against)
            self._numbers[experiment.title] = own
        return self._numbers[experiment.title]


def image(picture: Picture) -> Html:
    """A picture that cannot run anything."""
    source = "data:image/svg+xml;base64," + b64encode(picture.svg.encode()).decode()
    return element("img", src=source, alt=picture.title)
