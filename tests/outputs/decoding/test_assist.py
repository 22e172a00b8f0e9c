"""Drafts change how fast a text comes, and never which."""

import json
from pathlib import Path

import pytest
import torch

from armature import Cache
from armature.auto import model_class
from armature.errors import ArgumentError
from armature.outputs.decoding.drafts import looked_up

GOLDEN = Path(__file__).parents[2] / "golden" / "arch"
PROMPTS = torch.randint(0, 24, (24, 4), generator=torch.Generator().manual_seed(3))
MASK = (torch.arange(4) >= torch.arange(24)[:, None] % 4).long()

CONTROLS = [
    {},
    {"eos_token_id": [3, 8]},
    {"repetition_penalty": 1.6, "no_repeat_ngram_size": 3, "eos_token_id": 3, "min_new_tokens": 9},
    {"forced_bos_token_id": 5, "forced_eos_token_id": 7, "suppress_tokens": [1, 2]},
    {"bad_words_ids": [[4, 5], [9]], "sequence_bias": [[[6], 3.0]], "eos_token_id": [3, 8, 11]},
    {"max_length": 19, "min_length": 12, "eos_token_id": [3, 8, 14, 2, 6]},
]
SAMPLED = {"do_sample": True, "temperature": 1.2, "top_k": 9, "seed": list(range(24))}
DRAFTERS = ["lookup", "good", "bad", "unsure"]


def drafting(table_model, kind, **options):
    if kind == "lookup":
        return {"prompt_lookup_num_tokens": 4, "max_matching_ngram_size": 2}
    wrong = {"good": 0.5, "bad": 40.0, "unsure": 3.0}[kind]
    schedule = {"good": "heuristic_transient", "bad": "constant", "unsure": "heuristic"}[kind]
    return {
        "assistant_model": table_model(wrong=wrong, **options), "num_assistant_tokens": 3,
        "num_assistant_tokens_schedule": schedule,
        "assistant_confidence_threshold": 0.6 if kind == "unsure" else 0.0,
    }  # fmt: skip


@pytest.mark.parametrize("drafter", DRAFTERS)
@pytest.mark.parametrize("settings", CONTROLS, ids=str)
@pytest.mark.parametrize("ways", [{}, SAMPLED], ids=["greedy", "sampled"])
def test_a_text_is_the_same_with_drafts(table_model, drafter, settings, ways):
    settings = {"max_new_tokens": 15, "pad_token_id": 23, **settings, **ways}
    if "max_length" in settings:
        del settings["max_new_tokens"]
    drafts = drafting(table_model, drafter)
    plain = table_model().generate(PROMPTS, attention_mask=MASK, **settings)
    found = table_model().generate(PROMPTS, attention_mask=MASK, **settings, **drafts)
    assert found.equal(plain)
    for row in range(4):
        if "seed" in settings:
            settings["seed"] = row
        one = PROMPTS[row : row + 1], MASK[row : row + 1]
        plain = table_model().generate(one[0], attention_mask=one[1], **settings)
        found = table_model().generate(one[0], attention_mask=one[1], **settings, **drafts)
        assert found.equal(plain)


@pytest.mark.parametrize("drafter", DRAFTERS)
def test_an_encoder_decoder_drafts_too(table_model, drafter):
    own = {"encoder": True, "decoder_start_token_id": 2, "eos_token_id": [3, 8], "pad_token_id": 23}
    drafts = drafting(table_model, drafter, **own)
    plain = table_model(**own).generate(PROMPTS, attention_mask=MASK, max_new_tokens=20)
    found = table_model(**own).generate(PROMPTS, attention_mask=MASK, max_new_tokens=20, **drafts)
    assert found.equal(plain)


@pytest.mark.parametrize("drafter", ["lookup", "good"])
def test_good_drafts_save_passes(table_model, drafter):
    plain, drafted = table_model(), table_model()
    ids = PROMPTS[:1]
    settings = {"max_new_tokens": 120}
    plain.generate(ids, **settings)
    drafted.generate(ids, **settings, **drafting(table_model, drafter))
    assert drafted.passes < plain.passes * 0.7


def test_drafts_are_drawn_from_the_model_s_distribution(table_model):
    model, rows = table_model(vocabulary=4), 1200
    ids = torch.tensor([[1, 2]]).expand(rows, 2)
    torch.manual_seed(5)
    drafts = {"assistant_model": table_model(vocabulary=4, wrong=4.0), "num_assistant_tokens": 2}
    out = model.generate(
        ids, do_sample=True, top_k=0, temperature=2.0, max_new_tokens=3, pad_token_id=0,
        assistant_confidence_threshold=0.0, **drafts,
    )  # fmt: skip
    first = (model.steps(torch.tensor([[1, 2]]), None, {}, 9).start()[0] / 2.0).softmax(-1)
    after = model.steps(torch.tensor([[2, token] for token in range(4)]), None, {}, 9)
    second = after.start() / 2.0
    expected = (first[:, None, None] * second.softmax(-1)[..., None]).expand(4, 4, 4).clone()
    for a in range(4):
        pairs = torch.tensor([[a, b] for b in range(4)])
        expected[a] *= (model.steps(pairs, None, {}, 9).start() / 2.0).softmax(-1)
    counts = (out[:, 2] * 16 + out[:, 3] * 4 + out[:, 4]).bincount(minlength=64).float()
    kept = expected.flatten() * rows > 5
    value = ((counts - expected.flatten() * rows) ** 2 / (expected.flatten() * rows))[kept].sum()
    assert value < float(kept.sum()) + 4 * (2 * float(kept.sum())) ** 0.5
    again = model.generate(
        ids[:50], do_sample=True, top_k=0, temperature=2.0, max_new_tokens=3, **drafts
    )
    assert not again[:, 2:].equal(out[:50, 2:])  # the global random state has moved on


def test_a_record_holds_what_plain_search_records(table_model):
    settings = {
        "max_new_tokens": 12, "eos_token_id": 3, "pad_token_id": 0, "repetition_penalty": 1.3,
        "return_dict_in_generate": True, "output_scores": True, "output_logits": True,
    }  # fmt: skip
    ids = PROMPTS[3:4]
    plain = table_model().generate(ids, **settings)
    found = table_model().generate(ids, **settings, **drafting(table_model, "good"))
    assert found.sequences.equal(plain.sequences)
    for name in ("scores", "logits"):
        assert torch.stack(found[name]).equal(torch.stack(plain[name]))


def test_tokens_are_streamed_as_they_are_found(table_model):
    class Heard(list):
        def put(self, value):
            self.append(value.tolist())

        def end(self):
            self.append("end")

    heard, plain = Heard(), Heard()
    ids = PROMPTS[:1]
    settings = {"max_new_tokens": 15}
    table_model().generate(ids, streamer=plain, **settings)
    table_model().generate(ids, streamer=heard, **settings, **drafting(table_model, "good"))
    assert heard == plain
    together = Heard()
    out = table_model().generate(
        PROMPTS, streamer=together, eos_token_id=[3, 8], pad_token_id=23, **settings,
        **drafting(table_model, "bad"),
    )  # fmt: skip
    assert torch.tensor(together[1:-1]).T.equal(out[:, 4:])


def test_an_assistant_with_fewer_words_or_positions_helps_as_far_as_it_can(table_model):
    ids = PROMPTS[:3].clamp(max=19)
    plain = table_model().generate(ids, max_new_tokens=30)
    for options in ({"vocabulary": 20}, {"vocabulary": 30}, {"max_positions": 12}):
        assistant = table_model(wrong=0.3, **options)
        words = Words() if "vocabulary" in options else None
        found = table_model().generate(
            ids, max_new_tokens=30, assistant_model=assistant, tokenizer=words,
            assistant_tokenizer=words, assistant_confidence_threshold=0.0,
        )  # fmt: skip
        assert found.equal(plain)
        assert assistant.passes > 0


class Words:
    def get_vocab(self):
        return {str(token): token for token in range(20)}


class Digits:
    """A tokenizer that writes each token as so many digits, and reads from the left."""

    def __init__(self, size, most):
        self.size, self.most = size, most

    def get_vocab(self):
        return {str(token): token for token in range(self.most)}

    def __call__(self, text, add_special_tokens=True):
        places = range(0, len(text), self.size)
        return {"input_ids": [int(text[i : i + self.size]) % self.most for i in places]}

    def decode(self, ids, skip_special_tokens=False):
        return "".join(str(token).rjust(self.size, "0") for token in ids)


def test_an_assistant_may_have_other_tokens(table_model):
    tokenizers = {"tokenizer": Digits(2, 24), "assistant_tokenizer": Digits(1, 10)}
    for ways in ({}, {"do_sample": True, "seed": 5}):
        plain = table_model().generate(PROMPTS, attention_mask=MASK, **ways)
        assistant = table_model(vocabulary=10)
        found = table_model().generate(
            PROMPTS, attention_mask=MASK, assistant_model=assistant, **tokenizers, **ways
        )
        assert found.equal(plain)
        assert assistant.passes > 20
    with pytest.raises(ArgumentError, match="pass tokenizer=tokenizer"):
        table_model().generate(
            PROMPTS, assistant_model=assistant, assistant_tokenizer=Digits(1, 10)
        )


def test_what_a_caller_s_own_functions_see_is_what_was_said(table_model):
    seen = []

    def control(ids, scores):
        seen.append(ids.tolist())
        return scores

    ids = PROMPTS[:1]
    out = table_model().generate(
        ids, logits_processor=[control], max_new_tokens=9, **drafting(table_model, "bad")
    )
    assert seen == [[out[0, : 4 + new].tolist()] for new in range(9)]


def opened(name):
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    return model_class(kind).from_pretrained(GOLDEN / name)


@pytest.mark.parametrize(
    "name",
    ["gpt2-untied", "llama-biases", "mistral-window", "phi3-grows", "bart-untied", "t5-gated"],
)
def test_checkpoints_say_the_same_with_drafts(name):
    model = opened(name)
    other = opened(name)
    with torch.no_grad():
        for weight in other.parameters():
            weight += 0.02 * torch.randn(
                weight.shape, generator=torch.Generator().manual_seed(weight.numel())
            )
    ids = PROMPTS[:6] + 5
    settings = {"attention_mask": MASK[:6], "max_new_tokens": 14, "pad_token_id": 0}
    for ways in ({}, {"do_sample": True, "seed": 3}, {"repetition_penalty": 1.4}):
        plain = model.generate(ids, **settings, **ways)
        for drafts in (
            {"prompt_lookup_num_tokens": 5},
            {"assistant_model": other, "assistant_confidence_threshold": 0.0},
            {"assistant_model": other, "num_assistant_tokens": 2},
        ):
            assert model.generate(ids, **settings, **ways, **drafts).equal(plain)


def test_look_ups():
    def find(text, size, count):
        return looked_up(torch.tensor(text), size, count)

    assert find([1, 2, 3, 4, 1, 2], 2, 3) == [3, 4, 1]
    assert find([1, 2, 7, 1, 2, 8, 9, 1, 2], 2, 2) == [8, 9]  # the latest
    assert find([5, 5, 5, 5], 2, 2) == [5, 5]
    assert find([1, 2, 3], 2, 2) == []
    assert find([1], 2, 2) == []
    assert find([4, 2, 9, 3, 2], 3, 5) == [9, 3, 2]
    assert find([4, 2, 9, 3, 2], 3, 0) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"assistant_model": object()}, "a model that can generate, but is a object"),
        ({"num_beams": 2}, "num_beams=2"),
        ({"use_cache": False}, "use_cache=False"),
        ({"output_attentions": True, "return_dict_in_generate": True}, "output_attentions"),
        ({"prompt_lookup_num_tokens": 3}, "both draft"),
        ({"num_assistant_tokens": 0}, "`num_assistant_tokens` should be"),
        ({"num_assistant_tokens_schedule": "often"}, "heuristic_transient"),
    ],
)
def test_what_does_not_go_with_drafts_is_refused(table_model, settings, words):
    settings = {"assistant_model": table_model(wrong=1.0), **settings}
    with pytest.raises(ArgumentError, match=words):
        table_model().generate(PROMPTS, **settings)
    with pytest.raises(ArgumentError, match="only one of the two models has an encoder"):
        table_model().generate(PROMPTS, assistant_model=table_model(encoder=True))
    with pytest.raises(ArgumentError, match="vocabularies"):
        table_model().generate(PROMPTS, assistant_model=table_model(vocabulary=30))
    for wrong in ({"prompt_lookup_num_tokens": 0}, {"max_matching_ngram_size": 0}):
        with pytest.raises(ArgumentError, match="whole number, 1 or more"):
            table_model().generate(PROMPTS, **wrong)


@pytest.mark.parametrize("name", ["xlm-untied", "transfo_xl-one-table"])
def test_architectures_that_take_nothing_back_say_so(name):
    model = opened(name)
    ids = torch.tensor([[5, 6, 7]])
    for ways in ({"prompt_lookup_num_tokens": 3}, {"assistant_model": model}):
        with pytest.raises(ArgumentError, match="not possible with this architecture"):
            model.generate(ids, max_new_tokens=4, pad_token_id=0, **ways)
    if name.startswith("xlm"):
        with pytest.raises(ArgumentError, match="cannot go on from `past_key_values`"):
            model.generate(ids, past_key_values=Cache(), pad_token_id=0)
        with pytest.raises(ArgumentError, match="not possible with this architecture"):
            model.generate(ids, penalty_alpha=0.6, top_k=3, pad_token_id=0)
