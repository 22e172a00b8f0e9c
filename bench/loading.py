"""Loading a checkpoint and reading every weight once, page cache warm; and the memory it takes.

    python -m bench.loading [--rounds 5]

"first" is the first load of a process, after the import; "later" the median of the loads after it.
"peak" is the growth of resident memory over the load, as a multiple of the weights' size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from bench.checkpoints import checkpoint
from bench.rounds import median, report, timed

MODELS = {
    "bert-base": ("AutoModelForSequenceClassification", "float32"),
    "llama-0.5b": ("AutoModelForCausalLM", "bfloat16"),
}
LATER = 4


def contest(library, name):
    """Load in this process: print the seconds of each load, and the memory of the first."""
    import importlib

    import torch

    auto_class, dtype = MODELS[name]
    folder = checkpoint(name)
    auto = getattr(importlib.import_module(library), auto_class)

    def load():
        model = auto.from_pretrained(str(folder), dtype=getattr(torch, dtype))
        with torch.inference_mode():
            return model, sum(float(p.view(-1).sum()) for p in model.parameters())

    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    seconds, (model, total) = timed(load)
    peak = _resident("VmHWM") - before
    later = []
    for _ in range(LATER):
        del model
        again, (model, _) = timed(load)
        later.append(again)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    print(
        json.dumps({"first": seconds, "later": median(later), "peak": peak / weights, "sum": total})
    )


def _resident(key):
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split(f"{key}:")[1].split()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contest", nargs=2)
    given = parser.parse_args()
    if given.contest:
        return contest(*given.contest)
    rows = []
    for name in MODELS:
        checkpoint(name)
        runs = {library: [] for library in ("armature", "transformers")}
        for number in range(given.rounds + 1):  # the first round fills the page cache
            for library in runs:
                command = [
                    sys.executable,
                    "-W",
                    "ignore",
                    "-m",
                    "bench.loading",
                    "--contest",
                    library,
                    name,
                ]
                out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                runs[library] += [json.loads(out.splitlines()[-1])] if number else []
            print(f"· {name}, round {number} of {given.rounds}", file=sys.stderr)
        ours, theirs = (
            {key: median([run[key] for run in loads]) for key in ("first", "later", "peak")}
            for loads in runs.values()
        )
        rows += [
            {"checkpoint": name, "library": "armature", **ours},
            {"checkpoint": name, "library": "reference", **theirs},
            {
                "checkpoint": name,
                "library": "ratio",
                **{k: f"{theirs[k] / ours[k]:.2f} ×" for k in ours},
            },
        ]
    report("loading", "Seconds to load and read every weight once", rows, rounds=given.rounds)
    return None


if __name__ == "__main__":
    main()
