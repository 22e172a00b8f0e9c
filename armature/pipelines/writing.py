"""Writing: what all tasks that generate text have in common."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from armature.errors import ArgumentError, refuse_unknown
from armature.pipelines.base import Pipeline
from armature.pipelines.batching import Row, padded
from armature.pipelines.kept import keep_beginning
from armature.pipelines.options import ReadingOptions

# Arguments of generate() that are no settings of a GenerationConfig.
_CALLBACKS = (
    "generation_config",
    "logits_processor",
    "stopping_criteria",
    "prefix_allowed_tokens_fn",
    "streamer",
    "seed",
    "assistant_model",
    "assistant_tokenizer",
)
_FUNCTIONS = ("logits_processor", "stopping_criteria", "prefix_allowed_tokens_fn")
NEW_TOKENS = 20  # where nothing says how many
ENGINE_TOKENS = 1 << 14  # of a batch that an engine writes: rows come and go, so it may be large
ENGINE_ROWS = 16  # written at once

# Of two ways to say one thing, what the caller says ends what the checkpoint says.
_RIVALS = {"max_new_tokens": "max_length", "max_length": "max_new_tokens"}


@dataclass(frozen=True)
class WritingOptions(ReadingOptions):
    """What tasks that generate can be told: these, and every setting of `generate()`."""

    prefix: str | None = None
    """Stands before every text; None: what the checkpoint says."""
    stop_sequence: str | Sequence[str] | None = None
    """Ends a text where it occurs among what is new."""
    return_tensors: bool | None = None
    """Return token ids instead of text."""
    return_text: bool | None = None
    """The opposite of return_tensors."""
    clean_up_tokenization_spaces: bool | None = None
    """Remove spaces before punctuation; None: as the tokenizer does."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `generate()`, `max_length` among them."""

    @classmethod
    def own(cls) -> list[str]:
        """Return the names of the options that are not settings of `generate()`."""
        return [name for name in super().accepted() if name not in ("settings", "max_length")]

    @classmethod
    def accepted(cls) -> list[str]:
        """Return the names that can be given."""
        from armature.outputs.decoding.config import FIELDS

        return [*cls.own(), *FIELDS, *_CALLBACKS]

    def merged(self, given: Mapping[str, Any], where: str) -> Self:
        """Return these options and settings with some of them changed."""
        refuse_unknown(where, given, self.accepted())
        own = self.own()
        options = {name: value for name, value in given.items() if name in own}
        added = {name: value for name, value in given.items() if name not in own}
        ended = {_RIVALS.get(name) for name in added}
        kept = {name: value for name, value in self.settings.items() if name not in ended}
        changed = replace(self, **options, settings=kept | added)
        changed.check()
        return changed

    def check(self) -> None:
        """Raise ArgumentError for options that contradict each other."""
        super().check()
        if self.return_tensors and self.return_text:
            raise ArgumentError("`return_tensors` and `return_text` exclude each other")
        if not isinstance(self.settings.get("seed", 0), int | None):
            raise ArgumentError(
                "`seed` should be one number: every text draws by it, whatever is beside the text"
            )

    @property
    def wants_ids(self) -> bool:
        """Whether the result is token ids."""
        return bool(self.return_tensors) or self.return_text is False


class WritingPipeline(Pipeline):
    """Base of the tasks that generate."""

    options_type = WritingOptions
    pads_on: str = "right"

    def defaults(self) -> WritingOptions:
        """Return what the checkpoint says about this task."""
        said = self.said_of(self.task) or self.options_type()
        own = getattr(self.model.config, "prefix", None)
        return said if said.prefix is not None else replace(said, prefix=own)

    def said_of(self, task: str) -> WritingOptions | None:
        """Return what config.json says about a task: a prefix, and how to generate; or None."""
        from armature.outputs.decoding.config import FIELDS

        every = getattr(self.model.config, "task_specific_params", None) or {}
        said = every.get(task)
        if said is None:
            return None
        settings = {name: value for name, value in said.items() if name in FIELDS}
        return self.options_type(prefix=said.get("prefix"), settings=settings)

    def cost(self, row: Row, options: WritingOptions) -> int:
        """Return how many tokens a row takes while it grows, all its beams or copies counted."""
        several = ("num_beams", "num_return_sequences")
        copies = max(self.setting(name, options) or 1 for name in several)
        prompt = 1 if self.model.config.is_encoder_decoder else len(row.ids)
        return (len(row.ids) + self.new_tokens(prompt, options)) * copies

    def new_tokens(self, length: int, options: WritingOptions) -> int:
        """Return how many tokens may follow a prompt of a length, by the settings."""
        if self.setting("max_new_tokens", options) is not None:
            return self.setting("max_new_tokens", options)
        most = self.setting("max_length", options)
        return NEW_TOKENS if most is None else max(most - length, 1)

    def setting(self, name: str, options: WritingOptions) -> Any:
        """Return a setting: the caller's, or else the checkpoint's; None where nothing says."""
        if options.settings.get(name) is not None:
            return options.settings[name]
        given = getattr(options.settings.get("generation_config"), name, None)
        return getattr(self.model.generation_config, name, None) if given is None else given

    def write(
        self, rows: Sequence[Row], options: WritingOptions, **also: Any
    ) -> list[list[list[int]]]:
        """Generate from a batch of rows.

        Args:
            rows: Prompts, or what an encoder reads.
            options: Complete and checked.
            **also: Further settings.

        Returns:
            For each row its sequences, `num_return_sequences` of them: the new tokens; of a
            decoder with an encoder also the token that it begins with.
        """
        settings = self._settings(options, len(rows)) | also
        if self._together(options):
            return self._by_engine(rows, settings, options)
        batch = padded(
            rows, {"input_ids": settings["pad_token_id"] or 0}, self.device, self.pads_on
        )
        generated = self.model.generate(**batch, **settings)
        sequences = getattr(generated, "sequences", generated).tolist()
        first = 1 if self.model.config.is_encoder_decoder else batch["input_ids"].shape[1]
        copies = len(sequences) // len(rows)
        if len(sequences) > 1:
            ends = self.setting("eos_token_id", options)
            limits = [self._longest(row, options) for row in rows for _ in range(copies)]
            pairs = zip(sequences, limits, strict=True)
            sequences = [
                ids[:first] + _whole(ids[first:][:limit], ends, settings["pad_token_id"])
                for ids, limit in pairs
            ]
        if not self.model.config.is_encoder_decoder:
            sequences = [ids[first:] for ids in sequences]
        return [sequences[i : i + copies] for i in range(0, len(sequences), copies)]

    def stream_text(
        self, item: Any, *, past_key_values: Any = None, **given: Any
    ) -> Generator[str, None, None]:
        """Yield the text that a call would return for one input, piece by piece, as it is written.

        The prompt is not given out again. Nothing is computed between two pieces, so leaving the
        loop ends the writing.

        Args:
            item: One text; of text-generation also one conversation, a list of messages.
            past_key_values: A cache of one row; what it holds of another text is forgotten, and
                what is read and written now is added.
            **given: Options of the task for this call.

        Raises:
            UnknownArgumentError: the task has no such option.
            ArgumentError: there are several inputs, or a setting knows its tokens only at the end.
        """
        from armature.outputs.decoding.pieces import stream

        options = self.options.merged(self.named(given), f"the {self.task} pipeline")
        if not self.is_item(item):
            raise ArgumentError(
                f"stream_text() writes one text for one input, not for {type(item).__name__} "
                f"({item!r:.40}).\n  → stream each by itself, or call the pipeline"
            )
        if options.wants_ids:
            raise ArgumentError("stream_text() gives out text, so it cannot return token ids")
        options = self.completed(options)
        (row,) = self.prepare([item], options)
        settings = self._settings(options, 1) | self.lengths(options)
        if past_key_values is not None:
            keep_beginning(past_key_values, row.ids)
            settings["past_key_values"] = past_key_values
        return stream(
            self.model,
            **self._tensors(row),
            **settings | {"tokenizer": self.tokenizer},
            clean_up_tokenization_spaces=self._cleans(options),
        )

    def completed(self, options: Any) -> Any:
        """Return options with what follows from them."""
        return options

    def lengths(self, options: Any) -> dict[str, Any]:
        """Return how much is written where nothing says it."""
        return {}

    def budget(self, options: WritingOptions) -> int:
        """Return how many tokens are computed at once; an engine bounds its memory by itself."""
        return ENGINE_TOKENS if self._together(options) else self.tokens_at_once

    def _together(self, options: WritingOptions) -> bool:
        """Whether an engine can write the rows, which come and go by themselves then."""
        from armature.outputs.decoding.engine import needs_its_own

        functions = any(options.settings.get(name) is not None for name in _FUNCTIONS)
        # HF: without a seed, all rows of a batch draw from one random state.
        drawn = self.setting("do_sample", options) and options.settings.get("seed") is None
        alone = needs_its_own(lambda name: self.setting(name, options))
        return not (functions or drawn or alone)

    def _by_engine(
        self, rows: Sequence[Row], settings: dict[str, Any], options: WritingOptions
    ) -> list[list[list[int]]]:
        """Return for each row its sequences, as `write` does."""
        from armature.outputs.decoding.engine import Engine

        copies = settings.get("num_return_sequences") or 1
        room = 2 * sum(self.cost(row, options) for row in rows) + ENGINE_TOKENS
        engine = Engine(self.model, rows=max(ENGINE_ROWS, copies), tokens=room)
        seeds = settings.pop("seed", None) or [None] * len(rows)
        requests = []
        for row, seed in zip(rows, seeds, strict=True):
            requests.append(engine.submit(**self._tensors(row), **settings, seed=seed))
        engine.run()
        ends, pad = self.setting("eos_token_id", options), settings["pad_token_id"]
        begun = 1 if self.model.config.is_encoder_decoder else 0
        found = []
        for row, request in zip(rows, requests, strict=True):
            first = begun or len(row.ids)
            sequences = request.result().tolist()
            found.append([ids[:begun] + _whole(ids[first:], ends, pad) for ids in sequences])
        return found

    def _tensors(self, row: Row) -> dict[str, Any]:
        """Return the inputs of a row by itself."""
        import torch

        return {name: torch.tensor([ids], device=self.device) for name, ids in row.inputs.items()}

    def _longest(self, row: Row, options: WritingOptions) -> int | None:
        """Return how many new tokens a row by itself can have; None where all have as many."""
        if self.model.config.is_encoder_decoder:
            return None
        longest = self.new_tokens(len(row.ids), options)
        return (
            longest if not self.reader.limit else min(longest, self.reader.limit + 1 - len(row.ids))
        )

    def _settings(self, options: WritingOptions, rows: int) -> dict[str, Any]:
        """Return the arguments of generate()."""
        settings = dict(options.settings)
        settings["pad_token_id"] = self._pad(options)
        if settings.get("seed") is not None:
            settings["seed"] = [settings["seed"]] * rows
        if options.stop_sequence is not None:
            settings["stop_strings"] = options.stop_sequence
        if (
            settings.get("stop_strings")
            or settings.get("assistant_tokenizer")
            or self.formed(options)
        ):
            settings["tokenizer"] = self.tokenizer
        return settings

    def formed(self, options: WritingOptions) -> bool:
        """Whether a schema, an expression or a grammar says what the text must be."""
        from armature.outputs.decoding.structure import asked

        return asked(lambda name: self.setting(name, options)) is not None

    def _pad(self, options: WritingOptions) -> int | None:
        """What rows are filled with that end before others; it is cut off again."""
        ends = self.setting("eos_token_id", options)
        end = ends[0] if isinstance(ends, list | tuple) else ends
        known = (self.setting("pad_token_id", options), self.tokenizer.pad_token_id, end)
        return next((token for token in known if token is not None), None)

    def text(self, ids: list[int], options: WritingOptions) -> str:
        """Return the text of tokens, special tokens left out."""
        clean = self._cleans(options)
        return self.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=clean
        )

    def _cleans(self, options: WritingOptions) -> bool | None:
        """Return whether spaces are removed; never from a text that has a form to keep."""
        clean = options.clean_up_tokenization_spaces
        return False if clean is None and self.formed(options) else clean


def _whole(new: list[int], ends: Any, pad: int | None) -> list[int]:
    """Return new tokens without what fills them up to the length of their neighbours."""
    stops = set(ends) if isinstance(ends, list | tuple) else {ends}
    for index, token in enumerate(new):
        if token in stops:
            return new[: index + 1]
    end = len(new)
    while end and new[end - 1] == pad:
        end -= 1
    return new[:end]
