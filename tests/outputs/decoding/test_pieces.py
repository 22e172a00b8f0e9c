"""stream(): the text that generate() writes, piece by piece, and no work between two pieces."""

from __future__ import annotations

import threading

import pytest
import torch

from armature.errors import ArgumentError, UnknownArgumentError
from armature.outputs.decoding.generate import generate
from armature.outputs.decoding.pieces import stream

PROMPT = torch.tensor([[65, 66, 67]])
CHINESE = "今天天气很好，我们去公园散步吧。".encode()


class Reciting:
    """A logits processor under which a text is recited, byte by byte."""

    def __init__(self, text):
        self.text, self.asked = text, 0

    def __call__(self, ids, scores):
        self.asked += 1
        byte = self.text[ids.shape[1] - PROMPT.shape[1]]
        return torch.full_like(scores, float("-inf")).index_fill(1, torch.tensor([byte]), 0.0)


@pytest.fixture
def model(table_model):
    return table_model(256, pad_token_id=0)


SETTINGS = [
    {},
    {"do_sample": True, "seed": 3, "temperature": 1.4},
    {"do_sample": True, "top_k": 9},
    {"repetition_penalty": 1.5, "eos_token_id": list(range(128, 160))},
    {"no_repeat_ngram_size": 1, "max_new_tokens": 90},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_pieces_are_the_text_that_generate_writes(model, letters, settings):
    settings = {"max_new_tokens": 40, **settings}
    tokenizer = letters([b"th", "好".encode(), b"\xe5\xa5"])
    torch.manual_seed(1)
    whole = generate(model, PROMPT, **settings)[0, PROMPT.shape[1] :].tolist()
    torch.manual_seed(1)
    pieces = list(stream(model, PROMPT, tokenizer=tokenizer, **settings))
    assert "".join(pieces) == tokenizer.decode(whole)
    assert all(pieces)


def test_a_character_is_never_cut(model, letters):
    recited = Reciting(CHINESE)
    settings = {"max_new_tokens": len(CHINESE), "logits_processor": [recited]}
    pieces = list(stream(model, PROMPT, tokenizer=letters(), **settings))
    assert pieces == list(CHINESE.decode())


def test_nothing_is_computed_before_or_after_the_loop_and_no_thread_is_made(model, letters):
    recited = Reciting(CHINESE)
    before = threading.active_count()
    pieces = stream(model, PROMPT, tokenizer=letters(), max_new_tokens=40, logits_processor=recited)
    assert recited.asked == 0
    for piece in pieces:
        assert piece == "今"
        break
    assert recited.asked == 3
    assert threading.active_count() == before
    pieces.close()
    assert list(pieces) == []
    assert recited.asked == 3


def test_gradients_are_as_they_were_inside_the_loop(model, letters):
    for _ in stream(model, PROMPT, tokenizer=letters(), max_new_tokens=3):
        assert not torch.is_inference_mode_enabled()
        assert torch.ones(1, requires_grad=True).requires_grad


def test_an_error_is_raised_in_the_loop(model, letters):
    recited = Reciting("好".encode())
    pieces = stream(model, PROMPT, tokenizer=letters(), max_new_tokens=40, logits_processor=recited)
    assert next(pieces) == "好"
    with pytest.raises(IndexError):
        next(pieces)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_beams": 2}, "num_beams"),
        ({"penalty_alpha": 0.6, "top_k": 4}, "penalty_alpha"),
        ({"prompt_lookup_num_tokens": 2}, "prompt_lookup_num_tokens"),
        ({"return_dict_in_generate": True}, "return_dict_in_generate"),
        ({"num_return_sequences": 2, "do_sample": True}, "num_return_sequences"),
        ({"streamer": object()}, "streamer"),
        ({"tokenizer": None}, "tokenizer=tokenizer"),
        ({"inputs": PROMPT.repeat(2, 1)}, "2 rows"),
    ],
)
def test_what_cannot_be_streamed_is_refused_at_once(model, letters, settings, words):
    given = {"inputs": PROMPT, "tokenizer": letters(), **settings}
    with pytest.raises(ArgumentError, match=words):
        stream(model, **given)


def test_an_unknown_argument_is_refused_at_once(model, letters):
    with pytest.raises(UnknownArgumentError, match="max_new_tokens"):
        stream(model, PROMPT, tokenizer=letters(), max_new_token=3)


def test_an_encoder_decoder_streams_what_its_decoder_writes(table_model, letters):
    model = table_model(256, encoder=True, decoder_start_token_id=1, eos_token_id=9)
    whole = generate(model, PROMPT, max_new_tokens=12)[0, 1:].tolist()
    pieces = stream(model, PROMPT, tokenizer=letters(), max_new_tokens=12)
    assert "".join(pieces) == letters().decode(whole)
