"""DPT (Ranftl et al., 2021): maps made of four layers of a ViT tell depths or classes of pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from armature.arch import refuse, sides, vit
from armature.arch._nested import backbone, backbone_rows
from armature.arch._reassembled import neck_rows
from armature.config import Config
from armature.model.spec import Own, Stack
from armature.outputs.tasks import Base, Head, Segmenter, Settings

if TYPE_CHECKING:
    from armature.layers.embed import Inputs

DEFAULTS = vit.DEFAULTS | {
    "image_size": 384,
    "is_hybrid": False,
    "backbone_out_indices": [2, 5, 8, 11],
    "readout_type": "project",
    "reassemble_factors": [4, 2, 1, 0.5],
    "neck_hidden_sizes": [96, 192, 384, 768],
    "fusion_hidden_size": 256,
    "head_in_index": -1,
    "use_batch_norm_in_fusion_residual": False,
    "use_bias_in_fusion_residual": None,
    "add_projection": False,
    "use_auxiliary_head": True,
    "auxiliary_loss_weight": 0.4,
    "semantic_loss_ignore_index": 255,
    "semantic_classifier_dropout": 0.1,
    "backbone_featmap_shape": None,
    "neck_ignore_stages": [],
    "backbone_config": None,
}
_BIT = {"model_type": "bit", "global_padding": "same", "layer_type": "bottleneck"}
_BIT |= {"depths": [3, 4, 9], "out_features": ["stage1", "stage2", "stage3"]}
_BIT |= {"embedding_dynamic_padding": True}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    if c.is_hybrid:
        refuse(c, readout_type="project")
    return vit.encoder(c, lambda *sizes: Own(lambda: _embed(c, *sizes)))


def _embed(c: Config, *sizes: Any) -> Any:
    """Return patches, whose positions are stretched over images of any size."""
    from armature.layers.patches import Convolution, Images, PatchTokens, checked
    from armature.model.call import Asked

    class Stretched(PatchTokens):
        """Positions lie on straight lines between those that were trained."""

        stretches, stretching = True, "bilinear"

    class Hybrid(Stretched):
        """The patches are places of a backbone's last map."""

        def __init__(self) -> None:
            super().__init__(*sizes)
            self.side = self.patch.kernel_size
            self.backbone = backbone(c, _BIT)
            shape = c.backbone_featmap_shape or (1, 1024, 24, 24)
            self.patch = Convolution(shape[1], self.width, 1)

        def open(self, given: Mapping[str, Any]) -> Inputs:
            """Return the inputs of a call with images, and the backbone's maps beside them."""
            pixels = checked(Images.of(given).pixels, self.backbone.body.embed.patch.weight)
            maps = self.backbone({"pixel_values": pixels}, Asked())["feature_maps"]
            inputs = super().open({"pixel_values": maps[-1]})
            inputs.further["maps"] = maps
            inputs.further["told"] = {"intermediate_activations": list(maps[:2])}
            return inputs

        @staticmethod
        def answers(_found: Mapping[str, Any]) -> dict[str, str]:
            """Tell the finer maps beside the states."""
            return {"pooler_output": "intermediate_activations"}

    return Hybrid() if c.is_hybrid else Stretched(*sizes)


def _seer(c: Config) -> Any:
    """Return the anatomy under the depths: a backbone of another file, or the own stack."""
    if c.backbone_config is None or c.is_hybrid:
        return spec(c)

    def make() -> Any:
        from armature.outputs.backbones import OnBackbone

        return OnBackbone(backbone(c, {}))

    return Own(make)


def _neck(c: Config, body: Any) -> Any:
    """Return what fuses maps; those of a pyramid are maps already."""
    from armature.layers.reassemble import FusedMaps, Kept, Neck, Readout, Reassemble
    from armature.model.pyramid import Pyramid

    below = getattr(body, "stack", body)
    normed = bool(c.use_batch_norm_in_fusion_residual)
    bias = c.get("use_bias_in_fusion_residual")
    bias = not normed if bias is None else bool(bias)
    fused = FusedMaps(c.neck_hidden_sizes, c.fusion_hidden_size, bias=bias, normed=normed)
    if isinstance(below, Pyramid):
        return Neck([], fused)
    width, pairs = below.embed.width, zip(c.neck_hidden_sizes, c.reassemble_factors, strict=True)
    project, how = c.readout_type == "project", c.readout_type
    made: list[Any] = [
        Reassemble(width, one, factor, Readout(width, c.hidden_act) if project else how)
        for one, factor in pairs
    ]
    return Neck([Kept(), Kept(), *made[2:]] if c.is_hybrid else made, fused)


def _depth(_spec: Head, c: Config, body: Any) -> Any:
    from armature.outputs.fused import Depth, DepthHead

    depth = Depth(c.fusion_hidden_size, project=256 if c.add_projection else 0)
    told, layers = None if c.is_hybrid else c.backbone_config, _layers(c)
    patch = sides(told.get("patch_size", 16)) if told else (1, 1)
    return DepthHead(_neck(c, body), [] if told else layers, patch, depth, c.head_in_index)


def _classes(_spec: Head, c: Config, body: Any) -> Any:
    from armature.outputs.fused import ClassesHead

    return ClassesHead(_neck(c, body), _layers(c), c)


def _layers(c: Config) -> list[int]:
    """Return the places of the layers whose states are read, 0 the embedded image."""
    chosen = (c.backbone_out_indices or ())[2 if c.is_hybrid else 0 :]
    return [index + 1 for index in range(c.num_hidden_layers or 0) if index in chosen]


PREFIX = "dpt"


def _depth_rows(c: Settings) -> dict[str, Any]:
    other = c.get("backbone_config") is not None and not c.get("is_hybrid")
    rows = backbone_rows(c, {}) if other else {}
    return (
        neck_rows()
        | rows
        | {
            "head.depth.project": "head.projection",
            "head.depth.first": "head.head.0",
            "head.depth.second": "head.head.2",
            "head.depth.out": "head.head.4",
        }
    )


def _class_rows() -> dict[str, Any]:
    rows = neck_rows()
    for ours, theirs in (("classes", "head"), ("second", "auxiliary_head")):
        rows[f"head.{ours}.first.conv"] = f"{theirs}.head.0"
        rows[f"head.{ours}.first.norm"] = f"{theirs}.head.1"
        rows[f"head.{ours}.out"] = f"{theirs}.head.4"
    return rows


NAMES = vit.NAMES


def names(c: Settings) -> dict[str, Any]:
    """Return NAMES; of hybrids, with those of the backbone before the patches."""
    if not c.get("is_hybrid"):
        return NAMES
    return (
        NAMES
        | backbone_rows(c, _BIT, "embeddings.backbone", "embed.backbone")
        | {"embed.patch": "embeddings.projection"}
    )


# fmt: off
UNUSED = (
    "pooler_output_size", "pooler_act", "backbone_featmap_shape", "neck_ignore_stages",
    # where a class has no such head
    "add_projection", "auxiliary_loss_weight", "semantic_classifier_dropout",
    "semantic_loss_ignore_index", "use_auxiliary_head", "backbone_config", "backbone_out_indices",
    "fusion_hidden_size", "head_in_index", "neck_hidden_sizes", "readout_type",
    "reassemble_factors", "use_batch_norm_in_fusion_residual", "use_bias_in_fusion_residual",
    # where a backbone of another file stands in the place of the own stack
    "attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size",
    "image_size", "intermediate_size", "layer_norm_eps", "num_attention_heads", "num_channels",
    "num_hidden_layers", "patch_size", "qkv_bias",
)
# fmt: on

HEADS = {
    "DPTModel": Base("pooler.dense", act="@pooler_act"),
    "DPTForDepthEstimation": Head(
        body=_seer, make=_depth, names=_depth_rows, also=("DepthEstimation",)
    ),
    "DPTForSemanticSegmentation": Segmenter(make=_classes, names=_class_rows()),
}
INPUTS = "images"
