"""GenerationConfig: generation_config.json kept verbatim, with a field for every known setting.

A field that nobody has set is None. What None means is decided when `generate()` begins: the
caller's arguments come first, then the configuration given, then the model's own, then DEFAULTS.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from armature.config import Config
from armature.errors import CheckpointError, UnknownArgumentError, nearest, refuse_unknown

log = logging.getLogger("armature")

FILE = "generation_config.json"

# What a setting means that neither the caller nor the checkpoint has set.
DEFAULTS: dict[str, Any] = {
    "do_sample": False,
    "num_beams": 1,
    "num_return_sequences": 1,
    "early_stopping": False,
    "length_penalty": 1.0,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "use_cache": True,
}


class GenerationConfig:
    """How to generate: lengths, the strategy, and what may be said."""

    # Length
    max_length: int | None = None  # of prompt and new tokens together
    max_new_tokens: int | None = None
    min_length: int | None = None
    min_new_tokens: int | None = None
    max_time: float | None = None  # seconds
    stop_strings: str | list[str] | None = None

    # Strategy
    do_sample: bool | None = None
    num_beams: int | None = None
    num_return_sequences: int | None = None
    early_stopping: bool | str | None = None  # of beams: True, False or "never"
    length_penalty: float | None = None  # of beams: the power of the length that divides a score
    num_beam_groups: int | None = None
    diversity_penalty: float | None = None
    penalty_alpha: float | None = None
    dola_layers: Any = None
    constraints: Any = None
    force_words_ids: Any = None
    guidance_scale: float | None = None
    prompt_lookup_num_tokens: int | None = None
    assistant_early_exit: int | None = None
    use_mtp: bool | None = None
    speculation_type: str | None = None
    token_healing: bool | None = None
    watermarking_config: Any = None

    # Sampling
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    top_h: float | None = None
    typical_p: float | None = None
    epsilon_cutoff: float | None = None
    eta_cutoff: float | None = None
    renormalize_logits: bool | None = None

    # Words
    repetition_penalty: float | None = None
    encoder_repetition_penalty: float | None = None
    presence_penalty: float | None = None  # of each token that was said, and
    frequency_penalty: float | None = None  # of each time that it was: not the prompt's
    no_repeat_ngram_size: int | None = None
    encoder_no_repeat_ngram_size: int | None = None
    bad_words_ids: list[list[int]] | None = None
    sequence_bias: Any = None  # {(1, 2): -3.0} or [[[1, 2], -3.0]]
    suppress_tokens: list[int] | None = None
    begin_suppress_tokens: list[int] | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | list[int] | None = None
    forced_decoder_ids: Any = None
    exponential_decay_length_penalty: Any = None  # (first new token, factor)
    remove_invalid_values: bool | None = None

    # Special tokens
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    decoder_start_token_id: int | list[int] | None = None

    # Results
    return_dict_in_generate: bool | None = None
    output_scores: bool | None = None
    output_logits: bool | None = None
    output_attentions: bool | None = None
    output_hidden_states: bool | None = None

    # How a computation is carried out: the tokens are the same
    use_cache: bool | None = None
    cache_implementation: str | None = None
    cache_config: Any = None
    max_cache_len: int | None = None
    low_memory: bool | None = None
    prefill_chunk_size: int | None = None
    compile_config: Any = None
    disable_compile: bool | None = None
    continuous_batching_config: Any = None

    # Settings of a draft model, which only matter where one is used
    is_assistant: bool | None = None
    num_assistant_tokens: int | None = None
    num_assistant_tokens_schedule: str | None = None
    assistant_confidence_threshold: float | None = None
    assistant_lookbehind: int | None = None
    target_lookbehind: int | None = None
    assistant_ensemble_weight: float | None = None
    max_matching_ngram_size: int | None = None

    # Bookkeeping
    transformers_version: str | None = None
    _from_model_config: bool | None = None

    # What the text must be: given `tokenizer=`, one of them
    json_schema: Any = None  # a table, JSON text, or a class with `model_json_schema()`
    regex: str | None = None
    grammar: str | None = None  # Lark

    def __init__(self, **settings: Any) -> None:
        refuse_unknown("GenerationConfig", settings, FIELDS)
        self.__dict__.update(settings)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], **changes: Any) -> GenerationConfig:
        """Keep all of `data`, known or not, and set `changes`, whose names must be known."""
        config = cls(**changes)
        config.__dict__.update({**data, **changes})
        return config

    @classmethod
    def from_file(cls, file: str | PathLike[str], **changes: Any) -> GenerationConfig:
        """Read one JSON file.

        Raises:
            CheckpointError: the file is not a JSON table.
        """
        path = Path(file)
        remedy = "restore the file, or delete it: config.json's settings are used then"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise CheckpointError(path, f"is not JSON ({error})", remedy) from error
        if not isinstance(data, dict):
            raise CheckpointError(path, f"holds a {type(data).__name__}, not a table", remedy)
        return cls.from_dict(data, **changes)

    @classmethod
    def from_pretrained(
        cls, name: str | PathLike[str], config_file_name: str = FILE, **options: Any
    ) -> GenerationConfig:
        """Read the settings of a checkpoint: a folder or a repository's name.

        Args:
            name: The folder or repository.
            config_file_name: The file in it.
            options: Where to look (`revision`, `cache_dir`, `local_files_only`…), and changes.
        """
        from armature.checkpoint.hub import HUB_OPTIONS, resolve_with

        refuse_unknown("GenerationConfig.from_pretrained", options, [*FIELDS, *HUB_OPTIONS])
        source = resolve_with(name, options)
        return cls.from_file(source.get(config_file_name), **options)

    @classmethod
    def from_model_config(cls, model_config: Any) -> GenerationConfig:
        """Collect the generation settings that older checkpoints keep in config.json."""
        found: dict[str, Any] = {"_from_model_config": True}
        for part in (model_config, *(model_config.get(name) for name in _DECODERS)):
            for field in _MODEL_FIELDS if part else ():
                # A null counts: it says that there is none, whatever the architecture's default.
                stated = isinstance(part, Config) and field in part
                value = part.stated(field) if stated else part.get(field)
                if value is not None:
                    found.setdefault(field, value)
        if model_config.get("force_bos_token_to_be_generated"):
            found.setdefault("forced_bos_token_id", found.get("bos_token_id"))
        return cls.from_dict(found)

    @classmethod
    def from_checkpoint(cls, source: Any, model_config: Any) -> GenerationConfig:
        """Read a checkpoint's own file, or config.json where it has none.

        Args:
            source: The checkpoint, as `armature.checkpoint.hub.resolve` returns it.
            model_config: Its config.
        """
        file = source.find(FILE)
        if file is None:
            return cls.from_model_config(model_config)
        config = cls.from_file(file)
        config._warn(file)
        return config

    def _warn(self, file: str | PathLike[str]) -> None:
        """Say what generate() will refuse, and which names are near to a setting's but are none.

        Other names are the business of whoever wrote them: files hold many.
        """
        from armature.outputs.decoding.rules import faults

        for fault in faults(self):
            log.warning("%s: %s. generate() refuses it unless the call sets another", file, fault)
        for name in set(self.__dict__) - set(FIELDS):
            if get_close_matches(name, FIELDS, n=1, cutoff=0.85):
                near = nearest(name, FIELDS)
                log.warning("%s: `%s` is no setting, and changes nothing.%s", file, name, near)

    def update(self, **settings: Any) -> None:
        """Set several fields at once; a name that is neither known nor in the file is refused."""
        for name, value in settings.items():
            setattr(self, name, value)

    def save_pretrained(
        self, save_directory: str | PathLike[str], config_file_name: str = FILE
    ) -> None:
        """Write what is set into a folder, which is made when missing."""
        from armature.checkpoint.write import Transaction

        with Transaction(save_directory) as files:
            files.write(config_file_name, self.to_json_string())

    def to_dict(self) -> dict[str, Any]:
        """Return every known field, and what else the file held."""
        return {**dict.fromkeys(FIELDS), **self.__dict__}

    def to_diff_dict(self) -> dict[str, Any]:
        """Return what is set, in the order in which it was."""
        return dict(self.__dict__)

    def to_json_string(self, *, use_diff: bool = True) -> str:
        """Return what is set (`use_diff`) or every field as JSON text."""
        settings = self.to_diff_dict() if use_diff else self.to_dict()
        bias = settings.get("sequence_bias")
        if isinstance(bias, dict):  # JSON has no tuples for keys
            settings["sequence_bias"] = [[list(tokens), value] for tokens, value in bias.items()]
        return json.dumps(settings, indent=2, ensure_ascii=False) + "\n"

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in FIELDS and name not in self.__dict__:
            raise UnknownArgumentError(
                f"GenerationConfig has no setting `{name}`.{nearest(name, FIELDS)}"
            )
        self.__dict__[name] = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GenerationConfig) and self.to_dict() == other.to_dict()

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"GenerationConfig {self.to_json_string().rstrip()}"


FIELDS: tuple[str, ...] = tuple(GenerationConfig.__annotations__)

# Where the config of a model made of several keeps its decoder's.
_DECODERS = ("decoder", "generator", "text_config")

# What a config.json may say about generation. Its `output_…` keys speak of the forward pass, its
# `use_cache` and the like of how to compute.
_MODEL_FIELDS = tuple(
    field
    for field in FIELDS[: FIELDS.index("use_cache")]
    if field not in ("output_attentions", "output_hidden_states")
)
