from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune.data.benchmark import pixels_digest
from calprune.data.questions import open_questions
from calprune.data.random_draws import Draws
from calprune.data.shapes import benchmark as module
from calprune.data.shapes.benchmark import CHECKSUMS, benchmark_scenes, scene_pixels
from calprune.data.shapes.questions import (
    LETTERS,
    SPLITS,
    absent_kinds,
    choice_questions,
    presence_questions,
    usable_scenes,
)
from calprune.data.shapes.scenes import (
    BENCHMARK,
    HELD_OUT,
    TRAIN_LANGUAGE,
    TRAIN_TOWER,
    draw_scene,
)
from calprune.data.shapes.world import KINDS, kind_name, world
from calprune.errors import BenchmarkError


def test_draws_are_those_of_every_machine() -> None:
    """Golden values: raw PCG64 output is promised for ever, and so is what is made of it."""
    assert Draws(1, 2).raw(2).tolist() == [8271799387826207682, 7948369750201702571]
    assert Draws(1, 2).uniforms(2).tolist() == [0.44841514333227195, 0.4308819875443376]
    assert Draws(3).order(8) == [5, 3, 6, 7, 2, 4, 1, 0]
    assert Draws(3).normals(3).tolist() == [
        -0.4112352059948333,
        -0.24668826560127086,
        0.39611781924489475,
    ]


@given(st.integers(0, 2**63), st.integers(1, 50))
def test_orders_are_permutations(name: int, n: int) -> None:
    assert sorted(Draws(name).order(n)) == list(range(n))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.integers(0, 99))
def test_weighted_draws_never_take_weight_zero(weights: list[int], name: int) -> None:
    if sum(weights):
        assert all(weights[i] > 0 for i in Draws(name).weighted(weights, 50))


def test_normals_are_standard() -> None:
    x = Draws(5).normals(100_000)
    assert abs(x.mean()) < 0.01
    assert abs(x.std() - 1.0) < 0.01


def test_the_benchmark_is_the_published_one() -> None:
    assert len(benchmark_scenes()) == 250
    assert set(json.loads(CHECKSUMS.read_text())) == {"images", "shapes", "shapes-mc"}


def test_another_drawing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = benchmark_scenes()
    monkeypatch.setattr(module, "draw_benchmark", lambda: scenes[:-1])
    with pytest.raises(BenchmarkError, match="other images"):
        module.benchmark_scenes.__wrapped__()


def test_drawing_twice_gives_the_same_pixels() -> None:
    scene = benchmark_scenes()[3]
    assert pixels_digest(scene_pixels(scene.name)) == scene.digest


def test_train_and_test_scenes_never_overlap() -> None:
    assert len({BENCHMARK, HELD_OUT, TRAIN_LANGUAGE, TRAIN_TOWER}) == 4
    tested = {s.digest for s in benchmark_scenes()}
    for stream in (HELD_OUT, TRAIN_LANGUAGE):
        assert not tested & {pixels_digest(s.pixels) for s in usable_scenes(stream, 150)}
    for crowded in (False, True):
        drawn = (draw_scene(TRAIN_TOWER, i, crowded=crowded) for i in range(50))
        assert not tested & {pixels_digest(s.pixels) for s in drawn}


def test_layouts_of_train_and_test_scenes_never_overlap() -> None:
    """Not even with other noise: no two scenes place the same objects at the same places."""

    def layout(stream: int, n: int) -> set[tuple[tuple[int, float, float], ...]]:
        scenes = usable_scenes(stream, n)
        return {tuple((t.kind, t.x, t.y) for t in s.things) for s in scenes}

    assert not layout(BENCHMARK, 250) & layout(TRAIN_LANGUAGE, 250)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_labels_match_the_drawing(index: int) -> None:
    scene = draw_scene(HELD_OUT, index)
    assert scene.pixels.shape == (168, 168, 3)
    for i, thing in enumerate(scene.things):
        assert int((scene.owner == i).sum()) == thing.seen <= thing.drawn
    assert not scene.present & set(absent_kinds(scene))
    assert not scene.dubious & set(absent_kinds(scene))


@settings(max_examples=25)
@given(st.integers(0, 200))
def test_questions_are_asked_as_pope_asks(skip: int) -> None:
    scene = draw_scene(BENCHMARK, skip)
    if len(scene.present) < 3:
        return
    asked = presence_questions(scene)
    assert tuple(asked) == SPLITS
    for present, absent in asked.values():
        assert set(present) <= scene.present
        assert not set(absent) & (scene.present | scene.dubious)
        assert len(set(present)) == len(set(absent)) == 3
    popular = sorted(absent_kinds(scene), key=lambda k: -world().popularity[k])[:6]
    assert set(asked["popular"][1]) <= set(popular)


def test_shapes_has_popes_shape() -> None:
    q = open_questions("shapes")
    assert len(q.examples) == 4500
    assert len(q.images) == 250
    assert all(len(rows) == 18 for rows in q.rows)
    for split in SPLITS:
        rows = [e for e in q.examples if e.split == split]
        assert len(rows) == 1500
        assert sum(e.label == 0 for e in rows) == 750
    yes = {
        s: {(e.image, e.prompt) for e in q.examples if e.split == s and e.label == 0}
        for s in SPLITS
    }
    assert yes["random"] == yes["popular"] == yes["adversarial"]


def test_shapes_mc_has_two_to_four_options() -> None:
    q = open_questions("shapes-mc")
    assert {len(e.offered) for e in q.examples} == {2, 3, 4}
    for e in q.examples:
        assert e.label in e.offered
        assert f"{LETTERS[e.offered[-1]]}. " in e.prompt
    share = np.bincount([e.label for e in q.examples if len(e.offered) == 4]) / len(
        [e for e in q.examples if len(e.offered) == 4]
    )
    assert share.max() < 0.32


def test_choices_have_one_right_option() -> None:
    for scene in usable_scenes(BENCHMARK, 40):
        for choice in choice_questions(scene):
            assert len(set(choice.options)) == len(choice.options)
            word = choice.text.rstrip("?").split()
            subject = word[-1] if choice.subject == "colour" else word[-2]
            right = choice.options[choice.answer]
            named = f"{right} {subject}" if choice.subject == "colour" else f"{subject} {right}"
            assert named in {kind_name(k) for k in scene.present}


def test_fewer_images_are_another_benchmark() -> None:
    few, all_ = open_questions("shapes", images=5), open_questions("shapes")
    assert len(few.examples) == 90
    assert few.digest != all_.digest
    assert few.digests == all_.digests[:5]


def test_kinds_are_hard_to_guess_from_half_a_name() -> None:
    """If colour gave the shape away, the tower would learn colours only."""
    for theme in world().weights:
        p = (np.array(theme) / sum(theme)).reshape(8, 6)
        assert p.max(axis=1).sum() < 0.6
    assert world().together.shape == (KINDS, KINDS)
