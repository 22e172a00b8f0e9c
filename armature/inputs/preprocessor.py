"""Preprocessors: settings over those of a class, and the file of a checkpoint that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from armature.errors import CheckpointError, nearest, refuse_unknown
from armature.inputs.reading import read_json

if TYPE_CHECKING:
    from armature.checkpoint.hub import Source

FILE, WHOLE = "preprocessor_config.json", "processor_config.json"
IMAGES, AUDIO = "image_processor", "feature_extractor"
# What files and calls say that changes nothing here.
_MEANINGLESS = ("feature_extractor_type", "image_processor_type", "processor_class", "use_fast",
                "backend", "trust_remote_code", "auto_map",
                "_valid_processor_keys", "_valid_kwargs_names")  # fmt: skip


class Preprocessor:
    """What reads pictures or sounds as its settings say, which are attributes."""

    kind: ClassVar[Any]
    part: ClassVar[str]
    """IMAGES or AUDIO: what a file calls it."""
    older: ClassVar[Mapping[str, str]] = {}
    """Older names of settings → theirs."""
    derived: ClassVar[tuple[str, ...]] = ()
    """What files say that other settings say already, or say better."""

    def __init__(self, **settings: Any) -> None:
        """Take settings over those of the class.

        Raises:
            UnknownArgumentError: there is no such setting.
            ConfigError: a number or a size is out of range.
        """
        known = self.kind.settings
        given = self._spelt(settings)
        refuse_unknown(type(self).__name__, given, [*known, *self.derived, *_MEANINGLESS])
        self.__dict__["settings"] = {**known, **self._checked(given)}

    def _spelt(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {self.older.get(name, name): value for name, value in settings.items()}

    def _checked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return those settings that the class has, as it keeps them.

        Raises:
            ConfigError: a value cannot be.
        """
        raise NotImplementedError

    def _with(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of a call that overrides some.

        Raises:
            UnknownArgumentError: there is no such setting.
            ConfigError: a value cannot be.
        """
        given = self._spelt(overrides)
        refuse_unknown(type(self).__name__, given, self.settings)
        return {**self.settings, **self._checked(given)}

    def __getattr__(self, name: str) -> Any:
        settings = self.__dict__.get("settings", {})
        if name in settings:
            return settings[name]
        known = nearest(name, settings)
        raise AttributeError(f"{type(self).__name__} has no setting `{name}`.{known}")

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__["settings"] = self._with({name: value})

    def __repr__(self) -> str:
        return f"{type(self).__name__} {json.dumps(self.to_dict(), indent=2, sort_keys=True)}"

    # ------------------------------------------------------------------ files

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Self:
        """Open it from a folder or a hub name; other options override its settings."""
        from armature.checkpoint.hub import resolve_with

        stored, _ = read_settings(resolve_with(name, options), cls.part)
        return cls.of_file(stored, options)

    @classmethod
    def of_file(cls, stored: Mapping[str, Any], options: Mapping[str, Any]) -> Self:
        """Build it of what a file says, and options over it."""
        known = {*cls.kind.settings, *cls.older, *cls.derived}
        return cls(**{**{key: stored[key] for key in stored if key in known}, **options})

    def to_dict(self) -> dict[str, Any]:
        """Return what its file holds."""
        kept = {key: value for key, value in self.settings.items() if value is not None}
        return {**kept, f"{self.part}_type": type(self).__name__}

    def save_pretrained(self, folder: str | Path) -> list[str]:
        """Write preprocessor_config.json into a folder, and return its path."""
        return [write_settings(folder, self.to_dict())]


def write_settings(folder: str | Path, table: Mapping[str, Any]) -> str:
    """Write preprocessor_config.json into a folder, and return its path."""
    from armature.checkpoint.write import Transaction

    text = json.dumps(table, indent=2, sort_keys=True, ensure_ascii=False)
    with Transaction(folder) as files:
        files.write(FILE, text + "\n")
    return str(Path(folder) / FILE)


def read_settings(source: Source, part: str) -> tuple[dict[str, Any], Path]:
    """Return what a checkpoint says of its pictures or sounds, and the file that does.

    Raises:
        CheckpointError: no file does, or it is damaged.
    """
    path = source.find(WHOLE)
    table = read_json(path).get(part) if path is not None else None
    if path is not None and isinstance(table, dict):
        return table, path
    path = source.find(FILE)
    if path is None:
        what = "images" if part == IMAGES else "sounds"
        raise CheckpointError(
            source.name, f"there is no {FILE}", f"is it a checkpoint of a model that reads {what}?"
        )
    return read_json(path), path


def model_type_of(source: Source) -> str:
    """Return the `model_type` of a checkpoint's config.json, or what its `_model_class` means."""
    path = source.find("config.json")
    said = {} if path is None else read_json(path)
    return str(said.get("model_type") or said.get("_model_class", "")).lower()
