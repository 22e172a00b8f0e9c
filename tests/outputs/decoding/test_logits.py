"""Each control on scores, against a plain account of what it does."""

import math

import pytest
import torch

from armature.errors import ArgumentError
from armature.outputs.decoding import logits

NEVER = float("-inf")
RANDOM = torch.Generator().manual_seed(2)
SCORES = torch.randn(5, 40, generator=RANDOM) * 3
IDS = torch.randint(0, 6, (5, 12), generator=RANDOM)


def kept(scores):
    return [{i for i, score in enumerate(row) if score != NEVER} for row in scores.tolist()]


class TestTopKTopP:
    def test_the_best_k_stay(self):
        best = [set(row) for row in SCORES.topk(7).indices.tolist()]
        assert kept(logits.top_k_top_p_filtering(SCORES, top_k=7)) == best
        assert kept(logits.top_k_top_p_filtering(SCORES, top_k=2, min_tokens_to_keep=7)) == best

    def test_the_fewest_that_reach_p_stay(self):
        for p in (0.0, 0.3, 0.8, 0.999):
            for row, found in zip(SCORES, kept(logits.top_p_filter(SCORES, p)), strict=True):
                order = row.argsort(descending=True).tolist()
                reached = row.softmax(-1)[order].cumsum(-1).tolist()
                count = 1 + sum(total < p for total in reached[:-1])
                assert found == set(order[:count])

    def test_p_of_what_k_left(self):
        for k in (3, 9, 30):  # few survivors are ordered by themselves, many with all
            both = logits.top_k_top_p_filtering(SCORES, top_k=k, top_p=0.8)
            apart = logits.top_k_filter(SCORES, k)
            index = apart.argsort(descending=True)
            total = apart.softmax(-1).gather(1, index).cumsum(1)
            for row in range(len(SCORES)):
                count = 1 + int((total[row, : k - 1] < 0.8).sum())
                assert kept(both)[row] == set(index[row, :count].tolist())

    def test_at_least_so_many_stay(self):
        for k in (0, 6):
            found = logits.top_k_top_p_filtering(SCORES, k, 0.01, min_tokens_to_keep=4)
            assert [len(row) for row in kept(found)] == [4] * 5

    def test_tokens_that_score_the_same_stay_together(self):
        flat = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
        assert kept(logits.top_k_filter(flat, 2)) == [{0, 1, 2}]

    def test_what_is_left_out_gets_the_value_asked_for(self):
        found = logits.top_k_top_p_filtering(SCORES, top_k=3, top_p=0.9, filter_value=-7.0)
        out = torch.tensor(
            [
                [i in row for i in range(40)]
                for row in kept(logits.top_k_top_p_filtering(SCORES, top_k=3, top_p=0.9))
            ]
        )
        assert (found[~out] == -7.0).all()
        assert found[out].equal(SCORES[out])

    def test_nothing_asked_changes_nothing(self):
        before = SCORES.clone()
        assert logits.top_k_top_p_filtering(SCORES).equal(SCORES)
        logits.top_k_top_p_filtering(SCORES, 3, 0.5)
        assert SCORES.equal(before)

    def test_one_row_may_come_alone(self):
        found = logits.top_k_top_p_filtering(SCORES[0], top_k=5, top_p=0.9)
        assert found.equal(logits.top_k_top_p_filtering(SCORES[:1], top_k=5, top_p=0.9)[0])

    @pytest.mark.parametrize("wrong", [{"top_k": -1}, {"top_p": 1.2}, {"min_tokens_to_keep": 0}])
    def test_impossible_values_are_refused(self, wrong):
        with pytest.raises(ArgumentError, match="top_k_top_p_filtering"):
            logits.top_k_top_p_filtering(SCORES, **wrong)


class TestRepetition:
    def test_said_tokens_become_less_likely_once(self):
        found = logits.repetition_penalty(SCORES, IDS, 1.5)
        for row in range(5):
            for token in range(40):
                score = float(SCORES[row, token])
                if token in IDS[row].tolist():
                    score = score * 1.5 if score < 0 else score / 1.5
                assert float(found[row, token]) == pytest.approx(score)

    def test_padding_and_unscored_ids_are_left_alone(self):
        ids = torch.tensor([[-1, -1, 40, 99]]).expand(5, -1)
        assert logits.repetition_penalty(SCORES, ids, 1.5).equal(SCORES)

    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    def test_no_run_is_said_twice(self, size):
        ids = IDS.clone()
        ids[2, :7] = -1
        for row, allowed in enumerate(kept(logits.no_repeat_ngram(SCORES, ids, size, ids))):
            said = [token for token in ids[row].tolist() if token >= 0]
            runs = {tuple(said[i : i + size]) for i in range(len(said) - size + 1)}
            begun = tuple(said[len(said) - size + 1 :])
            assert allowed == {token for token in range(40) if (*begun, token) not in runs}

    def test_no_run_of_another_text_is_said(self):
        source = torch.tensor([[4, 5, 6, -2, -2], [6, 4, 5, 1, 2]])
        ids = torch.tensor([[9, 4], [9, 4]])
        found = kept(logits.no_repeat_ngram(SCORES[:2], ids, 2, source))
        assert [set(range(40)) - row for row in found] == [{5}, {5}]
        short = logits.no_repeat_ngram(SCORES[:2], ids[:, :1], 3, source)
        assert short.equal(SCORES[:2])


class TestWords:
    def test_a_bias_is_added_after_its_prefix(self):
        ids = torch.tensor([[1, 2], [2, 1]])
        prefixes, ends = torch.tensor([[1, 2], [2, 1]]), torch.tensor([7, 8])
        found = logits.sequence_bias(SCORES[:2], ids, prefixes, ends, torch.tensor([3.0, NEVER]))
        changed = (found != SCORES[:2]).nonzero().tolist()
        assert changed == [[0, 7], [1, 8]]
        assert float(found[0, 7]) == pytest.approx(float(SCORES[0, 7]) + 3)
        assert float(found[1, 8]) == NEVER

    def test_what_is_forced_is_all_there_is(self):
        tokens, rows = torch.tensor([4, 9]), torch.tensor([True, False, True, False, False])
        assert kept(logits.force(SCORES, tokens, rows))[:2] == [{4, 9}, set(range(40))]
        assert kept(logits.forbid(SCORES, tokens, rows))[:2] == [
            set(range(40)) - {4, 9},
            set(range(40)),
        ]

    def test_invalid_values_become_numbers(self):
        found = logits.remove_invalid_values(torch.tensor([[math.nan, math.inf, -math.inf, 2.0]]))
        largest = torch.finfo(torch.float32).max
        assert found.tolist() == [[0.0, largest, -largest, 2.0]]

    def test_ends_grow_by_their_size(self):
        scores = torch.tensor([[-2.0, 3.0, 1.0, NEVER]])
        found = logits.grow(scores, torch.tensor([0, 1, 3]), 0.5)
        assert found.tolist() == [[-1.0, 4.5, 1.0, NEVER]]


def test_likely_enough_for_the_entropy_stays():
    found = kept(logits.eta_filter(SCORES, 0.05))
    for row, allowed in zip(SCORES, found, strict=True):
        probabilities = row.softmax(-1)
        entropy = -(probabilities * probabilities.log()).sum()
        bound = min(0.05, math.sqrt(0.05) * math.exp(-float(entropy)))
        assert allowed == {i for i, p in enumerate(probabilities.tolist()) if p >= bound}
    assert all(len(row) == 3 for row in kept(logits.epsilon_filter(SCORES, 0.999, keep=3)))


def test_a_share_of_the_entropy_stays():
    [found] = kept(logits.top_h_filter(torch.tensor([[4.0, 3.0, 2.0, 0.0]]), 0.5))
    assert found == {0}
    [every] = kept(logits.top_h_filter(torch.tensor([[4.0, 3.0, 2.0, 0.0]]), 1.0))
    assert {0, 1, 2} <= every
