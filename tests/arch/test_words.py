"""The words of an architecture's file: what it leaves out, and what it takes from its like."""

from __future__ import annotations

from types import ModuleType

from armature import arch
from armature.arch import _complete


def module(**words):
    """A file with these words."""
    made = ModuleType("made")
    vars(made).update(words)
    return made


def test_every_architecture_has_every_word():
    for model_type in arch.names():
        assert vars(arch.find(model_type)).keys() >= {*arch.WORDS}


def test_what_a_file_leaves_out_is_empty():
    found = _complete(module(NAMES={"a": "b"}))
    assert (found.SYNONYMS, found.IGNORED, found.copies(None)) == ({}, (), {})
    assert found.names(None) == {"a": "b"}


def test_a_file_has_the_words_of_the_one_that_it_is_like():
    base = module(PREFIX="model", IGNORED=("x",), names=lambda c: {"of": c}, COPIES={"one": "two"})
    found = _complete(module(LIKE=base, PREFIX=""))
    assert (found.PREFIX, found.IGNORED) == ("", ("x",))
    assert found.names("config") == {"of": "config"}
    assert found.copies("config") == {"one": "two"}


def test_a_table_of_its_own_goes_before_the_function_of_the_other():
    base = module(names=lambda _: {"a": "b"}, copies=lambda _: {"c": "d"})
    found = _complete(module(LIKE=base, NAMES={"e": "f"}, COPIES={}))
    assert (found.names(None), found.copies(None)) == ({"e": "f"}, {})


def test_heads_are_renamed_and_some_left_out():
    heads = {"OldModel": 1, "OldForCausalLM": 2, "OldForTokenClassification": 3}
    assert arch.renamed(heads, "Old", "New", "ForTokenClassification") == {
        "NewModel": 1,
        "NewForCausalLM": 2,
    }
    assert list(arch.renamed(heads, "Old", "New")) == [name.replace("Old", "New") for name in heads]
