"""Little stories from a grammar."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tokenizers import Tokenizer

from training.grammar import Grammar, tidy
from training.loop import Item
from training.vocabulary import END

HERE = Path(__file__).parent
LONGEST = 256


class Stories:
    """An endless source of stories."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.grammar = Grammar().read(HERE / "en.txt")

    def story(self) -> str:
        """Return a new story."""
        return tidy(self.grammar.expand("story", self.random))

    def item(self, tokenizer: Tokenizer) -> Item:
        """Return the next story as tokens, with the mark of its end."""
        ids = tokenizer.encode(self.story() + END).ids[:LONGEST]
        return {"input_ids": ids, "labels": ids}
