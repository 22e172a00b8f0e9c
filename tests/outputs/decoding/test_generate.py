"""The loop: what comes out, in which layout, and that a row does not notice its neighbours."""

import logging

import pytest
import torch

from armature.errors import ArgumentError, UnknownArgumentError
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.settings import note
from armature.outputs.results import ModelOutput

PAD, END = 23, 3
PROMPTS = [[5], [7, 9, 4, 11], [6, 2], [13, 1, 8]]
NONE = torch.zeros(0, dtype=torch.long)


@pytest.fixture(autouse=True)
def _say_again():
    """Let notes be said in each test, though a process says them once."""
    note.cache_clear()


def padded(prompts, side, pad=PAD):
    width = max(map(len, prompts))
    ids, mask = [], []
    for number, prompt in enumerate(prompts):
        gap = width - len(prompt)
        left = {"left": gap, "right": 0, "both": gap // 2, "mixed": gap * (number % 2)}[side]
        ids.append([pad] * left + prompt + [pad] * (gap - left))
        mask.append([0] * left + [1] * len(prompt) + [0] * (gap - left))
    return torch.tensor(ids), torch.tensor(mask)


def new_tokens(out, width, ends=(END,), pad=PAD):
    """Cut each row's new tokens after its end; what follows must be padding."""
    rows = []
    for row in out[:, width:].tolist():
        stop = next((i + 1 for i, token in enumerate(row) if token in ends), len(row))
        assert set(row[stop:]) <= {pad}
        rows.append(row[:stop])
    return rows


STRATEGIES = {
    "greedy": {},
    "greedy, ends": {"eos_token_id": [END, 8, 14]},
    "penalties": {"repetition_penalty": 1.7, "no_repeat_ngram_size": 2, "eos_token_id": END},
    "from the prompt": {"encoder_no_repeat_ngram_size": 2, "encoder_repetition_penalty": 0.6},
    "lengths": {"max_length": 11, "min_length": 8, "eos_token_id": [END, 8, 14, 2, 6]},
    "forced": {"max_length": 11, "forced_eos_token_id": END, "forced_bos_token_id": 9},
    "sampling": {"do_sample": True, "seed": [11, 12, 13, 14], "top_k": 8, "eos_token_id": [END, 8]},
    "beams": {"num_beams": 3, "eos_token_id": [END, 8], "length_penalty": 0.5},
    "beams, early": {"num_beams": 3, "eos_token_id": [END, 8], "early_stopping": True},
    "beams, never": {"num_beams": 2, "eos_token_id": END, "early_stopping": "never"},
    "beams, lengths": {"num_beams": 3, "max_length": 12, "eos_token_id": [END, 8]},
    "beam sampling": {"num_beams": 3, "do_sample": True, "seed": [5, 6, 7, 8], "top_p": 0.95},
}


@pytest.mark.parametrize("side", ["left", "right", "both", "mixed"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_row_gets_what_it_gets_alone(table_model, name, side):
    settings = {"max_new_tokens": 9, "pad_token_id": PAD, **STRATEGIES[name]}
    if "max_length" in settings:
        del settings["max_new_tokens"]
    seeds = settings.pop("seed", [None] * len(PROMPTS))
    ends = settings.get("eos_token_id", ())
    ends = [ends] if isinstance(ends, int) else ends
    ids, mask = padded(PROMPTS, side)
    seed = None if seeds[0] is None else seeds
    out = table_model().generate(ids, attention_mask=mask, seed=seed, **settings)
    assert out[:, : ids.shape[1]].equal(ids)
    together = new_tokens(out, ids.shape[1], ends)
    for prompt, seed, row in zip(PROMPTS, seeds, together, strict=True):
        alone = table_model().generate(torch.tensor([prompt]), seed=seed, **settings)
        [alone] = new_tokens(alone, len(prompt), ends)
        assert row[: len(alone)] == alone
        assert set(row[len(alone) :]) <= {PAD}


def test_greedy_search_takes_the_best_token_each_time(table_model):
    model, ids = table_model(), torch.tensor([[5, 9]])
    expected = ids[0].tolist()
    for _ in range(300):  # more than a history makes room for at once
        steps = model.steps(torch.tensor([expected]), None, {}, 999)
        expected.append(int(steps.start().argmax()))
    assert model.generate(ids, max_new_tokens=300)[0].tolist() == expected


@pytest.mark.parametrize("strategy", [{}, {"num_beams": 3}, {"do_sample": True, "seed": 3}])
def test_rows_that_are_done_cost_nothing(table_model, strategy):
    settings = {
        "max_new_tokens": 30,
        "eos_token_id": [3, 8, 14, 20],
        "pad_token_id": PAD,
        **strategy,
    }
    ids, mask = padded(PROMPTS, "left")
    dropping, keeping = table_model(), table_model()
    out = dropping.generate(ids, attention_mask=mask, **settings)
    kept = keeping.generate(ids, attention_mask=mask, return_dict_in_generate=True, **settings)
    assert out.tolist() == kept.sequences.tolist()
    assert dropping.rows_run < keeping.rows_run


def test_the_padding_s_own_tokens_do_not_matter(table_model):
    outs = []
    for pad in (0, 5, 9):  # ids that the prompts hold, too
        ids, mask = padded(PROMPTS, "left", pad)
        out = table_model().generate(
            ids,
            attention_mask=mask,
            max_new_tokens=8,
            pad_token_id=PAD,
            repetition_penalty=2.0,
            no_repeat_ngram_size=1,
            encoder_no_repeat_ngram_size=1,
        )
        outs.append(out[:, ids.shape[1] :].tolist())
    assert outs[0] == outs[1] == outs[2]


def test_padding_is_found_by_the_padding_token(table_model):
    ids, mask = padded(PROMPTS, "left")
    with_mask = table_model().generate(ids, attention_mask=mask, pad_token_id=PAD)
    assert table_model().generate(ids, pad_token_id=PAD).equal(with_mask)
    without = table_model().generate(ids, pad_token_id=PAD, eos_token_id=PAD)  # here 0 may be said
    alone = table_model().generate(ids[:1], eos_token_id=PAD, attention_mask=torch.ones(1, 4))
    [alone], first = new_tokens(alone, 4, [PAD]), new_tokens(without, 4, [PAD])[0]
    assert first == alone


def test_an_encoder_decoder_answers_with_its_own_tokens(table_model):
    model = table_model(encoder=True, decoder_start_token_id=2, eos_token_id=END, pad_token_id=PAD)
    ids, mask = padded(PROMPTS, "right")
    out = model.generate(ids, attention_mask=mask, max_new_tokens=7)
    assert out[:, 0].tolist() == [2, 2, 2, 2]
    for prompt, row in zip(PROMPTS, new_tokens(out, 1), strict=True):
        alone = model.generate(input_ids=torch.tensor([prompt]), max_new_tokens=7)
        assert row == new_tokens(alone, 1)[0]
    begun = model.generate(
        ids, attention_mask=mask, decoder_input_ids=out[:, 1:3], max_new_tokens=3
    )
    assert begun[:, :3].equal(out[:, :3])
    starts = model.generate(ids, decoder_start_token_id=[4, 5, 6, 7], max_new_tokens=2)
    assert starts[:, 0].tolist() == [4, 5, 6, 7]


def test_several_texts_for_each_prompt_lie_below_each_other(table_model):
    ids = torch.tensor([[5, 6], [7, 8]])
    out = table_model().generate(
        ids, do_sample=True, num_return_sequences=3, max_new_tokens=6, seed=1
    )
    assert out[:, :2].tolist() == [[5, 6]] * 3 + [[7, 8]] * 3
    assert len({tuple(row) for row in out.tolist()}) == 6
    best = table_model().generate(ids, num_beams=4, num_return_sequences=2, max_new_tokens=6)
    first = table_model().generate(ids, num_beams=4, max_new_tokens=6)
    assert best[::2].equal(first)


def test_a_record_holds_every_step_s_scores(table_model):
    ids = torch.tensor([[5, 6], [7, 8]])
    out = table_model().generate(
        ids,
        max_new_tokens=4,
        suppress_tokens=[1],
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
    )
    assert isinstance(out, ModelOutput)
    assert list(out) == ["sequences", "scores", "logits"]
    assert len(out.scores) == len(out.logits) == 4
    assert out.sequences[:, 2:].equal(torch.stack([s.argmax(-1) for s in out.scores], 1))
    assert (out.scores[0][:, 1] == float("-inf")).all()
    assert out.logits[0].isfinite().all()


def test_results_are_ordinary_tensors(table_model):
    ids = torch.tensor([[5, 6]])
    out = table_model().generate(ids, max_new_tokens=2)
    out[out == 5] = -100  # what inference mode's tensors do not allow
    kept = table_model().generate(
        ids, num_beams=2, return_dict_in_generate=True, output_scores=True
    )
    for tensor in (kept.sequences, kept.sequences_scores, kept.beam_indices, kept.scores[0]):
        assert not tensor.is_inference()


def test_a_batch_may_be_passed_as_a_whole(table_model):
    ids, mask = padded(PROMPTS, "left")
    batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    expected = table_model().generate(ids, attention_mask=mask)
    assert table_model().generate(batch).equal(expected)
    assert table_model().generate(**batch).equal(expected)


def test_nothing_to_continue_begins_with_the_first_token(table_model):
    out = table_model(bos_token_id=4).generate(max_new_tokens=3)
    assert out.shape == (1, 4)
    assert out[0, 0] == 4
    with pytest.raises(ArgumentError, match="bos_token_id"):
        table_model().generate(max_new_tokens=3)


class TestLengths:
    def test_twenty_new_tokens_by_default(self, table_model):
        assert table_model().generate(torch.tensor([[5, 6, 7]])).shape == (1, 23)

    def test_max_length_counts_a_row_s_own_tokens(self, table_model):
        ids, mask = padded(PROMPTS, "left")
        out = table_model().generate(ids, attention_mask=mask, max_length=6, pad_token_id=PAD)
        assert out.shape == (4, 4 + 5)
        assert (out[1, 6:] == PAD).all()  # its prompt holds 4 tokens

    def test_new_tokens_come_before_the_whole_length(self, table_model, caplog):
        ids = torch.tensor([[5, 6, 7]])
        assert table_model().generate(ids, max_length=9, max_new_tokens=2).shape == (1, 5)
        assert "`max_length` has no effect beside `max_new_tokens=2`" in caplog.text

    def test_the_model_s_positions_bound_the_text(self, table_model, caplog):
        model, ids = table_model(max_positions=8), torch.tensor([[5, 6, 7]])
        assert model.generate(ids, max_new_tokens=50).shape == (1, 9)
        assert "8 positions" in caplog.text
        with pytest.raises(ArgumentError, match="9 tokens, but the model has positions for 8"):
            model.generate(torch.ones(1, 9, dtype=torch.long), max_new_tokens=1)

    def test_a_huge_limit_reserves_nothing(self, table_model):
        out = table_model(eos_token_id=[3, 8, 14]).generate(torch.tensor([[5]]), max_length=10**30)
        assert out[0, -1] in (3, 8, 14)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"max_new_tokens": 0}, "`max_new_tokens` should be a whole number, 1 or more"),
            ({"max_length": 3}, "leaves nothing of `max_length=3`"),
            ({"max_new_tokens": 2, "min_new_tokens": 3}, "is more than `max_new_tokens=2` allows"),
            ({"max_length": 5, "min_length": 6}, "is more than `max_length=5` allows"),
        ],
    )
    def test_impossible_lengths_are_refused(self, table_model, settings, words):
        with pytest.raises(ArgumentError, match=words):
            table_model().generate(torch.tensor([[5, 6, 7]]), **settings)

    def test_a_checkpoint_s_own_minimum_gives_way(self, table_model, caplog):
        model = table_model(min_length=30)
        assert model.generate(torch.tensor([[5]]), max_length=8).shape == (1, 8)
        assert "`min_length=30` cannot be reached" in caplog.text


class TestPrompts:
    @pytest.mark.parametrize(
        ("inputs", "words"),
        [
            ((torch.zeros(2, 0, dtype=torch.long),), "`input_ids` is empty"),
            ((torch.tensor([5, 6]),), r"shape \(rows, tokens\)"),
            ((torch.tensor([[0.5]]),), "token ids"),
            (("a text",), "tokenizer"),
            (([[5, 6]],), "but is list"),
        ],
    )
    def test_what_is_no_prompt_is_refused(self, table_model, inputs, words):
        with pytest.raises(ArgumentError, match=words):
            table_model().generate(*inputs)

    def test_an_empty_row_is_named(self, table_model):
        mask = torch.tensor([[1, 1], [0, 0]])
        with pytest.raises(ArgumentError, match="row 1 is empty"):
            table_model().generate(torch.tensor([[5, 6], [7, 8]]), attention_mask=mask)

    def test_a_mask_of_another_shape_is_refused(self, table_model):
        with pytest.raises(ArgumentError, match=r"\(1, 3\), but the ids are \(1, 2\)"):
            table_model().generate(torch.tensor([[5, 6]]), attention_mask=torch.ones(1, 3))

    def test_a_prompt_given_twice_is_refused(self, table_model):
        ids = torch.tensor([[5, 6]])
        with pytest.raises(ArgumentError, match="twice"):
            table_model().generate(ids, input_ids=ids)
        model = table_model(encoder=True, decoder_start_token_id=1)
        with pytest.raises(ArgumentError, match="pass one"):
            model.generate(ids, inputs_embeds=torch.ones(1, 2, 4))
        with pytest.raises(ArgumentError, match="nothing to read"):
            model.generate(max_new_tokens=2)

    def test_embeddings_do_not_begin_a_decoder_s_text(self, table_model):
        with pytest.raises(ArgumentError, match="pass `input_ids`"):
            table_model().generate(inputs_embeds=torch.ones(1, 2, 4))

    def test_token_types_that_say_something_are_not_dropped(self, table_model):
        ids, model = torch.tensor([[5, 6]]), table_model()
        model.input_names = {"input_ids", "attention_mask"}
        with pytest.raises(ArgumentError, match="token_type_ids"):
            model.generate(ids, token_type_ids=torch.ones_like(ids))


class TestArguments:
    def test_an_unknown_argument_is_refused_with_the_nearest(self, table_model):
        with pytest.raises(UnknownArgumentError, match="Did you mean `temperature`"):
            table_model().generate(torch.tensor([[5]]), temprature=0.5)
        with pytest.raises(UnknownArgumentError, match="Did you mean `streamer`"):
            table_model().generate(torch.tensor([[5]]), streamers=None)
        with pytest.raises(UnknownArgumentError, match="Did you mean `attention_mask`"):
            table_model().generate(torch.tensor([[5]]), attn_mask=None)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"num_return_sequences": 2}, "do_sample=True, or num_beams=2"),
            ({"num_beams": 2, "num_return_sequences": 3}, "num_beams=3 or more"),
            ({"do_sample": False, "top_p": 0.5}, "samples nothing"),
            ({"do_sample": True, "temperature": 0.0}, "leaves nothing to draw"),
            ({"do_sample": True, "temperature": -1.0}, "`temperature` should be"),
            ({"do_sample": True, "top_p": 1.5}, "`top_p` should be a number from 0 to 1"),
            ({"num_beams": 0}, "`num_beams` should be"),
            ({"early_stopping": "always", "num_beams": 2}, '"never"'),
            ({"suppress_tokens": [3], "forced_eos_token_id": 3}, "forbids"),
            ({"output_scores": True}, "return_dict_in_generate=True"),
            ({"return_dict_in_generate": True, "output_hidden_states": True}, "does not record"),
            ({"stop_strings": ["x"]}, "tokenizer=tokenizer"),
            ({"bad_words_ids": [[1, 99]]}, "holds 99"),
            ({"sequence_bias": [3]}, "sequence_bias"),
            ({"num_beams": 2, "streamer": object()}, "streamed"),
            ({"seed": [1, 2], "do_sample": True}, "2 numbers for 1 prompts"),
            ({"seed": -1, "do_sample": True}, "whole number"),
            ({"seed": 1.5, "do_sample": True}, "whole number"),
            ({"suppress_tokens": list(range(24))}, "no new token 1 for row 0"),
            ({"do_sample": True, "suppress_tokens": list(range(24))}, "no new token 1 for row 0"),
            ({"num_beams": 2, "suppress_tokens": list(range(24))}, "no new token 1 for row 0"),
        ],
    )
    def test_what_cannot_be_done_is_refused_with_the_reason(self, table_model, settings, words):
        with pytest.raises(ArgumentError, match=words):
            table_model().generate(torch.tensor([[5, 6]]), max_new_tokens=4, **settings)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"temperature": 0.5}, "without do_sample=True"),
            ({"length_penalty": 2.0}, "without num_beams=2 or more"),
            ({"low_memory": True}, "`low_memory` has no effect"),
        ],
    )
    def test_what_changes_nothing_is_said(self, table_model, settings, words, caplog):
        table_model().generate(torch.tensor([[5, 6]]), **settings)
        assert words in caplog.text

    def test_what_is_usual_is_not_commented(self, table_model, caplog):
        model = table_model(eos_token_id=END, do_sample=True, temperature=0.6, max_length=9)
        model.generate(torch.tensor([[5]]), do_sample=False, num_beams=1, use_cache=True)
        model.generate(torch.tensor([[5]]), temperature=0.0, do_sample=False)
        assert caplog.text == ""

    def test_a_missing_padding_token_is_said_once(self, table_model, caplog):
        model, ids = table_model(eos_token_id=[3, 8, 14, 20]), torch.tensor([[5, 6], [6, 9]])
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                out = model.generate(ids, max_new_tokens=30)
        assert caplog.text.count("filled with 3") == 1
        assert out[:, -1].tolist() != out[:, -2].tolist()
        assert new_tokens(out, 2, [3, 8, 14, 20], pad=3)

    def test_none_of_an_argument_switches_it_off(self, table_model):
        model = table_model(eos_token_id=[3, 8, 14, 20])
        assert model.generate(torch.tensor([[5]]), eos_token_id=None).shape == (1, 21)

    def test_the_caller_comes_before_the_given_and_the_given_before_the_own(self, table_model):
        ids = torch.tensor([[5]])
        model = table_model(max_new_tokens=3, suppress_tokens=[1])
        given = GenerationConfig(max_new_tokens=4, eos_token_id=None)
        assert model.generate(ids).shape == (1, 4)
        assert model.generate(ids, generation_config=given).shape == (1, 5)
        assert model.generate(ids, given, max_new_tokens=6).shape == (1, 7)

    def test_a_caller_s_own_controls_see_rows_as_if_padded_on_the_left(self, table_model):
        seen = []

        def control(ids, scores):
            seen.append(ids.clone())
            scores[:, 9] = 100.0  # in place: what the model gave stays as it was
            return scores

        ids, mask = padded(PROMPTS, "right")
        out = table_model().generate(
            ids,
            attention_mask=mask,
            logits_processor=[control],
            max_new_tokens=3,
            pad_token_id=PAD,
            eos_token_id=9,
        )
        assert out[:, 4:].tolist() == [[9]] * 4
        assert seen[0].tolist() == padded(PROMPTS, "left")[0].tolist()
        kept = table_model().generate(
            ids[:1], logits_processor=control, return_dict_in_generate=True, output_logits=True
        )
        assert (kept.logits[0] < 50).all()

    @pytest.mark.parametrize("beams", [1, 2])
    def test_only_allowed_tokens_are_said(self, table_model, beams):
        def allowed(row, ids):
            return [4, 5] if row == 0 else [int(ids[-1]) + 1]

        ids = torch.tensor([[5, 6], [5, 6]])
        out = table_model().generate(
            ids, prefix_allowed_tokens_fn=allowed, max_new_tokens=4, num_beams=beams
        )
        assert set(out[0, 2:].tolist()) <= {4, 5}
        assert out[1].tolist() == [5, 6, 7, 8, 9, 10]
        with pytest.raises(ArgumentError, match="allows nothing in row 0"):
            table_model().generate(ids, prefix_allowed_tokens_fn=lambda row, ids: [])
