"""Saving a model: config.json, weights and generation settings, whole or not at all."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature import precision
from armature.checkpoint.save import disk_tensors
from armature.checkpoint.write import Transaction, save_weights
from armature.errors import refuse_unknown
from armature.outputs import tasks

if TYPE_CHECKING:
    from armature.config import Config
    from armature.pretrained import PreTrainedModel

log = logging.getLogger("armature")

_OPTIONS = ("safe_serialization", "max_shard_size", "variant", "is_main_process")


def save_model(model: PreTrainedModel, folder: str | Path, **options: Any) -> None:
    """Write a checkpoint that the reference library opens too.

    Args:
        model: what to save.
        folder: made when missing; an earlier checkpoint in it stays whole until the new one is.
        **options: `safe_serialization=False` writes pytorch_model.bin instead of safetensors,
            `max_shard_size` ("5GB") splits the weights, `variant` names them.

    Raises:
        CheckpointError: the folder cannot be written; nothing in it has changed.
        ArgumentError: the weights are rounded to few bits, which no such file can hold.
    """
    refuse_unknown("save_pretrained", options, _OPTIONS)
    precision.refuse(model, f"this {type(model).__name__} cannot be saved")
    config = model.config.copy()
    config.data["architectures"] = [type(model).__name__]
    config.data["dtype"] = str(model.dtype).removeprefix("torch.")
    config.data.pop("torch_dtype", None)
    if options.get("is_main_process", True) is False:
        return
    with Transaction(folder) as files:
        save_weights(
            files,
            disk_tensors(model, model.disk_names(model.config)),
            format="safetensors" if options.get("safe_serialization", True) else "bin",
            max_shard_size=options.get("max_shard_size", "50GB"),
            variant=options.get("variant"),
            metadata={"format": "pt"},
        )
        if model._generation_config is not None and isinstance(model.head_spec, tasks.WRITERS):
            files.write("generation_config.json", model.generation_config.to_json_string())
        files.write("config.json", _written(config))


# What files say of themselves to the reference library, and no others know.
_SIGNS = ("architectures", "dtype", "model_type")


def _written(config: Config) -> str:
    """Return the text of config.json; files that name their class in a way of their own keep it."""
    settings = config.to_dict()
    if "_model_class" not in settings:
        return config.to_json_string()
    kept = {key: value for key, value in settings.items() if key not in _SIGNS}
    return json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
