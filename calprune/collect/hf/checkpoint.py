"""Reading a checkpoint: configuration, tokenizer, image processor, weights, and their digest.

Of how its authors meant replies to be generated, only the end tokens count: ``greedily`` is greedy.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from calprune.collect.adapter import Found
from calprune.collect.hf.digests import folder_sha256
from calprune.collect.hf.names import check_device_kind, check_dtype, config_of
from calprune.errors import ModelError, PlanError

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_NUMBERS = ("F16", "BF16", "F32", "F64")
_CONVERTERS = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class Checkpoint:
    """A folder in Hugging Face layout; every part is read when first asked for."""

    def __init__(self, found: Found) -> None:
        self.name, self.folder, self.source = found.name, found.folder, found.source
        config_of(found)  # refuses other layouts before transformers guesses
        if (self.folder / "tokenizer.model").exists() and not self._has("tokenizer.json"):
            self._check_converters()

    @cached_property
    def config(self) -> Any:
        """The configuration, with defaults filled in."""
        from transformers import AutoConfig

        return self._load(AutoConfig.from_pretrained)

    @cached_property
    def tokenizer(self) -> Any:
        """The fast tokenizer."""
        from transformers import AutoTokenizer

        return self._load(AutoTokenizer.from_pretrained)

    @cached_property
    def ends(self) -> frozenset[int]:
        """Token ids that end a reply.

        Those of generation_config.json, else of the configuration, else of the tokenizer.
        """
        text = getattr(self.config, "text_config", None)
        for said in (
            self.settings("generation_config.json").get("eos_token_id"),
            getattr(self.config, "eos_token_id", None),
            getattr(text, "eos_token_id", None),
            self.tokenizer.eos_token_id,
        ):
            ids = said if isinstance(said, list) else [said]
            if not all(i is None or isinstance(i, int) for i in ids):
                raise ModelError(f"{self.folder}: eos_token_id {said!r} is no token id")
            if found := frozenset(i for i in ids if i is not None):
                return found
        return frozenset()

    @cached_property
    def image_processor(self) -> Any:
        """The PIL back-end, whichever others are installed: they differ in pixels' last digits.

        Taken by name, since what selects it in ``AutoImageProcessor`` differs by version.
        """
        import transformers

        settings = self.settings("preprocessor_config.json")
        settings = settings or self.settings("processor_config.json").get("image_processor", {})
        kind = str(settings.get("image_processor_type", "")).removesuffix("Fast")
        # in transformers 5 the plain name became torchvision's
        cls = getattr(transformers, f"{kind}Pil", None) or getattr(transformers, kind or "-", None)
        if cls is None or not kind.endswith("ImageProcessor"):
            raise ModelError(
                f"{self.folder}: no image processor in preprocessor_config.json (found {kind!r})"
            )
        return self._load(cls.from_pretrained)

    @cached_property
    def chat_template(self) -> str:
        """The template that is shipped with the processor or the tokenizer; empty if none is."""
        from transformers import AutoProcessor

        shipped = getattr(self._load(AutoProcessor.from_pretrained), "chat_template", None)
        return str(shipped or self.tokenizer.chat_template or "")

    def settings(self, name: str) -> dict[str, Any]:
        """What one of the folder's JSON files says; empty if there is none."""
        try:
            read = json.loads((self.folder / name).read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{self.folder}/{name}: {error}") from error
        return read if isinstance(read, dict) else {}

    def weights(self, cls: Any, dtype: str, device: str) -> Any:
        """The model with its weights, for inference; ModelError if any are missing.

        Its generation_config.json stays unread: see ``ends`` and ``greedily``.
        """
        from transformers import GenerationConfig

        if not self._has("*.safetensors"):
            pickled = sorted(p.name for kind in _PICKLES for p in self.folder.glob(kind))
            if pickled:
                raise ModelError(
                    f"{self.folder}: its weights are pickled ({pickled[0]}) and could run any "
                    "code; convert them to safetensors, or take a revision that has them"
                )
            raise ModelError(f"{self.folder}: no weights in it (*.safetensors)")
        generation = GenerationConfig()
        model, report = self.read_model(
            cls, DTYPES[dtype], generation_config=generation, **_tower_renamed(cls)
        )
        surplus = [k for k in report["unexpected_keys"] if re.search(r"\.layers\.\d+\.", k)]
        if surplus:  # a configuration with fewer layers would give a truncated model
            raise ModelError(
                f"{self.folder}: {len(surplus)} weights have no place in its configuration, such "
                f"as {sorted(surplus)[0]}; config.json and weights belong to different models"
            )
        text = model.model.language_model
        if text.config._attn_implementation != "sdpa":  # eager would *add* a boolean mask
            raise ModelError(
                f"{self.name}: attention is {text.config._attn_implementation}, not sdpa"
            )
        try:
            return model.to(device).eval()
        except torch.OutOfMemoryError as error:
            raise PlanError(
                f"{self.name} in {dtype} does not fit on {device}: try --dtype float16, or another "
                "--device"
            ) from error

    def read_model(self, cls: Any, dtype: torch.dtype, **options: Any) -> tuple[Any, Any]:
        """A model on the CPU, and transformers' report of weights that found no place.

        ModelError for weights that are missing, of another shape, or no plain numbers.
        """
        self._check_weights()
        model, report = self._load(
            cls.from_pretrained,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused here
            **options,
        )
        # transformers fills what is missing with random numbers
        absent = [*report["missing_keys"], *report["mismatched_keys"], *report["error_msgs"]]
        if absent:
            named = sorted(a if isinstance(a, str) else str(a[0]) for a in absent)  # by release
            raise ModelError(
                f"{self.folder}: {len(absent)} weights are missing or misshapen, such as "
                f"{one_line(named[0])}; download the model again, with its own config.json"
            )
        return model, report

    def _check_weights(self) -> None:
        """Whole numbers are cast without a word, as if quantised weights were the model's own."""
        from safetensors import safe_open

        for path in sorted(self.folder.glob("*.safetensors")):
            try:
                with safe_open(path, "pt") as file:
                    kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            except Exception as error:  # the safetensors library raises its own
                raise ModelError(f"{path}: no readable weights ({one_line(error)})") from error
            for name, kind in sorted(kinds.items()):
                if kind not in _NUMBERS and not name.endswith("position_ids"):
                    raise ModelError(
                        f"{path}: {name} holds {kind}, not {', '.join(_NUMBERS)}; quantised "
                        "weights cannot be read: take the model as it was before"
                    )

    def _check_converters(self) -> None:
        missing = [name for name, module in _CONVERTERS.items() if not _installed(module)]
        if missing:
            raise ModelError(
                f"{self.folder}: no tokenizer.json in it, and reading its tokenizer.model takes "
                f"{' and '.join(missing)}: pip install {' '.join(missing)}, or take a revision "
                "that has a tokenizer.json"
            )

    def _has(self, pattern: str) -> bool:
        return any(self.folder.glob(pattern))

    def _load(self, read: Callable[..., Any], **options: Any) -> Any:
        try:
            with _silent():
                return read(self.folder, local_files_only=True, trust_remote_code=False, **options)
        except Exception as error:  # the tokenizers library raises the bare class
            raise ModelError(
                f"{self.folder}: cannot be loaded as {self.name}: {one_line(error)}"
            ) from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names and bytes of weights, configuration, tokenizer and processor."""
        return folder_sha256(self.folder)


@torch.inference_mode()
def greedily(
    model: Any, ends: Collection[int], most: int, **inputs: Any
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Plain greedy decoding of one sequence by transformers' own ``generate``.

    Whatever else the model's generation config says (temperatures, penalties, beams, forced tokens)
    takes no part and warns of nothing: it is put aside, since ``generate`` looks up there whatever
    it is not told.

    Returns:
        Ids int64 (t,) of the new tokens and the raw logits float32 (t, vocabulary) of each.
    """
    from transformers import GenerationConfig

    plain = GenerationConfig(
        max_new_tokens=most,
        do_sample=False,
        num_beams=1,
        eos_token_id=sorted(ends) or None,
        pad_token_id=0,  # one sequence is never padded; without it there is a warning
        output_logits=True,
        return_dict_in_generate=True,
    )
    shipped, model.generation_config = model.generation_config, plain
    try:
        answer = model.generate(generation_config=plain, **inputs)
    finally:
        model.generation_config = shipped
    logits = torch.cat(answer.logits).float().cpu().numpy()
    # with embeddings as input there are new tokens only, with ids the prompt comes first
    return answer.sequences[0, -len(logits) :].cpu().numpy(), logits


def counts_on() -> bool:
    """Whether ``generate`` counts on from position ids that it is given: transformers 5.2."""
    import transformers

    return tuple(int(n) for n in transformers.__version__.split(".")[:2]) >= (5, 2)


@contextmanager
def _silent() -> Iterator[None]:
    """Holds back transformers' log: what is wrong is said in one line, by whoever asks."""
    from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity

    disable_progress_bar()
    usual = get_verbosity()
    set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        set_verbosity(usual)


def one_line(error: object, most: int = 300) -> str:
    """What another library says, on one line and not without end."""
    text = " ".join(str(error).split())
    return text if len(text) <= most else f"{text[:most]} …"


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that it would be in
        return False


def _tower_renamed(cls: Any) -> dict[str, Any]:
    """Before 5.1, transformers wraps CLIP once more and cannot read the names saved since."""
    known = getattr(cls, "_checkpoint_conversion_mapping", None)
    if not known:
        return {}
    tower = {r"^vision_tower\.(?!vision_model\.)": "model.vision_tower.vision_model."}
    return {"key_mapping": tower | known}


def device_named(name: str) -> str:
    """The device by name, the best one for an empty name; PlanError if it is not there."""
    if not name:
        return "cuda" if torch.cuda.is_available() else "cpu"
    check_device_kind(name)
    try:
        torch.empty(0, device=torch.device(name))
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = str(error).split("\n")[0][:80]
        here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise PlanError(
            f"--device {name!r} cannot be used here ({reason}); here are: {', '.join(here)}"
        ) from error
    return name


def dtype_named(name: str, device: str) -> str:
    """The dtype by name; for an empty name float32 on a CPU and float16 elsewhere."""
    if not name:
        return "float32" if device.startswith("cpu") else "float16"
    check_dtype(name)
    return name
