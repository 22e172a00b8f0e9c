"""Train `starter/sentiment`: python -m training.sentiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch

from armature import pipeline
from training import checkpoint
from training.loop import Plan, batches, collate, train
from training.sentiment.opinions import LABELS, LONGEST, Opinion, Opinions, read_sentences
from training.vocabulary import save_bert, wordpiece

HERE = Path(__file__).parent
PLAN = Plan(steps=3500, tokens=4000, rate=2e-3, decay=0.05)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=checkpoint.STARTERS / "sentiment")
@click.option("--steps", default=PLAN.steps, help="Fewer for a quick look.")
def main(out: Path, steps: int) -> None:
    """Train, measure, and write the checkpoint."""
    torch.set_num_threads(1)
    words = Opinions(1)
    tokenizer = wordpiece((words.training().text for _ in range(60_000)), 7000, lowercase=True)
    config = checkpoint.bert_config(
        "BertForSequenceClassification",
        tokenizer.get_vocab_size(),
        hidden_size=64,
        id2label=dict(enumerate(LABELS)),
        intermediate_size=256,
        label2id={label: index for index, label in enumerate(LABELS)},
        max_position_embeddings=LONGEST,
        num_attention_heads=4,
        num_hidden_layers=3,
    )
    model = checkpoint.fresh(config, seed=1)
    held = Opinions(99)
    opinions = [held.opinion() for _ in range(2000)]

    @torch.no_grad()
    def judge(opinion: Opinion) -> bool:
        row = collate([{"input_ids": tokenizer.encode(opinion.text).ids[:LONGEST]}])
        return int(model(**row).logits.argmax()) == opinion.label

    def score(count: int = 400) -> str:
        model.eval()
        right = {"en": [], "zh": []}
        for opinion in opinions[:count]:
            right[opinion.language].append(judge(opinion))
        return ", ".join(f"{key} {sum(hits) / len(hits):.1%}" for key, hits in right.items())

    source = Opinions(5)
    plan = Plan(steps, PLAN.tokens, PLAN.rate, decay=PLAN.decay)
    minutes = train(model, batches(lambda: source.item(tokenizer), plan.tokens), plan, score)
    checkpoint.save(model, out)
    save_bert(tokenizer, out, lowercase=True, longest=LONGEST)
    scores = [("2,000 held-out generated opinions, accuracy", score(2000))]
    scores += [by_hand(out, language) for language in ("en", "zh")]
    training = f"`python -m training.sentiment`, {minutes:.0f} minutes of one CPU core."
    checkpoint.write_card(HERE / "card.md", out, model, scores, training)


def by_hand(folder: Path, language: str) -> tuple[str, str]:
    """Judge the sentences written by hand, through the pipeline that users call."""
    judge: Any = pipeline("text-classification", model=str(folder))
    opinions = read_sentences(HERE / f"out_of_domain.{language}.tsv", language)
    found = [result["label"] for result in judge([opinion.text for opinion in opinions])]
    right = sum(label == LABELS[o.label] for label, o in zip(found, opinions, strict=True))
    what = f"{len(opinions)} hand-written out-of-domain sentences ({language}), accuracy"
    return what, f"{right} right, {right / len(opinions):.0%}"


if __name__ == "__main__":
    main()
