"""Tokenizers of what is heard letter by letter: one label for each moment, joined to text (CTC).

Graves et al. 2006: repeated labels are one letter, and between two equal letters stands a blank.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from armature.inputs.text.call import as_lists
from armature.inputs.text.tokenizer import Tokenizer


class Heard(UserDict[str, Any]):
    """A text with the moments of its letters and words, by key or attribute."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        super().__init__({key: value for key, value in table.items() if value is not None})

    def __getattr__(self, name: str) -> Any:
        if name not in ("text", "char_offsets", "word_offsets"):
            raise AttributeError(name)
        return self.data.get(name)


class LabelTokenizer(Tokenizer):
    """A tokenizer whose ids are letters, one for each moment of a sound."""

    @property
    def word_delimiter_token(self) -> str:
        """Return the token that stands between words."""
        return self.special_tokens_map["word_delimiter_token"]

    @property
    def word_delimiter_token_id(self) -> int:
        """Return the id of the token between words."""
        return self.convert_tokens_to_ids(self.word_delimiter_token)

    def set_target_lang(self, target_lang: str) -> None:
        """Take the letters of another language, where the vocabulary has several.

        Raises:
            ArgumentError: it has not this one.
        """
        options = {**self.options, "target_lang": target_lang}
        again = type(self).of_files(self.files, options, {}, {})
        self._lexicon, self.options = again._lexicon, again.options
        self._variants.clear()

    def convert_tokens_to_string(  # type: ignore[override]
        self,
        tokens: Sequence[str],
        *,
        group_tokens: bool = True,
        spaces_between_special_tokens: bool = False,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
    ) -> dict[str, Any]:
        """Return the text of labels, and on request when each letter and word was heard.

        Args:
            tokens: One for each moment.
            group_tokens: Whether equal neighbours are one letter.
            spaces_between_special_tokens: Whether spaces stand between all letters.
            output_char_offsets: Whether to return the moments of letters.
            output_word_offsets: Whether to return the moments of words.
        """
        if not tokens:
            return {"text": "", "char_offsets": [], "word_offsets": []}
        letters, place = [], 0
        groups = groupby(tokens) if group_tokens else ((token, [token]) for token in tokens)
        for token, group in groups:
            start, place = place, place + len(list(group))
            if token != self.pad_token:
                between = token == self.word_delimiter_token
                letter = self.replace_word_delimiter_char if between else token
                letters.append({"char": letter, "start_offset": start, "end_offset": place})
        joint = " " if spaces_between_special_tokens else ""
        text = joint.join(letter["char"] for letter in letters).strip()
        words = self._get_word_offsets(letters, self.replace_word_delimiter_char)
        return {
            "text": text.lower() if self.do_lower_case else text,
            "char_offsets": letters if output_char_offsets else None,
            "word_offsets": words if output_word_offsets else None,
        }

    @staticmethod
    def _get_word_offsets(
        letters: Sequence[Mapping[str, Any]], between: str = " "
    ) -> list[dict[str, Any]]:
        """Return words, and where they begin and end, of letters."""
        found = []
        for apart, group in groupby(letters, lambda letter: letter["char"] == between):
            if not apart:
                word = list(group)
                found.append(
                    {
                        "word": "".join(letter["char"] for letter in word),
                        "start_offset": word[0]["start_offset"],
                        "end_offset": word[-1]["end_offset"],
                    }
                )
        return found

    def decode(  # type: ignore[override]
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,  # noqa: FBT001, FBT002
        clean_up_tokenization_spaces: bool | None = None,  # noqa: FBT001
        *,
        output_char_offsets: bool = False,
        output_word_offsets: bool = False,
        **how: Any,
    ) -> Any:
        """Return the text of labels, or the texts of several lists of labels.

        Args:
            token_ids: One for each moment; a list, an array, a tensor.
            skip_special_tokens: Whether to leave special tokens out.
            clean_up_tokenization_spaces: Whether to remove spaces before punctuation.
            output_char_offsets: Whether to return when each letter was heard, too.
            output_word_offsets: Whether to return when each word was heard, too.
            how: See `convert_tokens_to_string`.
        """
        ids = as_lists(token_ids["input_ids"] if isinstance(token_ids, Mapping) else token_ids)
        wanted = {"output_char_offsets": output_char_offsets}
        wanted |= {"output_word_offsets": output_word_offsets, **how}
        if isinstance(ids, list) and ids and isinstance(ids[0], list):
            texts = [
                self.decode(row, skip_special_tokens, clean_up_tokenization_spaces, **wanted)
                for row in ids
            ]
            whole = output_char_offsets or output_word_offsets
            return Heard({k: [one[k] for one in texts] for k in texts[0]}) if whole else texts
        found = self.convert_ids_to_tokens([ids] if isinstance(ids, int) else ids)
        tokens = [token or self.unk_token for token in found]
        if skip_special_tokens:
            skipped = {*self.all_special_tokens} - {self.word_delimiter_token}
            tokens = [token for token in tokens if token not in skipped]
        made = self.convert_tokens_to_string(tokens, **wanted)
        if self._cleans(clean_up_tokenization_spaces):
            made["text"] = self.clean_up_tokenization(made["text"])
        return Heard(made) if output_char_offsets or output_word_offsets else made["text"]

    def batch_decode(  # type: ignore[override]
        self,
        sequences: Any,
        skip_special_tokens: bool = False,  # noqa: FBT001, FBT002
        **options: Any,
    ) -> Any:
        """Return the texts of several lists of labels; see `decode`."""
        rows = as_lists(sequences)
        return self.decode(rows, skip_special_tokens, **options) if rows else []
