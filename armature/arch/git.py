"""GIT (Wang et al., 2022): a post-norm decoder that writes on from the patches of an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from armature.arch import head_width
from armature.arch._nested import tower
from armature.checkpoint.views import View, behind
from armature.config import Config
from armature.errors import ArgumentError
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Post, Stack
from armature.outputs.tasks import Base, CausalLM

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.batch import Layout
    from armature.layers.context import Context
    from armature.layers.embed import Inputs
    from armature.layers.kernels import Rule
    from armature.outputs.picking import Given

DEFAULTS: dict[str, Any] = {
    "vision_config": {},
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 1024,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "bos_token_id": 101,
    "eos_token_id": 102,
    "tie_word_embeddings": False,
    "num_image_with_embedding": None,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    anatomy, width = tower(c, "vision_config", "git_vision_model"), head_width(c)
    seen = anatomy[0].spec(anatomy[1])
    return Stack(
        embed=Own(lambda: _embed()(c, seen, anatomy[1])),
        block=Block(
            Post(LayerNorm(c.layer_norm_eps)),
            Own(lambda: _attention()(c.hidden_size, c.num_attention_heads, width)),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


# ------------------------------------------- its own organs: only building a model needs torch

_IMAGES = "image tokens"  # how many stand before each text of a pass


@cache
def _embed() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.layers import embed, linear, norm, position
    from armature.model.build import build

    class Embed(embed.Tokens):
        """Words, behind the patches of one image or of several frames."""

        takes = ("pixel_values", "interpolate_pos_encoding", "labels")

        def __init__(self, c: Config, seen: Stack, vision: Config) -> None:
            width, rows = c.hidden_size, c.max_position_embeddings
            super().__init__(
                c.vocab_size,
                width,
                position=position.Learned(rows, width, 0, None),
                norm=norm.LayerNorm(width, eps=c.layer_norm_eps),
            )
            self.tower: Any = build(seen)
            self.project = None
            self.look = linear.Linear(vision.hidden_size, width)
            self.look_norm = norm.LayerNorm(width, eps=vision.layer_norm_eps)
            count = c.num_image_with_embedding
            self.times = None
            if count is not None:
                self.times = nn.ParameterList(
                    nn.Parameter(torch.empty(1, 1, vision.hidden_size)) for _ in range(count)
                )

        def forward(self, inputs: Inputs) -> Tensor:
            """Packed inputs → (N, D), images first."""
            given = inputs.further
            if "labels" in given:
                _fill(inputs)
            words, old = super().forward(inputs), inputs.layout
            if given.get("pixel_values") is None:
                return words
            seen = _seen(self, given).repeat(old.rows // len(given["pixel_values"]), 1, 1)
            count = given[_IMAGES] = seen.shape[1]
            inputs.layout = _lengthened(old, count)
            if inputs.positions is not None:  # of words, for those that will follow
                places = old.unpack(inputs.positions)
                places = torch.cat((places.new_zeros(old.rows, count), places), 1)
                inputs.positions = inputs.layout.pack(places)
            rows = words.split(old.lengths)  # padding, too, where it is read
            return torch.cat([part for pair in zip(seen, rows, strict=True) for part in pair])

        @staticmethod
        def begin_text(tokenizer: Any, text: str) -> list[int]:
            """Return the tokens of a text that the model shall write on from."""
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            return [tokenizer.cls_token_id, *ids]

    return Embed


def _fill(inputs: Inputs) -> None:
    """Read padding, too, unseen by others."""
    from armature.batch import Layout

    old, whole = inputs.layout, inputs.whole
    if old.index is not None and whole is not None:
        widths = (old.width,) * old.rows
        inputs.layout = Layout(widths, old.width, old.device, hidden=~old.mask)
        inputs.tokens = whole.flatten()


def _lengthened(old: Layout, count: int) -> Layout:
    """Return the layout of texts behind so many tokens of images."""
    import torch

    from armature.batch import Layout

    real, width = torch.cat((old.mask.new_ones(old.rows, count), old.mask), 1), count + old.width
    if old.hidden is not None:
        return Layout((width,) * old.rows, width, old.device, hidden=~real)
    return Layout.of(real, (old.rows, width), old.device)


def _seen(embed: Any, given: Mapping[str, Any]) -> Tensor:
    """Images (B, C, height, width), or frames before C → (B, tokens, D)."""
    import torch

    from armature.layers.context import Record

    pixels, times = given["pixel_values"], embed.times
    timed = pixels.dim() == 5
    frames = pixels if timed else pixels[:, None]
    if timed and (times is None or frames.shape[1] > len(times)):
        raise ArgumentError(
            f"pixel_values has {frames.shape[1]} frames, but the model knows "
            f"{0 if times is None else len(times)}: give one image, or fewer"
        )
    found = []
    for index in range(frames.shape[1]):
        inputs = embed.tower.embed.open({**given, "pixel_values": frames[:, index]})
        x = inputs.layout.unpack(embed.tower(inputs, Record()))
        found.append(x + times[index] if timed else x)
    return embed.look_norm(embed.look(torch.cat(found, 1)))


@cache
def _attention() -> type[nn.Module]:
    from armature.layers.attention import SelfAttention

    class Attention(SelfAttention):
        """Words see what comes before them; images see themselves, both ways."""

        def __init__(self, width: int, heads: int, head: int) -> None:
            both = (True, True)
            super().__init__(width, heads, head, kv_heads=heads, bias=both, causal=True)

        def _rule(self, context: Context) -> Rule:
            rule, images = super()._rule(context), context.shared.get(_IMAGES)
            if images is None:
                return rule
            return replace(rule, causal=False, bias=partial(_hidden, images))

    return Attention


def _hidden(images: int, queries: Tensor, keys: Tensor) -> Tensor:
    """Return (1, Q, S): minus infinity where a query must not see a key."""
    ahead = (keys > queries[:, None]) & (keys >= images)
    return queries.new_zeros(1, *ahead.shape).float().masked_fill(ahead, float("-inf"))


def _words(spec: CausalLM, c: Config, body: Any) -> nn.Module:
    from armature.outputs import losses
    from armature.outputs.heads import Words

    class WrittenWords(Words):
        """Scores of words, also behind images, which no label speaks of."""

        def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
            labels, images = given.labels.pop("labels", None), given.further.get(_IMAGES, 0)
            scores = self.scores(x)
            if labels is None:
                return {"logits": given.layout.unpack(scores)}
            # HF: labels at padding count; the first has no word before it.
            logits = scores.unflatten(0, (len(labels), -1))
            return {"logits": logits, "loss": losses.words(logits[:, images:], labels, shift=True)}

    vocab, width = body.embed.token.weight.shape
    return WrittenWords(spec, c, (width, width, vocab))


PREFIX = "git"
# fmt: off
NAMES: dict[str, str | View] = {
    "embed.token":          "embeddings.word_embeddings",
    "embed.position":       "embeddings.position_embeddings",
    "embed.norm":           "embeddings.LayerNorm",
    "embed.look":           "visual_projection.visual_projection.0",
    "embed.look_norm":      "visual_projection.visual_projection.1",
    "embed.times.{i}":      "img_temporal_embedding.{i}",
    "blocks.{i}.attn.qkv":  "encoder.layer.{i}.attention.self.{query,key,value}",
    "blocks.{i}.attn.out":  "encoder.layer.{i}.attention.output.dense",
    "blocks.{i}.attn_norm": "encoder.layer.{i}.attention.output.LayerNorm",
    "blocks.{i}.mlp.up":    "encoder.layer.{i}.intermediate.dense",
    "blocks.{i}.mlp.down":  "encoder.layer.{i}.output.dense",
    "blocks.{i}.mlp_norm":  "encoder.layer.{i}.output.LayerNorm",
}


def names(c: Config) -> dict[str, str | View]:
    """Return NAMES, and those of the image encoder."""
    arch, part = tower(c, "vision_config", "git_vision_model")
    seen = {f"embed.tower.{ours}": row for ours, row in arch.names(part).items()}
    return NAMES | behind("image_encoder", seen)


IGNORED = ("embeddings.position_ids",)

HEADS = {
    "GitModel":       Base(),
    "GitForCausalLM": CausalLM(out="output", make=_words, also=("ImageTextToText", "Vision2Seq")),
}
# fmt: on
INPUTS = "bert"
