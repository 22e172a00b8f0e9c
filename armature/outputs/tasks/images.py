"""Heads of images: labels, maps, masks, and texts that fit."""

from __future__ import annotations

from dataclasses import dataclass

from armature.outputs.tasks.base import Base, Head, SequenceHead, Settings
from armature.outputs.tasks.texts import SequenceClassifier, WordHead


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
class MaskClassifier(Head):
    """A class and a mask for each of a few queries."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Masks and their classes, and whether the answers of all blocks are wanted."""
        return ("mask_labels", "class_labels", "output_auxiliary_logits")


@dataclass(frozen=True)
class MaskedImage(Head):
    """The pixels of hidden patches."""

    @property
    def labels(self) -> tuple[str, ...]:
        """It has none: the images tell."""
        return ()


@dataclass(frozen=True)
class Contrast(Base):
    """How well each image goes with each text."""


@dataclass(frozen=True)
class LookingContrast(Contrast):
    """The same, where a text may also be read with an eye on an image."""


@dataclass(frozen=True)
class DepthEstimator(Head):
    """How far away what each place of an image shows is."""


@dataclass(frozen=True)
class VisualQuestions(SequenceClassifier):
    """Scores of answers to a question about an image."""


@dataclass(frozen=True)
class ObjectDetector(Head):
    """Labels and boxes of the things in an image."""


@dataclass(frozen=True)
class InstanceSegmenter(Head):
    """Labels, boxes and pixels of the things in an image."""


@dataclass(frozen=True)
class Captions(WordHead):
    """Scores for the next word of a text about an image."""

    writer: str = ""  # the class that its decoder is, by itself


@dataclass(frozen=True)
class Match(Head):
    """Whether a text and an image go together."""

    @property
    def labels(self) -> tuple[str, ...]:
        """It has none."""
        return ()


@dataclass(frozen=True)
class TextGuidedDetector(Head):
    """Boxes, and how well each fits each of the texts given."""

    @property
    def labels(self) -> tuple[str, ...]:
        """It has none."""
        return ()
