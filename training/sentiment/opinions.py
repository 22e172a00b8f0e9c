"""Labelled opinions in English and Chinese: a grammar each, and sentences written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from tokenizers import Tokenizer

from training.grammar import Grammar, tidy
from training.loop import Item
from training.question_answering.inventions import FOREIGN, GIVEN, PLACE_ZH, word

HERE = Path(__file__).parent
LABELS = ["NEGATIVE", "POSITIVE"]
LONGEST = 96
BY_HAND = 0.08  # share of the sentences written by hand among the training examples


@dataclass(frozen=True)
class Opinion:
    """A text, its label (an index into LABELS), and its language."""

    text: str
    label: int
    language: str


def read_sentences(path: Path, language: str) -> list[Opinion]:
    """Read lines of `positive<TAB>text` or `negative<TAB>text`."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [Opinion(text, LABELS.index(label.upper()), language) for label, text in rows]


def strange_chinese(random: Random) -> str:
    """Return two or three characters that mean nothing together."""
    letters = random.choice([GIVEN, PLACE_ZH, FOREIGN])
    return "".join(random.choice(letters) for _ in range(random.randint(2, 3)))


def rules(language: str) -> list[Path]:
    """Return the files of a language's grammar."""
    return [
        HERE / name
        for name in (f"{language}.txt", f"words.{language}.txt", f"events.{language}.txt")
    ]


class Opinions:
    """An endless source of labelled opinions."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        english = {
            "strange": lambda random: word(random, random.randint(1, 2)).lower(),
            "name": lambda random: word(random, random.randint(1, 2)),
        }
        self.grammars = {
            "en": Grammar(english).read(*rules("en")),
            "zh": Grammar({"strange": strange_chinese}).read(*rules("zh")),
        }
        self.by_hand = [
            opinion
            for language in self.grammars
            for opinion in read_sentences(HERE / f"sentences.{language}.tsv", language)
        ]

    def opinion(self) -> Opinion:
        """Return a new opinion from the grammar."""
        language = "en" if self.random.random() < 0.55 else "zh"
        label = self.random.randrange(2)
        start = LABELS[label].lower()
        text = self.grammars[language].expand(start, self.random)
        return Opinion(tidy(text) if language == "en" else text, label, language)

    def training(self) -> Opinion:
        """Return an opinion from the grammar or, sometimes, one written by hand."""
        if self.random.random() < BY_HAND:
            return self.random.choice(self.by_hand)
        return self.opinion()

    def item(self, tokenizer: Tokenizer) -> Item:
        """Return the next training example as tokens, some words split finer than usual."""
        opinion = self.training()
        ids = scattered(tokenizer, opinion.text, self.random)
        return {"input_ids": ids[:LONGEST], "labels": opinion.label}


def scattered(tokenizer: Tokenizer, text: str, random: Random, chance: float = 0.06) -> list[int]:
    """Tokenize, and break a known word into smaller pieces now and then.

    An unknown word reaches the model in pieces; so pieces must learn what words mean.
    """
    encoding = tokenizer.encode(text)
    ids: list[int] = []
    for piece, token in zip(encoding.ids, encoding.tokens, strict=True):
        whole = len(token) > 3 and token.isascii() and token.isalpha()
        ids += split(tokenizer, token, random) if whole and random.random() < chance else [piece]
    return ids


def split(tokenizer: Tokenizer, token: str, random: Random) -> list[int]:
    """Cut a word at a random place and go on with the longest pieces."""
    cut = random.randint(2, len(token) - 1)
    pieces, start = [], 0
    while start < len(token):
        end = cut if start == 0 else len(token)
        mark = "##" if start else ""
        while end > start + 1 and tokenizer.token_to_id(mark + token[start:end]) is None:
            end -= 1
        pieces.append(tokenizer.token_to_id(mark + token[start:end]))
        start = end
    return [1 if piece is None else piece for piece in pieces]
