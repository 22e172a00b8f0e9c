"""When rows are done: end tokens, stop strings, time, and the caller's own rules."""

import time

import pytest
import torch

from armature.errors import ArgumentError
from armature.outputs.decoding.stop import MaxTime, StoppingCriteriaList, StopStrings


class Says:
    """A control that makes the model say a given text, byte by byte."""

    def __init__(self, ids, prompt):
        self.ids, self.prompt = ids, prompt

    def __call__(self, ids, scores):
        wanted = self.ids[(ids.shape[1] - self.prompt) % len(self.ids)]
        return torch.full_like(scores, -100.0).index_fill(1, torch.tensor([wanted]), 0.0)


class TestStopStrings:
    def ended(self, tokenizer, ids, *stops):
        return StopStrings(tokenizer, list(stops))(torch.tensor([ids])).tolist() == [True]

    def test_a_text_ends_a_row_when_its_last_token_completes_it(self, letters):
        tokenizer = letters(pairs=[b"op", b"ps", b"p!"])
        assert self.ended(tokenizer, [*b"non st", 256], "stop")
        assert self.ended(tokenizer, [*b"non sto", 258], "stop")  # "stop!" holds more than asked
        assert self.ended(tokenizer, list(b"ab"), "x", "b")
        assert not self.ended(tokenizer, list(b"non sto"), "stop")

    def test_an_earlier_one_does_not(self, letters):
        assert not self.ended(letters(), list(b"stop it"), "stop")
        assert not self.ended(letters(), list(b"aab"), "aa")
        assert self.ended(letters(), list(b"aaa"), "aa")

    def test_characters_of_several_bytes_count_when_complete(self, letters):
        ids = list("他说完".encode())
        assert self.ended(letters(), ids, "完")
        assert not self.ended(letters(), ids[:-1], "完")
        assert self.ended(letters(), ids, "说完")

    def test_a_word_s_second_half_is_not_read_as_its_beginning(self):
        class Halves:
            def decode(self, ids, **options):
                words = " ".join(("un", "##do", "it", "now")[i] for i in ids)
                return words.replace(" ##", "")

        assert not self.ended(Halves(), [0, 1, 2, 3], "#do it now")
        assert not self.ended(Halves(), [0, 1, 2], "##d")
        assert self.ended(Halves(), [0, 1, 2, 3], "do it now")

    def test_a_special_token_is_text_too(self, letters):
        assert self.ended(letters(), [*b"ok", 300], "</s>")

    def test_nothing_is_no_text(self, letters):
        for wrong in ([], "", [3]):
            with pytest.raises(ArgumentError, match="stop_strings"):
                StopStrings(letters(), wrong)

    @pytest.mark.parametrize("beams", [1, 2])
    def test_rows_end_by_themselves(self, table_model, letters, beams):
        out = table_model(vocabulary=130).generate(
            torch.tensor([[5, 6], [7, 8]]),
            logits_processor=Says(list(b"one two "), 2),
            stop_strings="two",
            tokenizer=letters(),
            max_new_tokens=20,
            pad_token_id=1,
            num_beams=beams,
        )
        assert bytes(out[0, 2:].tolist()) == b"one two"

    def test_only_the_last_tokens_are_decoded(self, table_model, letters):
        tokenizer = letters()
        table_model(vocabulary=130).generate(
            torch.ones(1, 200, dtype=torch.long),
            stop_strings=["\x00\x01\x02"],
            tokenizer=tokenizer,
            max_new_tokens=10,
        )
        assert tokenizer.decoded <= 10 * 2 * 5


def test_time_ends_all_rows(table_model):
    def slow(ids, scores):
        time.sleep(0.02)
        return scores

    begun = time.monotonic()
    out = table_model().generate(
        torch.tensor([[5], [6]]), max_time=0.1, max_new_tokens=1000, logits_processor=[slow]
    )
    assert time.monotonic() - begun < 15
    assert 2 <= out.shape[1] < 100
    assert MaxTime(0)(out)
    assert not MaxTime(100)(out)


def test_any_of_several_end_tokens_ends_a_row(table_model):
    out = table_model(eos_token_id=[3, 8, 14]).generate(
        torch.tensor([[5, 6], [9, 1]]), max_new_tokens=50, pad_token_id=0
    )
    for row in out[:, 2:].tolist():
        said = [token for token in row if token != 0]
        assert said[-1] in (3, 8, 14)
        assert not {3, 8, 14} & set(said[:-1])


def test_a_caller_s_own_rules(table_model):
    seen = []

    def long_enough(ids, scores, **kwargs):
        seen.append((tuple(ids.shape), scores))
        return ids.shape[1] >= 6

    def first_row(ids, scores):
        return torch.tensor([True, False])

    ids = torch.tensor([[5, 6], [7, 8]])
    out = table_model().generate(ids, stopping_criteria=[long_enough], max_new_tokens=50)
    assert out.shape == (2, 6)
    assert seen[0] == ((2, 3), None)
    both = StoppingCriteriaList([long_enough, first_row])
    out = table_model().generate(ids, stopping_criteria=both, max_new_tokens=50, pad_token_id=0)
    assert out[0, 3:].tolist() == [0, 0, 0]
    assert both(out, None).tolist() == [True, True]
    out = table_model().generate(ids, stopping_criteria=long_enough, num_beams=2)
    assert out.shape == (2, 6)
