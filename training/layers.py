"""Mixed-precision forward passes over transformers' own modules, for training on a CPU.

Linear maps run in bfloat16; attention, norms and the residual stream stay in float32 (on a CPU
bfloat16 attention is slower than float32, bfloat16 linear maps three times faster).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def linear(x: Tensor, *modules: nn.Linear) -> Tensor:
    """The outputs of several linear modules side by side, in bfloat16."""
    weight = torch.cat([m.weight for m in modules]).bfloat16()
    bias = None
    if modules[0].bias is not None:
        bias = torch.cat([m.bias for m in modules]).bfloat16()
    return F.linear(x.bfloat16(), weight, bias)


def _heads(x: Tensor, n: int) -> Tensor:
    b, s, d = x.shape
    return x.float().view(b, s, n, d // n).transpose(1, 2)


def _merge(x: Tensor) -> Tensor:
    b, h, s, d = x.shape
    return x.transpose(1, 2).reshape(b, s, h * d)


def clip_layer(layer: nn.Module, h: Tensor, heads: int, *, only_cls: bool = False) -> Tensor:
    """One CLIP encoder layer; with ``only_cls`` just the CLS row of its output."""
    attention = layer.self_attn
    normed = layer.layer_norm1(h)
    if only_cls:
        q = linear(normed[:, :1], attention.q_proj)
        k, v = linear(normed, attention.k_proj, attention.v_proj).chunk(2, -1)
        h = h[:, :1]
    else:
        q, k, v = linear(normed, attention.q_proj, attention.k_proj, attention.v_proj).chunk(3, -1)
    mixed = F.scaled_dot_product_attention(_heads(q, heads), _heads(k, heads), _heads(v, heads))
    h = h + linear(_merge(mixed), attention.out_proj).float()
    wide = F.gelu(linear(layer.layer_norm2(h), layer.mlp.fc1))
    return h + linear(wide, layer.mlp.fc2).float()


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([-b, a], -1) * sin


def llama_layer(
    layer: nn.Module, h: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor, heads: int
) -> Tensor:
    """One Llama decoder layer under a boolean mask (b, s, s); True may be seen."""
    attention, mlp = layer.self_attn, layer.mlp
    qkv = linear(layer.input_layernorm(h), attention.q_proj, attention.k_proj, attention.v_proj)
    q, k, v = (_heads(part, heads) for part in qkv.chunk(3, -1))
    cos, sin = rotary[0][:, None], rotary[1][:, None]
    q, k = _turn(q, cos, sin), _turn(k, cos, sin)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None])
    h = h + linear(_merge(mixed), attention.o_proj).float()
    gate, up = linear(layer.post_attention_layernorm(h), mlp.gate_proj, mlp.up_proj).chunk(2, -1)
    return h + linear(F.silu(gate) * up, mlp.down_proj).float()


def cosine(step: int, steps: int, warm: int, peak: float) -> float:
    """Linear warm-up, then a cosine that ends near zero."""
    if step < warm:
        return peak * (step + 1) / warm
    done = (step - warm) / max(steps - warm, 1)
    return float(peak * 0.5 * (1.0 + torch.cos(torch.tensor(torch.pi * done))))
