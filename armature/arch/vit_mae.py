"""ViT-MAE (He et al., 2021): ViT sees a few patches of an image, and a small decoder the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from armature.arch import sides, vit
from armature.config import Config
from armature.model import spec as anatomy
from armature.outputs.tasks import Base, Head, RestoredImage

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.embed import Inputs
    from armature.outputs.images import Sight

LIKE = vit

DEFAULTS = {
    key: value
    for key, value in vit.DEFAULTS.items()
    if key not in ("encoder_stride", "pooler_act", "pooler_output_size")
} | {
    "decoder_hidden_size": 512,
    "decoder_num_hidden_layers": 8,
    "decoder_num_attention_heads": 16,
    "decoder_intermediate_size": 2048,
    "mask_ratio": 0.75,
    "norm_pix_loss": False,
}


def spec(c: Config) -> anatomy.Stack:
    """Return the anatomy."""
    return vit.encoder(c, lambda *sizes: anatomy.Own(lambda: _embed(c.mask_ratio, *sizes)))


def waves(grid: tuple[int, int], width: int) -> Tensor:
    """Return computed positions (1, 1 + patches, D) of a grid: none for the first token."""
    import torch

    places = torch.arange(grid[0] * grid[1], dtype=torch.float64)
    speeds = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    turns = [place[:, None] * speeds for place in (places % grid[1], places // grid[1])]
    found = torch.cat([wave for turn in turns for wave in (turn.sin(), turn.cos())], 1)
    return torch.nn.functional.pad(found, (0, width - found.shape[1], 1, 0))[None].float()


def _begin(fresh: Tensor, grid: tuple[int, int], width: int) -> None:
    if fresh.shape[1] > 1:
        fresh.copy_(waves(grid, width))
    else:
        fresh.normal_(0.0, 0.02)


def _embed(share: float, width: int, shape: tuple[int, int, int], grid: tuple[int, int]) -> Any:
    import torch

    from armature.layers.patches import PatchTokens

    class Glimpse(PatchTokens):
        """A few patches of each image, chosen by noise."""

        takes = ("pixel_values", "noise", "interpolate_pos_encoding")  # type: ignore[assignment]
        needed = ("position",)

        def __init__(self) -> None:
            super().__init__(width, shape, None)
            self.grid = grid
            del self.position
            self.register_buffer("position", waves(grid, width))

        def compute(self, fresh: Tensor) -> None:
            """Fill a fresh weight: positions are known, all else begins at random."""
            _begin(fresh, grid, width)

        def open(self, given: Mapping[str, Any]) -> Inputs:
            """Return the inputs of a call with images, and which patches of them are seen."""
            from armature.batch import Layout

            inputs = super().open(given)
            rows, patches = inputs.layout.rows, inputs.layout.width - 1
            noise = given.get("noise")
            if noise is None:
                noise = torch.rand(rows, patches, device=inputs.layout.device)
            order, count = noise.argsort(1), int(patches * (1 - share))
            inputs.layout = Layout((1 + count,) * rows, 1 + count, inputs.layout.device)
            inputs.further |= {"seen": order[:, :count], "restore": order.argsort(1)}
            return inputs

        def forward(self, inputs: Inputs) -> Tensor:  # type: ignore[override]
            """Images → (N, D): the first token and the patches that are seen, shuffled."""
            (first, x), seen = self.pieces(inputs), inputs.further["seen"]
            x = x.gather(1, seen[..., None].expand(-1, -1, x.shape[-1]))
            return torch.cat((first, x), 1).flatten(0, 1)

    return Glimpse()


def _choice(sight: Sight) -> dict[str, Any]:
    """Return where each patch went, and one for those that are hidden: (B, patches) each."""
    restore, seen = sight.inputs.further["restore"], sight.inputs.further["seen"]
    return {"mask": (restore >= seen.shape[1]).float(), "ids_restore": restore}


def _glimpsed(_spec: Head, _c: Config, _body: Any) -> Any:
    from armature.outputs.images import PatchHead

    class Glimpsed(PatchHead):
        """The states of the patches that are seen, and which ones they are."""

        fields = ("last_hidden_state", "mask", "ids_restore", "hidden_states", "attentions")

        def read(self, sight: Sight) -> dict[str, Any]:
            """Return last_hidden_state, mask, ids_restore."""
            return {"last_hidden_state": sight.rows(sight.last), **_choice(sight)}

    return Glimpsed()


def _decoder(c: Config) -> anatomy.Stack:
    """Return the anatomy of what restores patches."""
    heads, norm = c.decoder_num_attention_heads, anatomy.LayerNorm(c.layer_norm_eps)
    attention = anatomy.Attention(heads, c.decoder_hidden_size // heads, bias=(c.qkv_bias, True))
    mlp = anatomy.Dense(c.decoder_intermediate_size, c.hidden_act)
    return anatomy.Stack(
        embed=anatomy.Own(lambda: _restored(c)),
        block=anatomy.Block(anatomy.Pre(norm), attention, mlp),
        depth=c.decoder_num_hidden_layers,
        norm=norm,
        dropout=anatomy.Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


def _restored(c: Config) -> Any:
    import torch
    from torch import nn

    from armature.layers.linear import Linear

    class Restored(nn.Module):
        """States of the patches seen, back in their places, and one vector for all others."""

        needed = ("position",)

        def __init__(self) -> None:
            super().__init__()
            (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
            self.width = c.decoder_hidden_size
            self.map = Linear(c.hidden_size, self.width)
            self.mask = nn.Parameter(torch.empty(1, 1, self.width))
            grid = (height // down, width // across)
            self.register_buffer("position", waves(grid, self.width))
            self.grid = grid

        def compute(self, fresh: Tensor) -> None:
            """Fill a fresh weight: positions are known, all else begins at random."""
            _begin(fresh, self.grid, self.width)

        def forward(self, inputs: Inputs) -> Tensor:
            """Packed states of what is seen → (N, D) of all patches."""
            assert inputs.embeds is not None
            x = self.map(inputs.embeds).unflatten(0, (inputs.layout.rows, -1))
            first, restore = x[:, :1], inputs.further["restore"]
            hidden = self.mask.expand(len(x), 1 + restore.shape[1] - x.shape[1], -1)
            patches = torch.cat((x[:, 1:], hidden), 1)
            patches = patches.gather(1, restore[..., None].expand(-1, -1, self.width))
            x = torch.cat((first, patches), 1) + self._positions(restore.shape[1])
            return x.flatten(0, 1)

        def _positions(self, patches: int) -> Tensor:
            table: Any = self.position
            if table.shape[1] == 1 + patches:
                return table
            # HF: these are stretched over the patches in their order, not down and across.
            line = table[:, 1:].mT[:, :, None]
            line = nn.functional.interpolate(line, (1, patches), mode="bicubic")
            return torch.cat((table[:, :1], line[:, :, 0].mT), 1)

    return Restored()


def _restorer(_spec: Head, c: Config, body: Any) -> Any:
    from armature.batch import Layout
    from armature.layers.context import Record
    from armature.layers.embed import Inputs
    from armature.layers.linear import Linear
    from armature.model.build import build
    from armature.outputs.images import PatchHead

    class Pixels(PatchHead):
        """The pixels of every patch; the loss counts those of hidden ones."""

        fields = ("loss", "logits", "mask", "ids_restore", "hidden_states", "attentions")

        def __init__(self) -> None:
            super().__init__()
            self.decoder = build(_decoder(c))
            self.out = Linear(c.decoder_hidden_size, body.embed.patch.weight[0].numel())

        def read(self, sight: Sight) -> dict[str, Any]:
            """Return loss, logits (B, patches, pixels), mask, ids_restore."""
            choice = _choice(sight)
            rows, patches = choice["mask"].shape
            layout = Layout((1 + patches,) * rows, 1 + patches, sight.last.device)
            inputs = Inputs(layout, embeds=sight.last, further=sight.inputs.further)
            logits = self.out(layout.unpack(self.decoder(inputs, Record()))[:, 1:])
            apart = (logits - _pixels(sight, c)).square().mean(-1)
            loss = (apart * choice["mask"]).sum() / choice["mask"].sum()
            return {"loss": loss, "logits": logits, **choice}

    return Pixels()


def _pixels(sight: Sight, c: Config) -> Tensor:
    """Return the pixels of each patch, (B, patches, height · width · C), perhaps normed."""
    from armature.layers.patches import squares

    pixels = squares(sight.inputs.further["images"].pixels, sides(c.patch_size))
    if not c.norm_pix_loss:
        return pixels
    spread = (pixels.var(-1, keepdim=True) + 1e-6).sqrt()
    return (pixels - pixels.mean(-1, keepdim=True)) / spread


# fmt: off
_DECODER = {
    "embed.map":      "decoder_embed",
    "embed.mask":     "mask_token",
    "embed.position": "decoder_pos_embed",
    "norm":           "decoder_norm",
}
# HF: what is called `decoder_layers` in published files is written so today.
_DECODER |= {ours: theirs.replace("encoder.layer", "decoder_encoder.layer")
             for ours, theirs in vit.NAMES.items() if ours.startswith("blocks")}
ALIASES = {"decoder_layers": "decoder_encoder.layer"}
UNUSED = ("decoder_hidden_size", "decoder_intermediate_size", "decoder_num_attention_heads",
          "decoder_num_hidden_layers", "norm_pix_loss")

HEADS = {
    "ViTMAEModel":          Base(make=_glimpsed),
    "ViTMAEForPreTraining": RestoredImage(
        only=("PreTraining",), make=_restorer,
        names={"head.out": "decoder.decoder_pred"} | {
            f"head.decoder.{ours}": f"decoder.{theirs}" for ours, theirs in _DECODER.items()}),
}
# fmt: on
