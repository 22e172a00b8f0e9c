"""Settings that no published config has together, read as the reference reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from armature import arch, auto
from armature.model.spec import Gated
from armature.opening import config_class

GOLDEN = Path(__file__).parents[1] / "golden" / "arch"


def opened(name: str, folder: Path, **changes):
    """Open a golden checkpoint with other settings in its config.json."""
    shutil.copytree(GOLDEN / name, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    return auto.model_class(kind).from_pretrained(folder)


@pytest.mark.parametrize("name", ["llama", "qwen2", "gpt_neox"])
def test_the_older_spelling_of_rotary_scaling_wins(name):
    both = {
        "rope_parameters": {"rope_type": "default", "rope_theta": 700.0},
        "rope_scaling": {"type": "linear", "factor": 3.0},
        "rope_theta": 50.0,
    }
    turn = arch.rotary(config_class(name).from_dict(both))
    assert (turn.settings["rope_type"], turn.settings["factor"]) == ("linear", 3.0)
    assert turn.settings["rope_theta"] == 50.0


@pytest.mark.parametrize("name", ["qwen2_moe", "qwen3_moe"])
def test_without_experts_every_layer_is_plain(name):
    c = config_class(name).from_dict({"num_experts": 0})
    spec = arch.find(name).spec(c)
    assert type(spec.block(0).mlp) is Gated


@pytest.mark.parametrize("pad", [None, 9])
def test_a_classifier_reads_the_last_token_that_is_no_padding(pad, tmp_path):
    model = opened("gpt2-classes", tmp_path, pad_token_id=pad)
    ids = torch.tensor([[7, 9, 11, 8], [7, 9, 11, 9]])
    with torch.no_grad():
        whole = model(ids).logits
        cut = model(ids[1:, : 3 if pad == 9 else 4]).logits
    torch.testing.assert_close(whole[1:], cut, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["llama-longrope", "llama-dynamic"])
def test_rotations_of_long_texts_do_not_depend_on_neighbours(name):
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    model = auto.model_class(kind).from_pretrained(GOLDEN / name)
    ids = torch.randint(6, 60, (2, 30), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, 8:] = 0
    with torch.no_grad():
        both, alone = model(ids, mask)[0], model(ids[:1, :8])[0]
        model(ids)  # nor on the texts before
        again = model(ids[:1, :8])[0]
    torch.testing.assert_close(both[:1, :8], alone, atol=1e-5, rtol=1e-5)
    assert torch.equal(again, alone)
