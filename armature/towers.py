"""Two towers under one class name: a text's vector, an image's, and how well they agree."""

from __future__ import annotations

from typing import Any

from armature import arguments
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
