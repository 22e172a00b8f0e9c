"""One tokenizer serves many threads with different options; long hostile texts stay cheap."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tokenizer_goldens import FAMILIES

from armature.inputs.text.tokenizer import Tokenizer

TEXTS = ["a", "Hello world!", "The quick brown fox jumps over the lazy dog", "長城 don't 1,234", ""]
OPTIONS = [
    {},
    {"truncation": True, "max_length": 5},
    {"truncation": True, "max_length": 9, "padding": "max_length"},
    {"padding": True, "padding_side": "left"},
    {"padding": "max_length", "max_length": 20, "pad_to_multiple_of": 8},
    {"truncation": True, "max_length": 7, "stride": 2, "return_overflowing_tokens": True},
    {"return_offsets_mapping": True, "return_special_tokens_mask": True},
    {"add_special_tokens": False},
    {"split_special_tokens": True},
]


@pytest.mark.parametrize("family", ["bert", "mbart"])
def test_sixteen_threads_with_different_options(family, folders):
    tokenizer = Tokenizer.from_pretrained(folders(family))
    rng = random.Random(3)
    jobs = []
    for _ in range(300):
        texts = [*rng.sample(TEXTS, rng.randint(1, 4)), "[SEP] </s>"]
        options = dict(rng.choice(OPTIONS))
        if family == "mbart" and rng.random() < 0.5:
            options["src_lang"] = rng.choice(["de_DE", "fr_XX"])
        jobs.append((texts, options))
    wanted = [dict(tokenizer(texts, **options)) for texts, options in jobs]

    def wrong(seed):
        order = random.Random(seed)
        count = 0
        for _ in range(625):  # × 16 threads × 2 families = 20,000 calls
            index = order.randrange(len(jobs))
            texts, options = jobs[index]
            count += dict(tokenizer(texts, **options)) != wanted[index]
        return count

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(wrong, range(16))) == 0


@pytest.mark.parametrize("family", [*FAMILIES, "marian"])
def test_sixteen_threads_share_every_kind(family, folders, record):
    tokenizer = Tokenizer.from_pretrained(folders(family))
    texts = [probe["text"] for probe in record(family)["probes"]]
    ways = [{}, {"add_special_tokens": False}, {"truncation": True, "max_length": 5}]
    jobs = [(texts[i : i + 3], ways[i % 3]) for i in range(len(texts))]

    def run(job):
        batch = dict(tokenizer(job[0], **job[1]))
        return batch, tokenizer.decode(batch["input_ids"], skip_special_tokens=True)

    wanted = [run(job) for job in jobs]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(run, jobs * 8)) == wanted * 8


HOSTILE = ["a", " ", "\n", "▁", "é", "[CLS]", "##", "\u0301", "  \t", "½", "<", "😀"]


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "llama", "deberta_v2", "qwen2", "albert"])
def test_time_grows_as_the_text_does_and_not_as_its_square(family, tokenizers):
    tokenizer = tokenizers(family)

    def seconds(unit, size):
        text = (unit * size)[:size]
        begin = time.process_time()
        tokenizer(text, verbose=False)
        return time.process_time() - begin

    for unit in HOSTILE:
        part = seconds(unit, 1 << 14)
        # 16 times the text: far from 256 times the time, however busy the machine is.
        assert seconds(unit, 1 << 18) < max(64 * part, 1), unit
    assert seconds("a", 1 << 20) < 10
