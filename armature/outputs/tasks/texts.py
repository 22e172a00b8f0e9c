"""Heads of texts: words, labels, answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from armature.config import Config
from armature.outputs.tasks.base import Head, SequenceHead, Settings


@dataclass(frozen=True)
class WordHead(Head):
    """Base of heads that score every word of the vocabulary."""

    scale: Callable[[Config], float] | None = None  # a factor on the hidden states
    cap: str = ""  # config key: scores stay between it and its negative, by a tanh
    untied_bias: str = ""  # another name of the output's bias where words have their own matrix
    tied: Callable[[Settings], bool] | None = None  # None: as `tie_word_embeddings` says
    rest: str = ""  # map of what is left of a state where words are narrower than states

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        return super().rows(settings) | ({"head.rest": self.rest} if self.rest else {})

    def ties(self, settings: Settings) -> bool:
        """Return whether the table of tokens scores the words too."""
        if self.tied is not None:
            return self.tied(settings)
        return bool(settings.get("tie_word_embeddings", True))


@dataclass(frozen=True)
class MaskedLM(WordHead):
    """Scores for the words at masked places."""


@dataclass(frozen=True)
class CausalLM(WordHead):
    """Scores for the next word."""

    shift: bool = True  # labels are the inputs themselves, one place to the right


@dataclass(frozen=True)
class OwnWords(CausalLM):
    """Scores for the next word as logarithms of shares, where earlier texts are recalled."""


@dataclass(frozen=True)
class DoubleHeads(CausalLM):
    """Scores for the next word, and one for each of several continuations."""

    summary: str = ""  # map of the token that the config's `summary_…` settings pick

    @property
    def labels(self) -> tuple[str, ...]:
        """Words, the right continuation, and where each one ends."""
        return ("labels", "mc_labels", "mc_token_ids")

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        return super().rows(settings) | {"head.summary.map": self.summary}


@dataclass(frozen=True)
class Seq2SeqLM(WordHead):
    """Scores for the next word of a second sequence."""


@dataclass(frozen=True)
class Joined(Seq2SeqLM):
    """The word head of a decoder that was trained apart from its encoder."""


@dataclass(frozen=True)
class PreTraining(WordHead):
    """Scores for masked words, and for the order of two sentences."""

    pooler: str = ""  # dense map of the first token, with tanh
    pooler_gate: str = ""  # config key: where it is false, there is neither
    order: str = ""  # output map of the sentence score
    result: str = "seq_relationship_logits"
    label: str = "next_sentence_label"
    orders: int = 2  # scores of the order; 0: one for each label of the config

    @property
    def labels(self) -> tuple[str, ...]:
        """Words, and the order."""
        return ("labels", self.label)

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        order = {"head.order.dense": self.pooler, "head.order.out": self.order}
        return super().rows(settings) | order


@dataclass(frozen=True)
class SequenceClassifier(SequenceHead):
    """Scores of labels for each sequence."""

    soft: bool = False  # where the config names no problem, labels may be shares of classes


@dataclass(frozen=True)
class NextSentence(SequenceHead):
    """Whether the second sentence follows the first."""


@dataclass(frozen=True)
class MultipleChoice(SequenceHead):
    """One score for each of several continuations."""


@dataclass(frozen=True)
class TokenClassifier(Head):
    """Scores of labels for each token, perhaps joined to paths by a chain of transitions."""

    dropout: str = "classifier_dropout hidden_dropout hidden_dropout_prob"  # as most have it
    optional: ClassVar[tuple[str, ...]] = ("head.chain",)

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        return super().rows(settings) | {"head.chain": "crf"}


@dataclass(frozen=True)
class Cells(Head):
    """Cells of a table that answer a question, and what to do with them."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The cells, what to do, or else the answer and the numbers in the table."""
        known = ("labels", "aggregation_labels", "float_answer", "table_mask")
        return (*known, "numeric_values", "numeric_values_scale")


@dataclass(frozen=True)
class Detector(Head):
    """Whether each token was put there by another model."""


@dataclass(frozen=True)
class Spans(Head):
    """Scores of the first and the last token of an answer."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The two tokens."""
        return ("start_positions", "end_positions")


@dataclass(frozen=True)
class BeamSpans(Head):
    """The likeliest first tokens of an answer, for each the likeliest last, and if there is one."""

    path: str = ""  # before the names of its maps

    @property
    def labels(self) -> tuple[str, ...]:
        """The two tokens, the one that sums up, if there is an answer, and what cannot be one."""
        return ("start_positions", "end_positions", "cls_index", "is_impossible", "p_mask")

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        path = f"{self.path}." if self.path else ""
        ends, answer = f"{path}end_logits", f"{path}answer_class"
        return super().rows(settings) | {
            "head.start": f"{path}start_logits.dense",
            "head.last": f"{ends}.dense_0",
            "head.last_norm": f"{ends}.LayerNorm",
            "head.last_out": f"{ends}.dense_1",
            "head.answer": f"{answer}.dense_0",
            "head.answer_out": f"{answer}.dense_1",
        }
