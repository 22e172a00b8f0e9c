"""Kinds of image processors: what each class does when its file is silent, and in which order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NEAREST, LANCZOS, BILINEAR, BICUBIC, BOX, HAMMING = range(6)  # Pillow's numbers of filters
HALF = [0.5, 0.5, 0.5]
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
CLIP_MEAN, CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
SCALED = {"do_rescale": True, "rescale_factor": 1 / 255}
NORMED = {"do_normalize": True, "image_mean": HALF, "image_std": HALF}
IMAGENET = {"do_normalize": True, "image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD}
CLIP = {"do_normalize": True, "image_mean": CLIP_MEAN, "image_std": CLIP_STD}
RGB = {"do_convert_rgb": True}


def _square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def _resized(size: dict[str, int], filter: int) -> dict[str, Any]:
    return {"do_resize": True, "size": size, "resample": filter}


def _cropped(side: int, *, does: bool = True) -> dict[str, Any]:
    return {"do_center_crop": does, "crop_size": _square(side)}


_NOTHING: dict[str, Any] = {
    "do_convert_rgb": False,
    "do_resize": False,
    "size": None,
    "resample": BILINEAR,
    "do_center_crop": False,
    "crop_size": None,
    "do_rescale": False,
    "rescale_factor": 1 / 255,
    "do_normalize": False,
    "image_mean": HALF,
    "image_std": HALF,
    "do_pad": False,
}


@dataclass(frozen=True)
class Kind:
    """One class of image processors."""

    defaults: dict[str, Any]
    steps: tuple[str, ...] = ("resize", "crop", "rescale", "normalize")
    """What is done to a picture, in this order; each waits for its `do_…` to be true."""
    square: bool = True
    """Whether a size that is one number is both sides, or else the shorter one."""
    further: dict[str, Any] = field(default_factory=dict)
    """Settings that other steps than the usual ones read."""
    wide_first: bool = False
    """Whether a size that is two numbers begins with the width."""

    @property
    def settings(self) -> dict[str, Any]:
        """Return all settings and what they are unless a file says otherwise."""
        return {**_NOTHING, **self.defaults, **self.further}

    @property
    def reads_maps(self) -> bool:
        """Whether pictures may come with maps of their pixels' classes."""
        return "do_reduce_labels" in self.further

    @property
    def divides_maps(self) -> bool:
        """Whether such maps become a mask for each class or thing in them."""
        return "ignore_index" in self.further

    @property
    def pads(self) -> bool:
        """Whether pictures of different shapes are padded to one, where that is asked for."""
        return "pad_batch" in self.steps

    @property
    def reads_boxes(self) -> bool:
        """Whether pictures may come with boxes that people marked in them."""
        return "do_convert_annotations" in self.further


_OCR = {"apply_ocr": True, "ocr_lang": None, "tesseract_config": ""}


def _boxed(resize: str, labels: str) -> Kind:
    """Return the kind of a detector: pictures of all shapes, padded to the largest."""
    further = {
        "do_convert_annotations": {"do_convert_annotations": True, "format": "coco_detection"},
        "do_reduce_labels": {
            "do_reduce_labels": False,
            "size_divisor": 32,
            "ignore_index": None,
            "num_labels": None,
        },
    }
    size = {"shortest_edge": 800, "longest_edge": 1333}
    return Kind(
        {**_resized(size, BILINEAR), **SCALED, **IMAGENET, "do_pad": True},
        steps=(resize, "rescale", "normalize", "pad_batch"),
        square=False,
        further={**further[labels], "pad_size": None},
    )


_MULTIPLE = {"ensure_multiple_of": 1, "keep_aspect_ratio": False, "size_divisor": None}

KINDS: dict[str, Kind] = {
    "ViT": Kind({**_resized(_square(224), BILINEAR), **SCALED, **NORMED}),
    "VideoMAE": Kind(
        {**_resized({"shortest_edge": 224}, BILINEAR), **_cropped(224), **SCALED, **NORMED},
        square=False,
    ),
    "Beit": Kind(
        {**_resized(_square(224), BICUBIC), **_cropped(224, does=False), **SCALED, **NORMED},
        further={"do_reduce_labels": False},
    ),
    "DeiT": Kind({**_resized(_square(256), BICUBIC), **_cropped(224), **SCALED, **NORMED}),
    "Pvt": Kind({**_resized(_square(224), BICUBIC), **SCALED, **IMAGENET}),
    "ConvNext": Kind(
        {**_resized({"shortest_edge": 384}, BICUBIC), **SCALED, **NORMED},
        steps=("resize_whole", "crop", "rescale", "normalize"),
        square=False,
        further={"crop_pct": 224 / 256},
    ),
    "Bit": Kind(
        {**RGB, **_resized({"shortest_edge": 224}, BICUBIC), **_cropped(224), **SCALED, **CLIP},
        square=False,
    ),
    "EfficientNet": Kind(
        {**_resized(_square(346), BICUBIC), **_cropped(289, does=False), **SCALED, **NORMED},
        steps=("resize", "crop", "rescale", "normalize", "divide"),
        further={"rescale_offset": False, "include_top": True},
    ),
    "MobileNetV1": Kind(
        {**_resized({"shortest_edge": 256}, BILINEAR), **_cropped(224), **SCALED, **NORMED},
        square=False,
    ),
    "MobileNetV2": Kind(
        {**_resized({"shortest_edge": 256}, BILINEAR), **_cropped(224), **SCALED, **NORMED},
        square=False,
        further={"do_reduce_labels": False},
    ),
    "MobileViT": Kind(
        {**_resized({"shortest_edge": 224}, BICUBIC), **_cropped(256), **SCALED},
        steps=("resize", "rescale", "crop", "flip"),
        square=False,
        further={"do_flip_channel_order": True, "do_reduce_labels": False},
    ),
    "PoolFormer": Kind(
        {**_resized({"shortest_edge": 224}, BICUBIC), **_cropped(224), **SCALED, **IMAGENET},
        steps=("resize_larger", "crop", "rescale", "normalize"),
        square=False,
        further={"crop_pct": 0.9},
    ),
    "Levit": Kind(
        {**_resized({"shortest_edge": 224}, BICUBIC), **_cropped(224), **SCALED, **IMAGENET},
        steps=("resize_eighth", "crop", "rescale", "normalize"),
        square=False,
    ),
    "Segformer": Kind(
        {**_resized(_square(512), BILINEAR), **SCALED, **IMAGENET},
        steps=("resize", "rescale", "normalize"),
        further={"do_reduce_labels": False},
    ),
    "DPT": Kind(
        {**_resized(_square(384), BICUBIC), **SCALED, **NORMED, "do_pad": False},
        steps=("resize_fitted", "rescale", "normalize", "pad_around"),
        further={**_MULTIPLE, "do_reduce_labels": False},
    ),
    "GLPN": Kind(
        {"do_resize": True, "resample": BILINEAR, **SCALED},
        steps=("resize_down", "rescale", "normalize"),
        further={"size_divisor": 32},
    ),
    "CLIP": Kind(
        {**RGB, **_resized({"shortest_edge": 224}, BICUBIC), **_cropped(224), **SCALED, **CLIP},
        square=False,
    ),
    "ChineseCLIP": Kind(
        {**RGB, **_resized({"shortest_edge": 224}, BICUBIC), **_cropped(224), **SCALED, **CLIP},
        square=False,
    ),
    "Siglip": Kind({**RGB, **_resized(_square(224), BICUBIC), **SCALED, **NORMED}, square=False),
    "Blip": Kind({**RGB, **_resized(_square(384), BICUBIC), **SCALED, **CLIP}),
    "OwlViT": Kind(
        {**RGB, **_resized(_square(768), BICUBIC), **_cropped(768, does=False), **SCALED, **CLIP}
    ),
    "Vilt": Kind(
        {**_resized({"shortest_edge": 384}, BICUBIC), **SCALED, **NORMED, "do_pad": True},
        steps=("resize_within", "rescale", "normalize", "pad_batch"),
        square=False,
        further={"size_divisor": 32},
    ),
    **dict.fromkeys(
        ("Detr", "ConditionalDetr", "DeformableDetr"), _boxed("resize", "do_convert_annotations")
    ),
    "Yolos": _boxed("resize_floored", "do_convert_annotations"),
    **dict.fromkeys(("MaskFormer", "Mask2Former"), _boxed("resize_raised", "do_reduce_labels")),
    "Photo": Kind({**RGB, **SCALED}, steps=("rescale",)),
    "WholeImage": Kind(
        {**RGB, "do_resize": True, "resample": BILINEAR, **SCALED, **IMAGENET},
        steps=("resize_down", "rescale", "normalize"),
        further={"size_divisor": 32},
    ),
    "Donut": Kind(
        {**_resized({"height": 2560, "width": 1920}, BILINEAR), **SCALED, **NORMED, "do_pad": True},
        steps=("align", "resize_shorter", "shrink", "pad_into", "crop", "rescale", "normalize"),
        further={"do_align_long_axis": False, "do_thumbnail": True},
        wide_first=True,
    ),
    "LayoutLMv2": Kind(
        {**_resized(_square(224), BILINEAR)}, steps=("resize", "turn"), further=_OCR
    ),
    "LayoutLMv3": Kind({**_resized(_square(224), BILINEAR), **SCALED, **NORMED}, further=_OCR),
}

# model_type → the kind of a checkpoint whose files name none.
OF_TYPES = {
    "vit": "ViT",
    "swin": "ViT",
    "swinv2": "ViT",
    "beit": "Beit",
    "data2vec-vision": "Beit",
    "deit": "DeiT",
    "convnext": "ConvNext",
    "convnextv2": "ConvNext",
    "resnet": "ConvNext",
    "regnet": "ConvNext",
    "van": "ConvNext",
    "dinov2": "Bit",
    "bit": "Bit",
    "efficientnet": "EfficientNet",
    "mobilenet_v1": "MobileNetV1",
    "mobilenet_v2": "MobileNetV2",
    "mobilevit": "MobileViT",
    "poolformer": "PoolFormer",
    "levit": "Levit",
    "pvt": "Pvt",
    "segformer": "Segformer",
    "segnet": "Segformer",
    "upernet": "Segformer",
    "dpt": "DPT",
    "glpn": "GLPN",
    "clip": "CLIP",
    "chinese_clip": "ChineseCLIP",
    "siglip": "Siglip",
    "blip": "Blip",
    "owlvit": "OwlViT",
    "vilt": "Vilt",
    "detr": "Detr",
    "table-transformer": "Detr",
    "conditional_detr": "ConditionalDetr",
    "deformable_detr": "DeformableDetr",
    "yolos": "Yolos",
    "maskformer": "MaskFormer",
    "mask2former": "Mask2Former",
    "layoutlmv2": "LayoutLMv2",
    "layoutlmv3": "LayoutLMv3",
    "donut-swin": "Donut",
    "ijepa": "ViT",
    "vit_mae": "ViT",
    "vit_msn": "ViT",
    "videomae": "VideoMAE",
    "timesformer": "VideoMAE",
    "vision-encoder-decoder": "ViT",
}
# Architectures whose checkpoints hold no file about pictures. Detectors resize and norm them
# themselves; segmenters take them as large as they are, normed as is usual.
UNWRITTEN: dict[str, str] = {
    **dict.fromkeys(("efficientdet", "faster_rcnn", "mask_rcnn", "retinanet", "yolov3"), "Photo"),
    **dict.fromkeys(("unet", "pspnet", "deeplabv3", "deeplabv3plus", "fpn"), "WholeImage"),
}

# What a class does beside: making results of a model's answers, reading videos.
ANSWERS = {
    "Beit": ("results", "Classes"),
    "Segformer": ("results", "Classes"),
    "MobileViT": ("results", "Classes"),
    "MobileNetV2": ("results", "Classes"),
    "DPT": ("results", "ClassesAndDepths"),
    "GLPN": ("results", "Depths"),
    "OwlViT": ("results", "NamedBoxes"),
    "Photo": ("results", "FoundThings"),
    "WholeImage": ("results", "Classes"),
    "Yolos": ("results", "Boxes"),
    "DeformableDetr": ("results", "RankedBoxes"),
    "Detr": ("segments", "BoxesAndSegments"),
    "ConditionalDetr": ("segments", "RankedBoxesAndSegments"),
    "MaskFormer": ("segments", "QuerySegments"),
    "Mask2Former": ("segments", "StretchedQuerySegments"),
    "VideoMAE": ("videos", "Videos"),
}


def class_names() -> list[str]:
    """Return the names of all classes."""
    return [f"{stem}ImageProcessor" for stem in KINDS]
