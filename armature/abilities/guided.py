"""GuidedModel: finds in images what texts name, or what other images show."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from armature import arguments
from armature.errors import ArgumentError
from armature.model.call import Asked
from armature.outputs import answers
from armature.pretrained import PreTrainedModel


class GuidedModel(PreTrainedModel):
    """A model that finds in images what a caller asks for."""

    def image_guided_detection(
        self, pixel_values: Tensor, query_pixel_values: Tensor | None = None, **given: Any
    ) -> Any:
        """Find in each image what another image shows (Minderer et al., 2022).

        Args:
            pixel_values: (B, C, height, width) the images to look in.
            query_pixel_values: (B, C, height, width) what to look for, one image for each.
            **given: other arguments of a call.

        Returns:
            For each patch `logits` (B, P, 1) and `target_pred_boxes` (B, P, 4), and what both
            were made of; see `post_process_image_guided_detection` of the image processor.

        Raises:
            ArgumentError: there is not one image to look for in each.
        """
        if query_pixel_values is None or len(query_pixel_values) != len(pixel_values):
            raise ArgumentError("give query_pixel_values, one image for each in pixel_values")
        for name in ("input_ids", "attention_mask"):  # of a processor's result: an image rules
            given.pop(name, None)
        given = arguments.checked(self, {**given, "pixel_values": pixel_values})
        states = given.get("output_hidden_states", self.config.output_hidden_states)
        asked = Asked(states, given.get("output_attentions", self.config.output_attentions))
        shown = {**given, "pixel_values": query_pixel_values}
        vision: Any = self.body.vision
        head: Any = self.head
        found = head.alike(vision(given, asked), given, vision(shown, Asked()), shown)
        result = answers.made(f"{type(self).__name__}ImageGuidedOutput", head.guided)(**found)
        return result if given.get("return_dict", self.config.return_dict) else result.to_tuple()
