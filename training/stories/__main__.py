"""Train `starter/stories`: python -m training.stories."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click
import torch

from armature import pipeline
from training import checkpoint
from training.loop import Plan, batches, collate, cut, train
from training.stories.tell import LONGEST, Stories
from training.vocabulary import END, bytelevel, save_gpt2

HERE = Path(__file__).parent
PLAN = Plan(steps=2000, tokens=3000, rate=2e-3, decay=0.05)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=checkpoint.STARTERS / "stories")
@click.option("--steps", default=PLAN.steps, help="Fewer for a quick look.")
def main(out: Path, steps: int) -> None:
    """Train, measure, and write the checkpoint."""
    torch.set_num_threads(1)
    stories = Stories(1)
    tokenizer = bytelevel((stories.story() for _ in range(4000)), 1200)
    end = tokenizer.token_to_id(END)
    config = {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.0,
        "bos_token_id": end,
        "dtype": "float32",
        "embd_pdrop": 0.0,
        "eos_token_id": end,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-5,
        "model_type": "gpt2",
        "n_ctx": LONGEST,
        "n_embd": 80,
        "n_head": 4,
        "n_layer": 4,
        "n_positions": LONGEST,
        "resid_pdrop": 0.0,
        "vocab_size": tokenizer.get_vocab_size(),
    }
    model = checkpoint.fresh(config, seed=1)
    held = Stories(99)
    items = [held.item(tokenizer) for _ in range(300)]

    @torch.no_grad()
    def score() -> str:
        model.eval()
        loss = [float(model(**batch).loss) for batch in map(collate, cut(items, 4000))]
        return f"{math.exp(sum(loss) / len(loss)):.2f}"

    source = Stories(5)
    plan = Plan(steps, PLAN.tokens, PLAN.rate, decay=PLAN.decay)
    minutes = train(
        model, batches(lambda: source.item(tokenizer), plan.tokens, pool=1024), plan, score
    )
    checkpoint.save(model, out)
    save_gpt2(tokenizer, out, longest=LONGEST)
    scores = [("perplexity per token on 300 held-out generated stories", score())]
    scores.append(by_hand(out))
    training = f"`python -m training.stories`, {minutes:.0f} minutes of one CPU core."
    checkpoint.write_card(HERE / "card.md", out, model, scores, training)


def by_hand(folder: Path) -> tuple[str, str]:
    """Let it go on with beginnings written by hand, and count names that stay in the story."""
    tell: Any = pipeline("text-generation", model=str(folder))
    lines = (HERE / "out_of_domain.en.tsv").read_text(encoding="utf-8").splitlines()
    kept = 0
    for line in lines:
        beginning, name = line.split("\t")
        (story,) = tell(beginning, max_new_tokens=60, do_sample=False, return_full_text=False)
        kept += name in story["generated_text"]
    what = f"{len(lines)} hand-written out-of-domain beginnings: the hero is named again"
    return what, f"{kept} of {len(lines)}"


if __name__ == "__main__":
    main()
