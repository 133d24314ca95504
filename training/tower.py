"""Stage 1: the vision tower, trained to name what each patch and each image shows."""

from __future__ import annotations

import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calprune.data.shapes.scenes import PATCH, SIDE, TRAIN_TOWER, Scene, draw_scene
from calprune.data.shapes.world import COLOURS, KINDS, SHAPES
from training.layers import clip_layer, cosine

GRID = SIDE // PATCH
WINDOW = GRID // 2
IGNORE, GROUND = -100, KINDS
_SHORTEST, _LONGEST, _WAVES = 2.6, 96.0, 32
_ATTEND = (3, 5, 7, 9, 12, 14, 16, 19)  # eight wavelengths between 3.5 and 24 patches
_OFFSETS = (
    ((1.3, 0.0), (-1.3, 0.0), (0.0, 1.3), (0.0, -1.3)),
    ((1.6, 1.6), (-1.6, 1.6), (1.6, -1.6), (-1.6, -1.6)),
    ((2.2, 0.0), (-2.2, 0.0), (0.0, 2.2), (0.0, -2.2)),
)


def patch_labels(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Per patch its kind, GROUND or IGNORE (24, 24), and its pixels of each kind (24, 24, 48)."""
    kinds = np.array([t.kind for t in scene.things] + [KINDS], dtype=np.int64)
    kind = kinds[np.where(scene.owner >= 0, scene.owner, len(kinds) - 1)]
    rows = np.arange(SIDE) // PATCH
    cell = rows[:, None] * GRID + rows[None, :]
    flat = np.bincount((cell * (KINDS + 1) + kind).ravel(), minlength=GRID * GRID * (KINDS + 1))
    counts = flat.reshape(GRID, GRID, KINDS + 1)[:, :, :KINDS]
    pixels = counts.sum(-1)
    label = np.where(pixels >= 10, counts.argmax(-1), np.where(pixels == 0, GROUND, IGNORE))
    return label, counts


def image_labels(label: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Per kind 1 (two or more patches), 0 (absent) or −1 (hardly there, ignored), (48,)."""
    patches = np.bincount(label[(label >= 0) & (label < KINDS)].ravel(), minlength=KINDS)
    return np.where(patches >= 2, 1, np.where(counts.sum((0, 1)) == 0, 0, -1))


def normalise(pixels: np.ndarray) -> Tensor:
    """uint8 (…, h, w, 3) to float32 (…, 3, h, w) with mean 0.5 and std 0.25."""
    x = (pixels.astype(np.float32) / 255.0 - 0.5) / 0.25
    return torch.from_numpy(np.moveaxis(x, -1, -3).copy())


def initialise(vision: nn.Module) -> None:
    """Sine-cosine positions, and early heads that look at fixed offsets, as convolutions do."""
    rate = (
        2 * math.pi / (_SHORTEST * (_LONGEST / _SHORTEST) ** (torch.arange(_WAVES) / (_WAVES - 1)))
    )
    y, x = torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="ij")
    angle_x, angle_y = x.reshape(-1, 1) * rate, y.reshape(-1, 1) * rate
    table = torch.cat([angle_x.sin(), angle_x.cos(), angle_y.sin(), angle_y.cos()], 1)
    with torch.no_grad():
        positions = vision.embeddings.position_embedding.weight
        positions[0].zero_()
        positions[1:] = 0.25 * table
        for layer, offsets in zip(vision.encoder.layers, _OFFSETS, strict=False):
            for head, offset in enumerate(offsets):
                _look_aside(layer.self_attn, head, offset, rate)


def _look_aside(attention: nn.Module, head: int, offset: tuple[float, float], rate: Tensor) -> None:
    """Make one head's query match the key of the patch ``offset`` (x, y) away."""
    gain, width = 1.6, 4 * len(_ATTEND)
    q = attention.q_proj.weight[head * width : (head + 1) * width]
    k = attention.k_proj.weight[head * width : (head + 1) * width]
    for axis, shift in enumerate(offset):
        for i, wave in enumerate(_ATTEND):
            row = (axis * len(_ATTEND) + i) * 2
            sine, cosine_ = axis * 2 * _WAVES + wave, axis * 2 * _WAVES + _WAVES + wave
            turn = float(rate[wave]) * shift
            k[row, sine] += gain
            k[row + 1, cosine_] += gain
            q[row, sine] += gain * math.cos(turn)
            q[row, cosine_] += gain * math.sin(turn)
            q[row + 1, cosine_] += gain * math.cos(turn)
            q[row + 1, sine] -= gain * math.sin(turn)


class TowerTrainer(nn.Module):
    """The tower with the heads that only training needs."""

    def __init__(self, vision: nn.Module) -> None:
        super().__init__()
        width = vision.config.hidden_size
        self.vision = vision
        self.heads = vision.config.num_attention_heads
        self.dense = nn.Linear(width, KINDS + 1 + len(COLOURS) + len(SHAPES))
        self.image = nn.ModuleList([nn.Linear(width, KINDS), nn.Linear(width, KINDS)])

    def penultimate(self, pixels: Tensor, places: Tensor | None = None) -> Tensor:
        """hidden_states[-2], (b, 1 + patches, width); ``places`` (b, patches) are positions."""
        embed = self.vision.embeddings
        patches = embed.patch_embedding(pixels).flatten(2).transpose(1, 2)
        table = embed.position_embedding.weight
        patches = patches + (table[1:] if places is None else table[1 + places])
        cls = (embed.class_embedding + table[0]).expand(len(pixels), 1, -1)
        h = self.vision.pre_layrnorm(torch.cat([cls, patches], 1))
        for layer in self.vision.encoder.layers[:-1]:
            h = clip_layer(layer, h, self.heads)
        return h

    def loss(
        self, pixels: Tensor, label: Tensor, kinds: Tensor, places: Tensor | None
    ) -> tuple[Tensor, float]:
        """Dense + 0.7 image loss, and the accuracy of patch kinds."""
        h = self.penultimate(pixels, places)
        last = clip_layer(self.vision.encoder.layers[-1], h, self.heads, only_cls=True)
        heads = (self.image[0](h[:, 0]), self.image[1](self.vision.post_layernorm(last[:, 0])))
        target, known = kinds.clamp(min=0).float(), (kinds >= 0).float()
        weight = known * (1.0 + 2.0 * target)
        image = sum(
            F.binary_cross_entropy_with_logits(x, target, weight, reduction="none").sum(1).mean()
            / 8
            for x in heads
        )
        dense, accuracy = self._dense(h[:, 1:], label)
        return dense + 0.7 * image, accuracy

    def _dense(self, patches: Tensor, label: Tensor) -> tuple[Tensor, float]:
        label = label.flatten(1)
        shown = (label >= 0) & (label < KINDS)
        sampled = (label == GROUND) & (torch.rand(label.shape) < 0.12)
        chosen = shown | sampled
        out = self.dense(patches[chosen])
        truth = label[chosen]
        kind, colour, shape = out.split([KINDS + 1, len(COLOURS), len(SHAPES)], 1)
        real = truth < KINDS
        loss = F.cross_entropy(kind, truth)
        loss = loss + 0.5 * F.cross_entropy(colour[real], truth[real] // len(SHAPES))
        loss = loss + 0.5 * F.cross_entropy(shape[real], truth[real] % len(SHAPES))
        return loss, float((kind[real].argmax(1) == truth[real]).float().mean())


def _windows(first: int, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Four quarter windows of each of ``n`` crowded scenes, mirrored and re-placed at random."""
    pixels, labels, kinds = [], [], []
    half = SIDE // 2
    for i in range(n):
        scene = draw_scene(TRAIN_TOWER, first + i, crowded=True)
        label, counts = patch_labels(scene)
        for r in (0, 1):
            for c in (0, 1):
                at = np.s_[r * WINDOW : (r + 1) * WINDOW, c * WINDOW : (c + 1) * WINDOW]
                part, mirrored = label[at], bool(torch.rand(()) < 0.5)
                view = scene.pixels[r * half : (r + 1) * half, c * half : (c + 1) * half]
                pixels.append(view[:, ::-1] if mirrored else view)
                labels.append(part[:, ::-1] if mirrored else part)
                kinds.append(image_labels(part, counts[at]))
    corner = torch.randint(0, WINDOW + 1, (len(pixels), 2, 1, 1))
    steps = torch.arange(WINDOW)
    places = (corner[:, 0] + steps[:, None]) * GRID + corner[:, 1] + steps[None, :]
    return (
        normalise(np.stack(pixels)),
        torch.from_numpy(np.stack(labels).copy()),
        torch.from_numpy(np.stack(kinds)),
        places.flatten(1),
    )


def _whole(first: int, n: int) -> tuple[Tensor, Tensor, Tensor, None]:
    """``n`` whole images, every other one a natural scene."""
    scenes = [draw_scene(TRAIN_TOWER, first + i, crowded=i % 2 == 0) for i in range(n)]
    marked = [patch_labels(s) for s in scenes]
    return (
        normalise(np.stack([s.pixels for s in scenes])),
        torch.from_numpy(np.stack([label for label, _ in marked])),
        torch.from_numpy(np.stack([image_labels(*m) for m in marked])),
        None,
    )


def train_tower(vision: nn.Module, seed: int, steps: int) -> None:
    """Train in place: three quarters of the steps on windows, the last quarter on whole images."""
    torch.manual_seed(1000 + seed)
    initialise(vision)
    trainer = TowerTrainer(vision)
    optimiser = torch.optim.AdamW(
        trainer.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.03
    )
    first, began = seed * 10_000_000, time.process_time()
    windows, accuracy = 3 * steps // 4, 0.0
    for step in range(steps):
        n = 5 if step < windows else 4
        batch = _windows(first, n) if step < windows else _whole(first, n)
        first += n
        for group in optimiser.param_groups:
            group["lr"] = cosine(step, steps, 150, 2e-3)
        loss, hit = trainer.loss(*batch)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trainer.parameters(), 1.0)
        optimiser.step()
        accuracy = 0.98 * accuracy + 0.02 * hit
        if step % 200 == 199:
            spent = time.process_time() - began
            print(
                f"tower {step + 1}/{steps} patch kinds {accuracy:.3f} {spent:.0f} CPU-s", flush=True
            )
