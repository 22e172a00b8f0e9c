"""The results that models return: read by attribute, key or index, printed as users know them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

if TYPE_CHECKING:
    from armature.layers.cache import Cache

Found = Tensor | None
States = tuple[Tensor, ...] | None


class ModelOutput(Mapping[str, Any]):
    """Base of every result: a dataclass that is also a mapping and can be indexed like a tuple.

    Fields that are None count as absent for keys, indices and slices, so `outputs[0]` is the
    loss when labels were given and the logits when they were not.
    """

    __match_args__: ClassVar[tuple[str, ...]]

    def _present(self) -> dict[str, Any]:
        named = ((field.name, getattr(self, field.name)) for field in fields(self))  # type: ignore[arg-type]
        return {name: value for name, value in named if value is not None}

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the fields that are present, in their order; results inside as tuples, too."""
        found = self._present().values()
        return tuple(x.to_tuple() if isinstance(x, ModelOutput) else x for x in found)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self._present()[key]
        return self.to_tuple()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._present())

    def __len__(self) -> int:
        return len(self._present())

    def __setitem__(self, key: str, value: Any) -> None:
        setattr(self, key, value)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__  # type: ignore[assignment]


# Shapes: last_hidden_state (B, T, D); hidden_states: one (B, T, D) for the embeddings and one for
# each block; attentions: one (B, H, T, T) for each block; logits (B, T, V) or (B, labels).


@dataclass(eq=False)
class BaseModelOutput(ModelOutput):
    """Hidden states of a bare encoder."""

    last_hidden_state: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class BaseModelOutputWithPooling(ModelOutput):
    """Hidden states and one pooled vector (B, D) for each sequence."""

    last_hidden_state: Found = None
    pooler_output: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class BaseModelOutputWithPoolingAndCrossAttentions(ModelOutput):
    """Hidden states, pooled vectors and, for a decoder, its cache."""

    last_hidden_state: Found = None
    pooler_output: Found = None
    hidden_states: States = None
    past_key_values: Cache | None = None
    attentions: States = None
    cross_attentions: States = None


@dataclass(eq=False)
class BaseModelOutputWithPast(ModelOutput):
    """Hidden states of a decoder and its cache; router_logits (N, X) for routed experts."""

    last_hidden_state: Found = None
    past_key_values: Cache | None = None
    hidden_states: States = None
    attentions: States = None
    router_logits: States = None


@dataclass(eq=False)
class BaseModelOutputWithPastAndCrossAttentions(ModelOutput):
    """Hidden states of a decoder that may attend to a second sequence."""

    last_hidden_state: Found = None
    past_key_values: Cache | None = None
    hidden_states: States = None
    attentions: States = None
    cross_attentions: States = None


@dataclass(eq=False)
class Seq2SeqModelOutput(ModelOutput):
    """Hidden states of an encoder and a decoder."""

    last_hidden_state: Found = None
    past_key_values: Cache | None = None
    decoder_hidden_states: States = None
    decoder_attentions: States = None
    cross_attentions: States = None
    encoder_last_hidden_state: Found = None
    encoder_hidden_states: States = None
    encoder_attentions: States = None


@dataclass(eq=False)
class MaskedLMOutput(ModelOutput):
    """Scores of a masked language model."""

    loss: Found = None
    logits: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class CausalLMOutput(ModelOutput):
    """Scores of a language model."""

    loss: Found = None
    logits: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class CausalLMOutputWithPast(ModelOutput):
    """Scores of a language model and its cache; aux_loss balances routed experts."""

    loss: Found = None
    aux_loss: Found = None
    logits: Found = None
    past_key_values: Cache | None = None
    hidden_states: States = None
    attentions: States = None
    router_logits: States = None


@dataclass(eq=False)
class CausalLMOutputWithCrossAttentions(ModelOutput):
    """Scores of a language model that may attend to a second sequence."""

    loss: Found = None
    logits: Found = None
    past_key_values: Cache | None = None
    hidden_states: States = None
    attentions: States = None
    cross_attentions: States = None


@dataclass(eq=False)
class DoubleHeadsModelOutput(ModelOutput):
    """Scores of words for each choice (B, choices, T, V), and one for each choice (B, choices)."""

    loss: Found = None
    mc_loss: Found = None
    logits: Found = None
    mc_logits: Found = None
    past_key_values: Cache | None = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class Seq2SeqLMOutput(ModelOutput):
    """Scores of an encoder-decoder language model."""

    loss: Found = None
    logits: Found = None
    past_key_values: Cache | None = None
    decoder_hidden_states: States = None
    decoder_attentions: States = None
    cross_attentions: States = None
    encoder_last_hidden_state: Found = None
    encoder_hidden_states: States = None
    encoder_attentions: States = None


@dataclass(eq=False)
class PreTrainingOutput(ModelOutput):
    """Scores of words, and of whether two sentences follow each other."""

    loss: Found = None
    prediction_logits: Found = None
    seq_relationship_logits: Found = None
    sop_logits: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class NextSentencePredictorOutput(ModelOutput):
    """Scores of two sentences following."""

    loss: Found = None
    logits: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class SequenceClassifierOutput(ModelOutput):
    """Scores of labels (B, labels)."""

    loss: Found = None
    logits: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class SequenceClassifierOutputWithPast(ModelOutput):
    """Scores of labels (B, labels) read off a decoder's last token."""

    loss: Found = None
    logits: Found = None
    past_key_values: Cache | None = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class Seq2SeqSequenceClassifierOutput(ModelOutput):
    """Scores of labels (B, labels) read off an encoder-decoder."""

    loss: Found = None
    logits: Found = None
    past_key_values: Cache | None = None
    decoder_hidden_states: States = None
    decoder_attentions: States = None
    cross_attentions: States = None
    encoder_last_hidden_state: Found = None
    encoder_hidden_states: States = None
    encoder_attentions: States = None


@dataclass(eq=False)
class TokenClassifierOutput(ModelOutput):
    """Scores of labels (B, T, labels)."""

    loss: Found = None
    logits: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class PathTokenClassifierOutput(TokenClassifierOutput):
    """Scores of labels (B, T, labels), and the best path through them (B, T); -1 at padding."""

    paths: Found = None


@dataclass(eq=False)
class MultipleChoiceModelOutput(ModelOutput):
    """Scores of choices (B, choices)."""

    loss: Found = None
    logits: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class QuestionAnsweringModelOutput(ModelOutput):
    """Scores of an answer's first and last token, each (B, T)."""

    loss: Found = None
    start_logits: Found = None
    end_logits: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class BeamSpansOutput(ModelOutput):
    """Shares and places of an answer's likeliest first tokens, and of the last ones of each."""

    loss: Found = None
    start_top_log_probs: Found = None
    start_top_index: Found = None
    end_top_log_probs: Found = None
    end_top_index: Found = None
    cls_logits: Found = None
    mems: States = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class Seq2SeqQuestionAnsweringModelOutput(ModelOutput):
    """Scores of an answer's first and last token, each (B, T), read off a decoder."""

    loss: Found = None
    start_logits: Found = None
    end_logits: Found = None
    past_key_values: Cache | None = None
    decoder_hidden_states: States = None
    decoder_attentions: States = None
    cross_attentions: States = None
    encoder_last_hidden_state: Found = None
    encoder_hidden_states: States = None
    encoder_attentions: States = None


@dataclass(eq=False)
class BackboneOutput(ModelOutput):
    """Feature maps (B, C, height, width), one for each stage asked for."""

    feature_maps: States = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class ImageModelOutput(BaseModelOutputWithPooling):
    """Hidden states of an image (B, patches, D), and as maps (B, D, height, width)."""

    reshaped_hidden_states: States = None


@dataclass(eq=False)
class ImageClassifierOutput(ModelOutput):
    """Scores of an image's labels (B, labels)."""

    loss: Found = None
    logits: Found = None
    hidden_states: States = None
    attentions: States = None
    reshaped_hidden_states: States = None


@dataclass(eq=False)
class TaughtImageClassifierOutput(ModelOutput):
    """Scores of an image's labels (B, labels): the mean, and by which token."""

    logits: Found = None
    cls_logits: Found = None
    distillation_logits: Found = None
    hidden_states: States = None
    attentions: States = None


@dataclass(eq=False)
class MaskedImageModelingOutput(ModelOutput):
    """Reconstructed pixels (B, C, height, width)."""

    loss: Found = None
    reconstruction: Found = None
    hidden_states: States = None
    attentions: States = None
    reshaped_hidden_states: States = None
