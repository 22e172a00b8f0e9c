"""Guidance by a second prompt, and penalties of what was said."""

import pytest
import torch

from armature.errors import ArgumentError

IDS = torch.tensor([[5, 6], [9, 1]])
NEGATIVE = torch.tensor([[4, 4, 7], [0, 8, 2]])
MASK = torch.tensor([[1, 1, 1], [0, 1, 1]])


def scores_of(model, text):
    return model.steps(torch.tensor([text]), None, {}, 99).start()[0].log_softmax(-1)


@pytest.mark.parametrize("scale", [1.7, 0.5])
@pytest.mark.parametrize("ways", [{}, {"repetition_penalty": 1.3, "suppress_tokens": [2, 3]}])
def test_scores_are_led_away_from_the_second_prompt(table_model, scale, ways):
    model, texts = table_model(), IDS.tolist()
    out = model.generate(
        IDS, negative_prompt_ids=NEGATIVE, negative_prompt_attention_mask=MASK,
        guidance_scale=scale, max_new_tokens=8, return_dict_in_generate=True, output_logits=True,
        output_scores=True, **ways,
    )  # fmt: skip
    for row, negative in enumerate(([4, 4, 7], [8, 2])):
        said = out.sequences[row, 2:].tolist()
        for step, token in enumerate(said):
            own = scores_of(model, texts[row] + said[:step])
            other = scores_of(model, negative + said[:step])
            expected = other + scale * (own - other)
            raw = out.logits[step][row].log_softmax(-1)
            torch.testing.assert_close(raw, own, rtol=1e-5, atol=1e-5)
            if not ways:
                torch.testing.assert_close(out.scores[step][row], expected, rtol=1e-5, atol=1e-5)
                assert token == int(expected.argmax())


@pytest.mark.parametrize("ways", [{"num_beams": 3}, {"do_sample": True, "seed": [4, 5]}, {}])
def test_a_row_is_guided_as_it_would_be_alone(table_model, ways):
    settings = {"guidance_scale": 2.0, "max_new_tokens": 7, **ways}
    together = table_model().generate(
        IDS, negative_prompt_ids=NEGATIVE, negative_prompt_attention_mask=MASK, **settings
    )
    for row, negative in enumerate(([[4, 4, 7]], [[8, 2]])):
        if "seed" in settings:
            settings["seed"] = ways["seed"][row]
        alone = table_model().generate(
            IDS[row : row + 1], negative_prompt_ids=torch.tensor(negative), **settings
        )
        assert alone[0].equal(together[row])


def test_without_a_second_prompt_the_last_token_guides(table_model):
    ids, mask = torch.tensor([[5, 6, 0], [9, 1, 2]]), torch.tensor([[1, 1, 0], [1, 1, 1]])
    expected = table_model().generate(
        ids, attention_mask=mask, guidance_scale=1.5, negative_prompt_ids=torch.tensor([[6], [2]])
    )
    assert table_model().generate(ids, attention_mask=mask, guidance_scale=1.5).equal(expected)


def test_guided_texts_are_the_same_with_drafts(table_model):
    settings = {"guidance_scale": 1.8, "max_new_tokens": 20}
    plain = table_model().generate(IDS, **settings)
    assert table_model().generate(IDS, prompt_lookup_num_tokens=3, **settings).equal(plain)


@pytest.mark.parametrize("beams", [1, 2])
def test_penalties_count_what_was_said_since_the_prompt(table_model, beams):
    out = table_model().generate(
        IDS, presence_penalty=0.7, frequency_penalty=-0.4, max_new_tokens=14, num_beams=beams,
        return_dict_in_generate=True, output_scores=True, output_logits=True,
    )  # fmt: skip
    if beams == 1:
        for row in range(2):
            said = out.sequences[row, 2:].tolist()
            for step in range(14):
                counts = torch.tensor([*said[:step], 0]).bincount(minlength=24).float()
                counts[0] -= 1
                expected = out.logits[step][row] - 0.7 * (counts > 0) + 0.4 * counts
                torch.testing.assert_close(out.scores[step][row], expected)
    never = table_model().generate(IDS, frequency_penalty=100.0, max_new_tokens=24)
    assert all(len(set(row)) == 24 for row in never[:, 2:].tolist())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"negative_prompt_ids": NEGATIVE}, "pass guidance_scale=1.5"),
        ({"guidance_scale": 2.0, "negative_prompt_ids": NEGATIVE[:1]}, r"shape \(2, tokens\)"),
        ({"guidance_scale": 2.0, "negative_prompt_ids": [[1]]}, "but is list"),
        (
            {
                "guidance_scale": 2.0,
                "negative_prompt_ids": NEGATIVE,
                "negative_prompt_attention_mask": MASK[:, :2],
            },
            "negative_prompt_attention_mask",
        ),
        ({"guidance_scale": 0}, "above 0"),
        ({"presence_penalty": "much"}, "a number"),
    ],
)
def test_what_cannot_be_done_is_refused(table_model, settings, words):
    with pytest.raises(ArgumentError, match=words):
        table_model().generate(IDS, **settings)
    with pytest.raises(ArgumentError, match="an encoder reads the prompt"):
        table_model(encoder=True, decoder_start_token_id=1).generate(IDS, guidance_scale=2.0)
