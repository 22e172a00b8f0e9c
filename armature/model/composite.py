"""Composite: a body of several skeletons that an architecture joins in a way of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from armature.model.call import Asked


class Composite(nn.Module):
    """Skeletons under one roof: it reads a call for itself and says what the result is made of.

    An architecture's `spec` returns `Own(make)`, and `make` this, holding bodies that
    `armature.model.build` made. A head on it, if any, goes on from its answer.
    """

    takes: tuple[str, ...] = ("pixel_values",)  # a call's arguments, the main one first
    lists: tuple[str, ...] = ()  # those that are no tensors, but one value for each row
    fields: tuple[str, ...] = ()  # of the result, in their order, where no head has its own
    width: int = 0  # D, of the states that a head reads

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the fields of the result for a call's arguments, and what heads read beside."""
        raise NotImplementedError

    @property
    def writings(self) -> list[Any]:
        """The stacks that know words, that whose embeddings users ask for first."""
        return []

    @property
    def stack(self) -> Any:
        """The stack whose embeddings users ask for."""
        raise NotImplementedError(f"{type(self).__name__} has no stack that comes first")
