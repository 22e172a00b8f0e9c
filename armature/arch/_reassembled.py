"""Names of what makes maps of a stack's states and fuses them, which several files share."""

from __future__ import annotations

from typing import Any


def neck_rows() -> dict[str, Any]:
    """Return the rows of the neck."""
    layer, ours = "neck.fusion_stage.layers.{i}", "head.neck.fused.fuse.{i}"
    reassemble = "neck.reassemble_stage"
    rows: dict[str, Any] = {
        "head.neck.reassemble.{i}.project": f"{reassemble}.layers.{{i}}.projection",
        "head.neck.reassemble.{i}.resize": f"{reassemble}.layers.{{i}}.resize",
        "head.neck.reassemble.{i}.readout.mix": f"{reassemble}.readout_projects.{{i}}.0",
        "head.neck.fused.convs.{i}": "neck.convs.{i}",
        f"{ours}.out": f"{layer}.projection",
    }
    for unit, word in (("own", "residual_layer1"), ("both", "residual_layer2")):
        for place, number in (("first", 1), ("second", 2)):
            rows[f"{ours}.{unit}.{place}"] = f"{layer}.{word}.convolution{number}"
            rows[f"{ours}.{unit}.{place}_norm"] = f"{layer}.{word}.batch_norm{number}"
    return rows
