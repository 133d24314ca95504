"""The CLIP model from which a tower was taken: its text tower and both projections.

LLaVA checkpoints hold neither, so it is an extra input, named by the user and part of the keys.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from calprune.collect.adapter import Found
from calprune.collect.hf.checkpoint import Checkpoint
from calprune.collect.hf.names import find
from calprune.errors import ModelError, PlanError

EXAMPLE = "openai/clip-vit-large-patch14-336"
_AT_ONCE = 64


class ClipModel:
    """A folder or repository in the layout of transformers' ``CLIPModel``, in float32.

    Opening it reads configuration and tokenizer; weights are read when first used.
    """

    def __init__(self, name: str, width: int, tower: str, device: str, download: bool) -> None:
        """Open it for the tower of model ``tower``, whose states are ``width`` wide.

        ``name`` is a local folder or a repository, with ``@`` and a revision if it is not main.
        Raises PlanError if it is no CLIP model or one of another width, ModelError if its files
        cannot be had.
        """
        self.name, self.device = name, device
        self.checkpoint = Checkpoint(_found(name, download))
        kind = self.checkpoint.settings("config.json").get("model_type")
        if kind != "clip":
            raise PlanError(
                f"--clip {name}: a {kind!r} model, not a CLIP model with its text tower and both "
                f"projections ('clip'), such as {EXAMPLE}"
            )
        takes = self.checkpoint.config.vision_config.hidden_size
        if takes != width:
            raise PlanError(
                f"--clip {name}: its projection takes {takes} values a patch, the vision tower of "
                f"{tower} gives {width}; name the CLIP model that this tower was taken from"
            )
        known, rows = len(self.checkpoint.tokenizer), self._text.vocab_size
        if known != rows:  # without its files, transformers makes one that knows next to nothing
            raise ModelError(
                f"--clip {name}: its tokenizer knows {known} tokens, its text tower {rows}; "
                f"download it again into {self.checkpoint.folder}"
            )
        if not any(self.checkpoint.folder.glob("*.safetensors")):
            raise ModelError(
                f"--clip {name}: no weights in {self.checkpoint.folder} that are safetensors, and "
                "others could run any code; convert them, or name a revision that has them "
                "(REPOSITORY@REVISION)"
            )

    @property
    def _text(self) -> Any:
        return self.checkpoint.config.text_config

    @property
    def mark(self) -> str:
        """``clip:`` and the beginning of the digest over its weights and files."""
        return f"clip:{self.checkpoint.digest[:8]}"

    @property
    def width(self) -> int:
        """Width of the space that images and texts share."""
        return int(self.checkpoint.config.projection_dim)

    @cached_property
    def model(self) -> Any:
        """Transformers' ``CLIPModel`` without its vision tower, which the LLaVA has."""
        from transformers import CLIPModel

        try:
            model, _ = self.checkpoint.read_model(CLIPModel, torch.float32)
        except ModelError as error:
            raise ModelError(f"--clip {self.name}: {error}") from error
        model.vision_model = None
        return model.to(self.device).eval()

    @torch.inference_mode()
    def joint(self, patches: Tensor, norm: Any) -> Tensor:
        """Patches (..., d) of the tower in the joint space, float32 (..., D), as CDPruner's.

        ``norm`` is the tower's own ``post_layernorm``, which its patches have not passed.
        """
        weight, bias = norm.weight.float(), norm.bias.float()
        shape = norm.normalized_shape
        normed = torch.nn.functional.layer_norm(patches.float(), shape, weight, bias, norm.eps)
        found: Tensor = self.model.visual_projection(normed)
        return found

    @torch.inference_mode()
    def phrase(self, texts: Sequence[str]) -> list[Tensor]:
        """Pooled and projected texts, float32 (segments, D) each, as CDPruner's."""
        parts = [self.segments(text) for text in texts]
        ids, mask = (torch.cat(x).to(self.device) for x in zip(*parts, strict=True))
        rows = []
        for few, there in zip(ids.split(_AT_ONCE), mask.split(_AT_ONCE), strict=True):
            found = self.model.get_text_features(input_ids=few, attention_mask=there)
            rows.append(getattr(found, "pooler_output", found))  # an object since transformers 5
        return list(torch.cat(rows).split([len(i) for i, _ in parts]))

    def segments(self, text: str) -> tuple[Tensor, Tensor]:
        """Token ids and mask, int64 (segments, 77) each, filled up with zeros.

        Text and marks around it are cut every 77 tokens: only the first segment begins with the
        mark of the beginning, only the last one has that of the end.
        """
        long = int(self._text.max_position_embeddings)
        ids = torch.tensor(self.checkpoint.tokenizer(text, verbose=False)["input_ids"])
        filled = torch.zeros(2, -(-len(ids) // long) * long, dtype=torch.long)
        filled[0, : len(ids)], filled[1, : len(ids)] = ids, 1
        return filled[0].view(-1, long), filled[1].view(-1, long)


def _found(name: str, download: bool) -> Found:
    """Its folder; errors speak of ``--clip``, since they would otherwise of ``--model``."""
    folder = Path(os.path.expanduser(name)).is_dir()
    repository, _, revision = (name, "", "") if folder else name.partition("@")
    if not folder and (repository.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise PlanError(
            f"--clip {name}: there is no such folder; name one in the layout of transformers' "
            f"CLIPModel, or a repository such as {EXAMPLE}"
        )
    try:
        return find(repository, revision, download)
    except (PlanError, ModelError) as error:
        told = str(error).replace("--model", "--clip")
        raise type(error)(f"--clip {name}: {told}") from error
