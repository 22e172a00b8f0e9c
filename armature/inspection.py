"""What is in a checkpoint, found out without loading it: only settings and headers are read."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from armature.errors import ArmatureError, CheckpointError, nearest

if TYPE_CHECKING:
    import os

    from armature.checkpoint.hub import Source

MEMORY = {"float32": 4, "bfloat16": 2, "int8": 1}  # bytes of a parameter
BUFFERS = {"I64", "I32", "BOOL"}  # dtypes of positions and counters, which nothing trains
WEIGHTS = (".safetensors", ".bin", ".h5", ".msgpack", ".pt", ".pth", ".ckpt", ".gguf", ".onnx")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
TOKENIZER_SETTINGS = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}
VOCABULARIES = {
    *("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"),
    *("spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
}


@dataclass(frozen=True)
class File:
    """One file of a checkpoint."""

    name: str
    kind: Literal["weights", "settings", "tokenizer", "code", "other"]
    size: int | None  # bytes; None: not on this machine


@dataclass(frozen=True)
class Finding:
    """Something about a checkpoint that its user should know."""

    weight: Literal["error", "warning", "note"]
    file: str
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Head:
    """A class whose own weights are all in the checkpoint, and the Auto classes that open it."""

    class_name: str
    auto: tuple[str, ...]
    declared: bool  # config.json names this class


@dataclass(frozen=True)
class Inspection:
    """What a checkpoint holds."""

    name: str
    place: str
    revision: str | None
    model_type: str | None
    architectures: tuple[str, ...]
    tensors: int
    parameters: int
    dtypes: dict[str, int]  # code of the file format → parameters
    heads: tuple[Head, ...]
    tokenizer: str | None
    files: tuple[File, ...]
    findings: tuple[Finding, ...]

    @property
    def memory(self) -> dict[str, int]:
        """Return the bytes that the weights take in memory, by dtype."""
        return {dtype: self.parameters * size for dtype, size in MEMORY.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self) | {"memory": self.memory}


def inspect(name: str | os.PathLike[str], **hub_options: Any) -> Inspection:
    """Look into a checkpoint: a folder, or a model of the hub.

    Settings that are not on this machine are fetched if that is allowed; weights never are.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    from armature.checkpoint.hub import resolve

    source = resolve(name, **hub_options)
    found: list[Finding] = []
    config = _settings(source, "config.json", found)
    files = tuple(_files(source, name, hub_options))
    shapes, dtypes = _tensors(name, files, hub_options, found)
    heads = tuple(_heads(config, shapes))
    found += _config_findings(config)
    found += _head_findings(config, shapes, heads)
    found += _file_findings(files)
    settings = _settings(source, "tokenizer_config.json", found, needed=False)
    found += _remote_code("tokenizer_config.json", settings)
    return Inspection(
        name=str(name),
        place=source.place,
        revision=source.revision,
        model_type=str(config["model_type"]) if config.get("model_type") else None,
        architectures=tuple(_declared(config)),
        tensors=len(shapes),
        parameters=sum(dtypes.values()),
        dtypes=dict(dtypes),
        heads=heads,
        tokenizer=_tokenizer(files, settings),
        files=files,
        findings=tuple(sorted(found, key=lambda f: ("error", "warning", "note").index(f.weight))),
    )


def _declared(config: Mapping[str, Any]) -> list[str]:
    """Return the classes that a config.json names; anything but texts in a list is no class."""
    names = config.get("architectures")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _settings(
    source: Source, filename: str, found: list[Finding], *, needed: bool = True
) -> Mapping[str, Any]:
    path = source.find(filename)
    if path is None:
        if needed:
            remedy = "a checkpoint needs it to be opened; copy it from where the weights come from"
            found.append(Finding("error", filename, "is missing", remedy))
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        found.append(Finding("error", filename, f"is not JSON ({error})", "fetch the file again"))
        return {}
    if not isinstance(settings, dict):
        found.append(Finding("error", filename, "is not a JSON object", "fetch the file again"))
        return {}
    return settings


def _files(source: Source, name: Any, hub_options: Mapping[str, Any]) -> Iterator[File]:
    local = _at_hand(name, hub_options)
    for filename in sorted(source.names()):
        path = local.find(filename) if local else None
        yield File(filename, _kind(filename), path.stat().st_size if path else None)


def _at_hand(name: Any, hub_options: Mapping[str, Any]) -> Source | None:
    """Return the part of a checkpoint that is on this machine, or None."""
    from armature.checkpoint.hub import resolve

    try:
        return resolve(name, **{**hub_options, "local_files_only": True})
    except CheckpointError:
        return None


def _kind(filename: str) -> Literal["weights", "settings", "tokenizer", "code", "other"]:
    base = filename.rsplit("/", 1)[-1]
    if base in TOKENIZER_SETTINGS | VOCABULARIES:
        return "tokenizer"
    if base.endswith((".safetensors.index.json", ".bin.index.json")) or base.endswith(WEIGHTS):
        return "weights"
    if base.endswith(".py"):
        return "code"
    return "settings" if base.endswith(".json") else "other"


def _tensors(
    name: Any, files: tuple[File, ...], hub_options: Mapping[str, Any], found: list[Finding]
) -> tuple[dict[str, tuple[int, ...]], Counter[str]]:
    """Read the weights' headers: shapes by name, and the number of elements of each dtype."""
    from armature.checkpoint.files import open_weights

    local = _at_hand(name, hub_options)
    if local is None or not any(file.kind == "weights" and file.size is not None for file in files):
        found.append(Finding("note", "weights", "none are on this machine"))
        return {}, Counter()
    try:
        weights = open_weights(local)
    except ArmatureError as error:
        file, what, remedy = (
            (error.file, error.cause, error.remedy)
            if isinstance(error, CheckpointError)
            else ("weights", str(error), "")
        )
        found.append(Finding("error", Path(file).name, what, remedy))
        return {}, Counter()
    dtypes: Counter[str] = Counter()
    for info in weights.values():
        if info.dtype not in BUFFERS:
            dtypes[info.dtype] += info.elements
    return {key: info.shape for key, info in weights.items()}, dtypes


def _config_findings(config: Mapping[str, Any]) -> Iterator[Finding]:
    from armature import arch

    model_type, known = config.get("model_type"), arch.names()
    if config and not isinstance(model_type, str):
        remedy = "add the architecture's name, as in https://huggingface.co/docs"
        yield Finding("error", "config.json", "names no model_type", remedy)
    elif config and model_type not in known:
        what = f"model_type `{model_type}` is not an architecture known here"
        yield Finding("error", "config.json", what, nearest(str(model_type), known).strip())
    elif config:
        classes = list(arch.find(str(model_type)).HEADS)
        for name in _declared(config):
            if name not in classes:
                what = f"class `{name}` is not known here"
                yield Finding("warning", "config.json", what, nearest(str(name), classes).strip())
    yield from _remote_code("config.json", config)


def _remote_code(filename: str, settings: Mapping[str, Any]) -> Iterator[Finding]:
    if settings.get("auto_map"):
        what = "auto_map names code of the checkpoint's author"
        yield Finding("warning", filename, what, "it is never run here; nothing is lost if the "
                      "architecture is known")  # fmt: skip


def _file_findings(files: tuple[File, ...]) -> Iterator[Finding]:
    """Say what the list of files alone tells."""
    names = {file.name for file in files}
    safe = any(name.endswith(".safetensors") for name in names)
    for file in files:
        if file.kind == "code":
            yield Finding("warning", file.name, "is code of the checkpoint's author", "never run")
        elif file.name.endswith(PICKLES):
            what = "is a pickle, which can hold a program"
            remedy = "not used: there is a safetensors file" if safe else "read as data, never run"
            yield Finding("note", file.name, what, remedy)
    if not any(file.kind == "tokenizer" for file in files):
        yield Finding("note", "tokenizer", "the checkpoint has none")


def _heads(config: Mapping[str, Any], shapes: Mapping[str, Any]) -> Iterator[Head]:
    """Find the classes of which every own weight is in the checkpoint, the declared ones first."""
    from armature import arch
    from armature.auto import auto_names
    from armature.outputs.tasks import Base

    if config.get("model_type") not in arch.names() or not shapes:
        return
    architecture = arch.find(str(config["model_type"]))
    declared = _declared(config)
    present = _spellings(shapes, architecture.ALIASES)
    alike = _alike(architecture.HEADS, declared)

    def others(head: Any) -> Iterator[Any]:
        return (one for one in architecture.HEADS.values() if one is not head)

    fitting = [
        Head(name, tuple(auto_names(name)), name in declared)
        for name, head in architecture.HEADS.items()
        if isinstance(head, Base)
        or (name not in alike and _holds(present, head, others(head), config))
    ]
    yield from sorted(fitting, key=lambda head: not head.declared)


def _alike(heads: Mapping[str, Any], declared: Iterable[str]) -> set[str]:
    """Return the classes that call their weights as a declared one does, but do another task.

    `classifier` of a model that was saved for sequences would fit one for tokens, too.
    """
    from armature.outputs.tasks import WordHead

    own = [heads[name] for name in declared if name in heads]
    outs = {head.out for head in own if head.out and not isinstance(head, WordHead)}
    return {name for name, head in heads.items() if head.out in outs} - set(declared)


def _head_findings(
    config: Mapping[str, Any], shapes: Mapping[str, Any], heads: tuple[Head, ...]
) -> Iterator[Finding]:
    found = {head.class_name for head in heads}
    for name in _declared(config) if shapes else ():
        if found and name not in found:
            what = f"names `{name}`, whose head is not among the weights"
            yield Finding("warning", "config.json", what, "it must be trained before it can answer")


def _spellings(names: Iterable[str], aliases: Mapping[str, str]) -> set[str]:
    """Return tensor names as they stand and as they are spelled today, with all beginnings."""
    from armature.checkpoint.names import Names

    found, known = set(), Names({}, aliases=aliases)
    for name in names:
        for spelling in {name, known.canonical(name)}:
            parts = spelling.split(".")
            found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return found


def _holds(present: set[str], head: Any, others: Iterable[Any], config: Mapping[str, Any]) -> bool:
    """Say whether a head is present; an output map may be the embeddings, tied.

    All parts of the usual path must be there, and some of an architecture's own module that no
    other head has: which parts of it there are depends on settings.
    """
    from armature.outputs.tasks import Backbone, WordHead

    tied = isinstance(head, WordHead) and head.ties(config)
    rows, own = head.rows(config), head.own(config)
    path = {ours: theirs for ours, theirs in rows.items() if ours not in own}
    sure = {ours: theirs for ours, theirs in path.items() if ours not in head.optional}
    sure = sure or ({} if own else path)
    whole = all(
        _is_map(theirs, present) if ours == "head.out" else _is_among(theirs, present)
        for ours, theirs in sure.items()
        if not (tied and ours == "head.out")
    )
    shared = {theirs for other in others for theirs in map(str, other.own(config).values())}
    telling = [theirs for theirs in own.values() if str(theirs) not in shared] or own.values()
    some = not own or any(_is_among(theirs, present) for theirs in telling)
    return whole and (isinstance(head, Backbone) or (bool(rows) and some))


def _is_map(theirs: str, present: set[str]) -> bool:
    """Say whether one linear map has this name, and not a part with several in it."""
    parted = any(name.startswith(f"{theirs}.") for name in present)
    return (f"{theirs}.weight" if parted else theirs) in present


def _is_among(theirs: Any, present: set[str]) -> bool:
    """Say whether a row's tensors are present: one of them, where it counts several."""
    from armature.checkpoint.views import as_view

    names = as_view(theirs).templates()
    patterns = (re.sub(r"\\\{\w+\\\}", r"\\d+", re.escape(name)) for name in names)
    return all(any(re.fullmatch(pattern, name) for name in present) for pattern in patterns)


def _tokenizer(files: tuple[File, ...], settings: Mapping[str, Any]) -> str | None:
    vocabularies = [file.name for file in files if file.name in VOCABULARIES]
    return settings.get("tokenizer_class") or min(vocabularies, default=None)
