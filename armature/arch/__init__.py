"""What each architecture is: one file for each model_type, found by its name.

Every file defines the same words, in this order:

    LIKE       the other file whose words hold where this one has none
    DEFAULTS   what a silent config.json means
    SYNONYMS   the field's common names of settings → this architecture's own
    spec(c)    the anatomy, from a config
    PREFIX     what heads write before the body's tensor names
    NAMES      our names → the disk's (or `names(c)`, where the config decides)
    COPIES     tensors that files hold a second time, unread (or `copies(c)`)
    ALIASES    older spellings, read only
    IGNORED    buffers that mean nothing
    UNUSED     config keys without effect on what a forward pass computes
    HEADS      class name → what it puts on the body
    INPUTS     the tokenizer family (or "images", or "sounds")

A file leaves out what would be empty, and what another file says that it is like.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from armature import kinds
from armature.config import Config
from armature.errors import ConfigError, nearest
from armature.model.spec import Block, Dropout, Norm, Own, Rotary, Stack, Tokens
from armature.outputs.tasks import Head

# model_type → the file that describes it, where the names differ.
SYNONYMS = {
    "audio-spectrogram-transformer": "audio_spectrogram_transformer",
    "bert-generation": "bert_generation",
    "blenderbot-small": "blenderbot_small",
    "data2vec-audio": "data2vec_audio",
    "data2vec-vision": "data2vec_vision",
    "deberta-v2": "deberta_v2",
    "donut-swin": "donut_swin",
    "encoder-decoder": "encoder_decoder",
    "maskformer-swin": "maskformer_swin",
    "openai-gpt": "openai_gpt",
    "speech-encoder-decoder": "speech_encoder_decoder",
    "transfo-xl": "transfo_xl",
    "table-transformer": "table_transformer",
    "sew-d": "sew_d",
    "unispeech-sat": "unispeech_sat",
    "vision-encoder-decoder": "vision_encoder_decoder",
    "vision-text-dual-encoder": "vision_text_dual_encoder",
    "wav2vec2-conformer": "wav2vec2_conformer",
    "xlm-roberta": "xlm_roberta",
}

# What a file means by leaving a word out, unless another file says it.
EMPTY: dict[str, Any] = {
    "SYNONYMS": {},
    "COPIES": {},
    "copies": lambda _config: {},
    "ALIASES": {},
    "IGNORED": (),
    "UNUSED": (),
}
WORDS = (*EMPTY, "DEFAULTS", "spec", "PREFIX", "NAMES", "names", "HEADS", "INPUTS")

# What configs say of a text's summary, also where the architecture has no head that makes one.
SUMMARY: dict[str, Any] = {
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "summary_activation": None,
    "summary_proj_to_labels": True,
    "summary_first_dropout": 0.1,
}


def names() -> list[str]:
    """Return every known model_type."""
    files = [one.name for one in pkgutil.iter_modules(__path__) if one.name[0] != "_"]
    spelled = {file: model_type for model_type, file in SYNONYMS.items()}
    return sorted(spelled.get(file, file) for file in files)


def find(model_type: str) -> ModuleType:
    """Return the architecture's module, which has every word.

    Raises:
        ConfigError: no architecture has this model_type; the message names the nearest.
    """
    if model_type not in names():
        raise ConfigError(
            f"no architecture is known for model_type {model_type!r}."
            f"{nearest(str(model_type), names())}\n"
            "  → `armature models --architectures` lists those that are"
        )
    return _complete(importlib.import_module(f"{__name__}.{SYNONYMS.get(model_type, model_type)}"))


@cache
def _complete(module: ModuleType) -> ModuleType:
    """Give a module the words that its file leaves out."""
    own = vars(module)
    for table, function in (("NAMES", "names"), ("COPIES", "copies")):
        if table in own:
            own.setdefault(function, lambda _config, rows=own[table]: rows)
    further = vars(_complete(own["LIKE"])) if "LIKE" in own else EMPTY
    for word in further.keys() & WORDS:
        own.setdefault(word, further[word])
    return module


def renamed(table: Mapping[str, Head], old: str, new: str, *without: str) -> dict[str, Head]:
    """Return heads under another architecture's class names, without those that end so."""
    kept = {name: head for name, head in table.items() if not name.endswith(without)}
    return {name.replace(old, new): head for name, head in kept.items()}


def convolved(table: Mapping[str, str]) -> dict[str, str]:
    """Return rows for convolutions and the norms behind them, of one row for both."""
    rows = {f"{ours}.conv": f"{theirs}.convolution" for ours, theirs in table.items()}
    return rows | {f"{ours}.norm": f"{theirs}.normalization" for ours, theirs in table.items()}


def sides(size: int | list[int]) -> tuple[int, int]:
    """Return the height and width that one number, or two, stand for."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def head_width(c: Config) -> int:
    """Return how many numbers one attention head has: the config's, or an even share.

    HF: where keys may have fewer heads, the share is rounded down; heads are then narrower together
    than the states.

    Raises:
        ConfigError: the width cannot be shared evenly.
    """
    explicit = c.get("head_dim")
    if explicit is not None:
        return int(explicit)
    rounds = "num_key_value_heads" in c.defaults and c.num_attention_heads <= c.hidden_size
    if c.num_attention_heads < 1 or (c.hidden_size % c.num_attention_heads and not rounds):
        raise ConfigError(
            f"config.json: the hidden size {c.hidden_size} is not a multiple of "
            f"{c.num_attention_heads} attention heads\n"
            "  → compare both with the original's config.json"
        )
    return c.hidden_size // c.num_attention_heads


def heads(c: Config) -> dict[str, Any]:
    """Return the fields of an attention that count its heads; keys and values may have fewer."""
    count = c.num_attention_heads
    shared = c.stated("num_key_value_heads") or count
    return {"heads": count, "width": head_width(c), "kv_heads": shared}


def decoder(
    c: Config,
    norm: Norm | None,
    block: Block | Callable[[int], Block | Own],
    dropout: Dropout | None = None,
    **tokens: Any,
) -> Stack:
    """Return a stack of blocks between embeddings, with these further fields, and a last norm."""
    return Stack(
        embed=Tokens(c.vocab_size, c.hidden_size, **tokens),
        block=block,
        depth=c.num_hidden_layers,
        norm=norm,
        dropout=dropout or Dropout(0.0, c.attention_dropout),
    )


def sees_window(c: Config, index: int, *, otherwise: bool) -> bool:
    """Return whether layer `index` sees a window alone: by `layer_types`, or as `otherwise` says.

    Raises:
        ConfigError: `layer_types` does not name a known kind for every layer.
    """
    kinds = {"sliding_attention": True, "full_attention": False}
    types = c.get("layer_types")
    if not types:
        return otherwise
    if (
        not isinstance(types, list)
        or len(types) != c.num_hidden_layers
        or set(map(str, types)) - set(kinds)
    ):
        raise ConfigError(
            f"config.json: layer_types is {types!r}, but should name each of "
            f"{c.num_hidden_layers} layers {' or '.join(kinds)}\n"
            "  → correct the file, or download it again"
        )
    return kinds[types[index]]


def reaches(c: Config, depth: int) -> list[int]:
    """Return how far each layer sees to either side: half of its `attention_window`.

    Raises:
        ConfigError: the windows are odd or empty, or there is not one for each layer.
    """
    windows = c.attention_window
    windows = [windows] * depth if isinstance(windows, int) else windows
    if len(windows) != depth or any(window < 1 or window % 2 for window in windows):
        raise ConfigError(
            f"config.json: attention_window is {c.attention_window!r}, but should be an even "
            f"number, or one for each of {depth} layers\n"
            "  → correct the file, or download it again"
        )
    return [window // 2 for window in windows]


def refuse(c: Config, **settings: Any) -> None:
    """Raise where a config asks for what its architecture does not have here.

    Args:
        c: the config.
        **settings: the only value that a setting may have.
    """
    for key, value in settings.items():
        if c.get(key, value) != value:
            raise ConfigError(
                f"config.json: `{key}` is {c.get(key)!r}, but for {c.model_type!r} Armature knows "
                f"only {value!r}: a checkpoint made with another cannot be opened yet"
            )


def rotary(c: Config, default_theta: float = 10000.0) -> Rotary:
    """Read rotary positions in either spelling: `rope_parameters`, or `rope_theta` and scaling."""
    # HF: where a file has both, the older spelling wins.
    stored = c.get("rope_scaling") or c.get("rope_parameters") or {}
    if not isinstance(stored, dict):
        raise ConfigError(f"config.json: rope_scaling is {stored!r}, but should be a table")
    given: dict[str, Any] = {key: value for key, value in stored.items() if value is not None}
    for key in ("rope_parameters", "rope_scaling", "rope_theta"):
        c.get(key)  # recorded as read, whichever spelling wins
    given["rope_type"] = given.get("rope_type") or given.get("type") or "default"
    given.setdefault("rope_theta", c.get("rope_theta") or default_theta)
    longest = c.get("max_position_embeddings")
    given.setdefault("max_position_embeddings", longest)
    if given["rope_type"] != "dynamic":
        trained = c.get("original_max_position_embeddings") or longest
        given.setdefault("original_max_position_embeddings", trained)
    share = given.get("partial_rotary_factor") or c.get("partial_rotary_factor") or 1.0
    width = int(head_width(c) * share)
    fault = kinds.rope(given, width)
    if fault:
        raise ConfigError(
            f"{c.name_or_path}/config.json: rotary positions: {fault}.\n"
            "  → correct the file, or download it again"
        )
    return Rotary(width, given)
