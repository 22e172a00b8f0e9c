"""CaptionModel: `generate` for models that write about an image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from armature.outputs import tasks
from armature.outputs.captions import Captions, first_words
from armature.pretrained import PreTrainedModel


class CaptionModel(PreTrainedModel):
    """A model that says what it sees, or answers a question about it."""

    @torch.inference_mode()
    def generate(  # type: ignore[override]
        self, *images: Tensor, generation_config: Any = None, **options: Any
    ) -> Any:
        """Write about images.

        Args:
            *images: pixel_values (B, C, height, width), which may also be given by name.
            generation_config: how to write.
            **options: `input_ids` and `attention_mask`: the beginning of a caption, or a question;
                and the options of `armature.outputs.decoding.generate`.
        """
        body: Captions = self.body
        names = (*body.vision.embed.takes, "input_ids", "attention_mask")
        given = {name: options.pop(name) for name in names if name in options}
        given |= {"pixel_values": images[0]} if images else {}
        memory, layout, found = body.see(given)
        states, mask = found["image_embeds"], given.get("attention_mask")
        ids, text = given.get("input_ids"), self.writer.config
        if body.reader is not None:
            x, _ = body.read(given, memory, layout)
            states, mask = x.unflatten(0, (len(states), -1)), None
            ids = None
        prompt = first_words(ids, len(states), text.bos_token_id, self.device)
        if mask is not None:
            mask = mask[:, : prompt.shape[1]]
        settings = {"eos_token_id": text.sep_token_id, "pad_token_id": text.pad_token_id}
        settings |= {} if mask is None else {"attention_mask": mask}
        return self.writer.generate(
            prompt, generation_config, encoder_hidden_states=states, **settings | options
        )

    @property
    def writer(self) -> PreTrainedModel:
        """The decoder as a model of its own, which shares its weights."""
        from armature import auto

        assert isinstance(self.head_spec, tasks.Captions)
        kind = auto.model_class(self.head_spec.writer)
        assert kind is not None
        part = self.config.part("text_config", kind.config_class.defaults)
        model = kind.__new__(kind)
        torch.nn.Module.__init__(model)
        model.config = kind.config_class.from_dict(part.data)
        model.name_or_path, model._fresh = self.name_or_path, []
        model._generation_config = None
        model.body, model.head = self.body.writer, self.head
        return model.train(self.training)
