"""Any sound encoder joined to any text decoder (Wang et al., 2021): a sound gets words."""

from __future__ import annotations

from typing import Any

from armature.arch import encoder_decoder
from armature.outputs.tasks import Joined

LIKE = encoder_decoder
DEFAULTS: dict[str, Any] = encoder_decoder.DEFAULTS | {"encoder": {"model_type": "wav2vec2"}}
HEADS = {"SpeechEncoderDecoderModel": Joined(only=("SpeechSeq2Seq",))}
