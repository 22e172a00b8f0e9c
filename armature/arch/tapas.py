"""TAPAS (Herzig et al., 2020): BERT that reads a table, and picks cells that answer."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import bert, refuse
from armature.config import Config
from armature.errors import ArgumentError, ConfigError
from armature.model.spec import Learned, Own, Stack
from armature.outputs.tasks import Base, Cells, MaskedLM, SequenceClassifier

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.batch import Layout
    from armature.layers.embed import Inputs

LIKE = bert
DEFAULTS = bert.DEFAULTS | {
    "max_position_embeddings": 1024,
    "type_vocab_size": [],  # an older spelling of the next
    "type_vocab_sizes": [3, 256, 256, 2, 256, 256, 10],
    "reset_position_index_per_cell": True,
    "positive_label_weight": 10.0,
    "num_aggregation_labels": 0,
    "aggregation_loss_weight": 1.0,
    "use_answer_as_supervision": None,  # False
    "answer_loss_importance": 1.0,
    "use_normalized_answer_loss": False,
    "huber_loss_delta": None,  # 1.0
    "temperature": 1.0,
    "aggregation_temperature": 1.0,
    "use_gumbel_for_cells": False,
    "use_gumbel_for_aggregation": False,
    "average_approximation_function": "ratio",
    "cell_selection_preference": None,  # a share; 0.0 where it is silent
    "answer_loss_cutoff": None,
    "max_num_rows": 64,
    "max_num_columns": 32,
    "average_logits_per_cell": False,
    "select_one_column": True,
    "allow_empty_column_selection": False,
    "disable_per_token_loss": False,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    refuse(c, is_decoder=False, add_cross_attention=False)
    if len(c.type_vocab_sizes) < 3:
        raise ConfigError(
            f"config.json: type_vocab_sizes is {c.type_vocab_sizes!r}, but should be a number for "
            "segments, columns, rows, and what else is told of a token"
        )
    stack = bert.encoder(c, Learned(c.max_position_embeddings))
    return replace(stack, embed=Own(lambda: _embed()(c)))


# ------------------------------------------- its own organs: only building a model needs torch


@cache
def _embed() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.layers import embed, norm, position

    class Table(embed.Tokens):
        """Token embeddings, those of what is told of each, and its place in its cell."""

        takes = ("token_type_ids",)

        def __init__(self, c: Config) -> None:
            width, longest = c.hidden_size, c.max_position_embeddings
            super().__init__(
                c.vocab_size,
                width,
                position=position.Learned(longest, width, 0, None),
                norm=norm.LayerNorm(width, eps=c.layer_norm_eps),
            )
            self.told = nn.ModuleList(embed.Embedding(size, width) for size in c.type_vocab_sizes)
            self.longest, self.columns = longest, c.type_vocab_sizes[2]
            self.anew = c.reset_position_index_per_cell
            self.takes_types = True

        def summed(self, inputs: Inputs) -> Tensor:
            types = self.types(inputs)
            if inputs.positions is None and self.anew:
                places = _places(types[:, 1] * self.columns + types[:, 2], inputs.layout)
                inputs = replace(inputs, positions=places.clamp(max=self.longest - 1))
            x = super().summed(inputs)
            for index, table in enumerate(self.told):
                x = x + table(types[:, index])
            return x

        def types(self, inputs: Inputs) -> Tensor:
            """Return (N, 7): what is told of each token."""
            layout, given = inputs.layout, inputs.further.get("token_type_ids")
            count = len(self.told)
            if given is None:
                return torch.zeros(layout.total, count, dtype=torch.long, device=layout.device)
            if given.shape != (layout.rows, layout.width, count):
                raise ArgumentError(
                    f"token_type_ids has the shape {tuple(given.shape)}, but the input has "
                    f"{(layout.rows, layout.width)} tokens: give {count} numbers for each"
                )
            return layout.pack(given.to(layout.device))

    return Table


def _places(cells: Tensor, layout: Layout) -> Tensor:
    """Return how many tokens of its cell come before each, (N,), by their cells (N,)."""
    size = int(cells.max()) + 1
    cells = layout.row_of * size + cells
    columns = layout.columns
    first = columns.new_zeros(layout.rows * size)
    return columns - first.scatter_reduce(0, cells, columns, "amin", include_self=False)[cells]


def _picking(spec: Cells, c: Config, _body: Any) -> nn.Module:
    from armature.outputs.cells import Picking

    return Picking(spec, c)


PREFIX = "tapas"
# fmt: off
NAMES = {ours: theirs for ours, theirs in bert.NAMES.items() if "segment" not in ours} | {
    "embed.told.{i}": "embeddings.token_type_embeddings_{i}",
}
UNUSED: tuple[str, ...] = (
    "classifier_dropout", "bos_token_id", "eos_token_id", "type_vocab_size", "aggregation_labels",
    "no_aggregation_label_index", "init_cell_selection_weights_to_zero", "positive_label_weight",
    "num_aggregation_labels", "aggregation_loss_weight", "use_answer_as_supervision",
    "answer_loss_importance", "use_normalized_answer_loss", "huber_loss_delta", "temperature",
    "aggregation_temperature", "use_gumbel_for_cells", "use_gumbel_for_aggregation",
    "average_approximation_function", "cell_selection_preference", "answer_loss_cutoff",
    "max_num_rows", "max_num_columns", "average_logits_per_cell", "select_one_column",
    "allow_empty_column_selection", "disable_per_token_loss", "pad_token_id")

POOLED: dict[str, Any] = {"dense": "tapas.pooler.dense", "act": "tanh"}
HEADS = {
    "TapasModel":                     Base(**POOLED),
    "TapasForMaskedLM":               MaskedLM(**bert.WORDS),
    "TapasForSequenceClassification": SequenceClassifier(
        out="classifier", dropout="hidden_dropout_prob", **POOLED),
    "TapasForQuestionAnswering":      Cells(
        make=_picking, out="aggregation_classifier", names={
            "head.cell_weight": "output_weights", "head.cell_bias": "output_bias",
            "head.column_weight": "column_output_weights",
            "head.column_bias": "column_output_bias"}, **POOLED),
}
# fmt: on
