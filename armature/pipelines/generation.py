"""text-generation: a prompt is continued, or a conversation answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.batching import Row
from armature.pipelines.options import one_of
from armature.pipelines.reading import Columns, rows_of
from armature.pipelines.writing import WritingOptions, WritingPipeline

Chat = list[Mapping[str, Any]]  # messages: {"role": "user", "content": "…"}


@dataclass(frozen=True)
class PromptOptions(WritingOptions):
    """What text-generation can be told, beside every setting of `generate()`."""

    return_full_text: bool | None = None
    """Return the prompt, too, and not only what is new; None: yes."""
    handle_long_generation: str | None = None
    """"hole": of a prompt that leaves too little room, only the end is read."""
    continue_final_message: bool | None = None
    """Go on with the last message of a conversation; None: if it is the assistant's."""
    tools: Sequence[Any] | None = None
    """Functions that the model may ask for in a conversation: themselves, or their JSON schemas."""
    tokenizer_encode_kwargs: Mapping[str, Any] | None = None
    """Further arguments of the tokenizer, or of its chat template."""

    def check(self) -> None:
        """Raise ArgumentError for options that contradict each other."""
        super().check()
        if self.handle_long_generation is not None:
            one_of("handle_long_generation", self.handle_long_generation, ("hole",))
        for name in ("return_text", "return_tensors"):
            if self.return_full_text is not None and getattr(self, name) is not None:
                raise ArgumentError(f"`return_full_text` and `{name}` exclude each other")


class TextGenerationPipeline(WritingPipeline):
    """Continues prompts: `[{"generated_text": "Once upon a time, …"}]`.

    A conversation, a list of messages `{"role": "user", "content": "…"}`, comes back with the
    assistant's message at its end.
    """

    default_task = "text-generation"
    options_type = PromptOptions
    input_name = "text_inputs"
    pads_on = "left"

    def is_item(self, inputs: Any) -> bool:
        """Say whether the inputs are one prompt, or one conversation."""
        return isinstance(inputs, str) or _is_chat(inputs)

    def prepare(self, items: Sequence[Any], options: PromptOptions) -> list[Row]:
        """Make one row of each prompt or conversation; its facts are how long that is."""
        read = self._prompts(items, options)
        rows = []
        for index, item in enumerate(items):
            ids = (read.get(index) or self._chat(item, options))["input_ids"]
            begun = self._fit(ids, options) if ids else [self._first(options)]
            rows.append(Row(index, {"input_ids": begun}, len(begun) if ids else 0))
        return rows

    def _prompts(self, items: Sequence[Any], options: PromptOptions) -> dict[int, Columns]:
        """Tokenize the items that are texts."""
        texts = [i for i, item in enumerate(items) if isinstance(item, str)]
        prompts = [(options.prefix or "") + items[i] for i in texts]
        given = dict(options.tokenizer_encode_kwargs or {})
        if not texts:
            return {}
        if options.truncation:
            reading = replace(options, max_length=options.settings.get("max_length"))
            read = self.reader.read(prompts, options=reading, **given)
        else:  # a prompt that is too long keeps its end, and not its beginning
            if options.add_special_tokens is not None:
                given["add_special_tokens"] = options.add_special_tokens
            read = rows_of(self.tokenizer(prompts, verbose=False, **given))
        return dict(zip(texts, read, strict=True))

    def _chat(self, item: Any, options: PromptOptions) -> Columns:
        """Tokenize a conversation as the model's template writes it."""
        if not _is_chat(item):
            raise ArgumentError(
                "text-generation takes a text, or a list of messages as "
                f'{{"role": "user", "content": "…"}}, not {item!r:.80}'
            )
        goes_on = _goes_on(item, options)
        return self.tokenizer.apply_chat_template(
            list(item),
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
            return_dict=True,
            **{"tools": options.tools, **(options.tokenizer_encode_kwargs or {})},
        )

    def _first(self, options: PromptOptions) -> int:
        """Return the token that an empty prompt begins with."""
        for token in (self.setting("bos_token_id", options), self.tokenizer.bos_token_id):
            if token is not None:
                return token
        raise ArgumentError("text-generation: the prompt is empty")

    def _fit(self, ids: list[int], options: PromptOptions) -> list[int]:
        """Keep the end of a prompt that is too long, or that leaves too little room."""
        hole = options.handle_long_generation == "hole"
        limit = self.reader.asked if hole else self.reader.limit
        new = self.new_tokens(len(ids), options)
        if limit is None or len(ids) + (new if hole else 0) <= limit:
            return ids
        if limit <= new:
            raise ArgumentError(
                f"text-generation: {new} new tokens leave no room for a prompt: the model takes "
                f"{limit} in all.\n  → lower max_new_tokens"
            )
        if not hole:
            self.reader.say_too_long(len(ids), options, "only its end is read")
        return ids[new - limit :]

    def compute(self, rows: Sequence[Row], options: PromptOptions) -> list[list[list[int]]]:
        """Return the new tokens of each row's sequences."""
        return self.write(rows, options)

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: PromptOptions
    ) -> list[dict[str, Any]]:
        """Make texts, conversations or lists of ids of the new tokens."""
        row, sequences = parts[0]
        if options.wants_ids:
            return [{"generated_token_ids": row.ids + new} for new in sequences]
        # HF: the token that an empty prompt begins with counts as new.
        texts = [self.text((row.ids + new)[row.facts :], options) for new in sequences]
        if options.return_full_text is not False:
            return [{"generated_text": _joined(item, text, options)} for text in texts]
        return [{"generated_text": text} for text in texts]


def _joined(item: Any, text: str, options: PromptOptions) -> Any:
    """Put a prompt or conversation before what was generated."""
    if isinstance(item, str):
        return item + text
    *before, last = item
    if _goes_on(item, options):
        return [*before, {**last, "content": last["content"] + text}]
    return [*item, {"role": "assistant", "content": text}]


def _goes_on(chat: Chat, options: PromptOptions) -> bool:
    """Say whether the last message is to be continued."""
    if options.continue_final_message is not None:
        return options.continue_final_message
    return chat[-1]["role"] == "assistant"


def _is_chat(value: Any) -> bool:
    listed = isinstance(value, list | tuple) and len(value) > 0
    return listed and all(isinstance(one, Mapping) and "role" in one for one in value)
