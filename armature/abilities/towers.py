"""Two towers under one class name: a text's vector, an image's, and how well they agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from armature import arguments
from armature.errors import ArgumentError
from armature.model.call import Asked
from armature.outputs.results import BaseModelOutputWithPooling
from armature.outputs.towers import Towers
from armature.pretrained import PreTrainedModel


class TowersModel(PreTrainedModel):
    """A model that compares texts and images."""

    def get_text_features(
        self, input_ids: Any = None, attention_mask: Any = None, **given: Any
    ) -> BaseModelOutputWithPooling:
        """Return what the texts' tower sees; `pooler_output` is the vector that is compared."""
        return self._features(
            self._towers.texts, input_ids=input_ids, attention_mask=attention_mask, **given
        )

    def get_image_features(
        self, pixel_values: Any = None, **given: Any
    ) -> BaseModelOutputWithPooling:
        """Return what the images' tower sees; `pooler_output` is the vector that is compared."""
        return self._features(self._towers.images, pixel_values=pixel_values, **given)

    @property
    def _towers(self) -> Towers:
        assert isinstance(self.body, Towers)
        return self.body

    def _features(self, tower: Any, **given: Any) -> Any:
        given = arguments.checked(self, given)
        config = self.config
        states = given.get("output_hidden_states", config.output_hidden_states)
        asked = Asked(states, given.get("output_attentions", config.output_attentions))
        found = tower(given, asked)
        return found if given.get("return_dict", config.return_dict) else found.to_tuple()

    @classmethod
    def from_vision_text_pretrained(
        cls,
        vision_model_name_or_path: str | Path | None = None,
        text_model_name_or_path: str | Path | None = None,
        **options: Any,
    ) -> TowersModel:
        """Join two checkpoints; the maps to one width are new, and need training.

        Args:
            vision_model_name_or_path: what sees images.
            text_model_name_or_path: what reads texts.
            **options: of `from_pretrained`, for one of them: `vision_…`, `text_…`; a model itself
                as `vision_model`, `text_model`; others are settings of the whole.
        """
        names = {"vision": vision_model_name_or_path, "text": text_model_name_or_path}
        if "text_config" not in cls.config_class.defaults:
            raise ArgumentError(f"{cls.__name__} is not made of two checkpoints")
        found = {word: _opened(word, name, options) for word, name in names.items()}
        parts = {f"{word}_config": one.config.to_dict() for word, one in found.items()}
        model = cls(cls.config_class(**parts, **options))
        for word, one in found.items():
            tower = getattr(model._towers, word)
            tower.body, tower.head = one.body, one.head
        return model


class LookingTowersModel(TowersModel):
    """A model that compares texts and images, and can read a text with an eye on an image."""

    def get_multimodal_features(
        self, input_ids: Any = None, pixel_values: Any = None, **given: Any
    ) -> Tensor:
        """Return a vector (B, P) for each text beside its own image."""
        given |= {"input_ids": input_ids, "pixel_values": pixel_values}
        given, asked = arguments.checked(self, given), Asked()
        image = self._towers.vision(given, asked).last_hidden_state
        assert image is not None
        text = self._towers.text(given, asked, image)
        return self._towers.text_map(text.pooler_output)


def _opened(word: str, name: str | Path | None, options: dict[str, Any]) -> Any:
    """Open one of two checkpoints, with the options that begin with `word`."""
    from armature import auto

    own = {key: options.pop(key) for key in list(options) if key.startswith(f"{word}_")}
    given = own.pop(f"{word}_model", None)
    if given is not None:
        return given
    if name is None:
        raise ArgumentError("give the names of two checkpoints: one that sees, one that reads")
    settings = {key.removeprefix(f"{word}_"): value for key, value in own.items()}
    config = auto.AutoConfig.from_pretrained(name)
    opener: Any = auto.AutoModel
    if word == "vision" and "vision_config" in config.data:  # of two towers that of images
        opener = auto.model_class(f"{type(config).__name__.removesuffix('Config')}VisionModel")
    return opener.from_pretrained(name, **settings)
