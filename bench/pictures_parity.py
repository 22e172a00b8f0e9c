"""The pixels of every kind of image processor beside the reference library's.

    python -m bench.pictures_parity [KIND …] [--count 200]

Each kind sees so many random pictures of all sizes and modes (RGB, grey, with transparency, CMYK,
palette, 16 bit, held upright), opened as its pipelines open them and given as they are; settings
vary, too. What the reference refuses is left out and counted.
"""

from __future__ import annotations

import argparse
import random
import sys
import warnings

import numpy as np
from PIL import Image

from armature.inputs.image.kinds import KINDS
from armature.inputs.image.pictures import photo
from armature.inputs.image.processor import image_processor_class

MODES = ("RGB", "RGB", "RGB", "L", "RGBA", "LA", "CMYK", "P", "I;16", "upright")
MOST = 1e-6


def picture(rng, mode):
    """Return a picture of a random size: noise over a slope."""
    height, width = (rng.choice((rng.randint(20, 60), rng.randint(60, 300))) for _ in range(2))
    noise = np.random.default_rng(rng.randrange(1 << 32))
    if mode == "I;16":
        return Image.fromarray(noise.integers(0, 1 << 16, (height, width), dtype=np.uint16))
    slope = np.linspace(0, 200, height)[:, None, None] + noise.integers(0, 55, (height, width, 4))
    image = Image.fromarray(slope.astype(np.uint8), "RGBA")
    if mode == "upright":
        image = image.convert("RGB")
        image.getexif()[0x0112] = rng.randint(2, 8)
        return image
    return image.convert(mode)


def varied(rng, defaults):
    """Return some settings that differ from a kind's own."""
    size = defaults.get("size") or {}
    choices = {  # setting → how often it is changed, and what to
        "size": (0.7 if size else 0, lambda: other_size(rng, size)),
        "crop_size": (
            0.5 if defaults.get("crop_size") else 0,
            lambda: {"height": rng.randint(16, 90), "width": rng.randint(16, 90)},
        ),
        "resample": (0.3, lambda: rng.choice((0, 1, 2, 3))),
        "do_normalize": (0.2, lambda: False),
        "do_rescale": (0.2, lambda: False),
        "size_divisor": (0.5, lambda: rng.choice((4, 8, 16))),
        "keep_aspect_ratio": (0.5, lambda: True),
        "ensure_multiple_of": (0.5, lambda: rng.choice((8, 14))),
        "rescale_offset": (0.5, lambda: True),
        "include_top": (0.5, lambda: False),
        "apply_ocr": (1, lambda: False),
    }
    return {
        name: make()
        for name, (share, make) in choices.items()
        if name in defaults and rng.random() < share
    }


def other_size(rng, size):
    """Return another size in the same words."""
    side = rng.randint(16, 90)
    if "longest_edge" in size:
        return {"shortest_edge": side, "longest_edge": rng.randint(side + 1, 200)}
    if "shortest_edge" in size:
        return {"shortest_edge": side}
    return {"height": side, "width": rng.randint(16, 90)}


def compare(name, count):
    """Return how many pictures were compared, how many differ, how many the reference refused."""
    import transformers

    ours = image_processor_class(f"{name}ImageProcessor")
    theirs = getattr(transformers, f"{name}ImageProcessorPil")
    rng, same, wrong, refused = random.Random(name), 0, [], 0
    for number in range(count):
        mode = MODES[number % len(MODES)]
        image = picture(rng, mode)
        seen = photo(image) if rng.random() < 0.6 else image
        how = varied(rng, ours.kind.settings)
        try:
            expected = theirs(**how)(seen, return_tensors="np")
        except Exception:
            refused += 1
            continue
        try:
            found = ours(**how)(seen, return_tensors="np")
        except Exception as error:
            wrong.append((mode, image.size, how, repr(error)[:120]))
            continue
        for key in expected:
            a, b = np.asarray(expected[key], float), np.asarray(found[key], float)
            if a.shape != b.shape or np.abs(a - b).max() > MOST * max(1, np.abs(a).max()):
                wrong.append((mode, image.size, how, f"{key} {a.shape} {b.shape}"))
                break
        else:
            same += 1
    return same, wrong, refused


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.pictures_parity")
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    failed = 0
    import transformers

    for name in options.kinds:
        if not hasattr(transformers, f"{name}ImageProcessorPil"):
            print(f"{name:16s} is not known there")
            continue
        same, wrong, refused = compare(name, options.count)
        failed += len(wrong)
        print(f"{name:16s} {same:4d} equal {len(wrong):4d} differing {refused:4d} refused there")
        for one in wrong[:3]:
            print("   ", *one)
    sys.exit(f"{failed} differ" if failed else 0)


if __name__ == "__main__":
    main()
