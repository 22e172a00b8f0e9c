"""Speech: a sound written down, tokens fixed in number; Whisper-small shape, float32.

    python -m bench.speech [--rounds 3] [--tokens 64]

The sound is noise and tones; weights are random, so the text means nothing, but both libraries
write the same tokens of it.
"""

from __future__ import annotations

import argparse

from bench.checkpoints import checkpoint
from bench.rounds import Contestant, answer, interleaved, median, report, timed

SECONDS = 15


def sound():
    """Return 15 s of tones in noise, 16,000 samples a second."""
    import numpy

    dice = numpy.random.default_rng(0)
    times = numpy.arange(SECONDS * 16_000) / 16_000
    tones = sum(numpy.sin(2 * numpy.pi * pitch * times) for pitch in (220, 331, 1190))
    return (0.1 * tones + 0.02 * dice.standard_normal(len(times))).astype("float32")


def contest(name, tokens):
    """Be one contestant: warm up, then answer rounds."""
    import importlib

    library = importlib.import_module("armature" if name == "armature" else "transformers")
    folder = checkpoint("whisper-small")
    hear = library.AutoFeatureExtractor.from_pretrained(folder)
    model = library.AutoModelForSpeechSeq2Seq.from_pretrained(folder)
    wave = sound()

    def write():
        features = hear(wave, sampling_rate=16_000, return_tensors="pt").input_features
        return model.generate(
            input_features=features, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False
        )

    write()

    def once():
        seconds, ids = timed(write)
        ids = getattr(ids, "sequences", ids)
        return {"seconds": seconds, "ids": ids[0, -tokens:].tolist()}

    answer(once)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--contest", choices=("armature", "reference"))
    given = parser.parse_args()
    if given.contest:
        return contest(given.contest, given.tokens)
    checkpoint("whisper-small")
    names = ("armature", "reference")
    players = {
        name: Contestant("bench.speech", "--contest", name, "--tokens", str(given.tokens))
        for name in names
    }
    rounds = interleaved(players, given.rounds)
    seconds = {name: median([one["seconds"] for one in rounds[name]]) for name in names}
    same = rounds["armature"][0]["ids"] == rounds["reference"][0]["ids"]
    rows = [{
        "": name, "seconds": seconds[name], "times as fast as it sounds": SECONDS / seconds[name],
        "armature is": f"{seconds[name] / seconds['armature']:.2f} ×",
    } for name in names]  # fmt: skip
    title = f"{SECONDS} s of sound, Whisper-small shape, {given.tokens} tokens, float32; "
    report("speech", title + ("the same tokens" if same else "OTHER TOKENS"), rows)
    return None


if __name__ == "__main__":
    main()
