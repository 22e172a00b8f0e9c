"""Tasks on sounds beside the reference's recorded results, and transcripts joined from windows."""

from __future__ import annotations

import json
import shutil
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from armature import pipeline
from armature.errors import ArgumentError, UnknownArgumentError
from armature.inputs.text.tokenizer import Tokenizer
from armature.pipelines import task_of
from armature.pipelines.speech import TEXT, AutomaticSpeechRecognitionPipeline
from armature.pipelines.transcripts import Transcript, Written

GOLDEN = Path(__file__).parents[1] / "golden"
RESULTS = json.loads((GOLDEN / "hearing" / "pipelines.json").read_text())
TRANSCRIPTS = json.loads((GOLDEN / "hearing" / "transcripts.json").read_text())
SPEECH = "automatic-speech-recognition"


def noise(length):
    time = np.arange(length) / 16000
    tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 917.3, 3301))
    sound = (tones * np.linspace(0.05, 0.3, length)).astype(np.float32)
    hiss = np.random.default_rng(0).standard_normal(length) * np.linspace(0.5, 0, length)
    return (sound + hiss).astype(np.float32)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Return a function: name → a model of sounds with what reads for it."""
    root = tmp_path_factory.mktemp("sounds")

    def get(name):
        folder = root / name
        if not folder.exists():
            shutil.copytree(GOLDEN / "sounds" / name, folder)
            stored = {"feature_extractor_type": "Wav2Vec2FeatureExtractor"}
            (folder / "preprocessor_config.json").write_text(json.dumps(stored))
            tokens = ["<pad>", "a", "b", "|", "c", "d", "<unk>", "<s>", "</s>"]
            ids = {token: index for index, token in enumerate(tokens)}
            (folder / "vocab.json").write_text(json.dumps(ids))
            kind = {"tokenizer_class": "Wav2Vec2CTCTokenizer"}
            (folder / "tokenizer_config.json").write_text(json.dumps(kind))
        return str(folder)

    return get


@pytest.fixture(scope="module")
def speech(checkpoints):
    return pipeline(SPEECH, model=checkpoints("wav2vec2-letters"))


@pytest.fixture(scope="module")
def labels(checkpoints):
    return pipeline("audio-classification", model=checkpoints("hubert-labels"))


def close(found, wanted):
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(close(found[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(close, found, wanted))
    return found == (pytest.approx(wanted, abs=1e-5) if isinstance(wanted, float) else wanted)


@pytest.mark.parametrize(("task", "name", "length", "options", "wanted"), RESULTS)
def test_results_are_those_of_the_reference(checkpoints, task, name, length, options, wanted):
    found = pipeline(task, model=checkpoints(name))(noise(length), **options)
    assert close(found, wanted)


def test_a_checkpoint_says_its_task(checkpoints, tmp_path):
    made = pipeline(model=checkpoints("wav2vec2-letters"))
    assert isinstance(made, AutomaticSpeechRecognitionPipeline)
    made.save_pretrained(tmp_path)
    assert pipeline(model=str(tmp_path))(noise(900)) == made(noise(900))
    assert task_of(["HubertForSequenceClassification"]) == "audio-classification"
    assert task_of(["WhisperForConditionalGeneration"]) == SPEECH


def test_a_sound_may_come_in_many_ways(speech, labels, tmp_path):
    import wave

    whole = (noise(2000) * 8000).astype("<i2")
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(whole.tobytes())
    sound = whole.astype(np.float32) / 2**15
    for pipe in (speech, labels):
        wanted = pipe(sound)
        ways = [str(path), path, path.read_bytes(), torch.from_numpy(sound), np.stack([sound] * 2)]
        ways += [{"raw": sound, "sampling_rate": 16000}, {"path": str(path)}]
        for way in ways:
            assert close(pipe(way), wanted)
        assert close(pipe([path, sound]), [wanted, wanted])
        assert close(list(pipe(iter([path, sound]))), [wanted, wanted])
        assert close(pipe(inputs=sound), wanted)
        assert close(pipe(audio=sound), wanted)
    told = speech({"array": sound, "sampling_rate": 16000, "id": 7})
    assert told == {**speech(sound), "id": [7]}


def test_what_a_caller_shares_is_heard_but_not_written(speech):
    sound = noise(4800)
    whole = speech(sound, return_timestamps="char")["chunks"]
    part = speech({"raw": sound, "sampling_rate": 16000, "stride": (1200, 1200)})
    middle = [c for c in whole if c["timestamp"][0] >= 0.08 and c["timestamp"][1] <= 0.22]
    assert "".join(c["text"] for c in middle).strip() in part["text"]
    assert len(part["text"]) < len(speech(sound)["text"])


def test_windows_of_a_long_sound_take_no_room_beside_it(speech):
    sound = noise(160_000)
    rows = speech.prepare([sound], speech.defaults().merged({"chunk_length_s": 0.1}, "here"))
    assert len(rows) > 100
    assert all(np.shares_memory(row.inputs["sound"], sound) for row in rows)


def test_ten_hours_are_refused_before_they_are_read(speech, tmp_path):
    path, size = tmp_path / "long.wav", 10 * 3600 * 16000 * 2
    head = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt \x10\0\0\0" + head)
        file.write(b"data" + struct.pack("<I", size))
        file.truncate(size + 44)  # a hole: it takes no room on the disk
    tracemalloc.start()
    with pytest.raises(ArgumentError, match="cut it into shorter sounds"):
        speech(str(path), chunk_length_s=10)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 20


def test_the_parts_may_be_given(checkpoints, speech):
    from armature import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

    folder = checkpoints("wav2vec2-letters")
    model = AutoModelForCTC.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    extractor = AutoFeatureExtractor.from_pretrained(folder, do_normalize=False)
    wanted = speech(noise(900))
    assert pipeline(SPEECH, model=model)(noise(900)) == wanted
    assert pipeline(SPEECH, model=model, tokenizer=tokenizer)(noise(900)) == wanted
    other = pipeline(SPEECH, model=folder, feature_extractor=extractor)
    assert other.extractor is extractor
    with pytest.raises(UnknownArgumentError, match="image_processor"):
        pipeline(SPEECH, model=folder, image_processor=folder)
    with pytest.raises(ArgumentError, match="reads no texts"):
        pipeline("audio-classification", model=folder, tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"return_timestamps": True}, "'char' or 'word'"),
        ({"return_timestamps": "letter"}, "should be True"),
        ({"return_language": True}, "does not say"),
        ({"chunk_length_s": -1}, "should be seconds"),
        ({"chunk_length_s": 1, "stride_length_s": [1, 1]}, "nothing is left"),
        ({"chunk_length_s": 1, "stride_length_s": [1]}, "one number, or two"),
        ({"chunk_length_s": 1e-6}, "shorter than one moment"),
    ],
)
def test_options_that_make_no_sense_are_refused(speech, options, message):
    with pytest.raises(ArgumentError, match=message):
        speech(noise(900), **options)


def test_what_cannot_be_heard_is_refused(speech, labels):
    with pytest.raises(ArgumentError, match="one channel"):
        labels(np.zeros((3, 900)))
    with pytest.raises(ArgumentError, match="no such file"):
        speech("nowhere.wav")
    with pytest.raises(ArgumentError, match="longer than the sound"):
        speech({"raw": noise(900), "sampling_rate": 16000, "stride": (500, 500)})
    with pytest.raises(UnknownArgumentError, match="top_k"):
        labels(noise(900), top_n=1)


# -------------------------------------------------------------------- joined transcripts


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_pretrained(GOLDEN / "tokenizers" / "whisper")


@pytest.mark.parametrize(("windows", "times", "languages", "wanted"), TRANSCRIPTS)
def test_windows_are_joined_as_recorded(tokenizer, windows, times, languages, wanted):
    transcript = Transcript(tokenizer, times, 0.02)
    for tokens, moments, stride in windows:
        transcript.add(Written(tokens, moments if times == "word" else None, stride))
    found = transcript.result(languages=languages)
    assert json.loads(json.dumps(found)) == wanted


class Writer(torch.nn.Module):
    """A model that writes the same words for every sound, and keeps what it was told."""

    def __init__(self):
        super().__init__()
        from types import SimpleNamespace as Table

        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.config = Table(max_source_positions=50, max_target_positions=40)
        self.generation_config = Table(to_diff_dict=dict, lang_to_id={"<|de|>": 504})
        self.told = {}

    def generate(self, input_features, attention_mask, **told):
        self.told = {**told, "shape": tuple(input_features.shape)}
        row = torch.tensor([513, 300, 301, 518])
        segment = {"result": torch.tensor([501, 504, 508, *row]), "tokens": row}
        rows = row.repeat(len(input_features), 1)
        found = {"sequences": rows, "segments": [[segment]] * len(rows)}
        return found if told.get("return_segments") else rows


class Listener(Writer):
    """A model that writes times, too."""

    def detect_language(self):
        raise NotImplementedError


def listening(model, tokenizer):
    from armature import WhisperFeatureExtractor, WhisperProcessor

    extractor = WhisperFeatureExtractor(chunk_length=1, feature_size=20)
    return AutomaticSpeechRecognitionPipeline(model, WhisperProcessor(extractor, tokenizer))


def test_a_model_that_writes_is_told_how(tokenizer):
    pipe = listening(Listener(), tokenizer)
    words = tokenizer.decode([300, 301])
    assert pipe(noise(8000)) == {"text": words}
    assert pipe.model.told == {"num_beams": 5, "max_new_tokens": 35, "shape": (1, 20, 100)}
    timed = pipe(noise(8000), return_timestamps=True, generate_kwargs={"num_beams": 1})
    assert timed["chunks"] == [{"timestamp": (0.0, 0.1), "text": words}]
    assert pipe.model.told["return_timestamps"] is True
    assert pipe.model.told["num_beams"] == 1
    spoken = pipe(noise(8000), return_language=True, max_new_tokens=9, task="transcribe")
    assert spoken["chunks"] == [{"language": "german", "text": words}]
    assert pipe.model.told["task"] == "transcribe"
    pipe(noise(40000))  # longer than a window: the model goes on by itself
    assert pipe.model.told["shape"] == (1, 20, 250)
    windows = pipe(noise(40000), chunk_length_s=1, return_timestamps=True)
    assert windows["text"].startswith(words)
    assert pipe.model.told["shape"] == (4, 20, 100)
    with pytest.raises(ArgumentError, match="True or 'word'"):
        pipe(noise(900), return_timestamps="char")


def test_a_model_without_times_joins_its_windows(tokenizer):
    pipe = listening(Writer(), tokenizer)
    assert pipe.kind == TEXT
    words = tokenizer.decode([300, 301])
    assert pipe(noise(8000))["text"].startswith("<|0.00|>") is False
    assert pipe(noise(40000), chunk_length_s=1)["text"].count(words) == 4
    for options in ({"return_timestamps": True}, {"return_language": True}):
        with pytest.raises(ArgumentError, match="this model"):
            pipe(noise(900), **options)
    with pytest.raises(ArgumentError, match="stride"):
        pipe({"raw": noise(900), "sampling_rate": 16000, "stride": (1, 1)})
