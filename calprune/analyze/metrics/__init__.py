"""Metrics. One file here is one metric; its name is the file's, with dashes.

Other packages add theirs by entry points of the group ``calprune.metrics``. What a metric is, says
``calprune.analyze.metric``; its names stand here too.
"""

from calprune.analyze.metric import (
    Additive,
    DataDependentMetric,
    Direction,
    DisplayUnit,
    Gapped,
    Measure,
    Metric,
    MetricDescription,
    Ranked,
    Requirement,
    debiased,
    heading_of,
    mean_of,
    never_negative,
    requires,
    resolve,
    resolve_for,
    spec,
    supports,
)
from calprune.analyze.statistics.gaps import GapParts

__all__ = [
    "Additive",
    "DataDependentMetric",
    "Direction",
    "DisplayUnit",
    "GapParts",
    "Gapped",
    "Measure",
    "Metric",
    "MetricDescription",
    "Ranked",
    "Requirement",
    "debiased",
    "heading_of",
    "mean_of",
    "never_negative",
    "requires",
    "resolve",
    "resolve_for",
    "spec",
    "supports",
]
