"""SegNet: names in files, and its maps against plain loops."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from armature import AutoModelForSemanticSegmentation, auto, pipeline
from armature.checkpoint.load import places
from armature.errors import ArgumentError, ConfigError

SMALL = {"hidden_sizes": [4, 6, 8], "depths": [2, 1, 3], "num_labels": 3}


def built(**settings):
    torch.manual_seed(0)
    made = auto.model_class("SegNetForSemanticSegmentation")
    assert made is not None
    return made(made.config_class(**settings))


def stirred(**settings):
    model = built(**(SMALL | settings)).eval()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 0.9)
            tensor.sub_(0.5 if tensor.dim() > 1 else 0.0)
    return model


def test_files_have_the_flat_names_once_each():
    with torch.device("meta"):
        model = built(num_labels=11)
    known = places(model, model.disk_names(model.config))
    names = [pair.name for place in known for pair in place.pairs]
    wanted = {"conv11d.weight", "conv11d.bias"}
    for stage, depth in enumerate((2, 2, 3, 3, 3), 1):
        for index in range(1, depth + 1):
            for end in ("", "d")[: 1 if (stage, index) == (1, 1) else 2]:
                one = f"{stage}{index}{end}"
                wanted |= {f"conv{one}.{part}" for part in ("weight", "bias")}
                running = ("running_mean", "running_var", "num_batches_tracked")
                wanted |= {f"bn{one}.{part}" for part in ("weight", "bias", *running)}
    assert len(names) == len(set(names))
    assert set(names) == wanted
    assert model.head.out.weight.shape == (11, 64, 3, 3)
    assert model.body.decoder[3][2].conv.weight.shape == (256, 512, 3, 3)  # conv41d


def test_the_way_down_comes_from_torchvisions_file(tmp_path):
    small = {"hidden_sizes": [2, 2, 2, 2, 2]}
    model = built(**small)
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    steps = (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40)
    flat = [f"{i}{j}" for i, depth in enumerate((2, 2, 3, 3, 3), 1) for j in range(1, depth + 1)]
    older = {}
    for step, one in zip(steps, flat, strict=True):
        for name, tensor in stored.items():
            kind, _, end = name.partition(".")
            if kind in (f"conv{one}", f"bn{one}"):
                older[f"features.{step + (kind[0] == 'b')}.{end}"] = tensor
    torch.save(older, tmp_path / "vgg16_bn.pth")
    again = type(model).from_pretrained(tmp_path)
    assert not again.load_report.unexpected
    assert torch.equal(again.body.encoder[4][2].conv.weight, model.body.encoder[4][2].conv.weight)
    assert all(name.split(".")[0].endswith("d") for name in again.load_report.new)


def _shrunk(x):
    """Return the largest of each 2 × 2, and where each was."""
    rows, channels, height, width = x.shape
    small = torch.zeros(rows, channels, height // 2, width // 2)
    where = {}
    for place in torch.cartesian_prod(*(torch.arange(n) for n in small.shape)).tolist():
        b, c, i, j = place
        spots = [(2 * i + m, 2 * j + n) for m in (0, 1) for n in (0, 1)]
        best = max(spots, key=lambda spot: float(x[b, c, spot[0], spot[1]]))
        small[b, c, i, j] = x[b, c, best[0], best[1]]
        where[tuple(place)] = best
    return small, where


def _grown(x, where, size):
    large = torch.zeros(*x.shape[:2], *size)
    for (b, c, i, j), (row, column) in where.items():
        large[b, c, row, column] = x[b, c, i, j]
    return large


@torch.no_grad()
def test_maps_against_loops(tmp_path):
    model = stirred()
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")

    def unit(x, one):
        x = F.conv2d(x, stored[f"conv{one}.weight"], stored[f"conv{one}.bias"], padding=1)
        parts = (stored[f"bn{one}.{end}"][:, None, None] for end in
                 ("running_mean", "running_var", "weight", "bias"))  # fmt: skip
        mean, var, weight, bias = parts
        return ((x - mean) / (var + 1e-5).sqrt() * weight + bias).clamp(min=0)

    pixels = torch.randn(2, 3, 11, 9)
    x, kept = pixels, []
    for stage, depth in enumerate((2, 1, 3), 1):
        for index in range(1, depth + 1):
            x = unit(x, f"{stage}{index}")
        size = x.shape[2:]
        x, where = _shrunk(x)
        kept.append((where, size))
    for stage, depth in ((3, 3), (2, 1), (1, 2)):
        x = _grown(x, *kept[stage - 1])
        for index in range(depth, 1 if stage == 1 else 0, -1):
            x = unit(x, f"{stage}{index}d")
    wanted = F.conv2d(x, stored["conv11d.weight"], stored["conv11d.bias"], padding=1)
    torch.testing.assert_close(model(pixels).logits, wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_rare_classes_may_count_more():
    pixels, labels = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    labels[0, :2] = 255
    model = stirred()
    made = model(pixels, labels=labels)
    wanted = F.cross_entropy(made.logits, labels, ignore_index=255)
    torch.testing.assert_close(made.loss, wanted)
    weighed = stirred(class_weights=[0.5, 2.0, 1.0])(pixels, labels=labels)
    shares = torch.tensor([0.5, 2.0, 1.0])
    wanted = F.cross_entropy(made.logits, labels, shares, ignore_index=255)
    torch.testing.assert_close(weighed.loss, wanted)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="one of each"):
        built(hidden_sizes=[4, 4])
    with pytest.raises(ConfigError, match="class_weights are 2"):
        built(**SMALL, class_weights=[1.0, 2.0])
    model = built(**SMALL)
    with pytest.raises(ArgumentError, match="8 × 8 at least"):
        model(torch.zeros(1, 3, 7, 20))
    with pytest.raises(ArgumentError, match="each pixel"):
        model(torch.zeros(1, 3, 8, 8), labels=torch.zeros(1).long())


def test_a_pipeline_cuts_pictures_into_classes(tmp_path: Path):
    from PIL import Image

    stirred().save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "SegformerImageProcessor", "size": 16})
    )
    model = AutoModelForSemanticSegmentation.from_pretrained(tmp_path)
    assert type(model).__name__ == "SegNetForSemanticSegmentation"
    pipe = pipeline("image-segmentation", model=str(tmp_path))
    found = pipe(Image.new("RGB", (30, 20), "green"))
    assert found
    assert all(one["mask"].size == (30, 20) for one in found)
