"""DeBERTa (He et al., 2020): the first version, whose queries, keys and values are one map."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import deberta_v2, refuse, renamed
from armature.checkpoint.views import Grouped
from armature.config import Config
from armature.model.spec import Own, Stack

if TYPE_CHECKING:
    from torch import Tensor, nn

# What the second version can do besides, at its value here.
_LATER = {
    "share_att_key": False,
    "position_buckets": -1,
    "norm_rel_ebd": "none",
    "conv_kernel_size": 0,
}
LIKE = deberta_v2
DEFAULTS = {
    key: value
    for key, value in deberta_v2.DEFAULTS.items()
    if key not in _LATER and not key.startswith("conv_")
} | {
    "vocab_size": 50265,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    refuse(c, talking_head=False)
    twin = c.copy()
    twin.update(_LATER)
    twin.__dict__["read_keys"] = c.read_keys
    stack = deberta_v2.spec(twin)
    assert callable(stack.block)
    block = replace(stack.block(0), attn=Own(lambda: _attention(twin)))
    return replace(stack, block=block)


def _attention(c: Config) -> nn.Module:
    found: Any = deberta_v2.attention(c, _fused())
    # HF: every word of the setting counts, known or not, used or not.
    terms = len(deberta_v2._words(c.pos_att_type))
    found.scale = (found.head_width * (1 + terms)) ** -0.5
    return found


@cache
def _fused() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.layers.disentangled import Disentangled
    from armature.layers.linear import Linear, LinearGroup

    class Fused(Disentangled):
        """Attention to content and distances, whose keys have no bias."""

        def __init__(self, width: int, *sizes: Any) -> None:
            super().__init__(width, *sizes)
            inner = self.heads * self.head_width
            parts = dict.fromkeys("qkv", int(inner))
            self.qkv = LinearGroup(width, parts, bias=False, groups=self.heads)
            self.q_bias = nn.Parameter(torch.zeros(inner))
            self.v_bias = nn.Parameter(torch.zeros(inner))
            if self.position_k is not None:
                self.position_k = Linear(width, inner, bias=False)

        def _projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            q, k, v = self.qkv(x)
            return self._heads(q + self.q_bias), self._heads(k), self._heads(v + self.v_bias)

    return Fused


# fmt: off
NAMES = {ours: theirs for ours, theirs in deberta_v2.NAMES.items()
         if "conv" not in ours and ours != "bias.norm"} | {
    "blocks.{i}.attn.qkv":        Grouped("encoder.layer.{i}.attention.self.in_proj"),
    "blocks.{i}.attn.q_bias":     "encoder.layer.{i}.attention.self.q_bias",
    "blocks.{i}.attn.v_bias":     "encoder.layer.{i}.attention.self.v_bias",
    "blocks.{i}.attn.position_k": "encoder.layer.{i}.attention.self.pos_proj",
    "blocks.{i}.attn.position_q": "encoder.layer.{i}.attention.self.pos_q_proj",
}
UNUSED = (*deberta_v2.UNUSED, "max_position_embeddings")  # where only distances count

HEADS = renamed(deberta_v2.HEADS, "V2", "", "ForMultipleChoice")
# fmt: on
INPUTS = "deberta"
