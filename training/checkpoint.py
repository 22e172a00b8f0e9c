"""From a config to a trained checkpoint folder with its model card."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import torch

from armature import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForCTC,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
)
from training import initial

STARTERS = Path(__file__).parent.parent / "armature" / "starter"

CLASSES = {
    "BertForQuestionAnswering": AutoModelForQuestionAnswering,
    "BertForSequenceClassification": AutoModelForSequenceClassification,
    "BertForMaskedLM": AutoModelForMaskedLM,
    "GPT2LMHeadModel": AutoModelForCausalLM,
    "ViTForImageClassification": AutoModelForImageClassification,
    "Wav2Vec2ForCTC": AutoModelForCTC,
}


def bert_config(head: str, vocabulary: int, **settings: Any) -> dict[str, Any]:
    """Return a whole config.json of a BERT with the given head."""
    return {
        "architectures": [head],
        "attention_probs_dropout_prob": 0.0,
        "dtype": "float32",
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "model_type": "bert",
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": vocabulary,
        **settings,
    }


def fresh(config: dict[str, Any], seed: int) -> Any:
    """Return a model with first weights, opened as any checkpoint is opened."""
    torch.manual_seed(seed)
    if config["model_type"] not in initial.KNOWN:  # the library's own first weights will do
        (head,) = config["architectures"]
        return CLASSES[head].from_config(AutoConfig.for_model(**config))
    with tempfile.TemporaryDirectory() as folder:
        initial.write(Path(folder), config, seed)
        return CLASSES[config["architectures"][0]].from_pretrained(folder)


def save(model: Any, folder: Path) -> None:
    """Write the weights in half precision: half the size, and no answer changes."""
    model.to(torch.float16).save_pretrained(folder)
    model.float()


def write_card(
    template: Path, folder: Path, model: Any, scores: list[tuple[str, str]], training: str
) -> None:
    """Fill a card's template with sizes and scores, and write it as README.md."""
    weights = folder / "model.safetensors"
    values = {
        "parameters": f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        "size": f"{weights.stat().st_size / 1e6:.2f}",
        "scores": "\n".join(f"| {what} | {score} |" for what, score in scores),
        "training": training,
    }
    text = template.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    (folder / "README.md").write_text(text, encoding="utf-8")
    click.echo(f"{folder}: {values['parameters']} parameters, {values['size']} MB")
    click.echo(values["scores"])
