"""From the start of a process to its first answer, and what imports cost.

    python -m bench.startup [--rounds 7]

The floor is what nobody can go below on PyTorch: `import torch`, read the file, one forward pass.
"""

from __future__ import annotations

import argparse
import sys

from bench.checkpoints import checkpoint
from bench.rounds import command_seconds, median, report

TEXT = "The plot was thin, but I enjoyed every minute of it."

ARMATURE = """
import sys
from armature import pipeline
print(pipeline("sentiment-analysis", model=sys.argv[1])(sys.argv[2]))
"""

REFERENCE = """
import sys
from transformers import pipeline
print(pipeline("sentiment-analysis", model=sys.argv[1], device="cpu")(sys.argv[2]))
"""

FLOOR = """
import sys, json, torch
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention as attend
from safetensors.torch import load_file
w = load_file(sys.argv[1] + "/model.safetensors")
def lin(x, name): return linear(x, w[name + ".weight"], w[name + ".bias"])
def norm(x, name): return layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], 1e-12)
with torch.inference_mode():
    e = "distilbert.embeddings."
    x = w[e + "word_embeddings.weight"][torch.arange(1000, 1016)]
    x = norm(x + w[e + "position_embeddings.weight"][:16], e + "LayerNorm")
    for i in range(6):
        n = f"distilbert.transformer.layer.{i}."
        q, k, v = (lin(x, f"{n}attention.{p}_lin").view(16, 12, 64).transpose(0, 1) for p in "qkv")
        y = lin(attend(q, k, v).transpose(0, 1).reshape(16, 768), n + "attention.out_lin")
        x = norm(x + y, n + "sa_layer_norm")
        x = norm(x + lin(gelu(lin(x, n + "ffn.lin1")), n + "ffn.lin2"), n + "output_layer_norm")
    print(lin(lin(x[0], "pre_classifier").relu(), "classifier").softmax(-1))
"""

ANSWERS = {"floor: torch, file, forward": FLOOR, "armature": ARMATURE, "reference": REFERENCE}
IMPORTS = {
    "python": "pass",
    "import armature": "import armature",
    "armature --help": "import sys; sys.argv = ['armature', '--help']; "
    "from armature.cli import main; main()",
    "armature.AutoTokenizer": "import sys; from armature import AutoTokenizer; "
    "AutoTokenizer.from_pretrained(sys.argv[1])(sys.argv[2])",
    "transformers.AutoTokenizer": "import sys; from transformers import AutoTokenizer; "
    "AutoTokenizer.from_pretrained(sys.argv[1])(sys.argv[2])",
    "import torch": "import torch",
    "from transformers import pipeline": "from transformers import pipeline",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    folder = str(checkpoint("distilbert-base"))
    programs = ANSWERS | IMPORTS
    times = {name: [] for name in programs}
    for number in range(rounds + 1):  # the first round fills the page cache
        for name, code in programs.items():
            seconds = command_seconds([sys.executable, "-W", "ignore", "-c", code, folder, TEXT])
            times[name] += [seconds] if number else []
        print(f"· round {number} of {rounds}", file=sys.stderr)
    middle = {name: median(values) for name, values in times.items()}
    rows = [
        {
            "process": name,
            "seconds": middle[name],
            "of the floor": f"{middle[name] / middle['floor: torch, file, forward']:.2f}",
            "of the reference": f"{middle[name] / middle['reference']:.2f}",
        }
        for name in programs
    ]
    report("startup", "Process start to the first sentiment answer, DistilBERT-base shape", rows,
           rounds=rounds)  # fmt: skip


if __name__ == "__main__":
    main()
