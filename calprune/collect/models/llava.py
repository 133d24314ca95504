"""LLaVA-1.5: transformers' ``LlavaForConditionalGeneration`` with a CLIP tower."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError
from torch import Tensor

from calprune.collect.masks import counting, tree_mask
from calprune.collect.models import Prompt, Reply, Row, Seen
from calprune.collect.packs import VISUAL, Pack, batches, build, length
from calprune.collect.taps import SeenEnough, cls_attention, taps
from calprune.data.benchmarks import Answer
from calprune.errors import BenchmarkError, ModelError, PlanError

__all__ = ["Llava"]

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_HASHED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
_MARK = "\x00question\x00"


class Llava:
    """Adapter for CLIP + projector + Llama; questions share their image as a tree."""

    share: Literal["tree", "branch", "none"] = "tree"
    feed = "patches"
    title = "LLaVA-1.5: CLIP tower with CLS, projector, Llama"

    def __init__(
        self, name: str, folder: Path, *, device: str, dtype: str, tokens_per_forward: int
    ) -> None:
        if dtype not in _DTYPES:
            raise PlanError(f"unknown dtype {dtype!r}: known: {', '.join(_DTYPES)}")
        self.name, self.folder, self.device, self.dtype = name, folder, device, dtype
        self.tokens_per_forward = tokens_per_forward or 4096
        layer = self._config.vision_feature_layer
        if not isinstance(layer, int) or self._config.vision_feature_select_strategy != "default":
            raise PlanError(
                f"{name}: needs one vision_feature_layer and a tower with CLS ('default')"
            )
        self.layer = (
            layer if layer < 0 else layer - self._config.vision_config.num_hidden_layers - 1
        )
        self.measure = f"patches@{self.layer}+cls@{self.layer}:sum"
        vision = self._config.vision_config
        self.grid = vision.image_size // vision.patch_size
        self.candidates, self.width = self.grid * self.grid, vision.hidden_size

    # What is read from the folder ---------------------------------------------------------------

    @cached_property
    def _config(self) -> Any:
        from transformers import AutoConfig

        return self._load(AutoConfig)

    @cached_property
    def _processor(self) -> Any:
        from transformers import AutoProcessor

        return self._load(AutoProcessor)

    def _load(self, cls: Any, **options: Any) -> Any:
        from transformers.utils import logging

        logging.disable_progress_bar()
        wrong = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)
        try:
            return cls.from_pretrained(self.folder, local_files_only=True, **options)
        except wrong as error:
            raise ModelError(f"{self.folder}: cannot be loaded as {self.name}: {error}") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names and bytes of weights, configuration, tokenizer and processor."""
        sha = hashlib.sha256()
        for path in sorted({p for pattern in _HASHED for p in self.folder.glob(pattern)}):
            with path.open("rb") as file:
                sha.update(
                    f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
                )
        return sha.hexdigest()

    @cached_property
    def _model(self) -> Any:
        from transformers import LlavaForConditionalGeneration

        model = self._load(
            LlavaForConditionalGeneration,
            dtype=_DTYPES[self.dtype],
            attn_implementation="sdpa",
            use_safetensors=True,
        )
        text = model.model.language_model
        if text.config._attn_implementation != "sdpa":  # eager would *add* a boolean mask
            raise ModelError(
                f"{self.name}: attention is {text.config._attn_implementation}, not sdpa"
            )
        return model.to(self.device).eval()

    # Vision -------------------------------------------------------------------------------------

    def encode(self, images: Sequence[NDArray[np.uint8] | Path]) -> list[Seen]:
        """Penultimate CLIP patches and the CLS attention of the same layer."""
        tower = self._model.model.vision_tower
        inner = getattr(tower, "vision_model", tower)
        block = inner.encoder.layers[self.layer]
        with torch.inference_mode(), taps(block) as tapped, contextlib.suppress(SeenEnough):
            tower(pixel_values=self._pixels(images))
        patches = tapped["output"][:, 1:]
        saliency = cls_attention(tapped["q"], tapped["k"], block.self_attn.num_heads)
        rows, columns = np.divmod(np.arange(self.candidates, dtype=np.int32), self.grid)
        cell = np.stack([np.zeros_like(rows), rows, columns], axis=1)
        side = self._config.vision_config.image_size
        return [
            Seen(
                view={"patches": _numpy(p)},
                saliency={"cls": _numpy(s).astype(np.float32)},
                cell=cell,
                glue=np.zeros(self.candidates, dtype=np.bool_),
                size=(side, side),
            )
            for p, s in zip(patches, saliency, strict=True)
        ]

    def _pixels(self, images: Sequence[NDArray[np.uint8] | Path]) -> Tensor:
        opened = [_open_image(i) for i in images]
        batch = self._processor.image_processor(images=opened, return_tensors="pt")
        pixels: Tensor = batch["pixel_values"].to(self.device, _DTYPES[self.dtype])
        return pixels

    # Language -----------------------------------------------------------------------------------

    def template(self) -> str:
        """The chat template around one image and ``{question}``."""
        return self._render(_MARK).replace(_MARK, "{question}")

    def _render(self, question: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": question}]
        try:
            text = self._processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True
            )
        except ValueError as error:
            raise ModelError(f"{self.name}: no chat template in {self.folder}") from error
        return str(text)

    def _tokenize(self, text: str) -> list[int]:
        return [int(i) for i in self._processor.tokenizer(text)["input_ids"]]

    def prompt(self, question: str) -> Prompt:
        """Ids around the image mark; PlanError if the question holds one itself."""
        ids = self._tokenize(self._render(question))
        mark = self._config.image_token_id
        if ids.count(mark) != 1:
            raise PlanError(f"a question holds an image mark of its own: {question[:60]!r}")
        at = ids.index(mark)
        return Prompt(tuple(ids[:at]), tuple(ids[at + 1 :]))

    def first(self, answers: Sequence[Answer]) -> tuple[tuple[int, ...], ...]:
        """First token ids of the spellings after the template; disjoint between answers."""
        text = self._render("?")
        bare, unknown = self._tokenize(text), self._processor.tokenizer.unk_token_id
        found = []
        for answer in answers:
            ids = []
            for spelling in answer.spellings:
                spelled = self._tokenize(f"{text} {spelling}")
                differ = (b for a, b in zip([*bare, None], spelled, strict=False) if a != b)
                token = next(differ, unknown)
                if token != unknown and token not in ids:
                    ids.append(token)
            if not ids:
                raise ModelError(f"{self.name}: its vocabulary has no token for {answer.name!r}")
            found.append(tuple(ids))
        every = [i for ids in found for i in ids]
        if len(set(every)) != len(every):
            raise ModelError(f"{self.name}: two answers begin with the same token: {found}")
        return tuple(found)

    @cached_property
    def _system(self) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of everything before the image, per layer (1, heads, n, d)."""
        from transformers import DynamicCache

        ids = torch.tensor([self.prompt("?").before], device=self.device)
        cache = DynamicCache()
        text = self._model.model.language_model
        with torch.inference_mode():
            text(inputs_embeds=text.embed_tokens(ids), past_key_values=cache, use_cache=True)
        layers: list[Any] = list(cache.layers)
        return [(layer.keys, layer.values) for layer in layers]

    def reply(self, rows: Sequence[Row]) -> Reply:
        """Packed forwards over rows of similar length; answers in the order they were asked."""
        groups = batches([length(r) for r in rows], self.tokens_per_forward)
        found: dict[int, Reply] = {}
        for group in groups:
            whole, at = self._forward([rows[i] for i in group]), 0
            for i in group:
                q = slice(at, at + len(rows[i].tails))
                found[i] = Reply(whole.logits[q], whole.tokens[q], whole.visual[q])
                at = q.stop
        ordered = [found[i] for i in range(len(rows))]
        return Reply(
            np.concatenate([r.logits for r in ordered]),
            np.concatenate([r.tokens for r in ordered]),
            np.concatenate([r.visual for r in ordered]),
        )

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Row]) -> Reply:
        from transformers import DynamicCache

        pack = build(rows)
        text = self._model.model.language_model
        segment = torch.from_numpy(pack.segment).to(self.device)
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self._system):
            b = len(rows)
            cache.update(keys.expand(b, -1, -1, -1), values.expand(b, -1, -1, -1), layer)
        mask = tree_mask(segment, self._system[0][0].shape[2])
        last = torch.from_numpy(pack.last).to(self.device)
        with counting(text.layers, segment, last) as counts:
            hidden = text(
                inputs_embeds=self._embed(rows, pack),
                attention_mask=mask,
                position_ids=torch.from_numpy(pack.positions).to(self.device),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
        tokens, visual = (np.stack([c[i] for c in counts], axis=1) for i in (0, 1))
        return Reply(self._head(hidden[last[:, 0], last[:, 1]]), tokens, visual)

    def _embed(self, rows: Sequence[Row], pack: Pack) -> Tensor:
        text = self._model.model.language_model
        embeds: Tensor = text.embed_tokens(torch.from_numpy(pack.ids).to(self.device))
        visual = np.concatenate([r.visual for r in rows])
        if len(visual):
            where = torch.from_numpy(pack.segment == VISUAL).to(self.device)
            embeds[where] = self._project(visual)
        return embeds

    def _project(self, visual: NDArray[np.floating]) -> Tensor:
        rows = torch.from_numpy(visual).to(self.device, _DTYPES[self.dtype])
        projected: Tensor = self._model.model.multi_modal_projector(rows)
        return projected

    def _head(self, hidden: Tensor) -> NDArray[np.float32]:
        """The head in float32: half-precision logits would leave a few hundred confidences."""
        head = self._model.lm_head
        bias = None if head.bias is None else head.bias.float()
        logits = torch.nn.functional.linear(hidden.float(), head.weight.float(), bias)
        return logits.cpu().numpy()

    @torch.inference_mode()
    def generate(
        self, image: NDArray[np.uint8] | Path, kept: NDArray[np.integer], row: Row, tail: int
    ) -> NDArray[np.float32]:
        """The oracle: pixels to logits of one question by transformers alone, nothing shared."""
        model, before = self._model, self.prompt("?").before
        text = model.model.language_model
        found = model.get_image_features(pixel_values=self._pixels([image]))
        found = getattr(found, "pooler_output", found)[0]
        visual = found[torch.from_numpy(np.asarray(kept, dtype=np.int64)).to(self.device)]
        head, end = (
            text.embed_tokens(torch.tensor(ids, dtype=torch.long, device=self.device))
            for ids in (before, row.tails[tail])
        )
        embeds = torch.cat([head, visual.to(head.dtype), end])[None]
        places = np.concatenate(
            [np.arange(len(before)), row.positions, row.start + np.arange(len(row.tails[tail]))]
        )
        answer = model.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long, device=self.device),
            position_ids=torch.from_numpy(places)[None].to(self.device),
            max_new_tokens=1,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        logits: NDArray[np.float32] = answer.logits[0][0].float().cpu().numpy()
        return logits

    def numerics(self) -> dict[str, Any]:
        """Device, dtypes, attention kernel, route and batch size."""
        device = torch.cuda.get_device_name() if self.device.startswith("cuda") else self.device
        return {
            "device": device,
            "tower": self.dtype,
            "language": self.dtype,
            "head": "float32",
            "selection": "float64",
            "attention": "sdpa",
            "route": "tree+system-kv",
            "tokens_per_forward": self.tokens_per_forward,
        }


def _open_image(image: NDArray[np.uint8] | Path) -> Image.Image:
    if isinstance(image, np.ndarray):
        return Image.fromarray(image)
    try:
        with Image.open(image) as opened:
            return opened.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BenchmarkError(f"cannot read image {image}: {error}") from error


def _numpy(tensor: Tensor) -> NDArray[Any]:
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.cpu().numpy()
