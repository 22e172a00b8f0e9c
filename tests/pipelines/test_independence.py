"""What a text's result is never depends on what else is asked, nor on how."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import TEXTS, close, opened

MASKED = [f"{text} [MASK]" for text in TEXTS]
ASKED = [{"question": "who is it?", "context": text} for text in TEXTS]

CASES = {
    "features": ("labels", "feature-extraction", TEXTS, {}),
    "masks": ("masks", None, MASKED, {"top_k": 3}),
    "labels": ("labels", None, TEXTS, {"top_k": None}),
    "pairs": ("labels", None, [{"text": t, "text_pair": "a list"} for t in TEXTS], {}),
    "zero-shot": (
        "labels",
        "zero-shot-classification",
        TEXTS,
        {"candidate_labels": ["code", "a list", "politics"]},
    ),
    "entities": ("entities", None, TEXTS, {"aggregation_strategy": "average"}),
    "answers": ("answers", None, ASKED, {"top_k": 3}),
    "greedy": ("prompts", None, TEXTS, {"max_new_tokens": 5}),
    "beams": ("prompts", None, TEXTS, {"max_new_tokens": 5, "num_beams": 3}),
    "drawn": ("prompts", None, TEXTS, {"max_new_tokens": 5, "do_sample": True, "seed": 3}),
    "short": ("prompts", None, TEXTS, {"max_length": 60, "return_tensors": True}),
    "full": (
        "prompts",
        None,
        ["Hello world " * 8, "a", "the list " * 4],
        {"max_new_tokens": 70, "return_tensors": True},
    ),
    "summaries": ("seq2seq", "summarization", TEXTS, {"max_new_tokens": 6, "num_beams": 2}),
    "translations": ("seq2seq", "translation_en_to_de", TEXTS, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_alone_listed_batched_and_streamed_are_the_same(case):
    name, task, items, options = CASES[case]
    pipe = opened(name, task)
    alone = [pipe.run([item], pipe.options.merged(options, "test"))[0] for item in items]
    least = 1e-5 if case == "features" else 1e-8
    assert close(list(pipe.stream(items, **options)), alone, least)
    assert close(list(pipe((item for item in items), **options)), alone, least)
    for size in (None, 1, 2, 5):
        listed = pipe(items, batch_size=size, **options)
        unwrapped = [one[0] for one in alone] if name == "seq2seq" else alone
        assert close(listed, unwrapped, least), size


def test_lists_tuples_generators_and_data_sets_are_read():
    class Texts:
        def __len__(self):
            return len(TEXTS)

        def __getitem__(self, index):
            return TEXTS[index]

    pipe = opened("labels")
    results = pipe(TEXTS)
    streamed = pipe(Texts())
    assert len(streamed) == len(TEXTS)
    assert close(list(streamed), results)
    assert close(pipe(tuple(TEXTS)), results)
    assert close(list(pipe(dict.fromkeys(TEXTS).keys())), results)
    assert pipe([]) == []


def test_a_generator_is_read_only_as_far_as_needed():
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield TEXTS[len(taken) % len(TEXTS)]

    results = opened("labels")(endless())
    next(results)
    assert len(taken) == 1
    for _ in range(20):
        next(results)
    assert len(taken) <= 1 + 4 + 16


def test_threads_share_a_pipeline():
    pipe = opened("labels")
    wanted = {k: [pipe(text, top_k=k) for text in TEXTS] for k in (1, 2, 3)}

    def ask(k):
        return k, [pipe(text, top_k=k) for text in TEXTS]

    with ThreadPoolExecutor(8) as pool:
        for k, results in pool.map(ask, [1, 2, 3] * 8):
            assert close(results, wanted[k])


def test_a_pipeline_leaves_the_model_ready_for_training():
    pipe = opened("labels")
    pipe(TEXTS[0])
    batch = pipe.tokenizer(TEXTS[:2], padding=True, return_tensors="pt")
    import torch

    pipe.model(**batch, labels=torch.tensor([0, 1])).loss.backward()
    pipe.model.zero_grad(set_to_none=True)


def test_returned_tensors_are_the_callers():
    tensor = opened("labels", "feature-extraction")(TEXTS[0], return_tensors=True)
    assert tensor.shape[0] == 1
    assert not tensor.is_inference()
    tensor += 1
