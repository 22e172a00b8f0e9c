"""Looks: how much a model looked at each place of a picture."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import ceil, floor
from typing import Any

from torch import Tensor

from armature.errors import ArgumentError
from armature.layers.patches import PatchTokens
from armature.model.pyramid import Pyramid


def looked(
    model: Any, inputs: Mapping[str, Any], layer: int, head: int | None, token: int | None
) -> Tensor:
    """Return the shares (down, across) of the places of a picture.

    Args:
        model: what reads pictures.
        inputs: of one picture: pixel_values (1, C, height, width), and what goes with them.
        layer: which layer looked.
        head: which of its heads; None: the mean of all.
        token: which token, or which query of a detector; None: the token that stands for the
            picture, or where there is none, the mean of all.

    Raises:
        ArgumentError: there is no such layer, head or token, or the model looks at no places.
    """
    try:
        found = model(**inputs, output_attentions=True)
    except ArgumentError as error:
        raise ArgumentError(f"{type(model).__name__} reads more than a picture: {error}") from error
    asked = found.get("cross_attentions")  # queries that look at a map
    layers = found.get("attentions") if asked is None else asked
    if not layers or layers[0].dim() != 4 or len(layers[0]) != 1:
        raise ArgumentError(
            f"{type(model).__name__} does not tell how much it looks at each place of a picture: "
            "it has no attention, or one inside windows or at single points"
        )
    shares = layers[_checked("layer", layer, len(layers))][0].float()  # (H, T, S)
    heads = shares.mean(0) if head is None else shares[_checked("head", head, len(shares))]
    embed = getattr(model.stack, "embed", None)
    leading, sides = 0, None
    if asked is None and isinstance(embed, PatchTokens):
        leading, sides = embed.leading, embed.open(inputs).further["sides"]
    elif asked is not None or isinstance(model.body, Pyramid):  # else queries look at each other
        sides = _sides(heads.shape[1], *inputs["pixel_values"].shape[2:])
    if sides is None:
        raise ArgumentError(
            f"{type(model).__name__}: what {heads.shape[1]} tokens are looked at is no map of the "
            "picture"
        )
    if token is None:
        row = heads[0] if leading else heads.mean(0)
    else:
        row = heads[_checked("token", token, len(heads))]
    return row[leading : leading + sides[0] * sides[1]].unflatten(0, sides)


def _checked(name: str, index: int, count: int) -> int:
    if not -count <= index < count:
        raise ArgumentError(f"`{name}` is {index}, but there are {count}")
    return index


def _sides(places: int, height: int, width: int) -> tuple[int, int] | None:
    """Return the sides of a map of so many places, as much smaller than the picture in both."""
    for step, fit in product(range(1, max(height, width) + 1), (ceil, floor)):
        down, across = fit(height / step), fit(width / step)
        if down * across == places:
            return down, across
    return None
