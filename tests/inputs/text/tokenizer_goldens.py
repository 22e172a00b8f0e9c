"""Where the recorded tokenizers are, and their names."""

from importlib.util import find_spec
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "golden" / "tokenizers"
FOLDERS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
# Of optional packages: without these, their tokenizers are not compared.
_NEEDS = {"bert_japanese": ("fugashi", "unidic_lite"), "roformer": ("rjieba",)}
MISSING = [name for name, needs in _NEEDS.items() if not all(map(find_spec, needs))]
FAMILIES = [
    name for name in FOLDERS if name not in ("marian", *MISSING)
]  # of which less is recorded
# Of these no tokenizer.json is ever written, and no offsets are known.
PLAIN = ["bert_generation", "biogpt", "blenderbot_small", "ctrl", "m2m_100", "prophetnet"]
PLAIN += ["speech_to_text", "transfo_xl", "wav2vec2", "xlm"]
PLAIN += ["bert_japanese"] if "bert_japanese" in FAMILIES else []
