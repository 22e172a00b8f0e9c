"""Architectures of sounds: rows, gradients, older files, and bad input."""

from __future__ import annotations

import pytest
import torch
from goldens import GOLDEN, opened, recorded
from safetensors.torch import load_file, save_file

from armature import (
    AutoModelForAudioXVector,
    AutoModelForCTC,
    HubertModel,
    Wav2Vec2ForCTC,
    Wav2Vec2Model,
    WavLMForXVector,
)
from armature.errors import ArgumentError, CheckpointError, ConfigError, UnknownArgumentError
from armature.layers.spans import Spans


@torch.no_grad()
def test_a_sound_does_not_depend_on_its_neighbours():
    model, (given, _) = opened("sounds/wavlm-body"), recorded("sounds/wavlm-body")
    together = model(**given).last_hidden_state[1]
    alone = model(given["input_values"][1:, :190]).last_hidden_state[0]
    torch.testing.assert_close(together[: len(alone)], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["sounds/wav2vec2-codes", "sounds/data2vec-audio-letters"])
def test_gradients_reach_every_weight_while_training(name):
    model, (given, _) = opened(name).train(), recorded(name)
    model(**given).loss.backward()
    kept = {"head.dense", "head.letters"}
    lacking = [key for key, weight in model.named_parameters() if weight.grad is None]
    assert [key for key in lacking if key.rpartition(".")[0] not in kept | {"body.embed"}] == []


def test_states_that_are_blended_are_told_to_nobody_who_does_not_ask():
    model, (given, _) = opened("sounds/hubert-labels"), recorded("sounds/hubert-labels")
    assert list(model(given["input_values"])) == ["logits"]


def test_spans_are_hidden_while_training():
    torch.manual_seed(0)
    spans = Spans((0.5, 3, 2), (0.3, 2, 1))
    states = torch.zeros(2, 20, 10)
    frames = spans.of_frames(states, torch.tensor([20, 8]))
    assert frames is not None
    assert 5 <= int(frames[0].sum()) <= 12
    assert not frames[1, 8:].any()
    channels = spans.of_channels(states)
    assert channels is not None
    assert 2 <= int(channels.sum(1).min()) <= 8


def test_older_names_of_normed_weights_are_read(tmp_path):
    name = "sounds/wav2vec2-letters"
    opened(name).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    conv = "wav2vec2.encoder.pos_conv_embed.conv."
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        tensors[conv + old] = tensors.pop(f"{conv}parametrizations.weight.{new}")
    (tmp_path / "model.safetensors").unlink()
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    assert not Wav2Vec2ForCTC.from_pretrained(tmp_path).load_report.new


def test_auto_classes_open_sounds():
    assert type(AutoModelForCTC.from_pretrained(GOLDEN / "sounds/hubert-letters")).__name__ == (
        "HubertForCTC"
    )
    found = AutoModelForAudioXVector.from_pretrained(GOLDEN / "sounds/wavlm-voices")
    assert type(found).__name__ == "WavLMForXVector"


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ArgumentError, "input_values"),
        ({"input_ids": torch.ones(1, 3).long()}, UnknownArgumentError, "input_ids"),
        ({"input_values": torch.zeros(300)}, ArgumentError, "batch of waveforms"),
        ({"input_values": torch.zeros(1, 300).long()}, ArgumentError, "int64"),
        ({"input_values": torch.zeros(1, 9)}, ArgumentError, "too short"),
        (
            {"input_values": torch.zeros(1, 99), "attention_mask": torch.ones(1, 98)},
            ArgumentError,
            "each sample",
        ),
    ],
)
def test_bad_sounds_are_refused(given, error, words):
    with pytest.raises(error, match=words):
        opened("sounds/wav2vec2-body")(**given)


def test_bad_settings_are_refused():
    config = opened("sounds/wav2vec2-body").config
    config.conv_stride = [4, 3]
    with pytest.raises(ConfigError, match="one number each"):
        Wav2Vec2Model(config)


def test_fresh_weights_are_as_loud_as_the_reference_s():
    torch.manual_seed(0)
    places = Wav2Vec2Model(opened("sounds/wav2vec2-body").config).body.embed.places
    conv = places.conv
    torch.testing.assert_close(conv.length.weight, conv.direction.norm(dim=(0, 1), keepdim=True))
    most = (conv.direction.shape[1] * conv.direction.shape[2]) ** -0.5
    assert 0.9 * most < conv.direction.abs().max() <= most
    assert not conv.bias.any()
    assert places(torch.ones(1, 9, 12)).std() > 0.05


def test_adapters_of_languages_are_read_where_hubert_has_them():
    config = opened("sounds/hubert-labels").config.copy()
    config.update({"adapter_attn_dim": 4})
    assert hasattr(HubertModel(config).body.blocks[0], "language")


@torch.no_grad()
def test_a_voice_is_heard_in_all_frames_of_a_blend_before_an_adapter():
    config = opened("sounds/wavlm-voices").config.copy()
    config.update({"add_adapter": True, "use_weighted_layer_sum": True, "output_hidden_size": 12})
    torch.manual_seed(0)
    model, values = WavLMForXVector(config), torch.randn(1, 400)
    frames = model(values, output_hidden_states=True).hidden_states
    blended = sum(x * s for x, s in zip(frames, model.head.blend.softmax(0), strict=True))
    x = model.head.dense(blended)
    for layer in model.head.layers:
        x = layer(x)
    vector = model.head.vector(torch.cat((x[0].mean(0), x[0].std(0))))
    torch.testing.assert_close(model(values).embeddings[0], vector)


# -------------------------------------------------------------------- languages


@pytest.fixture
def languages(tmp_path):
    """A checkpoint with adapters for two languages, the second with more letters."""
    model = opened("sounds/wav2vec2-letters")
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    own = {key: x for key, x in tensors.items() if "adapter_layer" in key or "lm_head" in key}
    save_file({key: x + 1 for key, x in own.items()}, tmp_path / "adapter.eng.safetensors")
    wide = {key: torch.cat((x, x)) if "lm_head" in key else x for key, x in own.items()}
    torch.save(wide, tmp_path / "adapter.fra.bin")
    return tmp_path


@torch.no_grad()
def test_a_model_speaks_another_language(languages):
    values = recorded("sounds/wav2vec2-letters")[0]["input_values"]
    model = Wav2Vec2ForCTC.from_pretrained(languages)
    before = model(values).logits
    model.load_adapter("eng")
    assert not model(values).logits.equal(before)
    model.load_adapter("fra")
    assert model.config.vocab_size == 18
    torch.testing.assert_close(model(values).logits, torch.cat((before, before), -1))
    opened_so = AutoModelForCTC.from_pretrained(languages, target_lang="fra")
    assert opened_so(values).logits.equal(model(values).logits)


def test_languages_that_are_not_there_are_named(languages):
    model = Wav2Vec2ForCTC.from_pretrained(languages)
    with pytest.raises(CheckpointError, match=r"Did you mean `fra`"):
        model.load_adapter("frb")
    save_file({"lm_head.bias": torch.zeros(9)}, languages / "adapter.deu.safetensors")
    with pytest.raises(CheckpointError, match="is no adapter of this model"):
        model.load_adapter("deu")
    with pytest.raises(ArgumentError, match="no adapters"):
        AutoModelForCTC.from_pretrained(GOLDEN / "sounds/hubert-letters", target_lang="eng")


def test_parts_are_frozen():
    model = opened("sounds/wav2vec2-codes")
    model.freeze_feature_encoder()
    frozen = {key for key, weight in model.named_parameters() if not weight.requires_grad}
    assert frozen == {key for key, _ in model.named_parameters() if ".frames." in key}
    model.freeze_base_model()
    assert all(weight.requires_grad for weight in model.head.parameters())
    assert not any(weight.requires_grad for weight in model.body.parameters())
    model.set_gumbel_temperature(0.5)
    assert model.head.temperature == 0.5
    with pytest.raises(ArgumentError, match="no codes"):
        opened("sounds/wavlm-body").set_gumbel_temperature(1.0)
