"""Train `starter/fill-mask`: python -m training.fill_mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch

from armature import pipeline
from training import checkpoint
from training.fill_mask.data import LONGEST, World, read_blanks
from training.loop import Plan, batches, collate, cut, train
from training.vocabulary import save_bert, wordpiece

HERE = Path(__file__).parent
PLAN = Plan(steps=4000, tokens=2500, rate=2e-3, decay=0.02)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=checkpoint.STARTERS / "fill-mask")
@click.option("--steps", default=PLAN.steps, help="Fewer for a quick look.")
def main(out: Path, steps: int) -> None:
    """Train, measure, and write the checkpoint."""
    torch.set_num_threads(1)
    tokenizer = wordpiece(World(1).texts(60_000), 4000, lowercase=True)
    config = checkpoint.bert_config(
        "BertForMaskedLM",
        tokenizer.get_vocab_size(),
        hidden_size=80,
        intermediate_size=240,
        max_position_embeddings=LONGEST,
        num_attention_heads=4,
        num_hidden_layers=3,
        tie_word_embeddings=True,
    )
    model = checkpoint.fresh(config, seed=1)
    held = World(99)
    items = [held.item(tokenizer) for _ in range(2000)]

    @torch.no_grad()
    def score() -> str:
        model.eval()
        right = total = 0
        for batch in map(collate, cut(items, 4000)):
            labels = batch.pop("labels")
            hidden = labels != -100
            guess = model(**batch).logits.argmax(-1)
            right, total = right + int((guess == labels)[hidden].sum()), total + int(hidden.sum())
        return f"{right / total:.1%}"

    world = World(5)
    plan = Plan(steps, PLAN.tokens, PLAN.rate, decay=PLAN.decay)
    minutes = train(model, batches(lambda: world.item(tokenizer), plan.tokens), plan, score)
    checkpoint.save(model, out)
    save_bert(tokenizer, out, lowercase=True, longest=LONGEST)
    scores = [("hidden words of 2,000 held-out generated sentences, first guess", score())]
    scores += [by_hand(out, language) for language in ("en", "zh")]
    training = f"`python -m training.fill_mask`, {minutes:.0f} minutes of one CPU core."
    checkpoint.write_card(HERE / "card.md", out, model, scores, training)


def by_hand(folder: Path, language: str) -> tuple[str, str]:
    """Fill the blanks written by hand, through the pipeline that users call."""
    fill: Any = pipeline("fill-mask", model=str(folder))
    blanks = read_blanks(HERE / f"out_of_domain.{language}.tsv")
    guesses = [[guess["token_str"] for guess in fill(text, top_k=5)] for text, _ in blanks]
    first = sum(guess[0] in words for guess, (_, words) in zip(guesses, blanks, strict=True))
    five = sum(
        not words.isdisjoint(guess) for guess, (_, words) in zip(guesses, blanks, strict=True)
    )
    what = f"{len(blanks)} hand-written out-of-domain blanks ({language}), first guess / among five"
    return what, f"{first / len(blanks):.0%} / {five / len(blanks):.0%}"


if __name__ == "__main__":
    main()
