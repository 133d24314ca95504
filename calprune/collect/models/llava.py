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
from jinja2 import TemplateError
from numpy.typing import NDArray
from PIL import Image
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
    feed, signal = "patches", "cls"
    title = "family: local folders of LLaVA-1.5 (CLIP tower with CLS, projector, Llama)"

    def __init__(
        self, name: str, folder: Path, *, device: str, dtype: str, tokens_per_forward: int
    ) -> None:
        if dtype not in _DTYPES:
            raise PlanError(f"unknown dtype {dtype!r}: known: {', '.join(_DTYPES)}")
        self.name, self.folder, self.device, self.dtype = name, folder, _device(device), dtype
        self.tokens_per_forward = tokens_per_forward or 4096
        layer = self._config.vision_feature_layer
        if not isinstance(layer, int) or self._config.vision_feature_select_strategy != "default":
            raise PlanError(
                f"{name}: needs one vision_feature_layer and a tower with CLS ('default')"
            )
        self.layer = (
            layer if layer < 0 else layer - self._config.vision_config.num_hidden_layers - 1
        )
        self.measures = {"view": f"patches@{self.layer}", "saliency": f"cls@{self.layer}:sum"}
        vision = self._config.vision_config
        self.grid = vision.image_size // vision.patch_size
        self.candidates, self.width = self.grid * self.grid, vision.hidden_size

    @cached_property
    def pixels(self) -> str:
        """The image processor's class: its back-ends differ in the last digits of a pixel."""
        return type(self._processor.image_processor).__name__

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
        wrong = (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError)
        try:
            return cls.from_pretrained(self.folder, local_files_only=True, **options)
        except (*wrong, ImportError, SafetensorError) as error:
            raise ModelError(f"{self.folder}: cannot be loaded as {self.name}: {error}") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names and bytes of weights, configuration, tokenizer and processor."""
        sha = hashlib.sha256()
        for path in sorted({p for pattern in _HASHED for p in self.folder.glob(pattern)}):
            try:
                opened = path.open("rb")
            except OSError as error:
                raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
            with opened as file:
                sha.update(
                    f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
                )
        return sha.hexdigest()

    @cached_property
    def _model(self) -> Any:
        from transformers import LlavaForConditionalGeneration

        model, report = self._load(
            LlavaForConditionalGeneration,
            dtype=_DTYPES[self.dtype],
            attn_implementation="sdpa",
            use_safetensors=True,
            output_loading_info=True,
        )
        # transformers fills what is missing with random numbers
        absent = [*report["missing_keys"], *report["mismatched_keys"], *report["error_msgs"]]
        if absent:
            raise ModelError(
                f"{self.folder}: {len(absent)} weights are missing or misshapen, such as "
                f"{absent[0]}; download the model again"
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
        except (ValueError, TemplateError) as error:
            raise ModelError(f"{self.folder}: no usable chat template ({error})") from error
        return str(text)

    def _tokenize(self, text: str) -> list[int]:
        return [int(i) for i in self._processor.tokenizer(text)["input_ids"]]

    def prompt(self, question: str) -> Prompt:
        """Ids around the image mark; PlanError if the question holds one itself."""
        ids = self._tokenize(self._render(question))
        mark = self._config.image_token_id
        if mark not in ids:
            raise ModelError(f"{self.folder}: its template or tokenizer drops the image mark")
        if ids.count(mark) != 1:
            raise PlanError(f"a question holds an image mark of its own: {question[:60]!r}")
        at = ids.index(mark)
        return Prompt(tuple(ids[:at]), tuple(ids[at + 1 :]))

    def first(self, answers: Sequence[Answer]) -> tuple[tuple[int, ...], ...]:
        """First token ids of the spellings after the template; disjoint between answers."""
        text = self._render("?")
        bare, unknown = self._tokenize(text), self._processor.tokenizer.unk_token_id
        blank = "" if text[-1:].isspace() else " "
        found = []
        for answer in answers:
            ids = []
            for spelling in answer.spellings:
                spelled = self._tokenize(f"{text}{blank}{spelling}")
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
        weight, bias = self._float_head
        logits = torch.nn.functional.linear(hidden.float(), weight, bias)
        return logits.cpu().numpy()

    @cached_property
    def _float_head(self) -> tuple[Tensor, Tensor | None]:
        head = self._model.lm_head
        return head.weight.float(), None if head.bias is None else head.bias.float()

    @torch.inference_mode()
    def generate(
        self,
        image: NDArray[np.uint8] | Path,
        question: str,
        kept: NDArray[np.integer],
        positions: str,
    ) -> NDArray[np.float32]:
        """The oracle: pixels and text to logits by transformers alone, nothing shared."""
        model, prompt = self._model, self.prompt(question)
        text = model.model.language_model
        found = model.get_image_features(pixel_values=self._pixels([image]))
        found = getattr(found, "pooler_output", found)[0]
        places = torch.from_numpy(np.asarray(kept, dtype=np.int64)).to(self.device)
        head, tail = (
            text.embed_tokens(torch.tensor(ids, dtype=torch.long, device=self.device))
            for ids in (prompt.before, prompt.tail)
        )
        embeds = torch.cat([head, found[places].to(head.dtype), tail])[None]
        options = {}
        if positions == "original":
            whole = torch.arange(len(head) + len(found) + len(tail), device=self.device)
            ends = (whole[: len(head)], places + len(head), whole[len(head) + len(found) :])
            options["position_ids"] = torch.cat(ends)[None]
        answer = model.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long, device=self.device),
            max_new_tokens=1,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
            **options,
        )
        logits: NDArray[np.float32] = answer.logits[0][0].float().cpu().numpy()
        return logits

    def numerics(self) -> dict[str, Any]:
        """Device, dtypes, attention kernel, route and batch size."""
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
            "route": "tree+system-kv",
            "tokens_per_forward": self.tokens_per_forward,
        }


def _device(name: str) -> str:
    """The device by name; PlanError if torch does not know it or it is not there."""
    try:
        torch.empty(0, device=torch.device(name))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n")[0]
        raise PlanError(f"--device {name!r} cannot be used here ({reason}); try cpu") from error
    return name


def _open_image(image: NDArray[np.uint8] | Path) -> Image.Image:
    if isinstance(image, np.ndarray):
        return Image.fromarray(image)
    try:
        with Image.open(image) as opened:
            return opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BenchmarkError(f"cannot read image {image}: {error}") from error


def _numpy(tensor: Tensor) -> NDArray[Any]:
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.cpu().numpy()
