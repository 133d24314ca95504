"""What LLaVA-1.5 and LLaVA-NeXT share: a CLIP tower with CLS, a projector, a causal decoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from calprune import registry
from calprune.collect.adapter import (
    EncodedImage,
    Found,
    ModelOptions,
    Prompt,
    Reach,
    Shape,
    Step,
    TokenLayout,
)
from calprune.collect.hf.checkpoint import (
    DTYPES,
    Checkpoint,
    counts_on,
    device_named,
    dtype_named,
    greedily,
)
from calprune.collect.hf.clip import see
from calprune.collect.hf.clip_model import ClipModel
from calprune.collect.hf.clip_signals import ClipSignals
from calprune.collect.hf.templates import converse
from calprune.collect.signals import Signals
from calprune.data.benchmark import Answer, Picture
from calprune.errors import ModelError, PlanError

_DECODERS = {"llama": "vicuna_v1", "mistral": "mistral_instruct"}  # known, and their prompts


class ClipLlama:
    """Base of both adapters; a family adds layouts, pixels and what its separators are."""

    pictures: ClassVar[tuple[str, ...]]
    model_class: ClassVar[str]
    prefix_sharing: Literal["tree", "branch", "none"] = "tree"
    saliencies: frozenset[str] = frozenset({"cls"})
    saliency, axes = "cls", 1
    projector_input, selector_features = "patches", "patches"

    def __init__(self, found: Found, options: ModelOptions) -> None:
        self.checkpoint = Checkpoint(found)
        self.name, self.source, self.made_for = found.name, found.source, found.made_for
        self.device = device_named(options.device)
        self.dtype = dtype_named(options.dtype, self.device)
        self.picture = options.picture or self.pictures[0]
        if self.picture not in self.pictures:
            raise PlanError(registry.unknown("way to show a picture", self.picture, self.pictures))
        self.vision, self.language = self.config.vision_config, self.config.text_config
        self.layer = self._checked_layer()
        if not 0 < self.vision.patch_size <= self.vision.image_size:
            raise ModelError(f"{self.name}: a tower with patch_size {self.vision.patch_size}")
        self.grid = self.vision.image_size // self.vision.patch_size
        self.width = self.vision.hidden_size
        self.clip: ClipModel | None = None
        if options.clip:
            self.clip = ClipModel(
                options.clip, self.width, self.name, self.device, options.download
            )
        self.clip_signals = ClipSignals(self)
        self.measures = {
            "features": f"patches@{self.layer}",
            "saliency": f"cls@{self.layer}:sum",
            **self.clip_signals.described(),
        }
        self.conversation = converse(
            self.checkpoint, self.image_id, options.template, _DECODERS[self.language.model_type]
        )
        self._check_processor()
        self.ends = self.checkpoint.ends

    def _checked_layer(self) -> int:
        layer = self.config.vision_feature_layer
        tower, decoder = self.vision.model_type, self.language.model_type
        if tower != "clip_vision_model" or decoder not in _DECODERS:
            raise PlanError(
                f"{self.name}: a {tower} tower with a {decoder} decoder; known are CLIP with "
                f"{' or '.join(_DECODERS)}"
            )
        if not isinstance(layer, int) or self.config.vision_feature_select_strategy != "default":
            raise PlanError(
                f"{self.name}: needs one vision_feature_layer and a tower with CLS ('default')"
            )
        depth = self.vision.num_hidden_layers
        found = layer if layer < 0 else layer - depth - 1
        if not -depth <= found < 0:
            raise PlanError(f"{self.name}: vision_feature_layer {layer} of {depth} layers")
        return found

    def _check_processor(self) -> None:
        """A processor made for another tower gives other crops without a word."""
        folder, processor = self.checkpoint.folder, self.checkpoint.image_processor
        patch = self.checkpoint.settings("processor_config.json")
        patch = patch.get("patch_size", self.vision.patch_size)
        if patch != self.vision.patch_size:
            raise ModelError(
                f"{folder}: its processor has patch_size {patch}, its vision tower "
                f"{self.vision.patch_size}; they belong to different models"
            )
        sides = {*_sides(processor.size), *_sides(processor.crop_size)}
        if sides != {self.vision.image_size}:
            raise ModelError(
                f"{folder}: its image processor gives {_listed(sides)} pixels a side, its vision "
                f"tower takes {self.vision.image_size}; they belong to different models"
            )
        steps = ("do_resize", "do_center_crop", "do_rescale", "do_normalize")
        left_out = [step for step in steps if not getattr(processor, step, False)]
        if left_out or len(processor.image_mean) != 3 or len(processor.image_std) != 3:
            raise ModelError(
                f"{folder}: its image processor is not CLIP's: {', '.join(left_out) or 'mean'} "
                "is off"
            )

    @property
    def config(self) -> Any:
        """The checkpoint's configuration."""
        return self.checkpoint.config

    @property
    def digest(self) -> str:
        """The checkpoint's digest."""
        return self.checkpoint.digest

    @property
    def image_id(self) -> int:
        """Token id of the image mark; renamed in transformers 4.52."""
        found = getattr(self.config, "image_token_id", None)
        return int(self.config.image_token_index if found is None else found)

    @property
    def pixels(self) -> str:
        """The image processor's class (its back-ends differ in last digits), and the picture."""
        kind = type(self.checkpoint.image_processor).__name__
        # transformers 5 renamed the PIL class
        return f"{kind.removesuffix('Pil')}:pil/{self.picture}"

    @property
    def shape(self) -> Shape:
        """Dimensions of decoder and tower."""
        return Shape(
            layers=self.language.num_hidden_layers,
            hidden=self.language.hidden_size,
            intermediate=self.language.intermediate_size,
            heads=self.language.num_attention_heads,
            kv_heads=self.language.num_key_value_heads or self.language.num_attention_heads,
            head_width=self.language.hidden_size // self.language.num_attention_heads,
            vocabulary=self.language.vocab_size,
            tower_layers=self.vision.num_hidden_layers + self.layer + 1,
            tower_hidden=self.vision.hidden_size,
            tower_intermediate=self.vision.intermediate_size,
            tower_tokens=self.grid**2 + 1,
            context=int(getattr(self.language, "max_position_embeddings", 0) or 0),
        )

    @property
    def reach(self) -> Mapping[str, Reach]:
        """One kind of layer: everything before, or Mistral's window."""
        return {"full_attention": Reach(getattr(self.language, "sliding_window", None))}

    # Images -------------------------------------------------------------------------------------

    @abstractmethod
    def token_layout(self, size: tuple[int, int]) -> TokenLayout:
        """See ``Adapter``."""

    @abstractmethod
    def encode(self, images: Sequence[Picture]) -> list[EncodedImage]:
        """See ``Adapter``."""

    @abstractmethod
    def crops(self, opened: Image.Image) -> Tensor:
        """Pixels (crops, 3, side, side) of one image."""

    @abstractmethod
    def laid_out(self, name: str, rows: Tensor, size: tuple[int, int]) -> Tensor:
        """Rows (v, d) of a signal in the layout's order, from those of each crop (crops, p, d)."""

    @abstractmethod
    def whole(self, image: Picture) -> Tensor:
        """All visual embeddings (v, D) of one image by transformers' own functions, from pixels."""

    def see(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Penultimate patches (n, 576, d) of square crops and their CLS attention."""
        pixels = pixels.to(self.device, DTYPES[self.dtype])
        return see(self.tower, pixels, self.layer)

    def measure(self, images: Sequence[Picture], names: Collection[str]) -> list[Signals]:
        """See ``Adapter``; one more pass through the tower, as far as the signals need it."""
        return self.clip_signals.measure(images, names)

    def cells(self) -> NDArray[np.int32]:
        """Row and column (576, 2) of one crop's patches."""
        rows, columns = np.divmod(np.arange(self.grid**2, dtype=np.int32), self.grid)
        return np.stack([rows, columns], axis=1)

    # Prompts ------------------------------------------------------------------------------------

    def template(self) -> str:
        """The conversation's name and text."""
        return f"{self.conversation.name}: {self.conversation.rendered}"

    def prompt(self, question: str) -> Prompt:
        """Ids around the image mark."""
        return self.conversation.prompt(question)

    def first(self, answers: Sequence[Answer]) -> tuple[tuple[int, ...], ...]:
        """First token ids of the spellings."""
        return self.conversation.first(answers)

    def phrase(self, questions: Sequence[str], names: Collection[str]) -> list[Signals]:
        """See ``Adapter``; of a question's own words, without template and answer format."""
        return self.clip_signals.phrase(questions, names)

    def text(self, ids: Sequence[int]) -> str:
        """As the tokenizer decodes them."""
        read = self.checkpoint.tokenizer.decode([int(i) for i in ids], skip_special_tokens=True)
        return str(read).strip()

    def positions(self, prefix: int, layout: TokenLayout) -> NDArray[np.int64]:
        """One after another."""
        return np.arange(prefix + len(layout) + 1, dtype=np.int64)[None]

    # Language -----------------------------------------------------------------------------------

    @cached_property
    def model(self) -> Any:
        """The transformers model, loaded when first used."""
        import transformers

        cls = getattr(transformers, self.model_class)
        return self.checkpoint.weights(cls, self.dtype, self.device)

    @property
    def tower(self) -> Any:
        """The transformers vision model; before 5.1 it was wrapped once more."""
        tower = self.model.model.vision_tower
        return getattr(tower, "vision_model", tower)

    def layers(self) -> Sequence[Any]:
        """The decoder's layers."""
        layers: Sequence[Any] = self.model.model.language_model.layers
        return layers

    @property
    def decoder_kind(self) -> str:
        """See ``LayerwiseModel``."""
        return str(self.language.model_type)

    @property
    def decoder(self) -> Any:
        """The transformers text model, whose layers ``collect/in_model`` calls one by one."""
        return self.model.model.language_model

    @torch.inference_mode()
    def forward(self, step: Step) -> Tensor:
        """Embeddings in, hidden states out."""
        hidden: Tensor = self.decoder(
            inputs_embeds=self.embedded(step),
            attention_mask=step.mask,
            position_ids=step.positions[0],
            past_key_values=step.past,
            use_cache=True,
        ).last_hidden_state
        return hidden

    def embedded(self, step: Step) -> Tensor:
        """What the first layer reads: words and visual tokens (b, s, D)."""
        embeds: Tensor = self.decoder.embed_tokens(step.ids)
        if len(step.visual):
            rows = torch.from_numpy(step.visual).to(self.device, DTYPES[self.dtype])
            visual = self.embed(rows, torch.from_numpy(step.separator).to(self.device))
            # unlike an index, this does not wait for the device
            embeds = embeds.masked_scatter(step.place[:, :, None], visual.to(embeds.dtype))
        return embeds

    def words(self, text: str) -> Tensor:
        """The language model's own embeddings (t, D) of a text's tokens."""
        ids = self.checkpoint.tokenizer(text, add_special_tokens=False)["input_ids"]
        embeds: Tensor = self.decoder.embed_tokens(
            torch.tensor(ids, dtype=torch.long, device=self.device)
        )
        return embeds

    def embed(self, rows: Tensor, separator: Tensor) -> Tensor:
        """Visual embeddings (n, D) of rows of the projector's input."""
        return self.project(rows)

    def project(self, patches: Tensor) -> Tensor:
        """Visual embeddings of patches."""
        projected: Tensor = self.model.model.multi_modal_projector(patches)
        return projected

    @torch.inference_mode()
    def lm_head(self, hidden: Tensor) -> NDArray[np.float32]:
        """The head in float32: half-precision logits would leave a few hundred confidences."""
        weight, bias = self._float_head
        logits = torch.nn.functional.linear(hidden.float(), weight, bias)
        return logits.cpu().numpy()

    @cached_property
    def _float_head(self) -> tuple[Tensor, Tensor | None]:
        layer = self.model.lm_head
        return layer.weight.float(), None if layer.bias is None else layer.bias.float()

    @torch.inference_mode()
    def generate(
        self,
        image: Picture,
        question: str,
        kept: NDArray[Any],
        positions: str,
        most: int = 1,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The reference: pixels and text to a greedy reply by transformers alone, nothing shared.

        Before 5.2, transformers repeats the last of the position ids that it is given instead of
        counting on. At original positions, each token is then one of a ``generate`` of its own,
        over embeddings and position ids that have grown by the token before it.
        """
        prompt, found = self.prompt(question), self.whole(image)
        text = self.model.model.language_model
        index = kept if kept.ndim == 1 else np.zeros(0)
        places = torch.from_numpy(index.astype(np.int64)).to(self.device)
        prefix, suffix = (
            text.embed_tokens(torch.tensor(ids, dtype=torch.long, device=self.device))
            for ids in (prompt.prefix, prompt.suffix)
        )
        if kept.ndim == 2:  # new tokens, made before the projector
            found = self.project(torch.from_numpy(kept).to(self.device, DTYPES[self.dtype]))
            places = torch.arange(len(kept), device=self.device)
        embeds = torch.cat([prefix, found[places].to(prefix.dtype), suffix])[None]
        if positions == "contiguous":
            return self._greedily(embeds, most)
        whole = torch.arange(len(prefix) + len(found) + len(suffix), device=self.device)
        ends = (whole[: len(prefix)], places + len(prefix), whole[len(prefix) + len(found) :])
        return self._greedily_at(embeds, torch.cat(ends)[None], most)

    def _greedily_at(
        self, embeds: Tensor, ids: Tensor, most: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if counts_on():
            return self._greedily(embeds, most, position_ids=ids)
        words = self.model.get_input_embeddings()
        said: list[NDArray[np.int64]] = []
        logits: list[NDArray[np.float32]] = []
        while len(said) < most and not (said and int(said[-1][0]) in self.ends):
            token, row = self._greedily(embeds, 1, position_ids=ids)
            said.append(token)
            logits.append(row)
            embeds = torch.cat([embeds, words(torch.from_numpy(token).to(self.device))[None]], 1)
            ids = torch.cat([ids, ids[:, -1:] + 1], dim=1)
        return np.concatenate(said), np.concatenate(logits)

    def _greedily(
        self, embeds: Tensor, most: int, **options: Tensor
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        there = torch.ones(embeds.shape[:2], dtype=torch.long, device=self.device)
        return greedily(
            self.model, self.ends, most, inputs_embeds=embeds, attention_mask=there, **options
        )

    def numerics(self) -> dict[str, Any]:
        """Device, dtypes and attention kernel."""
        cuda = self.device.startswith("cuda")
        tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        return {
            "device": torch.cuda.get_device_name(self.device) if cuda else self.device,
            **({"tf32": list(tf32)} if cuda else {}),
            "tower": self.dtype,
            "language": self.dtype,
            "head": "float32",
            "selection": "float64",
            "attention": "sdpa",
        }


def _sides(size: Any) -> set[int]:
    """Pixels a side of a processor's size, which is a mapping or an object by version."""
    names = ("height", "width", "shortest_edge", "longest_edge")
    found = (size.get(n) if hasattr(size, "get") else getattr(size, n, None) for n in names)
    return {int(n) for n in found if n} or {0}


def _listed(sides: set[int]) -> str:
    return " and ".join(str(n) for n in sorted(sides))
