"""Mamba (Gu and Dao, 2023): no attention; each token decides what a state of fixed size keeps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.config import Config
from armature.model.spec import Own, RMSNorm, Stack, Tokens
from armature.outputs.tasks import Base, CausalLM

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.context import Context

DEFAULTS: dict[str, Any] = {
    "vocab_size": 50280,
    "hidden_size": 768,
    "state_size": 16,
    "num_hidden_layers": 32,
    "layer_norm_epsilon": 1e-5,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "expand": 2,
    "conv_kernel": 4,
    "use_bias": False,
    "use_conv_bias": True,
    "hidden_act": "silu",
    "initializer_range": 0.1,
    "time_step_rank": None,  # "auto": a sixteenth of the width
    "time_step_scale": 1.0,
    "time_step_min": 0.001,
    "time_step_max": 0.1,
    "time_step_floor": 1e-4,
    "time_step_init_scheme": "random",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return Stack(
        embed=Tokens(c.vocab_size, c.hidden_size),
        block=lambda _index: Own(lambda: _layer()(c)),
        depth=c.num_hidden_layers,
        norm=RMSNorm(c.layer_norm_epsilon),
    )


# ------------------------------------------- its own organs: only building a model needs torch


@dataclass
class Memory:
    """What a layer remembers of each row: the last tokens before its convolution, and the state."""

    keys: Tensor  # (B, kernel - 1, I)
    values: Tensor  # (B, I, S)

    def clone(self) -> Memory:
        """Return a copy."""
        return Memory(self.keys.clone(), self.values.clone())

    def select(self, rows: Tensor) -> None:
        """Keep the rows named, in that order; a row may be named several times."""
        self.keys, self.values = self.keys[rows], self.values[rows]

    def join(self, other: Memory) -> None:
        """Add the rows of another memory below these."""
        import torch

        self.keys = torch.cat((self.keys, other.keys))
        self.values = torch.cat((self.values, other.values))


@cache
def _trained() -> tuple[type, type, type]:
    import torch
    from torch import nn

    from armature.layers.linear import Linear

    class Decay(nn.Module):
        """How fast each number of a state fades, as a logarithm."""

        def __init__(self, inner: int, size: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(inner, size))

        def compute(self, weight: Tensor) -> None:
            """Fill a fresh weight."""
            weight.copy_(torch.arange(1, weight.shape[1] + 1).log().expand_as(weight))

    class Skip(nn.Module):
        """How much of a token goes past the state."""

        def __init__(self, inner: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(inner))

    class Pace(Linear):
        """How much time passes with a token."""

        def __init__(self, c: Config, rank: int, inner: int) -> None:
            super().__init__(rank, inner)
            self.spread = rank**-0.5 * c.time_step_scale
            self.even = c.time_step_init_scheme == "constant"
            self.range = (c.time_step_min, c.time_step_max, c.time_step_floor)

        def compute(self, weight: Tensor) -> None:
            """Fill a fresh weight: paces are spread over the range that the config gives."""
            if weight.dim() == 2:
                weight.uniform_(self.spread if self.even else -self.spread, self.spread)
                return
            low, high, least = self.range
            pace = weight.uniform_(math.log(low), math.log(high)).exp_().clamp_(min=least)
            weight.copy_(pace + (-torch.expm1(-pace)).log())

    return Decay, Skip, Pace


@cache
def _mixer() -> type[nn.Module]:
    import torch
    from torch import nn
    from torch.nn import functional as F

    from armature.layers.act import activation
    from armature.layers.filters import Convolution
    from armature.layers.linear import Linear
    from armature.layers.recall import Rectangle

    class Mixer(nn.Module):
        """A short convolution, then a state that fades and takes in as each token says."""

        causal = True

        def __init__(self, c: Config) -> None:
            super().__init__()
            decay, skip, pace = _trained()
            inner, width = int(c.expand * c.hidden_size), c.hidden_size
            auto = c.time_step_rank in (None, "auto")
            rank, size = math.ceil(width / 16) if auto else int(c.time_step_rank), c.state_size
            self.into = Linear(width, 2 * inner, bias=c.use_bias)
            self.conv = Convolution(inner, inner, c.conv_kernel, groups=inner, bias=c.use_conv_bias)
            self.chooses = Linear(inner, rank + 2 * size, bias=False)
            self.pace, self.decay, self.skip = pace(c, rank, inner), decay(inner, size), skip(inner)
            self.out = Linear(inner, width, bias=c.use_bias)
            self.act, self.sizes = activation(c.hidden_act), (rank, size, size)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            rows = context.once("rows", lambda: Rectangle.of(context.layout))
            lengths = torch.tensor(context.layout.lengths, device=x.device)
            inner, gate = rows.cut(self.into(x)).chunk(2, -1)  # (B, T, I)
            memory = self._memory(inner, context)
            both = torch.cat((memory.keys, inner), 1)
            y = self.act(self.conv(both.transpose(1, 2))).transpose(1, 2)
            step, taken, shown = self.chooses(y).split(self.sizes, -1)
            real = torch.arange(y.shape[1], device=x.device) < lengths[:, None]
            wide = memory.values.dtype
            pace = F.softplus(self.pace(step).to(wide)) * real[..., None]  # no time after the end
            rate = -self.decay.weight.to(wide).exp()
            choices = (taken.to(wide), shown.to(wide))
            z, state = _scan(y.to(wide), pace, rate, choices, memory.values)
            z = (z + y * self.skip.weight.to(wide)) * F.silu(gate)
            if context.cache is not None:
                places = lengths[:, None] + torch.arange(memory.keys.shape[1], device=x.device)
                index = places[..., None].expand(-1, -1, both.shape[2])
                layers: dict[int, Any] = context.cache.layers
                layers[context.layer] = Memory(both.gather(1, index), state)
            return self.out(rows.join(z).to(x.dtype))

        def _memory(self, inner: Tensor, context: Context) -> Memory:
            cache = context.cache
            if cache is not None and context.layer in cache.layers:
                found: Any = cache.layers[context.layer]
                return found
            rows, _, width = inner.shape
            near = inner.new_zeros(rows, self.conv.kernel_size[0] - 1, width)
            wide = torch.promote_types(inner.dtype, torch.float32)
            return Memory(near, inner.new_zeros(rows, width, self.sizes[1], dtype=wide))

    return Mixer


def _scan(
    y: Tensor, pace: Tensor, rate: Tensor, choices: tuple[Tensor, Tensor], state: Tensor
) -> tuple[Tensor, Tensor]:
    """Return what is read (B, T, I), and the state (B, I, S).

    Args:
        y: (B, T, I) what is taken in.
        pace: (B, T, I) how much time passes.
        rate: (I, S) how fast the state fades.
        choices: (B, T, S) where a token is taken in, and what is read of the state.
        state: (B, I, S) before.
    """
    import torch

    taken, shown = choices
    found = []
    for start in range(0, y.shape[1], 128):  # so many tokens at once, for memory's sake
        part = slice(start, start + 128)
        fades = (pace[:, part, :, None] * rate).exp()  # (B, t, I, S)
        news = (pace * y)[:, part, :, None] * taken[:, part, None]
        states = []
        for fade, new in zip(fades.unbind(1), news.unbind(1), strict=True):
            state = fade * state + new
            states.append(state)
        found.append((torch.stack(states, 1) @ shown[:, part, :, None]).squeeze(-1))
    return torch.cat(found, 1), state


@cache
def _layer() -> type[nn.Module]:
    from armature.layers.norm import RMSNorm as Norm
    from armature.model.block import Block

    class Layer(Block):
        """x + mixer(norm(x))."""

        def __init__(self, c: Config) -> None:
            norms: Any = {"attn_norm": Norm(c.hidden_size, c.layer_norm_epsilon)}
            nothing: Any = None
            super().__init__(_mixer()(c), nothing, norms, None)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            x = x + self.attn(self.attn_norm(x), context)
            kept = context.record.kept_states
            if context.layer in kept:  # HF: states are those behind the blocks, then the last norm
                kept[context.layer] = x
            return x

    return Layer


PREFIX = "backbone"
# fmt: off
NAMES = {
    "embed.token":                   "embeddings",
    "blocks.{i}.attn_norm":          "layers.{i}.norm",
    "blocks.{i}.attn.into":          "layers.{i}.mixer.in_proj",
    "blocks.{i}.attn.conv":          "layers.{i}.mixer.conv1d",
    "blocks.{i}.attn.chooses":       "layers.{i}.mixer.x_proj",
    "blocks.{i}.attn.pace":          "layers.{i}.mixer.dt_proj",
    "blocks.{i}.attn.decay.weight":  "layers.{i}.mixer.A_log",
    "blocks.{i}.attn.skip.weight":   "layers.{i}.mixer.D",
    "blocks.{i}.attn.out":           "layers.{i}.mixer.out_proj",
    "norm":                          "norm_f",
}
ALIASES = {"backbone.embedding": "backbone.embeddings"}
UNUSED = ("intermediate_size", "d_model", "d_inner", "n_layer", "ssm_cfg", "rms_norm",
          "fused_add_norm", "pad_vocab_size_multiple", "residual_in_fp32",
          "rescale_prenorm_residual", "use_mambapy", "use_associative_scan", "time_step_scale",
          "time_step_min", "time_step_max", "time_step_floor", "time_step_init_scheme",
          "bos_token_id", "eos_token_id", "pad_token_id")

HEADS = {
    "MambaModel":       Base(),
    "MambaForCausalLM": CausalLM(out="lm_head", bias=False),
}
# fmt: on
INPUTS = "gpt_neox"
