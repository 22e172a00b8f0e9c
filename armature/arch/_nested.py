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
        usual: its model_type, and its settings where the file is silent.
        key: where its settings lie.

    Raises:
        ConfigError: it is of no known kind, or makes no feature maps.
    """
    from armature.outputs import backbones

    module, head, part = _nested(c, usual, key)
    return backbones.Backbone(module.spec(part), head, part)


def backbone_rows(
    c: Settings,
    usual: Mapping[str, Any],
    theirs: str = "backbone",
    ours: str = "backbone",
    key: str = "backbone_config",
) -> dict[str, str | View]:
    """Return its rows of names: behind the word `ours` here, behind `theirs` on disk."""
    if not isinstance(c, Config):
        return {}
    module, head, part = _nested(c, usual, key)
    prefix = module.PREFIX if head.prefix is None else head.prefix
    body = f"{theirs}.{prefix}" if prefix else theirs
    rows: dict[str, str | View] = {
        f"{ours}.body.{one}": Behind(body, as_view(two)) for one, two in module.names(part).items()
    }
    for one, two in head.rows(part).items():
        own = one.startswith("head.")
        one = f"maps.{one.removeprefix('head.')}" if own else f"body.{one}"
        rows[f"{ours}.{one}"] = Behind(theirs, as_view(two))
    return rows


def _nested(c: Config, usual: Mapping[str, Any], key: str) -> tuple[ModuleType, Backbone, Config]:
    """Return the file of a backbone's architecture, its head, and its settings."""
    settings = c.data.get(key)
    told = settings if isinstance(settings, Mapping) else {}
    for timm in ("backbone", "use_timm_backbone", "backbone_kwargs"):
        if not told and c.get(timm):
            raise ConfigError(
                f"config.json: `{timm}` is {c.get(timm)!r}: a backbone of the timm package cannot "
                "be opened here"
            )
    module = find(str(told.get("model_type") or usual["model_type"]))
    head = next((one for one in module.HEADS.values() if isinstance(one, Backbone)), None)
    if head is None:
        raise ConfigError(f"config.json: {key}: {told.get('model_type')!r} is no backbone")
    silent = {} if told else {name: one for name, one in usual.items() if name != "model_type"}
    part = c.part(key, {**module.DEFAULTS, **silent}, module.SYNONYMS)
    part.read_keys.update(module.UNUSED, NESTED)
    return module, head, part
