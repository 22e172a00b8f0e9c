"""Heads of sounds: letters, words, labels, voices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from armature.outputs.tasks.base import Head, Settings
from armature.outputs.tasks.texts import Seq2SeqLM


@dataclass(frozen=True)
class Scribe(Seq2SeqLM):
    """Scores for the next word of what a sound says, piece after piece, perhaps with times."""

    only: tuple[str, ...] = ("SpeechSeq2Seq",)


@dataclass(frozen=True)
class CTC(Head):
    """Scores of letters for each frame of a sound, read with a blank between (CTC)."""


@dataclass(frozen=True)
class Blended(Head):
    """Base of heads of sounds that may read a blend of all blocks' states."""

    blend: str = ""  # weights of the blend, where the config's `use_weighted_layer_sum` asks for it
    shown: bool = False  # the states that are blended are told to every caller
    optional: ClassVar[tuple[str, ...]] = ("head.blend",)

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
