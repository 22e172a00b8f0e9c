"""Any two checkpoints joined (Rothe et al., 2019): one reads, the other writes."""

from __future__ import annotations

from typing import Any

from armature.arch import find
from armature.config import Config
from armature.model.spec import Untied
from armature.outputs.tasks import Joined

DEFAULTS: dict[str, Any] = {
    "encoder": {"model_type": "bert"},
    "decoder": {"model_type": "bert", "is_decoder": True, "add_cross_attention": True},
    "is_encoder_decoder": True,
}


def spec(c: Config) -> Untied:
    """Return the anatomy: those of the two."""
    return Untied(_part(c.encoder), _part(c.decoder))


def _part(settings: dict[str, Any]) -> Any:
    arch = find(str(settings.get("model_type")))
    words = {"defaults": arch.DEFAULTS, "synonyms": arch.SYNONYMS}
    return arch.spec(type("PartConfig", (Config,), words).from_dict(settings))


PREFIX = ""
NAMES: dict[str, str] = {}  # the two bring their own
UNUSED = ("tie_encoder_decoder", "vocab_size")

HEADS = {"EncoderDecoderModel": Joined()}
INPUTS = "bert"
