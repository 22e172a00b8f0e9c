"""Record contrastive search, which transformers has left out since 4.57.

Run where transformers 4.37.2 is installed: python tests/golden/decoding/make_contrastive.py
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
import transformers

HERE = Path(__file__).parent
NAMES = ["gpt2-untied", "opt-left", "bart-scaled", "t5-tied", "m2m-unscaled"]


def main() -> None:
    transformers.logging.set_verbosity_error()
    draw, cases = random.Random(5), []
    for name in NAMES:
        folder = HERE.parent / "arch" / name
        kind = json.loads((folder / "golden.json").read_text())["class"]
        model = getattr(transformers, kind).from_pretrained(folder)
        for _ in range(6):
            rows, width = draw.choice([1, 2]), draw.choice([1, 3, 6])
            ids = [[draw.randrange(5, 40) for _ in range(width)] for _ in range(rows)]
            asked = {
                "max_new_tokens": draw.choice([4, 9, 12]),
                "penalty_alpha": draw.choice([0.2, 0.6, 0.9]),
                "top_k": draw.choice([2, 4, 7]),
                "eos_token_id": draw.choice([None, draw.randrange(5, 40)]),
                "pad_token_id": 0,
            }
            if draw.random() < 0.3:
                asked["repetition_penalty"] = 1.4
            out = model.generate(
                torch.tensor(ids),
                attention_mask=torch.ones(rows, width, dtype=torch.long),
                return_dict_in_generate=True,
                output_scores=True,
                **asked,
            )
            best = [round(float(s[0].max()), 5) for s in out.scores]
            case = {"name": name, "ids": ids, "settings": asked, "best": best}
            cases.append({**case, "sequences": out.sequences.tolist()})
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "contrastive.json").write_text(f"[\n{lines}\n]\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
