"""Precision: a built model's weights rounded to few bits, wherever a linear map has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.errors import ArgumentError, nearest

if TYPE_CHECKING:
    from torch import nn

    from armature.layers.embed import Embedding
    from armature.layers.linear import Linear
    from armature.pretrained import PreTrainedModel

FULL = "float32"
NAMES = (FULL, "int8", "int4")

_FEWEST = 64  # outputs: maps with fewer (labels, routers) are small, and decide much


def check(precision: str) -> None:
    """Raise ArgumentError if there is no such precision."""
    if precision not in NAMES:
        raise ArgumentError(
            f"precision={precision!r} is not known.{nearest(str(precision), NAMES)}\n"
            f"  → one of {', '.join(NAMES)}"
        )


def quantize(model: PreTrainedModel, precision: str) -> None:
    """Round the weights of every large linear map, of experts and of a tied table of tokens.

    What remains is computed in float32. Such a model predicts and writes, but is not trained on,
    and not saved: the checkpoint it came from is the one to keep.

    Raises:
        ArgumentError: there is no such precision, or the weights are rounded already.
    """
    from armature.layers.linear import Linear
    from armature.layers.moe import Experts
    from armature.layers.packed import PRECISIONS, PackedEmbedding, PackedExperts, PackedLinear

    check(precision)
    before = precision_of(model)
    if precision == before:
        return
    if before != FULL:
        raise ArgumentError(
            f"the weights are rounded to {before} already, and what was cut off is lost.\n"
            f"  → open the checkpoint again with precision={precision!r}"
        )
    model.float().requires_grad_(requires_grad=False)
    bits, tied = PRECISIONS[precision], _tied(model)
    for module in list(model.modules()):
        if type(module) is Linear and module.out_features >= _FEWEST and not _apart(model, module):
            PackedLinear.replace(module, bits)
        elif type(module) is Experts:
            PackedExperts.replace(module, bits)
    out = model.get_output_embeddings()
    if isinstance(out, PackedLinear):
        for table in tied:
            PackedEmbedding.replace(table, out)


def precision_of(model: nn.Module) -> str:
    """Return what the weights of a model's linear maps are rounded to."""
    from armature.layers.packed import PRECISIONS, PackedLinear

    for module in model.modules():
        if isinstance(module, PackedLinear):
            return next(name for name, bits in PRECISIONS.items() if bits == module.bits)
    return FULL


def refuse(model: nn.Module, what: str) -> None:
    """Raise ArgumentError if the weights are rounded; `what` cannot be done then."""
    precision = precision_of(model)
    if precision != FULL:
        raise ArgumentError(
            f"{what}: its weights are rounded to {precision}.\n"
            "  → open the checkpoint again without `precision`"
        )


def _tied(model: PreTrainedModel) -> list[Embedding]:
    """Return the tables of tokens that share the weight of the words' scores."""
    from armature.layers.embed import Embedding

    out = model.get_output_embeddings()
    tables = [module for module in model.modules() if type(module) is Embedding]
    return [table for table in tables if out is not None and table.weight is out.weight]


def _apart(model: PreTrainedModel, module: Linear) -> bool:
    """Whether a map's weight is read by more than the map itself."""
    return getattr(model.head, "rest", None) is not None and module is model.head.out
