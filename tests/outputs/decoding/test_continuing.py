"""Kept caches: texts go on from them, they are cut and shared, and their memory is known before."""

import copy
import json
from pathlib import Path

import pytest
import torch

from armature import Cache, cache_bytes
from armature.auto import model_class
from armature.errors import ArgumentError
from armature.layers.columns import window_columns

GOLDEN = Path(__file__).parents[2] / "golden" / "arch"
PLAIN = {"eos_token_id": None, "pad_token_id": 0}
KEEP = {"return_dict_in_generate": True, **PLAIN}
FIRST = torch.tensor([[7, 8, 9, 10], [5, 6, 11, 12]])
TURN = torch.tensor([[20, 21, 22], [23, 24, 25]])


def opened(name):
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    return model_class(kind).from_pretrained(GOLDEN / name)


def counted(model):
    """Return a list to which every pass adds how many tokens it reads."""
    read = []
    model.stack.register_forward_pre_hook(lambda _, args: read.append(args[0].layout.total))
    return read


@pytest.mark.parametrize("name", ["llama-biases", "gpt2-untied", "mistral-window", "llama-dynamic"])
@pytest.mark.parametrize("ways", [{}, {"do_sample": True, "seed": 4}], ids=["greedy", "sampled"])
def test_a_second_turn_reads_only_what_is_new(name, ways):
    model = opened(name)
    out = model.generate(FIRST, max_new_tokens=5, **KEEP, **ways)
    ids = torch.cat([out.sequences, TURN], 1)
    expected = model.generate(ids, max_new_tokens=6, **PLAIN, **ways)
    read = counted(model)
    found = model.generate(
        ids, max_new_tokens=6, past_key_values=out.past_key_values, **PLAIN, **ways
    )
    assert found.equal(expected)
    if name != "llama-dynamic":  # whose turns depend on the length: all is read anew
        assert read[0] == 2 * (1 + 3)
    third = torch.cat([found, TURN], 1)  # the cache was kept up to date
    again = model.generate(third, max_new_tokens=3, past_key_values=out.past_key_values, **PLAIN)
    assert again.equal(model.generate(third, max_new_tokens=3, **PLAIN))


def test_rows_of_different_lengths_go_on():
    model = opened("llama-biases")
    ids, mask = torch.tensor([[0, 0, 7, 8], [5, 6, 11, 12]]), torch.tensor([[0, 0, 1, 1], [1] * 4])
    plain = model.generate(ids, attention_mask=mask, max_new_tokens=6, **PLAIN)
    end = int(plain[0, 5])
    kept = model.generate(
        ids, attention_mask=mask, max_new_tokens=6, **{**KEEP, "eos_token_id": end}
    )
    texts = torch.cat([kept.sequences, TURN], 1)
    real = torch.cat([mask, (kept.sequences[:, 4:] != 0).long(), torch.ones_like(TURN)], 1)
    expected = model.generate(texts, attention_mask=real, max_new_tokens=5, **PLAIN)
    found = model.generate(
        texts, attention_mask=real, max_new_tokens=5, past_key_values=kept.past_key_values, **PLAIN
    )
    assert found.equal(expected)


def test_an_empty_cache_is_filled_and_a_forward_pass_s_is_gone_on_from():
    model, cache = opened("gpt2-untied"), Cache()
    expected = model.generate(FIRST, max_new_tokens=5, **PLAIN)
    assert model.generate(FIRST, max_new_tokens=5, past_key_values=cache, **PLAIN).equal(expected)
    assert cache.get_seq_length() == 8
    with torch.no_grad():
        passed = model(FIRST[:, :3], use_cache=True).past_key_values
    assert model.generate(FIRST, max_new_tokens=5, past_key_values=passed, **PLAIN).equal(expected)
    with torch.no_grad():  # and a forward pass from a generation's
        more = model(expected[:, 8:], past_key_values=cache).logits
        whole = model(expected).logits
    torch.testing.assert_close(more, whole[:, 8:], rtol=1e-5, atol=1e-5)


def test_a_whole_text_in_the_cache_is_scored_anew_from_its_last_token():
    model = opened("llama-biases")
    expected = model.generate(FIRST, max_new_tokens=4, **PLAIN)
    with torch.no_grad():
        cache = model(FIRST, use_cache=True).past_key_values
    assert model.generate(FIRST, max_new_tokens=4, past_key_values=cache, **PLAIN).equal(expected)


def test_one_beginning_serves_several_texts():
    model, prefix = opened("llama-biases"), FIRST[:1]
    with torch.no_grad():
        cache = model(prefix, use_cache=True).past_key_values
    ids = torch.cat([prefix.expand(3, -1), torch.tensor([[20], [21], [22]])], 1)
    expected = model.generate(ids, max_new_tokens=5, **PLAIN)
    read = counted(model)
    found = model.generate(ids, max_new_tokens=5, past_key_values=cache.expand(3), **PLAIN)
    assert found.equal(expected)
    assert read[0] == 3
    for row in range(3):
        own = copy.deepcopy(cache)
        one = model.generate(ids[row : row + 1], max_new_tokens=5, past_key_values=own, **PLAIN)
        assert one.equal(expected[row : row + 1])
    assert cache.lengths == (4,)


def test_a_cache_is_cut():
    model = opened("llama-biases")
    cache = model.generate(FIRST, max_new_tokens=5, **KEEP).past_key_values
    cache.crop(-2)
    assert cache.lengths == (6, 6)
    cache.crop(3)
    assert cache.lengths == (3, 3)
    ids = torch.cat([FIRST[:, :3], TURN], 1)
    expected = model.generate(ids, max_new_tokens=4, **PLAIN)
    assert model.generate(ids, max_new_tokens=4, past_key_values=cache, **PLAIN).equal(expected)


@pytest.mark.parametrize("ways", [{"num_beams": 3}, {"prompt_lookup_num_tokens": 3},
                                  {"penalty_alpha": 0.6, "top_k": 4}])  # fmt: skip
def test_every_search_goes_on_from_a_cache(ways):
    model = opened("llama-biases")
    with torch.no_grad():
        cache = model(FIRST, use_cache=True).past_key_values
    ids = torch.cat([FIRST, TURN], 1)
    expected = model.generate(ids, max_new_tokens=6, **PLAIN, **ways)
    if "penalty_alpha" in ways:
        with pytest.raises(ArgumentError, match="whole prompt"):
            model.generate(ids, max_new_tokens=6, past_key_values=cache, **PLAIN, **ways)
        return
    found = model.generate(ids, max_new_tokens=6, past_key_values=cache, **PLAIN, **ways)
    assert found.equal(expected)


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (FIRST[:1], r"holds 2 rows, but there are 1"),
        (FIRST[:, :2], r"holds 4 tokens of row 0, but `input_ids` has 2.*\n.*cache.crop\(1\)"),
        (FIRST + torch.tensor([0, 0, 1, 0]), r"token 2 of row 0 is 9 in the cache and 10"),
        (FIRST.repeat(2, 1), r"cache.expand\(2\)"),
    ],
)
def test_a_cache_of_another_text_is_refused(ids, words):
    model = opened("gpt2-untied")
    with torch.no_grad():
        cache = model(FIRST, use_cache=True).past_key_values
    with pytest.raises(ArgumentError, match=words):
        model.generate(ids, past_key_values=cache, **PLAIN)


def test_what_is_no_cache_or_no_decoder_is_refused():
    with pytest.raises(ArgumentError, match="past_key_values is a tuple"):
        opened("gpt2-untied").generate(FIRST, past_key_values=((1,),), **PLAIN)
    with pytest.raises(ArgumentError, match="an encoder reads the prompt"):
        opened("bart-untied").generate(FIRST, past_key_values=Cache(), **PLAIN)
    with pytest.raises(ArgumentError, match="drop one"):
        opened("gpt2-untied").generate(FIRST, past_key_values=Cache(), use_cache=False, **PLAIN)
    with pytest.raises(ArgumentError, match="static"):
        opened("gpt2-untied").generate(FIRST, cache_implementation="offloaded", **PLAIN)


@pytest.mark.parametrize("name", ["llama-biases", "mistral-window", "bart-untied", "gemma3-turns"])
@pytest.mark.parametrize("tokens", [20, 150])
def test_static_memory_is_what_was_predicted(name, tokens):
    model = opened(name)
    longest = model.max_positions or 1000
    tokens = min(tokens, longest)
    start = 1 if model.is_encoder_decoder else 4
    out = model.generate(
        FIRST, max_new_tokens=tokens - start, cache_implementation="static", **KEEP
    )
    expected = cache_bytes(model, 2, tokens, source=4)
    assert out.past_key_values.bytes == expected
    plain = model.generate(FIRST, max_new_tokens=tokens - start, **PLAIN)
    assert out.sequences.equal(plain)


def test_windows_keep_what_they_look_at():
    model = opened("mistral-window")
    window = next(b.attn.window for b in model.stack.blocks if b.attn.window)
    settings = {"max_new_tokens": 300, "cache_implementation": "sliding_window"}
    long = model.generate(FIRST, **settings, **KEEP)
    full = model.generate(FIRST, max_new_tokens=300, cache_implementation="dynamic_full", **KEEP)
    assert long.sequences.equal(full.sequences)
    sizes = {layer.keys.shape[2] for layer in long.past_key_values.layers.values()}
    assert sizes == {window_columns(window)}
    ids = torch.cat([long.sequences, TURN], 1)
    expected = model.generate(ids, max_new_tokens=40, **PLAIN)
    cache = long.past_key_values
    assert model.generate(ids, max_new_tokens=40, past_key_values=cache, **PLAIN).equal(expected)
    prompt = model.generate(ids, max_new_tokens=40, **KEEP, cache_implementation="static")
    assert prompt.sequences.equal(expected)
    assert prompt.past_key_values.bytes == cache_bytes(model, 2, ids.shape[1] + 40)
    with pytest.raises(ArgumentError, match="dynamic_full"):
        cache.crop(50)


@torch.inference_mode()
def test_windows_do_not_grow_over_ten_thousand_tokens():
    model = opened("mistral-window")
    assert all(block.attn.window for block in model.stack.blocks)
    steps = model.steps(FIRST[:, :2], None, {}, 64)
    steps.start()
    block = torch.randint(5, 40, (2, 100), generator=torch.Generator().manual_seed(1))
    sizes = []
    for _ in range(101):
        scores = steps.extend(block)
        for _ in range(3):
            scores = steps.step(block[:, 0])
        steps.crop(3)
        sizes.append(steps.cache.bytes)
    assert steps.cache.get_seq_length() > 10_000
    assert len(set(sizes[2:])) == 1
    assert scores.isfinite().all()


@pytest.mark.parametrize("soon", [True, False])
@torch.inference_mode()
def test_sliding_rows_of_different_lengths_score_as_if_all_was_kept(soon):
    model = opened("mistral-window")
    ids, mask = torch.tensor([[0, 0, 7, 8], [5, 6, 11, 12]]), torch.tensor([[0, 0, 1, 1], [1] * 4])
    sliding, full = (model.steps(ids, mask, {}, 8) for _ in range(2))
    sliding.keep(slides=None if soon else True)
    full.cache.slides = False
    torch.testing.assert_close(sliding.start(), full.start())
    generator = torch.Generator().manual_seed(2)
    for turn in range(60):
        tokens = torch.randint(5, 40, (2, 5), generator=generator)
        counts = torch.tensor([1 + turn % 5, 5 - turn % 3])
        a, b = sliding.extend(tokens, counts), full.extend(tokens, counts)
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
        back = torch.tensor([turn % 2, 2])
        sliding.crop(back)
        full.crop(back)
        a, b = sliding.step(tokens[:, 0]), full.step(tokens[:, 0])
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
        if turn == 40:
            sliding.select(torch.tensor([1, 0]))
            full.select(torch.tensor([1, 0]))
    assert sliding.cache.bytes < full.cache.bytes


@pytest.mark.parametrize("name", ["llama-biases", "bart-untied"])
def test_without_a_cache_the_tokens_are_the_same(name):
    model = opened(name)
    expected = model.generate(FIRST, max_new_tokens=6, **PLAIN)
    read = counted(model)
    assert model.generate(FIRST, max_new_tokens=6, use_cache=False, **PLAIN).equal(expected)
    assert read == sorted(read)
    assert read[-1] > read[0]
