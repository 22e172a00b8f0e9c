"""Names of the decoders that give pixels classes, of the maps of four stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from armature.outputs.tasks import Settings


def decoders(
    conv: str,
    norm: str,
    further: Mapping[str, str] | None = None,
    *,
    pooled: str = "psp_modules.{j}.1",
    gather: str = "bottleneck",
) -> Callable[[Settings], dict[str, str]]:
    """Return what gives the rows of the head, without those of parts that the settings leave out.

    Args:
        conv: how a convolution is called.
        norm: how the norm behind it is called.
        further: other rows of the head.
        pooled: how the pooled maps are called.
        gather: how what joins them is called.
    """
    parts = {"pooled.{j}": pooled, "gather": gather, "lateral.{j}": "lateral_convs.{j}",
             "smooth.{j}": "fpn_convs.{j}", "fuse": "fpn_bottleneck"}  # fmt: skip
    parts = {f"decode.{ours}": f"decode_head.{theirs}" for ours, theirs in parts.items()}
    parts |= {"second.convs.{j}": "auxiliary_head.convs.{j}",
              "second.rejoin": "auxiliary_head.conv_cat"}  # fmt: skip
    rows = {
        f"head.classes.{ours}.{part}": f"{theirs}.{name}"
        for ours, theirs in parts.items()
        for part, name in (("conv", conv), ("norm", norm))
    }
    rows["head.classes.decode.out"] = "decode_head.classifier"
    rows["head.classes.second.out"] = "auxiliary_head.classifier"
    rows |= further or {}

    def names(c: Settings) -> dict[str, str]:
        absent = [
            f"head.classes.second{part}"
            for part, present in (
                ("", c.get("use_auxiliary_head", True)),
                (".convs", c.get("auxiliary_num_convs", 1)),
                (".rejoin", c.get("auxiliary_concat_input", False)),
            )
            if not present
        ]
        return {ours: name for ours, name in rows.items() if not ours.startswith(tuple(absent))}

    return names
