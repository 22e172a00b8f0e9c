"""Transformer-XL (Dai et al., 2019): each call remembers the states of the calls before it.

A score is a sum of two products: of query and key, and of query and the wave of their distance,
the query shifted by a trained bias for each. Rare words have narrow embeddings, and their shares
are those of their cluster times their own in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import refuse
from armature.checkpoint.views import Joined
from armature.config import Config
from armature.model.spec import Dropout, Own, Stack
from armature.outputs.tasks import Base, OwnWords, SequenceClassifier

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context
    from armature.outputs.heads import Given

DEFAULTS = {
    "vocab_size": 267735,
    "cutoffs": None,  # see `_clusters`; it may be empty
    "d_model": 1024,
    "d_embed": 1024,
    "n_head": 16,
    "d_head": 64,
    "d_inner": 4096,
    "div_val": 4,
    "pre_lnorm": False,
    "n_layer": 18,
    "mem_len": 1600,
    "clamp_len": None,  # 1000; it may be negative, for none
    "same_length": True,
    "proj_share_all_but_first": True,
    "tie_projs": None,
    "attn_type": 0,
    "sample_softmax": -1,
    "adaptive": True,
    "dropout": 0.1,
    "dropatt": 0.0,
    "untie_r": True,
    "init": "normal",
    "init_range": 0.01,
    "proj_init_std": 0.01,
    "init_std": 0.02,
    "layer_norm_epsilon": 1e-5,
    "eos_token_id": 0,
}
SYNONYMS = {
    "n_token": "vocab_size",
    "hidden_size": "d_model",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    refuse(c, attn_type=0, tie_word_embeddings=True)
    block = Own(lambda: _layer()(c))
    return Stack(
        embed=Own(lambda: _embed()(_clusters(c), c.hidden_size)),
        block=lambda _index: block,
        depth=c.num_hidden_layers,
        bias=Own(lambda: _distances()(c)),
        dropout=Dropout(c.dropout, c.dropatt),
    )


# ------------------------------------------- its own organs: only building a model needs torch


def _clusters(c: Config) -> Any:
    from armature.layers.adaptive import Clusters

    cutoffs = (20000, 40000, 200000) if c.cutoffs is None else c.cutoffs
    return Clusters((0, *cutoffs, c.vocab_size), c.d_embed, c.div_val)


@cache
def _embed() -> type:
    from armature.layers import adaptive

    class Embed(adaptive.AdaptiveEmbed):
        """Adaptive embeddings, beside which a call may give what its blocks remember."""

        takes = ("mems",)

    return Embed


@cache
def _distances() -> type:
    import torch
    from torch import nn

    class Distances(nn.Module):
        """The waves of distances, and the biases of queries where all blocks share them."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            self.width, self.clamp = c.hidden_size, c.clamp_len
            shape = (c.num_attention_heads, c.d_head)
            self.content = None if c.untie_r else nn.Parameter(torch.empty(shape))
            self.place = None if c.untie_r else nn.Parameter(torch.empty(shape))

        def forward(self, count: int, like: Tensor) -> Tensor:
            """Return the (count, D) waves of the distances from 0 on."""
            steps = torch.arange(count, device=like.device, dtype=like.dtype)
            longest = 1000 if self.clamp is None else self.clamp
            steps = steps.clamp(max=longest) if longest > 0 else steps
            powers = torch.arange(0, self.width, 2, device=like.device).float() / self.width
            angles = steps[:, None] * (1 / 10000**powers).to(like.dtype)
            return torch.cat((angles.sin(), angles.cos()), -1)

    return Distances


@cache
def _attention() -> type:
    import torch
    from torch import nn

    from armature.layers.attention import SelfAttention
    from armature.layers.linear import Linear

    class Recalling(SelfAttention):
        """Attention of tokens to what is remembered and to those before them."""

        def __init__(self, c: Config) -> None:
            heads, width = c.num_attention_heads, c.d_head
            super().__init__(
                c.d_model, heads, width, kv_heads=heads, bias=(False, False), causal=True
            )
            self.reach = c.mem_len if c.same_length else None
            self.distance = Linear(c.d_model, heads * width, bias=False)
            own = c.untie_r
            self.content_bias = nn.Parameter(torch.empty(heads, width)) if own else None
            self.place_bias = nn.Parameter(torch.empty(heads, width)) if own else None

        def look(self, x: Tensor, memory: Tensor, context: Context) -> Tensor:
            """(B, T, D) and what is remembered (B, M, D) → (B, T, D)."""
            both = torch.cat((memory, x), 1)
            shared: Any = context.bias
            count, past = both.shape[1], memory.shape[1]
            q = self._heads(self.qkv.part(x, "q"))  # (B, T, H, E)
            k, v = (self._heads(self.qkv.part(both, name)) for name in "kv")  # (B, S, H, E)
            waves = context.once(("waves", count), lambda: shared(count, x))
            r = self._heads(self.distance(waves))  # (S, H, E)
            content: Any = shared.content if self.content_bias is None else self.content_bias
            place: Any = shared.place if self.place_bias is None else self.place_bias
            far = torch.arange(past, count, device=x.device)[:, None]
            far = far - torch.arange(count, device=x.device)  # (T, S)
            scores = torch.einsum("bthe,bshe->bhts", q + content, k)
            by_place = torch.einsum("bthe,she->bhts", q + place, r)
            index = far.clamp(min=0).expand_as(by_place)
            scores = (scores + by_place.gather(-1, index)) * self.scale
            unseen = far < 0 if self.reach is None else (far < 0) | (far >= self.reach)
            shares = scores.masked_fill(unseen, torch.finfo(scores.dtype).min).softmax(-1)
            if context.layer in context.record.attentions:
                context.record.kept_attentions[context.layer] = shares
            shares = nn.functional.dropout(shares, self.dropout, self.training)
            return self.out(torch.einsum("bhts,bshe->bthe", shares, v).flatten(2))

    return Recalling


@cache
def _layer() -> type:
    from armature.layers import mlp, norm, recall
    from armature.model.block import Block

    class Layer(Block):
        """One block, which remembers the states that came in."""

        attn: Any

        def __init__(self, c: Config) -> None:
            width, eps = c.hidden_size, c.layer_norm_epsilon
            norms: dict[str, Any] = {
                name: norm.LayerNorm(width, eps=eps) for name in ("attn_norm", "mlp_norm")
            }
            inner = mlp.Dense(width, c.d_inner, "relu", bias=True)
            super().__init__(_attention()(c), inner, norms, None)
            self.pre, self.length = c.pre_lnorm, c.mem_len

        def forward(self, x: Tensor, context: Context) -> Tensor:
            rows = context.once("rows", lambda: recall.Rectangle.of(context.layout))
            new = rows.cut(x)  # (B, T, D)
            old = recall.recall(new, context, self.length)  # (B, M, D)
            recall.remember(new, old, context, self.length)
            if self.pre:
                new, old = self.attn_norm(new), self.attn_norm(old)
            y = x + self.dropout(rows.join(self.attn.look(new, old, context)))
            kept = context.record.kept_attentions
            if context.layer in kept:
                kept[context.layer] = rows.shown(kept[context.layer])
            y = y if self.pre else self.attn_norm(y)
            z = y + self.dropout(self.mlp(self.mlp_norm(y) if self.pre else y, context))
            return z if self.pre else self.mlp_norm(z)

    return Layer


@cache
def _words() -> type:
    import torch

    from armature.layers.adaptive import AdaptiveSoftmax
    from armature.outputs.heads import HeadModule

    class Words(HeadModule):
        """Logarithms of the shares of all words."""

        def __init__(self, spec: OwnWords, c: Config, body: Any) -> None:
            super().__init__(spec, c, (c.hidden_size, c.d_embed, 0))
            rest = [c.proj_share_all_but_first] * (body.embed.clusters.count - 1)
            shared = c.tie_projs or [False, *rest]
            self.soft = AdaptiveSoftmax(body.embed, [not tied for tied in shared])

        def scores(self, x: Tensor) -> Tensor:
            """(N, D) → (N, V)."""
            return self.soft(x)

        def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
            """Packed states (N, D) → prediction_scores, or with labels the loss of each token."""
            scores, labels = given.layout.unpack(self.scores(x)), given.labels.get("labels")
            if labels is None:
                return {"prediction_scores": scores}
            wanted, end = labels[:, 1:].clone(), self.config.eos_token_id
            # HF: where nothing of the first row counts, its first label becomes the end of text.
            blank = (wanted[0] == -100).all()
            wanted[0, 0] = torch.where(blank, end, wanted[0, 0])
            lost = self.soft.losses(scores[:, :-1].flatten(0, 1), wanted.flatten())
            return {"loss": lost[lost != 0].mean(), "losses": lost.view(len(labels), -1)}

    return Words


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.tables.{i}":             "word_emb.emb_layers.{i}",
    "embed.projects.{i}":           "word_emb.emb_projs.{i}",
    "bias.content":                 "r_w_bias",
    "bias.place":                   "r_r_bias",
    "blocks.{i}.attn.qkv":          Joined("layers.{i}.dec_attn.qkv_net"),
    "blocks.{i}.attn.out":          "layers.{i}.dec_attn.o_net",
    "blocks.{i}.attn.distance":     "layers.{i}.dec_attn.r_net",
    "blocks.{i}.attn.content_bias": "layers.{i}.dec_attn.r_w_bias",
    "blocks.{i}.attn.place_bias":   "layers.{i}.dec_attn.r_r_bias",
    "blocks.{i}.attn_norm":         "layers.{i}.dec_attn.layer_norm",
    "blocks.{i}.mlp.up":            "layers.{i}.pos_ff.CoreNet.0",
    "blocks.{i}.mlp.down":          "layers.{i}.pos_ff.CoreNet.3",
    "blocks.{i}.mlp_norm":          "layers.{i}.pos_ff.layer_norm",
}
ALIASES = {"crit.out_layers": "word_emb.emb_layers"}  # words are scored by their embeddings
IGNORED = ("pos_emb.inv_freq",)
UNUSED = ("adaptive", "sample_softmax", "init", "init_range", "proj_init_std")

WORDS: Mapping[str, str] = {
    "head.soft.weight": "crit.cluster_weight", "head.soft.bias": "crit.cluster_bias",
    "head.soft.biases.{i}": "crit.out_layers.{i}.bias",
    "head.soft.projects.{i}": "crit.out_projs.{i}"}
HEADS = {
    "TransfoXLModel":                     Base(),
    "TransfoXLLMHeadModel":               OwnWords(make=lambda *parts: _words()(*parts),
                                                   names=WORDS),
    "TransfoXLForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
}
# fmt: on
INPUTS = "transfo-xl"
