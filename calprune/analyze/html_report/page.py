"""The page: sections in order, with style and script inside, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from calprune.analyze.html_report.markup import Html, element
from calprune.analyze.html_report.pictures import Pictures
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.sections import DRAWN, SECTIONS
from calprune.data.storage.publishing import replace_all
from calprune.errors import PlanError
from calprune.terminal import Tell, silent

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def page(data: ReportData, figures: bool = True, tell: Tell = silent) -> str:
    """The whole of ``report.html``; the same data gives the same bytes.

    Args:
        data: what it tells.
        figures: whether it shows any, which take most of the time.
        tell: told what is being done.
    """
    shown = []
    pictures = Pictures(data, tell, figures)
    for anchor, heading, section in SECTIONS:
        tell(f"section {heading}")
        made = DRAWN[anchor](pictures) if section is None else section(data)
        if made is not None:
            shown.append((anchor, heading, made))
    title = f"Calibration report: {_subject(data)}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", _file("style.css"), _file("questions.css") if data.questions else None),
    )
    body = element(
        "body",
        element("a", "Skip to the content", href="#content", class_="skip"),
        element(
            "header",
            element("p", f"calprune {_version()}", class_="made"),
            element("h1", "Calibration report"),
            element("p", _subject(data), class_="subject"),
            _contents([(anchor, heading) for anchor, heading, _ in shown]),
        ),
        element("main", *(_section(*one) for one in shown), id="content"),
        element("footer", element("p", _made(data))),
        element("script", _file("script.js")),
        element("script", _file("questions.js")) if data.questions else None,
    )
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def _section(anchor: str, heading: str, made: Html) -> Html:
    label = f"{anchor}-heading"
    return element(
        "section", element("h2", heading, id=label), made, id=anchor, aria_labelledby=label
    )


def _contents(shown: Sequence[tuple[str, str]]) -> Html:
    links = (element("li", element("a", heading, href=f"#{a}")) for a, heading in shown)
    return element("nav", element("ol", *links), aria_label="Contents")


def _subject(data: ReportData) -> str:
    models = ", ".join(dict.fromkeys(s.model for s in data.experiments))
    benchmarks = ", ".join(dict.fromkeys(s.benchmark for s in data.experiments))
    return f"{models} on {benchmarks}"


def _made(data: ReportData) -> str:
    how = data.options.resampling
    return (
        f"Made by calprune {_version()} from {len(data.tables)} sealed files: {how.draws} "
        f"resamples of {how.unit}, seed {how.seed}. The same files and choices give the same page."
    )


def _version() -> str:
    try:
        return version("calprune")
    except PackageNotFoundError:
        return "from a source tree"


def _file(name: str) -> Html:
    """A file of this package, which is ours and therefore needs no escaping."""
    return Html(files("calprune.analyze.html_report").joinpath(name).read_text(encoding="utf-8"))


def write_page(text: str, path: Path) -> Path:
    """Write the page as a whole or not at all.

    Raises:
        WriteError: the folder is missing or read-only, or the disk is full; an older page is then
            as it was.
    """
    replace_all({path: text.encode()}, "the report")
    return path


def check_path(path: Path) -> None:
    """PlanError unless an HTML file can be meant, before anything is computed."""
    if path.is_dir():
        raise PlanError(f"the report is one file, and {path} is a folder: --out {path}/report.html")
    if path.suffix.lower() not in (".html", ".htm"):
        raise PlanError(f"the report is HTML: name a file such as {path.with_suffix('.html')}")
