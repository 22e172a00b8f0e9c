"""What generate() returns with `return_dict_in_generate=True`."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from armature.outputs.results import ModelOutput


@dataclass(eq=False)
class GenerateDecoderOnlyOutput(ModelOutput):
    """What a decoder continued its prompts with, row by row."""

    sequences: Tensor
    """(R, T + new) prompts and new tokens."""
    scores: tuple[Tensor, ...] | None = None
    """(R, V) for each new token, as the settings shaped them."""
    logits: tuple[Tensor, ...] | None = None
    """(R, V) for each new token, as the model gave them."""


@dataclass(eq=False)
class GenerateEncoderDecoderOutput(GenerateDecoderOnlyOutput):
    """What an encoder-decoder answered, row by row."""


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


@dataclass(eq=False)
class GenerateBeamEncoderDecoderOutput(GenerateBeamDecoderOnlyOutput):
    """What an encoder-decoder answered, found by beam search."""


# Older names of the same results.
GreedySearchDecoderOnlyOutput = SampleDecoderOnlyOutput = GenerateDecoderOnlyOutput
GreedySearchEncoderDecoderOutput = SampleEncoderDecoderOutput = GenerateEncoderDecoderOutput
BeamSearchDecoderOnlyOutput = BeamSampleDecoderOnlyOutput = GenerateBeamDecoderOnlyOutput
BeamSearchEncoderDecoderOutput = BeamSampleEncoderDecoderOutput = GenerateBeamEncoderDecoderOutput
