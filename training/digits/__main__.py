"""Train `starter/digits`: python -m training.digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import torch

from armature import pipeline
from training import checkpoint
from training.digits.draw import SIDE, Digits, picture, read
from training.loop import Plan, train

HERE = Path(__file__).parent
BATCH = 64
PLAN = Plan(steps=4000, tokens=0, rate=1.5e-3, decay=0.05)
NAMES = [str(digit) for digit in range(10)]
CONFIG: dict[str, Any] = {
    "architectures": ["ViTForImageClassification"],
    "attention_probs_dropout_prob": 0.0,
    "dtype": "float32",
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "hidden_size": 64,
    "id2label": dict(enumerate(NAMES)),
    "image_size": SIDE,
    "initializer_range": 0.02,
    "intermediate_size": 192,
    "label2id": {name: place for place, name in enumerate(NAMES)},
    "layer_norm_eps": 1e-6,
    "model_type": "vit",
    "num_attention_heads": 4,
    "num_channels": 3,
    "num_hidden_layers": 5,
    "patch_size": 4,
    "qkv_bias": True,
}
PROCESSOR = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "ViTImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "resample": 2,
    "rescale_factor": 1 / 255,
    "size": {"height": SIDE, "width": SIDE},
}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=checkpoint.STARTERS / "digits")
@click.option("--steps", default=PLAN.steps, help="Fewer for a quick look.")
def main(out: Path, steps: int) -> None:
    """Train, measure, and write the checkpoint."""
    torch.set_num_threads(1)
    model = checkpoint.fresh(CONFIG, seed=1)
    held = Digits(99).batch(1000)

    @torch.no_grad()
    def score() -> str:
        model.eval()
        right = model(held["pixel_values"]).logits.argmax(-1) == held["labels"]
        return f"{float(right.float().mean()):.1%}"

    plan = Plan(steps, PLAN.tokens, PLAN.rate, decay=PLAN.decay)
    minutes = train(model, Digits(5).batches(BATCH), plan, score)
    checkpoint.save(model, out)
    text = json.dumps(PROCESSOR, indent=2) + "\n"
    (out / "preprocessor_config.json").write_text(text, encoding="utf-8")
    scores = [("1,000 held-out drawn digits", score()), by_hand(out)]
    training = f"`python -m training.digits`, {minutes:.0f} minutes of one CPU core."
    checkpoint.write_card(HERE / "card.md", out, model, scores, training)


def by_hand(folder: Path) -> tuple[str, str]:
    """Read digits that were written in other ways, dark on light, larger than it knows them."""
    classify: Any = pipeline("image-classification", model=str(folder))
    digits = read("out_of_domain.txt")
    right = 0
    for digit, strokes in digits:
        drawn = picture(strokes, pen=0.09).resize((90, 90)).point(lambda value: 255 - value)
        right += classify(drawn, top_k=1)[0]["label"] == str(digit)
    return f"{len(digits)} hand-written out-of-domain digits", f"{right} of {len(digits)}"


if __name__ == "__main__":
    main()
