"""text2text-generation, summarization, translation: a text is read whole, another one written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.batching import Row
from armature.pipelines.writing import NEW_TOKENS, WritingOptions, WritingPipeline


class Text2TextGenerationPipeline(WritingPipeline):
    """Writes a text for a text: `[{"generated_text": "…"}]`."""

    default_task = "text2text-generation"
    word = "generated"

    def prepare(self, items: Sequence[str], options: WritingOptions) -> list[Row]:
        """Make one row of each text, the prefix before it."""
        texts = [(options.prefix or "") + _text(self.task, item) for item in items]
        read = self.reader.read(texts, options=options, **self.languages(options))
        return [Row(i, {"input_ids": columns["input_ids"]}) for i, columns in enumerate(read)]

    def languages(self, options: Any) -> dict[str, Any]:
        """Return what the tokenizer is told about languages."""
        return {}

    def compute(self, rows: Sequence[Row], options: WritingOptions) -> list[list[list[int]]]:
        """Return the sequences of each row."""
        return self.write(rows, options, **self.lengths(options))

    def lengths(self, options: WritingOptions) -> dict[str, Any]:
        """Return how much is written where nothing says it."""
        said = any(self.setting(name, options) for name in ("max_length", "max_new_tokens"))
        # HF: where nothing says how long, the decoder's first token counts.
        limit = "max_length" if self.model.config.is_encoder_decoder else "max_new_tokens"
        return {} if said else {limit: NEW_TOKENS}

    def finish(
        self, item: str, parts: Sequence[tuple[Row, Any]], options: WritingOptions
    ) -> list[dict[str, Any]]:
        """Make texts, or tensors, of the sequences."""
        sequences = parts[0][1]
        if options.wants_ids:
            import torch

            return [{f"{self.word}_token_ids": torch.tensor(ids)} for ids in sequences]
        return [{f"{self.word}_text": self.text(ids, options)} for ids in sequences]

    def several(self, results: list[Any]) -> list[Any]:
        """Return the results of a list: of each text its only result, if all have one."""
        if all(len(result) == 1 for result in results):
            return [result[0] for result in results]
        return results


class SummarizationPipeline(Text2TextGenerationPipeline):
    """Summarizes texts: `[{"summary_text": "…"}]`."""

    default_task = "summarization"
    word = "summary"


def _text(task: str, item: Any) -> str:
    if not isinstance(item, str):
        raise ArgumentError(f"{task} takes texts, not {type(item).__name__} ({item!r:.60})")
    return item


@dataclass(frozen=True)
class TranslationOptions(WritingOptions):
    """What translation can be told, beside every setting of `generate()`."""

    src_lang: str | None = None
    """The language of the text, as the checkpoint calls it."""
    tgt_lang: str | None = None
    """The language to write."""


class TranslationPipeline(Text2TextGenerationPipeline):
    """Translates texts: `[{"translation_text": "…"}]`.

    The languages are in the task's name (`translation_en_to_fr`), or given as `src_lang` and
    `tgt_lang`.
    """

    default_task = "translation"
    options_type = TranslationOptions
    word = "translation"

    def defaults(self) -> WritingOptions:
        """Return what the checkpoint says, and the languages that the task's name holds."""
        said = super().defaults()
        source, _, target = self.task.removeprefix("translation_").partition("_to_")
        if target and self._knows_languages:
            return replace(said, src_lang=source, tgt_lang=target)
        return said

    @property
    def _knows_languages(self) -> bool:
        """Whether the tokenizer has a token for each of several languages."""
        return getattr(self.tokenizer, "src_lang", None) is not None

    def languages(self, options: TranslationOptions) -> dict[str, Any]:
        """Return what the tokenizer is told about languages."""
        told = self._knows_languages and options.src_lang is not None
        return {"src_lang": options.src_lang} if told else {}

    def run(
        self, items: Sequence[Any], options: TranslationOptions, rows: int | None = None
    ) -> list[Any]:
        """Return the results of one window of texts, in order."""
        return super().run(items, self.completed(options), rows)

    def completed(self, options: TranslationOptions) -> TranslationOptions:
        """Return options with what follows from the languages that are chosen."""
        chosen = options.src_lang is not None or options.tgt_lang is not None
        return self._between(options) if chosen else options

    def _between(self, options: TranslationOptions) -> TranslationOptions:
        """Add what makes the model write in the language that was chosen.

        Raises:
            ArgumentError: this checkpoint does not let one choose.
        """
        source, target = options.src_lang, options.tgt_lang
        if self._knows_languages:  # the first token to write is the language's
            token = (
                {}
                if target is None
                else {"forced_bos_token_id": self.tokenizer.get_lang_id(target)}
            )
            return replace(options, settings={**token, **options.settings})
        said = self.said_of(f"translation_{source}_to_{target}")
        if said is None:
            raise ArgumentError(
                f"this checkpoint ({self.model_note}) does not let one choose languages, at least "
                f"not {source} to {target}.\n  → leave `src_lang` and `tgt_lang` out"
            )
        prefix = said.prefix if options.prefix is None else options.prefix
        return replace(options, prefix=prefix, settings={**said.settings, **options.settings})
