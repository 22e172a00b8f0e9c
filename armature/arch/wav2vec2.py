"""wav2vec 2.0 (Baevski et al., 2020): frames of a waveform, placed by a convolution, encoded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import head_width
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Post, Pre, Stack
from armature.outputs.tasks import (
    CTC,
    Base,
    FrameClassifier,
    HiddenFrames,
    SoundClassifier,
    Speakers,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.context import Context

DEFAULTS: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout": 0.1,
    "attention_dropout": 0.1,
    "final_dropout": 0.1,
    "layer_norm_eps": 1e-5,
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "conv_dim": [512, 512, 512, 512, 512, 512, 512],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_bias": False,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "do_stable_layer_norm": False,
    "apply_spec_augment": True,
    "mask_time_prob": 0.05,
    "mask_time_length": 10,
    "mask_time_min_masks": 2,
    "mask_feature_prob": 0.0,
    "mask_feature_length": 10,
    "mask_feature_min_masks": 0,
    "num_codevectors_per_group": 320,
    "num_codevector_groups": 2,
    "contrastive_logits_temperature": 0.1,
    "codevector_dim": 256,
    "proj_codevector_dim": 256,
    "diversity_loss_weight": 0.1,
    "ctc_loss_reduction": "sum",
    "ctc_zero_infinity": False,
    "use_weighted_layer_sum": False,
    "classifier_proj_size": 256,
    "tdnn_dim": [512, 512, 512, 512, 1500],
    "tdnn_kernel": [5, 3, 3, 1, 1],
    "tdnn_dilation": [1, 2, 3, 1, 1],
    "xvector_output_dim": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "add_adapter": False,
    "adapter_kernel_size": 3,
    "adapter_stride": 2,
    "num_adapter_layers": 3,
    "output_hidden_size": None,
    "adapter_attn_dim": None,
}


def without(*beginnings: str) -> dict[str, Any]:
    """Return the defaults, less those of settings whose names begin so."""
    return {key: value for key, value in DEFAULTS.items() if not key.startswith(beginnings)}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return encoder(c, Own(lambda: sounds(c)), adapted=True)


def encoder(c: Config, embed: Own, attn: Own | None = None, *, adapted: bool = False) -> Stack:
    """Return a stack of blocks on any kind of frames, with any kind of attention.

    Args:
        c: the config.
        embed: makes frames.
        attn: looks from frame to frame; None: as usual.
        adapted: blocks have adapters for languages, if the config says how wide.
    """
    norm, stable = LayerNorm(c.layer_norm_eps), bool(_own(c, "do_stable_layer_norm"))
    adapted = adapted and c.get("adapter_attn_dim") is not None
    block = Block(
        Pre(norm) if stable else Post(norm),
        attn or Own(lambda: _attention(c)),
        Dense(c.intermediate_size, c.hidden_act),
    )
    return Stack(
        embed=embed,
        block=(lambda _: Own(lambda: _adapted()(c, block))) if adapted and stable else block,
        depth=c.num_hidden_layers,
        norm=norm if stable else None,
        dropout=Dropout(c.hidden_dropout, c.attention_dropout),
    )


def _own(c: Config, key: str) -> Any:
    """Return a setting that the architecture has; HF: what a file says beyond them is ignored."""
    return c.get(key) if key in c.defaults else None


# ------------------------------------------- its own organs: only building a model needs torch


def _attention(c: Config) -> nn.Module:
    from armature.layers.sound import HearingAttention

    heads = c.num_attention_heads
    both = (True, True)
    return HearingAttention(c.hidden_size, heads, head_width(c), kv_heads=heads, bias=both)


def sounds(
    c: Config,
    places: Callable[[], nn.Module] | None = None,
    kind: Callable[..., nn.Module] | None = None,
    **kinds: bool,
) -> nn.Module:
    """Return what makes tokens of a waveform.

    Args:
        c: the config.
        places: makes what tells frames where they stand; None: one convolution, weight-normed.
        kind: makes it of its parts; None: as usual.
        **kinds: `told`: results hold the features; `normed`: they are normed before they are
            projected; `layered`: every convolution is normed, and `masked`: there is a vector for
            hidden frames, whatever the config says.
    """
    from armature.layers import filters, sound, spans
    from armature.layers.norm import LayerNorm

    width, eps = c.hidden_size, c.layer_norm_eps
    time = (c.mask_time_prob, c.mask_time_length, c.mask_time_min_masks)
    channels = (c.mask_feature_prob, c.mask_feature_length, c.mask_feature_min_masks)
    frames = _frames(c, "layer" if kinds.get("layered") else c.feat_extract_norm)
    normed = LayerNorm(frames.width, eps=eps) if kinds.get("normed", True) else None
    out = c.get("output_hidden_size") or width
    shape = (c.get("num_adapter_layers"), c.get("adapter_kernel_size"), c.get("adapter_stride"))
    parts = sound.Parts(
        frames,
        normed,
        _placing(c) if places is None else places(),
        None if _own(c, "do_stable_layer_norm") else LayerNorm(width, eps=eps),
        filters.Adapter(width, out, shape) if _own(c, "add_adapter") else None,
        spans.Spans(time, channels) if c.get("apply_spec_augment", True) else None,
    )
    masked = kinds.get("masked", False) or c.mask_time_prob > 0 or c.mask_feature_prob > 0
    usual = sound.SoundsTold if kinds.get("told", True) else sound.Sounds
    return (kind or usual)(width, parts, masked=masked)


def _frames(c: Config, kind: str) -> Any:
    from torch import nn

    from armature.layers import filters, norm

    counts = {len(c.conv_dim), len(c.conv_kernel), len(c.conv_stride)}
    if len(counts) > 1 or kind not in ("group", "layer"):
        raise ConfigError(
            f"config.json: conv_dim, conv_kernel and conv_stride are {c.conv_dim}, {c.conv_kernel} "
            f"and {c.conv_stride}, one number each for a convolution, and feat_extract_norm is "
            f"{kind!r}, 'group' or 'layer'\n"
            "  → correct the file, or download it again"
        )
    shapes = list(zip(c.conv_dim, c.conv_kernel, c.conv_stride, strict=True))
    norms: list[Any] = [None] * len(shapes)
    if kind == "layer":
        norms = [norm.LayerNorm(width) for width in c.conv_dim]
    else:
        norms[0] = nn.GroupNorm(c.conv_dim[0], c.conv_dim[0])
    return filters.Frames(shapes, norms, c.feat_extract_activation, bias=c.conv_bias)


def _placing(c: Config) -> nn.Module:
    from armature.layers import filters

    kernel, groups = c.num_conv_pos_embeddings, c.num_conv_pos_embedding_groups
    conv = filters.NormedConvolution(c.hidden_size, kernel, groups)
    return filters.Placing(conv, c.feat_extract_activation)


@cache
def _adapted() -> type[nn.Module]:
    from torch import nn

    from armature.layers import linear, norm
    from armature.model import block, build

    class Language(nn.Module):
        """A narrow pass beside the states, one for each language."""

        def __init__(self, width: int, narrow: int) -> None:
            super().__init__()
            self.norm = norm.LayerNorm(width)
            self.up = linear.Linear(width, narrow)
            self.down = linear.Linear(narrow, width)

        def forward(self, x: Tensor) -> Tensor:
            """(N, D) → (N, D)."""
            return self.down(self.up(self.norm(x)).relu())

    class Adapted(block.PreBlock):
        """A block whose states a language's own pass adds to."""

        def __init__(self, c: Config, plain: Block) -> None:
            inner = build.build_block(plain, c.hidden_size)
            norms = {name: inner.get_submodule(name) for name in ("attn_norm", "mlp_norm")}
            super().__init__(inner.attn, inner.mlp, norms, None)
            self.language = Language(c.hidden_size, c.adapter_attn_dim)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            x = super().forward(x, context)
            return x + self.language(x)

    return Adapted


PREFIX = "wav2vec2"
# fmt: off
NAMES = {
    "embed.frames.convs.{i}.conv":     "feature_extractor.conv_layers.{i}.conv",
    "embed.frames.convs.{i}.norm":     "feature_extractor.conv_layers.{i}.layer_norm",
    "embed.norm_in":                   "feature_projection.layer_norm",
    "embed.project":                   "feature_projection.projection",
    "embed.mask":                      "masked_spec_embed",
    "embed.places.conv":               "encoder.pos_conv_embed.conv",
    "embed.places.conv.length.weight":
        "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "embed.places.conv.direction":
        "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
    "embed.norm":                      "encoder.layer_norm",
    "norm":                            "encoder.layer_norm",
    "embed.adapter.project":           "adapter.proj",
    "embed.adapter.norm":              "adapter.proj_layer_norm",
    "embed.adapter.convs.{i}":         "adapter.layers.{i}.conv",
    "blocks.{i}.attn.qkv":             "encoder.layers.{i}.attention.{q,k,v}_proj",
    "blocks.{i}.attn.out":             "encoder.layers.{i}.attention.out_proj",
    "blocks.{i}.attn_norm":            "encoder.layers.{i}.layer_norm",
    "blocks.{i}.mlp.up":               "encoder.layers.{i}.feed_forward.intermediate_dense",
    "blocks.{i}.mlp.down":             "encoder.layers.{i}.feed_forward.output_dense",
    "blocks.{i}.mlp_norm":             "encoder.layers.{i}.final_layer_norm",
    "blocks.{i}.language.norm":        "encoder.layers.{i}.adapter_layer.norm",
    "blocks.{i}.language.up":          "encoder.layers.{i}.adapter_layer.linear_1",
    "blocks.{i}.language.down":        "encoder.layers.{i}.adapter_layer.linear_2",
}
ALIASES = {
    "pos_conv_embed.conv.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
    "pos_conv_embed.conv.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
}
# The first are for training, the next older spellings of that, the last for one head or another.
UNUSED: tuple[str, ...] = (
    "num_feat_extract_layers", "layerdrop", "activation_dropout", "feat_proj_dropout",
    "feat_quantizer_dropout", "feat_extract_dropout", "hidden_dropout_prob", "final_dropout",
    "num_negatives", "bos_token_id", "eos_token_id",
    "do_ctc", "freeze_feat_extract_train", "mask_channel_length", "mask_channel_min_space",
    "mask_channel_other", "mask_channel_prob", "mask_channel_selection", "mask_time_min_space",
    "mask_time_other", "mask_time_selection", "no_mask_channel_overlap", "no_mask_time_overlap",
    "vocab_size", "pad_token_id", "ctc_loss_reduction", "ctc_zero_infinity", "classifier_proj_size",
    "use_weighted_layer_sum", "tdnn_dim", "tdnn_kernel", "tdnn_dilation", "xvector_output_dim",
    "codevector_dim", "proj_codevector_dim", "num_codevector_groups", "num_codevectors_per_group",
    "contrastive_logits_temperature", "diversity_loss_weight", "num_ctc_classes", "replace_prob")

HEADS = {
    "Wav2Vec2Model":         Base(),
    "Wav2Vec2ForCTC":        CTC(dropout="final_dropout", out="lm_head"),
    "Wav2Vec2ForPreTraining": HiddenFrames(dense="project_hid", codes="quantizer.codevectors",
                                       chooses="quantizer.weight_proj", project="project_q"),
    "Wav2Vec2ForSequenceClassification":   SoundClassifier(
        blend="layer_weights", dense="projector", out="classifier"),
    "Wav2Vec2ForAudioFrameClassification": FrameClassifier(
        blend="layer_weights", out="classifier"),
    "Wav2Vec2ForXVector":    Speakers(
        blend="layer_weights", dense="projector", layers="tdnn", vector="feature_extractor",
        out="classifier", voices="objective.weight"),
}
# fmt: on
INPUTS = "sounds"
