"""Decoding: tokens a second after a prompt of 32, in float32, int8 and int4.

    python -m bench.decoding [--rounds 3] [--new 128] [--only NAME…]

Shapes: GPT-2 124M and a 0.5 B Qwen 2, for 1 and 8 texts; Marian, 64 sentences with 4 beams; and
two tiny models of the same depths, whose time is all dispatch. Contestants: Armature in every
precision, the reference in float32, CTranslate2 in float32 and int8, llama.cpp in F16, Q8_0 and
Q4_0 (where they are installed; called float16, int8 and int4 here). All
decode greedily (Marian: beams) the same number of tokens on the same random-weight checkpoint; the
time of the prompt, measured by decoding one token, is taken off. Quality is reported beside: the
error of the logits and how many greedy tokens agree with float32, on these random weights.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.checkpoints import FOLDER, checkpoint
from bench.rounds import Contestant, answer, median, report, timed

PROMPT, SENTENCE, WRITTEN = 32, 24, 32
# name → (checkpoint, texts, beams)
CASES = {
    "gpt2-1": ("gpt2-124m", 1, 1),
    "gpt2-8": ("gpt2-124m", 8, 1),
    "qwen2-1": ("qwen2-0.5b", 1, 1),
    "qwen2-8": ("qwen2-0.5b", 8, 1),
    "marian-64": ("marian", 64, 4),
    "tiny-gpt2-1": ("gpt2-tiny", 1, 1),
    "tiny-llama-1": ("llama-tiny", 1, 1),
}
PRECISIONS = ("float32", "int8", "int4")


def prompts(case: str, vocabulary: int) -> list[list[int]]:
    """Return the token ids of every text, the same for all contestants."""
    import random

    name, texts, beams = CASES[case]
    chance = random.Random(name)
    length = PROMPT if beams == 1 else SENTENCE
    return [[chance.randrange(10, vocabulary - 10) for _ in range(length)] for _ in range(texts)]


# ---------------------------------------------------------------- contestants


def armature(folder: Path, case: str, precision: str) -> Any:
    import torch

    from armature import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    beams = CASES[case][2]
    kind = AutoModelForCausalLM if beams == 1 else AutoModelForSeq2SeqLM
    model = kind.from_pretrained(folder, precision=precision)
    ids = torch.tensor(prompts(case, model.config.vocab_size))
    return lambda new: model.generate(ids, **_settings(beams, new)), model


def reference(folder: Path, case: str, _precision: str) -> Any:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    beams = CASES[case][2]
    kind = transformers.AutoModelForCausalLM if beams == 1 else transformers.AutoModelForSeq2SeqLM
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor(prompts(case, model.config.vocab_size))
    mask = torch.ones_like(ids)

    def run(new: int) -> Any:
        with torch.inference_mode():
            return model.generate(ids, attention_mask=mask, **_settings(beams, new))

    return run, None


def _settings(beams: int, new: int) -> dict[str, Any]:
    given = {"max_new_tokens": new, "min_new_tokens": new, "do_sample": False, "num_beams": beams}
    return {**given, "early_stopping": beams > 1, "pad_token_id": 0}


def ctranslate2(folder: Path, case: str, precision: str) -> Any:
    import ctranslate2 as engine
    import torch
    from transformers import AutoConfig

    config, beams = AutoConfig.from_pretrained(folder), CASES[case][2]
    path = _converted(folder)
    how = {"compute_type": precision, "intra_threads": torch.get_num_threads(), "inter_threads": 1}
    rows = [[str(i) for i in row] for row in prompts(case, config.vocab_size)]
    if beams > 1:
        translator = engine.Translator(str(path), device="cpu", **how)
        return lambda new: translator.translate_batch(
            rows, beam_size=beams, max_decoding_length=new, min_decoding_length=new,
            max_batch_size=len(rows),
        ), None  # fmt: skip
    generator = engine.Generator(str(path), device="cpu", **how)
    return lambda new: generator.generate_batch(
        rows, max_length=new, min_length=new, include_prompt_in_result=False,
        sampling_topk=1, max_batch_size=len(rows), end_token=[],
    ), None  # fmt: skip


def _converted(folder: Path) -> Path:
    """Convert a checkpoint for CTranslate2; its tokens are the numbers of their ids."""
    import ctranslate2.converters.transformers as converters
    from ctranslate2.converters import TransformersConverter

    path = FOLDER / "ctranslate2" / folder.name
    if path.exists():
        return path
    for loader in set(map(type, converters._MODEL_LOADERS.values())):
        loader.get_vocabulary = lambda _self, model, _tokenizer: [
            str(i) for i in range(model.config.vocab_size - (model.config.model_type == "marian"))
        ]  # of Marian the row of padding is left out
        loader.set_config = lambda _self, config, _model, _tokenizer: _name_tokens(config)

    class Converter(TransformersConverter):
        def load_tokenizer(self, *_args: Any, **_kwargs: Any) -> Any:
            return None

    Converter(str(folder)).convert(str(path))
    return path


def _name_tokens(config: Any) -> None:
    for name in ("bos_token", "eos_token", "unk_token", "decoder_start_token"):
        if hasattr(config, name):
            setattr(config, name, "0")


def llama_cpp(folder: Path, case: str, precision: str) -> Any:
    import torch

    from bench.llama_cpp import converted, decoder

    config = json.loads((folder / "config.json").read_text())
    texts = prompts(case, config["vocab_size"])
    return decoder(converted(folder, precision), texts, torch.get_num_threads()), None


KINDS = {
    "armature": armature,
    "transformers": reference,
    "ctranslate2": ctranslate2,
    "llama.cpp": llama_cpp,
}


def contend(kind: str, case: str, precision: str, new: int) -> None:
    run, _ = KINDS[kind](checkpoint(CASES[case][0]), case, precision)
    run(2)

    def once() -> dict[str, float]:
        first, whole = timed(lambda: run(1))[0], timed(lambda: run(new))[0]
        return {"seconds": whole - first, "whole": whole}

    answer(once)


# ---------------------------------------------------------------- quality


def quality(folder: Path, case: str, new: int) -> dict[str, Any]:
    """Return the error of logits, relative to their spread, and how many best tokens agree."""
    import torch

    found: dict[str, Any] = {}
    run, model = armature(folder, case, "float32")
    told = torch.as_tensor(run(new))
    with torch.inference_mode():
        exact = model(told[:1]).logits
        for precision in PRECISIONS[1:]:
            _, rounded = armature(folder, case, precision)
            logits = rounded(told[:1]).logits
            found[precision] = {
                "logit error": float((logits - exact).std() / exact.std()),
                "tokens agree": float((logits.argmax(-1) == exact.argmax(-1)).float().mean()),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--new", type=int, default=128)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--contend", nargs=3)
    options = parser.parse_args()
    if options.contend:
        contend(*options.contend, new=options.new)
        return
    rows = [row for case in options.only for row in measured(case, options)]
    report("decoding", f"Decoding {options.new} tokens, median of {options.rounds} rounds", rows)


def measured(case: str, options: Any) -> list[dict[str, Any]]:
    """Return the rows of one case, every contestant in turn in each round."""
    name, texts, beams = CASES[case]
    folder, new = checkpoint(name), options.new if beams == 1 else WRITTEN
    ways = [("armature", precision) for precision in PRECISIONS]
    ways += [("transformers", "float32")]
    if find_spec("ctranslate2") is not None:
        ways += [("ctranslate2", "float32"), ("ctranslate2", "int8")]
    if find_spec("xllamacpp") is not None and beams == 1:
        ways += [("llama.cpp", precision) for precision in ("float16", "int8", "int4")]
    ways = ways if not name.endswith("tiny") else [ways[0], ways[3]]
    seconds: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    rivals = {
        way: Contestant("bench.decoding", "--new", str(new), "--contend", way[0], case, way[1])
        for way in ways
    }
    for _ in range(options.rounds):
        for way, rival in rivals.items():
            found = rival.go()
            seconds[way].append(found["seconds" if beams == 1 else "whole"])
    for rival in rivals.values():
        rival.close()
    cost = quality(folder, case, 64) if texts == 1 and not name.endswith("tiny") else {}
    rows = []
    for (kind, precision), taken in seconds.items():
        rate = (texts * (new - 1) if beams == 1 else texts) / median(taken)
        row = {"case": case, "kind": kind, "precision": precision}
        row |= {"tokens/s" if beams == 1 else "sentences/s": rate}
        row |= {"ms/token": median(taken) / (new - 1) * 1e3} if name.endswith("tiny") else {}
        rows.append(row | (cost.get(precision, {}) if kind == "armature" else {}))
    return rows


if __name__ == "__main__":
    sys.exit(main())
