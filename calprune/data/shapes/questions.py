"""Questions about drawn scenes: yes/no as in POPE, lettered options as in ScienceQA."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calprune.data.random_draws import Draws
from calprune.data.shapes.scenes import Scene, draw_scene
from calprune.data.shapes.world import COLOURS, KINDS, SHAPES, kind_name, world

SPLITS = ("random", "popular", "adversarial")
LETTERS = ("A", "B", "C", "D")
PER_SPLIT = 3
_ASKING_STREAM = 11


@dataclass(frozen=True)
class Choice:
    """A multiple-choice question; ``answer`` indexes ``options``."""

    text: str
    options: tuple[str, ...]
    answer: int
    subject: str

    @property
    def prompt(self) -> str:
        """The question followed by its lettered options."""
        lettered = (f"{letter}. {o}" for letter, o in zip(LETTERS, self.options, strict=False))
        return f"{self.text} {' '.join(lettered)}"


def usable_scenes(stream: int, n: int) -> Iterator[Scene]:
    """The first ``n`` scenes of a stream in which POPE's questions can be asked."""
    found, index = 0, 0
    while found < n:
        scene = draw_scene(stream, index)
        index += 1
        if len(scene.present) >= PER_SPLIT:
            found += 1
            yield scene


def presence_prompt(kind: int) -> str:
    """Ask for a kind: ``'Is there a red circle in the image?'``."""
    name = kind_name(kind)
    article = "an" if name[0] in "aeiou" else "a"
    return f"Is there {article} {name} in the image?"


def absent_kinds(scene: Scene) -> list[int]:
    """Kinds that are certainly not in the scene, in order of number."""
    return [k for k in range(KINDS) if k not in scene.present | scene.dubious]


def presence_questions(scene: Scene) -> dict[str, tuple[list[int], list[int]]]:
    """Per split, three present kinds and three absent ones, as POPE samples its objects.

    The present kinds are the same in every split. Absent kinds are drawn at random; from the six
    most popular; or are those that most often occur together with what is present.
    """
    draws = Draws(_ASKING_STREAM, scene.stream, scene.index)
    present = draws.sample(sorted(scene.present), PER_SPLIT)
    absent = absent_kinds(scene)
    facts = world()
    popular = sorted(absent, key=lambda k: (-facts.popularity[k], k))[: 2 * PER_SPLIT]

    def company(kind: int) -> float:
        total = 0.0
        for other in sorted(scene.present):
            total += float(facts.together[kind, other])
        return total

    return {
        "random": (present, draws.sample(absent, PER_SPLIT)),
        "popular": (present, draws.sample(popular, PER_SPLIT)),
        "adversarial": (present, sorted(absent, key=lambda k: (-company(k), k))[:PER_SPLIT]),
    }


def choice_questions(scene: Scene, most: int = 4, visit: int = 0) -> list[Choice]:
    """Up to ``most`` questions with 2 to 4 options, about subjects that are unique in the scene.

    ``visit`` redraws subjects and options (training only).
    """
    draws = Draws(_ASKING_STREAM + 1, scene.stream, scene.index, visit)
    unsure = {t.kind for t in scene.things if not t.clear}
    colours = [t.kind // len(SHAPES) for t in scene.things]
    shapes = [t.kind % len(SHAPES) for t in scene.things]
    asked: list[tuple[str, tuple[str, ...], int, str]] = []
    for thing in scene.things:
        colour, shape = divmod(thing.kind, len(SHAPES))
        if thing.kind in unsure:
            continue
        if shapes.count(shape) == 1:
            asked.append((f"What colour is the {SHAPES[shape]}?", COLOURS, colour, "colour"))
        if colours.count(colour) == 1:
            asked.append((f"What shape is the {COLOURS[colour]} object?", SHAPES, shape, "shape"))
    return [_options(draws, *question) for question in draws.sample(asked, most)]


def _options(draws: Draws, text: str, names: tuple[str, ...], right: int, subject: str) -> Choice:
    """Half of all questions have four options, a quarter three, a quarter two."""
    n = (2, 3, 4, 4)[draws.integer(4)]
    others = draws.sample([i for i in range(len(names)) if i != right], n - 1)
    options = draws.sample([right, *others], n)
    return Choice(text, tuple(names[i] for i in options), options.index(right), subject)
