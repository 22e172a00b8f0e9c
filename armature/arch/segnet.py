"""SegNet (Badrinarayanan et al., 2015): VGG-16 with norms, and its mirror that unpools.

Files have the flat names that most of its writings in PyTorch use: `conv11`, `bn11` … `conv53`,
`bn53` down, `conv53d`, `bn53d` … `bn12d` and, last, `conv11d` up. A file of torchvision's
`vgg16_bn` is read, too: it gives the way down.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Own
from armature.outputs.tasks import Base, Head, Segmenter

DEFAULTS: dict[str, Any] = {
    "num_channels": 3,
    "hidden_sizes": [64, 128, 256, 512, 512],
    "depths": [2, 2, 3, 3, 3],
    "batch_norm_eps": 1e-5,
    "batch_norm_momentum": 0.1,
    "class_weights": None,
    "semantic_loss_ignore_index": 255,
    "num_labels": 12,
}


def spec(c: Config) -> Own:
    """Return the anatomy.

    Raises:
        ConfigError: a list has not one number for each stage, or for each label.
    """
    if len(c.hidden_sizes) != len(c.depths):
        raise ConfigError(
            f"config.json: hidden_sizes are {len(c.hidden_sizes)}, but depths {len(c.depths)}: "
            "give one of each for a stage"
        )
    if c.class_weights is not None and len(c.class_weights) != int(c.num_labels):
        raise ConfigError(
            f"config.json: class_weights are {len(c.class_weights)}, but there are "
            f"{int(c.num_labels)} labels"
        )

    def make() -> Any:
        from armature.outputs.unpooled import Unpooled

        norm = (c.batch_norm_eps, c.batch_norm_momentum)
        return Unpooled(c.num_channels, c.hidden_sizes, c.depths, *norm)

    return Own(make)


def _head(_spec: Head, c: Config, body: Any) -> Any:
    from armature.outputs.unpooled import Scores

    ignored = c.semantic_loss_ignore_index
    return Scores(body.width, int(c.num_labels), ignored, c.class_weights)


PREFIX = ""
NAMES: dict[str, str] = {}  # as many as the config's stages have convolutions


def names(c: Config) -> dict[str, str]:
    """Return our names → the disk's: those of the way up count down."""
    rows = {}
    for stage, depth in enumerate(c.depths):
        for index in range(depth):
            one = f"{stage + 1}{index + 1}"
            ours = f"encoder.{stage}.{index}"
            rows |= {f"{ours}.conv": f"conv{one}", f"{ours}.norm": f"bn{one}"}
            if one != "11":  # the head's
                ours = f"decoder.{stage}.{depth - 1 - index}"
                rows |= {f"{ours}.conv": f"conv{one}d", f"{ours}.norm": f"bn{one}d"}
    return rows


def _numbered() -> Iterator[tuple[str, str]]:
    """Yield torchvision's names, which number all steps, and the flat ones."""
    step = 0
    for stage, depth in enumerate(DEFAULTS["depths"], 1):
        for index in range(1, depth + 1):
            yield f"features.{step}", f"conv{stage}{index}"
            yield f"features.{step + 1}", f"bn{stage}{index}"
            step += 3  # the rectifier has no weights
        step += 1


ALIASES = dict(_numbered())
IGNORED = ("num_batches_tracked",)
UNUSED = ("class_weights", "semantic_loss_ignore_index", "id2label", "label2id")

HEADS = {
    "SegNetModel": Base(),
    "SegNetForSemanticSegmentation": Segmenter(make=_head, names={"head.out": "conv11d"}),
}
INPUTS = "images"
