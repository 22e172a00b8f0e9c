"""What tools that record the reference library share: random models, and the folders of records.

A folder holds config.json, model.safetensors, golden.json (what was called) and golden.safetensors
(inputs and outputs by name: loss, logits, every hidden state, every attention).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
_SKIPPED = ("past_key_values",)


def randomise(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Give every parameter and buffer that is saved a random value."""
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(0.5 + noise.abs())
            continue
        norm = tensor.dim() == 1 and ("norm" in name.lower() or "ln_" in name)
        spread = 0.12 if "SelfAttention" in name or "EncDec" in name else 0.25  # unscaled scores
        tensor.copy_(1 + 0.3 * noise if norm and name.endswith("weight") else spread * noise)


def made(
    kind_name: str,
    settings: Mapping[str, Any],
    folder: Path,
    generator: torch.Generator,
    then: Callable[[Any], None] = lambda model: None,
) -> Any:
    """Save a random model of the reference library, and open it again."""
    kind = getattr(transformers, kind_name)
    model = kind(kind.config_class(**settings)).eval()
    randomise(model, generator)
    then(model)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    return kind.from_pretrained(folder, attn_implementation="eager").eval()


def flatten(outputs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return name → tensor; tuples as `hidden_states.0`."""
    found = {}
    for key, value in outputs.items():
        if key in _SKIPPED:
            continue
        if isinstance(value, tuple):
            found |= {f"{key}.{i}": one for i, one in enumerate(value) if one is not None}
        elif isinstance(value, torch.Tensor):
            found[key] = value
    return found


class Record:
    """Calls of a model and what came out, to be written into its folder."""

    def __init__(self, kind_name: str, **further: Any) -> None:
        self.told: dict[str, Any] = {"class": kind_name, "calls": [], **further}
        self.tensors: dict[str, torch.Tensor] = {}

    def call(
        self, name: str, given: Mapping[str, Any], flags: Mapping[str, Any], outputs: Any
    ) -> None:
        """Keep what a call was given and what it returned."""
        self.tensors |= {f"{name}.in.{key}": value for key, value in given.items()}
        self.tensors |= {f"{name}.out.{key}": value for key, value in flatten(outputs).items()}
        self.told["calls"].append({"name": name, "flags": flags})

    def write(self, folder: Path) -> None:
        """Write golden.json and golden.safetensors."""
        apart = {key: value.contiguous().clone() for key, value in self.tensors.items()}
        save_file(apart, folder / "golden.safetensors")
        (folder / "golden.json").write_text(json.dumps(self.told, indent=1) + "\n")


def write_each(names: Iterable[str], out: Path, make: Callable[[str, Path], None]) -> None:
    """Write the folders of all names, or of those on the command line, and say how large they are.

    Args:
        names: of the folders.
        out: where they lie.
        make: writes one of them.
    """
    for name in sys.argv[1:] or names:
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        make(name, folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{name:24} {size // 1024:5} kB")
