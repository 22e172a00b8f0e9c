"""The results of models that recall earlier texts: each tells what a later call may recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from armature.outputs.results import Found, ModelOutput, States

if TYPE_CHECKING:
    from armature.layers.cache import Cache


@dataclass(eq=False)
class RecallingModelOutput(ModelOutput):
    """Hidden states of a bare model, and what a later call may recall."""

    last_hidden_state: Found = None
    mems: States = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class RecallingSequenceClassifierOutput(ModelOutput):
    """Scores for whole sequences, and what a later call may recall."""

    loss: Found = None
    logits: Found = None
    mems: States = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class RecallingSpansOutput(ModelOutput):
    """Scores of an answer's first and last token, and what a later call may recall."""

    loss: Found = None
    start_logits: Found = None
    end_logits: Found = None
    mems: States = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class RecallingWordsOutput(ModelOutput):
    """Logarithms of words' shares, or with labels each token's loss; what a later call recalls."""

    losses: Found = None
    prediction_scores: Found = None
    mems: States = None
    hidden_states: States = None
    attentions: States = None
    loss: Found = None
    past_key_values: Cache | None = None

    logits = property(lambda self: self.prediction_scores)  # as all word heads call them
