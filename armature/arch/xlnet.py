"""XLNet (Yang et al., 2019): attention to content and to relative positions, in any order.

Beside the stream of what tokens say there may be a second one, of places whose own word is hidden:
it starts from one trained vector, attends to the first stream, and its end is what is scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, reduce
from typing import TYPE_CHECKING, Any

from armature.arch import refuse
from armature.config import Config
from armature.errors import ArgumentError
from armature.model.spec import Dropout, Own, Stack
from armature.outputs import tasks

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context
    from armature.layers.embed import Inputs

# fmt: off
DEFAULTS = {
    "vocab_size": 32000, "d_model": 1024, "n_layer": 24, "n_head": 16, "d_inner": 4096,
    "d_head": None, "ff_activation": "gelu", "attn_type": "bi", "initializer_range": 0.02,
    "layer_norm_eps": 1e-12, "dropout": 0.1, "mem_len": 512, "reuse_len": None,
    "use_mems_eval": True, "use_mems_train": False, "bi_data": False, "clamp_len": -1,
    "same_length": False, "summary_type": "last", "summary_use_proj": True,
    "summary_activation": "tanh", "summary_last_dropout": 0.1, "start_n_top": 5, "end_n_top": 5,
    "pad_token_id": 5, "bos_token_id": 1, "eos_token_id": 2,
}
SYNONYMS = {"hidden_size": "d_model", "num_attention_heads": "n_head",
            "num_hidden_layers": "n_layer", "n_token": "vocab_size"}
# fmt: on


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    if c.attn_type != "uni":
        refuse(c, attn_type="bi")
    return Stack(
        embed=Own(lambda: _embed()(c)),
        block=lambda _index: Own(lambda: _block()(c)),
        depth=c.n_layer,
        dropout=Dropout(c.dropout, c.dropout),
    )


@dataclass
class Sight:
    """What all blocks of one pass share: B rows of T columns, S keys with those remembered."""

    rows: int
    table: Any  # (R, D) waves of the offsets 1 - T … S - 1
    index: Any  # (B or 1, 1, T, S) the row of each query's offset to each key
    hidden: Any = None  # (B or 1, 1, T, S) of the second stream, 1 where a key is not seen
    itself: Any = None  # the same for the first, which always sees itself
    apart: Any = None  # (B, 1, T, S) whether two tokens are of different segments
    target: Any = None  # (B, P, T) the columns that the second stream predicts
    second: Any = None  # (B, P, D) that stream, if there is one
    past: Any = None  # (S - T, B, D) for each block
    remembers: bool = True


@cache
def _embed() -> type:  # noqa: C901 - a module's methods
    import torch
    from torch import nn

    from armature.batch import Layout
    from armature.layers import embed

    class Embed(embed.Tokens):
        """Token embeddings, and for the blocks what they see of each other."""

        takes = ("attention_mask", "input_mask", "perm_mask", "target_mapping", "mems", "use_mems")

        def __init__(self, c: Config) -> None:
            super().__init__(c.n_token, c.d_model)
            self.mask = nn.Parameter(torch.empty(1, 1, c.d_model))
            self.takes_types, self.clamp = True, c.clamp_len
            self.one_way, self.same_length = c.attn_type == "uni", bool(c.same_length)
            self.both_ways = bool(c.bi_data)
            self.use_mems = bool(c.use_mems_eval), bool(c.use_mems_train)

        def forward(self, inputs: Inputs) -> Tensor:
            x, layout, given = self.dropout(self._tokens(inputs)), inputs.layout, inputs.further
            rows, columns, past = layout.rows, layout.width, given.get("mems")
            before = past[0].shape[0] if past is not None else 0
            offsets = torch.arange(before, before + columns, device=x.device)[:, None]
            offsets = offsets - torch.arange(before + columns, device=x.device)
            index = (offsets + columns - 1)[None, None]
            values = torch.arange(1 - columns, before + columns, device=x.device)
            if self.both_ways:  # HF: the second half of a batch was read backwards
                back = index + len(values)
                halves = (index,) * (rows // 2) + (back,) * (rows - rows // 2)
                index, values = torch.cat(halves), torch.cat((values, -values))
            sight = Sight(rows, self.dropout(self._waves(values, x)), index, past=past)
            sight.remembers = bool(given.get("use_mems", self.use_mems[int(self.training)]))
            self._mask(sight, given, columns, before, x)
            if inputs.types is not None:
                types = inputs.types.view(rows, columns)
                old = nn.functional.pad(types, (before, 0))
                sight.apart = (types[:, :, None] != old[:, None])[:, None]
            target = given.get("target_mapping")
            if target is not None:
                sight.target = target.to(x.dtype)
                sight.second = self.dropout(self.mask.expand(rows, target.shape[1], -1))
                inputs.layout = Layout((target.shape[1],) * rows, target.shape[1], x.device)
            inputs.further = {"sight": sight}
            return x

        def _waves(self, values: Tensor, like: Tensor) -> Tensor:
            if self.clamp > 0:
                values = values.clamp(-self.clamp, self.clamp)
            steps = torch.arange(0, self.width, 2, device=like.device).float() / self.width
            angles = values.float()[:, None] / torch.pow(10000, steps)
            return torch.cat((angles.sin(), angles.cos()), -1).to(like.dtype)

        def _mask(self, sight: Sight, given: dict, columns: int, before: int, x: Tensor) -> None:
            mask, parts = given.get("attention_mask"), [given.get("input_mask")]
            parts += [None if mask is None else 1 - mask, given.get("perm_mask")]
            found = [part.reshape(sight.rows, 1, -1, columns) for part in parts if part is not None]
            found = [nn.functional.pad(part, (before, 0)) > 0 for part in found]
            found += [self._ahead(columns, before, x.device)] if self.one_way else []
            if found:
                own = torch.eye(columns, dtype=torch.bool, device=x.device)
                hidden = reduce(torch.logical_or, found)
                sight.hidden = hidden.to(x.dtype)
                sight.itself = (hidden & ~nn.functional.pad(own, (before, 0))).to(x.dtype)

        def _ahead(self, columns: int, before: int, device: Any) -> Tensor:
            ones = torch.ones(columns, before + columns, dtype=torch.bool, device=device)
            long_ago = ones.tril(-1) & self.same_length
            return (ones.triu(before + 1) | long_ago)[None, None]

        def steps(self, stack: Any, score: Any, prompt: Tensor) -> Any:
            """Return this model as decoding sees it."""
            return _writing()(stack, score, prompt)

    return Embed


@cache
def _block() -> type:  # noqa: C901 - two modules' methods
    import torch
    from torch import nn

    from armature.layers.mlp import Dense
    from armature.layers.norm import LayerNorm
    from armature.model.block import PostBlock

    class Relative(nn.Module):
        """Scores of content, of relative positions and of segments, each with a bias of its own."""

        o: Tensor

        def __init__(self, c: Config) -> None:
            super().__init__()
            heads, width = c.n_head, c.d_head or c.d_model // c.n_head
            for name in ("q", "k", "v", "o", "r"):
                setattr(self, name, nn.Parameter(torch.empty(c.d_model, heads, width)))
            biases = (nn.Parameter(torch.empty(heads, width)) for _ in range(3))
            self.r_w_bias, self.r_r_bias, self.r_s_bias = biases
            self.seg_embed = nn.Parameter(torch.empty(2, heads, width))
            self.scale, self.dropout = width**-0.5, nn.Dropout(0.0)
            self.causal = False

        def by_heads(self, x: Tensor, name: str) -> Tensor:
            """(…, T, D) → (…, H, T, E) of one map."""
            weight = getattr(self, name)
            return (x @ weight.flatten(1)).unflatten(-1, weight.shape[1:]).transpose(-2, -3)

        def shares(self, q: Tensor, k: Tensor, sight: Sight, hidden: Tensor | None) -> Tensor:
            """(B, H, T, E), (B, H, S, E) → (B, H, T, S)."""
            content = (q + self.r_w_bias[:, None]) @ k.mT
            places = (q + self.r_r_bias[:, None]) @ self.by_heads(sight.table, "r").mT
            scores = content + places.gather(-1, sight.index.expand(content.shape))
            if sight.apart is not None:
                of = (q + self.r_s_bias[:, None]) @ self.seg_embed.permute(1, 2, 0)
                scores = scores + torch.where(sight.apart, of[..., 1:], of[..., :1])
            scores = scores * self.scale
            # HF: who sees nothing sees everything alike, so hidden is not minus infinity.
            scores = scores if hidden is None else scores - 1e30 * hidden
            return self.dropout(scores.softmax(-1))

        def joined(self, x: Tensor) -> Tensor:
            """(B, H, T, E) → (B, T, D)."""
            return x.transpose(1, 2).flatten(2) @ self.o.flatten(1).T

    class TwoStreams(PostBlock):
        """Post-norm attention and mlp, for one stream or for two."""

        def __init__(self, c: Config) -> None:
            kinds, eps = ("attn_norm", "mlp_norm"), c.layer_norm_eps
            norms: dict[str, nn.Module] = {name: LayerNorm(c.d_model, eps=eps) for name in kinds}
            mlp = Dense(c.d_model, c.d_inner, c.ff_activation, bias=True)
            super().__init__(Relative(c), mlp, norms, None)
            self.kept, self.reused, self.depth = c.mem_len or 0, c.reuse_len or 0, c.n_layer

        def forward(self, x: Tensor, context: Context) -> Tensor:
            sight: Sight = context.shared["sight"]
            first, record, layer = x.unflatten(0, (sight.rows, -1)), context.record, context.layer
            past = None if sight.past is None else sight.past[layer]
            if sight.remembers:
                new = first.transpose(0, 1)[: self.reused or None]
                new = new if past is None else torch.cat((past, new))
                record.kept_mems.append(new[-self.kept :].detach())
            whole = first if past is None else torch.cat((past.transpose(0, 1), first), 1)
            k, v = self.attn.by_heads(whole, "k"), self.attn.by_heads(whole, "v")
            shares = self.attn.shares(self.attn.by_heads(first, "q"), k, sight, sight.itself)
            if layer in record.attentions:
                record.kept_attentions[layer] = shares
            if sight.second is not None:
                if record.states or record.attentions:
                    raise ArgumentError("target_mapping goes without hidden states and attentions")
                q = sight.target.mT[:, None] @ self.attn.by_heads(sight.second, "q")
                mixed = self.attn.shares(q, k, sight, sight.hidden) @ v
                sight.second = self._after(sight.second, sight.target[:, None] @ mixed, context)
                if layer == self.depth - 1:
                    return sight.second.flatten(0, 1)
            return self._after(first, shares @ v, context).flatten(0, 1)

        def _after(self, x: Tensor, mixed: Tensor, context: Context) -> Tensor:
            x = self.attn_norm(x + self.dropout(self.attn.joined(mixed)))
            return self.mlp_norm(x + self.dropout(self.mlp(x, context)))

    return TwoStreams


@cache
def _writing() -> type:
    import torch

    from armature.batch import Layout
    from armature.layers.context import Record
    from armature.layers.embed import Inputs
    from armature.model.steps import Rereading

    class Writing(Rereading):
        """Decode by predicting a place behind the text; earlier states are remembered."""

        def __init__(self, stack: Any, score: Any, ids: Tensor) -> None:
            super().__init__(ids)
            self.stack, self.score, self.past = stack, score, ()

        def start(self) -> Tensor:
            # HF: the last two words are read again, and no padding is masked.
            ids = torch.nn.functional.pad(self.ids[:, -2:] if self.past else self.ids, (0, 1))
            rows, width = ids.shape
            target = (torch.arange(width, device=ids.device) == width - 1).float()
            target = target.expand(rows, 1, width)
            further: dict[str, Any] = {"target_mapping": target}
            further["perm_mask"] = target.expand(rows, width, width)
            if self.past:
                further["mems"] = [layer[:-2] for layer in self.past]
            layout = Layout.of(None, (rows, width), ids.device)
            inputs = Inputs(layout, tokens=ids.flatten(), further=further)
            record = Record()
            x = self.stack(inputs, record)
            self.past = tuple(record.kept_mems)
            return self.score(x)

        def select(self, rows: Tensor) -> None:
            super().select(rows)
            self.past = tuple(layer[:, rows] for layer in self.past)

    return Writing


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.token":          "word_embedding",
    "embed.mask":           "mask_emb",
    "blocks.{i}.attn":      "layer.{i}.rel_attn",
    "blocks.{i}.attn_norm": "layer.{i}.rel_attn.layer_norm",
    "blocks.{i}.mlp.up":    "layer.{i}.ff.layer_1",
    "blocks.{i}.mlp.down":  "layer.{i}.ff.layer_2",
    "blocks.{i}.mlp_norm":  "layer.{i}.ff.layer_norm",
}
UNUSED = ("untie_r",)

FIRST: dict[str, Any] = {"summary": "sequence_summary.summary", "out": "logits_proj"}
HEADS = {
    "XLNetModel":                      tasks.Base(),
    "XLNetLMHeadModel":                tasks.CausalLM(out="lm_loss", shift=False),
    "XLNetForSequenceClassification":  tasks.SequenceClassifier(**FIRST),
    "XLNetForMultipleChoice":          tasks.MultipleChoice(**FIRST),
    "XLNetForTokenClassification":     tasks.TokenClassifier(out="classifier", dropout=""),
    "XLNetForQuestionAnsweringSimple": tasks.Spans(out="qa_outputs"),
    "XLNetForQuestionAnswering":       tasks.BeamSpans(),
}
# fmt: on
INPUTS = "xlnet"
