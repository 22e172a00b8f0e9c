"""Where the recorded tokenizers are, and their names."""

from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "golden" / "tokenizers"
FOLDERS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
FAMILIES = [name for name in FOLDERS if name != "marian"]  # of which less is recorded
# Of these no tokenizer.json is ever written, and no offsets are known.
PLAIN = ["bert_generation", "biogpt", "blenderbot_small", "ctrl", "m2m_100", "prophetnet"]
PLAIN += ["speech_to_text", "transfo_xl", "xlm"]
