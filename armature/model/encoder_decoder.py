"""Two stacks: an encoder, and a decoder that attends to what the encoder made."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from armature.layers.linear import Linear
from armature.model.stack import Stack


class EncoderDecoder(nn.Module):
    """An encoder and a decoder; either may be left out where a head needs one half only.

    `armature.forward` runs the halves; here is only what may join them: one table of tokens.
    """

    reads: tuple[str, ...] = ()  # what else the encoder takes beside its tokens

    def __init__(self, encoder: Stack | None, decoder: Stack | None, *, shared: bool) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        if shared and encoder is not None and decoder is not None:
            decoder.embed.token = encoder.embed.token

    def bridge(self, memory: Tensor) -> Tensor:
        """Encoder's states (M, D) → what the decoder attends to."""
        return memory

    def told(self, states: Tensor) -> Tensor:
        """Encoder's states (B, S, D) → what a result calls its last."""
        return states

    def shows(self, _ids: Tensor, _pad: int | None) -> Tensor | None:
        """Return which decoder inputs (B, T) made of labels count; None: all."""
        return None


class Joined(EncoderDecoder):
    """Two stacks that were trained apart; a linear map joins them where their widths differ."""

    def __init__(self, encoder: Any, decoder: Stack, widths: tuple[int, int] | None) -> None:
        super().__init__(encoder, decoder, shared=False)
        self.join = None if widths is None else Linear(*widths)

    def bridge(self, memory: Tensor) -> Tensor:
        """Encoder's states (M, D) → what the decoder attends to."""
        return memory if self.join is None else self.join(memory)


class JoinedSounds(Joined):
    """Two stacks, of which the first reads sounds."""

    def told(self, states: Tensor) -> Tensor:
        """Return the states as the decoder sees them."""
        return self.bridge(states)  # HF: here alone, behind the map that joins the widths


class JoinedTexts(Joined):
    """Two stacks that both read texts."""

    reads = ("token_type_ids", "position_ids")

    def shows(self, ids: Tensor, pad: int | None) -> Tensor | None:
        """Return which decoder inputs (B, T) made of labels count: all but padding."""
        return None if pad is None else (ids != pad).long()
