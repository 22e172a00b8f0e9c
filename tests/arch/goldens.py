"""The recorded checkpoints: what tests of several files read of them."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file

from armature import auto

GOLDEN = Path(__file__).parent.parent / "golden"


def told(name):
    """Return what golden.json says: the class, the calls, and more where a test reads more."""
    return json.loads((GOLDEN / name / "golden.json").read_text())


def opened(name, **options):
    return auto.model_class(told(name)["class"]).from_pretrained(GOLDEN / name, **options)


def recorded(name, call="0"):
    tensors = load_file(GOLDEN / name / "golden.safetensors")
    start = f"{call}.in."
    given = {key.removeprefix(start): x for key, x in tensors.items() if key.startswith(start)}
    start = f"{call}.out."
    wanted = {key.removeprefix(start): x for key, x in tensors.items() if key.startswith(start)}
    return given, wanted


def part(output, key):
    """Return a value of an output by its recorded name ("hidden_states.0")."""
    for word in key.split("."):
        output = output[int(word)] if word.isdigit() else getattr(output, word)
    return output


def relative_error(output, key, wanted):
    """Return how far a value is off, × max(1, |value|)."""
    found = part(output, key)
    assert found.shape == wanted.shape, key
    return (found - wanted).abs() / wanted.abs().clamp(min=1)


def save_and_compare(name, folder):
    """Save a recorded model into a folder, and compare the bytes of every tensor."""
    opened(name).save_pretrained(folder)
    before, after = (load_file(at / "model.safetensors") for at in (GOLDEN / name, folder))
    before = {key: x for key, x in before.items() if not key.endswith("position_index")}
    assert before.keys() == after.keys()
    assert all(before[key].equal(after[key]) for key in before)
