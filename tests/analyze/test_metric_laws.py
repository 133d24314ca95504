"""Laws of every metric, whatever its name: weights, order, clusters, odd inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune import registry
from calprune.analyze.metric import DataDependentMetric, resolve
from calprune.analyze.results.resampled_metrics import ResampledMetrics
from calprune.analyze.statistics.clustering import Clusters
from calprune.errors import CalpruneError
from tests.analyze.calls import read_predictions
from tests.analyze.conftest import make_condition, make_predictions, make_table, opened

# What a metric may need beside confidence and correctness, and the metrics that were seen to.
OF_GROUPS_AND_SCORERS = {"acc-plus", "score", "vanilla"}
# Smoothing adds a constant density, and areas over k/n move with n.
MOVED_BY_DOUBLING = {"aurc", "augrc", "e-aurc", "ece-debiased", "ece-equal-mass"}
# Bounded metrics (low, high).
RANGE = {
    "overconfidence": (-1, 1),
    "brier": (0, 2),
    "ece-debiased": (-1, 2),
    "nll": (0, np.inf),
    "t-opt": (0, np.inf),
}

steps = st.integers(8, 16).map(lambda i: i / 16)
rows = st.lists(st.tuples(steps, st.booleans(), st.integers(0, 3)), min_size=1, max_size=12)


def usable(predictions):
    """Every metric that these rows can be measured by."""
    found = []
    for name in registry.names("metrics"):
        (metric,) = resolve([name])
        try:
            ResampledMetrics.of([metric], predictions, Clusters.of(predictions.cluster)).point()
        except CalpruneError:
            continue
        found.append(metric)
    return found


def measured(predictions, weights=None):
    """Each metric by name, of the rows as they are or under weights (1, clusters)."""
    clusters, metrics = Clusters.of(predictions.cluster), usable(predictions)
    sampler = ResampledMetrics.of(metrics, predictions, clusters)
    values = sampler(np.ones((1, len(clusters))) if weights is None else weights)
    return {m.name: float(v) for m, v in zip(metrics, values[:, 0], strict=True)}


def seen_of(drawn):
    c, y, g = (np.array(x) for x in zip(*drawn, strict=True))
    return make_predictions(c, y, [f"c{i}" for i in g])


def same(one, other, tolerance=1e-9):
    assert one.keys() == other.keys()
    for name, x in one.items():
        close = pytest.approx(other[name], abs=tolerance, rel=tolerance, nan_ok=True)
        assert x == close, name


def test_plain_rows_can_be_measured_by_every_metric_but_those_of_groups_and_scorers():
    found = {m.name for m in usable(make_predictions([0.9, 0.6], [1, 0]))}
    assert found == set(registry.names("metrics")) - OF_GROUPS_AND_SCORERS


def test_with_groups_and_a_scorer_every_metric_has_a_value_inside_its_range():
    table = make_table(make_condition(), pairs=True, scorer="first-token-yes")
    found = {}
    for scorer in (*registry.names("scorers"),):
        predictions = read_predictions(replace(table, scorer=scorer))
        found |= measured(predictions)
    for name, x in found.items():
        low, high = RANGE.get(name, (0, 1))
        assert name == "score" or low <= x <= high, name
    assert set(found) == set(registry.names("metrics"))


@given(rows, st.data())
@settings(max_examples=80, deadline=None)
def test_a_weight_is_a_repetition_of_whole_clusters(drawn, data):
    predictions = seen_of(drawn)
    clusters = Clusters.of(predictions.cluster)
    size = len(clusters)
    counts = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size).filter(any))
    row = [(i, k) for i, g in enumerate(clusters.code) for k in range(counts[g])]
    again = predictions.take(np.array([i for i, _ in row]))
    again = replace(again, cluster=np.array([f"{predictions.cluster[i]}-{k}" for i, k in row]))
    same(measured(predictions, np.array([counts], dtype=float)), measured(again))


@pytest.mark.parametrize("answers", [2, 4])
def test_a_resample_of_many_is_each_alone_and_is_the_repeated_rows(answers):
    predictions = read_predictions(make_table(answers=answers, step=0.25, signal=1.0))
    clusters, metrics = Clusters.of(predictions.cluster), usable(predictions)
    sampler = ResampledMetrics.of(metrics, predictions, clusters)
    drawn = np.random.default_rng(1).integers(0, len(clusters), (70, len(clusters)))
    weights = np.stack([np.bincount(d, minlength=len(clusters)) for d in drawn]).astype(float)
    many = sampler(weights)
    for b in (0, 65):
        row = [(i, k) for i, g in enumerate(clusters.code) for k in range(int(weights[b, g]))]
        again = predictions.take(np.array([i for i, _ in row]))
        again = replace(again, cluster=np.array([f"{predictions.cluster[i]}-{k}" for i, k in row]))
        same({m.name: v for m, v in zip(metrics, many[:, b], strict=True)}, measured(again))


@pytest.mark.parametrize("step", [0.0, 0.5])
@pytest.mark.parametrize("answers", [2, 5])
def test_row_order_changes_not_one_bit(step, answers):
    predictions = read_predictions(make_table(step=step, answers=answers, uneven=answers > 2))
    mixed = predictions.take(np.random.default_rng(5).permutation(len(predictions)))
    weights = np.random.default_rng(0).integers(0, 3, (5, 40)).astype(float)
    for metric in usable(predictions):
        straight, shuffled = (
            ResampledMetrics.of([metric], one, Clusters.of(one.cluster))(weights)
            for one in (predictions, mixed)
        )
        if metric.name == "t-opt":  # a single draw is solved by sums in row order
            assert straight == pytest.approx(shuffled, rel=1e-12)
        else:
            assert straight.tobytes() == shuffled.tobytes(), metric.name


@given(rows)
@settings(max_examples=40, deadline=None)
def test_names_of_clusters_play_no_part(drawn):
    predictions = seen_of(drawn)
    renamed = np.array(
        [{"c0": "z", "c1": "b", "c2": "y", "c3": "a"}[c] for c in predictions.cluster]
    )
    same(measured(predictions), measured(replace(predictions, cluster=renamed)), 1e-12)


def test_doubling_every_row_changes_no_metric_but_by_one_over_n():
    predictions = read_predictions(make_table())
    twice = predictions.take(np.tile(np.arange(len(predictions)), 2))
    once, doubled = measured(predictions), measured(twice)
    for name, x in once.items():
        assert doubled[name] == pytest.approx(
            x, abs=0.01 if name in MOVED_BY_DOUBLING else 1e-6, nan_ok=True
        ), name


ODD = {
    "one right row": ([0.7], [1]),
    "one wrong row": ([0.7], [0]),
    "all correct": ([0.6, 0.9, 0.9], [1, 1, 1]),
    "all wrong": ([0.6, 0.9, 0.9], [0, 0, 0]),
    "all alike": ([0.75] * 4, [1, 0, 1, 1]),
    "undecided": ([0.5, 0.5, 0.5], [1, 0, 1]),
    "certain": ([1.0, 1.0, 1.0], [1, 1, 1]),
    "certain and wrong": ([1.0, 1.0, 0.5], [1, 0, 1]),
}
UNDEFINED = {  # name of the case: metrics that are NaN there
    **dict.fromkeys(
        ("one right row", "one wrong row", "all correct", "all wrong"), "failure-auroc"
    ),
    "certain": "failure-auroc",
}


@pytest.mark.parametrize("case", list(ODD))
def test_odd_rows_have_defined_values_and_no_warnings(case):
    if case == "certain and wrong":
        # NLL from log p = -inf is infinite; a cache cannot hold that, gaps of logits are finite.
        gap = np.array([800.0, -800.0, 0.0])
        table = make_table(images=3, per_image=1)
        logits = np.zeros_like(table.answer_logits)
        logits[:, 0, :] = gap[:, None]
        table = replace(table, answer_logits=logits, label=np.zeros(3, dtype=np.int16))
        predictions = read_predictions(table)
    else:
        predictions = make_predictions(*ODD[case])
    found = measured(predictions)
    undefined = {name for name, x in found.items() if np.isnan(x)}
    assert undefined <= {UNDEFINED.get(case, "")}, undefined
    unbounded = {name for name, x in found.items() if np.isinf(x)}
    assert unbounded <= {"t-opt", "nll"}


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("target", ["hard", "soft"])
def test_replies_and_soft_targets_have_values(share, target):
    predictions = read_predictions(
        opened(make_table(), share, verdicts=(0.0, 0.3, 1.0)), target=target
    )
    found = measured(predictions, np.random.default_rng(0).integers(0, 3, (3, 40)).astype(float))
    undefined = {name for name, x in found.items() if not np.isfinite(x)}
    assert undefined == ({"verbalizer-mass"} if share == 1.0 else set())
    assert {"mcb", "failure-auroc", "ece-smooth", "t-opt", "ece-class-wise"} <= found.keys()


def test_an_answer_that_never_occurs_has_values():
    table = make_table(answers=4, uneven=True)
    table = replace(table, label=(table.label % 2).astype(np.int16))
    assert all(np.isfinite(x) for x in measured(read_predictions(table)).values())


def test_every_metric_says_what_it_is():
    for name in registry.names("metrics"):
        plugin = registry.load("metrics", name)
        assert plugin.name == name
        assert isinstance(plugin.title, str)
        assert plugin.direction in ("lower", "higher", "nearer 0", "neither")
        assert not isinstance(plugin(), DataDependentMetric) or name == "score"


@given(rows)
@settings(max_examples=80, deadline=None)
def test_relations_between_metrics(drawn):
    predictions = seen_of(drawn)
    v, n = measured(predictions), len(predictions)
    error = 1 - v["accuracy"]
    assert v["brier-top"] == pytest.approx(v["mcb"] - v["dsc"] + v["unc"], abs=1e-10)
    assert v["brier-top"] == pytest.approx(v["brier"], abs=1e-10)
    assert min(v["mcb"], v["dsc"], v["unc"], v["e-aurc"]) >= 0
    assert v["unc"] == pytest.approx(error * (1 - error), abs=1e-12)
    assert abs(v["overconfidence"]) - 1e-12 <= v["ece"] <= v["rmsce"] + 1e-12
    assert v["rmsce"] <= v["mce"] + 1e-12
    assert v["ece-equal-mass"] >= abs(v["overconfidence"]) - 1e-10
    assert 0 <= v["augrc"] <= error + 1e-12
    if not np.isnan(v["failure-auroc"]):
        limit = error * (1 - error) * (1 - v["failure-auroc"]) + error**2 / 2
        assert v["augrc"] == pytest.approx(limit + error / (2 * n), abs=1e-10)
    assert v["e-aurc"] <= v["aurc"] + 1e-12


def test_t_opt_is_one_for_the_calibrated_and_scales_with_logits():
    rng = np.random.default_rng(3)
    c = rng.uniform(0.5, 0.99, 20_000)
    predictions = make_predictions(c, rng.random(len(c)) < c)
    assert measured(predictions)["t-opt"] == pytest.approx(1, abs=0.05)
    one, three = (measured(read_predictions(make_table(scale=s)))["t-opt"] for s in (1.0, 3.0))
    assert three == pytest.approx(3 * one, rel=1e-5)
