"""Saving: loading backwards. Every tensor as the disk spells and lays it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from armature.checkpoint.load import Place, places
from armature.checkpoint.names import Names
from armature.checkpoint.views import same


def disk_tensors(model: nn.Module, names: Names) -> dict[str, Tensor]:
    """Return disk name → tensor, on the CPU; tensors that lie as they are saved are not copied.

    Tied weights are written once, under the name of the first place.
    """
    tensors: dict[str, Tensor] = {}
    for place in places(model, names):
        source = place.tensor.detach().cpu()
        if _whole(place):
            tensors[place.pairs[0].name] = source.contiguous()
            continue
        for pair in place.pairs:
            if pair.theirs is same:
                tensors[pair.name] = pair.ours(source).contiguous()
            else:  # one tensor on disk takes several stretches of ours
                if pair.name not in tensors:
                    tensors[pair.name] = torch.empty(pair.shape, dtype=source.dtype)
                pair.theirs(tensors[pair.name]).copy_(pair.ours(source))
    for name, again in names.copies.items():
        if name in tensors:
            tensors[again] = tensors[name].clone()
    return tensors


def _whole(place: Place) -> bool:
    pair = place.pairs[0]
    return len(place.pairs) == 1 and pair.ours is same and pair.theirs is same
