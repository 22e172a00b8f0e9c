"""Save and load whole small checkpoints, and compare tensors."""

from __future__ import annotations

import json

import torch

from armature.checkpoint.files import open_weights
from armature.checkpoint.hub import resolve
from armature.checkpoint.write import Transaction, save_weights


def bits(tensor):
    return (
        torch.zeros(tensor.shape, dtype=tensor.dtype)
        .copy_(tensor.detach())
        .flatten()
        .view(torch.uint8)
    )


def equal(found, expected):
    same = (found.dtype, found.shape) == (expected.dtype, expected.shape)
    return same and torch.equal(bits(found), bits(expected))


def save(folder, tensors, **options):
    with Transaction(folder) as files:
        files.write("config.json", json.dumps({"of": sorted(tensors)}))
        return save_weights(files, tensors, **options)


def load(folder):
    source = resolve(folder)
    weights = open_weights(source)
    return json.loads(source.get("config.json").read_text()), {k: weights.read(k) for k in weights}
