"""Heads as data: what a class puts on a body, and what the checkpoint calls it. Without torch.

A head is one path, any part of which may be absent: pick tokens, a dense map, an activation, a
norm, an output map. A text that begins with `@` is read from the config: `act="@hidden_act"`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from armature.config import Config

# Which token stands for its sequence: "eot" is the first end of a text; "patches" the mean of an
# image's patches alone, "both" that beside the first.
Pick = Literal["first", "last", "eos", "eot", "end", "mean", "patches", "both"]
Settings = Config | Mapping[str, Any]  # read with `.get`: a Config, or a bare config.json
Rows = Mapping[str, str]  # names, ours → theirs


@dataclass(frozen=True)
class Head:
    """Base of the heads: the parts of the path by their names on disk, "" where absent."""

    dense: str = ""
    gate: str = ""  # config key: where it is false, there is no dense map, no norm, and no other
    # token than the first is picked
    act: str = "linear"
    norm: str = ""
    eps: float | str = "@layer_norm_eps"
    out: str = ""
    bias: bool = True  # of the output map
    dropout: str = ""  # config keys, the first that is set counts: "classifier_dropout hidden_…"
    dropout_in: str = ""  # config keys, of the dropout before the dense map
    prefix: str | None = None  # before the body's names; None: as the architecture says
    half: Literal["encoder", "decoder"] | None = None  # the half of an encoder-decoder it needs
    begin: Literal["start", "last"] = "start"  # of decoder inputs made of a text: its last token?
    names: Rows | Callable[[Settings], Rows] = field(default_factory=dict)  # further rows
    body: Callable[[Config], Any] | None = None  # its anatomy, where it is not the file's
    fills: Mapping[str, Callable[[Any, Any, Config], Any]] = field(default_factory=dict)
    # arguments that a call lacks, made of its ids, its mask and the config
    spare: str = ""  # a dense map that files of this class hold and nothing reads
    also: tuple[str, ...] = ()  # Auto classes beside its own, by the words after AutoModelFor
    only: tuple[str, ...] = ()  # Auto classes, where its kind would say others
    make: Callable[..., Any] | None = None  # spec, config and body → the architecture's own module

    @property
    def labels(self) -> tuple[str, ...]:
        """The arguments of a call in which it takes its labels."""
        return ("labels",)

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        parts = {"head.dense": self.dense, "head.norm": self.norm, "head.out": self.out}
        parts["head.spare"] = self.spare
        further = self.names(settings) if callable(self.names) else self.names
        return {ours: theirs for ours, theirs in parts.items() if theirs} | dict(further)


@dataclass(frozen=True)
class Base(Head):
    """Nothing but the body, or its pooler: one token through `dense` and `act`, or the mean."""

    pick: Pick = "first"

    @property
    def pools(self) -> bool:
        """Whether one vector is made of all states."""
        return bool(self.dense or self.norm or self.make or self.pick in ("mean", "eot"))

    @property
    def labels(self) -> tuple[str, ...]:
        """It has none."""
        return ()


@dataclass(frozen=True)
class Pooled(Base):
    """The body, and what stands for each image or sound, with or without a dense map."""

    @property
    def pools(self) -> bool:
        """It always does."""
        return True


@dataclass(frozen=True)
class PooledMap(Base):
    """The mean of the last map, kept as a map of one place."""

    pick: Pick = "mean"


@dataclass(frozen=True)
class Contrast(Base):
    """How well each image goes with each text."""


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
class Transcriber(Seq2SeqLM):
    """Scores for the next word of what a sound says, piece after piece, perhaps with times."""

    only: tuple[str, ...] = ("SpeechSeq2Seq",)


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
class SequenceHead(Head):
    """Base of heads that score whole sequences."""

    pick: Pick = "first"
    summary: str = ""  # map of the token that the config's `summary_…` settings pick instead
    column: bool = False  # they pick from the padded rectangle, where padding is zero

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        return super().rows(settings) | ({"head.summary.map": self.summary} if self.summary else {})


@dataclass(frozen=True)
class Projection(SequenceHead):
    """A vector for each sequence, of a width that other inputs' vectors share."""

    result: str = "text_embeds"

    @property
    def labels(self) -> tuple[str, ...]:
        """It has none."""
        return ()


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


@dataclass(frozen=True)
class Backbone(Head):
    """The feature maps of a pyramid's stages."""

    eps: float | str = 1e-5
    norms: str = ""  # one for each map, by the stage's name

    @property
    def labels(self) -> tuple[str, ...]:
        """It has none."""
        return ()

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        return super().rows(settings) | ({"head.norms": self.norms} if self.norms else {})


@dataclass(frozen=True)
class ImageClassifier(SequenceHead):
    """Scores of labels for each image."""


@dataclass(frozen=True)
class TaughtImageClassifier(ImageClassifier):
    """Scores of labels by an image's own token and by its teacher's, and their mean."""

    @property
    def labels(self) -> tuple[str, ...]:
        """It has none: teachers are for training."""
        return ()


@dataclass(frozen=True)
class Segmenter(Head):
    """Scores of classes for each pixel."""


@dataclass(frozen=True)
class MaskedImage(Head):
    """The pixels of hidden patches."""

    @property
    def labels(self) -> tuple[str, ...]:
        """It has none: the images tell."""
        return ()


@dataclass(frozen=True)
class CTC(Head):
    """Scores of letters for each frame of a sound, read with a blank between (CTC)."""


@dataclass(frozen=True)
class Blended(Head):
    """Base of heads of sounds that may read a blend of all blocks' states."""

    blend: str = ""  # weights of the blend, where the config's `use_weighted_layer_sum` asks for it

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        return super().rows(settings) | {"head.blend": self.blend}


@dataclass(frozen=True)
class SoundClassifier(Blended):
    """Scores of labels for each sound, by the mean of its frames."""


@dataclass(frozen=True)
class FrameClassifier(Blended):
    """Scores of labels for each frame of a sound."""


@dataclass(frozen=True)
class Speakers(Blended):
    """A vector for the voice in each sound, and its scores."""

    layers: str = ""  # convolutions before frames become one vector
    vector: str = ""  # map to that vector
    voices: str = ""  # weights of the voices that training knows

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        further = {"head.layers": self.layers, "head.vector": self.vector}
        return super().rows(settings) | further | {"head.voices": self.voices}


@dataclass(frozen=True)
class HiddenFrames(Head):
    """Hidden frames, to be told from others by vectors of a codebook."""

    codes: str = ""  # the codebook, and the map that chooses from it
    chooses: str = ""
    project: str = ""  # map of what was chosen

    @property
    def labels(self) -> tuple[str, ...]:
        """The frames that each hidden one is told from."""
        return ("sampled_negative_indices",)

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        rows = {"head.codes": self.codes, "head.chooses": self.chooses}
        return super().rows(settings) | rows | {"head.project": self.project}


OF_SOUNDS = (CTC, Blended, HiddenFrames)  # heads that nothing else has


class MaskClassifier(Head):
    """A class and a mask for each of a few queries."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Masks and their classes, and whether the answers of all blocks are wanted."""
        return ("mask_labels", "class_labels", "output_auxiliary_logits")


OF_IMAGES = (Backbone, MaskedImage, TaughtImageClassifier)  # heads that nothing else has
WRITERS = (CausalLM, Seq2SeqLM)  # heads that can write on from a prompt
