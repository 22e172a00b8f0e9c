"""Token healing: a prompt's last token is chosen anew among those that begin with it."""

import pytest
import torch

from armature.errors import ArgumentError

WORDS = ["</s>", "a", "b", "c", " ", "ab", "abc", "abb", "ca", "cab", "bc", "x"]
PAD = 11


class Words:
    """A tokenizer that reads the longest word at each place."""

    def get_vocab(self):
        return {word: token for token, word in enumerate(WORDS)}

    def convert_ids_to_tokens(self, ids):
        return [WORDS[token] for token in ids]

    def decode(self, ids, skip_special_tokens=False):
        return "".join(WORDS[token] for token in ids if token or not skip_special_tokens)

    def __call__(self, text):
        ids = []
        while text:
            word = max((w for w in WORDS if text.startswith(w)), key=len)
            ids.append(WORDS.index(word))
            text = text[len(word) :]
        return {"input_ids": ids}


@pytest.mark.parametrize("start", range(1, 10))
def test_the_likeliest_token_that_goes_on_takes_the_last_one_s_place(table_model, start):
    model, words = table_model(vocabulary=12), Words()
    for last in (1, 5, 3):
        ids = torch.tensor([[start, last]])
        out = model.generate(ids, token_healing=True, tokenizer=words, max_new_tokens=3)
        may = [t for t, word in enumerate(WORDS) if word.startswith(WORDS[last])]
        scores = model.steps(torch.tensor([[start]]), None, {}, 9).start()[0].clone()
        scores[last] += 1
        expected = max(may, key=lambda token: float(scores[token]))
        assert out[0, :2].tolist() == [start, expected]
        plain = model.generate(torch.tensor([[start, expected]]), max_new_tokens=3)
        assert out.equal(plain)


def test_spaces_at_the_end_go_and_rows_of_a_batch_are_as_alone(table_model):
    model, words = table_model(vocabulary=12, pad_token_id=PAD), Words()
    ids, mask = torch.tensor([[PAD, 2, 1, 4], [3, 2, 1, 3]]), torch.tensor([[0, 1, 1, 1], [1] * 4])
    settings = {"token_healing": True, "tokenizer": words, "max_new_tokens": 4}
    out = model.generate(ids, attention_mask=mask, **settings)
    first = model.generate(torch.tensor([[2, 1]]), **settings)
    second = model.generate(ids[1:], **settings)
    assert out[0].tolist() == [PAD, PAD, *first[0].tolist()]
    assert out[1].tolist() == second[0].tolist()


def test_a_single_token_is_mended_after_the_first(table_model):
    model, words = table_model(vocabulary=12, bos_token_id=0), Words()
    out = model.generate(torch.tensor([[1]]), token_healing=True, tokenizer=words, max_new_tokens=2)
    assert WORDS[int(out[0, 0])].startswith("a")
    alone = table_model(vocabulary=12).generate(
        torch.tensor([[1]]), token_healing=True, tokenizer=words, max_new_tokens=2
    )
    assert alone[0, 0] == 1


def test_what_cannot_be_healed_is_refused(table_model):
    ids = torch.tensor([[1]])
    with pytest.raises(ArgumentError, match="pass tokenizer=tokenizer"):
        table_model().generate(ids, token_healing=True)
    with pytest.raises(ArgumentError, match="an encoder reads it"):
        table_model(encoder=True, decoder_start_token_id=1).generate(
            ids, token_healing=True, tokenizer=Words()
        )
