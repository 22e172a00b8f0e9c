"""Opening: what a caller says of a model → an open model and its tokenizer, fit for the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from armature.checkpoint.hub import HUB_OPTIONS, Source, resolve
from armature.errors import ArgumentError, refuse_unknown
from armature.pipelines.reading import note

# Arguments for opening a model that are not the hub's.
MODEL_OPTIONS = (
    "dtype",
    "torch_dtype",
    "device_map",
    "variant",
    "use_safetensors",
    "low_cpu_mem_usage",
    "trust_remote_code",
)
OTHER_OPTIONS = ("model_kwargs", "framework", "use_fast")
OPTIONS = (*sorted(HUB_OPTIONS), *MODEL_OPTIONS, *OTHER_OPTIONS)


@dataclass(frozen=True)
class Opening:
    """How checkpoints are opened."""

    hub: dict[str, Any]
    """Where to look."""
    model: dict[str, Any]
    """How to open the model."""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> tuple[Opening, dict[str, Any]]:
        """Take from the arguments of `pipeline()` what speaks of opening; return the rest, too.

        Raises:
            ArgumentError: another framework.
        """
        rest = {name: value for name, value in options.items() if name not in OTHER_OPTIONS}
        hub = {name: rest.pop(name) for name in HUB_OPTIONS & rest.keys()}
        model = {name: rest.pop(name) for name in MODEL_OPTIONS if name in rest}
        if options.get("framework") not in (None, "pt"):
            raise ArgumentError(
                f"framework={options['framework']!r}: Armature computes with PyTorch, "
                "also from TensorFlow and Flax weights.\n  → leave it out"
            )
        if options.get("use_fast") is False:
            note("pipeline(): `use_fast=False` has no effect: there is one tokenizer, the fast one")
        set_ones = {name: value for name, value in hub.items() if value is not None}
        return cls(set_ones, model | (options.get("model_kwargs") or {})), rest

    def at(self, revision: str | None) -> Opening:
        """Return the same for another commit."""
        return self if revision is None else replace(self, hub={**self.hub, "revision": revision})

    def source(self, model: Any) -> Source:
        """Return the files of a checkpoint."""
        return resolve(model, **self.hub)

    def class_names(self, model: Any) -> list[Any]:
        """Return the names of the classes that a checkpoint was made for, or of an open model."""
        if not is_name(model):
            return [type(model).__name__]
        from armature.opening import read_json

        return list(read_json(self.source(model).get("config.json")).get("architectures") or [])

    def suited(self, entry: Any, model: Any) -> Any:
        """Return what does a task, with the Auto class of models that hear letter by letter."""
        from armature.auto import auto_names

        if entry.module != "speech":
            return entry
        letters = "AutoModelForCTC"
        heard = any(letters in auto_names(str(name)) for name in self.class_names(model))
        return entry._replace(auto=letters) if heard else entry

    def is_encoder(self, model: Any) -> bool:
        """Say whether a checkpoint is a sentence encoder, which has no head for labels."""
        if not is_name(model) or self.source(model).find("modules.json") is None:
            return False
        return not any("SequenceClassification" in str(name) for name in self.class_names(model))

    def open(
        self, auto: str, model: Any, config: Any, reader: Any, reads: str = "AutoTokenizer"
    ) -> tuple[Any, Any]:
        """Open a model as an Auto class does, and what reads its inputs.

        Args:
            auto: The Auto class that the task needs.
            model: A name, a folder or an open model.
            config: What to open it with; None for its own.
            reader: What reads the inputs: open, a name, a folder, or None for the model's own.
            reads: The Auto class that opens it.

        Raises:
            ArgumentError: an open model is of another kind, or what reads is not to be found.
        """
        from armature.auto import AUTO_MODELS, AutoConfig

        if is_name(model):
            origin: Any = model
            config = AutoConfig.from_pretrained(config, **self.hub) if is_name(config) else config
            given = {} if config is None else {"config": config}
            model = AUTO_MODELS[auto].from_pretrained(origin, **given, **self.hub, **self.model)
        else:
            origin = getattr(model, "name_or_path", None)
            self._check_open(model, auto)
        return model, self.reader(origin, reader, reads)

    def reader(self, origin: Any, reader: Any, reads: str) -> Any:
        """Open what reads a model's inputs; see `open`.

        Args:
            origin: Where the model comes from.
            reader: What reads: open, a name, a folder, or None for the model's own.
            reads: The Auto class that opens it.

        Raises:
            ArgumentError: it is not to be found.
        """
        from armature import auto as autos

        if reader is None:
            if not origin:
                word = "tokenizer" if reads == "AutoTokenizer" else "image_processor"
                raise ArgumentError(
                    f"the model does not say where it comes from, so its {word} is unknown.\n"
                    f"  → pass {word}=…"
                )
            reader = origin
        if is_name(reader):
            own = reader == origin
            hub = {k: v for k, v in self.hub.items() if own or k not in ("revision", "subfolder")}
            reader = getattr(autos, reads).from_pretrained(reader, **hub)
        return reader

    def pictures(self, origin: Any, reader: Any) -> Any:
        """Open what reads pictures beside texts; None where the checkpoint has nothing of it."""
        files = ("preprocessor_config.json", "processor_config.json")
        if reader is None and is_name(origin):
            source = self.source(origin)
            if all(source.find(file) is None for file in files):
                return None
        return self.reader(origin, reader, "AutoImageProcessor")

    def joined(self, model: Any, given: Mapping[str, Any]) -> Any:
        """Join what a caller gave to read sounds and texts; what is missing is the model's own.

        Args:
            model: A name, a folder or an open model.
            given: A `feature_extractor`, a `tokenizer`, or both: open, or names.

        Returns:
            A processor; None where nothing was given.

        Raises:
            ArgumentError: it reads something else, or the model does not say where it comes from.
        """
        from armature import auto as autos

        if not given:
            return None
        openers = {"feature_extractor": "AutoFeatureExtractor", "tokenizer": "AutoTokenizer"}
        refuse_unknown("this task", given, openers)
        origin = model if is_name(model) else getattr(model, "name_or_path", None)
        parts = {}
        for word, opener in openers.items():
            part = given.get(word) or origin
            if not part:
                raise ArgumentError(f"the model's {word} is unknown.\n  → pass {word}=…")
            part = (
                getattr(autos, opener).from_pretrained(part, **self.hub) if is_name(part) else part
            )
            parts[word] = part
        return autos.find("Wav2Vec2Processor")(**parts)

    def _check_open(self, model: Any, auto: str) -> None:
        from armature.auto import auto_names

        late = [*self.model, *self.hub.keys() & {"revision"}]
        if late:
            raise ArgumentError(
                f"`{late[0]}` says how to open a model, but the one given is open already.\n"
                "  → give its name or folder, or leave the argument out"
            )
        fits = auto_names(type(model).__name__)
        if fits and auto != "AutoModel" and auto not in fits:
            raise ArgumentError(
                f"this task needs a model as {auto} opens it, "
                f"but a {type(model).__name__} was given, which is of {fits[0]}"
            )


def is_name(value: Any) -> bool:
    """Say whether a value names a checkpoint."""
    return isinstance(value, str | PathLike)


def refuse_untrained(model: Any, task: str) -> None:
    """Raise ArgumentError for a model whose head no checkpoint has filled."""
    new = getattr(model, "untrained", ())
    if new:
        raise ArgumentError(
            f"{model.name_or_path}: this checkpoint has no trained head for {task!r}, so its "
            f"answers would be noise. New weights: {', '.join(new)}.\n"
            "  → fine-tune the model, save it and open it again; or take a checkpoint trained for "
            "the task; or pass allow_untrained_head=True"
        )
