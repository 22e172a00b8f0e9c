"""What a generation showed of its passes is what a forward pass of the whole text shows."""

import json
from pathlib import Path

import pytest
import torch

from armature.auto import model_class

GOLDEN = Path(__file__).parents[2] / "golden" / "arch"
IDS = torch.tensor([[0, 0, 7, 8, 9], [5, 6, 11, 12, 13]])
MASK = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
SHOW = {
    "return_dict_in_generate": True, "output_attentions": True, "output_hidden_states": True,
    "max_new_tokens": 4, "eos_token_id": None, "pad_token_id": 0,
}  # fmt: skip


def opened(name):
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    return model_class(kind).from_pretrained(GOLDEN / name)


@pytest.mark.parametrize("name", ["llama-biases", "bloom-normed"])
@pytest.mark.parametrize("copies", [1, 2])
def test_a_decoder_s_passes_are_those_of_its_whole_text(name, copies):
    model = opened(name)
    ways = {"do_sample": True, "num_return_sequences": 2, "seed": 1} if copies > 1 else {}
    out = model.generate(IDS, attention_mask=MASK, **SHOW, **ways)
    mask = torch.cat([MASK, torch.ones(2, 4, dtype=torch.long)], 1).repeat_interleave(copies, 0)
    whole = model(
        out.sequences, attention_mask=mask, output_hidden_states=True, output_attentions=True
    )
    assert len(out.hidden_states) == len(out.attentions) == 4
    assert [one[0].shape[1] for one in out.hidden_states] == [5, 1, 1, 1]
    for layer, states in enumerate(whole.hidden_states):
        found = torch.cat([one[layer] for one in out.hidden_states], 1)
        torch.testing.assert_close(found, states[:, :8], rtol=1e-5, atol=1e-5)
    for layer, shares in enumerate(whole.attentions):
        for step in range(1, 4):
            found = out.attentions[step][layer]
            torch.testing.assert_close(found, shares[:, :, [4 + step], : 5 + step])


def test_moved_rows_look_at_their_own_memories_where_these_stand():
    model = opened("bart-untied")
    drawn = {"do_sample": True, "num_return_sequences": 2, "seed": 3}
    out = model.generate(IDS, attention_mask=MASK, **SHOW, **drawn)
    ids, mask = (x.repeat_interleave(2, 0) for x in (IDS, MASK))
    whole = model(
        input_ids=ids,
        attention_mask=mask,
        decoder_input_ids=out.sequences,
        output_attentions=True,
    )
    for step, layers in enumerate(out.cross_attentions):
        for found, shares in zip(layers, whole.cross_attentions, strict=True):
            torch.testing.assert_close(found[:, :, -1], shares[:, :, step], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("beams", [1, 2])
def test_an_encoder_decoder_shows_both_stacks(beams):
    model = opened("bart-untied")
    out = model.generate(IDS, attention_mask=MASK, num_beams=beams, **SHOW)
    assert len(out.encoder_hidden_states) == model.body.encoder.depth + 1
    assert len(out.decoder_hidden_states) == len(out.cross_attentions) == 4
    assert {len(one[0]) for one in out.decoder_hidden_states} == {2 * beams}
    assert {one[0].shape[-1] for one in out.cross_attentions} == {5}
    if beams == 1:
        whole = model(
            input_ids=IDS,
            attention_mask=MASK,
            decoder_input_ids=out.sequences,
            output_attentions=True,
        )
        for step, layers in enumerate(out.cross_attentions):
            for found, shares in zip(layers, whole.cross_attentions, strict=True):
                torch.testing.assert_close(found[:, :, -1], shares[:, :, step])
        torch.testing.assert_close(out.encoder_attentions, whole.encoder_attentions)


def test_the_cache_of_a_result_holds_each_row_up_to_its_end():
    model = opened("llama-biases")
    plain = model.generate(IDS, attention_mask=MASK, max_new_tokens=6, eos_token_id=None)
    end = int(plain[0, 6])  # the first row's second new token
    assert end not in plain[1, 5:]
    out = model.generate(
        IDS, attention_mask=MASK, max_new_tokens=6, eos_token_id=end, pad_token_id=0,
        return_dict_in_generate=True,
    )  # fmt: skip
    assert out.past_key_values.lengths == (3 + 1, 5 + 5)
    assert not out.past_key_values.layer(0).keys.is_inference()


def test_a_row_that_ends_where_positions_do_waits_for_longer_ones():
    model = opened("gpt2-untied")
    ids = torch.randint(6, 50, (2, model.max_positions - 3))
    mask = torch.ones_like(ids)
    mask[1, :-4] = 0  # this one has room for more
    how = {"max_new_tokens": 7, "eos_token_id": None, "pad_token_id": 0, "output_scores": True}
    for beams in (1, 2):
        both = model.generate(
            ids, attention_mask=mask, num_beams=beams, return_dict_in_generate=True, **how
        )
        alone = model.generate(ids[1:, -4:], num_beams=beams, max_new_tokens=7, eos_token_id=None)
        assert both.sequences[1, -7:].tolist() == alone[0, -7:].tolist()
