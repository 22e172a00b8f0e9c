"""Sentences about a small world, with words hidden for the model to find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

from tokenizers import Tokenizer

from training.grammar import Grammar, tidy
from training.loop import Item
from training.question_answering.inventions import word
from training.sentiment.opinions import strange_chinese
from training.stories.tell import Stories

HERE = Path(__file__).parent
LONGEST = 64
MASK, FIRST_WORD = 4, 5  # ids: [MASK], and the first that is no special token


class World:
    """An endless source of sentences in both languages."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        english = {"strange": lambda random: word(random, random.randint(1, 2))}
        self.english = Grammar(english).read(HERE / "en.txt")
        self.chinese = Grammar({"strange": strange_chinese}).read(HERE / "zh.txt")
        self.stories = Stories(seed)
        self.waiting: list[str] = []

    def sentence(self) -> str:
        """Return a new sentence: a fact, English or Chinese, or a piece of a story."""
        pick = self.random.random()
        if pick < 0.6:
            return tidy(self.english.expand("text", self.random))
        if pick < 0.88:
            return self.chinese.expand("text", self.random)
        if not self.waiting:
            self.waiting = self.stories.story().split(". ")
        return self.waiting.pop().rstrip(".") + "."

    def texts(self, count: int) -> Iterator[str]:
        """Yield sentences for the vocabulary."""
        for _ in range(count):
            yield self.sentence()

    def item(self, tokenizer: Tokenizer) -> Item:
        """Return the next sentence with a word or two hidden; labels are -100 where nothing is."""
        ids = tokenizer.encode(self.sentence()).ids[:LONGEST]
        places = [place for place, token in enumerate(ids) if token >= FIRST_WORD]
        count = 1 if self.random.random() < 0.5 else max(1, len(places) // 5)
        labels = [-100] * len(ids)
        for place in self.random.sample(places, min(count, len(places))):
            labels[place] = ids[place]
            pick = self.random.random()
            if pick < 0.85:
                ids[place] = MASK
            elif pick < 0.93:
                ids[place] = self.random.randrange(FIRST_WORD, tokenizer.get_vocab_size())
        return {"input_ids": ids, "labels": labels}


def read_blanks(path: Path) -> list[tuple[str, set[str]]]:
    """Read lines of `sentence with [MASK]<TAB>word or word…`: any of the words is right."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [(text, {word.strip() for word in words.split("/")}) for text, words in rows]
