"""VideoMAE (Tong et al., 2022): ViT on blocks of a video, of which it learned to guess most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from armature.arch import sides, vit
from armature.config import Config
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Pre, Stack, UnbiasedKeys
from armature.outputs.tasks import Base, Head, ImageClassifier, MaskedImage

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.embed import Inputs
    from armature.outputs.images import Sight

DEFAULTS = {
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "num_frames": 16,
    "tubelet_size": 2,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "layer_norm_eps": 1e-12,
    "qv_bias": True,
    "use_mean_pooling": True,
    "decoder_num_attention_heads": 6,
    "decoder_hidden_size": 384,
    "decoder_num_hidden_layers": 4,
    "decoder_intermediate_size": 1536,
    "norm_pix_loss": True,
}

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # how images were normed


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    embed = Own(lambda: _embed(c))
    norm = None if c.use_mean_pooling else LayerNorm(c.layer_norm_eps)
    sizes = (c.hidden_size, c.num_hidden_layers, c.num_attention_heads, c.intermediate_size)
    return _stack(c, embed, sizes, norm)


def _stack(
    c: Config, embed: Own, sizes: tuple[int, int, int, int], norm: LayerNorm | None
) -> Stack:
    """Return blocks of a width, depth, number of heads and inner width."""
    width, depth, heads, inner = sizes
    biased = bool(c.get("qkv_bias", c.qv_bias))  # the key's former name counts, too
    attention = UnbiasedKeys(heads, width // heads, bias=(biased, True))
    return Stack(
        embed=embed,
        block=Block(Pre(LayerNorm(c.layer_norm_eps)), attention, Dense(inner, c.hidden_act)),
        depth=depth,
        norm=norm,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


def _blocks(c: Config) -> tuple[int, int, int]:
    """Return how many blocks a video has: in time, down, across."""
    (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
    return c.num_frames // c.tubelet_size, height // down, width // across


def _waves(c: Config, width: int, like: Tensor) -> Tensor:
    """Return computed positions (blocks, D): sines and cosines in turn."""
    import torch

    time, down, across = _blocks(c)
    speeds = 10000.0 ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
    turns = torch.arange(time * down * across)[:, None] * speeds
    return torch.stack((turns.sin(), turns.cos()), -1).flatten(1)[:, :width].to(like)


def _embed(c: Config) -> Any:
    from torch import nn

    from armature.batch import Layout
    from armature.errors import ArgumentError
    from armature.layers.embed import Inputs

    size, (height, width) = (c.tubelet_size, *sides(c.patch_size)), sides(c.image_size)

    class Clip(nn.Module):
        """One vector for each block of a video that is not hidden."""

        bare = True
        takes = ("pixel_values", "bool_masked_pos")
        width = c.hidden_size

        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv3d(c.num_channels, c.hidden_size, size, stride=size)

        def open(self, given: Mapping[str, Any]) -> Inputs:
            """Return the inputs of a call with videos (B, frames, C, height, width).

            Raises:
                ArgumentError: they are of another size, or not as many blocks of each are hidden.
            """
            videos, hidden = given.get("pixel_values"), given.get("bool_masked_pos")
            wanted = (c.num_frames, c.num_channels, height, width)
            if videos is None or tuple(videos.shape[1:]) != wanted:
                raise ArgumentError(f"give pixel_values: videos (B, {', '.join(map(str, wanted))})")
            time, down, across = _blocks(c)
            tokens = time * down * across
            if hidden is not None:
                counts = {int(count) for count in (~hidden.bool()).sum(1)}
                if tuple(hidden.shape) != (len(videos), tokens) or len(counts) != 1:
                    raise ArgumentError(
                        f"bool_masked_pos has the shape {tuple(hidden.shape)}: give one truth "
                        f"value for each of {tokens} blocks, as many of each video hidden"
                    )
                tokens = counts.pop()
            layout = Layout((tokens,) * len(videos), tokens, videos.device)
            return Inputs(layout, further={"videos": videos, "hidden": hidden})

        def forward(self, inputs: Inputs) -> Tensor:
            """Videos → (N, D)."""
            videos, hidden = inputs.further["videos"], inputs.further["hidden"]
            x = self.patch(videos.to(self.patch.weight.dtype).transpose(1, 2))
            x = x.flatten(2).mT + _waves(c, c.hidden_size, x)
            return x.flatten(0, 1) if hidden is None else x[~hidden.bool()]

    return Clip()


def _restorer(_spec: Head, c: Config, _body: Any) -> Any:
    import torch
    from torch import nn

    from armature.batch import Layout
    from armature.errors import ArgumentError
    from armature.layers.context import Record
    from armature.layers.embed import Inputs
    from armature.layers.linear import Linear
    from armature.layers.norm import LayerNorm as Norm
    from armature.model.build import build
    from armature.outputs.images import PatchHead

    width, heads = c.decoder_hidden_size, c.decoder_num_attention_heads
    sizes = (width, c.decoder_num_hidden_layers, heads, c.decoder_intermediate_size)

    class Ready(nn.Module):
        """What is seen and what is hidden, as the head has laid it."""

        def __init__(self) -> None:
            super().__init__()
            self.width = width

        def forward(self, inputs: Inputs) -> Tensor | None:
            """Packed inputs → (N, D)."""
            return inputs.embeds

    class Pixels(PatchHead):
        """The pixels of every hidden block."""

        fields = ("loss", "logits", "hidden_states", "attentions")

        def __init__(self) -> None:
            super().__init__()
            self.map = Linear(c.hidden_size, width, bias=False)
            self.mask = nn.Parameter(torch.empty(1, 1, width))
            self.decoder = build(_stack(c, Own(Ready), sizes, None))
            self.norm = Norm(width)
            down, across = sides(c.patch_size)
            self.out = Linear(width, c.num_channels * c.tubelet_size * down * across)

        def read(self, sight: Sight) -> dict[str, Any]:
            """Return loss, logits (B, hidden, pixels)."""
            hidden = sight.inputs.further["hidden"]
            if hidden is None:
                raise ArgumentError("give bool_masked_pos: which blocks of the videos are hidden")
            hidden, rows = hidden.bool(), len(hidden)
            seen = self.map(sight.rows(sight.last))
            places = _waves(c, width, seen).expand(rows, -1, -1)
            first = seen + places[~hidden].unflatten(0, (rows, -1))
            x = torch.cat((first, self.mask + places[hidden].unflatten(0, (rows, -1))), 1)
            layout = Layout((x.shape[1],) * rows, x.shape[1], x.device)
            x = self.decoder(Inputs(layout, embeds=x.flatten(0, 1)), Record())
            logits = self.out(self.norm(layout.unpack(x)[:, first.shape[1] :]))
            wanted = _pixels(c, sight.inputs.further["videos"])[hidden]
            return {"loss": nn.functional.mse_loss(logits.flatten(0, 1), wanted), "logits": logits}

    return Pixels()


def _pixels(c: Config, videos: Tensor) -> Tensor:
    """Return the pixels of each block, (B, blocks, frames · height · width · C), perhaps normed.

    Raises:
        ConfigError: they are wanted as they were, but nobody knows how they were normed.
    """
    from armature.errors import ConfigError

    if c.num_channels == 3:
        mean, spread = (videos.new_tensor(x)[:, None, None] for x in (_MEAN, _SPREAD))
        videos = videos * spread + mean
    elif not c.norm_pix_loss:
        raise ConfigError("config.json: norm_pix_loss can be false only for images of 3 channels")
    (time, high, wide), (down, across) = _blocks(c), sides(c.patch_size)
    x = videos.unflatten(4, (wide, across)).unflatten(3, (high, down))
    x = x.unflatten(1, (time, c.tubelet_size)).permute(0, 1, 4, 6, 2, 5, 7, 3)
    x = x.flatten(4, 6).flatten(1, 3)  # (B, blocks, pixels, C)
    if c.norm_pix_loss:
        x = (x - x.mean(-2, keepdim=True)) / (x.var(-2, keepdim=True).sqrt() + 1e-6)
    return x.flatten(2)


PREFIX = "videomae"
# fmt: off
_BLOCKS = {ours: theirs for ours, theirs in vit.NAMES.items() if ours.startswith("blocks")} | {
    f"blocks.{{i}}.attn.qkv.{part}.bias": f"encoder.layer.{{i}}.attention.attention.{part}_bias"
    for part in "qv"
}
NAMES = _BLOCKS | {"embed.patch": "embeddings.patch_embeddings.projection", "norm": "layernorm"}
UNUSED = ("decoder_hidden_size", "decoder_intermediate_size", "decoder_num_attention_heads",
          "decoder_num_hidden_layers", "norm_pix_loss")

HEADS = {
    "VideoMAEModel":                  Base(),
    "VideoMAEForPreTraining":         MaskedImage(
        only=("PreTraining",), make=_restorer,
        names={"head.map": "encoder_to_decoder", "head.mask": "mask_token",
               "head.norm": "decoder.norm", "head.out": "decoder.head"} | {
            f"head.decoder.{ours}": theirs.replace("encoder.layer", "decoder.decoder_layers")
            for ours, theirs in _BLOCKS.items()}),
    "VideoMAEForVideoClassification": ImageClassifier(
        only=("VideoClassification",), pick="mean", norm="fc_norm", eps=1e-5,
        gate="use_mean_pooling", out="classifier"),
}
# fmt: on
INPUTS = "images"
