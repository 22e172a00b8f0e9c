"""Cells: tokens of a table → which of its cells answer, and what to do with them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.errors import ArgumentError, ConfigError
from armature.layers.linear import Linear
from armature.outputs import tasks
from armature.outputs.heads import Given, HeadModule

NOWHERE = -10000.0  # the logarithm of a share that is as good as nothing
TINY = 1e-10


class Picking(HeadModule):
    """Scores of cells, all of one column, for each token; and of what to do with them."""

    fields = ("loss", "logits", "logits_aggregation", "hidden_states", "attentions")

    def __init__(self, spec: tasks.Cells, c: Config) -> None:
        width, ways = c.hidden_size, c.num_aggregation_labels
        super().__init__(spec, c, (width, width, 0))
        self.out = Linear(width, ways) if ways > 0 else None
        self.cell_weight = nn.Parameter(torch.empty(width))
        self.cell_bias = nn.Parameter(torch.empty(()))
        self.column_weight = nn.Parameter(torch.empty(width))
        self.column_bias = nn.Parameter(torch.empty(()))

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, logits (B, T), logits_aggregation (B, ways)."""
        c, layout, labels = self.config, given.layout, given.labels
        first = layout.ends[0]
        ways = None if self.out is None else self.out(self.features(x[first]))
        told = given.further.get("token_type_ids")
        shape = (layout.rows, layout.width)
        told = torch.zeros(*shape, 3, device=x.device).long() if told is None else told
        rows = told[..., 2].clamp(max=c.max_num_rows - 1)
        columns = told[..., 1].clamp(max=c.max_num_columns - 1)
        grid = Grid(c, rows * c.max_num_columns + columns, columns, layout.mask)
        logits = layout.unpack((x @ self.cell_weight + self.cell_bias) / c.temperature)
        by_column = grid.columns_of(layout.unpack(x @ self.column_weight + self.column_bias))
        if c.average_logits_per_cell and "labels" in labels:
            logits = grid.spread(grid.cells_of(logits))
        asked = labels.get("labels")
        wanted = torch.zeros_like(logits) if asked is None else asked.to(x.device)
        if c.select_one_column:
            picked, logits = grid.picked(logits, by_column, wanted)
        else:
            picked = grid.apart(logits, wanted)
        if asked is None:
            return {"logits": logits, "logits_aggregation": ways}
        table = labels.get("table_mask", told[..., 2] > 0).to(x.dtype)
        loss = Answers(c, labels, logits, table, ways).loss(picked)
        return {"loss": loss, "logits": logits, "logits_aggregation": ways}


class Grid:
    """Tokens as the cells of a table."""

    def __init__(self, c: Config, cell: Tensor, column: Tensor, real: Tensor) -> None:
        self.c, self.cell, self.column, self.real = c, cell, column, real
        self.size = c.max_num_rows * c.max_num_columns
        self.there = self.cells_of(real.float())  # (B, cells)
        self.column_of = torch.arange(self.size, device=cell.device) % c.max_num_columns

    def cells_of(self, values: Tensor) -> Tensor:
        """(B, T) → (B, cells) means; padding does not count."""
        outside = torch.where(self.real, self.cell, self.size)
        return _mean(values, outside, self.size + 1)[:, : self.size]

    def spread(self, cells: Tensor) -> Tensor:
        """(B, cells) → (B, T)."""
        return cells.gather(1, self.cell)

    def columns_of(self, values: Tensor) -> Tensor:
        """(B, T) → (B, columns) scores; those that are not there are nowhere."""
        cells, width = self.cells_of(values) * self.there, self.c.max_num_columns
        count = self.there.unflatten(1, (-1, width)).sum(1)
        scores = cells.unflatten(1, (-1, width)).sum(1) / (count + TINY)
        none = torch.arange(width, device=values.device) == 0
        scores = scores + NOWHERE * ((count < 0.5) & ~none)
        return scores if self.c.allow_empty_column_selection else scores + NOWHERE * none

    def picked(self, logits: Tensor, columns: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each row, a column first and then its cells, and new scores."""
        rows, width = logits.shape[0], self.c.max_num_columns
        counts = columns.new_zeros(rows, width).scatter_add(1, self.column, labels.float())
        best, none = counts.argmax(-1), counts.amax(-1) == 0
        best = best.masked_fill(none, 0)
        cells = self.cells_of(logits)
        empty = cells.new_zeros(rows, self.size)
        wanted = empty.scatter_reduce(1, self.cell, labels.float(), "amax", include_self=False)
        inside = (self.column_of == best[:, None]) * self.there
        lost = F.binary_cross_entropy_with_logits(cells, wanted, reduction="none") * inside
        lost = lost.sum(1) / (inside.sum(1) + TINY)
        loss = F.cross_entropy(columns, best, reduction="none") + lost.masked_fill(none, 0.0)
        chosen = (self.column_of == columns.argmax(-1)[:, None]) & (self.column_of > 0)
        return loss, self.spread(cells + NOWHERE * (1.0 - self.there * chosen))

    def apart(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of each row where cells of several columns may be right."""
        weight = torch.where(labels == 0, 1.0, self.c.positive_label_weight)
        lost = F.binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
        return (lost * weight * self.real).sum(1) / (self.real.sum(1) + TINY)


def _mean(values: Tensor, index: Tensor, size: int) -> Tensor:
    """(B, T) of groups (B, T) → (B, size) their means, zero where a group is empty."""
    empty = values.new_zeros(len(values), size)
    return empty.scatter_reduce(1, index, values, "mean", include_self=False)


class Answers:
    """What is known of the right answers, and the loss of those that are not cells."""

    def __init__(
        self, c: Config, labels: dict[str, Any], logits: Tensor, table: Tensor, ways: Any
    ) -> None:
        self.c, self.labels, self.logits, self.table, self.ways = c, labels, logits, table, ways
        self.told = ways is None or not c.use_answer_as_supervision  # the way to the answer is

    def _given(self, name: str) -> Tensor:
        if name not in self.labels:
            raise ArgumentError(f"labels alone do not tell the answers here: give {name}, too")
        return self.labels[name].to(self.logits.device)

    def loss(self, picked: Tensor) -> Tensor:
        """(B,) losses of picked cells → the mean loss of answers."""
        c, ways = self.c, self.ways
        worked = None if self.told else self._worked_out()  # (B,) answers that are no cells
        total = picked if worked is None else picked * (1.0 - worked)
        total = total.new_zeros(()) if c.disable_per_token_loss else total.mean()
        if ways is None:
            return total
        if worked is None:
            way = self._given("aggregation_labels")
            return total + c.aggregation_loss_weight * F.cross_entropy(ways, way)
        shares = ways.log_softmax(-1)
        rest = -shares[:, 0] * (1.0 - worked) - shares[:, 1:].exp().sum(1).log() * worked
        wrong, counted = self._wrong(worked)
        return total + ((c.aggregation_loss_weight * rest + wrong) * counted).mean()

    def _worked_out(self) -> Tensor:
        """Return (B,) one where the answer is a number that no cell need hold."""
        some = self.ways.softmax(-1)[:, 1:].sum(1).detach()
        cells = (some <= (self.c.cell_selection_preference or 0.0)) & (
            self.labels["labels"].to(some.device).sum(1) > 0
        )
        return (~self._given("float_answer").isnan() & ~cells).to(some.dtype)

    def _wrong(self, worked: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B,) how far from the answer what is expected lies, and whether that counts."""
        c, answer = self.c, self._given("float_answer").nan_to_num()
        found, delta = self._expected(), 1.0 if c.huber_loss_delta is None else c.huber_loss_delta
        if c.use_normalized_answer_loss:
            scale = (found.abs().maximum(answer.abs()) + TINY).detach()
            found, answer, delta = found / scale, answer / scale, 1.0
        lost = F.huber_loss(found * worked, answer * worked, reduction="none", delta=delta)
        cutoff = c.answer_loss_cutoff
        counted = lost == lost if cutoff is None else lost <= cutoff
        return c.answer_loss_importance * lost * worked, counted.to(lost.dtype)

    def _expected(self) -> Tensor:
        """Return (B,) the result to expect: of a sum, a mean and a count, by their shares."""
        c, ways = self.c, self.ways[:, 1:]
        numbers = self._given("numeric_values").nan_to_num()
        shares: Any = self.logits.sigmoid()
        if c.use_gumbel_for_cells:
            relaxed = torch.distributions.RelaxedBernoulli(
                torch.tensor(c.temperature), logits=self.logits * c.temperature
            )
            shares = relaxed.sample()
        shares = shares / self._given("numeric_values_scale") * self.table
        count, total = shares.sum(1), (shares * numbers).sum(1)
        others = count[:, None] - shares + 1
        spread = shares * (1 - shares)
        spread = spread.sum(1, keepdim=True) - spread
        kinds = {
            "ratio": lambda: total / (count + TINY),
            "first_order": lambda: (numbers * shares / others).sum(1),
            "second_order": lambda: (
                numbers * shares * (spread / others.square() + 1) / others
            ).sum(1),
        }
        if c.average_approximation_function not in kinds:
            raise ConfigError(
                f"config.json: average_approximation_function is "
                f"{c.average_approximation_function!r}, but should be one of {', '.join(kinds)}"
            )
        results = torch.stack((total, kinds[c.average_approximation_function](), count), 1)
        weights: Any = (ways / c.aggregation_temperature).softmax(-1)
        if c.use_gumbel_for_aggregation:
            heat = torch.tensor(c.aggregation_temperature)
            weights = torch.distributions.RelaxedOneHotCategorical(heat, logits=ways).sample()
        return (results * weights).sum(1)
