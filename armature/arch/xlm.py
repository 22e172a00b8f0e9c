"""XLM (Lample and Conneau, 2019): BERT of many languages, each token marked with its own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import head_width, refuse
from armature.config import Config
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Own, Post, Stack
from armature.outputs.tasks import (
    Base,
    BeamSpans,
    CausalLM,
    MultipleChoice,
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from armature.layers.embed import Inputs

DEFAULTS = {
    "vocab_size": 30145,
    "emb_dim": 2048,
    "n_layers": 12,
    "n_heads": 16,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "gelu_activation": True,
    "sinusoidal_embeddings": False,
    "causal": False,
    "asm": False,
    "n_langs": 1,
    "use_lang_emb": True,
    "max_position_embeddings": 512,
    "embed_init_std": 2048**-0.5,
    "layer_norm_eps": 1e-12,
    "init_std": 0.02,
    "unk_index": 3,
    "mask_index": 5,
    "is_encoder": True,
    "summary_type": "first",
    "summary_use_proj": True,
    "summary_activation": None,
    "summary_proj_to_labels": True,
    "summary_first_dropout": 0.1,
    "start_n_top": 5,
    "end_n_top": 5,
    "mask_token_id": 0,
    "lang_id": 0,
    "pad_token_id": 2,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
SYNONYMS = {
    "hidden_size": "emb_dim",
    "num_attention_heads": "n_heads",
    "num_hidden_layers": "n_layers",
    "n_words": "vocab_size",
    "bos_index": "bos_token_id",
    "eos_index": "eos_token_id",
    "pad_index": "pad_token_id",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    refuse(c, asm=False, is_encoder=True)
    act = "gelu" if c.gelu_activation else "relu"
    return Stack(
        embed=Own(lambda: _embed()(c)),
        block=Block(
            Post(LayerNorm(c.layer_norm_eps)),
            Attention(c.n_heads, head_width(c), causal=bool(c.causal)),
            Dense(4 * c.emb_dim, act),
        ),
        depth=c.n_layers,
        dropout=Dropout(c.dropout, c.attention_dropout),
    )


@cache
def _embed() -> type[nn.Module]:  # noqa: C901 - a module's methods
    import torch

    from armature.batch import extremes
    from armature.layers import embed, norm, position

    class Embed(embed.Tokens):
        """Token, position and language embeddings."""

        takes = ("langs", "lengths")

        def __init__(self, c: Config) -> None:
            width, table = c.emb_dim, position.Learned
            super().__init__(
                c.n_words,
                width,
                position=table(c.max_position_embeddings, width, 0, None),
                types=-1,
                norm=norm.LayerNorm(width, eps=c.layer_norm_eps),
            )
            languages = min(c.n_langs, c.n_langs if c.use_lang_emb else 1)
            self.lang = embed.Embedding(languages, width) if languages > 1 else None
            self.pad, self.gap, self.language = c.pad_index, c.mask_token_id, c.lang_id

        def summed(self, inputs: Inputs) -> Tensor:
            x, langs = super().summed(inputs), inputs.further.get("langs")
            if langs is None or self.lang is None:
                return x
            layout = inputs.layout
            return x + self.lang(layout.pack(langs.reshape(layout.rows, layout.width)))

        def real(self, ids: Tensor | None, given: Mapping[str, Any]) -> Tensor | None:
            """Return the mask of a call without one: as many first tokens as are no padding."""
            lengths = given.get("lengths")
            if ids is None:
                return None
            if lengths is None:  # HF: padding inside a text cuts its end off
                lengths = (ids != self.pad).sum(1)
            seen, width = extremes(lengths), ids.shape[1]
            if seen is None or seen[0] >= width:
                return None
            return (torch.arange(width, device=ids.device) < lengths[:, None]).long()

        def steps(self, stack: Any, score: Callable[[Tensor], Tensor], prompt: Tensor) -> Any:
            """Return this model as decoding sees it."""
            return _filling()(stack, score, prompt)

    return Embed


@cache
def _filling() -> type:
    import torch

    from armature.batch import Layout
    from armature.layers.context import Record
    from armature.layers.embed import Inputs
    from armature.model.steps import Rereading

    class Filling(Rereading):
        """Decode by filling a gap behind the text, which is read anew for every word."""

        def __init__(self, stack: Any, score: Callable[[Tensor], Tensor], ids: Tensor) -> None:
            super().__init__(ids)
            self.stack, self.score = stack, score

        def start(self) -> Tensor:
            embed = self.stack.embed
            ids = torch.cat((self.ids, self.ids.new_full((len(self.ids), 1), embed.gap)), 1)
            mask = embed.real(ids, {})  # HF: the caller's mask is not read
            layout = Layout.of(mask, (ids.shape[0], ids.shape[1]), ids.device)
            inputs = Inputs(layout, layout.pack(ids))
            if embed.language is not None:
                inputs.further["langs"] = torch.full_like(ids, embed.language)
            return self.score(layout.unpack(self.stack(inputs, Record()))[:, -1])

    return Filling


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.token":          "embeddings",
    "embed.position":       "position_embeddings",
    "embed.lang":           "lang_embeddings",
    "embed.norm":           "layer_norm_emb",
    "blocks.{i}.attn.qkv":  "attentions.{i}.{q,k,v}_lin",
    "blocks.{i}.attn.out":  "attentions.{i}.out_lin",
    "blocks.{i}.attn_norm": "layer_norm1.{i}",
    "blocks.{i}.mlp.up":    "ffns.{i}.lin1",
    "blocks.{i}.mlp.down":  "ffns.{i}.lin2",
    "blocks.{i}.mlp_norm":  "layer_norm2.{i}",
}
IGNORED = ("position_ids",)
UNUSED = ("sinusoidal_embeddings", "embed_init_std", "unk_index", "mask_index", "is_decoder",
          "max_vocab", "min_count", "lang2id", "id2lang", "n_parameters",
          "share_inout_emb", "same_enc_dec", "encoder_only", "bptt", "add_pred", "clip_grad_norm")

FIRST: dict[str, Any] = {"summary": "sequence_summary.summary", "column": True}
HEADS = {
    "XLMModel":                      Base(),
    "XLMWithLMHeadModel":            CausalLM(out="pred_layer.proj", shift=False,
                                              also=("MaskedLM",)),
    "XLMForSequenceClassification":  SequenceClassifier(**FIRST),
    "XLMForMultipleChoice":          MultipleChoice(out="logits_proj", **FIRST),
    "XLMForTokenClassification":     TokenClassifier(out="classifier", dropout="dropout"),
    "XLMForQuestionAnsweringSimple": Spans(out="qa_outputs"),
    "XLMForQuestionAnswering":       BeamSpans(path="qa_outputs"),
}
# fmt: on
INPUTS = "xlm"
