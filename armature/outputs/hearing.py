"""The results that only models of sounds return."""

from __future__ import annotations

from dataclasses import dataclass

from armature.outputs.results import Found, ModelOutput, States


@dataclass(eq=False)
class XVectorOutput(ModelOutput):
    """A vector for each voice (B, width), and its scores."""

    loss: Found = None
    logits: Found = None
    embeddings: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class ContrastOutput(ModelOutput):
    """Frames and the codes of what they hid (B, T, width), the perplexity of codes, and losses."""

    loss: Found = None
    logits: Found = None
    projected_states: Found = None
    projected_quantized_states: Found = None
    codevector_perplexity: Found = None
    hidden_states: States = None
    attentions: States = None
    contrastive_loss: Found = None
    diversity_loss: Found = None
