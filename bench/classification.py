"""Text classification of 512 sentences of uneven length: BERT-base shape, float32.

    python -m bench.classification [--rounds 5] [--count 512]

Armature and the reference's pipeline get the sentences as they come. "hand-tuned" is what an expert
makes of the reference: sorted by length, in the batch size that is fastest here. ONNX Runtime gets
the same sorted batches, with the size that is fastest for it.
"""

from __future__ import annotations

import argparse
import sys

from bench.checkpoints import FOLDER, checkpoint, sentences
from bench.rounds import Contestant, answer, interleaved, median, report, timed

BATCHES = (1, 4, 8, 16, 32)


def armature_pipeline(folder, _sample):
    from armature import pipeline

    return pipeline("text-classification", model=str(folder)), {}


def reference_pipeline(folder, _sample):
    from transformers import pipeline

    return pipeline("text-classification", model=str(folder), device="cpu"), {}


def reference_tuned(folder, sample):
    pipe, _ = reference_pipeline(folder, sample)
    return _sorted_batches(lambda texts, size: pipe(texts, batch_size=size), sample)


def onnx_runtime(folder, sample):
    import numpy
    import onnxruntime
    import torch
    from transformers import AutoTokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        str(_exported(folder)), options, providers=["CPUExecutionProvider"]
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    names = [put.name for put in session.get_inputs()]

    def batch(texts):
        inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="np")
        logits = session.run(None, {name: inputs[name].astype(numpy.int64) for name in names})[0]
        shares = numpy.exp(logits - logits.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return [{"label": int(row.argmax()), "score": float(row.max())} for row in shares]

    def run(texts, size):
        starts = range(0, len(texts), size)
        return [answer for start in starts for answer in batch(texts[start : start + size])]

    return _sorted_batches(run, sample)


def _sorted_batches(run, sample):
    """Give `run(texts, size)` its texts by length, in the size that is fastest for `sample`."""

    def in_order(texts, size):
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        answers = zip(order, run([texts[i] for i in order], size), strict=True)
        return [answer for _, answer in sorted(answers, key=lambda pair: pair[0])]

    in_order(sample[:8], 8)
    size = min(BATCHES, key=lambda size: timed(lambda: in_order(sample, size))[0])
    return lambda texts: in_order(texts, size), {"batch": size}


CONTESTANTS = {
    "armature": armature_pipeline,
    "reference, as it comes": reference_pipeline,
    "reference, hand-tuned": reference_tuned,
    "onnx runtime, hand-tuned": onnx_runtime,
}


def _exported(folder):
    """Export the checkpoint once; its axes for batch and length stay free."""
    import torch
    from transformers import AutoModelForSequenceClassification

    file = FOLDER / "bert-base.onnx"
    if not file.exists():
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, attn_implementation="eager"
        )
        names = ["input_ids", "attention_mask", "token_type_ids"]
        example = tuple(torch.ones(2, 9, dtype=torch.long) for _ in names)
        axes = {name: {0: "batch", 1: "length"} for name in names}
        torch.onnx.export(
            model.eval(), example, str(file), input_names=names, output_names=["logits"],
            dynamic_axes=axes | {"logits": {0: "batch"}}, dynamo=False, opset_version=17,
        )  # fmt: skip
    return file


def contest(name, count):
    """Be one contestant: prepare, warm up on a sample, then answer rounds."""
    texts = sentences(count)
    sample = texts[:: max(1, count // 64)]
    run, facts = CONTESTANTS[name](checkpoint("bert-base"), sample)
    run(sample)

    def once():
        seconds, answers = timed(lambda: run(texts))
        return {"seconds": seconds, "scores": [answer["score"] for answer in answers]}

    answer(once, **facts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--contest", choices=CONTESTANTS)
    given = parser.parse_args()
    if given.contest:
        return contest(given.contest, given.count)
    checkpoint("bert-base")
    players = {}
    for name in CONTESTANTS:
        print(f"· preparing {name}", file=sys.stderr)
        arguments = ("--contest", name, "--count", str(given.count))
        players[name] = Contestant("bench.classification", *arguments)
    rounds = interleaved(players, given.rounds)
    truth = rounds["reference, as it comes"][0]["scores"]
    ours = median([one["seconds"] for one in rounds["armature"]])
    rows = []
    for name, player in players.items():
        seconds = median([one["seconds"] for one in rounds[name]])
        gap = max(abs(a - b) for a, b in zip(rounds[name][0]["scores"], truth, strict=True))
        rows.append({
            "": name, "batch": player.hello.get("batch"), "seconds": seconds,
            "sentences/s": given.count / seconds, "armature is": f"{seconds / ours:.2f} ×",
            "largest difference of scores": gap,
        })  # fmt: skip
    report(
        "classification",
        f"{given.count} sentences, BERT-base shape, float32",
        rows,
        rounds=given.rounds,
    )
    return None


if __name__ == "__main__":
    main()
