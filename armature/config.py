"""Config: config.json kept verbatim, read by attribute, with a record of what was read."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from armature import kinds
from armature.errors import ConfigError, nearest

# What a config.json that is silent about these means, whatever its architecture.
COMMON: dict[str, Any] = {
    "architectures": None,
    "tie_word_embeddings": True,
    "is_encoder_decoder": False,
    "is_decoder": False,
    "add_cross_attention": False,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
    "decoder_start_token_id": None,
    "problem_type": None,
    "output_hidden_states": False,
    "output_attentions": False,
    "return_dict": True,
    "use_cache": True,
    "task_specific_params": None,
    "dtype": None,
    "initializer_range": 0.02,
    "chunk_size_feed_forward": 0,
}

# Two ways to say which stages of a backbone give their maps: by name, by place.
_SAME = {"out_features": "out_indices", "out_indices": "out_features"}

# Common names that answer for an architecture's own, but that mean nothing in its files.
_UNSTORED = frozenset(("hidden_act", "intermediate_size"))

# Keys that describe training or bookkeeping: nothing that a forward pass computes depends on them.
WITHOUT_EFFECT = frozenset(
    (
        "initializer_range",
        "initializer_factor",
        "init_std",
        "transformers_version",
        "_name_or_path",
        "torch_dtype",
        "dtype",
        "gradient_checkpointing",
        "finetuning_task",
        "tokenizer_class",
        "architectures",
        "model_type",
        "auto_map",
        "chunk_size_feed_forward",
        "prefix",
        "pretraining_tp",
        "_attn_implementation",
        "_attn_implementation_autoset",
        "attn_implementation",
        "_commit_hash",
        "torchscript",
        "return_dict",
        "output_past",
        "use_cache",
        "problem_type",
        "task_specific_params",
    )
)


class Config:
    """The settings of a checkpoint, as its config.json spells them.

    Keys are read as attributes under their own spelling, or under the field's common one
    (`hidden_size` where the file says `n_embd`). A key that the file lacks has its architecture's
    default. `read_keys` collects the file's keys that were read; nothing of the file is dropped.
    """

    model_type: str = ""
    defaults: Mapping[str, Any] = {}  # what the architecture's file says of silent keys
    synonyms: Mapping[str, str] = {}  # the field's common spelling → this architecture's own

    def __init__(self, **settings: Any) -> None:
        state = self.__dict__
        state["data"] = {"model_type": self.model_type} if self.model_type else {}
        state["read_keys"] = set()
        state["part_reads"] = {}
        state["name_or_path"] = str(settings.pop("_name_or_path", ""))
        state["generation"] = {}
        for key, value in settings.items():
            setattr(self, key, value)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], file: str | Path = "config.json") -> Config:
        """Keep `data` (what `file` holds) verbatim and check the types of its known keys.

        Raises:
            ConfigError: a key holds a value of a type that its architecture cannot use.
        """
        config = cls()
        config.__dict__["data"] = dict(data)
        config.__dict__["name_or_path"] = str(data.get("_name_or_path") or "")
        for key, value in data.items():
            spelt = (
                key,
                cls.synonyms.get(key, key),
                *(k for k, v in cls.synonyms.items() if v == key),
            )
            default = next((cls.defaults[k] for k in spelt if k in cls.defaults), COMMON.get(key))
            checked = kinds.labels(value) if key == "id2label" else None
            wanted = checked or kinds.expected(key, value, default)
            if wanted:
                raise ConfigError(
                    f"{file}: `{key}` is {reprlib.repr(value)}, but should be {wanted}.\n"
                    "  → correct the file, or download it again"
                )
        return config

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__") or "data" not in self.__dict__:
            raise AttributeError(key)
        special = _DERIVED.get(key)
        if special is not None:
            return special(self)
        own = self._own(key)
        value = self.data.get(own)
        if own in self.data:
            self.read_keys.add(own)
        if value is None and own in self.defaults:
            value = self.defaults[own]
        if isinstance(value, float) and isinstance(self.defaults.get(own), int):
            value = int(value)  # a size that is spelled 2.0
        if value is None and own not in self.data and own not in self.defaults:
            if own not in COMMON:
                raise AttributeError(
                    f"{type(self).__name__} has no setting `{key}`.{nearest(key, self.names())}"
                )
            value = COMMON[own]
        return self._nested(key) if _is_nested(key, value) else value

    def _nested(self, key: str) -> Config:
        """Return a body's settings as a config; nothing is known of those of any body."""
        known = self.defaults.get(key) or {}
        return self.part(key, {} if known.keys() <= {"model_type"} else known)

    def __setattr__(self, key: str, value: Any) -> None:
        value = value.to_dict() if isinstance(value, Config) else value
        if key == "num_labels":
            self._rename_labels(int(value))
        elif key == "id2label":
            self.data["id2label"] = {str(k): v for k, v in dict(value).items()}
            self.data.setdefault("label2id", {v: int(k) for k, v in dict(value).items()})
        elif key in _SAME:  # the later wins
            self.data.pop(_SAME[key], None)
            self.data[key] = None if value is None else list(value)
        elif key == "torch_dtype":
            self.data["dtype"] = str(value).removeprefix("torch.") if value is not None else None
        elif key in self.__dict__:
            self.__dict__[key] = value
        else:
            self.data[self._own(key)] = value

    def _own(self, key: str) -> str:
        own = self.synonyms.get(key, key)
        for common, meant in self.synonyms.items():  # HF: of two spellings the common one counts
            if meant == own and common in self.data and common not in _UNSTORED:
                return common
        silent = own not in self.data and own not in self.defaults
        return key if silent and (key in self.data or key in self.defaults) else own

    def _rename_labels(self, count: int) -> None:
        if count < 1:
            raise ConfigError(f"num_labels is {count}, but a head needs at least one label")
        if count != self.num_labels or "id2label" not in self.data:
            self.data["id2label"] = {str(i): f"LABEL_{i}" for i in range(count)}
            self.data["label2id"] = {f"LABEL_{i}": i for i in range(count)}
        self.data.pop("num_labels", None)

    def names(self) -> set[str]:
        """Return the names of all settings, in every spelling."""
        return {*_DERIVED, *self.data, *self.defaults, *COMMON, *self.synonyms}

    def knows(self, key: str) -> bool:
        """Return whether `key` is a setting of this file, of its architecture, or of all."""
        own = self._own(key)
        return (
            key in _DERIVED
            or key == "torch_dtype"
            or any(own in place for place in (self.data, self.defaults, COMMON))
        )

    def get(self, key: str, default: Any = None) -> Any:
        """Return the setting `key`, or `default` where neither file nor architecture has it."""
        value = getattr(self, key) if self.knows(key) else None
        return default if value is None else value

    def stated(self, key: str) -> Any:
        """Return the setting `key`; a null in the file means none there, whatever the default."""
        value = getattr(self, key)
        return value if self.data.get(self._own(key), value) is not None else None

    def update(self, settings: Mapping[str, Any]) -> None:
        """Set several settings at once."""
        for key, value in settings.items():
            setattr(self, key, value)

    def copy(self) -> Config:
        """Return an independent copy."""
        twin = type(self)()
        twin.__dict__.update(data=json.loads(json.dumps(self.data)), name_or_path=self.name_or_path)
        return twin

    def unread(self) -> list[str]:
        """Return the file's keys that nothing has read and that do have an effect."""
        found = set(self.data) - self.read_keys - WITHOUT_EFFECT
        for part, read in self.part_reads.items():
            settings = set(self.data.get(part) or ()) - {"model_type"}
            found |= {f"{part}.{key}" for key in settings - read - WITHOUT_EFFECT}
        return sorted(found)

    def part(
        self,
        key: str,
        defaults: Mapping[str, Any],
        synonyms: Mapping[str, str] | None = None,
    ) -> Config:
        """Return the settings of one of several bodies, which the file nests under `key`.

        Raises:
            ConfigError: what lies there is no table, or a key of it has the wrong type.
        """
        file = f"{self.name_or_path}/config.json"
        self.read_keys.update({key, f"{key}_dict"} & self.data.keys())
        stored = self.data.get(key)
        settings = stored or self.defaults.get(key) or {}
        older = self.data.get(f"{key}_dict")
        if older:  # HF: what an older file says a second time counts, and its silence, too
            settings = {**settings, **defaults, **older}
        if not isinstance(settings, Mapping):
            raise ConfigError(
                f"{file}: `{key}` is {reprlib.repr(settings)}, but should be a table of settings.\n"
                "  → correct the file, or download it again"
            )
        words = {"defaults": defaults, "synonyms": synonyms or {}}
        words["model_type"] = str(settings.get("model_type", ""))
        kind = type("PartConfig", (Config,), words)
        made = kind.from_dict(settings, f"{file}: {key}") if defaults else kind(**settings)
        reads = self.part_reads.setdefault(key, set())
        made.__dict__.update(name_or_path=self.name_or_path, read_keys=reads)
        if settings is stored:
            made.__dict__["data"] = stored  # what is set there is set here
        return made

    def of(self, kind: type[Config]) -> Config:
        """Return this config, or the settings in it of the body that an architecture is."""
        for key, inner in self.data.items() if self.model_type != kind.model_type else ():
            if key.endswith("_config") and isinstance(inner, dict):
                usual = f"{self.model_type}_{key.removesuffix('_config')}_model"
                if inner.get("model_type", usual) == kind.model_type:
                    found = kind.from_dict(self.part(key, kind.defaults).data)
                    found.name_or_path = self.name_or_path
                    return found
        return self

    def __contains__(self, key: str) -> bool:
        return self.knows(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Config) and self.to_dict() == other.to_dict()

    __hash__ = object.__hash__

    def to_dict(self) -> dict[str, Any]:
        """Return every setting: the file's own, then the architecture's defaults."""
        # A default under one name gives way to a setting under another name of the same thing.
        silent = {k: v for k, v in self.defaults.items() if self._own(k) not in self.data}
        settings = {**silent, **self.data}
        if settings.get("id2label"):
            settings.pop("num_labels", None)  # the labels' names say how many there are
        if self.model_type:
            settings.setdefault("model_type", self.model_type)
        return settings

    def to_json_string(self) -> str:
        """Return `to_dict()` as the text of a config.json."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json into `folder`, which is made when missing."""
        from armature.checkpoint.write import Transaction

        with Transaction(folder) as files:
            files.write("config.json", self.to_json_string())

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string().rstrip()}"


def _is_nested(key: str, value: Any) -> bool:
    return isinstance(value, dict) and key.endswith("_config")


def _id2label(config: Config) -> dict[int, str]:
    labels = config.data.get("id2label")
    if not labels:
        return {i: f"LABEL_{i}" for i in range(config.num_labels)}
    config.read_keys.update({"id2label", "label2id", "num_labels"})
    return {int(key): name for key, name in labels.items()}


def _label2id(config: Config) -> dict[str, int]:
    config.read_keys.add("label2id")
    return config.data.get("label2id") or {name: i for i, name in config.id2label.items()}


def _num_labels(config: Config) -> int:
    own = config.synonyms.get("num_labels", "num_labels")
    config.read_keys.update({"id2label", "label2id", "num_labels", own} & config.data.keys())
    labels = config.data.get("id2label")
    counts = (table.get(own) for table in (config.data, config.defaults))
    return len(labels) if labels else int(next(filter(None, counts), 2))


_DERIVED = {
    "num_labels": _num_labels,
    "id2label": _id2label,
    "label2id": _label2id,
    "torch_dtype": lambda config: config.data.get("dtype") or config.data.get("torch_dtype"),
    "use_return_dict": lambda config: config.data.get("return_dict", True),
}
