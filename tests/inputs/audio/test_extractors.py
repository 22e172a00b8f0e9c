"""Feature extractors beside the reference's recorded numbers, their files, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from armature import AutoFeatureExtractor
from armature.errors import ArgumentError, CheckpointError, ConfigError, UnknownArgumentError
from armature.inputs.audio.extractor import feature_extractor_class
from armature.inputs.audio.kinds import KINDS, OF_TYPES

GOLDEN = Path(__file__).parents[2] / "golden" / "hearing"
CASES = json.loads((GOLDEN / "cases.json").read_text())


def sound(length):
    time = np.arange(length) / 16000
    tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 917.3, 3301))
    return (tones * np.linspace(0.05, 0.3, length)).astype(np.float32)


def extractor(name, **settings):
    return feature_extractor_class(f"{name}FeatureExtractor")(**settings)


@pytest.mark.parametrize("name", CASES)
def test_features_are_those_of_the_reference(tmp_path, name):
    case = CASES[name]
    stored = {"feature_extractor_type": case["kind"], **case["settings"]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(stored))
    made = AutoFeatureExtractor.from_pretrained(tmp_path)
    heard = [sound(length) for length in case["lengths"]]
    found = made(heard, sampling_rate=16000, **case["options"])
    with np.load(GOLDEN / "expected.npz") as expected:
        keys = [key for key in expected if key.startswith(f"{name}/")]
        assert {key.split("/")[1] for key in keys} == {*found}
        for key in keys:
            rows = np.stack(found[key.split("/")[1]])
            assert rows.shape == expected[key].shape
            assert rows.dtype == expected[key].dtype
            assert np.abs(rows - expected[key]).max() < 1e-5


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_what_it_is_and_comes_back(tmp_path, name):
    made = extractor(name)
    made.save_pretrained(tmp_path)
    again = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert type(again) is type(made)
    assert again.to_dict() == made.to_dict()
    assert name in repr(again)
    assert made.model_input_names[0].startswith("input_")


def test_a_sound_may_come_in_many_ways():
    made, heard = extractor("Wav2Vec2"), sound(500)
    expected = made(heard, return_tensors="pt").input_values
    ways = [heard.astype(np.float64), heard.tolist(), torch.from_numpy(heard), [heard]]
    ways += [{"array": heard, "sampling_rate": 16000}, {"raw": heard, "sampling_rate": 16000}]
    for way in ways:
        found = made(way, return_tensors="pt").input_values
        assert found.shape == (1, 500)
        assert torch.allclose(found, expected, atol=1e-6)
    both = made(np.stack([heard, heard]), return_tensors="np")["input_values"]
    assert both.shape == (2, 500)
    assert len(made({"array": heard, "sampling_rate": 8000}).input_values[0]) == 1000


def test_single_features_are_brought_to_one_length():
    made = extractor("Wav2Vec2", return_attention_mask=True, padding_side="left")
    ones = [{"input_values": made(sound(n)).input_values[0]} for n in (300, 500)]
    found = made.pad(ones, return_tensors="pt")
    assert found.input_values.shape == (2, 500)
    assert found.attention_mask.sum(1).tolist() == [300, 500]
    assert found.attention_mask[0, 0] == 0
    with pytest.raises(ArgumentError, match="lists of `input_values`"):
        made.pad([{"values": [1.0]}])


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (None, {}, "needs a sound"),
        ([], {}, "no sound of one channel"),
        (np.zeros(0), {}, "no samples"),
        (np.array([0.0, np.nan]), {}, "NaN or infinite"),
        (np.zeros((2, 3, 4)), {}, "no sound of one channel"),
        (np.array(["a"]), {}, "is no sound"),
        ({"array": [0.0]}, {}, "should be"),
        ({"array": [0.0], "sampling_rate": "fast"}, {}, "whole number"),
        (np.ones(9), {"sampling_rate": 8000}, "trained with 16000"),
        ([np.ones(9), np.ones(8)], {"return_tensors": "pt"}, "make no tensor"),
        (np.ones(9), {"return_tensors": "tf"}, "'pt', 'np' or None"),
        (np.ones(9), {"truncation": True}, "max_length"),
        (np.ones(9), {"padding": "max_length"}, "max_length"),
        (np.ones(9), {"padding": "longer"}, "is not known"),
        (np.ones(9), {"pad_to_multiple_of": 0}, "above 0"),
        (np.ones(9), {"padding": True, "padding_side": "up"}, "'left' or 'right'"),
    ],
)
def test_what_cannot_be_heard_is_refused(given, options, message):
    with pytest.raises(ArgumentError, match=message):
        extractor("Wav2Vec2")(given, **options)


def test_sounds_too_short_for_a_spectrum_are_refused():
    for name in ("Speech2Text", "AST"):
        with pytest.raises(ArgumentError, match="too short"):
            extractor(name)(np.ones(399))
    with pytest.raises(ArgumentError, match="too short"):
        extractor("Whisper")(np.ones(100), padding=False)


def test_settings_are_checked(tmp_path):
    with pytest.raises(UnknownArgumentError, match="sampling_rate"):
        extractor("Wav2Vec2", sampling_rat=8000)
    with pytest.raises(UnknownArgumentError, match="do_normalize"):
        extractor("Wav2Vec2")(np.ones(9), do_normalise=False)
    with pytest.raises(ConfigError, match="num_mel_bins"):
        extractor("AST", num_mel_bins=0)
    made = extractor("AST")
    made.max_length = 20
    assert made(sound(900)).input_values[0].shape == (20, 128)
    with pytest.raises(AttributeError, match="max_lengt"):
        _ = made.max_lengt
    with pytest.raises(CheckpointError, match="no preprocessor_config"):
        AutoFeatureExtractor.from_pretrained(_folder(tmp_path, None))
    with pytest.raises(CheckpointError, match="OtherFeatureExtractor is not known"):
        AutoFeatureExtractor.from_pretrained(_folder(tmp_path, "OtherFeatureExtractor"))


def _folder(folder, kind):
    (folder / "config.json").write_text('{"model_type": "wav2vec2"}')
    if kind:
        stored = {"feature_extractor_type": kind}
        (folder / "preprocessor_config.json").write_text(json.dumps(stored))
    return folder


@pytest.mark.parametrize("model_type", OF_TYPES)
def test_a_model_type_is_enough(tmp_path, model_type):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 8000}')
    found = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert type(found).__name__.startswith(OF_TYPES[model_type])
    assert found.sampling_rate == 8000


def test_silence_has_features():
    for name in KINDS:
        rows = next(iter(extractor(name)(np.zeros(2000)).values()))
        assert np.isfinite(rows[0]).all()


def test_noise_is_added_where_asked():
    torch.manual_seed(0)
    made = extractor("Whisper", chunk_length=1, feature_size=16, dither=0.01)
    first, second = (made(np.zeros(800)).input_features[0] for _ in range(2))
    assert not np.array_equal(first, second)
