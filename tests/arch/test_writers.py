"""Models that write about sounds and images against the reference: states, losses, texts, times."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from goldens import GOLDEN, opened, recorded, relative_error, save_and_compare, told
from safetensors.torch import load_file

import armature
from armature import AutoModelForSpeechSeq2Seq, AutoModelForVision2Seq
from armature.errors import ArgumentError, ConfigError

NAMES = sorted(f"writers/{folder.name}" for folder in (GOLDEN / "writers").iterdir())
TOLERANCE = 1e-5  # × max(1, |value|)


WRITES = [name for name in NAMES if told(name)["generate"]]
TRANSCRIPTS = told("writers/whisper")["transcripts"]


def real(model, key, given, error):
    """Return the errors at real places: what an encoder says of padding is zero here."""
    mask = given.get("attention_mask")
    shrink = getattr(model.reader, "shrink", None)
    if (
        mask is None
        or shrink is None
        or not key.startswith("encoder")
        or "s2t" not in str(model.name_or_path)
    ):
        return error
    if "attentions" in key:
        error = error.transpose(1, 2)
    return error[shrink(mask, error.shape[1]).bool()]


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_outputs_equal_the_reference(name):
    model = opened(name)
    assert not model.load_report.new
    assert not model.load_report.unexpected
    for call in told(name)["calls"]:
        given, wanted = recorded(name, call["name"])
        output = model(**given, **call["flags"])
        assert wanted
        for key, value in wanted.items():
            error = real(model, key, given, relative_error(output, key, value))
            assert float(error.max()) < TOLERANCE, key


@pytest.mark.parametrize("name", WRITES)
def test_texts_equal_the_reference(name):
    model, (given, _) = opened(name), recorded(name)
    for one in told(name)["generate"]:
        inputs = {key: given[key] for key in one["inputs"]}
        assert model.generate(**inputs, **one["options"]).tolist() == one["tokens"]


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_has_the_same_bytes(name, tmp_path):
    save_and_compare(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_read_or_known_to_have_no_effect(name):
    model = opened(name)
    model(**recorded(name)[0])
    of_texts = {"bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"}
    of_texts |= {"id2label", "label2id", "is_encoder_decoder", "tie_word_embeddings"}
    assert not set(model.config.unread()) - set(model.arch.UNUSED) - of_texts


@pytest.mark.parametrize("name", [name for name in NAMES if name != "writers/whisper-labels"])
def test_gradients_reach_every_trained_weight(name):
    model, (given, _) = opened(name), recorded(name)
    found = [x for x in model(**given).values() if isinstance(x, torch.Tensor)]
    sum((x**2).sum() for x in found).backward()
    lacking = [key for key, weight in model.named_parameters() if weight.grad is None]
    lacking = [key for key in lacking if not key.endswith(("embed.position.weight", "embed.mask"))]
    assert [key for key in lacking if not key.startswith("pooler")] == []


# -------------------------------------------------------------------- transcripts


@pytest.mark.parametrize("index", range(len(TRANSCRIPTS)))
def test_transcripts_equal_the_reference(index):
    one = TRANSCRIPTS[index]
    lengths, options = one["lengths"], dict(one["options"])
    sounds = load_file(GOLDEN / "writers" / "whisper" / "golden.safetensors")["sounds"]
    shown = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    features = sounds[: len(lengths), :, : max(lengths)] * shown[:, None]
    if "prompt_ids" in options:
        options["prompt_ids"] = torch.tensor(options["prompt_ids"])
    if len(set(lengths)) > 1:
        options["attention_mask"] = shown.long()
    found = opened("writers/whisper").generate(features, max_new_tokens=10, **options)
    table = {"sequences": found} if isinstance(found, torch.Tensor) else found
    for key, wanted in one["found"].items():
        if key == "segments":
            pairs = zip(chain(*table[key]), chain(*wanted), strict=True)
            for ours, theirs in pairs:
                assert ours["tokens"].tolist() == theirs["tokens"]
                times = [float(ours[end]) for end in ("start", "end")]
                assert times == pytest.approx([theirs["start"], theirs["end"]])
        else:
            torch.testing.assert_close(table[key], torch.tensor(wanted, dtype=table[key].dtype))


def test_a_language_is_heard():
    model = opened("writers/whisper")
    sounds = load_file(GOLDEN / "writers" / "whisper" / "golden.safetensors")["sounds"]
    heard = model.detect_language(sounds)
    assert set(heard.tolist()) <= {52, 53, 54}
    encoded = model.hear(sounds[:, :, :40])
    assert model.detect_language(encoder_outputs=(encoded,)).equal(heard)
    forced = [[1, int(heard[0])], [2, 59]]
    plain = model.generate(sounds[:1, :, :40], max_new_tokens=5)
    model.generation_config.forced_decoder_ids = forced
    model.generation_config.lang_to_id = None
    assert model.generate(sounds[:1, :, :40], max_new_tokens=5).equal(plain)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"language": "klingon"}, "does not know the language"),
        ({"language": ["en", "de", "en"]}, "3 languages for 2 rows"),
        ({"task": "sing"}, "translate, transcribe"),
        ({"max_new_tokens": 99}, "max_new_tokens"),
        ({"prompt_condition_type": "all-segments"}, "condition_on_prev_tokens"),
        ({"prompt_condition_type": "never"}, "first-segment"),
    ],
)
def test_wishes_that_cannot_be_followed_are_refused(options, words):
    with pytest.raises(ArgumentError, match=words):
        opened("writers/whisper").generate(torch.zeros(2, 5, 40), **options)


def test_long_sounds_need_times_and_their_lengths():
    model = opened("writers/whisper")
    with pytest.raises(ArgumentError, match="return_timestamps=True"):
        model.generate(torch.zeros(1, 5, 99), return_timestamps=False)
    with pytest.raises(ArgumentError, match="attention_mask"):
        model.generate(torch.zeros(2, 5, 99))
    with pytest.raises(ArgumentError, match="pieces of 40"):
        model(input_features=torch.zeros(1, 5, 99), labels=torch.ones(1, 2).long())
    with pytest.raises(ArgumentError, match="nothing to read"):
        model.generate()


def test_a_long_sound_does_not_depend_on_its_neighbours():
    model = opened("writers/whisper")
    sounds = load_file(GOLDEN / "writers" / "whisper" / "golden.safetensors")["sounds"]
    mask = (torch.arange(130) < torch.tensor([[130], [90]])).long()
    how = {"max_new_tokens": 8, "condition_on_prev_tokens": True, "language": "en"}
    both = model.generate(sounds * mask[:, None], attention_mask=mask, **how)
    for row, length in enumerate((130, 90)):
        (alone,) = model.generate(sounds[row : row + 1, :, :length], **how)
        assert both[row, : len(alone)].equal(alone)
        assert set(both[row, len(alone) :].tolist()) <= {50}


def test_a_decoder_alone_drafts_what_the_whole_model_checks(tmp_path):
    model = opened("writers/whisper")
    model.save_pretrained(tmp_path)
    drafts = armature.WhisperForCausalLM.from_pretrained(tmp_path)
    sounds = load_file(GOLDEN / "writers" / "whisper" / "golden.safetensors")["sounds"]
    how = {"max_new_tokens": 8, "language": "en"}
    alone = model.generate(sounds[:, :, :40], **how)
    assert model.generate(sounds[:, :, :40], assistant_model=drafts, **how).equal(alone)
    with pytest.raises(ArgumentError, match="has an encoder"):
        opened("writers/s2t").generate(torch.zeros(1, 21, 6), assistant_model=drafts)


def test_frames_and_bands_are_hidden_while_training():
    config = armature.AutoConfig.from_pretrained(GOLDEN / "writers" / "whisper")
    config.update({"apply_spec_augment": True, "mask_time_length": 4, "mask_time_prob": 0.3})
    config.update({"mask_feature_length": 2, "mask_feature_prob": 0.5})
    embed = armature.WhisperModel(config).train().body.encoder.embed
    seen = embed._hidden(torch.ones(3, 5, 40))
    assert 0 < float(seen.mean()) < 1
    assert bool((seen.amax(1) == 0).any())  # whole frames


# -------------------------------------------------------------------- bodies joined


def test_auto_classes_open_what_writes():
    opens = {"s2t": AutoModelForSpeechSeq2Seq, "whisper": AutoModelForSpeechSeq2Seq}
    opens |= {"wav2vec2-gpt2": AutoModelForSpeechSeq2Seq, "vit-trocr": AutoModelForVision2Seq}
    for name, kind in (opens | {"git": AutoModelForVision2Seq}).items():
        assert type(kind.from_pretrained(GOLDEN / "writers" / name)) is type(
            opened(f"writers/{name}")
        )
    with pytest.raises(ArgumentError, match="AutoModelForSpeechSeq2Seq"):
        armature.AutoModelForSeq2SeqLM.from_pretrained(GOLDEN / "writers" / "whisper")


def test_an_encoder_of_images_is_joined_with_a_decoder(tmp_path):
    first, second = GOLDEN / "vit" / "body", GOLDEN / "arch" / "gpt2-head"
    if not second.exists():
        second = next(f for f in (GOLDEN / "arch").iterdir() if f.name.startswith("gpt2"))
    kind = armature.VisionEncoderDecoderModel
    model = kind.from_encoder_decoder_pretrained(first, second, decoder_start_token_id=1)
    model.save_pretrained(tmp_path)
    again = kind.from_pretrained(tmp_path)
    pixels = torch.randn(1, 1, 18, 30)
    tokens = {"max_new_tokens": 3, "do_sample": False, "decoder_start_token_id": 1}
    assert again.generate(pixels, **tokens).equal(model.generate(pixels, **tokens))


def test_widths_that_do_not_go_together_are_refused():
    config = armature.AutoConfig.from_pretrained(GOLDEN / "writers" / "vit-trocr")
    config.decoder["cross_attention_hidden_size"] = 13
    with pytest.raises(ConfigError, match="cross_attention_hidden_size"):
        armature.VisionEncoderDecoderModel(config)


@torch.no_grad()
def test_what_was_encoded_before_is_decoded_alike():
    for name in ("writers/s2t", "writers/wav2vec2-gpt2", "writers/swin-gpt2", "writers/whisper"):
        model, (given, wanted) = opened(name), recorded(name)
        x, inputs, _ = armature.forward.encode(model, given)
        states = inputs.layout.unpack(x)
        rest = {k: v for k, v in given.items() if k in ("attention_mask", "decoder_input_ids")}
        logits = model(encoder_outputs=(states,), **rest).logits
        torch.testing.assert_close(logits, wanted["logits"], atol=1e-5, rtol=1e-5)


# -------------------------------------------------------------------- images and words


def test_frames_that_the_model_does_not_know_are_refused():
    model, (given, _) = opened("writers/git"), recorded("writers/git")
    with pytest.raises(ArgumentError, match="3 frames"):
        model(pixel_values=torch.randn(2, 3, 3, 12, 12), input_ids=given["input_ids"])


@torch.no_grad()
def test_words_behind_an_image_do_not_depend_on_padding():
    model, (given, _) = opened("writers/git-image"), recorded("writers/git-image")
    ids, pixels = given["input_ids"], given["pixel_values"]
    wide = torch.cat((ids, torch.ones(2, 2).long()), 1)
    mask = (wide != 1).long()
    found = model(input_ids=wide, attention_mask=mask, pixel_values=pixels).last_hidden_state
    alone = model(input_ids=ids, pixel_values=pixels).last_hidden_state
    torch.testing.assert_close(found[:, : alone.shape[1]], alone, atol=1e-5, rtol=1e-5)


def test_a_text_that_is_read_anew_keeps_its_image():
    model, (given, _) = opened("writers/git"), recorded("writers/git")
    pixels = given["pixel_values"]
    for options in ({"max_new_tokens": 5}, {"max_new_tokens": 4, "num_beams": 2}):
        kept = model.generate(pixel_values=pixels, **options)
        assert model.generate(pixel_values=pixels, use_cache=False, **options).equal(kept)
