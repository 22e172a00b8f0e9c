"""What a tokenizer does with ids: put them together, pad them, and turn them back into text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from armature.errors import ArgumentError, refuse_unknown
from armature.inputs.encoding import BatchEncoding
from armature.inputs.row import Encoding, Padding, Tokens
from armature.inputs.text.call import Call, Fit, as_lists
from armature.inputs.text.fit import Truncation, pad_row, padded_length, rows_of
from armature.inputs.text.special import SpecialTokens
from armature.inputs.text.template import assemble, read_template

if TYPE_CHECKING:
    from armature.inputs.text.family import Family

# The clean-up of text that was split at punctuation.
_CLEANUP = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


class IdMethods(SpecialTokens):
    """Ids of texts: assembling, padding, decoding."""

    family: Family
    padding_side: str
    truncation_side: str
    model_max_length: int
    model_input_names: list[str]
    clean_up_tokenization_spaces: bool

    @property
    def pad_token_type_id(self) -> int:
        """Return the type that padding has."""
        return self.family.pad_type_id

    def _output(
        self,
        groups: Sequence[Sequence[Encoding]],
        call: Call,
        fit: Fit | None,
        again: Callable[[], list[Encoding]] | None = None,
        *,
        batched: bool = True,
    ) -> BatchEncoding:
        """Pad rows and return their columns.

        Args:
            groups: For each input its row, and the rows of what was cut off.
            call: Which columns are wanted.
            fit: How rows are padded.
            again: Makes the rows anew, with offsets; None where these have them.
            batched: Whether the input was a batch.
        """
        rows = self._padded([row for group in groups for row in group], fit)
        data: dict[str, Any] = {"input_ids": [row.ids for row in rows]}
        for name, column, given in (
            ("token_type_ids", "type_ids", call.return_token_type_ids),
            ("attention_mask", "attention_mask", call.return_attention_mask),
            ("special_tokens_mask", "special_tokens_mask", call.return_special_tokens_mask),
            ("offset_mapping", "offsets", call.return_offsets_mapping),
        ):
            if given or (given is None and name in self.model_input_names):
                data[name] = [getattr(row, column) for row in rows]
        if call.return_length:
            data["length"] = [len(row) for row in rows]
        if call.return_overflowing_tokens:
            owners = [[index] * len(group) for index, group in enumerate(groups)]
            data["overflow_to_sample_mapping"] = [owner for part in owners for owner in part]
        elif not batched and call.return_tensors is None:
            # HF: the length of a single row comes as a list all the same.
            data = {n: values if n == "length" else values[0] for n, values in data.items()}

        def anew() -> list[Encoding]:
            made = self._padded(again(), fit) if again else rows
            if [row.ids for row in made] != [row.ids for row in rows]:
                raise ArgumentError(
                    "The tokenizer's vocabulary has changed since these texts were tokenized, so "
                    "tokens cannot be led back to the texts. Tokenize them again."
                )
            return made

        return BatchEncoding(data, anew if again else rows, call.return_tensors)

    def _padded(self, rows: list[Encoding], fit: Fit | None) -> list[Encoding]:
        if fit is None or not rows:
            return rows
        length = padded_length([len(row) for row in rows], fit.length, fit.multiple)
        filler = Padding(0, 0, str(self.pad_token), self._pad_id(), self.pad_token_type_id)
        return [pad_row(row, length, fit.side, filler) for row in rows]

    def _pad_id(self) -> int:
        index = self.pad_token_id
        if index is None:
            raise ArgumentError(
                "Padding needs a padding token, and this tokenizer has none. Give it one, for "
                "instance tokenizer.pad_token = tokenizer.eos_token, or add a new one with "
                "tokenizer.add_special_tokens({'pad_token': '[PAD]'})."
            )
        return index

    def pad(  # noqa: PLR0913 - the known signature
        self,
        encoded_inputs: Any,
        padding: Any = True,  # noqa: FBT002
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,  # noqa: FBT001
        return_tensors: str | None = None,
        verbose: bool = True,  # noqa: FBT001, FBT002
    ) -> BatchEncoding:
        """Pad what was tokenized before: one example, a batch, or a list of examples.

        Args:
            encoded_inputs: `{"input_ids": …}` of one example or of a batch, or a list of such.
            padding: As in a call of the tokenizer, like the arguments that follow.
            max_length: The length for padding="max_length".
            pad_to_multiple_of: Rounds the length up.
            padding_side: "left" or "right".
            return_attention_mask: Whether to return the mask; by default if the model takes it.
            return_tensors: "pt", "np" or None.
            verbose: Whether to note that there is no length to pad to.

        Raises:
            ArgumentError: there are no ids, or no padding token.
        """
        examples = encoded_inputs
        if isinstance(examples, list | tuple) and examples:
            examples = {key: [one[key] for one in examples] for key in examples[0].keys()}  # noqa: SIM118
        main = self.model_input_names[0]
        if not isinstance(examples, Mapping) or main not in examples:
            raise ArgumentError(f"pad needs examples with `{main}`, as the tokenizer returns them.")
        return_tensors = return_tensors or _kind_of(examples[main])
        columns = {key: as_lists(value) for key, value in examples.items()}
        call = Call(
            padding=padding,
            max_length=max_length,
            pad_to_multiple_of=pad_to_multiple_of,
            padding_side=padding_side,
            truncation=False,
            verbose=verbose,
        )
        fit = call.fit(self)[1]
        single = not columns[main] or not isinstance(columns[main][0], list)
        if single:
            columns = {key: [value] for key, value in columns.items()}
        wants_mask = return_attention_mask
        if wants_mask or (wants_mask is None and "attention_mask" in self.model_input_names):
            columns.setdefault("attention_mask", [[1] * len(row) for row in columns[main]])
        if fit is not None:
            self._pad_columns(columns, main, fit)
        if single:
            columns = {key: value[0] for key, value in columns.items()}
        return BatchEncoding(columns, tensor_type=return_tensors)

    def _pad_columns(self, columns: dict[str, Any], main: str, fit: Fit) -> None:
        fillers = {main: self._pad_id(), "attention_mask": 0, "special_tokens_mask": 1}
        fillers["token_type_ids"] = self.pad_token_type_id
        lengths = [len(row) for row in columns[main]]
        length = padded_length(lengths, fit.length, fit.multiple)
        for name, filler in fillers.items():
            for index, row in enumerate(columns.get(name, ())):
                missing = [filler] * (length - lengths[index])
                columns[name][index] = missing + row if fit.side == "left" else row + missing

    def num_special_tokens_to_add(self, pair: bool = False) -> int:  # noqa: FBT001, FBT002
        """Return how many special tokens stand around a text, or around a pair."""
        return self.backend_tokenizer.num_special_tokens_to_add(pair)

    @property
    def max_len_single_sentence(self) -> int:
        """Return how many tokens of one text the model takes."""
        return self.model_max_length - self.num_special_tokens_to_add()

    @property
    def max_len_sentences_pair(self) -> int:
        """Return how many tokens of a pair of texts the model takes."""
        return self.model_max_length - self.num_special_tokens_to_add(pair=True)

    def prepare_for_model(
        self, ids: Sequence[int], pair_ids: Sequence[int] | None = None, **options: Any
    ) -> BatchEncoding:
        """Put special tokens around ids, truncate and pad, as a call does with texts.

        Args:
            ids: Of a text.
            pair_ids: Of a second text.
            options: As in a call of the tokenizer.
        """
        refuse_unknown("prepare_for_model", options, Call.__dataclass_fields__)
        call = Call(**options)
        truncation, fit = call.fit(self)
        row = self._assembled(ids, pair_ids, special=call.add_special_tokens)
        return self._output([rows_of(row, truncation)], call, fit, batched=False)

    def _assembled(
        self, ids: Sequence[int], pair_ids: Sequence[int] | None, *, special: bool = True
    ) -> Tokens:
        template = read_template(self.backend_tokenizer, pair=pair_ids is not None)
        if not special:
            template = [piece for piece in template if piece.sequence is not None]
        return cast("Tokens", assemble(template, ids, pair_ids or ()))

    def build_inputs_with_special_tokens(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return the ids of a text or pair with special tokens around them."""
        return self._assembled(token_ids_0, token_ids_1).ids

    def create_token_type_ids_from_sequences(
        self, token_ids_0: Sequence[int], token_ids_1: Sequence[int] | None = None
    ) -> list[int]:
        """Return the types of a text's or pair's tokens, special tokens included."""
        return Encoding(self._assembled(token_ids_0, token_ids_1)).type_ids

    def get_special_tokens_mask(
        self,
        token_ids_0: Sequence[int],
        token_ids_1: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,  # noqa: FBT001, FBT002
    ) -> list[int]:
        """Return 1 for special tokens and 0 for others.

        Args:
            token_ids_0: The ids of a text.
            token_ids_1: The ids of a second text.
            already_has_special_tokens: Whether the ids hold the special tokens; else the mask is
                for what `build_inputs_with_special_tokens` returns.

        Raises:
            ArgumentError: two texts, though the ids already hold special tokens.
        """
        if not already_has_special_tokens:
            return Encoding(self._assembled(token_ids_0, token_ids_1)).special_tokens_mask
        if token_ids_1 is not None:
            raise ArgumentError("Ids that already hold special tokens are one list, not two.")
        special = set(self.all_special_ids)
        return [int(int(index) in special) for index in token_ids_0]

    def truncate_sequences(
        self,
        ids: Sequence[int],
        pair_ids: Sequence[int] | None = None,
        num_tokens_to_remove: int = 0,
        truncation_strategy: str = "longest_first",
        stride: int = 0,
    ) -> tuple[list[int], list[int] | None, list[int]]:
        """Remove tokens from one or two lists of ids.

        Returns:
            What is left of each, and what was cut off, with `stride` tokens before it.
        """
        row = self._assembled(ids, pair_ids, special=False)
        limit = max(len(row) - num_tokens_to_remove, 0)
        first = self.family.plain
        cut = Truncation(limit, truncation_strategy, self.truncation_side, gives_first=first)
        kept = rows_of(row, cut)[0]
        places = range(len(row)) if kept.kept is None else kept.kept
        first = [row.ids[i] for i in places if row.sequence_ids[i] == 0]
        second = [row.ids[i] for i in places if row.sequence_ids[i] == 1]
        whole, left = (ids, first) if len(first) < len(ids) else (pair_ids or (), second)
        lost = len(whole) - len(left)
        begin = max(len(left) - stride, 0)
        gone = whole[: lost + stride] if self.truncation_side == "left" else whole[begin:]
        return first, None if pair_ids is None else second, list(gone) if lost else []

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Return the text that tokens stand for."""
        decoder = self.backend_tokenizer.decoder
        return decoder.decode(list(tokens)) if decoder is not None else " ".join(tokens)

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,  # noqa: FBT001, FBT002
        clean_up_tokenization_spaces: bool | None = None,  # noqa: FBT001
        **options: Any,
    ) -> Any:
        """Return the text of ids, or the texts of several lists of ids.

        Args:
            token_ids: One id, a list, a tensor, or lists of ids.
            skip_special_tokens: Whether to leave special tokens out.
            clean_up_tokenization_spaces: Whether to remove the spaces before punctuation that
                splitting at punctuation leaves; by default what the checkpoint says.
            options: `spaces_between_special_tokens=False`, which is how it always is here.
        """
        refuse_unknown("decode", options, ["spaces_between_special_tokens"])
        ids = as_lists(token_ids["input_ids"] if isinstance(token_ids, Mapping) else token_ids)
        if isinstance(ids, list) and ids and isinstance(ids[0], list):
            return [
                self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in ids
            ]
        ids = [ids] if isinstance(ids, int) else ids
        try:
            text = self.backend_tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        except (TypeError, OverflowError) as error:
            raise ArgumentError(
                f"{ids!r:.60} are no ids ({error}): ids are not negative."
            ) from None
        if self.family.word_end:
            text = text.replace(self.family.word_end, " ").strip()
        cleans = self._cleans(clean_up_tokenization_spaces)
        return self.clean_up_tokenization(text) if cleans else text

    def _cleans(self, asked: bool | None) -> bool:  # noqa: FBT001
        if asked is not None:
            return asked
        # HF: what the checkpoint says has no effect on merged pieces, whose spaces are the text's.
        merged = type(self.backend_tokenizer.model).__name__ == "BPE"
        return self.clean_up_tokenization_spaces and not merged

    def batch_decode(
        self,
        sequences: Any,
        skip_special_tokens: bool = False,  # noqa: FBT001, FBT002
        clean_up_tokenization_spaces: bool | None = None,  # noqa: FBT001
        **options: Any,
    ) -> list[str]:
        """Return the texts of several lists of ids; see `decode`."""
        rows = as_lists(sequences["input_ids"] if isinstance(sequences, Mapping) else sequences)
        if not rows:
            return []
        texts = self.decode(rows, skip_special_tokens, clean_up_tokenization_spaces, **options)
        return [texts] if isinstance(texts, str) else texts

    @staticmethod
    def clean_up_tokenization(text: str) -> str:
        """Remove the spaces before punctuation and contractions that splitting leaves."""
        for mark in _CLEANUP:
            text = text.replace(mark, mark.strip())
        return text


def _kind_of(value: Any) -> str | None:
    """Return "pt" or "np" for (lists of) tensors or arrays, else None."""
    first = value[0] if isinstance(value, list | tuple) and len(value) else value
    module = type(first).__module__.split(".")[0]
    return {"torch": "pt", "numpy": "np"}.get(module)
