"""The anatomy as a tree: every weight once, under both names."""

from __future__ import annotations

import json

import pytest
import torch

import armature
from armature.anatomy import anatomy, fold

TINY = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 10,
}


def tree_of(class_name, config_name, **settings):
    config = getattr(armature, config_name)(**{**TINY, **settings})
    with torch.device("meta"):
        model = getattr(armature, class_name)(config)
    return anatomy(model), model


def organs(organ, path=""):
    for inner in organ.inside:
        name = f"{path}.{inner.slot}".lstrip(".")
        yield name, inner
        yield from organs(inner, name)


def test_blocks_that_are_alike_are_told_once():
    tree, model = tree_of("BertForMaskedLM", "BertConfig")
    found = dict(organs(tree))
    blocks = found["body.blocks"]
    assert (blocks.count, blocks.variant) == (3, "PostBlock")
    assert found["body.blocks.attn.out"].theirs == "bert.encoder.layer.{i}.attention.output.dense"
    assert found["body.blocks.attn.out"].shape == (8, 8)
    assert tree.parameters == model.num_parameters()


def test_maps_of_one_input_are_one_slot_with_all_their_names():
    tree, _ = tree_of("LlamaForCausalLM", "LlamaConfig", num_key_value_heads=1)
    qkv = dict(organs(tree))["body.blocks.attn.qkv"]
    assert qkv.shape == (8 + 4 + 4, 8)
    assert qkv.theirs == "model.layers.{i}.self_attn.{q_proj,k_proj,v_proj}"
    assert "q:8 k:4 v:4" in qkv.facts


def test_a_tied_weight_says_whose_it_is():
    tree, _ = tree_of("BertForMaskedLM", "BertConfig")
    assert "tied to embed.token" in dict(organs(tree))["head.out"].facts
    apart, _ = tree_of("BertForMaskedLM", "BertConfig", tie_word_embeddings=False)
    assert not dict(organs(apart))["head.out"].facts


def test_shared_blocks_say_when_they_run():
    tree, _ = tree_of("AlbertModel", "AlbertConfig", embedding_size=6)
    assert "runs its blocks as 0 0 0" in dict(organs(tree))["body"].facts


def test_every_name_of_a_saved_checkpoint_is_in_the_tree(tmp_path):
    config = armature.GPT2Config(n_embd=8, n_head=2, n_layer=2, vocab_size=20, n_positions=12)
    model = armature.GPT2LMHeadModel(config)
    model.save_pretrained(tmp_path)
    told = " ".join(organ.theirs for _, organ in organs(anatomy(model)))
    from armature.checkpoint.files import open_weights
    from armature.checkpoint.hub import resolve

    for name in open_weights(resolve(tmp_path)):
        stem = name.rsplit(".", 1)[0]
        assert stem.replace(".h.0.", ".h.{i}.").replace(".h.1.", ".h.{i}.") in told


def test_a_folder_is_explained_without_reading_its_weights(tmp_path):
    from armature.anatomy import explain

    config = armature.BertConfig(**TINY, architectures=["BertForQuestionAnswering"])
    config.save_pretrained(tmp_path)
    tree = explain(tmp_path)
    assert tree.variant == "BertForQuestionAnswering"
    assert json.loads(json.dumps(tree.to_dict()))["inside"][1]["slot"] == "head"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["a.b"], "a.b"),
        (["a.q.w", "a.k.w", "a.v.w"], "a.{q,k,v}.w"),
        (["e.0.w1", "e.1.w1", "e.2.w1", "e.0.w2", "e.1.w2", "e.2.w2"], "e.{0-2}.{w1,w2}"),
        (["a.b", "c"], "a.b, c"),
    ],
)
def test_names_fold(names, expected):
    assert fold(names) == expected
