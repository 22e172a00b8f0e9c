"""Record diverse and constrained beam search, which transformers has left out since 4.57.

Run where transformers 4.37.2 is installed: python tests/golden/decoding/make_groups.py
"""

from __future__ import annotations

import itertools
import json
import random

import make
import torch
import transformers


def phrase(draw: random.Random, most: int) -> list[int]:
    return [draw.randrange(1, make.VOCABULARY) for _ in range(draw.randint(1, most))]


def words(draw: random.Random) -> list:
    """Return what must be said: phrases, and phrases of which one must."""
    found = []
    for _ in range(draw.randint(1, 2)):
        if draw.random() < 0.4:
            firsts = draw.sample(range(1, make.VOCABULARY), 2)
            found.append([[first, *phrase(draw, 2)] for first in firsts])
        else:
            found.append(phrase(draw, 3))
    return found


def settings(draw: random.Random, *, groups: bool) -> dict:
    """Return the settings of one call, at random."""
    beams = draw.choice([2, 4, 6] if groups else [2, 3, 5])
    found = {
        "max_new_tokens": draw.choice([2, 5, 9, 14]),
        "num_beams": beams,
        "do_sample": False,
        "num_return_sequences": draw.randint(1, beams),
        "early_stopping": draw.choice([True, False, "never"]),
        "length_penalty": draw.choice([0.0, 0.6, 1.0, 2.0, -0.5]),
        "eos_token_id": draw.choice([None, 3, 3, 8]),
        "pad_token_id": draw.choice([0, 2]),
    }
    if groups:
        found["num_beam_groups"] = draw.choice([n for n in (2, 3, 4, 6) if beams % n == 0])
        found["diversity_penalty"] = draw.choice([0.3, 1.0, 5.0])
    else:
        found["force_words_ids"] = words(draw)
    choices = {
        "repetition_penalty": [1.3, 0.8],
        "no_repeat_ngram_size": [2, 3],
        "suppress_tokens": [[4, 5, 6]],
    }
    for name, values in choices.items():
        if draw.random() < 0.15:
            found[name] = draw.choice(values)
    return found


def main() -> None:
    transformers.logging.set_verbosity_error()
    draw = random.Random(11)
    models = {
        False: make.Decoder(make.Config()).eval(),
        True: make.EncoderDecoder(make.Config(is_encoder_decoder=True)),
    }
    models[True].generation_config.decoder_start_token_id = 0
    cases = []
    for _, encoder, groups in itertools.product(range(50), (False, True), (False, True)):
        rows, width = draw.choice([1, 1, 2, 3]), draw.choice([1, 2, 4])
        ids = [[draw.randrange(1, make.VOCABULARY) for _ in range(width)] for _ in range(rows)]
        asked = settings(draw, groups=groups)
        given = {"attention_mask": torch.ones(rows, width, dtype=torch.long), "use_cache": False}
        keep = {"return_dict_in_generate": True, "output_scores": True}
        scores = None
        try:
            out = models[encoder].generate(torch.tensor(ids), **given, **keep, **asked)
            sequences, scores = out.sequences, out.sequences_scores
        except RuntimeError:  # a text without what was demanded has no record
            sequences = models[encoder].generate(torch.tensor(ids), **given, **asked)
        if scores is not None and scores.min() < -1e6:  # fewer texts exist than were asked for
            continue
        case = {"encoder": encoder, "ids": ids, "settings": asked}
        case["sequences"] = sequences.tolist()
        if scores is not None:
            case["scores"] = [round(score, 5) for score in scores.tolist()]
        cases.append(case)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (make.HERE / "groups.json").write_text(f"[\n{lines}\n]\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
