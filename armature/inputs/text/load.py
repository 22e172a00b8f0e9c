"""From a checkpoint's files to its tokenizer: which class, which files, which settings."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature.errors import ArgumentError, CheckpointError
from armature.inputs.text.choice import choose_class
from armature.inputs.text.families import BY_NAME, tokenizer_class
from armature.inputs.text.family import Family
from armature.inputs.text.stored import TOKENIZER, read_stored

if TYPE_CHECKING:
    from armature.checkpoint.hub import Source
    from armature.inputs.text.tokenizer import Tokenizer

log = logging.getLogger(__name__)


def load_tokenizer(source: Source, *, class_name: str | None = None, **overrides: Any) -> Tokenizer:
    """Open the tokenizer of a checkpoint.

    Args:
        source: Where its files are.
        class_name: The class to use ("BertTokenizer"); by default what the checkpoint says.
        overrides: Options that win over the checkpoint's (`model_max_length`, `pad_token`…);
            `from_slow=True` builds from the older files though there is a tokenizer.json.

    Raises:
        CheckpointError: a file is missing or damaged.
        ArgumentError: there is no such class.
        UnknownArgumentError: an option does not exist.
    """
    from_slow = bool(overrides.pop("from_slow", False))
    config = overrides.pop("config", None)
    _note_ignored(overrides)
    whole = _single_file(source)
    json_file = None if from_slow or whole else source.find(TOKENIZER)
    has_json = json_file is not None or "tokenizer_file" in whole
    stored = read_stored(source, has_json=has_json)
    if stored.auto_map:
        log.warning("%s asks for code of its own (auto_map), which is never run.", source.name)
    if class_name is None:
        architecture = stored.architecture or getattr(config, "model_type", None)
        found = choose_class(stored.class_name, architecture, source.names(), has_json=has_json)
        if found is None:
            raise _unknown(source, stored.class_name or f"a tokenizer for `{architecture}`")
        class_name = found
    made = tokenizer_class(class_name)
    if made is None:
        raise ArgumentError(f"There is no tokenizer class `{class_name}` here.")
    files = whole or (
        {"tokenizer_file": json_file} if json_file else _older_files(source, made.family)
    )
    overrides.setdefault("name_or_path", source.name)
    return made.of_files(files, stored.options, stored.added, overrides)


def _unknown(source: Source, wanted: str) -> CheckpointError:
    return CheckpointError(
        source.name,
        f"needs {wanted}, which is not known here, and has no tokenizer.json",
        f"Known: {', '.join(sorted(BY_NAME))}. If one of these reads the same files, open the "
        "checkpoint with it, for instance BertTokenizer.from_pretrained(…).",
    )


def _note_ignored(overrides: dict[str, Any]) -> None:
    """Take out options that other libraries need and say what they mean here."""
    if overrides.pop("use_fast", True) is False:
        log.info("use_fast=False: all tokenizers here are fast ones, and give the same ids.")
    if overrides.pop("trust_remote_code", False):
        log.warning("trust_remote_code=True: code of a checkpoint is never run here.")


def _single_file(source: Source) -> dict[str, Path]:
    """Return the vocabulary file that the user named instead of a folder, if it was one."""
    path: Path | None = getattr(source, "file", None)
    if path is None or path.name.endswith("config.json"):
        return {}
    if path.name.endswith(TOKENIZER):
        return {"tokenizer_file": path}
    if path.suffix in (".txt", ".model", ".spm") or path.name.endswith("vocab.json"):
        merges = path.parent / path.name.replace("vocab.json", "merges.txt")
        beside = path.suffix == ".json" and merges.exists()
        return {"vocab_file": path, **({"merges_file": merges} if beside else {})}
    return {}


def _older_files(source: Source, family: Family) -> dict[str, Path]:
    """Return the older files of a family by argument name.

    Raises:
        CheckpointError: the checkpoint has none.
    """
    found: dict[str, Path] = {}
    for argument, names in family.files.items():
        if argument == "vocab_file" and names[0].endswith(".model"):
            others = [n for n in source.names() if n.endswith(".model") and "/" not in n]
            names = (*names, *others)
        for name in names:
            path = source.find(name)
            if path is not None:
                found[argument] = path
                break
    if "vocab_file" in found and found.keys() >= family.more_files.keys():
        return found
    names = source.names()
    shown = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
    wanted = " or ".join([TOKENIZER, " with ".join(n[0] for n in family.files.values())])
    raise CheckpointError(
        getattr(source, "place", source.name),
        f"has no vocabulary for {family.name}: neither {wanted}",
        f"It has: {shown or 'nothing'}. Add the file, or name a checkpoint that has it.",
    )
