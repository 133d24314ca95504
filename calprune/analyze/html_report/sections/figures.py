"""Figures, two abreast where there is room, each with its caption."""

from __future__ import annotations

from calprune.analyze.figures import Picture
from calprune.analyze.html_report.markup import Html, element
from calprune.analyze.html_report.pictures import Pictures, image


def figures(pictures: Pictures) -> Html | None:
    """All kinds of figures that make sense for each model and benchmark."""
    shown = [figure_of(picture) for picture in pictures.all()]
    return element("div", *shown, class_="pictures") if shown else None


def figure_of(picture: Picture) -> Html:
    """A picture with its caption below."""
    notes = element("span", " ".join(picture.notes), class_="notes") if picture.notes else None
    caption = element("figcaption", element("strong", f"{picture.title}."), notes)
    return element("figure", image(picture), caption)
