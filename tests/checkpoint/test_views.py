"""Names with braces: which view they stand for, and which tensors they name."""

from __future__ import annotations

import pytest

from armature.checkpoint.views import Plain, Rows, Stacked, T, Target, as_view


@pytest.mark.parametrize(
    ("row", "kind", "templates"),
    [
        ("layers.{i}.fc1", Plain, ("layers.{i}.fc1",)),
        ("h.{i}.{q,k,v}_proj", Rows, ("h.{i}.q_proj", "h.{i}.k_proj", "h.{i}.v_proj")),
        ("wi_{0,1}", Rows, ("wi_0", "wi_1")),
        ("experts.{e}.w2", Stacked, ("experts.{e}.w2",)),
        ("experts.{e}.w{1,3}", Stacked, ("experts.{e}.w1", "experts.{e}.w3")),
    ],
)
def test_braces_say_what_a_row_stands_for(row, kind, templates):
    assert type(as_view(row)) is kind
    assert as_view(row).templates() == templates


def test_a_view_stays_what_it_is():
    assert as_view(T("c_attn")) == T("c_attn")


def test_alternatives_are_the_parts_in_their_order():
    parts = {"q": 4, "k": 2, "v": 2}
    target = Target((2, 4), "weight", "k", parts)
    (pair,) = as_view("layers.{i}.{query,key,value}").pairs(
        target, lambda name: name.replace("{i}", "3")
    )
    assert (pair.name, pair.shape) == ("layers.3.key.weight", (2, 4))


def test_a_stack_names_each_of_its_tensors_and_their_parts():
    target = Target((2, 6, 4), "", "", {"gate": 3, "up": 3})
    pairs = list(as_view("experts.{e}.w{1,3}").pairs(target, str))
    names = [f"experts.{expert}.w{part}.weight" for expert in (0, 1) for part in (1, 3)]
    assert [(pair.name, pair.shape) for pair in pairs] == [(name, (3, 4)) for name in names]
