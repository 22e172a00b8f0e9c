"""Start-up is a contract: what must answer at once imports neither torch nor numpy."""

from __future__ import annotations

import statistics
import subprocess
import sys
import textwrap

import pytest

BUDGET = 0.05  # seconds for `import armature` beyond Python itself
TOLERANCE = 3  # a busy machine may be this much slower
HEAVY = {"torch", "numpy", "transformers", "tokenizers", "huggingface_hub", "safetensors"}

LIGHT_MODULES = [
    "armature",
    "armature.config",
    "armature.errors",
    "armature.arch",
    "armature.model.spec",
    "armature.checkpoint.hub",
    "armature.checkpoint.names",
    "armature.checkpoint.files",
    "armature.cli",
    "armature.embed",
    "armature.search",
    "armature.inspection",
    "armature.anatomy",
]


def python(code, *arguments):
    """Run code in a fresh interpreter and return what it printed."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def loaded_after(code, *arguments):
    """The heavy modules that are loaded after running code in a fresh interpreter."""
    out = python(f"{textwrap.dedent(code)}\nimport sys\nprint('\\n'.join(sys.modules))", *arguments)
    return HEAVY & set(out.split())


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_a_light_module_imports_nothing_heavy(module):
    assert not loaded_after(f"import {module}")


def test_every_architecture_describes_itself_without_torch():
    code = """
        import pkgutil, importlib, armature.arch
        for module in pkgutil.iter_modules(armature.arch.__path__):
            importlib.import_module(f"armature.arch.{module.name}")
    """
    assert not loaded_after(code)


def test_importing_the_package_takes_no_time():
    code = """
        import time
        start = time.process_time()
        import armature
        print(time.process_time() - start)
    """
    times = [float(python(code)) for _ in range(5)]
    assert statistics.median(times) <= BUDGET * TOLERANCE, times


def test_tokenizing_imports_neither_torch_nor_numpy(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    code = """
        import sys
        from armature import AutoTokenizer
        tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
        batch = tokenizer(["the cat", "cat"], padding=True)
        assert batch["input_ids"] == [[2, 5, 6, 3], [2, 6, 3, 0]]
        assert tokenizer.decode(batch["input_ids"][0], skip_special_tokens=True) == "the cat"
    """
    assert not {"torch", "numpy"} & loaded_after(code, tmp_path)
