"""Any image encoder joined to any text decoder (Li et al., 2021): a picture gets words."""

from __future__ import annotations

from typing import Any

from armature.arch import encoder_decoder
from armature.outputs.tasks import Joined

LIKE = encoder_decoder
DEFAULTS: dict[str, Any] = encoder_decoder.DEFAULTS | {"encoder": {"model_type": "vit"}}
HEADS = {
    "VisionEncoderDecoderModel": Joined(
        only=("ImageTextToText", "Vision2Seq", "DocumentQuestionAnswering")
    )
}
