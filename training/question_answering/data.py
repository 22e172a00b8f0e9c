"""Questions with passages as tokens and spans, and how an answer is read from the two scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer

from training.loop import Item, collate
from training.question_answering.passages import Example, Passages

LONGEST = 192


def encode(tokenizer: Tokenizer, example: Example) -> Item | None:
    """Return ids, types and the span in tokens, or None where the answer is cut off."""
    encoding = tokenizer.encode(example.question, example.context)
    start = encoding.char_to_token(example.start, 1)
    end = encoding.char_to_token(example.end - 1, 1)
    if start is None or end is None or len(encoding.ids) > LONGEST:
        return None
    return {
        "input_ids": encoding.ids,
        "token_type_ids": encoding.type_ids,
        "start_positions": start,
        "end_positions": end,
    }


def read_pairs(path: Path) -> list[tuple[str, str, str]]:
    """Read lines of `context<TAB>question<TAB>answer`; an empty context repeats the one above."""
    pairs: list[tuple[str, str, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        context, question, wanted = line.split("\t")
        pairs.append((context or pairs[-1][0], question, wanted))
    return pairs


class Source:
    """An endless source of examples in both languages; passages grow over the first examples."""

    def __init__(self, seed: int, largest: int = 7, ramp: int = 250_000) -> None:
        self.random = Random(seed)
        self.passages = [Passages("en"), Passages("zh")]
        self.largest, self.ramp, self.made = largest, ramp, 0

    def example(self) -> Example:
        """Return a new example."""
        self.made += 1
        grown = min(1.0, self.made / self.ramp) if self.ramp else 1.0
        size = max(1, round(self.random.random() * (2 + (self.largest - 2) * grown)))
        passages = self.random.choice(self.passages)
        passages.ornament = grown
        return passages.example(self.random, size)

    def texts(self, count: int) -> Iterator[str]:
        """Yield questions and passages for the vocabulary."""
        for _ in range(count):
            example = self.example()
            yield example.question
            yield example.context

    def fitting(self, tokenizer: Tokenizer) -> tuple[Example, Item]:
        """Return the next example that is not too long, as text and as tokens."""
        while True:
            example = self.example()
            item = encode(tokenizer, example)
            if item is not None:
                return example, item


@torch.no_grad()
def answer(
    model: torch.nn.Module, tokenizer: Tokenizer, question: str, context: str, longest: int = 24
) -> str:
    """Return the span of at most `longest` tokens with the highest score."""
    encoding = tokenizer.encode(question, context)
    row = collate([{"input_ids": encoding.ids, "token_type_ids": encoding.type_ids}])
    output = model(**row)
    inside = torch.tensor(
        [kind == 1 and ids != 3 for kind, ids in zip(encoding.type_ids, encoding.ids, strict=True)]
    )
    start = output.start_logits[0].masked_fill(~inside, -torch.inf)
    end = output.end_logits[0].masked_fill(~inside, -torch.inf)
    scores = (start[:, None] + end[None, :]).triu().tril(longest - 1)
    scores = scores.masked_fill(torch.ones_like(scores).triu().tril(longest - 1) == 0, -torch.inf)
    first, last = divmod(int(scores.argmax()), len(encoding.ids))
    return context[encoding.offsets[first][0] : encoding.offsets[last][1]]
