"""fill-mask: the words that fit best where a text has a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.base import Pipeline
from armature.pipelines.batching import Row
from armature.pipelines.features import spread
from armature.pipelines.options import ReadingOptions, positive
from armature.pipelines.reading import note

Fills = tuple[list[list[float]], list[list[int]]]  # for each mask: scores and token ids

# How well-known models spell the mask. Who names no model cannot know the spelling of the chosen.
SPELLINGS = ("[MASK]", "<mask>")


@dataclass(frozen=True)
class MaskOptions(ReadingOptions):
    """What fill-mask can be told."""

    top_k: int = 5
    """How many fills of each mask."""
    targets: str | Sequence[str] | None = None
    """Only these words come into question."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        super().check()
        positive("top_k", self.top_k)


class FillMaskPipeline(Pipeline):
    """Fills masks: `[{"score": 0.9, "token": 3007, "token_str": "capital", "sequence": "…"}]`."""

    default_task = "fill-mask"
    options_type = MaskOptions
    tokens_at_once = 1024  # each token is scored against the whole vocabulary

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options by their names of today."""
        return spread(super().named(given), "tokenizer_kwargs")

    def prepare(self, items: Sequence[str], options: MaskOptions) -> list[Row]:
        """Make one row of each text; its facts are where its masks are, and what may fill them."""
        mask = self.tokenizer.mask_token_id
        if mask is None:
            raise ArgumentError(
                "fill-mask needs a tokenizer with a mask token, which "
                f"{type(self.tokenizer).__name__} has not"
            )
        targets = self._targets(options.targets)
        rows = []
        items = [self._respelt(item) for item in items]
        for index, columns in enumerate(self.reader.read(items, options=options)):
            masks = [column for column, token in enumerate(columns["input_ids"]) if token == mask]
            if not masks:
                raise ArgumentError(
                    f"there is no mask in {items[index]!r:.80} (or only beyond what the model "
                    f"takes): write {self.tokenizer.mask_token} where a word is missing"
                )
            rows.append(self.row(index, columns, (masks, targets)))
        return rows

    def _respelt(self, text: str) -> str:
        """Return a text with this model's own mask where it has only that of others."""
        own = self.tokenizer.mask_token
        if not isinstance(text, str) or own in text:
            return text
        for other in SPELLINGS:
            text = text.replace(other, own)
        return text

    def compute(self, rows: Sequence[Row], options: MaskOptions) -> list[Fills]:
        """Return the best fills of each row's masks."""
        logits = self.forward(rows).logits
        found = []
        for index, row in enumerate(rows):
            masks, targets = row.facts
            scores = logits[index, masks].float().softmax(-1)  # (masks, V)
            if targets is not None:
                scores = scores[:, targets]
            best, tokens = scores.topk(min(options.top_k, scores.shape[-1]))
            ids = tokens.tolist()
            if targets is not None:
                ids = [[targets[token] for token in one] for one in ids]
            found.append((best.tolist(), ids))
        return found

    def finish(
        self, item: str, parts: Sequence[tuple[Row, Any]], options: MaskOptions
    ) -> list[Any]:
        """Write each fill into its text: one list of fills, or one for each of several masks."""
        row, (scores, tokens) = parts[0]
        masks, _ = row.facts
        alone = len(masks) == 1
        filled = []
        for column, best, ids in zip(masks, scores, tokens, strict=True):
            fills = []
            for score, token in zip(best, ids, strict=True):
                text = [*row.ids[:column], token, *row.ids[column + 1 :]]
                # HF: with several masks the special tokens stay, for the other masks are such.
                sequence = self.tokenizer.decode(self._unpadded(text), skip_special_tokens=alone)
                fills.append(
                    {
                        "score": score,
                        "token": token,
                        "token_str": self.tokenizer.decode([token]),
                        "sequence": sequence,
                    }
                )
            filled.append(fills)
        return filled[0] if alone else filled

    def several(self, results: list[Any]) -> Any:
        """Return the results of a list."""
        # HF: a list of one text is answered like the text itself.
        return results[0] if len(results) == 1 else results

    def _unpadded(self, ids: list[int]) -> list[int]:
        return [token for token in ids if token != self.tokenizer.pad_token_id]

    def _targets(self, words: str | Sequence[str] | None) -> list[int] | None:
        """Return the ids of the words that come into question."""
        if words is None:
            return None
        listed = [words] if isinstance(words, str) else list(words)
        vocabulary, found = self.tokenizer.get_vocab(), set()
        for word in listed:
            token = vocabulary.get(word)
            if token is None:
                ids = self.tokenizer(word, add_special_tokens=False)["input_ids"]
                if not ids:
                    raise ArgumentError(f"the target {word!r} is no word of the vocabulary")
                token = ids[0]
                first = self.tokenizer.convert_ids_to_tokens(token)
                note(f"fill-mask: {word!r} is not in the vocabulary; {first!r} stands for it")
            found.add(token)
        if not found:
            raise ArgumentError("`targets` holds no word")
        return sorted(found)
