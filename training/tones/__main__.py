"""Train `starter/tones`: python -m training.tones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from armature import pipeline
from training import checkpoint
from training.loop import Plan, train
from training.tones.dial import RATE, WORDS, Line

HERE = Path(__file__).parent
BATCH = 10
PLAN = Plan(steps=2400, tokens=0, rate=1.5e-3, decay=0.01)
CONFIG: dict[str, Any] = {
    "activation_dropout": 0.0,
    "apply_spec_augment": False,
    "architectures": ["Wav2Vec2ForCTC"],
    "attention_dropout": 0.0,
    "conv_bias": True,
    "conv_dim": [64, 64, 64, 64],
    "conv_kernel": [64, 4, 4, 5],
    "conv_stride": [16, 2, 2, 5],
    "ctc_loss_reduction": "mean",
    "ctc_zero_infinity": True,
    "do_stable_layer_norm": True,
    "dtype": "float32",
    "feat_extract_activation": "gelu",
    "feat_extract_norm": "layer",
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.0,
    "hidden_act": "gelu",
    "hidden_dropout": 0.0,
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 128,
    "layer_norm_eps": 1e-5,
    "layerdrop": 0.0,
    "model_type": "wav2vec2",
    "num_attention_heads": 4,
    "num_conv_pos_embedding_groups": 8,
    "num_conv_pos_embeddings": 16,
    "num_feat_extract_layers": 4,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "vocab_size": len(WORDS),
}
FILES: dict[str, dict[str, Any]] = {
    "preprocessor_config.json": {
        "do_normalize": True,
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": True,
        "sampling_rate": RATE,
    },
    "tokenizer_config.json": {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        "unk_token": "<unk>",
        "word_delimiter_token": "|",
    },
    "vocab.json": WORDS,
}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=checkpoint.STARTERS / "tones")
@click.option("--steps", default=PLAN.steps, help="Fewer for a quick look.")
def main(out: Path, steps: int) -> None:
    """Train, measure, and write the checkpoint."""
    torch.set_num_threads(1)
    model = checkpoint.fresh(CONFIG, seed=1)
    held = [Line(99).batch(20) for _ in range(1)]

    @torch.no_grad()
    def score() -> str:
        model.eval()
        loss = [float(model(**batch).loss) for batch in held]
        return f"{sum(loss) / len(loss):.3f}"

    plan = Plan(steps, PLAN.tokens, PLAN.rate, decay=PLAN.decay)
    minutes = train(model, Line(5).batches(BATCH), plan, score)
    checkpoint.save(model, out)
    for name, content in FILES.items():
        (out / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    scores = measured(out)
    training = f"`python -m training.tones`, {minutes:.0f} minutes of one CPU core."
    checkpoint.write_card(HERE / "card.md", out, model, scores, training)


def measured(folder: Path) -> list[tuple[str, str]]:
    """Read numbers on lines as in training, and on others: square waves, echoes, slow hands."""
    hear: Any = pipeline("automatic-speech-recognition", model=str(folder))

    def right(sound: np.ndarray, keys: str) -> bool:
        return hear(sound)["text"].replace(" ", "") == keys

    line = Line(77)
    drawn = [line.number() for _ in range(200)]
    good = sum(right(*one) for one in drawn)
    strange = [(keys, way) for keys in _numbers() for way in (_square, _echo, _slow)]
    kept = sum(right(way(Line(1), keys), keys) for keys, way in strange)
    return [
        ("200 held-out numbers, every key right", f"{good} of {len(drawn)}"),
        (
            "numbers written by hand, dialled as square waves, in an echoing room, or slowly",
            f"{kept} of {len(strange)}",
        ),
    ]


def _numbers() -> list[str]:
    return (HERE / "out_of_domain.txt").read_text(encoding="utf-8").split()


def _square(line: Line, keys: str) -> np.ndarray:
    return (np.sign(line.dialled(keys, 0.12, 0.1)) * 0.3).astype(np.float32)


def _echo(line: Line, keys: str) -> np.ndarray:
    dry = line.dialled(keys, 0.12, 0.1)
    wet = dry.copy()
    for delay, loud in ((0.011, 0.4), (0.023, 0.25), (0.041, 0.15)):
        late = round(delay * RATE)
        wet[late:] += loud * dry[:-late]
    return (wet * 0.3).astype(np.float32)


def _slow(line: Line, keys: str) -> np.ndarray:
    return (line.dialled(keys, 0.4, 0.4) * 0.3).astype(np.float32)


if __name__ == "__main__":
    main()
