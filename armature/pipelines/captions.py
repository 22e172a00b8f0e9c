"""image-to-text: a picture gets words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from armature.errors import ArgumentError, refuse_unknown
from armature.pipelines.batching import Row
from armature.pipelines.images import WordedImagePipeline
from armature.pipelines.options import PictureOptions

_LENGTH = 20  # tokens of a text where nothing says how many, the first ones counted
_CALLBACKS = ("generation_config", "logits_processor", "stopping_criteria", "seed")


@dataclass(frozen=True)
class CaptionOptions(PictureOptions):
    """What image-to-text can be told: these, and every setting of `generate()`."""

    prompt: str | None = None
    """What the text begins with, where the model can be told."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `generate()`."""

    @classmethod
    def accepted(cls) -> list[str]:
        """Return the names that can be given."""
        from armature.outputs.decoding.config import FIELDS

        own = [name for name in super().accepted() if name != "settings"]
        return [*own, "generate_kwargs", *FIELDS, *_CALLBACKS]

    def merged(self, given: Mapping[str, Any], where: str) -> Self:
        """Return these options and settings with some of them changed.

        Raises:
            ArgumentError: a setting is given twice.
        """
        refuse_unknown(where, given, self.accepted())
        own = super().accepted()
        options = {name: value for name, value in given.items() if name in own}
        added = {name: value for name, value in given.items() if name not in own}
        told = dict(added.pop("generate_kwargs", None) or {})
        if twice := sorted(told.keys() & added.keys()):
            raise ArgumentError(
                f"`{twice[0]}` is given twice: by itself, and in `generate_kwargs`.\n"
                "  → leave one of them out"
            )
        return replace(self, **options, settings={**self.settings, **added, **told})


class ImageToTextPipeline(WordedImagePipeline):
    """Says what is in a picture: `[{"generated_text": "a cat on a mat"}]`."""

    default_task = "image-to-text"
    options_type = CaptionOptions

    def compute(self, rows: Sequence[Row], options: CaptionOptions) -> list[list[list[int]]]:
        """Return the sequences of each picture."""
        prompt = self._prompt(options)
        found: list[list[list[int]]] = []
        for inputs in self.tensors(rows):
            count = len(inputs["pixel_values"])
            if prompt is not None:
                inputs["input_ids"] = prompt.expand(count, -1).to(self.device)
            made = self.model.generate(**inputs, **self._settings(options, count))
            sequences = getattr(made, "sequences", made).tolist()
            copies = len(sequences) // count
            found += [sequences[i : i + copies] for i in range(0, len(sequences), copies)]
        return found

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of what the model reads of a picture."""
        return getattr(self.model.reader, "takes", ("pixel_values",))

    def _prompt(self, options: CaptionOptions) -> Any:
        """Return the ids (1, T) that a text begins with, or None.

        Raises:
            ArgumentError: the model cannot be told.
        """
        import torch

        if options.prompt is None:
            return None
        if self.model.is_encoder_decoder:
            raise ArgumentError(
                f"this model ({self.model_note}) begins its texts by itself, so it takes no "
                "`prompt`.\n  → leave it out"
            )
        begin = getattr(self.model.stack.embed, "begin_text", _whole)
        return torch.tensor([begin(self.tokenizer, options.prompt)])

    def _settings(self, options: CaptionOptions, rows: int) -> dict[str, Any]:
        """Return the arguments of generate()."""
        settings = dict(options.settings)
        if settings.get("seed") is not None:
            settings["seed"] = [settings["seed"]] * rows
        said = self.model.generation_config.to_diff_dict() | settings
        if not any(said.get(name) for name in ("max_length", "max_new_tokens")):
            settings["max_length"] = _LENGTH
        if settings.get("stop_strings"):
            settings["tokenizer"] = self.tokenizer
        return settings

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: CaptionOptions
    ) -> list[dict[str, str]]:
        """Make texts of the sequences."""
        texts = [self.tokenizer.decode(ids, skip_special_tokens=True) for ids in parts[0][1]]
        return [{"generated_text": text} for text in texts]


def _whole(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text)["input_ids"]
