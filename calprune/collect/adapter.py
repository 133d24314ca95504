"""The contract of a model: what an adapter of a model family offers.

An adapter knows one model family: it turns an image's size into a layout of visual tokens, images
into features, questions into token ids, and one forward into hidden states. Everything between
(packing, masks, positions of packs, routes, batches) is shared code in ``collect/packed``.
A plug-in file exports one class, a ``Family``, whose instances have the methods of ``Adapter``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from calprune.collect.signals import Signals
from calprune.data.benchmark import Answer, Picture
from calprune.data.condition import Scope

if TYPE_CHECKING:
    from torch import Tensor


STAND_IN_SIZE = (336, 336)  # of an image where none has to be looked at; LLaVA-1.5's


@dataclass(frozen=True)
class TokenLayout:
    """The v visual tokens of an image in the order in which the language model reads them.

    Attributes:
        cell: int32 (v, 3) crop, row and column of each; crop 0 is the whole image where there are
            several; −1 on separators.
        separator: bool (v,) rows that are no patch and always kept, such as row ends.
        box: float32 (v, 4) left, top, right, bottom in pixels of the image; NaN on separators.
        size: height and width of the image as processed.
    """

    cell: NDArray[np.int32]
    separator: NDArray[np.bool_]
    box: NDArray[np.float32]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.separator)

    @property
    def crops(self) -> dict[int, int]:
        """Crops and how many candidates each has."""
        crop, n = np.unique(self.cell[~self.separator, 0], return_counts=True)
        return dict(zip(crop.tolist(), n.tolist(), strict=True))

    def pools(self, scope: Scope) -> list[tuple[int | None, NDArray[np.int64]]]:
        """Tokens that compete with one another for a budget counted so: their places (n,).

        The whole image (None), or each crop by its number.
        """
        if scope == "global":
            return [(None, np.arange(len(self)))]
        return [(crop, np.flatnonzero(self.cell[:, 0] == crop)) for crop in self.crops]


@dataclass(frozen=True)
class EncodedImage:
    """One encoded image.

    ``features[name]`` float (v, d), on separators zero or what the family reads there;
    ``saliency[name]`` float32 (v,), NaN on separators.
    """

    layout: TokenLayout
    features: dict[str, NDArray[np.floating]]
    saliency: dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Prompt:
    """Token ids before the image, ``prefix``, and the question's ``suffix`` after it."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]


@dataclass(frozen=True)
class ImageRequest:
    """One image under one condition with all its distinct questions.

    ``visual`` float (k, d): kept rows of the features that go to the projector; ``separator``
    bool (k,): which of them are separators; ``positions`` int64 (p, k): their position ids;
    ``start``: position id of every suffix's first token.
    """

    visual: NDArray[np.floating]
    separator: NDArray[np.bool_]
    positions: NDArray[np.int64]
    start: int
    suffixes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Reach:
    """How far one kind of layer looks.

    ``window``: tokens back, counted in the shortened sequence and including the token itself, as
    a deployed pruned model counts; None is everything. ``both``: ``image`` lets the visual tokens
    see one another in both directions.
    """

    window: int | None = None
    both: Literal["none", "image"] = "none"


@dataclass(frozen=True)
class Step:
    """One forward over b padded sequences of s tokens, after the c tokens that ``past`` holds.

    Attributes:
        ids: int64 (b, s), 0 where a visual token stands.
        place: bool (b, s) where visual tokens stand.
        visual: float (n, d) rows of the projector's input for those places, in row-major order.
        separator: bool (n,) which of them are separators.
        positions: int64 (p, b, s).
        mask: bool (b, 1, s, c + s), or one for each kind of layer in ``Adapter.reach``; or ones
            (b, s) for a plainly causal forward without a past.
        past: a transformers ``Cache``; the forward appends to it.
    """

    ids: Tensor
    place: Tensor
    visual: NDArray[np.floating]
    separator: NDArray[np.bool_]
    positions: Tensor
    mask: Tensor | dict[str, Tensor]
    past: Any


@dataclass(frozen=True)
class Shape:
    """Dimensions from which FLOPs and bytes follow, of the language model and of its tower.

    ``tower_layers``: those that run; ``tower_tokens``: in one crop; ``context``: positions that the
    language model knows, 0 if that is not said.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    tower_layers: int
    tower_hidden: int
    tower_intermediate: int
    tower_tokens: int
    context: int = 0


class Adapter(Protocol):
    """What a model plug-in offers. Opening one reads configuration and tokenizer, not weights.

    Methods that run the model may be called inside or outside of inference mode.

    Attributes:
        title: one line for ``calprune ls``.
        name: the model's name in labels and folders.
        source: where it came from: folder, or repository and commit.
        digest: SHA-256 over weights, configuration, tokenizer and image processor.
        prefix_sharing: how questions share a prefix: ``tree``, ``branch`` or ``none``.
        reach: kinds of layers as the language model's masks are named, and how far each looks.
        saliencies: those that ``encode`` gives, of cls, received, probe, text.
        saliency: the one that selectors read.
        axes: of position ids: 1, or 3 where time, height and width are counted apart.
        projector_input: the name of the features that the projector, and so the language model,
            reads.
        selector_features: of those on which selectors measure similarity, mostly the same.
        measures: what features, saliency and auxiliary features (``collect/signals``) are, by the
            name under which selectors need them, e.g. ``patches@-2``, ``cls@-2:sum`` and
            ``keys@-2:mean``. Names that begin with ``text`` are measured on questions.
        pixels: the class that turns images into pixels, and by which rule. An adapter may have a
            method ``grid_of(sizes)``: what else ``Condition.pixels`` must say where images of these
            heights and widths are among those shown; empty if nothing.
        scope: how a budget is counted: in the image, split over its crops, or in each crop.
        ragged: the layout depends on the image's size.
        candidates: visual tokens an image has (the most, where images differ).
        width: of the projector's input, for the cost.
        shape: dimensions, for the cost.
        ends: token ids that end a reply; ``generate`` stops at them too. May be set anew.
        dtype: in which tower and language model compute.
        device: where.

    One of a model that was made for some pictures alone also has ``made_for``, a text: which. See
    ``collect/made_for``.
    """

    title: str
    name: str
    source: dict[str, str]
    digest: str
    prefix_sharing: Literal["tree", "branch", "none"]
    reach: Mapping[str, Reach]
    saliencies: frozenset[str]
    saliency: str
    axes: int
    projector_input: str
    selector_features: str
    measures: dict[str, str]
    pixels: str
    scope: Scope
    ragged: bool
    candidates: int
    width: int
    shape: Shape
    ends: frozenset[int]
    dtype: str
    device: str

    def token_layout(self, size: tuple[int, int]) -> TokenLayout:
        """The visual tokens of an image of this height and width; arithmetic, no weights."""
        ...

    def encode(self, images: Sequence[Picture]) -> list[EncodedImage]:
        """Run the vision tower once over a few images."""
        ...

    def measure(self, images: Sequence[Picture], names: Collection[str]) -> list[Signals]:
        """Signals of a few images by name, each (rows, width); see ``collect/signals`` for them.

        Rows are the v tokens of the layout, zero on separators and, unless they are embedded, on
        other row ends; of ``cls-token`` the crops. float32, wide ones in the tower's dtype where
        numpy has it.
        """
        ...

    def phrase(self, questions: Sequence[str], names: Collection[str]) -> list[Signals]:
        """Signals of questions by name, each (rows, width).

        Of the question's own words, without template and the lines that say in which form to
        answer.
        """
        ...

    def template(self) -> str:
        """The rendered prompt with ``{question}`` and the image mark, named at its beginning."""
        ...

    def prompt(self, question: str) -> Prompt:
        """Token ids before and after the image."""
        ...

    def positions(self, prefix: int, layout: TokenLayout) -> NDArray[np.int64]:
        """Position ids (p, prefix + v + 1) of prefix, visual tokens and suffixes' first token."""
        ...

    def first(self, answers: Sequence[Answer]) -> tuple[tuple[int, ...], ...]:
        """Per answer the ids with which its spellings begin, found after the template."""
        ...

    def layers(self) -> Sequence[Any]:
        """The decoder layers; each is called with its mask as ``attention_mask``."""
        ...

    def forward(self, step: Step) -> Tensor:
        """Hidden states (b, s, D) after the last norm."""
        ...

    def lm_head(self, hidden: Tensor) -> NDArray[np.float32]:
        """Logits (q, vocabulary) of hidden rows (q, D), computed in float32."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """A reply's ids as text, without special tokens and blanks around it."""
        ...

    def generate(
        self,
        image: Picture,
        question: str,
        kept: NDArray[Any],
        positions: str,
        most: int = 1,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The greedy reply of transformers' own ``generate``, from pixels and text alone.

        ``kept`` are indices (k,) of tokens, or new rows (m, d) of the projector's input in their
        place. Ids (t,) of ``most`` tokens or up to one of ``ends``, which is the last of them, and
        the raw logits (t, vocabulary) that each is the largest of.
        """
        ...

    def numerics(self) -> dict[str, Any]:
        """What may move a logit by rounding only: device, dtypes, attention kernel."""
        ...


class LayerwiseModel(Adapter, Protocol):
    """An adapter whose decoder runs layer by layer, which selectors inside the model need.

    A family without these members serves all other selectors.
    """

    @property
    def decoder_kind(self) -> str:
        """``model_type`` of the language model's configuration; loads no weights."""
        ...

    @property
    def decoder(self) -> Any:
        """The transformers text model: ``layers``, ``norm``, ``rotary_emb``, ``embed_tokens``."""
        ...

    def embedded(self, step: Step) -> Tensor:
        """What the first layer reads: words and visual tokens (b, s, D)."""
        ...

    def whole(self, image: Picture) -> Tensor:
        """All visual embeddings (v, D) of one image by transformers' own functions, from pixels."""
        ...


@dataclass(frozen=True)
class Found:
    """A model's name, its folder, and where that came from (repository and commit, if any).

    ``made_for`` is what its folder declares, see ``collect/made_for``.
    """

    name: str
    folder: Path
    source: dict[str, str] = field(default_factory=dict)
    made_for: str = ""


class Family(Protocol):
    """The class that a model plug-in exports: how to open one of its models."""

    title: ClassVar[str]
    pictures: ClassVar[tuple[str, ...]]

    def __call__(self, found: Found, options: ModelOptions) -> Adapter:
        """Read configuration and tokenizer; PlanError for options that this family lacks."""
        ...


@dataclass(frozen=True)
class ModelOptions:
    """How a model is run; empty text means the model's own default.

    ``picture``: how an image becomes visual tokens; ``template``: how a question becomes a prompt;
    ``clip``: the CLIP model that the tower was taken from, a folder or REPOSITORY[@REVISION], for
    signals that compare image and question; ``download``: what is named may be fetched.
    """

    device: str = ""
    dtype: str = ""
    picture: str = ""
    template: str = ""
    clip: str = ""
    download: bool = True
