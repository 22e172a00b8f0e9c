"""Record what the reference library's feature extractors make of sounds.

    python tools/make_golden_hearing.py        writes tests/golden/hearing/expected.npz

Needs the extra `reference`. The sounds are made anew from numbers by whoever compares.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "tests" / "golden" / "hearing"

# name → the class, its settings, the lengths of the sounds, the options of the call
CASES = {
    "wav2vec2": ("Wav2Vec2FeatureExtractor", {}, [700], {}),
    "wav2vec2_padded": (
        "Wav2Vec2FeatureExtractor",
        {"return_attention_mask": True, "padding_value": 0.5},
        [300, 500],
        {"padding": True, "pad_to_multiple_of": 64},
    ),
    "wav2vec2_cut": (
        "Wav2Vec2FeatureExtractor",
        {"do_normalize": False, "padding_side": "left"},
        [300, 700],
        {"padding": "max_length", "max_length": 400, "truncation": True},
    ),
    "speech_to_text": (
        "Speech2TextFeatureExtractor",
        {"num_mel_bins": 20, "feature_size": 20},
        [6000, 9000],
        {"padding": True},
    ),
    "speech_to_text_raw": (
        "Speech2TextFeatureExtractor",
        {"num_mel_bins": 24, "feature_size": 24, "do_ceptral_normalize": False},
        [4000],
        {},
    ),
    "whisper": (
        "WhisperFeatureExtractor",
        {"feature_size": 20, "chunk_length": 1},
        [9000, 20000],
        {"return_attention_mask": True},
    ),
    "whisper_long": (
        "WhisperFeatureExtractor",
        {"feature_size": 16, "chunk_length": 1},
        [24000],
        {"truncation": False, "padding": "longest", "do_normalize": True},
    ),
    "whisper_turbo": (
        "WhisperFeatureExtractor",
        {"feature_size": 128, "chunk_length": 1},
        [3000],
        {"max_length": 4000},
    ),
    "ast": (
        "ASTFeatureExtractor",
        {"num_mel_bins": 24, "max_length": 40},
        [5000, 12000],
        {},
    ),
}


def sound(length):
    """Return a sound of three tones that swells, float32."""
    time = np.arange(length) / 16000
    tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 917.3, 3301))
    return (tones * np.linspace(0.05, 0.3, length)).astype(np.float32)


def main():
    import transformers

    arrays, said = {}, {}
    for name, (kind, settings, lengths, options) in CASES.items():
        extractor = getattr(transformers, kind)(**settings)
        found = extractor([sound(n) for n in lengths], sampling_rate=16000, **options)
        if "do_normalize" in options:
            found.pop("attention_mask")  # it counts samples there, and nobody asked for it
        arrays |= {f"{name}/{key}": np.asarray(value) for key, value in found.items()}
        said[name] = {"kind": kind, "settings": settings, "lengths": lengths, "options": options}
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(FOLDER / "expected.npz", **arrays)
    (FOLDER / "cases.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
