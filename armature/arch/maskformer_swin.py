"""The Swin of MaskFormer (Cheng et al., 2021): one norm for each of its maps, by their numbers."""

from __future__ import annotations

from armature.arch import swin
from armature.outputs.tasks import Backbone

LIKE = swin

PREFIX = "model"

HEADS = {
    "MaskFormerSwinBackbone": Backbone(
        norms="hidden_states_norms",
        eps=1e-5,
        names={f"head.norms.stage{i + 1}": f"hidden_states_norms.{i}" for i in range(9)},
    ),
}
