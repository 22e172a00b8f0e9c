"""A stack's program gives what its blocks give, for every architecture that has one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from armature import auto
from armature.layers.slots import Slots
from armature.model import steps
from armature.native import library
from armature.outputs import tasks

GOLDEN = Path(__file__).parent.parent / "golden" / "arch"
pytestmark = pytest.mark.skipif(library.kernels() is None, reason="the kernels are not built")

# These bring organs of their own, or route tokens to experts: they go block by block.
UNPLANNED = (
    "bloom-normed",
    "granite",
    "mamba",
    "mixtral",
    "mpt-clipped",
    "opt-narrow",
    "prophetnet",
)
UNPLANNED += (
    "qwen2_moe",
    "qwen3_moe",
    "roformer",
    "transfo_xl",
    "unilm",
    "xlm-causal",
    "xlm-untied",
    "xlnet",
)


def class_of(name):
    return auto.model_class(json.loads((GOLDEN / name / "golden.json").read_text())["class"])


def opened(name):
    return class_of(name).from_pretrained(GOLDEN / name)


NAMES = sorted(folder.name for folder in GOLDEN.iterdir())
LLAMA = next(name for name in NAMES if class_of(name).__name__ == "LlamaForCausalLM")
WRITERS = [
    name for name in NAMES if isinstance(class_of(name).head_spec, tasks.CausalLM | tasks.Seq2SeqLM)
]


def begun(model):
    """A generation under way, of three prompts of different lengths."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(6, model.config.vocab_size, (3, 9), generator=generator)
    mask = torch.arange(9) >= torch.tensor([[4], [0], [6]])
    if model.is_encoder_decoder:
        inputs = {"input_ids": ids, "attention_mask": mask.long()}
        return model.steps(torch.full((3, 1), 2), None, inputs, 20)
    return model.steps(ids, mask, {}, 20)


def written(model):
    """Scores of some steps, rows repeated, moved and dropped between them."""
    under_way = begun(model)
    under_way.start()
    under_way.select(torch.tensor([0, 2, 1, 1]))
    scores = [under_way.step(torch.tensor([7, 8, 9, 10]))]
    under_way.select(torch.tensor([3, 0, 1, 2]))
    scores.append(under_way.step(torch.tensor([11, 12, 13, 14])))
    under_way.select(torch.tensor([2, 2]))
    scores.append(under_way.step(torch.tensor([15, 16])))
    return under_way, torch.cat(scores)


@pytest.mark.parametrize("name", WRITERS)
def test_a_program_gives_what_blocks_give(name, monkeypatch):
    model = opened(name)
    with torch.inference_mode():
        under_way, found = written(model)
        planned = getattr(under_way, "_plan", None) is not None
        assert planned != name.startswith(UNPLANNED)
        monkeypatch.setattr(steps, "pages", lambda _stack: False)
        _, expected = written(model)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=2e-5)


def test_whoever_listens_to_an_organ_hears_every_step():
    model = opened(LLAMA)
    heard = []
    model.body.blocks[0].attn.register_forward_hook(lambda *_: heard.append(1))
    with torch.inference_mode():
        under_way = begun(model)
        under_way.start()
        under_way.step(torch.tensor([7, 8, 9]))
    assert len(heard) == 2


def test_rows_share_their_beginning():
    model = opened(LLAMA)
    with torch.inference_mode():
        under_way = begun(model)
        under_way.start()
        assert isinstance(under_way.cache, Slots)
        before = under_way.cache.given
        under_way.select(torch.arange(3).repeat_interleave(8))
        under_way.step(torch.full((24,), 7))
        assert under_way.cache.given == before + 24  # the new tokens alone


def test_places_that_no_row_has_any_more_are_given_out_again():
    model = opened(LLAMA)
    with torch.inference_mode():
        under_way = begun(model)
        under_way.start()
        for _ in range(200):  # one beam wins again and again: the others' tokens are lost
            under_way.select(torch.zeros(4, dtype=torch.long))
            under_way.cache.lengths = (9,) * 4
            under_way.step(torch.full((4,), 7))
        assert under_way.cache.size < 100
