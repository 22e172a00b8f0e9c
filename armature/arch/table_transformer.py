"""Table Transformer (Smock et al., 2021): DETR with norms before each organ, for tables."""

from __future__ import annotations

from functools import cache
from typing import Any

from armature.arch import detr, renamed
from armature.arch._queried import queried
from armature.config import Config
from armature.model.spec import Own, Pre

LIKE = detr


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return Own(lambda: queried(c, Pre, _body()))


@cache
def _body() -> Any:
    from armature.model.queried import Queried

    class Body(Queried):
        """HF: nobody can say where queries start, or which of them the others see."""

        takes = (*Queried.takes[:2], "encoder_outputs")

    return Body


def names(c: Config) -> dict[str, str]:
    """Return the rows of names."""
    places = {
        f"places.{ours}": f"backbone.position_embedding.{theirs}_embeddings"
        for ours, theirs in (("rows", "row"), ("columns", "column"))
    }
    return detr.names(c) | places


HEADS = renamed(detr.HEADS, "Detr", "TableTransformer", "ForSegmentation")
