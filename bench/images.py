"""Image classification: photos through the pipeline, and pixels through the model; ViT-base shape.

    python -m bench.images [--rounds 5] [--count 32]

Photos are drawn, 640 × 480; both libraries get the same checkpoint and give the same scores.
"""

from __future__ import annotations

import argparse

from bench.checkpoints import checkpoint
from bench.rounds import Contestant, answer, interleaved, median, report, timed

SIZES = (1, 16)


def photos(count):
    """Return photos of soft colours and hard edges."""
    import numpy
    from PIL import Image, ImageDraw

    dice = numpy.random.default_rng(0)
    found = []
    for _ in range(count):
        small = Image.fromarray(dice.integers(0, 255, (12, 16, 3), dtype=numpy.uint8))
        photo = small.resize((640, 480), Image.Resampling.BICUBIC)
        pen = ImageDraw.Draw(photo)
        for _ in range(10):
            x, y = (int(value) for value in dice.integers(0, 400, 2))
            pen.ellipse((x, y, x + 80, y + 60), fill=tuple(map(int, dice.integers(0, 255, 3))))
        found.append(photo)
    return found


def _armature(folder):
    from armature import AutoModelForImageClassification, pipeline

    pipe = pipeline("image-classification", model=str(folder))
    return pipe, AutoModelForImageClassification.from_pretrained(folder)


def _reference(folder):
    from transformers import AutoModelForImageClassification, pipeline

    pipe = pipeline("image-classification", model=str(folder), device="cpu")
    return pipe, AutoModelForImageClassification.from_pretrained(folder)


CONTESTANTS = {"armature": _armature, "reference": _reference}


def contest(name, count):
    """Be one contestant: warm up, then answer rounds."""
    import torch

    pipe, model = CONTESTANTS[name](checkpoint("vit-base"))
    pictures = photos(count)
    pixels = torch.randn(count, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    pipe(pictures[:2])

    @torch.no_grad()
    def forward(size):
        return [model(pixel_values=part).logits for part in pixels.split(size)]

    def once():
        found = {}
        for size in SIZES:
            seconds, answers = timed(lambda size=size: pipe(pictures, batch_size=size))
            found[f"photos, {size} at a time"] = seconds
            found[f"pixels, {size} at a time"], logits = timed(lambda size=size: forward(size))
        found["scores"] = [one[0]["score"] for one in answers]
        found["logits"] = torch.cat(logits)[:, :4].flatten().tolist()
        return found

    answer(once)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--contest", choices=CONTESTANTS)
    given = parser.parse_args()
    if given.contest:
        return contest(given.contest, given.count)
    checkpoint("vit-base")
    players = {
        name: Contestant("bench.images", "--contest", name, "--count", str(given.count))
        for name in CONTESTANTS
    }
    rounds = interleaved(players, given.rounds)
    ours, theirs = rounds["armature"], rounds["reference"]
    gap = max(
        abs(a - b)
        for key in ("scores", "logits")
        for a, b in zip(ours[0][key], theirs[0][key], strict=True)
    )
    rows = []
    for case in (key for key in ours[0] if "at a time" in key):
        seconds = [median([one[case] for one in found]) for found in (ours, theirs)]
        rows.append({
            "": case, "armature images/s": given.count / seconds[0],
            "reference images/s": given.count / seconds[1],
            "armature is": f"{seconds[1] / seconds[0]:.2f} ×",
        })  # fmt: skip
    title = f"{given.count} images, ViT-base shape, float32; largest difference {gap:.1e}"
    report("images", title, rows, rounds=given.rounds)
    return None


if __name__ == "__main__":
    main()
