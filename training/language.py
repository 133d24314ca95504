"""Stage 2: projector and language model, on cached features of a frozen tower."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calprune.data.random_draws import Draws
from calprune.data.shapes.questions import (
    LETTERS,
    absent_kinds,
    choice_questions,
    presence_prompt,
    presence_questions,
    usable_scenes,
)
from calprune.data.shapes.scenes import HELD_OUT, TRAIN_LANGUAGE, Scene
from training.layers import cosine, linear, llama_layer
from training.tower import TowerTrainer, normalise, patch_labels

IMAGES, HELD_OUT_IMAGES, FEW = 2_800, 200, 144
_VISIT_STREAM = 21


@dataclass(frozen=True)
class Seen:
    """An image as the language model's training sees it."""

    scene: Scene
    patches: Tensor  # bfloat16 (576, width), hidden_states[-2] without CLS
    on_object: np.ndarray  # bool (576,)


def train_language(model: nn.Module, processor: object, seed: int, steps: int) -> None:
    """Train in place: two thirds of the steps on 144 of 576 tokens, the last third on all."""
    torch.manual_seed(2000 + seed)
    seen = _look(model, TRAIN_LANGUAGE, IMAGES)
    asker = Asker(model, processor)
    _initialise(model, seen)
    trained = [*model.model.multi_modal_projector.parameters()]
    trained += [*model.model.language_model.parameters(), *model.lm_head.parameters()]
    optimiser = torch.optim.AdamW(trained, lr=0.0, betas=(0.9, 0.98), weight_decay=0.05)
    few, began, hits = 2 * steps // 3, time.process_time(), 0.0
    order = torch.randperm(len(seen)).tolist()
    for step in range(steps):
        n = 8 if step < few else 4
        if len(order) < n:
            order = torch.randperm(len(seen)).tolist()
        batch = [seen[order.pop()] for _ in range(n)]
        asked = [asker.training_questions(s.scene, seed * steps + step) for s in batch]
        kept = [_keep(s) for s in batch] if step < few else None
        for group in optimiser.param_groups:
            group["lr"] = cosine(step, steps, 200, 1.5e-3)
        logits, target = asker.answer([s.patches for s in batch], kept, asked)
        loss = F.cross_entropy(logits, target)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        hits = 0.98 * hits + 0.02 * float((logits.argmax(1) == target).float().mean())
        if step % 200 == 199:
            spent = time.process_time() - began
            print(f"language {step + 1}/{steps} right {hits:.3f} {spent:.0f} CPU-s", flush=True)


def held_out_accuracy(model: nn.Module, processor: object) -> float:
    """Share of right yes/no answers on held-out scenes with all 576 tokens."""
    asker, right, asked = Asker(model, processor), 0, 0
    with torch.no_grad():
        for s in _look(model, HELD_OUT, HELD_OUT_IMAGES):
            rows = []
            for present, absent in presence_questions(s.scene).values():
                rows += [(presence_prompt(k), "Yes") for k in present]
                rows += [(presence_prompt(k), "No") for k in absent]
            logits, target = asker.answer([s.patches], None, [rows])
            right += int((logits.argmax(1) == target).sum())
            asked += len(rows)
    return right / asked


def _look(model: nn.Module, stream: int, n: int) -> list[Seen]:
    """Run the tower once over ``n`` scenes and keep its penultimate patch features."""
    tower = TowerTrainer(model.model.vision_tower)
    seen, batch = [], []
    for i, scene in enumerate(usable_scenes(stream, n)):
        batch.append(scene)
        if len(batch) == 16 or i == n - 1:
            with torch.no_grad():
                h = tower.penultimate(normalise(np.stack([s.pixels for s in batch])))
            for s, patches in zip(batch, h[:, 1:].bfloat16(), strict=True):
                label, _counts = patch_labels(s)
                seen.append(Seen(s, patches.clone(), (label >= 0).ravel() & (label < 48).ravel()))
            batch = []
    return seen


def _keep(s: Seen) -> Tensor:
    """All object patches and random ground, 144 in all, in raster order."""
    rank = torch.rand(len(s.on_object)) - 2.0 * torch.from_numpy(s.on_object).float()
    return rank.argsort()[:FEW].sort().values


def _initialise(model: nn.Module, seen: list[Seen]) -> None:
    """Normal weights of variance 1/fan-in; the projector's input is standardised."""
    with torch.no_grad():
        layers = model.model.language_model.layers
        for name, weight in model.model.language_model.named_parameters():
            if weight.ndim == 2 and "embed" not in name:
                weight.normal_(std=weight.shape[1] ** -0.5)
                if "o_proj" in name or "down_proj" in name:
                    weight.div_((2 * len(layers)) ** 0.5)
        model.get_input_embeddings().weight.normal_(std=1.0)
        model.lm_head.weight.normal_(std=model.lm_head.weight.shape[1] ** -0.5)
        sample = torch.cat([s.patches.float() for s in seen[::28]])
        mean, std = sample.mean(0), sample.std(0)
        first = model.model.multi_modal_projector.linear_1
        second = model.model.multi_modal_projector.linear_2
        first.weight.normal_(std=first.weight.shape[1] ** -0.5).div_(std)
        first.bias.copy_(-first.weight @ mean)
        second.weight.normal_(std=2.0 * second.weight.shape[1] ** -0.5)
        second.bias.zero_()


class Asker:
    """Many questions about one image as one packed row: all see the image, none sees another."""

    def __init__(self, model: nn.Module, processor: object) -> None:
        self.model = model
        self.tokenizer = processor.tokenizer
        self.text = model.model.language_model
        self.heads = self.text.config.num_attention_heads
        self.head_ids = torch.tensor(self._ids("USER:", bos=True))
        self.ids: dict[str, list[int]] = {}

    def _ids(self, text: str, *, bos: bool = False) -> list[int]:
        ids = self.tokenizer(text)["input_ids"]
        return ids if bos else ids[1:]

    def training_questions(self, scene: Scene, visit: int) -> list[tuple[str, str]]:
        """Up to 5 present kinds, 5 uniformly drawn absent ones, and one choice."""
        draws = Draws(_VISIT_STREAM, scene.index, visit)
        rows = [(presence_prompt(k), "Yes") for k in draws.sample(sorted(scene.present), 5)]
        rows += [(presence_prompt(k), "No") for k in draws.sample(absent_kinds(scene), 5)]
        for choice in choice_questions(scene, most=1, visit=visit + 1):
            rows.append((choice.prompt, LETTERS[choice.answer]))
        return rows

    def answer(
        self, patches: list[Tensor], kept: list[Tensor] | None, asked: list[list[tuple[str, str]]]
    ) -> tuple[Tensor, Tensor]:
        """Logits at the end of every question (q, vocabulary) and the right answers' ids (q,)."""
        visual = torch.stack(patches).float()
        head, full = len(self.head_ids), visual.shape[1]
        places = torch.arange(full).expand(len(patches), full)
        if kept is not None:
            places = torch.stack(kept)
            visual = visual.gather(1, places[:, :, None].expand(-1, -1, visual.shape[2]))
        questions = [[self._question(text) for text, _ in rows] for rows in asked]
        ids, block, offset, last = _pack(questions)
        embed = self.text.embed_tokens
        projector = self.model.model.multi_modal_projector
        wide = F.gelu(linear(visual, projector.linear_1))
        image = linear(wide, projector.linear_2).float()
        start = embed(self.head_ids).expand(len(patches), head, -1)
        h = torch.cat([start, image, embed(ids)], 1)
        before = torch.arange(head).expand(len(patches), head)
        positions = torch.cat([before, head + places, head + full + offset], 1)
        rotary = self.text.rotary_emb(h, positions)
        mask = _tree_mask(head + places.shape[1], block)
        for layer in self.text.layers:
            h = llama_layer(layer, h, rotary, mask, self.heads)
        rows, columns = last
        ends = self.text.norm(h[rows, head + places.shape[1] + columns])
        truth = [self._ids(answer)[0] for row in asked for _, answer in row]
        return self.model.lm_head(ends), torch.tensor(truth)

    def _question(self, text: str) -> list[int]:
        if text not in self.ids:
            self.ids[text] = self._ids(f"\n{text} ASSISTANT:")
        return self.ids[text]


def _pack(questions: list[list[list[int]]]) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Ids, block number (−1 for padding) and offset in the block, (b, t); and where blocks end."""
    longest = max(sum(len(q) for q in row) for row in questions)
    ids = torch.zeros(len(questions), longest, dtype=torch.long)
    block, offset = torch.full_like(ids, -1), torch.zeros_like(ids)
    rows, ends = [], []
    for b, row in enumerate(questions):
        at = 0
        for i, q in enumerate(row):
            ids[b, at : at + len(q)] = torch.tensor(q)
            block[b, at : at + len(q)] = i
            offset[b, at : at + len(q)] = torch.arange(len(q))
            at += len(q)
            rows.append(b)
            ends.append(at - 1)
    return ids, block, offset, (torch.tensor(rows), torch.tensor(ends))


def _tree_mask(prefix: int, block: Tensor) -> Tensor:
    """(b, s, s), True where the row's token may see the column's."""
    b, t = block.shape
    causal = torch.ones(prefix + t, prefix + t, dtype=torch.bool).tril()
    everywhere = torch.zeros(b, prefix, dtype=torch.long) - 2
    owner = torch.cat([everywhere, block], 1)
    same = owner[:, :, None] == owner[:, None, :]
    return causal & (same | (owner[:, None, :] == -2))
