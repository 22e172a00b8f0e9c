"""Heads as data: what a class puts on a body, and what the checkpoint calls it. Without torch."""

from __future__ import annotations

from armature.outputs.tasks.base import (
    Base,
    Head,
    Pick,
    Pooled,
    PooledMap,
    Projection,
    Rows,
    SequenceHead,
    Settings,
)
from armature.outputs.tasks.images import (
    Backbone,
    Contrast,
    ImageClassifier,
    MaskClassifier,
    MaskedImage,
    Segmenter,
    TaughtImageClassifier,
)
from armature.outputs.tasks.sounds import (
    CTC,
    Blended,
    FrameClassifier,
    HiddenFrames,
    SoundClassifier,
    Speakers,
    Transcriber,
)
from armature.outputs.tasks.texts import (
    BeamSpans,
    CausalLM,
    Detector,
    DoubleHeads,
    Joined,
    MaskedLM,
    MultipleChoice,
    NextSentence,
    OwnWords,
    PreTraining,
    Seq2SeqLM,
    SequenceClassifier,
    Spans,
    TokenClassifier,
    WordHead,
)

__all__ = [
    "CTC",
    "OF_IMAGES",
    "OF_SOUNDS",
    "WRITERS",
    "Backbone",
    "Base",
    "BeamSpans",
    "Blended",
    "CausalLM",
    "Contrast",
    "Detector",
    "DoubleHeads",
    "FrameClassifier",
    "Head",
    "HiddenFrames",
    "ImageClassifier",
    "Joined",
    "MaskClassifier",
    "MaskedImage",
    "MaskedLM",
    "MultipleChoice",
    "NextSentence",
    "OwnWords",
    "Pick",
    "Pooled",
    "PooledMap",
    "PreTraining",
    "Projection",
    "Rows",
    "Segmenter",
    "Seq2SeqLM",
    "SequenceClassifier",
    "SequenceHead",
    "Settings",
    "SoundClassifier",
    "Spans",
    "Speakers",
    "TaughtImageClassifier",
    "TokenClassifier",
    "Transcriber",
    "WordHead",
]

OF_IMAGES = (Backbone, MaskedImage, TaughtImageClassifier)  # heads that nothing else has
OF_SOUNDS = (CTC, Blended, HiddenFrames)
WRITERS = (CausalLM, Seq2SeqLM)  # heads that can write on from a prompt
