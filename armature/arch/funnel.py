"""Funnel Transformer (Dai et al., 2020): blocks of layers, each of which halves a text's length.

What is left may be stretched again and added to what the first block made, for a few more layers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.checkpoint.views import View
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Dropout, Own, Stack
from armature.outputs import tasks

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context
    from armature.layers.embed import Inputs

# fmt: off
DEFAULTS = {
    "vocab_size": 30522, "block_sizes": [4, 4, 4], "block_repeats": None, "num_decoder_layers": 2,
    "d_model": 768, "n_head": 12, "d_head": 64, "d_inner": 3072, "hidden_act": "gelu_new",
    "hidden_dropout": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.0,
    "initializer_range": 0.1, "initializer_std": None, "layer_norm_eps": 1e-9,
    "pooling_type": "mean", "attention_type": "relative_shift", "separate_cls": True,
    "truncate_seq": True, "pool_q_only": True,
}
SYNONYMS = {"hidden_size": "d_model", "num_attention_heads": "n_head", "head_dim": "d_head",
            "intermediate_size": "d_inner"}
# fmt: on


def spec(c: Config) -> Stack:
    """Return the anatomy: the blocks, what stretches their result, and the layers after that."""
    body, count = _halving(c), len(_layers(c))
    assert body.schedule is not None
    steps = (*body.schedule, count, *range(count + 1, count + 1 + c.num_decoder_layers))

    def layer(index: int) -> Own:
        return Own(lambda: _organs()[2](c)) if index == count else _layer(c, index, steps)

    return replace(body, block=layer, schedule=steps)


def _halving(c: Config) -> Stack:
    """Return the blocks alone."""
    repeats = c.block_repeats or [1] * len(c.block_sizes)
    kinds = {"pooling_type": ("mean", "max"), "attention_type": ("relative_shift", "factorized")}
    wrong = [key for key, known in kinds.items() if c.get(key) not in known]
    wrong += ["block_repeats"] if len(repeats) != len(c.block_sizes) else []
    for key in wrong:
        raise ConfigError(f"config.json: `{key}` is {c.get(key)!r}, which no Funnel model has")
    steps = [i for i, (block, _) in enumerate(_layers(c)) for _ in range(repeats[block])]
    return Stack(
        embed=Own(lambda: _organs()[0](c)),
        block=lambda index: _layer(c, index, tuple(steps)),
        depth=len(steps),
        schedule=tuple(steps),
        dropout=Dropout(c.hidden_dropout, c.attention_dropout),
    )


def _layers(c: Config) -> list[tuple[int, int]]:
    """Return of each layer its block and its place in it."""
    return [(block, layer) for block, size in enumerate(c.block_sizes) for layer in range(size)]


def _layer(c: Config, index: int, steps: tuple[int, ...]) -> Own:
    """Return a layer; the first of a block, but of the first, begins by halving the text."""
    halves = (index, 0) in [(i, layer) for i, (block, layer) in enumerate(_layers(c)) if block]
    return Own(lambda: _organs()[1](c, steps.index(index) if halves else -1))


# ------------------------------------------- its own organs: only building a model needs torch


@dataclass(frozen=True)
class Sight:
    """What layers know of the tokens that they see: T of them, fewer after each block."""

    places: tuple[int, ...]  # T of them
    types: Any  # (B, T)
    real: Any  # (B, T) ones and zeros, or None


@cache
def _organs() -> tuple[type, type, type]:  # noqa: C901 - modules' methods
    import torch
    from torch import nn
    from torch.nn import functional as F

    from armature.batch import Layout
    from armature.layers import attention, embed, linear, mlp, norm
    from armature.model.block import Block

    class Embed(embed.Tokens):
        """Token embeddings, of padding too: it is halved together with its neighbours."""

        takes = ("attention_mask",)

        def __init__(self, c: Config) -> None:
            made = norm.LayerNorm(c.d_model, eps=c.layer_norm_eps)
            super().__init__(c.vocab_size, c.d_model, norm=made)
            self.takes_types = True

        def forward(self, inputs: Inputs) -> Tensor:
            x, shape = super().forward(inputs), (inputs.layout.rows, inputs.layout.width)
            real, types = inputs.further.get("attention_mask"), inputs.types
            sight = Sight(
                tuple(range(shape[1])),
                x.new_zeros(shape) if types is None else types.view(shape),
                None if real is None else real.reshape(shape).to(x.dtype),
            )
            inputs.further = {**inputs.further, "sight": sight}
            return x

    class Relative(attention.SelfAttention):
        """Scores of content, of relative positions and of segments, each with a bias of its own."""

        def __init__(self, c: Config) -> None:
            width, heads, each = c.d_model, c.n_head, c.d_head
            super().__init__(width, heads, each, kv_heads=heads, bias=(True, True))
            self.qkv.q = linear.Linear(width, heads * each, bias=False)
            self.r_kernel = nn.Parameter(torch.empty(width, heads, each))
            biases = (nn.Parameter(torch.empty(heads, each)) for _ in range(3))
            self.r_w_bias, self.r_r_bias, self.r_s_bias = biases
            self.seg_embed = nn.Parameter(torch.empty(2, heads, each))
            self.waves_dropout, self.separate = nn.Dropout(0.0), c.separate_cls

        def look(self, x: Tensor, keys: Tensor, both: tuple[Sight, Sight], c: Context) -> Tensor:
            """(B, T, D) of queries, (B, S, D) of keys and what both know → (B, T, D)."""
            q = self._heads(self.qkv.part(x, "q")) * self.scale  # (B, T, H, E)
            k, v = (self._heads(self.qkv.part(keys, name)) for name in "kv")
            biases = (self.r_w_bias, self.r_r_bias, self.r_s_bias)
            content, place, segment = (q + bias * self.scale for bias in biases)
            further = self._far(place, *both) + self._apart(segment, *both)
            if self.separate:  # the first token has no place and no segment
                inside = x.new_ones(further.shape[-2:])
                inside[0], inside[:, 0] = 0.0, 0.0
                further = further * inside
            scores = torch.einsum("bihe,bjhe->bhij", content, k) + further
            if both[1].real is not None:
                # HF: who sees nothing sees everything alike, so hidden is not minus infinity.
                scores = scores - 1e6 * (1 - both[1].real[:, None, None])
            shares = scores.softmax(-1)
            if c.layer in c.record.attentions:
                c.record.kept_attentions[c.layer] = shares
            shares = F.dropout(shares, self.dropout, self.training)
            return self.out(torch.einsum("bhij,bjhe->bihe", shares, v).flatten(2))

        def _far(self, q: Tensor, mine: Sight, theirs: Sight) -> Tensor:
            """Return the (B, H, T, S) scores of distances, each known by its sines and cosines."""
            a, b = (torch.tensor(one.places, device=q.device) for one in (mine, theirs))
            least = mine.places[0] - theirs.places[-1]  # distances grow from here on
            steps = torch.arange(least, mine.places[-1] + 1, device=q.device).to(q.dtype)
            half = self.r_kernel.shape[0] // 2
            powers = torch.arange(half, device=q.device).to(q.dtype) / half
            angles = steps[:, None] / 10000**powers
            waves = self.waves_dropout(torch.cat((angles.sin(), angles.cos()), -1))  # (R, D)
            maps = torch.einsum("rd,dhe->rhe", waves, self.r_kernel)
            scores = torch.einsum("bihe,rhe->bhir", q, maps)
            apart = a[:, None] - b - least  # (T, S)
            return scores.gather(-1, apart.expand(*scores.shape[:3], -1))

        def _apart(self, q: Tensor, mine: Sight, theirs: Sight) -> Tensor:
            """Return the (B, H, T, S) scores of being of one segment, or of two."""
            a, b = mine.types[:, :, None], theirs.types[:, None]
            alike = ((a == b) | (a == 2) | (b == 2))[:, None]  # the first token is of either
            two, one = torch.einsum("bihe,she->bhis", q, self.seg_embed).split(1, -1)
            return torch.where(alike, one, two)

    class Layer(Block):
        """Post-norm attention and mlp, perhaps of half as many tokens as came in."""

        attn: Any

        def __init__(self, c: Config, step: int) -> None:
            kinds, eps = ("attn_norm", "mlp_norm"), c.layer_norm_eps
            norms: dict[str, nn.Module] = {name: norm.LayerNorm(c.d_model, eps) for name in kinds}
            inner = mlp.Dense(c.d_model, c.d_inner, c.hidden_act, bias=True)
            super().__init__(Relative(c), inner, norms, None)
            self.step, self.first = step, c.block_sizes[0] - 1
            self.separate, self.cuts = c.separate_cls, c.truncate_seq
            self.queries_alone, self.mean = c.pool_q_only, c.pooling_type == "mean"

        def forward(self, x: Tensor, context: Context) -> Tensor:
            rows, shared, layer = context.layout.rows, context.shared, context.layer
            sight = shared.get(("sight", layer), shared["sight"])  # by layer: it may run again
            x = keys = x.unflatten(0, (rows, -1))  # (B, T, D)
            sights, after = (sight, sight), sight
            if layer == self.step and x.shape[1] > 1 + self.separate:
                x, after = self._half(x, "mean" if self.mean else "max"), self._halved(sight)
                keys = keys if self.queries_alone else x
                sights = (after, sight if self.queries_alone else after)
            shared["sight", layer + 1] = after
            context.layout = Layout((x.shape[1],) * rows, x.shape[1], x.device)
            x = self.attn_norm(x + self.dropout(self.attn.look(x, keys, sights, context)))
            x = self.mlp_norm(x + self.dropout(self.mlp(x, context))).flatten(0, 1)
            if layer == self.first:
                shared["first"] = x
            return x

        def _halved(self, sight: Sight) -> Sight:
            """Keep every second token; the first stands beside those behind it."""
            places, types, real = sight.places, sight.types, sight.real
            if self.separate:
                places, types = (places[0], *places), torch.cat((types[:, :1], types), 1)
            end = -1 if self.separate and self.cuts else None
            if real is not None:  # two are real if both are
                real = -self._half(-real[..., None], "max")[..., 0]
            return Sight(places[:end:2], types[:, :end:2], real)

        def _half(self, x: Tensor, how: str) -> Tensor:
            """(B, T, D) → (B, about T / 2, D) of neighbours' means or greatest; the first alone."""
            if self.separate:
                x = torch.cat((x[:, :1], x[:, :-1] if self.cuts else x), 1)
            x, pool = x.transpose(1, 2), F.avg_pool1d if how == "mean" else F.max_pool1d
            return pool(x, 2, 2, ceil_mode=True).transpose(1, 2)

    class Stretched(nn.Module):
        """What came in, as long as the text again, and what the first block made."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            self.times = 2 ** (len(c.block_sizes) - 1)
            self.separate, self.cuts = c.separate_cls, c.truncate_seq

        def forward(self, x: Tensor, context: Context) -> Tensor:
            rows, width = context.shared["sight"].types.shape
            x = x.unflatten(0, (rows, -1))
            if self.times > 1:
                alone, rest = (x[:, :1], x[:, 1:]) if self.separate else (x[:, :0], x)
                rest = rest.repeat_interleave(self.times, 1)
                if self.separate and self.cuts:
                    rest = F.pad(rest, (0, 0, 0, self.times - 1))
                x = torch.cat((alone, rest), 1)[:, :width]
            context.layout = Layout((width,) * rows, width, x.device)
            return x.flatten(0, 1) + context.shared["first"]

    return Embed, Layer, Stretched


PREFIX = "funnel"


# fmt: off
def names(c: Config) -> dict[str, str | View]:
    """Return our names → the disk's: layers count through all blocks here."""
    made = [f"encoder.blocks.{block}.{layer}" for block, layer in _layers(c)]
    made += ["", *(f"decoder.layers.{i}" for i in range(c.num_decoder_layers))]
    rows: dict[str, str | View] = {"embed.token": "embeddings.word_embeddings",
                                   "embed.norm":  "embeddings.layer_norm"}
    for index, theirs in enumerate(made):
        ours, attn = f"blocks.{index}", f"{theirs}.attention"
        rows |= {
            f"{ours}.attn":      attn,
            f"{ours}.attn.qkv":  f"{attn}.{{q,k,v}}_head",
            f"{ours}.attn.out":  f"{attn}.post_proj",
            f"{ours}.attn_norm": f"{attn}.layer_norm",
            f"{ours}.mlp.up":    f"{theirs}.ffn.linear_1",
            f"{ours}.mlp.down":  f"{theirs}.ffn.linear_2",
            f"{ours}.mlp_norm":  f"{theirs}.ffn.layer_norm",
        }
    return rows


NAMES: dict[str, str] = {}  # see `names`
UNUSED = ("activation_dropout", "initializer_std", "max_position_embeddings", "type_vocab_size")

FIRST: dict[str, Any] = {
    "dense": "classifier.linear_hidden", "act": "tanh", "dropout": "hidden_dropout",
    "out": "classifier.linear_out", "body": _halving}
HEADS = {
    "FunnelModel":                     tasks.Base(),
    "FunnelBaseModel":                 tasks.Base(body=_halving),
    "FunnelForPreTraining":            tasks.Detector(
        dense="discriminator_predictions.dense", act="@hidden_act",
        out="discriminator_predictions.dense_prediction"),
    "FunnelForMaskedLM":               tasks.MaskedLM(out="lm_head"),
    "FunnelForSequenceClassification": tasks.SequenceClassifier(**FIRST),
    "FunnelForMultipleChoice":         tasks.MultipleChoice(**FIRST),
    "FunnelForTokenClassification":    tasks.TokenClassifier(
        dropout="hidden_dropout", out="classifier"),
    "FunnelForQuestionAnswering":      tasks.Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "funnel"
