"""Record what the reference library's feature extractors make of sounds.

    python tools/make_golden_hearing.py        writes tests/golden/hearing

Needs the extra `reference`. The sounds are made anew from numbers by whoever compares. Beside the
features these are results of pipelines, with the models of tests/golden/sounds, and texts joined
from windows.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
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


# task → the model of tests/golden/sounds, the sound's length, the options of the call
PIPELINES = [
    ("automatic-speech-recognition", "wav2vec2-letters", 4000, {}),
    ("automatic-speech-recognition", "wav2vec2-letters", 1500, {"return_timestamps": "char"}),
    (
        "automatic-speech-recognition",
        "wav2vec2-letters",
        6000,
        {"chunk_length_s": 0.1, "stride_length_s": [0.02, 0.01], "return_timestamps": "word"},
    ),
    ("automatic-speech-recognition", "wav2vec2-letters", 6000, {"chunk_length_s": 0.12}),
    ("audio-classification", "hubert-labels", 4000, {"top_k": None}),
    ("audio-classification", "hubert-labels", 3000, {"function_to_apply": "sigmoid", "top_k": 2}),
]
READS = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000}


def checkpoint(folder, name):
    """Fill a folder with a model of sounds and what reads for it."""
    shutil.copytree(FOLDER.parent / "sounds" / name, folder, dirs_exist_ok=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(READS))
    tokens = ["<pad>", "a", "b", "|", "c", "d", "<unk>", "<s>", "</s>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "Wav2Vec2CTCTokenizer"}')
    return folder


def results():
    """Return what pipelines make of sounds."""
    import transformers

    found = []
    for task, name, length, options in PIPELINES:
        with tempfile.TemporaryDirectory() as folder:
            pipe = transformers.pipeline(task, model=str(checkpoint(Path(folder), name)))
            result = pipe(noise(length), **options)
        found.append([task, name, length, options, result])
    return found


def windows(rng):
    """Return random windows of a transcript: tokens, their times, and the window's stride."""
    count, strided, found, said = rng.randint(1, 4), rng.random() < 0.6, [], []
    for place in range(count):
        tokens = [501, rng.choice((502, 503, 504)), 508] if rng.random() < 0.7 else []
        time = 513
        for _ in range(rng.randint(0, 3)):
            time = min(543, time + rng.randint(0, 8))
            again = said[-rng.randint(1, 4) :] if rng.random() < 0.5 else []
            new = [
                rng.choice((rng.randrange(300, 500), 0, 11, 13)) for _ in range(rng.randint(0, 5))
            ]
            said = (said + new)[-8:]
            tokens += [time, *again, *new]
            time = min(543, time + rng.randint(0, 8)) if rng.random() < 0.8 else 515
            tokens += [time] if rng.random() < 0.9 else []
        times = [round(0.02 * (i + 1), 2) for i in range(len(tokens))]
        edges = (0.1 * (place > 0), 0.1 * (place < count - 1))
        found.append([tokens, times, (0.6, *edges) if strided else None])
    return found


def transcripts():
    """Return windows of transcripts, and what they are joined to."""
    import torch
    from transformers import WhisperTokenizer
    from transformers.models.whisper.tokenization_whisper import _decode_asr

    tokenizer = WhisperTokenizer.from_pretrained(FOLDER.parent / "tokenizers" / "whisper")
    rng, found = random.Random(5), []
    while len(found) < 40:
        parts, times = windows(rng), rng.choice((False, True, "word"))
        languages = rng.random() < 0.4
        outputs = [
            {"tokens": torch.tensor([tokens]), "token_timestamps": torch.tensor([moments]).double()}
            | ({"stride": stride} if stride else {})
            for tokens, moments, stride in parts
        ]
        how = {"return_timestamps": times, "return_language": languages, "time_precision": 0.02}
        try:
            text, more = _decode_asr(tokenizer, outputs, **how)
        except (IndexError, ValueError):
            continue
        found.append([parts, times, languages, {"text": text, **more}])
    return found


def noise(length):
    """Return a sound with a hiss, float32."""
    hiss = np.random.default_rng(0).standard_normal(length) * np.linspace(0.5, 0, length)
    return (sound(length) + hiss).astype(np.float32)


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
    for name, rows in (("pipelines", results()), ("transcripts", transcripts())):
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (FOLDER / f"{name}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
