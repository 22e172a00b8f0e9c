"""What generate() returns with `return_dict_in_generate=True`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from armature.outputs.results import ModelOutput

if TYPE_CHECKING:
    from armature.layers.cache import Cache


Layers = tuple[Tensor, ...]
"""One tensor for each layer."""


@dataclass(eq=False)
class GenerateDecoderOnlyOutput(ModelOutput):
    """What a decoder continued its prompts with, row by row."""

    sequences: Tensor
    """(R, T + new) prompts and new tokens."""
    scores: tuple[Tensor, ...] | None = None
    """(R, V) for each new token, as the settings shaped them."""
    logits: tuple[Tensor, ...] | None = None
    """(R, V) for each new token, as the model gave them."""
    attentions: tuple[Layers, ...] | None = None
    """For each pass, the weights of each layer, (R, H, tokens read, tokens so far)."""
    hidden_states: tuple[Layers, ...] | None = None
    """For each pass, the states of each layer, (R, tokens read, D)."""
    past_key_values: Cache | None = None
    """Keys and values of all tokens but the last: what a call with a longer text goes on from."""


@dataclass(eq=False)
class GenerateEncoderDecoderOutput(ModelOutput):
    """What an encoder-decoder answered, row by row."""

    sequences: Tensor
    """(R, T + new) the decoder's first tokens and new ones."""
    scores: tuple[Tensor, ...] | None = None
    """(R, V) for each new token, as the settings shaped them."""
    logits: tuple[Tensor, ...] | None = None
    """(R, V) for each new token, as the model gave them."""
    encoder_attentions: Layers | None = None
    encoder_hidden_states: Layers | None = None
    decoder_attentions: tuple[Layers, ...] | None = None
    cross_attentions: tuple[Layers, ...] | None = None
    decoder_hidden_states: tuple[Layers, ...] | None = None
    past_key_values: Cache | None = None


@dataclass(eq=False)
class GenerateBeamDecoderOnlyOutput(ModelOutput):
    """What a decoder continued its prompts with, found by beam search."""

    sequences: Tensor
    """(R, T + new) prompts and new tokens, each prompt's best first."""
    sequences_scores: Tensor | None = None
    """(R,) the score of each sequence; present with `output_scores`."""
    scores: tuple[Tensor, ...] | None = None
    """(B * K, V) for each step: log-probabilities, as the settings shaped them."""
    logits: tuple[Tensor, ...] | None = None
    """(B * K, V) for each step, as the model gave them."""
    beam_indices: Tensor | None = None
    """(R, new) the row of `scores` in which each new token was chosen; -1 after the end."""
    attentions: tuple[Layers, ...] | None = None
    hidden_states: tuple[Layers, ...] | None = None


@dataclass(eq=False)
class GenerateBeamEncoderDecoderOutput(ModelOutput):
    """What an encoder-decoder answered, found by beam search."""

    sequences: Tensor
    sequences_scores: Tensor | None = None
    scores: tuple[Tensor, ...] | None = None
    logits: tuple[Tensor, ...] | None = None
    beam_indices: Tensor | None = None
    encoder_attentions: Layers | None = None
    encoder_hidden_states: Layers | None = None
    decoder_attentions: tuple[Layers, ...] | None = None
    cross_attentions: tuple[Layers, ...] | None = None
    decoder_hidden_states: tuple[Layers, ...] | None = None


def result_of(*, beams: bool, encoder: bool, found: dict[str, Any]) -> ModelOutput:
    """Return the result that users know for a strategy and a kind of model.

    Args:
        beams: Whether several continuations were kept side by side.
        encoder: Whether an encoder read the prompt.
        found: Its fields; what a kind has no field for is left out.
    """
    if beams:
        kind = GenerateBeamEncoderDecoderOutput if encoder else GenerateBeamDecoderOnlyOutput
    else:
        kind = GenerateEncoderDecoderOutput if encoder else GenerateDecoderOnlyOutput
    return kind(**{name: value for name, value in found.items() if name in kind.__match_args__})


def shown(seen: Sequence[Any], rows: Tensor, *, encoder: bool) -> dict[str, Any]:
    """Return what the passes of a generation showed, by the names of a result.

    Args:
        seen: `hidden_states`, `attentions` and `cross_attentions` of each pass.
        rows: (R,) the prompt of each row: the first pass may have read each prompt once.
        encoder: Whether an encoder read the prompt.
    """
    found: dict[str, Any] = {}
    for name in ("hidden_states", "attentions", "cross_attentions"):
        passes = [getattr(one, name) for one in seen]
        if passes and passes[0] is not None:
            first = passes[0]
            if len(first[0]) != len(rows):
                passes[0] = tuple(layer[rows] for layer in first)
            own = encoder and name != "cross_attentions"
            found[f"decoder_{name}" if own else name] = tuple(passes)
    return found


# Older names of the same results.
GreedySearchDecoderOnlyOutput = SampleDecoderOnlyOutput = GenerateDecoderOnlyOutput
GreedySearchEncoderDecoderOutput = SampleEncoderDecoderOutput = GenerateEncoderDecoderOutput
BeamSearchDecoderOnlyOutput = BeamSampleDecoderOnlyOutput = GenerateBeamDecoderOnlyOutput
BeamSearchEncoderDecoderOutput = BeamSampleEncoderDecoderOutput = GenerateBeamEncoderDecoderOutput
