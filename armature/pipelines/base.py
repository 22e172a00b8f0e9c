"""Pipeline: the way from a caller's inputs to a task's results, which every task walks alike.

inputs ─▶ items ─▶ windows ─▶ rows ─▶ batches ─▶ model ─▶ outputs ─▶ results, in order
          read     windows    prepare  padded     compute             finish
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from armature.errors import ArgumentError
from armature.pipelines.batching import (
    AHEAD,
    WINDOW,
    Row,
    Stream,
    batches,
    is_dataset,
    is_stream,
    items_of,
    padded,
    windows,
)
from armature.pipelines.options import Options, positive
from armature.pipelines.reading import Columns, Reader, note


class Pipeline:
    """One task, done by one model and its tokenizer.

    A call keeps nothing in the pipeline, so threads may share it; and what an item's result is
    never depends on the items beside it. A task says how items become rows of tokens (`prepare`),
    what is asked of the model (`compute`), and what result follows (`finish`).
    """

    default_task: ClassVar[str]
    options_type: ClassVar[type[Any]] = Options
    """What the task can be told."""
    input_name: ClassVar[str] = "inputs"
    """The name under which the inputs may also be given."""
    tokens_at_once: ClassVar[int] = 2048
    """Of a batch: enough to keep every core busy, few enough to stay in its caches."""
    heeds_tokenizer: ClassVar[bool] = False
    """Whether the tokenizer's greatest length counts, too, and not only the model's."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        task: str | None = None,
        device: Any = None,
        batch_size: int | None = None,
        model_note: str = "",
        **options: Any,
    ) -> None:
        """Join a model and its tokenizer.

        Args:
            model: As an Auto class opens it for this task.
            tokenizer: Of the same checkpoint.
            task: What the pipeline is called.
            device: Where to compute; None: where the model is.
            batch_size: How many rows go through the model at once; None: as many as are good.
            model_note: Which checkpoint this is, and why it was taken.
            **options: What every call is told unless it says otherwise.

        Raises:
            UnknownArgumentError: the task has no such option.
        """
        self.model, self.tokenizer = model, tokenizer
        self.task = task or self.default_task
        self.model_note = model_note or str(getattr(model, "name_or_path", "") or "a given model")
        if batch_size is not None:
            positive("batch_size", batch_size)
        embed = getattr(getattr(model, "stack", None), "embed", None)
        takes = getattr(embed, "takes", ())
        if batch_size is None and ("attention_mask" in takes or "input_ids" in takes):
            batch_size = 1  # such a model sees the padding
        self.batch_size = batch_size
        if device is not None:
            model.to(device)
        model.eval()
        positions = getattr(model, "max_positions", None)
        self.reader = Reader(tokenizer, positions, self.task, heeds=self.heeds_tokenizer)
        self.options: Any = self.defaults().merged(self.named(options), f"pipeline({self.task!r})")

    @property
    def device(self) -> Any:
        """Where the model computes."""
        return self.model.device

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.task!r}, {self.model_note!r}, device={self.device})"

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and tokenizer into a folder that `pipeline(model=folder)` opens."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    # ---------------------------------------------------------------- a call

    def __call__(self, *inputs: Any, **given: Any) -> Any:
        """Do the task.

        Args:
            *inputs: One item, or many: a list or tuple, a generator, a data set (something that
                has a length and can be indexed).
            **given: Options of the task for this call, and `batch_size`.

        Returns:
            One result; a list of results, in order, for a list; a `Stream` of results, computed
            as they are taken, for a generator or a data set.

        Raises:
            UnknownArgumentError: the task has no such option.
            ArgumentError: an input cannot be read, or an option has no sense.
        """
        given = self.named(given)
        found, given = self.read(inputs, given)
        rows = given.pop("batch_size", None) or self.batch_size
        options = self.options.merged(given, f"the {self.task} pipeline")
        if self.is_item(found):
            return self.single(self.run([found], options, rows)[0], found, given)
        if isinstance(found, list | tuple):
            return self.several(list(self._results(found, options, rows, listed=True)))
        length = len(found) if is_dataset(found) else None
        if length is None and not is_stream(found):
            raise ArgumentError(
                f"the {self.task} pipeline takes texts, lists, generators or data sets, "
                f"not {type(found).__name__} ({found!r:.40})"
            )
        return Stream(self._results(items_of(found), options, rows, listed=False), length)

    def stream(self, items: Any, **given: Any) -> Iterator[Any]:
        """Yield one result for each of many items, always in the same shape."""
        given = self.named(given)
        rows = given.pop("batch_size", None) or self.batch_size
        options = self.options.merged(given, f"the {self.task} pipeline")
        return self._results(items_of(items), options, rows, listed=False)

    def run(self, items: Sequence[Any], options: Any, rows: int | None = None) -> list[Any]:
        """Return the results of one window of items, in order.

        Args:
            items: What `prepare` understands.
            options: Complete and checked.
            rows: How many rows to compute at once; None: by the number of their tokens.
        """
        import torch

        prepared = self.prepare(items, options)
        outputs: list[Any] = [None] * len(prepared)
        with torch.inference_mode():
            costs = [self.cost(row, options) for row in prepared]
            for batch in batches(costs, self.budget(options), rows):
                computed = self.compute([prepared[i] for i in batch], options)
                for index, output in zip(batch, computed, strict=True):
                    outputs[index] = output
        parts: list[list[tuple[Row, Any]]] = [[] for _ in items]
        for row, output in zip(prepared, outputs, strict=True):
            parts[row.item].append((row, output))
        return [self.finish(item, part, options) for item, part in zip(items, parts, strict=True)]

    def _results(
        self, items: Any, options: Any, rows: int | None, *, listed: bool
    ) -> Iterator[Any]:
        sizes = (WINDOW, WINDOW) if listed else (1, AHEAD)
        for window in windows(items, *sizes):
            yield from self.run(window, options, rows)

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options by their names of today, without those that mean nothing here."""
        named = dict(given)
        if "num_workers" in named:
            named.pop("num_workers")
            note("pipelines: `num_workers` has no effect: tokenizing uses all cores as it is")
        return named

    # ---------------------------------------------------------------- what a task says

    def defaults(self) -> Any:
        """Return the options that hold where nobody says otherwise."""
        return self.options_type()

    def read(self, inputs: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Find the inputs among a call's arguments.

        Returns:
            The inputs, and the arguments that are options.
        """
        if not inputs and self.input_name in given:
            inputs = (given.pop(self.input_name),)
        if len(inputs) != 1:
            raise ArgumentError(
                f"the {self.task} pipeline takes one input, or a list of them, "
                f"but was given {len(inputs)}"
            )
        return inputs[0], given

    def is_item(self, inputs: Any) -> bool:
        """Say whether the inputs are one item and not many."""
        return isinstance(inputs, str)

    def prepare(self, items: Sequence[Any], options: Any) -> list[Row]:
        """Make rows of tokens of items: of each one or several, in order."""
        raise NotImplementedError

    def cost(self, row: Row, options: Any) -> int:
        """Return how many tokens a row adds to a batch."""
        return len(row.ids)

    def budget(self, options: Any) -> int:
        """Return how many tokens a batch has, at most."""
        return self.tokens_at_once

    def compute(self, rows: Sequence[Row], options: Any) -> Sequence[Any]:
        """Return what the model says of each row of a batch."""
        raise NotImplementedError

    def finish(self, item: Any, parts: Sequence[tuple[Row, Any]], options: Any) -> Any:
        """Make the result of an item from its rows and what the model said of them."""
        raise NotImplementedError

    def single(self, result: Any, item: Any, given: Mapping[str, Any]) -> Any:
        """Return what a call with one item returns."""
        return result

    def several(self, results: list[Any]) -> Any:
        """Return what a call with a list returns."""
        return results

    # ---------------------------------------------------------------- what tasks use

    def row(self, item: int, columns: Columns, facts: Any = None) -> Row:
        """Keep of a tokenizer's columns what the model reads.

        Raises:
            ArgumentError: there is nothing to read.
        """
        if not columns["input_ids"]:
            raise ArgumentError(f"{self.task}: a text is empty, so there are no tokens to read")
        names = ["input_ids"]
        if "token_type_ids" in columns and not self.model.config.is_encoder_decoder:
            names.append("token_type_ids")
        return Row(item, {name: columns[name] for name in names}, facts)

    def forward(self, rows: Sequence[Row]) -> Any:
        """Run the model on a batch; padding, on the right, changes nothing."""
        fillers = {"input_ids": self.tokenizer.pad_token_id or 0}
        return self.model(**padded(rows, fillers, self.device))
