"""Every architecture against the reference: all layers, attentions, logits, losses, tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from goldens import part
from safetensors.torch import load_file

import armature
from armature import auto

GOLDEN = Path(__file__).parent.parent / "golden" / "arch"
NAMES = sorted(folder.name for folder in GOLDEN.iterdir())
TOLERANCE = 1e-5  # × max(1, |value|)


def record(name: str) -> dict:
    return json.loads((GOLDEN / name / "golden.json").read_text())


def opened(name: str) -> armature.PreTrainedModel:
    return auto.model_class(record(name)["class"]).from_pretrained(GOLDEN / name)


def real_places(key: str, shape: torch.Size, given: dict) -> torch.Tensor | None:
    """Return which rows and columns of an output belong to real tokens."""
    mask = given.get("attention_mask")
    if mask is None or "decoder" in key or "cross" in key:
        return None
    mask = mask.flatten(0, -2)
    if "decoder_input_ids" in given and not key.startswith("encoder"):
        return None
    return mask.bool() if len(shape) >= 2 and shape[:2] == mask.shape else None


def worst(found: torch.Tensor, wanted: torch.Tensor, key: str, given: dict) -> float:
    error = (found - wanted).abs() / wanted.abs().clamp(min=1)
    if "attentions" in key and "cross" not in key:
        error = error.transpose(1, 2)  # (B, T, H, S): padding is a row of the second axis
    if key.startswith("router"):
        error = error.unflatten(0, given["attention_mask"].shape)  # (B · T, X)
    places = real_places(key, error.shape, given)
    error = error if places is None else error[places]
    return float(error.max()) if error.numel() else 0.0


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_the_reference(name: str) -> None:
    model, tensors = opened(name), load_file(GOLDEN / name / "golden.safetensors")
    assert not model.load_report.new
    assert not model.load_report.unexpected
    compared = 0
    for call in record(name)["calls"]:
        start = f"{call['name']}.in."
        given = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        with torch.no_grad():
            output = model(**given, **call["flags"])
        start = f"{call['name']}.out."
        for key, wanted in tensors.items():
            if key.startswith(start):
                key = key.removeprefix(start)
                found = part(output, key)
                assert found.shape == wanted.shape, key
                assert worst(found, wanted, key, given) < TOLERANCE, key
                compared += 1
    assert compared


@pytest.mark.parametrize("name", [name for name in NAMES if record(name)["generate"]])
def test_generated_tokens_equal_the_reference(name: str) -> None:
    model, tensors = opened(name), load_file(GOLDEN / name / "golden.safetensors")
    kept = ("input_ids", "attention_mask", "encoder_hidden_states", "encoder_attention_mask")
    given = {key: tensors.get(f"states.in.{key}") for key in kept}
    prompt = {key: tensor for key, tensor in given.items() if tensor is not None}
    for call in record(name)["generate"]:
        assert model.generate(**prompt, **call["options"]).tolist() == call["tokens"]
