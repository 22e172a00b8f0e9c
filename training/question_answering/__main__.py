"""Train `starter/question-answering`: python -m training.question_answering."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import torch

from armature import pipeline
from training import checkpoint
from training.loop import Plan, batches, train
from training.question_answering.data import LONGEST, Source, answer, read_pairs
from training.vocabulary import save_bert, wordpiece

HERE = Path(__file__).parent
PLAN = Plan(steps=3600, tokens=5000, rate=1.5e-3, warmup=300)


def exact(found: str, wanted: str) -> bool:
    """Compare answers without outer punctuation and articles."""
    return _bare(found) == _bare(wanted)


def _bare(text: str) -> str:
    text = text.lower().strip(" .,!?;:\"'。，！？；：“”《》")
    for article in ("the ", "a ", "an "):
        text = text.removeprefix(article)
    return text


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=checkpoint.STARTERS / "question-answering"
)
@click.option("--steps", default=PLAN.steps, help="Fewer for a quick look.")
def main(out: Path, steps: int) -> None:
    """Train, measure, and write the checkpoint."""
    torch.set_num_threads(1)
    tokenizer = wordpiece(Source(1, ramp=0).texts(25_000), 4400, lowercase=False)
    config = checkpoint.bert_config(
        "BertForQuestionAnswering",
        tokenizer.get_vocab_size(),
        hidden_size=128,
        intermediate_size=256,
        max_position_embeddings=LONGEST,
        num_attention_heads=4,
        num_hidden_layers=4,
    )
    model = checkpoint.fresh(config, seed=1)
    held = Source(99, ramp=0)
    examples = [held.fitting(tokenizer)[0] for _ in range(1000)]

    def score(count: int = 200) -> str:
        model.eval()
        right = {"en": [], "zh": []}
        for example in examples[:count]:
            found = answer(model, tokenizer, example.question, example.context)
            right[example.language].append(found == example.answer)
        return ", ".join(f"{key} {sum(hits) / len(hits):.1%}" for key, hits in right.items())

    source = Source(5)
    plan = Plan(steps, PLAN.tokens, PLAN.rate, PLAN.warmup)
    minutes = train(model, batches(lambda: source.fitting(tokenizer)[1], plan.tokens), plan, score)
    checkpoint.save(model, out)
    save_bert(tokenizer, out, lowercase=False, longest=LONGEST)
    scores = [("1,000 held-out generated passages, exact answer", score(1000))]
    scores += [by_hand(out, language) for language in ("en", "zh")]
    training = (
        f"`python -m training.question_answering`, {source.made:,} generated examples, "
        f"{minutes:.0f} minutes of one CPU core."
    )
    checkpoint.write_card(HERE / "card.md", out, model, scores, training)


def by_hand(folder: Path, language: str) -> tuple[str, str]:
    """Ask the questions written by hand, through the pipeline that users call."""
    ask: Any = pipeline("question-answering", model=str(folder))
    pairs = read_pairs(HERE / f"out_of_domain.{language}.tsv")
    hits = [exact(ask(question=q, context=c)["answer"], a) for c, q, a in pairs]
    what = f"{len(pairs)} hand-written out-of-domain questions ({language}), exact answer"
    return what, f"{sum(hits)} right, {sum(hits) / len(hits):.0%}"


if __name__ == "__main__":
    main()
