"""Make the small checkpoints of texts with images in tests/golden/pairs with the reference library.

    python tools/make_golden_pairs.py [NAME …]

Needs the `reference` extra.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from golden_files import GOLDEN, Record, made, write_each

TEXT = {"vocab_size": 40, "hidden_size": 24, "intermediate_size": 28, "num_hidden_layers": 2}
TEXT |= {"num_attention_heads": 3, "max_position_embeddings": 12}
MARKS = {"bos_token_id": 38, "eos_token_id": 39, "pad_token_id": 0}
VISION = {"hidden_size": 20, "intermediate_size": 26, "num_hidden_layers": 2, "image_size": 18}
VISION |= {"num_attention_heads": 4, "patch_size": 6}
PAGE = {**TEXT, "max_2d_position_embeddings": 210, "coordinate_size": 4, "shape_size": 4}
PAGE |= {"input_size": 18, "patch_size": 6, "rel_pos_bins": 8, "max_rel_pos": 10}
PAGE |= {"rel_2d_pos_bins": 10, "max_rel_2d_pos": 30}
BLIP = {**TEXT, "bos_token_id": 4, "sep_token_id": 5, "eos_token_id": 5, "pad_token_id": 0}
SEEN_BY_BERT = {"hidden_size": 24, "num_attention_heads": 3}


def towers(text: dict[str, Any], vision: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"text_config": TEXT | MARKS | text, "vision_config": VISION | vision, **settings}


IDS = torch.tensor([[38, 7, 9, 11, 39, 0, 0], [38, 3, 6, 8, 10, 12, 39]])
MASK = (IDS > 0).long()
GENERATOR = torch.Generator().manual_seed(3)
PIXELS = torch.randn(2, 3, 18, 18, generator=GENERATOR)
LARGE = torch.randn(2, 3, 24, 30, generator=GENERATOR)
BOXES = torch.randint(0, 100, (2, 7, 4), generator=GENERATOR).cumsum(-1) // 2
SHOWN = {"output_hidden_states": True, "output_attentions": True}
PAIR = {"input_ids": IDS, "attention_mask": MASK, "pixel_values": PIXELS}
STRETCH = {"interpolate_pos_encoding": True}
PIXEL_MASK = torch.ones(2, 24, 30).long()
PIXEL_MASK[1, 18:] = 0
ON_PAGE = PAIR | {"bbox": BOXES, "token_type_ids": (torch.arange(7) > 3).long().expand(2, 7)}

# Name → class, settings, arguments, flags, the arguments of `generate` if the class has it.
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "clip": ("CLIPModel", towers({}, {"hidden_act": "gelu"}, projection_dim=10), PAIR,
             SHOWN | {"return_loss": True}, {}),
    "clip-end": ("CLIPModel", towers({"eos_token_id": 2, "hidden_act": "relu"}, {},
                                     projection_dim=6),
                 PAIR | {"pixel_values": LARGE}, STRETCH, {}),
    "clip-labels": ("CLIPForImageClassification", towers({}, {}, num_labels=4),
                    {"pixel_values": PIXELS, "labels": torch.tensor([1, 3])}, {}, {}),
    "clip-text": ("CLIPTextModelWithProjection", TEXT | MARKS | {"projection_dim": 7},
                  {"input_ids": IDS, "attention_mask": MASK}, SHOWN, {}),
    "clip-vision": ("CLIPVisionModel", VISION, {"pixel_values": PIXELS}, SHOWN, {}),
    "siglip": ("SiglipModel", towers({"projection_size": 20}, {}),
               {"input_ids": IDS, "attention_mask": MASK, "pixel_values": LARGE},
               SHOWN | STRETCH | {"return_loss": True}, {}),
    "siglip-labels": ("SiglipForImageClassification", towers({}, {}, num_labels=1),
                      {"pixel_values": PIXELS, "labels": torch.tensor([0.5, 2])}, {}, {}),
    "chinese-clip": ("ChineseCLIPModel", towers({"type_vocab_size": 3}, {}, projection_dim=9),
                     PAIR, SHOWN | {"return_loss": True}, {}),
    "two": ("VisionTextDualEncoderModel", {
        "text_config": TEXT | {"model_type": "roberta", "pad_token_id": 0},
        "vision_config": VISION | {"model_type": "clip_vision_model"}, "projection_dim": 6,
    }, PAIR, {"return_loss": True}, {}),
    "vilt": ("ViltForQuestionAnswering", TEXT | VISION | SEEN_BY_BERT | {"num_labels": 5},
             PAIR | {"pixel_values": LARGE, "pixel_mask": PIXEL_MASK,
                     "labels": torch.rand(2, 5, generator=GENERATOR)}, {}, {}),
    "vilt-words": ("ViltForMaskedLM", TEXT | VISION | SEEN_BY_BERT | {"qkv_bias": False},
                   PAIR | {"labels": IDS.masked_fill(IDS == 0, -100)}, {}, {}),
    "vilt-two-images": ("ViltForImagesAndTextClassification", TEXT | VISION | SEEN_BY_BERT
                        | {"num_images": 2, "modality_type_vocab_size": 3},
                        PAIR | {"pixel_values": torch.stack((PIXELS, PIXELS.flip(0)), 1)}, {}, {}),
    "page": ("LayoutLMv3Model", PAGE, ON_PAGE, SHOWN, {}),
    "page-spans": ("LayoutLMv3ForQuestionAnswering",
                   PAGE | {"has_spatial_attention_bias": False},
                   ON_PAGE | {"start_positions": torch.tensor([2, 3]),
                              "end_positions": torch.tensor([3, 5])}, {}, {}),
    "page-tokens": ("LayoutLMv3ForTokenClassification",
                    PAGE | {"num_labels": 11, "has_relative_attention_bias": False},
                    ON_PAGE | {"labels": IDS % 11}, {}, {}),
    "blip": ("BlipForConditionalGeneration",
             {"text_config": BLIP | {"label_smoothing": 0.1}, "vision_config": VISION},
             PAIR | {"labels": IDS.masked_fill(IDS == 0, -100)}, SHOWN,
             {"pixel_values": PIXELS, "max_new_tokens": 5}),
    "blip-answers": ("BlipForQuestionAnswering",
                     {"text_config": BLIP | {"num_hidden_layers": 1},
                      "vision_config": VISION | SEEN_BY_BERT},
                     PAIR | {"labels": IDS}, {}, PAIR | {"max_new_tokens": 4}),
    "blip-match": ("BlipForImageTextRetrieval",
                   {"text_config": BLIP, "vision_config": VISION, "image_text_hidden_size": 9},
                   PAIR, {"use_itm_head": False}, {}),
    "owlvit": ("OwlViTForObjectDetection", towers({}, {}, projection_dim=24),
               PAIR | {"input_ids": IDS.repeat(2, 1), "attention_mask": MASK.repeat(2, 1)}, {}, {}),
}  # fmt: skip


@torch.no_grad()
def make(name: str, folder: Path) -> None:
    """Build, call and write one variant."""
    kind_name, settings, given, flags, writes = VARIANTS[name]
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    model = made(kind_name, settings, folder, generator)
    torch.manual_seed(0)  # some put patches in an order of chance
    record = Record(kind_name)
    record.call("0", given, flags, model(**given, **flags))
    if writes:
        record.told["generate"] = {k: v for k, v in writes.items() if not torch.is_tensor(v)}
        record.told["reads"] = [key for key, value in writes.items() if torch.is_tensor(value)]
        record.tensors["generated"] = model.generate(**writes)
    record.write(folder)


if __name__ == "__main__":
    write_each(VARIANTS, GOLDEN / "pairs", make)
