"""What every kind of feature extractor makes of sounds, beside the reference library's.

    python -m bench.audio_parity [KIND …] [--count 200]

Each kind hears so many random batches of sounds: of many lengths and sampling rates, as arrays,
lists and tensors of several types, with all options of a call and other settings. What the
reference refuses is left out and counted.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import warnings

import numpy as np

from armature.inputs.audio.extractor import feature_extractor_class
from armature.inputs.audio.kinds import KINDS

MOST = 1e-5


def sound(rng, length):
    """Return a sound: tones under noise, some of it silent."""
    noise = np.random.default_rng(rng.randrange(1 << 32))
    time = np.arange(length) / 16000
    tones = sum(np.sin(2 * np.pi * rng.uniform(50, 4000) * time) for _ in range(3)) / 3
    found = rng.choice((0.02, 0.3, 1)) * tones + noise.standard_normal(length) * 0.05
    if rng.random() < 0.2:
        found[: length // 3] = 0
    return found.astype(rng.choice((np.float32, np.float64)))


def settings(rng, known):
    """Return some settings that differ from a kind's own."""
    choices = {  # setting → how often it is changed, and what to
        "sampling_rate": (0.3, lambda: rng.choice((8000, 22050, 48000))),
        "padding_value": (0.2, lambda: rng.choice((0.5, -1.0))),
        "padding_side": (0.2, lambda: "left"),
        "return_attention_mask": (0.3, lambda: True),
        "do_normalize": (0.3, lambda: rng.choice((True, False))),
        "num_mel_bins": (0.6, lambda: rng.choice((20, 24, 40, 64))),
        "max_length": (0.6, lambda: rng.randint(10, 200)),
        "mean": (0.2, lambda: -3.0),
        "std": (0.2, lambda: 2.0),
        "feature_size": (0.6, lambda: rng.choice((80, 128, 20))),
        "chunk_length": (0.8, lambda: rng.choice((1, 2, 5))),
        "hop_length": (0.3, lambda: rng.choice((100, 200))),
        "n_fft": (0.3, lambda: rng.choice((256, 512))),
        "do_ceptral_normalize": (0.2, lambda: False),
        "normalize_means": (0.2, lambda: False),
        "normalize_vars": (0.2, lambda: False),
    }
    if "chunk_length" in known:  # there a mask as a setting counts samples, not frames
        del choices["return_attention_mask"], choices["do_normalize"]
    elif known["feature_size"] in (1, known.get("num_mel_bins")):
        del choices["feature_size"]
    return {
        name: make()
        for name, (share, make) in choices.items()
        if name in known and rng.random() < share
    }


def call(rng, longest):
    """Return options of a call."""
    choices = {
        "padding": (0.6, lambda: rng.choice((True, "longest", "max_length", False))),
        "max_length": (0.5, lambda: rng.randint(longest // 2, 2 * longest)),
        "truncation": (0.4, lambda: rng.choice((True, False))),
        "pad_to_multiple_of": (0.3, lambda: rng.choice((7, 64, 160))),
        "return_attention_mask": (0.4, lambda: rng.choice((True, False))),
        "return_tensors": (0.5, lambda: rng.choice(("np", "pt"))),
    }
    return {name: make() for name, (share, make) in choices.items() if rng.random() < share}


def compare(name, count):
    """Return how many calls were compared, how many differ, how many the reference refused."""
    import transformers

    ours = feature_extractor_class(f"{name}FeatureExtractor")
    theirs = getattr(transformers, f"{name}FeatureExtractor")
    rng, same, wrong, refused = random.Random(name), 0, [], 0
    while same + len(wrong) < count:
        own = settings(rng, ours.kind.settings)
        lengths = [rng.choice((rng.randint(450, 3000), rng.randint(3000, 40000)))] * 3
        lengths = [
            rng.randint(max(450, length // 2), length) for length in lengths[: rng.randint(1, 3)]
        ]
        frames = "num_mel_bins" in ours.kind.settings
        options = call(rng, max(10, max(lengths) // 160) if frames else max(lengths))
        heard = [sound(rng, length) for length in lengths]
        if len(heard) == 1 and rng.random() < 0.7:
            heard = heard[0] if rng.random() < 0.7 else heard[0].tolist()
        rate = own.get("sampling_rate", ours.kind.settings["sampling_rate"])
        try:
            expected = theirs(**own)(heard, sampling_rate=rate, **options)
            if options.get("return_tensors") and not all(map(is_whole, expected.values())):
                raise ValueError("lengths differ")
        except Exception:
            refused += 1
            continue
        try:
            found = ours(**own)(heard, sampling_rate=rate, **options)
        except Exception as error:
            wrong.append((lengths, own, options, repr(error)[:200]))
            continue
        fault = difference(expected, found)
        same, wrong = same + (not fault), wrong + ([(lengths, own, options, fault)] * bool(fault))
    return same, wrong, refused


def is_whole(array):
    """Say whether an array's rows have one length; one of others holds objects."""
    return np.asarray(array).dtype != object


def difference(expected, found):
    """Return what differs, or nothing."""
    if set(expected) != set(found):
        return f"{sorted(expected)} {sorted(found)}"
    for key in expected:
        for number, (a, b) in enumerate(zip(expected[key], found[key], strict=True)):
            a, b = np.asarray(a, float), np.asarray(b, float)
            if a.shape != b.shape:
                return f"{key} {number} {a.shape} {b.shape}"
            apart = np.abs(a - b) / np.maximum(1, np.abs(a))
            if np.nanmax(apart) > MOST:  # there silence becomes NaN
                return f"{key} {number} {apart.max():.1e}"
    return ""


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.audio_parity")
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    failed = 0
    for name in options.kinds or list(KINDS):
        same, wrong, refused = compare(name, options.count)
        failed += len(wrong)
        print(f"{name:16s} {same:4d} equal {len(wrong):4d} differing {refused:4d} refused there")
        for one in wrong[:3]:
            print("   ", *one)
    sys.exit(f"{failed} differ" if failed else 0)


if __name__ == "__main__":
    main()
