"""How to read the numbers, for somebody who did not compute them."""

from __future__ import annotations

from collections.abc import Iterator

from calprune import registry
from calprune.analyze.html_report.markup import Html, element, join
from calprune.analyze.html_report.report_data import ReportData

NOTES = (
    (
        "Confidence",
        "The largest probability among the answers that a question offers, where nothing else is "
        "said; of a generated reply, a function of the probabilities of its tokens. Which one was "
        "used stands in each signature after conf:.",
    ),
    (
        "Intervals",
        "Cluster bootstrap: images are drawn with all their questions, as questions about one are "
        "right or wrong together. A random selector’s seeds are averaged inside each resample.",
    ),
    (
        "ECE if calibrated",
        "ECE takes absolute values, so noise alone makes it positive: the noise floor is what a "
        "perfectly calibrated model would show here. Below the value that papers print stands the "
        "one less its expected bias, with its interval. A difference shares the bias of both "
        "conditions only where both are equally calibrated, so it is de-biased too.",
    ),
    (
        "Calibration slope",
        "Correctness regressed on the log-odds of confidence (Cox). A slope below 1 says that "
        "confidences lie too far from one half, as if their temperature were too low; in the "
        "large, the intercept with the slope held at 1, says whether the model is too sure (below "
        "0) on the whole.",
    ),
    (
        "p-values",
        "Paired permutation test: two conditions are exchanged on whole images. Corrected p-values "
        "hold for all comparisons of a table together. The best and the worst condition are picked "
        "after looking: their corrected p allows for that, their interval does not.",
    ),
    (
        "Not told apart",
        "This does not mean equal. It means that with so many questions and images the test "
        "cannot say; the interval of the difference shows how large it might be.",
    ),
    (
        "Signatures",
        "The line in small type below a table holds every choice behind its numbers: metric and "
        "parameters, confidence, questions, images, interval, resamples, seed and version. The "
        "same signature on the same files gives the same numbers.",
    ),
)


def guide(data: ReportData) -> Html:
    """Notes, and what each metric means."""
    pairs = (join(element("dt", term), element("dd", said)) for term, said in NOTES)
    shown = (join(element("dt", title), element("dd", said)) for title, said in _metrics(data))
    return join(
        element("dl", *pairs, class_="guide"),
        element("h3", "Metrics"),
        element("dl", *shown, class_="guide"),
    )


def _metrics(data: ReportData) -> Iterator[tuple[str, str]]:
    """Title and first sentence of each metric shown."""
    for metric in dict.fromkeys(r.metric for r in data.estimates):
        said = (registry.load("metrics", metric.name).__doc__ or "").split("\n\n")[0]
        if said:
            yield metric.title, " ".join(said.split())
