"""OWL-ViT (Minderer et al., 2022): CLIP whose patches each get a box, and fit texts or not."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import find
from armature.arch._nested import Part, tower
from armature.checkpoint.views import View
from armature.config import Config
from armature.model.spec import Own
from armature.outputs.tasks import Contrast, TextGuidedDetector

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

DEFAULTS: dict[str, Any] = {
    "text_config": find("owlvit_text_model").DEFAULTS,
    "vision_config": find("owlvit_vision_model").DEFAULTS,
    "projection_dim": 512,
    "logit_scale_init_value": 2.6592,
}


def spec(c: Config) -> Own:
    """Return the anatomy."""
    text, vision = _text(c), tower(c, "vision_config", "owlvit_vision_model")

    def make() -> Any:
        from armature.outputs.towers import Tower, TowersApart

        width, scale = c.projection_dim, c.logit_scale_init_value
        return TowersApart(Tower(*text), Tower(*vision), width, scale)

    return Own(make)


def _text(c: Config) -> Part:
    """Return the text tower, whose texts end with the greatest id, whatever the file says."""
    arch, part = tower(c, "text_config", "owlvit_text_model")
    twin = part.copy()
    twin.eos_token_id = 2
    twin.__dict__["read_keys"] = part.read_keys
    return arch, twin


def _detector(_spec: Any, c: Config, body: Any) -> nn.Module:
    return _detectors()(c, body)


@cache
def _detectors() -> type[nn.Module]:
    import torch
    from torch import nn
    from torch.nn import functional as F

    from armature.layers import boxes
    from armature.layers.linear import Linear
    from armature.layers.norm import LayerNorm

    class Detector(nn.Module):
        """A box for every patch, and how well each text fits it."""

        body: Any  # of the model, not a part of this head
        fields = ("loss", "loss_dict", "logits", "pred_boxes", "text_embeds", "image_embeds",
                  "class_embeds", "text_model_output", "vision_model_output")  # fmt: skip
        guided = ("logits", "image_embeds", "query_image_embeds", "target_pred_boxes",
                  "query_pred_boxes", "class_embeds", "vision_model_output")  # fmt: skip

        def __init__(self, c: Config, body: Any) -> None:
            super().__init__()
            width, eps = body.vision.width, c.vision_config.layer_norm_eps
            self.__dict__["body"] = body
            self.norm = LayerNorm(width, eps=eps)
            self.kind = Linear(width, body.text.width)
            self.offset, self.factor = Linear(width, 1), Linear(width, 1)
            self.boxes = nn.ModuleList([Linear(width, width), Linear(width, width)])
            self.out = Linear(width, 4)

        def forward(self, found: Any, given: Any) -> dict[str, Any]:
            ids = given["input_ids"]
            x, boxes, sides = self._seen(found["vision_model_output"], given)
            texts = found["text_embeds"].unflatten(0, (len(x), -1))  # (B, Q, D)
            real = ids.reshape(len(x), -1, ids.shape[-1])[..., 0] > 0
            logits, kinds = self._scores(x, texts)
            least = torch.finfo(logits.dtype).min
            return {
                "logits": logits.masked_fill(~real[:, None], least).float(),
                "pred_boxes": boxes,
                "text_embeds": texts,
                "image_embeds": x.unflatten(1, sides),
                "class_embeds": kinds,
            }

        def alike(self, seen: Any, given: Any, other: Any, shown: Any) -> dict[str, Any]:
            """Return the fields `guided` of images, and others that show what to look for."""
            x, boxes, sides = self._seen(seen, given)
            y, its_boxes, its_sides = self._seen(other, shown)
            logits, kinds = self._scores(x, self._shown(y, its_boxes))
            return {
                "logits": logits,
                "image_embeds": x.unflatten(1, sides),
                "query_image_embeds": y.unflatten(1, its_sides),
                "target_pred_boxes": boxes,
                "query_pred_boxes": its_boxes,
                "class_embeds": kinds,
                "vision_model_output": seen,
            }

        def _seen(self, seen: Any, given: Any) -> tuple[Tensor, Tensor, tuple[int, int]]:
            """Return the patches (B, P, D), their boxes (B, P, 4), and how many down and across."""
            states = self.body.vision.head.norm(seen.last_hidden_state)
            x = hidden = self.norm(states[:, 1:] * states[:, :1])
            pixels, patch = given["pixel_values"], self.body.vision.body.embed.patch.kernel_size
            sides = (pixels.shape[2] // patch[0], pixels.shape[3] // patch[1])
            for layer in self.boxes:
                hidden = F.gelu(layer(hidden))
            return x, (self.out(hidden) + _bias(sides, x.device)).sigmoid(), sides

        def _shown(self, x: Tensor, shares: Tensor) -> Tensor:
            """(B, P, D), (B, P, 4) → (B, 1, E): the patch of what fills most of each image.

            Of all boxes that fill nearly as much, it is the one that is least like the rest.
            """
            kinds, whole = self.kind(x), shares.new_tensor([[0, 0, 1, 1]])
            filled = boxes.overlap(whole, boxes.corners(shares).flatten(0, 1))[0].view(len(x), -1)
            likeness = (kinds @ kinds.mean(1)[..., None])[..., 0]  # (B, P)
            small = filled < filled.amax(1, keepdim=True) * 0.8
            best = likeness.masked_fill(small, float("inf")).argmin(1)
            return kinds[torch.arange(len(x), device=x.device), best][:, None]

        def _scores(self, x: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
            """(B, P, D), (B, Q, E) of what to look for → (B, P, Q) of scores, (B, P, E)."""
            kinds, wanted = (
                one / (one.norm(dim=-1, keepdim=True) + 1e-6) for one in (self.kind(x), wanted)
            )
            logits = kinds @ wanted.transpose(1, 2) + self.offset(x)
            return logits * (F.elu(self.factor(x)) + 1), kinds

    return Detector


def _bias(sides: tuple[int, int], device: torch.device) -> Tensor:
    """Return (P, 4): boxes begin as the squares that patches are."""
    import torch

    down, across = sides
    x = torch.arange(1, across + 1, device=device).float() / across
    y = torch.arange(1, down + 1, device=device).float() / down
    corner = torch.stack((x.expand(down, -1), y[:, None].expand(-1, across)), -1)
    size = torch.tensor([1 / across, 1 / down], device=device).expand_as(corner)
    both = torch.cat((corner, size), -1).flatten(0, 1)
    return torch.log(both + 1e-4) - torch.log1p(-both + 1e-4)


PREFIX = "owlvit"
# fmt: off
NAMES: dict[str, str | View] = {
    f"{tower}.body.{ours}": theirs
    for tower in ("text", "vision")
    for ours, theirs in find(f"owlvit_{tower}_model").NAMES.items()
} | {
    "vision.head.norm": "vision_model.post_layernorm",
    "text_map":         "text_projection",
    "vision_map":       "visual_projection",
    "scale.weight":     "logit_scale",
}
IGNORED = ("embeddings.position_ids", "box_bias")
UNUSED = ("initializer_factor",)

HEADS = {
    "OwlViTModel":              Contrast(),
    "OwlViTForObjectDetection": TextGuidedDetector(make=_detector, names={
        "head.norm":      "layer_norm",
        "head.kind":      "class_head.dense0",
        "head.offset":    "class_head.logit_shift",
        "head.factor":    "class_head.logit_scale",
        "head.boxes.0": "box_head.dense0",
        "head.boxes.1": "box_head.dense1",
        "head.out":       "box_head.dense2",
    }),
}
# fmt: on
INPUTS = "clip"
