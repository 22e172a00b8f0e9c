"""What a tokenizer does with texts: one call for a text, a pair or a batch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from armature.errors import ArgumentError, nearest, refuse_unknown
from armature.inputs.encoding import BatchEncoding
from armature.inputs.row import Encoding
from armature.inputs.text.backend import explained, frame
from armature.inputs.text.call import Call, read_inputs
from armature.inputs.text.fit import rows_of
from armature.inputs.text.ids import IdMethods
from armature.inputs.text.plain import PlainBackend, twin_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

log = logging.getLogger(__name__)
OPTIONS = [option.name for option in fields(Call) if option.name != "target"]


class TextMethods(IdMethods):
    """Texts to rows of tokens. Nothing is kept between calls, so threads may share a tokenizer."""

    name_or_path: str
    options: dict[str, Any]
    split_special_tokens: bool
    _framed_for: str | None
    """The source language that the backend's special tokens stand for."""
    _variants: dict[tuple[bool, str | None, bool], Backend]
    """Backends for rare options of a call."""
    _warned: bool

    def __call__(  # noqa: PLR0913 - the known signature
        self,
        text: Any = None,
        text_pair: Any = None,
        text_target: Any = None,
        text_pair_target: Any = None,
        add_special_tokens: bool = True,  # noqa: FBT001, FBT002
        padding: Any = False,  # noqa: FBT002
        truncation: Any = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,  # noqa: FBT001, FBT002
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,  # noqa: FBT001
        return_attention_mask: bool | None = None,  # noqa: FBT001
        return_overflowing_tokens: bool = False,  # noqa: FBT001, FBT002
        return_special_tokens_mask: bool = False,  # noqa: FBT001, FBT002
        return_offsets_mapping: bool = False,  # noqa: FBT001, FBT002
        return_length: bool = False,  # noqa: FBT001, FBT002
        verbose: bool = True,  # noqa: FBT001, FBT002
        **options: Any,
    ) -> BatchEncoding:
        """Tokenize one text, a pair, or a batch of either.

        Args:
            text: A text, or a list of texts or (text, text) pairs.
            text_pair: A second text, or a list of such.
            text_target: Texts that the model shall produce; their ids come as `labels`.
            text_pair_target: Second texts of these.
            add_special_tokens: Whether to add `[CLS]`, `</s>`… as the model expects.
            padding: True or "longest": to the longest row of the batch; "max_length": to
                `max_length`, or to what the model takes; False: not at all.
            truncation: True or "longest_first": remove tokens of the longer text of a pair;
                "only_first" or "only_second"; False: not at all.
            max_length: The length for both, in tokens, special ones included.
            stride: How many tokens a part that was cut off repeats of the one before.
            is_split_into_words: Whether texts are lists of words.
            pad_to_multiple_of: Rounds the padded length up.
            padding_side: "left" or "right"; by default `self.padding_side`.
            return_tensors: "pt", "np" or None for lists.
            return_token_type_ids: Whether to return which text tokens are from; by default if the
                model takes it, as for the attention mask.
            return_attention_mask: Whether to return 1 for tokens and 0 for padding.
            return_overflowing_tokens: Whether to return what was cut off, as further rows;
                `overflow_to_sample_mapping` says whose.
            return_special_tokens_mask: Whether to return 1 for added tokens.
            return_offsets_mapping: Whether to return each token's (start, end) in its text.
            return_length: Whether to return the lengths of the rows.
            verbose: Whether to note texts that are too long.
            options: `split_special_tokens` (special tokens in a text are plain text),
                `src_lang`, `tgt_lang`, `max_target_length`.

        Raises:
            ArgumentError: an option's value does not exist, or a text is no text.
            UnknownArgumentError: an option does not exist.
        """
        known = [*OPTIONS, "src_lang", "tgt_lang", "max_target_length", "text", "text_pair"]
        refuse_unknown(f"{type(self).__name__}(…)", options, known)
        call = Call(
            add_special_tokens,
            padding,
            truncation,
            max_length,
            stride,
            is_split_into_words,
            pad_to_multiple_of,
            padding_side,
            return_tensors,
            return_token_type_ids,
            return_attention_mask,
            return_overflowing_tokens,
            return_special_tokens_mask,
            return_offsets_mapping,
            return_length,
            verbose,
            options.get("split_special_tokens"),
            options.get("src_lang"),
        )
        if text is None and text_target is None:
            raise ArgumentError("There is nothing to tokenize: text is None.")
        batch = None if text is None else self._encode(text, text_pair, call)
        if text_target is None and batch is not None:
            return batch
        labels = self._encode(text_target, text_pair_target, self._target(call, options))
        if batch is None:
            return labels
        batch["labels"] = labels["input_ids"]
        return batch

    def _target(self, call: Call, options: Mapping[str, Any]) -> Call:
        length = options.get("max_target_length")
        language = options.get("tgt_lang") or self.options.get("tgt_lang")
        changes = {"max_length": length} if length is not None else {}
        return replace(call, src_lang=language or call.src_lang, target=True, **changes)

    def _encode(self, text: Any, pair: Any, call: Call) -> BatchEncoding:
        truncation, fit = call.fit(self)
        words, plain = call.is_split_into_words, self.family.plain
        inputs, batched = read_inputs(text, pair, words=words, plain=plain)
        backend = self._backend_for(call)

        def rows(*, detailed: bool) -> list[list[Encoding]]:
            # Without offsets the library is a quarter faster.
            work = backend.encode_batch if detailed else backend.encode_batch_fast
            with explained(self.name_or_path or type(self).__name__):
                found = work(
                    inputs,
                    is_pretokenized=call.is_split_into_words,
                    add_special_tokens=call.add_special_tokens,
                )
            return [rows_of(source, truncation) for source in found]

        def again() -> list[Encoding]:
            return [row for group in rows(detailed=True) for row in group]

        groups = rows(detailed=call.return_offsets_mapping)
        self._note_long_rows(groups, call)
        anew = None if call.return_offsets_mapping else again
        return self._output(groups, call, fit, anew, batched=batched)

    def _note_long_rows(self, groups: list[list[Encoding]], call: Call) -> None:
        if not call.verbose or self._warned or call.max_length is not None:
            return
        longest = max((len(group[0]) for group in groups), default=0)
        if longest > self.model_max_length:
            self._warned = True
            log.warning(
                "A text has %d tokens, but the model takes at most %d. Pass truncation=True.",
                longest,
                self.model_max_length,
            )

    def _backend_for(self, call: Call) -> Backend:
        """Return the backend for a call; those for rare options are made once and kept."""
        split = call.split_special_tokens
        split = self.split_special_tokens if split is None else split
        language = None
        if "src_lang" in self.family.options:
            language = call.src_lang or self.options["src_lang"]
        elif call.src_lang is not None:
            raise ArgumentError(f"{type(self).__name__} knows no languages: leave src_lang out.")
        encoders = self._lexicon.encoders
        backend = encoders[call.target] if encoders else self.backend_tokenizer
        if not split and language == self._framed_for:
            return backend
        key = (bool(split), language, call.target)
        if key not in self._variants:
            variant = twin_of(backend)
            variant.encode_special_tokens = bool(split)
            if language is not None:
                self._check_language(language)
                options = {**self.options, "src_lang": language}
                frame(variant, self.family, options, self._lexicon.named)
            self._variants[key] = variant
        return self._variants[key]

    def _check_language(self, language: str) -> None:
        mark = self.family.language_mark.format(language)
        if self.backend_tokenizer.token_to_id(mark) is None:
            known = list(self.options.get("language_codes") or ())
            raise ArgumentError(
                f"The language {language!r} is not in the vocabulary.{nearest(language, known)}"
            )

    def encode(self, text: Any, text_pair: Any = None, **options: Any) -> Any:
        """Return the ids of a text or pair (`input_ids` of a call with these options)."""
        return self(text, text_pair, **options)["input_ids"]

    def encode_plus(self, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
        """Call the tokenizer, under its older name for one text or pair."""
        return self(text, text_pair, **options)

    def batch_encode_plus(
        self, batch_text_or_text_pairs: Any, text_pair: Any = None, **options: Any
    ) -> BatchEncoding:
        """Call the tokenizer, under its older name for batches."""
        return self(list(batch_text_or_text_pairs), text_pair, **options)

    def tokenize(
        self,
        text: str,
        pair: str | None = None,
        add_special_tokens: bool = False,  # noqa: FBT001, FBT002 - the known signature
        **options: Any,
    ) -> list[str]:
        """Return the tokens of a text or pair, as the vocabulary spells them.

        Args:
            text: A text; or a list of words with `is_split_into_words=True`.
            pair: A second text.
            add_special_tokens: Whether to add `[CLS]`, `</s>`…
            options: As in a call of the tokenizer.
        """
        refuse_unknown("tokenize", options, OPTIONS)
        if not isinstance(text, str) and not options.get("is_split_into_words"):
            kind = type(text).__name__
            raise ArgumentError(f"tokenize takes one text, not {kind}; call it for each text.")
        detailed = not isinstance(self.backend_tokenizer, PlainBackend)
        options |= {"add_special_tokens": add_special_tokens, "return_offsets_mapping": detailed}
        return self._encode(text, pair, Call(**options)).tokens()

    def add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> int:  # noqa: FBT001, FBT002
        """Add tokens to the vocabulary; see `SpecialTokens.add_tokens`."""
        self._variants.clear()
        return super().add_tokens(new_tokens, special_tokens)

    def add_special_tokens(self, special_tokens_dict: Any, *rest: Any, **options: Any) -> int:
        """Give roles to special tokens; see `SpecialTokens.add_special_tokens`."""
        self._variants.clear()
        return super().add_special_tokens(special_tokens_dict, *rest, **options)
