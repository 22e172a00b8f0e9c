"""The recorded checkpoints of images: what tests of several files read of them."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file

from armature import auto

GOLDEN = Path(__file__).parent.parent / "golden"


def opened(name, **options):
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    return auto.model_class(kind).from_pretrained(GOLDEN / name, **options)


def recorded(name, call="0"):
    tensors = load_file(GOLDEN / name / "golden.safetensors")
    start = f"{call}.in."
    given = {key.removeprefix(start): x for key, x in tensors.items() if key.startswith(start)}
    start = f"{call}.out."
    wanted = {key.removeprefix(start): x for key, x in tensors.items() if key.startswith(start)}
    return given, wanted
