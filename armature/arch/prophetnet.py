"""ProphetNet (Qi et al., 2020): post-norm encoder-decoder that guesses several words ahead.

Beside the words its decoder has streams of guesses, (N, Z, D) with Z = 1 + ngram.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.checkpoint.views import View
from armature.config import Config
from armature.errors import ConfigError
from armature.model import spec as parts
from armature.model.spec import EncoderDecoder, Own, Stack
from armature.outputs.tasks import Base, CausalLM, Joined, Seq2SeqLM, WordHead

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context
    from armature.layers.embed import Inputs
    from armature.layers.kernels import Rule
    from armature.outputs.heads import Given

# fmt: off
DEFAULTS = {
    "vocab_size": 30522, "max_position_embeddings": 512, "hidden_size": 1024,
    "num_encoder_layers": 12, "encoder_ffn_dim": 4096, "num_encoder_attention_heads": 16,
    "num_decoder_layers": 12, "decoder_ffn_dim": 4096, "num_decoder_attention_heads": 16,
    "activation_function": "gelu", "dropout": 0.1, "attention_dropout": 0.1,
    "activation_dropout": 0.1, "init_std": 0.02, "ngram": 2, "num_buckets": 32,
    "relative_max_distance": 128, "disable_ngram_loss": False, "eps": 0.0,
    "is_encoder_decoder": True, "add_cross_attention": True, "decoder_start_token_id": 0,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}
SYNONYMS = {"num_attention_heads": "num_encoder_attention_heads",
            "num_hidden_layers": "num_encoder_layers", "hidden_act": "activation_function"}
_GUESSED = {  # what results tell of words → what they tell of guesses
    "last_hidden_state": "last_hidden_state_ngram", "attentions": "ngram_attentions",
    "decoder_attentions": "decoder_ngram_attentions", "hidden_states": "hidden_states_ngram",
    "decoder_hidden_states": "decoder_ngram_hidden_states"}
# fmt: on


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    if c.ngram < 1:
        raise ConfigError(f"config.json: ngram is {c.ngram}, but a decoder guesses a word or more")
    order, act = parts.Post(parts.LayerNorm()), c.activation_function
    heads, encoder_heads = c.num_decoder_attention_heads, c.num_encoder_attention_heads
    reads = Own(lambda: _attentions()[0](c, encoder_heads))
    guesses = Own(lambda: _attentions()[1](c, heads))
    sizes = (c.hidden_size, heads, c.hidden_size // heads)
    looks = Own(lambda: _attentions()[2](*sizes, bias=(True, True)))
    encoder = parts.Block(order, reads, parts.Dense(c.encoder_ffn_dim, act))
    decoder = parts.Block(order, guesses, parts.Dense(c.decoder_ffn_dim, act))
    decoder = replace(decoder, cross=looks) if c.add_cross_attention else decoder
    dropout = parts.Dropout(c.dropout, c.attention_dropout)
    return (EncoderDecoder if c.tie_word_embeddings else parts.Untied)(
        Stack(Own(lambda: _embeds()[0](c)), encoder, c.num_encoder_layers, dropout=dropout),
        Stack(Own(lambda: _embeds()[1](c)), decoder, c.num_decoder_layers, dropout=dropout),
    )


# ------------------------------------------- its own organs: only building a model needs torch


@cache
def _embeds() -> tuple[type, type]:  # noqa: C901 - modules' methods
    import torch

    from armature.layers import embed, norm, position

    class Embed(embed.Tokens):
        """Tokens and positions, the first of which has the row behind that of padding."""

        def __init__(self, c: Config, offset: int = 1) -> None:
            width, rows = c.hidden_size, c.max_position_embeddings
            place = position.Learned(rows, width, c.pad_token_id + offset, None)
            super().__init__(c.vocab_size, width, position=place, norm=norm.LayerNorm(width))
            self.last = rows - place.offset - 1  # all tokens beyond it have its position

        def summed(self, inputs: Inputs) -> Tensor:
            inputs.positions = inputs.layout.columns.clamp(max=self.last)
            return super().summed(inputs)

    class Guessing(Embed):
        """Words at their positions, and guesses at the one behind each: (N, Z, D)."""

        def __init__(self, c: Config) -> None:
            super().__init__(c, 2)
            self.ngram, self.pad = embed.Embedding(c.ngram, c.hidden_size), c.pad_token_id

        def summed(self, inputs: Inputs) -> Tensor:
            assert self.position is not None
            # HF: guesses mix up whose distances they read, padding's too, so it takes part.
            inputs.keep_padding(self.pad)
            places = inputs.positions = inputs.layout.columns
            word = self._tokens(inputs) + self.position(places - 1)
            # HF: the table's last row is that of the first guess.
            guesses = self.position(places)[:, None] + self.ngram.weight.roll(1, 0)
            return torch.cat((word[:, None], guesses), 1)

        def answers(self, found: dict[str, Any]) -> dict[str, str]:
            """Tell guesses apart from words in a result."""
            for words, guesses in _GUESSED.items():
                both = found.get(words)
                if isinstance(both, tuple):
                    found[words], found[guesses] = zip(*map(_apart, both), strict=True)
                elif both is not None:
                    found[words], found[guesses] = _apart(both)
            after = {"logits": "logits_ngram", "ngram_attentions": "cross_attentions"}
            return after | _GUESSED

    return Embed, Guessing


def _apart(both: Any) -> Any:
    """(B, T, Z, D) → words (B, T, D), guesses (B, ngram · T, D); a pair is apart already."""
    if isinstance(both, tuple):
        return both
    return both[:, :, 0], both[:, :, 1:].transpose(1, 2).flatten(1, 2)


@cache
def _attentions() -> tuple[type, type, type]:  # noqa: C901 - modules' methods
    import torch

    from armature.batch import Layout
    from armature.layers import attention, kernels, linear

    def scored(q: Tensor, k: Tensor, layout: Layout, keys: Layout) -> Tensor:
        """(N, Z, H, E), (M, H, E) → (B, H, Z · T, S)."""
        # HF: what it tells of these attentions are scores, not yet shares, the least at padding.
        scores = torch.einsum("btzhe,bshe->bhzts", layout.unpack(q), keys.unpack(k)).flatten(2, 3)
        return scores.masked_fill(~keys.mask[:, None, None], torch.finfo(scores.dtype).min)

    class Words(attention.SelfAttention):
        def __init__(self, c: Config, heads: int) -> None:
            width = c.hidden_size // heads
            super().__init__(c.hidden_size, heads, width, kv_heads=heads, bias=(True, True))

        def _mix(self, q: Tensor, k: Tensor, v: Tensor, context: Context, rule: Rule) -> Tensor:
            if context.layer in context.record.attentions:
                scores = scored(q[:, None] * self.scale, k, context.layout, context.layout)
                context.record.kept_attentions[context.layer] = scores
            return kernels.attend(q, k, v, context.layout, context.layout, rule)

    class Guesses(Words):
        """Attention to words before; each guess sees itself, too, and is seen by nobody else."""

        def __init__(self, c: Config, heads: int) -> None:
            super().__init__(c, heads)
            self.buckets, self.distance, self.causal = c.num_buckets, c.relative_max_distance, True
            self.relative = linear.Linear(c.hidden_size, c.num_buckets * heads)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            layout, cache = context.layout, context.cache
            x = x.unflatten(0, (layout.rows, layout.width))  # (B, T, Z, D)
            bucket, mask = context.once("sight", lambda: self._sight(layout, x))
            q, k, v = (self._heads(part) for part in self.qkv(x))  # (B, T, Z, H, E)
            q, near = q * self.scale, self.relative(x).unflatten(-1, (-1, self.heads)).mT
            bias = near.permute(0, 2, 3, 1, 4)  # (B, Z, H, T, R) for each bucket
            if not any(layout.past):  # HF: guesses are written (T, ngram, H), read (ngram, H, T)
                guesses = near[:, :, 1:].reshape(len(x), -1, *bias.shape[2:])
                bias = torch.cat((bias[:, :1], guesses), 1)
            keys, values = (part[:, :, 0].transpose(1, 2) for part in (k, v))  # (B, H, S, E)
            if cache is not None:
                one, two = (part[:, :, 0].flatten(0, 1) for part in (k, v))
                stored = cache.layer(context.layer)
                stored.append(one, two, layout, cache.capacity)
                if any(layout.past):
                    keys, values = (part[:, :, : layout.longest] for part in stored.read(layout))
            scores = torch.einsum("btzhe,bhse->bzhts", q, keys)
            scores = scores + bias.gather(-1, bucket.expand_as(scores)) + mask
            own = (q * k).sum(-1).permute(0, 2, 3, 1) + bias[..., 0]  # (B, Z, H, T)
            own[:, 0] = -torch.inf  # a word is among the keys
            scores = torch.cat((scores, own[..., None]), -1)
            shares = scores.softmax(-1, dtype=torch.float32).to(x.dtype)
            if context.layer in context.record.attentions:
                both = torch.cat((shares[..., :-1], shares[..., -1].diag_embed()), -1)
                told: Any = (shares[:, 0, ..., :-1], both[:, 1:])
                context.record.kept_attentions[context.layer] = told
            shares = torch.nn.functional.dropout(shares, self.dropout, self.training)
            y = torch.einsum("bzhts,bhse->btzhe", shares[..., :-1], values)
            y = y + shares[..., -1].permute(0, 3, 1, 2)[..., None] * v
            return self.out(y.flatten(3)).flatten(0, 1)

        def _sight(self, layout: Layout, x: Tensor) -> tuple[Tensor, Tensor]:
            """Return bucket and mask (B or 1, Z, 1, T, S) of each query and key."""
            past = any(layout.past)
            least = max(torch.finfo(x.dtype).min, torch.finfo(torch.float32).min)
            keys, real = torch.arange(layout.longest, device=x.device), layout.mask
            if past:
                real = keys < torch.tensor(layout.totals, device=x.device)[:, None]
            ahead = layout.counts if past else layout.columns
            ahead = ahead.view(layout.rows, 1, -1, 1) - keys
            stream = torch.arange(x.shape[2], device=x.device)[:, None, None]
            # A guess stands behind its word. HF: after what is cached, it sees all; else the first.
            near = ahead >= (0 if past else (stream - 1).clamp(min=0))
            mask = x.new_zeros(()).masked_fill(~(near | (keys == 0)), least)
            mask = mask + x.new_zeros(()).masked_fill(~real[:, None, None], least)
            distance, exact = (ahead + stream.clamp(max=1)).clamp(min=0), self.buckets // 2
            # HF: the sum is rounded down, not the logarithm alone, which float32 shows.
            far = torch.log(distance.float() / exact) / math.log(self.distance / exact)
            far = (exact + far * (self.buckets - exact)).clamp(max=self.buckets - 1).long()
            return torch.where(distance < exact, distance, far)[:, :, None], mask[:, :, None]

    class Crossed(attention.CrossAttention):
        """Attention of words and guesses alike to what the encoder made."""

        def forward(self, x: Tensor, context: Context) -> Tensor:
            layout, count = context.layout, x.shape[1]
            q = self._heads(self.q(x))  # (N, Z, H, E)
            k, v, keys = self._memory(context)
            if context.layer in context.record.attentions:
                context.record.kept_cross[context.layer] = scored(q * self.scale, k, layout, keys)
            wide = Layout(tuple(count * n for n in layout.lengths), count * layout.width, x.device)
            rule = kernels.Rule(self.scale, dropout=self.dropout if self.training else 0.0)
            y = kernels.attend(q.flatten(0, 1), k, v, wide, keys, rule)
            return self.out(y.unflatten(0, (-1, count)))

    return Words, Guesses, Crossed


@cache
def _words() -> type:
    from armature.outputs import heads, losses

    class Words(heads.Words):
        """Scores of the next word, and of those behind it."""

        def __init__(self, spec: WordHead, c: Config, _body: Any) -> None:
            super().__init__(spec, c, (c.hidden_size, c.hidden_size, c.vocab_size))

        def scores(self, x: Tensor) -> Tensor:
            return self.score(x[:, 1])

        def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
            c, joined, loss = self.config, isinstance(self.spec, Joined), None
            logits, labels = given.layout.unpack(self.score(x[:, 1:])), given.labels.get("labels")
            logits = logits.transpose(1, 2)  # (B, ngram, T, V)
            if labels is not None:  # every stream should say the same words
                counted = logits[:, :1] if joined or c.disable_ngram_loss else logits
                labels = heads._real(labels, given)[:, None].expand(counted.shape[:-1])
                loss = losses.smoothed(counted, labels, 0.0 if joined else c.eps)
            rest = logits[:, 1:] if c.ngram > 1 else None
            return {"loss": loss, "logits": logits[:, 0], "logits_ngram": rest}

    return Words


# fmt: off
PREFIX = "prophetnet"

def _half(stack: str) -> dict[str, str | View]:
    ours, theirs = f"{stack}.blocks.{{i}}", f"{stack}.layers.{{i}}"
    attn, cross = f"{theirs}.self_attn", f"{theirs}.cross_attn"
    return {
        f"{stack}.embed.token":    "word_embeddings",
        f"{stack}.embed.position": f"{stack}.position_embeddings",
        f"{stack}.embed.ngram":    f"{stack}.ngram_embeddings",
        f"{stack}.embed.norm":     f"{stack}.embeddings_layer_norm",
        f"{ours}.attn.qkv":        f"{attn}.{{query,key,value}}_proj",
        f"{ours}.attn.out":        f"{attn}.out_proj",
        f"{ours}.attn.relative":   f"{attn}.relative_pos_embeddings",
        f"{ours}.attn_norm":       f"{attn}_layer_norm",
        f"{ours}.cross.q":         f"{cross}.query_proj",
        f"{ours}.cross.kv":        f"{cross}.{{key,value}}_proj",
        f"{ours}.cross.out":       f"{cross}.out_proj",
        f"{ours}.cross_norm":      f"{cross}_layer_norm",
        f"{ours}.mlp.up":          f"{theirs}.feed_forward.intermediate",
        f"{ours}.mlp.down":        f"{theirs}.feed_forward.output",
        f"{ours}.mlp_norm":        f"{theirs}.feed_forward_layer_norm",
    }

NAMES = {**_half("encoder"), **_half("decoder")}

def names(c: Config) -> dict[str, str | View]:
    """Return NAMES; where nothing is tied, each half has a table of tokens of its own."""
    apart = {f"{half}.embed.token": f"{half}.word_embeddings" for half in ("encoder", "decoder")}
    return NAMES if c.tie_word_embeddings else NAMES | apart

# HF: beside the tables of the halves, an untied file holds a third one that nothing reads.
COPIES = {"decoder.word_embeddings.weight": "word_embeddings.weight"}
ALIASES = {f"{half}.word_embeddings": "word_embeddings" for half in ("encoder", "decoder")}
UNUSED = ("activation_dropout",)

WORDS: dict[str, Any] = {"out": "lm_head", "bias": False, "make": lambda *its: _words()(*its)}
HEADS = {
    "ProphetNetModel":                    Base(),
    "ProphetNetForConditionalGeneration": Seq2SeqLM(**WORDS),
    "ProphetNetForCausalLM":              CausalLM(shift=False, half="decoder", **WORDS),
}
# fmt: on
INPUTS = "prophetnet"
