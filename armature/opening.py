"""Opening: a name or a folder → its config, its class, a model filled from its files."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature import arch, guess
from armature.checkpoint.hub import HUB_OPTIONS, Source, resolve, resolve_with
from armature.config import Config
from armature.errors import ArgumentError, ArmatureError, CheckpointError, ConfigError, nearest
from armature.outputs import tasks
from armature.precision import FULL
from armature.precision import check as check_precision

if TYPE_CHECKING:
    import torch

    from armature.checkpoint.files import Weights
    from armature.checkpoint.names import Names
    from armature.pretrained import PreTrainedModel

log = logging.getLogger("armature")

_CONFIGS: dict[str, type[Config]] = {}
_PLACING = ("dtype", "torch_dtype", "device", "device_map", "target_lang")
_PARTS = ("add_pooling_layer", "use_mask_token", "crf")  # what a model may lack, or have
_FILES = ("config", "variant", "use_safetensors", "output_loading_info", "precision")
OPTIONS = (*_FILES, *_PLACING, *_PARTS)  # beside the hub's and the config's settings


def config_class(model_type: str) -> type[Config]:
    """Return the Config of an architecture: its defaults, its synonyms, its usual name."""
    if model_type not in _CONFIGS:
        module = arch.find(model_type)
        first = next(iter(module.HEADS))
        base = next((name for name in module.HEADS if name.endswith(("Model", "Encoder"))), first)
        body = {
            "model_type": model_type,
            "defaults": module.DEFAULTS,
            "synonyms": module.SYNONYMS,
            "__doc__": f"Settings of {(module.__doc__ or '').splitlines()[0]}",
            "__module__": "armature",
            "from_pretrained": classmethod(_read_as),
        }
        stem = re.sub("(Model|Encoder|For[A-Z].*)$", "", base)
        _CONFIGS[model_type] = type(f"{stem}Config", (Config,), body)
    return _CONFIGS[model_type]


def named_config(name: str | Path, options: dict[str, Any], model_type: str = "") -> Config:
    """Return the config of a folder or a hub name; what is not the hub's business sets its keys.

    Args:
        name: where the checkpoint is.
        options: the hub's options and settings.
        model_type: what to take it for where the file does not say.
    """
    config = open_config(resolve_with(name, options), model_type)
    config.update(options)
    return config


def _read_as(cls: type[Config], name: str | Path, **options: Any) -> Config:
    """Read config.json of a folder or a hub name; other options set its keys.

    Raises:
        ConfigError: it is of another architecture.
    """
    config = named_config(name, options, cls.model_type)
    if not isinstance(config, cls):
        raise ConfigError(
            f"{name}: this is a config of {config.model_type!r}, not of {cls.model_type!r}.\n"
            f"  → open it with {type(config).__name__} or AutoConfig"
        )
    return config


def read_json(path: Path) -> dict[str, Any]:
    """Read a settings file.

    Raises:
        CheckpointError: it is not a JSON object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            path, f"is not valid JSON ({error})", "download the file again"
        ) from error
    if not isinstance(data, dict):
        raise CheckpointError(path, "does not hold a JSON object", "download the file again")
    return data


def open_config(source: Source, model_type: str = "") -> Config:
    """Read a checkpoint's config.json.

    Args:
        source: the checkpoint.
        model_type: what to take it for where the file does not say.

    Raises:
        CheckpointError: the file is missing or is not JSON.
        ConfigError: it names no known architecture, or a key has the wrong type.
    """
    path = source.get("config.json")
    data = read_json(path)
    found = data.get("model_type") or model_type
    found = found or guess.model_type(data, source, lambda known: config_class(known)())
    if not found:
        raise ConfigError(
            f"{path}: there is no `model_type`, and neither `architectures` nor the names of the "
            "tensors or of the checkpoint tell the architecture.\n"
            "  → open it with a class by name (BertModel.from_pretrained…), or add the key"
        )
    config = config_class(str(found)).from_dict(data, path)
    config.name_or_path = str(source.name)
    return config


def open_model(
    name: str | Path | Source,
    choose: Callable[[Config], type[PreTrainedModel]],
    *,
    config: Config | None = None,
    **options: Any,
) -> Any:
    """Open a checkpoint: resolve it, choose the class, fill it from its files.

    Args:
        name: a folder, or a name on the hub.
        choose: returns the class for a config.
        config: used instead of the checkpoint's own.
        **options: `dtype` (also spelled `torch_dtype`; float32 unless given, "auto" keeps the
            file's), `precision` ("int8" or "int4" rounds the weights), `device`, `variant`,
            `use_safetensors`, `output_loading_info`, `target_lang` (of sounds), the hub's
            options (`revision`, `local_files_only`, …), and any setting of the config.

    Returns:
        The model, in eval mode; with `output_loading_info=True` a pair of it and the report.

    Raises:
        CheckpointError: files are missing or broken, or the body cannot be filled.
        UnknownArgumentError: an option that nothing knows.
    """
    hub = {key: options.pop(key) for key in list(options) if key in HUB_OPTIONS}
    placing = {key: options.pop(key) for key in _PLACING if key in options}
    stored = {key: options.pop(key) for key in ("variant", "use_safetensors") if key in options}
    built = {key: options.pop(key) for key in _PARTS if key in options}
    with_info = options.pop("output_loading_info", False)
    precision = options.pop("precision", None) or FULL
    check_precision(precision)
    _refuse_flags(options)
    source = resolve(name, **hub)
    if config is None:
        by_name = choose(Config())  # a class by name knows its architecture; Auto classes do not
        config = open_config(source, by_name.config_class.model_type if by_name else "")
        config = config.of(by_name.config_class) if by_name else config
    _override(config, options)
    chosen = choose(config)  # a wrong class is refused before torch is even imported

    from armature.checkpoint.files import open_weights

    weights = open_weights(source, **stored)
    if _keeps(weights, placing):
        weights.prefetch()  # while torch is imported and the model built

    import torch

    dtype, device = read_dtype(placing), _device(placing)
    model = _build(chosen, config, built)
    _fill(model, weights, None if dtype == "auto" else dtype or torch.float32)
    model.load_report.source, model.load_report.revision = str(name), source.revision
    model.name_or_path = str(name)
    _settle(model, device, placing.get("target_lang"), hub)
    if precision != FULL:
        model.quantize(precision)
    _say_what_is_new(model)
    if isinstance(model.head_spec, tasks.WRITERS):
        from armature.outputs.decoding.config import GenerationConfig

        model.generation_config = GenerationConfig.from_checkpoint(source, config)
    return (model, model.load_report) if with_info else model


def _settle(model: Any, device: Any, language: str | None, hub: dict[str, Any]) -> None:
    if language is not None:
        if not hasattr(model, "load_adapter"):
            raise ArgumentError(f"{type(model).__name__} reads no sounds: leave target_lang out")
        model.load_adapter(language, **hub)
    if device is not None:
        model.to(device)


def _keeps(weights: Weights, placing: dict[str, Any]) -> bool:
    """Return whether weights stay of the type that the files have, and so need no copy."""
    from armature.checkpoint.tensor_info import DTYPES

    given = placing.get("dtype", placing.get("torch_dtype")) or "float32"
    wanted = str(given).removeprefix("torch.")
    return wanted == "auto" or {DTYPES[info.dtype][0] for info in weights.values()} == {wanted}


def _build(chosen: type[PreTrainedModel], config: Config, built: dict[str, Any]) -> PreTrainedModel:
    """Build a model without memory for its weights.

    Raises:
        ConfigError: the settings contradict each other.
    """
    import torch

    try:
        with torch.device("meta"):
            return chosen(config, **built)
    except ArmatureError:
        raise
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{config.name_or_path}: no {chosen.__name__} can be built with the settings of its "
            f"config.json ({type(error).__name__}: {error}).\n"
            "  → compare the sizes in it with those of the original"
        ) from error


def _fill(model: PreTrainedModel, weights: Weights, dtype: torch.dtype | None) -> None:
    """Fill a model built on the meta device, deciding first what is tied and what is left out."""
    from armature.checkpoint.load import load, ordered, places

    names = model.disk_names(model.config)
    lookup = names.lookup(weights := ordered(weights, model, names))
    _leave_out(model, names, lookup)
    _join_labels(model, lookup)
    twins = _twins(model, names)
    for second, first in list(twins.items()):
        if second in lookup and first in lookup and not _equal(weights, lookup, second, first):
            untie(model)
            twins = {}
    report = load(model, weights, names, lookup, dtype, model.initialise, twins)
    report.dtype = str(model.dtype).removeprefix("torch.")
    model.load_report = report
    model._fresh = [
        (pair.name, place.tensor, place.tensor._version)
        for place in (places(model, names) if report.new else ())
        for pair in place.pairs
        if pair.name in report.new
    ]
    model.tie_weights() if twins else None


def _leave_out(model: PreTrainedModel, names: Names, lookup: Mapping[str, str]) -> None:
    """Leave out what no result needs and the checkpoint lacks, instead of inventing it.

    That is a bare model's pooler, and the norm after a backbone's last map.
    """

    def lacks(ours: str) -> bool:
        theirs = names.head.get(ours)
        return theirs is not None and names.canonical(f"{theirs}.weight") not in lookup

    if model._is_base and getattr(model.head, "dense", None) and lacks("head.dense"):
        model.head = None
    if getattr(model, "pooler", None) is not None and lacks("pooler.dense"):
        model.pooler = None  # type: ignore[assignment]
    if isinstance(model.head_spec, tasks.Backbone) and lacks("norm"):
        model.body.norm = None  # type: ignore[assignment]


def _join_labels(model: PreTrainedModel, lookup: Mapping[str, str]) -> None:
    """Give a token head the transitions of labels, where the checkpoint carries them."""
    import torch

    from armature.outputs.heads import Tokens

    if isinstance(model.head, Tokens) and "crf.transitions" in lookup:
        with torch.device("meta"):
            model.head.learn_chain()


def untie(model: PreTrainedModel) -> None:
    """Give the words' scores a weight of their own, where a file has one that differs."""
    import torch

    out = model.get_output_embeddings()
    if out is not None:
        out.weight = torch.nn.Parameter(torch.empty_like(out.weight))


def _twins(model: PreTrainedModel, names: Names) -> dict[str, str]:
    """Return second → first name of the table that words share with tokens."""
    from armature.checkpoint.views import Target

    out = model.get_output_embeddings()
    if out is None or out.weight is not model.stack.embed.token.weight:
        return {}
    table = next(
        path for path, tensor in model.named_parameters() if tensor is out.weight
    ).removeprefix("body.")
    target = Target(tuple(out.weight.shape), "")
    first, second = names.pairs(table, target), names.pairs("head.out.weight", target)
    return {names.canonical(second[0].name): names.canonical(first[0].name)}


def _equal(weights: Weights, lookup: Mapping[str, str], second: str, first: str) -> bool:
    import torch

    a, b = lookup[second], lookup[first]
    return weights[a].shape == weights[b].shape and torch.equal(weights.read(a), weights.read(b))


def _say_what_is_new(model: PreTrainedModel) -> None:
    report = model.load_report
    if not report.new:
        return
    from armature.auto import auto_names

    own = [name for name in model.config.architectures or [] if isinstance(name, str)]
    fits = next((auto_names(name) for name in own if auto_names(name)), None)
    shapes = "; ".join(str(mismatch) for mismatch in report.mismatched)
    log.warning(
        "%s: the head of %s is new, not trained: %s.%s%s Train it before you predict with it.",
        report.source,
        type(model).__name__,
        ", ".join(report.new),
        f" ({shapes})" if shapes else "",
        f" The checkpoint's own head fits {fits[0]}." if fits else "",
    )


# ------------------------------------------------------------------------------- options


def read_dtype(options: dict[str, Any]) -> Any:
    """Take `dtype` or `torch_dtype` out of a caller's options: a torch.dtype, "auto", or None.

    Raises:
        ArgumentError: torch has no such type.
    """
    import torch

    given = [options.pop(key) for key in ("dtype", "torch_dtype") if key in options]
    value = given[0] if given else None
    if value in (None, "auto") or isinstance(value, torch.dtype):
        return value
    found = getattr(torch, str(value).removeprefix("torch."), None)
    if not isinstance(found, torch.dtype):
        raise ArgumentError(f"dtype is {value!r}; give a torch.dtype, its name, or 'auto'")
    return found


def _device(options: dict[str, Any]) -> Any:
    device, device_map = options.pop("device", None), options.pop("device_map", None)
    if isinstance(device_map, Mapping):
        raise ArgumentError(
            "device_map as a table of modules is not supported: give one device, or 'auto'"
        )
    if device_map == "auto":
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    return device if device is not None else device_map


def _refuse_flags(options: dict[str, Any]) -> None:
    """Take the flags that need nothing done, and refuse those that nothing here can do."""
    if options.pop("trust_remote_code", None):
        raise ArgumentError(
            "trust_remote_code=True is refused: code from a checkpoint never runs here. "
            "The architectures that Armature knows need none"
        )
    for flag, what in (("from_tf", "TensorFlow"), ("from_flax", "Flax")):
        if options.pop(flag, None):
            raise ArgumentError(f"{flag}=True: {what} weight files cannot be read yet")
    attention = options.pop("attn_implementation", None)
    if attention not in (None, "eager", "sdpa"):
        raise ArgumentError(
            f"attn_implementation={attention!r} is not available; leave it out: one fused "
            "attention serves all, and output_attentions works with it"
        )
    if options.pop("low_cpu_mem_usage", True) is False:
        log.warning("low_cpu_mem_usage=False has no effect: weights are never held twice")
    options.pop("ignore_mismatched_sizes", None)  # heads of another size are always made new


def _override(config: Config, options: dict[str, Any]) -> None:
    from armature.errors import UnknownArgumentError

    for key, value in options.items():
        if not config.knows(key):
            known = {*config.names(), *HUB_OPTIONS, *OPTIONS}
            raise UnknownArgumentError(
                f"from_pretrained got an unknown argument `{key}`.{nearest(key, known)}"
            )
        setattr(config, key, value)
