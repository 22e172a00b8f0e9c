"""Bodies inside others: their settings and names, nested in those of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from armature.arch import find
from armature.checkpoint.views import Behind, View, as_view, behind
from armature.config import Config
from armature.errors import ConfigError
from armature.outputs.tasks import Backbone, Base, Settings

# What older files say of every body inside another, without a meaning there.
NESTED = ("id2label", "label2id", "is_encoder_decoder", "output_attentions")
NESTED += ("output_hidden_states", "use_pretrained_backbone")

# timm's ResNets: kind of layer, how many in each stage.
_TIMM = {
    "resnet18": ("basic", [2, 2, 2, 2]),
    "resnet26": ("bottleneck", [2, 2, 2, 2]),
    "resnet34": ("basic", [3, 4, 6, 3]),
    "resnet50": ("bottleneck", [3, 4, 6, 3]),
    "resnet101": ("bottleneck", [3, 4, 23, 3]),
    "resnet152": ("bottleneck", [3, 8, 36, 3]),
}

# One of two bodies that are compared: its architecture, and its settings.
Part = tuple[ModuleType, Config]


# Settings of a body that speak of a head on it, or of its tokenizer.
_OF_HEADS = ("bos_token_id", "eos_token_id", "pad_token_id", "tie_word_embeddings")
_OF_HEADS += ("add_cross_attention", "classifier_dropout")


def tower(c: Config, key: str, model_type: str = "") -> Part:
    """Return one of several bodies, whose settings the file nests under `key`.

    Args:
        c: the config of the whole.
        key: where the settings are.
        model_type: the body's architecture; "": as the settings say.
    """
    arch = find(model_type or getattr(c, key).model_type)
    part = c.part(key, arch.DEFAULTS, arch.SYNONYMS)
    part.read_keys.update((*arch.UNUSED, *_OF_HEADS))
    return arch, part


def tower_alone(c: Config, key: str, model_type: str) -> Any:
    """Return the anatomy of one of several bodies, beside which the file's others mean nothing."""
    for other in c.data:
        if other.endswith("_config") and other != key:
            part = c.part(other, {})
            part.read_keys.update(part.data)
    c.read_keys.update(("projection_dim", "logit_scale_init_value"))
    arch, part = tower(c, key, model_type)
    return arch.spec(part)


def tower_names(text: Part, vision: Part) -> dict[str, str | View]:
    """Return the names of two towers, each behind a word of its own."""
    rows: dict[str, str | View] = {}
    for slot, (arch, part) in {"text": text, "vision": vision}.items():
        base = next(head for head in arch.HEADS.values() if isinstance(head, Base))
        head = {k: v.removeprefix(f"{arch.PREFIX}.") for k, v in base.rows(part).items()}
        named = {f"body.{ours}": row for ours, row in arch.names(part).items()} | head
        rows |= {f"{slot}.{k}": row for k, row in behind(f"{slot}_model", named).items()}
    return rows


def backbone(c: Config, usual: Mapping[str, Any], key: str = "backbone_config") -> Any:
    """Build the body whose settings lie under `key`, and what makes feature maps of its states.

    Args:
        c: the config of the whole.
        usual: its model_type, its settings where the file is silent, and under "timm" the maps
            that one of timm's makes where the file is silent.
        key: where its settings lie.

    Raises:
        ConfigError: it is of no known kind, or makes no feature maps.
    """
    from armature.outputs import backbones

    module, head, part, _ = settings(c, usual, key)
    return backbones.Backbone((head.body or module.spec)(part), head, part)


def backbone_rows(
    c: Settings,
    usual: Mapping[str, Any],
    theirs: str = "backbone",
    ours: str = "backbone",
    key: str = "backbone_config",
    timm: str = "_backbone",
) -> dict[str, str | View]:
    """Return its rows of names: behind the word `ours` here, behind `theirs` on disk.

    One of timm's stands there behind a further word, `timm`.
    """
    if not isinstance(c, Config):
        return {}
    module, head, part, named = settings(c, usual, key)
    inner = timm if named else module.PREFIX if head.prefix is None else head.prefix
    body = f"{theirs}.{inner}" if inner else theirs
    names = module.timm_rows() if named else module.names(part)
    rows: dict[str, str | View] = {
        f"{ours}.body.{one}": Behind(body, as_view(two)) for one, two in names.items()
    }
    for one, two in head.rows(part).items():
        own = one.startswith("head.")
        one = f"maps.{one.removeprefix('head.')}" if own else f"body.{one}"
        rows[f"{ours}.{one}"] = Behind(theirs, as_view(two))
    return rows


def settings(
    c: Config, usual: Mapping[str, Any], key: str = "backbone_config"
) -> tuple[ModuleType, Backbone, Config, str]:
    """Return the file of a backbone's architecture, its head, its settings, and timm's name of it.

    The name is "" where it is none of timm's.

    Raises:
        ConfigError: it is of no known kind.
    """
    told = c.data.get(key)
    told = told if isinstance(told, Mapping) else {}
    c.read_keys.update((key, "backbone", "backbone_kwargs", "use_timm_backbone"))
    model_type = str(told.get("model_type") or usual["model_type"])
    if model_type == "timm_backbone" or (not told and c.get("use_timm_backbone")):
        return _of_timm(c, told, usual)
    for other in ("backbone", "backbone_kwargs"):
        if not told and c.get(other):
            raise ConfigError(
                f"config.json: `{other}` is {c.get(other)!r}, but a backbone without "
                f"`{key}` cannot be opened here"
            )
    module = find(model_type)
    head = next((one for one in module.HEADS.values() if isinstance(one, Backbone)), None)
    if head is None:
        raise ConfigError(f"config.json: {key}: {told.get('model_type')!r} is no backbone")
    silent = {} if told else {k: one for k, one in usual.items() if k not in ("model_type", "timm")}
    part = c.part(key, {**module.DEFAULTS, **silent}, module.SYNONYMS)
    part.read_keys.update(module.UNUSED, NESTED)
    return module, head, part, ""


def _of_timm(
    c: Config, told: Mapping[str, Any], usual: Mapping[str, Any]
) -> tuple[ModuleType, Backbone, Config, str]:
    further = {**(c.get("backbone_kwargs") or {}), **told}
    name = str(further.get("backbone") or c.get("backbone") or "resnet50").partition(".")[0]
    if name not in _TIMM:
        raise ConfigError(
            f"config.json: the backbone is timm's {name!r}, but Armature knows only "
            f"{', '.join(_TIMM)}: a checkpoint made with another cannot be opened yet"
        )
    layer, depths = _TIMM[name]
    resnet = find("resnet")
    made = type("PartConfig", (Config,), {"defaults": resnet.DEFAULTS})(
        num_channels=further.get("num_channels") or c.get("num_channels") or 3,
        layer_type=layer,
        depths=depths,
        hidden_sizes=[64 * 2**index * (4 if layer == "bottleneck" else 1) for index in range(4)],
        out_indices=further.get("out_indices") or usual.get("timm", [-1]),
    )
    return resnet, resnet.HEADS["ResNetBackbone"], made, name
