"""Kinds of feature extractors: what each class does when its file is silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


def _settings(**own: Any) -> dict[str, Any]:
    """Return what all kinds know, and what one knows besides."""
    known = {"feature_size": 1, "sampling_rate": 16000, "padding_value": 0.0}
    return {**known, "padding_side": "right", "return_attention_mask": False, **own}


@dataclass(frozen=True)
class Kind:
    """One class of feature extractors."""

    settings: dict[str, Any]
    """All settings, and what they are unless a file says otherwise."""
    way: str
    """The function of `ways` that makes rows of sounds."""
    makes: tuple[str, ...] = ("input_values", "attention_mask")
    """The names of what the model reads: the rows, and which parts of them are sound."""
    padding: bool | str = False
    """How sounds come to one length unless a call says otherwise."""
    truncation: bool = False
    """Whether long sounds are cut unless a call says otherwise."""


KINDS: dict[str, Kind] = {
    "Wav2Vec2": Kind(_settings(do_normalize=True), way="samples"),
    "Speech2Text": Kind(
        _settings(
            feature_size=80,
            num_mel_bins=80,
            dither=0.0,
            do_ceptral_normalize=True,
            normalize_means=True,
            normalize_vars=True,
            return_attention_mask=True,
        ),
        way="normed_banks",
        makes=("input_features", "attention_mask"),
    ),
    "Whisper": Kind(
        _settings(
            feature_size=80,
            hop_length=160,
            chunk_length=30,
            n_fft=400,
            dither=0.0,
            do_normalize=None,
        ),
        way="logarithms",
        makes=("input_features",),
        padding="max_length",
        truncation=True,
    ),
    "AST": Kind(
        _settings(
            num_mel_bins=128, max_length=1024, do_normalize=True, mean=-4.2677393, std=4.5689974
        ),
        way="fixed_banks",
    ),
}

# model_type → the kind of a checkpoint whose files name none.
OF_TYPES = {
    "wav2vec2": "Wav2Vec2",
    "wav2vec2-conformer": "Wav2Vec2",
    "hubert": "Wav2Vec2",
    "wavlm": "Wav2Vec2",
    "data2vec-audio": "Wav2Vec2",
    "unispeech": "Wav2Vec2",
    "unispeech-sat": "Wav2Vec2",
    "sew": "Wav2Vec2",
    "sew-d": "Wav2Vec2",
    "speech_to_text": "Speech2Text",
    "whisper": "Whisper",
    "audio-spectrogram-transformer": "AST",
    "speech-encoder-decoder": "Wav2Vec2",
}


def class_names() -> list[str]:
    """Return the names of all classes."""
    return [f"{stem}FeatureExtractor" for stem in KINDS]
