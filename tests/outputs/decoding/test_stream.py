"""Streamed text: whole characters, and together exactly what all tokens read as."""

import random
import threading

import pytest
import torch

from armature.errors import ArgumentError
from armature.outputs.decoding.stream import TextIteratorStreamer, TextPieces, TextStreamer


class Words:
    """A tokenizer of words that joins with spaces and cleans up, as older ones do."""

    clean_up_tokenization_spaces = True
    words = ("It", "is", "n't", "'", "s", ",", "fine", ".", "do", "you", "?", "well")

    def decode(self, ids, **options):
        text = " ".join(self.words[i] for i in ids)
        for mark in (".", "?", ","):
            text = text.replace(f" {mark}", mark)
        return text.replace(" ' ", "'").replace(" n't", "n't").replace(" 's", "'s")


class Pieces:
    """A tokenizer of pieces with "▁" for a space, whose first space is dropped."""

    clean_up_tokenization_spaces = False
    pieces = ("▁It", "▁is", "n", "'t", "▁", "▁▁", "s", "▁完", "全", "▁fi", "ne", "\n")

    def decode(self, ids, **options):
        return "".join(self.pieces[i] for i in ids).replace("▁", " ").removeprefix(" ")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("make", ["letters", "words", "pieces"])
def test_pieces_join_to_the_whole_text(letters, make, seed):
    draw = random.Random(seed)
    if make == "letters":
        text = "".join(draw.choice("ab é完全🙂\n </s>") for _ in range(150))
        tokenizer, ids = letters(), list(text.encode())
    else:
        tokenizer = Words() if make == "words" else Pieces()
        ids = [draw.randrange(12) for _ in range(150)]
    pieces = TextPieces(tokenizer)
    said, start = [], 0
    while start < len(ids):
        size = draw.choice([1, 1, 1, 4])
        said.append(pieces.add(ids[start : start + size]))
        start += size
    said.append(pieces.finish())
    assert "".join(said) == tokenizer.decode(ids)
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in said)


class Bytes:
    """A tokenizer that spells unknown characters in bytes, and spoils a run that is not sound."""

    clean_up_tokenization_spaces = False

    def convert_ids_to_tokens(self, ids):
        return [f"<0x{i:02X}>" if i < 256 else chr(i) for i in ids]

    def decode(self, ids, **options):
        text, run = "", b""
        for token in [*ids, 256]:
            if token < 256:
                run += bytes([token])
                continue
            try:
                text += run.decode()
            except UnicodeDecodeError:
                text += "\N{REPLACEMENT CHARACTER}" * len(run)
            text, run = text + ("" if token == 256 else chr(token)), b""
        return text


@pytest.mark.parametrize("seed", range(10))
def test_a_run_of_bytes_waits_until_it_ends(seed):
    draw = random.Random(seed)
    sound = [list("é完🙂a".encode()), [0xFF], [0xE5, 65], [ord("完")], [ord("x")]]
    runs = [[*draw.choice(sound)[: draw.choice([2, 12])], 300] for _ in range(80)]
    ids = [token for run in runs for token in run]
    pieces = TextPieces(Bytes())
    assert "".join(pieces.add([token]) for token in ids) + pieces.finish() == Bytes().decode(ids)
    pieces = TextPieces(Bytes())
    said = [pieces.add([byte]) for byte in ("完" * 40).encode()]
    assert sum(map(bool, said)) > 30  # a long one is not waited for


def test_text_comes_as_soon_as_it_is_certain(letters):
    pieces = TextPieces(letters())
    assert [pieces.add([byte]) for byte in "a完b".encode()] == ["a", "", "", "完", "b"]
    pieces = TextPieces(Words())
    assert [pieces.add([word]) for word in (0, 1, 6, 7)] == ["", "It", " is", ""]
    assert pieces.finish() == " fine."


def test_bytes_that_never_become_a_character_come_at_the_end(letters):
    pieces = TextPieces(letters())
    assert pieces.add([0xE5]) + pieces.add([0xAE]) == ""
    assert pieces.finish() == "\N{REPLACEMENT CHARACTER}"


def test_a_long_stream_decodes_a_window_only(letters):
    tokenizer = letters()
    pieces = TextPieces(tokenizer)
    for _ in range(2000):
        pieces.add([97])
    assert tokenizer.decoded < 2000 * 60


def test_special_tokens_may_be_skipped(letters):
    pieces = TextPieces(letters(), skip_special_tokens=True)
    assert pieces.add([97, 300]) + pieces.add([98]) + pieces.finish() == "ab"


def test_a_streamer_writes_while_tokens_come(table_model, letters, capsys):
    model = table_model(vocabulary=60)
    ids = torch.tensor([list(b"12")])
    out = model.generate(ids, streamer=TextStreamer(letters()), max_new_tokens=6)
    text = letters().decode(out[0].tolist())
    assert capsys.readouterr().out == text + "\n"
    model.generate(ids, streamer=TextStreamer(letters(), skip_prompt=True), max_new_tokens=6)
    assert capsys.readouterr().out == text[2:] + "\n"


def test_pieces_arrive_in_another_thread(table_model, letters):
    model, ids = table_model(vocabulary=60), torch.tensor([list(b"12")])
    streamer = TextIteratorStreamer(letters(), skip_prompt=True, timeout=20)
    settings = {"streamer": streamer, "max_new_tokens": 40, "inputs": ids}
    thread = threading.Thread(target=model.generate, kwargs=settings)
    thread.start()
    pieces = list(streamer)
    thread.join()
    out = model.generate(ids, max_new_tokens=40)
    assert "".join(pieces) == letters().decode(out[0, 2:].tolist())
    assert len(pieces) > 10


def test_an_error_reaches_both_threads(table_model, letters):
    def breaks(ids, scores):
        if ids.shape[1] > 4:
            raise RuntimeError("broken")
        return scores

    streamer = TextIteratorStreamer(letters(), skip_prompt=True, timeout=20)
    with pytest.raises(RuntimeError, match="broken"):
        table_model(vocabulary=60).generate(
            torch.tensor([[50, 51]]), streamer=streamer, logits_processor=[breaks]
        )
    with pytest.raises(RuntimeError, match="broken"):
        list(streamer)


def test_one_row_is_streamed(table_model, letters):
    with pytest.raises(ArgumentError, match="one row, but there are 2"):
        table_model().generate(torch.tensor([[5], [6]]), streamer=TextStreamer(letters()))
