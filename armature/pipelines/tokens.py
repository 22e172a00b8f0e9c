"""token-classification: names, places and other entities in a text, with where they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.base import Pipeline
from armature.pipelines.batching import Row
from armature.pipelines.entities import STRATEGIES, Token, grouped, merged, plain
from armature.pipelines.options import ReadingOptions, one_of
from armature.pipelines.reading import Columns, note


@dataclass(frozen=True)
class EntityOptions(ReadingOptions):
    """What token-classification can be told."""

    aggregation_strategy: str = "none"
    """How tokens become entities: see `entities.grouped`; "none": each token by itself."""
    ignore_labels: Sequence[str] = ("O",)
    """Labels that are left out of the result."""
    stride: int | None = None
    """Read a long text in windows that share so many tokens, instead of cutting it off."""
    is_split_into_words: bool = False
    """A text is given as a list of its words."""
    delimiter: str = " "
    """What stands between words that were given as a list."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        super().check()
        one_of("aggregation_strategy", self.aggregation_strategy, STRATEGIES)
        if self.stride is not None and self.aggregation_strategy == "none":
            raise ArgumentError(
                '`stride` needs an `aggregation_strategy` other than "none": what windows share '
                "is joined by entities"
            )
        if self.stride is not None and (type(self.stride) is not int or self.stride < 0):
            raise ArgumentError(f"`stride` should be a number of tokens, but is {self.stride!r}")


class TokenClassificationPipeline(Pipeline):
    """Finds entities: `[{"entity_group": "PER", "score": 0.99, "word": …, "start": …, "end": …}]`.

    Without an aggregation_strategy there is a result for each token, with `entity` and `index`.
    """

    default_task = "token-classification"
    options_type = EntityOptions
    heeds_tokenizer = True

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options by their names of today."""
        named = super().named(given)
        together, whole = named.pop("grouped_entities", None), named.pop("ignore_subwords", None)
        if together is not None:  # the older spelling of aggregation_strategy
            strategy = "none" if not together else "first" if whole else "simple"
            named.setdefault("aggregation_strategy", strategy)
        strategy = named.get("aggregation_strategy")
        if strategy is not None:  # a word, or a member of an enumeration of such words
            named["aggregation_strategy"] = str(getattr(strategy, "value", strategy)).lower()
        if named.get("ignore_labels", ()) is None:
            del named["ignore_labels"]
        return named

    def read(self, inputs: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Find the inputs; the words of one text are a list of one text."""
        found, given = super().read(inputs, given)
        split = given.get("is_split_into_words", self.options.is_split_into_words)
        listed = split and isinstance(found, list | tuple) and len(found) > 0
        if listed and all(isinstance(word, str) for word in found):
            found = [found]
        return found, given

    def prepare(self, items: Sequence[Any], options: EntityOptions) -> list[Row]:
        """Make one row of each text, or with a stride as many as it needs."""
        placed = not self.tokenizer.family.plain
        if not placed and (options.stride or options.aggregation_strategy in STRATEGIES[2:]):
            raise ArgumentError(
                f"{self.task}: this tokenizer rewrites texts, so that its tokens have no places in "
                'them. Leave out stride, and use aggregation_strategy="none" or "simple".'
            )
        wanted: dict[str, Any] = {
            "return_offsets_mapping": placed,
            "return_special_tokens_mask": True,
        }
        if options.is_split_into_words:
            wanted |= {"is_split_into_words": True, "also": ("word_ids",)}
            items = [list(item) for item in items]
        if options.stride is None:
            read = self.reader.read(items, options=options, **wanted)
            numbered = list(enumerate(read))
        else:
            limit = options.max_length or self.reader.limit
            if options.add_special_tokens is not None:
                wanted["add_special_tokens"] = options.add_special_tokens
            read = self.reader.windows(items, limit=limit, stride=options.stride, **wanted)
            numbered = [(columns["item"], columns) for columns in read]
        if options.is_split_into_words:
            for index, columns in numbered:
                _place_words(columns, items[index], options.delimiter)
        return [
            self.row(index, columns, columns) for index, columns in numbered if columns["input_ids"]
        ]

    def compute(self, rows: Sequence[Row], options: EntityOptions) -> list[list[list[float]]]:
        """Return the scores of all labels for each token of each row."""
        found = self.forward(rows)
        chain = getattr(self.model.head, "chain", None)
        logits = found.logits.float()
        shares = logits.softmax(-1) if chain is None else chain.shares(logits, found.paths)
        return [one[: len(row.ids)] for one, row in zip(shares.tolist(), rows, strict=True)]

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: EntityOptions
    ) -> list[dict[str, Any]]:
        """Collect the entities of all windows of a text."""
        text = options.delimiter.join(item) if options.is_split_into_words else item
        labels, ignored = self.model.config.id2label, options.ignore_labels
        found: list[dict[str, Any]] = []
        for row, scores in parts:
            tokens = self._tokens(text, row, scores, options)
            if options.aggregation_strategy == "none":
                entities, name = plain(tokens, labels), "entity"
            else:
                joined = self.tokenizer.convert_tokens_to_string
                entities = grouped(tokens, labels, options.aggregation_strategy, joined)
                name = "entity_group"
            found += [entity for entity in entities if entity[name] not in ignored]
        return merged(found) if len(parts) > 1 else found

    def _tokens(
        self, text: str, row: Row, scores: list[list[float]], options: EntityOptions
    ) -> list[Token]:
        """Put together what is known of each token; special tokens are left out."""
        columns, ids = row.facts, row.ids
        knows_words = self._marks_parts_of_words
        if not knows_words and options.aggregation_strategy in STRATEGIES[2:]:
            note(
                f"{self.task}: this tokenizer does not mark parts of words, so a token goes on "
                "with a word where no space stands before it"
            )
        tokens = []
        for index, word in enumerate(self.tokenizer.convert_ids_to_tokens(ids)):
            if columns["special_tokens_mask"][index]:
                continue
            unknown = ids[index] == self.tokenizer.unk_token_id
            if "offset_mapping" not in columns:
                tokens.append(Token(word, None, None, scores[index], index, continues=False))
                continue
            start, end = columns["offset_mapping"][index]
            if knows_words:
                # HF: a token whose spelling is longer than what it stands for bears a mark.
                continues = len(word) != end - start
            else:
                continues = start > 0 and " " not in text[start - 1 : start + 1]
            word = text[start:end] if unknown else word
            tokens.append(Token(word, start, end, scores[index], index, continues and not unknown))
        return tokens

    @property
    def _marks_parts_of_words(self) -> bool:
        """Whether tokens within a word bear a mark, such as ## before them."""
        model = self.tokenizer.backend_tokenizer.model
        return bool(getattr(model, "continuing_subword_prefix", None))


def _place_words(columns: Columns, words: Sequence[str], delimiter: str) -> None:
    """Make offsets within words offsets within the text of all words."""
    starts, place = [], 0
    for word in words:
        starts.append(place)
        place += len(word) + len(delimiter)
    shifts = [0 if word is None else starts[word] for word in columns["word_ids"]]
    pairs = zip(columns["offset_mapping"], shifts, strict=True)
    columns["offset_mapping"] = [(start + by, end + by) for (start, end), by in pairs]
