"""ViLT (Kim et al., 2021): a text's tokens and an image's patches in one row of a ViT."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import head_width, sides
from armature.config import Config
from armature.errors import ArgumentError
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Own, Pre, Stack
from armature.outputs.tasks import (
    Base,
    MaskedLM,
    SequenceClassifier,
    TokenClassifier,
    VisualQuestions,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.embed import Inputs
    from armature.model.call import Asked

# fmt: off
DEFAULTS = {
    "vocab_size": 30522, "type_vocab_size": 2, "modality_type_vocab_size": 2,
    "max_position_embeddings": 40,
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    "layer_norm_eps": 1e-12,
    "image_size": 384, "patch_size": 32, "num_channels": 3, "qkv_bias": True,
    "max_image_length": -1, "num_images": -1,
}
# fmt: on


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm = LayerNorm(c.layer_norm_eps)
    return Stack(
        embed=Own(lambda: _embed()(c)),
        block=Block(
            Pre(norm),
            Attention(c.num_attention_heads, head_width(c), bias=(c.qkv_bias, True)),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        norm=norm,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


@cache
def _embed() -> type[nn.Module]:  # noqa: C901 - a module's methods
    import torch
    from torch import nn
    from torch.nn import functional as F

    from armature.batch import Layout
    from armature.layers import embed, norm, patches, position
    from armature.model import call
    from armature.outputs.beside import mark_text

    class TextAndPatches(embed.Tokens):
        """A text's tokens, then a token for the image, then its patches that hold anything."""

        bare = True
        takes = ("input_ids", "attention_mask", "token_type_ids", "pixel_values", "pixel_mask",
                 "inputs_embeds", "image_embeds", "image_token_type_idx")  # fmt: skip
        lists = ("image_token_type_idx",)

        def __init__(self, c: Config) -> None:
            width = c.hidden_size
            super().__init__(
                c.vocab_size,
                width,
                position=position.Learned(c.max_position_embeddings, width, 0, None),
                types=c.type_vocab_size,
                norm=norm.LayerNorm(width, eps=c.layer_norm_eps),
            )
            (down, across), (high, wide) = sides(c.patch_size), sides(c.image_size)
            self.grid, self.most = (high // down, wide // across), c.max_image_length
            self.patch = patches.Convolution(
                c.num_channels, width, (down, across), stride=(down, across)
            )
            self.cls = nn.Parameter(torch.empty(1, 1, width))
            count = 1 + self.grid[0] * self.grid[1]
            self.places = nn.Parameter(torch.empty(1, count, width))
            self.kind = embed.Embedding(c.modality_type_vocab_size, width)

        def open(self, given: Mapping[str, Any]) -> Inputs:
            """Return the inputs of a call with texts (B, T) and as many images."""
            ids, embeds = given.get("input_ids"), given.get("inputs_embeds")
            text = call.pack(ids, embeds, given.get("attention_mask"), given)
            seen, real = self._images(given)
            if len(seen) != text.layout.rows:
                raise ArgumentError(
                    f"there are {text.layout.rows} texts and {len(seen)} images: give each text "
                    "an image of its own"
                )
            seen = seen + self.kind.weight[given.get("image_token_type_idx") or 1]
            mask = torch.cat((text.layout.mask, real), 1)
            layout = Layout.of(mask, (len(mask), mask.shape[1]), mask.device)
            further = {"parts": (text, seen), **mark_text(layout, text.layout)}
            return embed.Inputs(layout, further=further)

        def forward(self, inputs: Inputs) -> Tensor:
            """Texts and images → (N, D)."""
            text, seen = inputs.further["parts"]
            words = super().forward(text) + self.kind.weight[0]
            return inputs.layout.pack(torch.cat((text.layout.unpack(words), seen), 1))

        def _images(self, given: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
            """Return the patches (B, 1 + P, D) that hold anything, and which of them do."""
            if given.get("image_embeds") is not None:
                ready, mask = given["image_embeds"], given.get("pixel_mask")
                whole = torch.ones(ready.shape[:2], device=ready.device)
                return ready, (whole if mask is None else mask.flatten(1)).bool()
            pixels = patches.checked(patches.Images.of(given).pixels, self.patch.weight)
            x = self.patch(pixels)
            mask = given.get("pixel_mask")
            if mask is None:
                mask = torch.ones(len(x), *pixels.shape[2:], device=x.device)
            mask = F.interpolate(mask[:, None].float(), size=x.shape[2:]).long()[:, 0]
            sizes = [(int(one[:, 0].sum()), int(one[0].sum())) for one in mask]
            most = max(down * across for down, across in sizes)
            most = min(most, self.most) if self.most >= 0 else most
            kept, real = [], torch.zeros(len(x), 1 + most, dtype=torch.bool, device=x.device)
            # HF: the patches come in an order of chance; here it is always that of seed 0.
            chance = torch.Generator().manual_seed(0)
            for row, (one, holds, size) in enumerate(zip(x, mask, sizes, strict=True)):
                placed = one + self._placed(size, tuple(one.shape[1:]))
                found = placed.flatten(1).t()[holds.flatten().bool()]  # (P, D)
                rest = most - len(found)
                if rest <= 0:
                    order = torch.multinomial(torch.ones(len(found)), most, generator=chance)
                    found = found[order.to(x.device)]
                else:  # which of the others would pad
                    others = torch.ones(holds.numel() - len(found))
                    torch.multinomial(others, rest, replacement=True, generator=chance)
                kept.append(F.pad(found, (0, 0, 0, most - len(found))))
                real[row, : 1 + len(found)] = True
            cls = (self.cls + self.places[:, :1]).expand(len(x), -1, -1)
            return self.dropout(torch.cat((cls, torch.stack(kept)), 1)), real

        def _placed(self, size: tuple[int, int], room: tuple[int, ...]) -> Tensor:
            """Return the positions (D, down, across) of an image of this size, zero beyond it."""
            table = self.places[:, 1:].unflatten(1, self.grid).permute(0, 3, 1, 2)
            table = F.interpolate(table, size=size, mode="bilinear", align_corners=True)[0]
            return F.pad(table, (0, room[1] - size[1], 0, room[0] - size[0]))

    return TextAndPatches


@cache
def _several() -> type[nn.Module]:
    from armature.model.build import build
    from armature.model.composite import Composite

    class Several(Composite):
        """A text with each of several images in turn, which are told apart by their kind."""

        takes = ("input_ids", "attention_mask", "token_type_ids", "pixel_values", "pixel_mask",
                 "inputs_embeds", "image_embeds")  # fmt: skip

        def __init__(self, c: Config) -> None:
            super().__init__()
            self.inner: Any = build(spec(c))
            self.images, self.width = c.num_images, c.hidden_size

        @property
        def stack(self) -> Any:
            return self.inner

        writings = property(lambda self: [self.inner])  # type: ignore[override]

        def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
            depths = {"pixel_values": 5, "pixel_mask": 4, "image_embeds": 4}
            parts = {name: given[name] for name in depths if name in given}
            parts = {k: v if v.dim() == depths[k] else v[:, None] for k, v in parts.items()}
            count = next(iter(parts.values())).shape[1] if parts else 0
            if count != self.images:
                raise ArgumentError(
                    f"the model compares {self.images} images of each text, but the call has "
                    f"{count}: give pixel_values (B, {self.images}, C, height, width)"
                )
            first, seen = [], []
            for index in range(count):
                one = {k: v[:, index] for k, v in parts.items()}
                inputs = self.inner.embed.open({**given, **one, "image_token_type_idx": index + 1})
                record, layout = asked.record(self.inner), inputs.layout
                first.append(self.inner(inputs, record)[layout.ends[0]])
                seen.append(asked.seen(self.inner, record, layout))
            names = [name for name in ("hidden_states", "attentions") if seen[0][name] is not None]
            return {"first": first, **{name: [one[name] for one in seen] for name in names}}

    return Several


def _classifier(spec: Any, c: Config, body: Any) -> nn.Module:
    return _classifiers()(spec, c, body)


@cache
def _classifiers() -> type[nn.Module]:
    import torch
    from torch import nn
    from torch.nn import functional as F

    from armature.layers.linear import Linear
    from armature.layers.norm import LayerNorm
    from armature.outputs import losses

    class Classifier(nn.Module):
        """The first token's map, or those of several images side by side, through two maps."""

        fields = ("loss", "logits", "hidden_states", "attentions")

        def __init__(self, spec: Any, c: Config, body: Any) -> None:
            super().__init__()
            self.several = not hasattr(body, "embed")
            width = c.hidden_size
            inner = width * c.num_images if self.several else 2 * width
            self.dense = Linear(width, width)
            self.up = Linear(width * (c.num_images if self.several else 1), inner)
            self.norm, self.out = LayerNorm(inner), Linear(inner, int(c.num_labels))

        def forward(self, x: Any, given: Any) -> dict[str, Any]:
            first = x["first"] if self.several else [x[given.layout.ends[0]]]
            labels = (given if self.several else given.labels).get("labels")
            pooled = torch.cat([torch.tanh(self.dense(one)) for one in first], -1)
            logits, loss = self.out(F.gelu(self.norm(self.up(pooled)))), None
            if labels is not None and self.several:
                loss = losses.sequence(logits, labels, "single_label_classification")
            elif labels is not None:  # shares of several answers, summed over answers
                wanted = labels.to(logits.device, logits.dtype)
                loss = F.binary_cross_entropy_with_logits(logits, wanted) * wanted.shape[1]
            return {"loss": loss, "logits": logits}

    return Classifier


def _ranking(spec: Any, c: Config, _body: Any) -> nn.Module:
    from armature.outputs.heads import Sequences

    return Sequences(spec, c, (c.hidden_size, c.hidden_size, 1))


def _text_head(spec: Any, c: Config, body: Any) -> nn.Module:
    from armature.outputs.beside import build_text_head

    return build_text_head(spec, c, body)


PREFIX = "vilt"
# fmt: off
NAMES = {
    "embed.token":          "embeddings.text_embeddings.word_embeddings",
    "embed.position":       "embeddings.text_embeddings.position_embeddings",
    "embed.segment":        "embeddings.text_embeddings.token_type_embeddings",
    "embed.norm":           "embeddings.text_embeddings.LayerNorm",
    "embed.cls":            "embeddings.cls_token",
    "embed.patch":          "embeddings.patch_embeddings.projection",
    "embed.places":         "embeddings.position_embeddings",
    "embed.kind":           "embeddings.token_type_embeddings",
    "blocks.{i}.attn_norm": "encoder.layer.{i}.layernorm_before",
    "blocks.{i}.attn.qkv":  "encoder.layer.{i}.attention.attention.{query,key,value}",
    "blocks.{i}.attn.out":  "encoder.layer.{i}.attention.output.dense",
    "blocks.{i}.mlp_norm":  "encoder.layer.{i}.layernorm_after",
    "blocks.{i}.mlp.up":    "encoder.layer.{i}.intermediate.dense",
    "blocks.{i}.mlp.down":  "encoder.layer.{i}.output.dense",
    "norm":                 "layernorm",
}
NAMES |= {f"inner.{ours}": theirs for ours, theirs in NAMES.items()}
IGNORED = ("embeddings.position_ids", "text_embeddings.token_type_ids")
UNUSED = ("num_images", "pad_token_id", "tie_word_embeddings")

POOLED: dict[str, Any] = {"dense": "vilt.pooler.dense", "act": "tanh"}
_TWO = {"head.dense": "vilt.pooler.dense", "head.up": "classifier.0",
        "head.norm": "classifier.1", "head.out": "classifier.3"}
HEADS = {
    "ViltModel":                          Base(**POOLED),
    "ViltForQuestionAnswering":           VisualQuestions(make=_classifier, names=_TWO),
    "ViltForMaskedLM":                    MaskedLM(
        dense="mlm_score.transform.dense", act="@hidden_act",
        norm="mlm_score.transform.LayerNorm", out="mlm_score.decoder", make=_text_head,
        spare="vilt.pooler.dense"),
    "ViltForImageAndTextRetrieval":       SequenceClassifier(
        out="rank_output", make=_ranking, **POOLED),
    "ViltForImagesAndTextClassification": SequenceClassifier(
        body=lambda c: Own(lambda: _several()(c)), make=_classifier, names=_TWO),
    "ViltForTokenClassification":         TokenClassifier(out="classifier", make=_text_head),
}
# fmt: on
INPUTS = "bert"
