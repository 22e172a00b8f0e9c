"""A model's resolved anatomy as a tree: slot, variant, shape, our name, the checkpoint's name.

The tree is read off the model itself, built without memory, so it is true by construction.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from armature.pretrained import PreTrainedModel

# Attributes of organs that say what variant they are, in the order in which they are told.
FACTS = (
    *("heads", "kv_heads", "head_width", "causal", "window", "side", "offset", "pad", "buckets"),
    *("distance", "bidirectional", "interleaved", "top", "eps"),
)


@dataclass(frozen=True)
class Organ:
    """One slot of the anatomy and what fills it."""

    slot: str
    variant: str  # the name of the module's class
    count: int = 1  # how many alike follow each other
    facts: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()  # of its weight
    parameters: int = 0  # of all `count` together, with what is inside them
    theirs: str = ""  # the checkpoint's name, without ".weight"
    inside: tuple[Organ, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain values, for JSON."""
        return asdict(self)


def explain(name: str | Path, **hub_options: Any) -> Organ:
    """Return the anatomy of a checkpoint's own class; no weights are read.

    Raises:
        CheckpointError: there is no such checkpoint, or it has no config.json.
        ConfigError: its architecture is not known.
    """
    import torch

    from armature.auto import AutoConfig, AutoModel, model_class

    config = AutoConfig.from_pretrained(name, **hub_options)
    classes = [model_class(str(found)) for found in config.architectures or ()]
    with torch.device("meta"):
        found = next((one for one in classes if one is not None), None)
        return anatomy(AutoModel.from_config(config) if found is None else found(config))


def anatomy(model: PreTrainedModel) -> Organ:
    """Return the anatomy of a model, which may be built on the meta device."""
    from armature.checkpoint.load import places

    theirs: dict[str, list[str]] = {}
    for place in places(model, model.disk_names(model.config)):
        owner = place.path.removesuffix(f".{place.name}")
        stems = [pair.name.removesuffix(f".{place.name}") for pair in place.pairs]
        theirs.setdefault(owner, []).extend(s for s in stems if s not in theirs.get(owner, ()))
    return _organ("", model, "", _Seen(theirs, {}))


@dataclass(frozen=True)
class _Seen:
    """What is known while the tree is walked."""

    theirs: dict[str, list[str]]  # path of a module → the checkpoint's names
    owners: dict[int, str]  # id of a weight → path of the module that showed it first


def _organ(slot: str, module: nn.Module, path: str, seen: _Seen) -> Organ:
    own = [tensor for tensor in module._parameters.values() if tensor is not None]
    weight = max(own, key=lambda tensor: tensor.dim(), default=None)
    owner = path if weight is None else seen.owners.setdefault(id(weight), path)
    inside = [
        _organ(name, child, f"{path}.{name}".lstrip("."), seen)
        for name, child in module.named_children()
    ]
    groups = _group([organ for organ in inside if organ.parameters or organ.facts])
    if type(module).__name__ == "ModuleList" and len(groups) == 1:
        return replace(groups[0], slot=slot)  # `blocks` itself is its twelve blocks
    if groups and type(module).__name__ == "LinearGroup":
        return _packed(slot, groups, _facts(module))
    tied = () if owner == path else (f"tied to {owner.removeprefix('body.')}",)
    return Organ(
        slot,
        type(module).__name__,
        facts=(*_facts(module), *tied),
        shape=() if weight is None else tuple(weight.shape),
        parameters=sum(p.numel() for p in module.parameters()),
        theirs=fold(seen.theirs.get(path, [])),
        inside=tuple(groups),
    )


def _packed(slot: str, maps: list[Organ], facts: tuple[str, ...]) -> Organ:
    """Join the maps of one input, each with its rows, into one slot: q, k and v are `qkv`."""
    return Organ(
        slot,
        " + ".join(dict.fromkeys(part.variant for part in maps)),
        facts=facts,
        shape=(sum(part.shape[0] for part in maps), *maps[0].shape[1:]),
        parameters=sum(part.parameters for part in maps),
        theirs=fold(list(dict.fromkeys(part.theirs for part in maps))),
    )


def _facts(module: nn.Module) -> tuple[str, ...]:
    """Return what is particular about an organ: its numbers, where they are not the usual ones."""
    from armature.layers.act import ACTIVATIONS

    values = vars(module)
    told = []
    for name in FACTS:
        value = values.get(name)
        if value is None or value is False or value == 0:
            continue
        if name == "kv_heads" and value == values["heads"]:
            continue
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        told.append(name if value is True else f"{name.replace('_', ' ')} {shown}")
    usual = values["head_width"] ** -0.5 if "head_width" in values else 1.0
    if isinstance(values.get("scale"), float) and abs(values["scale"] - usual) > 1e-9:
        told.append(f"scale {values['scale']:.4g}")
    if isinstance(values.get("parts"), dict):
        told.append(" ".join(f"{part}:{rows}" for part, rows in values["parts"].items()))
    act = next((name for name, act in ACTIVATIONS.items() if act is values.get("act")), "linear")
    if act != "linear":
        told.append(act)
    schedule = values.get("schedule")
    if schedule and schedule != tuple(range(len(schedule))):
        told.append(f"runs its blocks as {' '.join(map(str, schedule))}")
    return tuple(told)


def _group(organs: list[Organ]) -> list[Organ]:
    """Join neighbours that are alike but for their number: blocks 0-11 become one of count 12."""
    groups: list[list[Organ]] = []
    for organ in organs:
        alike = groups and organ.slot.isdigit() and _form(organ) == _form(groups[-1][0])
        groups[-1].append(organ) if alike else groups.append([organ])
    return [group[0] if len(group) == 1 else _joined(group) for group in groups]


def _form(organ: Organ) -> Organ:
    """Return an organ without its names: what two organs have in common that are alike."""
    return replace(organ, slot="", theirs="", inside=tuple(_form(one) for one in organ.inside))


def _joined(group: list[Organ]) -> Organ:
    first, second, last = group[0], group[1], group[-1]
    return replace(
        _numbered(first, second),
        slot=f"{first.slot}-{last.slot}",
        count=len(group),
        parameters=sum(organ.parameters for organ in group),
    )


def _numbered(first: Organ, second: Organ) -> Organ:
    """Put {i} where the names of two neighbours differ."""
    pairs = zip(first.theirs.split("."), second.theirs.split("."), strict=False)
    theirs = ".".join(a if a == b else "{i}" for a, b in pairs)
    inside = zip(first.inside, second.inside, strict=True)
    return replace(first, theirs=theirs, inside=tuple(_numbered(a, b) for a, b in inside))


def fold(names: list[str]) -> str:
    """Write several dotted names as one: a.{q,k,v}, or experts.{0-7}.w1."""
    rows = [name.split(".") for name in names]
    if len({len(row) for row in rows}) != 1:
        return ", ".join(names)
    segments = []
    for column in zip(*rows, strict=True):
        words = list(dict.fromkeys(column))
        if len(words) > 2 and all(word.isdigit() for word in words):
            words = [f"{words[0]}-{words[-1]}"]
            segments.append("{" + words[0] + "}")
        else:
            segments.append(words[0] if len(words) == 1 else "{" + ",".join(words) + "}")
    return ".".join(segments)
