"""DeBERTa v2 and v3 against the reference, and what only they have: distances, a convolution."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from armature import auto
from armature.errors import ConfigError

GOLDEN = Path(__file__).parent.parent / "golden" / "deberta-v2"
NAMES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
BODIES = ["absolute", "apart", "c2p", "p2c", "shared"]
TOLERANCE = 1e-5  # × max(1, |value|)


def opened(name, **options):
    config = json.loads((GOLDEN / name / "config.json").read_text())
    return auto.model_class(config["architectures"][0]).from_pretrained(GOLDEN / name, **options)


def recorded(name, start):
    tensors = load_file(GOLDEN / name / "golden.safetensors")
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def worst(found, wanted, mask):
    """The greatest error at real tokens, whose axes come first in all but attentions."""
    error = (found - wanted).abs() / wanted.abs().clamp(min=1)
    mask = mask.flatten(0, -2).bool()
    if error.dim() == 4:
        error = error.transpose(1, 2)
    return float((error[mask] if error.shape[:2] == mask.shape else error).max())


@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_the_reference(name):
    model, given = opened(name), recorded(name, "in.")
    assert not model.load_report.new
    flags = dict.fromkeys(("output_hidden_states", "output_attentions"), name in BODIES)
    with torch.no_grad():
        output = model(**given, **flags)
    for key, wanted in recorded(name, "out.").items():
        field, _, index = key.partition(".")
        found = output[field][int(index)] if index else output[field]
        assert found.shape == wanted.shape
        assert worst(found, wanted, given["attention_mask"]) < TOLERANCE, key


@pytest.mark.parametrize("name", [name for name in NAMES if recorded(name, "label.")])
def test_losses_equal_the_reference(name):
    given, wanted = recorded(name, "in."), recorded(name, "loss")[""]
    loss = opened(name)(**given, **recorded(name, "label.")).loss
    torch.testing.assert_close(loss.detach(), wanted, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("name", ["apart", "c2p", "shared"])
def test_a_batch_equals_its_sequences_one_by_one(name):
    model, given = opened(name), recorded(name, "in.")
    mask = given.pop("attention_mask").bool()
    with torch.no_grad():
        together = model(**given, attention_mask=mask.long()).last_hidden_state
        for row, real in enumerate(mask):
            one = {key: value[row, real][None] for key, value in given.items()}
            one["position_ids"] = real.nonzero().T  # as they stood in the padded row
            alone = model(**one).last_hidden_state[0]
            torch.testing.assert_close(together[row, real], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_saving_gives_back_every_name_shape_and_byte(name, tmp_path):
    opened(name).save_pretrained(tmp_path)
    stored, saved = (
        load_file(GOLDEN / name / "model.safetensors"),
        load_file(tmp_path / "model.safetensors"),
    )
    assert saved.keys() == stored.keys()
    # Once words are not tied, their bias has another name; nothing reads the first one any more.
    unused = {"cls.predictions.bias"} if name == "words-untied" else set()
    assert all(torch.equal(saved[key], stored[key]) for key in stored.keys() - unused)
    config = json.loads((GOLDEN / name / "config.json").read_text())
    assert config.items() <= json.loads((tmp_path / "config.json").read_text()).items()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_weight(name):
    model, given = opened(name), recorded(name, "in.")
    first = model(**given)[0]
    (first * torch.randn_like(first)).sum().backward()
    unused = {"body.bias.norm.weight", "body.bias.norm.bias"} if name == "absolute" else set()
    for path, parameter in model.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert reached != (path in unused), path


def test_every_setting_is_read_by_some_class():
    unread = set.intersection(*(set(opened(name).config.unread()) for name in NAMES))
    from armature.arch import deberta_v2

    assert unread - set(deberta_v2.UNUSED) <= {"bos_token_id", "eos_token_id", "pad_token_id"}


def test_attentions_of_chosen_layers_are_shares_of_real_tokens():
    given = recorded("shared", "in.")
    (shares,) = opened("shared")(**given, output_attentions=[-1]).attentions
    mask = given["attention_mask"]
    torch.testing.assert_close(shares.sum(-1), mask[:, None].expand(shares.shape[:3]).float())
    assert not shares[~mask.bool()[:, None, None].expand_as(shares)].any()


def test_segments_of_a_model_without_segments_change_nothing():
    model, given = opened("shared"), recorded("shared", "in.")
    marked = model(**given).last_hidden_state
    del given["token_type_ids"]
    assert torch.equal(model(**given).last_hidden_state, marked)


def test_sequences_may_be_longer_than_the_table_of_distances():
    model = opened("c2p")
    ids = torch.randint(3, 31, (1, 60))
    states = model(input_ids=ids).last_hidden_state
    assert states.shape == (1, 60, 15)
    # All distances beyond the last bucket are alike: far neighbours may change places.
    swapped = ids.clone()
    swapped[0, [50, 55]] = ids[0, [55, 50]]
    first = model(input_ids=ids, output_hidden_states=[1]).hidden_states[0][0, 0]
    again = model(input_ids=swapped, output_hidden_states=[1]).hidden_states[0][0, 0]
    torch.testing.assert_close(first, again)


def test_what_is_dropped_while_training():
    model = opened("classes", pooler_dropout=0.25, hidden_dropout_prob=0.125)
    attention = model.body.blocks[0].attn
    assert attention.dropout == pytest.approx(0.1)
    assert attention.position_dropout.p == model.body.embed.dropout.p == 0.125
    assert (model.head.dropout_in.p, model.head.dropout.p) == (0.25, 0.3)


def test_unknown_classes_do_not_count_in_a_loss():
    model, given = opened("classes"), recorded("classes", "in.")
    assert model(**given, labels=torch.tensor([-1, -100, -1])).loss == 0
    several = model(**given, labels=torch.tensor([[0.0, 1, 0, 0]] * 3)).loss
    torch.testing.assert_close(several, model(**given, labels=torch.tensor([1, 1, 1])).loss)


def test_the_published_word_head_shares_the_table_of_tokens(tmp_path):
    model = opened("words-published")  # whose config.json says that words are not tied
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    tensors = load_file(GOLDEN / "words-published" / "model.safetensors")
    assert "lm_predictions.lm_head.dense.weight" in tensors
    (tmp_path / "config.json").write_bytes((GOLDEN / "words-published/config.json").read_bytes())
    tensors["mask_predictions.dense.weight"] = torch.ones(2, 2)  # published files have such, too
    save_file(tensors, tmp_path / "model.safetensors")
    again = type(model).from_pretrained(tmp_path)
    assert again.load_report.unexpected == ["mask_predictions.dense.weight"]
    assert not again.load_report.new


def test_an_even_convolution_is_refused():
    with pytest.raises(ConfigError, match="conv_kernel_size is 4"):
        opened("shared", conv_kernel_size=4)
