"""Encoders of segmenters, by the names that segmentation_models_pytorch has for them.

Every file here defines

    SIZES                    name → what distinguishes this encoder from the others
    encoder(name, channels)  the encoder, for images of so many channels
    rows(name)               our names → the disk's
"""

from __future__ import annotations

from typing import Any

from armature.arch._encoders import dense, plain, residual, widening
from armature.errors import ConfigError, nearest

_KINDS = (residual, plain, widening, dense)


def find(name: str) -> Any:
    """Return the file that knows an encoder.

    Raises:
        ConfigError: none does.
    """
    for kind in _KINDS:
        if name in kind.SIZES:
            return kind
    known = [one for kind in _KINDS for one in kind.SIZES]
    raise ConfigError(
        f"config.json: the encoder {name!r} is not known here.{nearest(name, known)}\n"
        f"  → known: {', '.join(known)}"
    )
