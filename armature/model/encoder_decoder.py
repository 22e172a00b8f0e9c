"""Two stacks: an encoder, and a decoder that attends to what the encoder made."""

from __future__ import annotations

from torch import nn

from armature.model.stack import Stack


class EncoderDecoder(nn.Module):
    """An encoder and a decoder; either may be left out where a head needs one half only.

    `armature.forward` runs the halves; here is only what may join them: one table of tokens.
    """

    def __init__(self, encoder: Stack | None, decoder: Stack | None, *, shared: bool) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        if shared and encoder is not None and decoder is not None:
            decoder.embed.token = encoder.embed.token
