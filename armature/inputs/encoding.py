"""BatchEncoding: what tokenizers and processors return, from argument names to values."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from armature.errors import ArgumentError, nearest
from armature.inputs.row import Encoding


class CharSpan(NamedTuple):
    """A stretch of a text: its first character and the one after its last."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """A stretch of a row of tokens: its first token and the one after its last."""

    start: int
    end: int


class BatchEncoding(UserDict[str, Any]):
    """The arguments of a model (`input_ids`, `attention_mask`…), by key or attribute.

    By an integer or by the methods below it also leads from tokens back to words and characters.
    """

    def __init__(
        self,
        data: Any = None,
        encoding: Encoding | Sequence[Encoding] | Callable[[], list[Encoding]] | None = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,  # noqa: FBT001, FBT002 - the known signature
    ) -> None:
        """Hold `data`.

        Args:
            data: The values by name.
            encoding: The rows of tokens, or a function that makes them when they are asked for.
            tensor_type: "pt", "np" or None.
            prepend_batch_axis: Make tensors of one row a batch of one.
        """
        super().__init__(data or {})
        self._rows = [encoding] if isinstance(encoding, Encoding) else encoding
        self.convert_to_tensors(tensor_type, prepend_batch_axis=prepend_batch_axis)

    def __getitem__(self, item: Any) -> Any:
        """Return a value by name; a row of tokens by integer; a slice of all values by slice."""
        if isinstance(item, str):
            return self.data[item]
        if isinstance(item, slice) and self._rows is None:
            return {key: value[item] for key, value in self.data.items()}
        return self._known_rows()[item]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "data" not in self.__dict__:
            raise AttributeError(name)
        try:
            return self.data[name]
        except KeyError:
            raise AttributeError(
                f"This batch has no `{name}`.{nearest(name, self.data)} It has: {list(self.data)}"
            ) from None

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "encodings": None if callable(self._rows) else self._rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.data, self._rows = state["data"], state["encodings"]

    def __repr__(self) -> str:
        return repr(self.data)

    @property
    def encodings(self) -> list[Encoding] | None:
        """Return the rows of tokens; None where the values did not come from text."""
        rows = self._rows
        if rows is None:
            return None
        if not isinstance(rows, list):
            self._rows = rows = list(rows if isinstance(rows, Sequence) else rows())
        return rows

    def _known_rows(self) -> list[Encoding]:
        rows = self.encodings
        if rows is None:
            raise ArgumentError(
                "These values did not come from text, so they have no rows of tokens. Call the "
                "tokenizer on the texts to get from tokens to words and characters."
            )
        return rows

    @property
    def is_fast(self) -> bool:
        """Return whether tokens can be led back to words and characters."""
        return self._rows is not None

    @property
    def n_sequences(self) -> int | None:
        """Return 1 for texts, 2 for pairs, None where it is not known."""
        rows = self.encodings
        return rows[0].n_sequences if rows else None

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Return the tokens of a row as the vocabulary spells them."""
        return self._known_rows()[batch_index].tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for each token of a row the index of its word; None for added tokens."""
        return self._known_rows()[batch_index].word_ids

    def words(self, batch_index: int = 0) -> list[int | None]:
        """Return `word_ids`, under its older name."""
        return self.word_ids(batch_index)

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for each token of a row 0 (the text), 1 (its pair) or None (added)."""
        return self._known_rows()[batch_index].sequence_ids

    def token_to_sequence(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> int | None:
        """Return 0 or 1, the text that a token is from; `(token)` or `(row, token)`."""
        row, token = self._place(batch_or_token_index, token_index)
        return row.token_to_sequence(_from_end(token, row))

    def token_to_word(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> int | None:
        """Return the index of the word that a token is from; `(token)` or `(row, token)`."""
        row, token = self._place(batch_or_token_index, token_index)
        return row.token_to_word(_from_end(token, row))

    def token_to_chars(
        self, batch_or_token_index: int, token_index: int | None = None
    ) -> CharSpan | None:
        """Return the characters that a token stands for; `(token)` or `(row, token)`."""
        row, token = self._place(batch_or_token_index, token_index)
        span = row.token_to_chars(_from_end(token, row))
        return None if span is None else CharSpan(*span)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """Return the tokens of a word; `(word)` or `(row, word)`."""
        row, word = self._place(batch_or_word_index, word_index)
        span = row.word_to_tokens(word, sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """Return the characters of a word; `(word)` or `(row, word)`."""
        row, word = self._place(batch_or_word_index, word_index)
        span = row.word_to_chars(word, sequence_index)
        return None if span is None else CharSpan(*span)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the token that a character is in; `(character)` or `(row, character)`."""
        row, place = self._place(batch_or_char_index, char_index)
        return row.char_to_token(place, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the word that a character is in; `(character)` or `(row, character)`."""
        row, place = self._place(batch_or_char_index, char_index)
        return row.char_to_word(place, sequence_index)

    def _place(self, first: int, second: int | None) -> tuple[Encoding, int]:
        """Read the two ways of calling: `(index)` in the only row, or `(row, index)`."""
        rows = self._known_rows()
        return (rows[0], first) if second is None else (rows[first], second)

    def convert_to_tensors(
        self,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,  # noqa: FBT001, FBT002 - the known signature
    ) -> BatchEncoding:
        """Turn the lists into tensors ("pt") or arrays ("np"), in place, and return self.

        Raises:
            ArgumentError: another type; or rows of different lengths.
        """
        if tensor_type is not None:
            from armature.inputs.tensors import to_tensor

            for key, value in self.data.items():
                whole = [value] if prepend_batch_axis else value
                self.data[key] = to_tensor(key, whole, tensor_type)
        return self

    def to(
        self,
        *device_or_dtype: Any,
        device: Any = None,
        dtype: Any = None,
        non_blocking: bool = False,
    ) -> BatchEncoding:
        """Move all tensors to a device, or make the fractions among them another type, in place.

        Args:
            device_or_dtype: a device ("cuda:0"), a torch dtype, or both in any order.
            device: the device by name.
            dtype: the type by name. Whole numbers - ids, masks - stay what they are.
            non_blocking: copy while other work goes on.

        Raises:
            ArgumentError: an argument is neither.
        """
        import torch

        for one in device_or_dtype:
            if isinstance(one, torch.dtype):
                dtype = one
            elif isinstance(one, str | int | torch.device):
                device = one
            else:
                raise ArgumentError(
                    f"`to` takes a device such as 'cuda:0' or a torch dtype, not {one!r}."
                )

        for key, value in self.data.items():
            self.data[key] = _moved(value, device, dtype, non_blocking)
        return self


def _moved(value: Any, device: Any, dtype: Any, non_blocking: bool) -> Any:  # noqa: FBT001
    import torch

    if isinstance(value, torch.Tensor):
        kind = dtype if value.is_floating_point() else None
        return value.to(device=device, dtype=kind, non_blocking=non_blocking)
    if isinstance(value, list) and value and isinstance(value[0], BatchEncoding):
        return [one.to(device=device, dtype=dtype) for one in value]  # labels of pictures
    return value


def _from_end(index: int, row: Encoding) -> int:
    return index + len(row) if index < 0 else index
