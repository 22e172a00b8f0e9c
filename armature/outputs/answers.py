"""Which result a head gives: of one stack, of two, of one that recalls or crosses others."""

from __future__ import annotations

from dataclasses import fields, make_dataclass
from functools import cache
from typing import Any

import torch

from armature.outputs import hearing, recalling, results, tasks
from armature.outputs.results import ModelOutput

JOINED: dict[type[tasks.Head], type[ModelOutput]] = {
    tasks.Seq2SeqLM: results.Seq2SeqLMOutput,
    tasks.SequenceClassifier: results.Seq2SeqSequenceClassifierOutput,
    tasks.Spans: results.Seq2SeqQuestionAnsweringModelOutput,
}
RECALLING: dict[type[tasks.Head], type[ModelOutput]] = {
    tasks.Base: recalling.RecallingModelOutput,
    tasks.SequenceClassifier: recalling.RecallingSequenceClassifierOutput,
    tasks.TokenClassifier: recalling.RecallingSequenceClassifierOutput,
    tasks.MultipleChoice: recalling.RecallingSequenceClassifierOutput,
    tasks.OwnWords: recalling.RecallingWordsOutput,  # before the general kind
    tasks.CausalLM: recalling.RecallingSequenceClassifierOutput,
    tasks.Spans: recalling.RecallingSpansOutput,
    tasks.BeamSpans: results.BeamSpansOutput,
}
PLAIN: dict[type[tasks.Head], type[ModelOutput]] = {
    tasks.MaskedLM: results.MaskedLMOutput,
    tasks.PreTraining: results.PreTrainingOutput,
    tasks.DoubleHeads: results.DoubleHeadsModelOutput,  # before the general kind
    tasks.CausalLM: results.CausalLMOutputWithPast,
    tasks.Seq2SeqLM: results.CausalLMOutputWithPast,  # of one stack that reads both texts
    tasks.NextSentence: results.NextSentencePredictorOutput,
    tasks.MultipleChoice: results.MultipleChoiceModelOutput,
    tasks.SequenceClassifier: results.SequenceClassifierOutput,
    tasks.TokenClassifier: results.TokenClassifierOutput,
    tasks.Detector: results.TokenClassifierOutput,
    tasks.BeamSpans: results.BeamSpansOutput,
    tasks.Spans: results.QuestionAnsweringModelOutput,
    tasks.TaughtImageClassifier: results.TaughtImageClassifierOutput,  # before the general kind
    tasks.ImageClassifier: results.ImageClassifierOutput,
    tasks.MaskedImage: results.MaskedImageModelingOutput,
    tasks.Backbone: results.BackboneOutput,
    tasks.CTC: results.CausalLMOutput,
    tasks.SoundClassifier: results.SequenceClassifierOutput,
    tasks.FrameClassifier: results.TokenClassifierOutput,
    tasks.Speakers: hearing.XVectorOutput,
    tasks.HiddenFrames: hearing.ContrastOutput,
}
CROSSED = PLAIN | {tasks.CausalLM: results.CausalLMOutputWithCrossAttentions}


@torch.compiler.assume_constant_result  # no graph makes classes
def made(name: str, fields: tuple[str, ...]) -> type[ModelOutput]:
    """Return a kind of result of this name with these fields."""
    return _made(name, fields)


@cache
def _made(name: str, fields: tuple[str, ...]) -> type[ModelOutput]:
    doc = {"__doc__": f"Holds {', '.join(fields)}.", "__module__": ModelOutput.__module__}
    rows = [(field, Any, None) for field in fields]
    return make_dataclass(name, rows, bases=(ModelOutput,), namespace=doc, eq=False)


@torch.compiler.assume_constant_result  # no graph makes classes
def widened(kind: type[ModelOutput], **after: str) -> type[ModelOutput]:
    """Return a kind of result with further fields.

    Args:
        kind: the result that users know.
        **after: a field → the new one right behind it, which may itself have one behind it.
    """
    return _widened(kind, tuple(after.items()))


@cache
def _widened(kind: type[ModelOutput], after: tuple[tuple[str, str], ...]) -> type[ModelOutput]:
    behind, names = dict(after), list[str]()
    for field in fields(kind):  # type: ignore[arg-type]
        name: str | None = field.name
        while name is not None and name not in names:
            names.append(name)
            name = behind.get(name)
    made = [(name, Any, None) for name in names]
    doc = {"__doc__": kind.__doc__, "__module__": kind.__module__}
    return make_dataclass(kind.__name__, made, bases=(ModelOutput,), namespace=doc, eq=False)
