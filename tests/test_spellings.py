"""A setting has the field's common name and its architecture's own: both are read everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from armature import arch, auto
from armature.opening import config_class

GOLDEN = Path(__file__).parent / "golden" / "arch"
PAIRS = [
    (model_type, common, own)
    for model_type in arch.names()
    for common, own in arch.find(model_type).SYNONYMS.items()
    if common != "num_labels"  # which is counted, not stored
]
# No file means them: the reference answers to the architecture's own name alone.
ONLY_ASKED = ("hidden_act", "intermediate_size")


@pytest.mark.parametrize(("model_type", "common", "own"), PAIRS)
def test_both_spellings_of_a_setting_are_one(model_type: str, common: str, own: str) -> None:
    made = config_class(model_type)
    one, two = ("relu", "tanh") if common == "hidden_act" else (7, 9)
    one, two = (0.5, 0.25) if "drop" in common else (one, two)
    for stored, other in ((own, common), (common, own)):
        if stored in ONLY_ASKED:
            assert getattr(made.from_dict({stored: one}), other) == made().get(other)
            continue
        config = made.from_dict({stored: one})
        assert (getattr(config, stored), getattr(config, other)) == (one, one)
        assert config.get(other) == one
        assert config.knows(other)
        assert config.read_keys == {stored}
        said = config.to_dict()
        assert said[stored] == one
        assert other not in said
        setattr(config, other, two)
        assert config.data == {stored: two}
    both = made.from_dict({own: one, common: two})
    wanted = one if common in ONLY_ASKED else two
    assert (getattr(both, own), getattr(both, common)) == (wanted, wanted)


def other_spelling(config: dict) -> dict:
    """A config.json whose every key is spelled in another way, where there is one."""
    synonyms = arch.find(config["model_type"]).SYNONYMS
    back = {own: common for common, own in synonyms.items() if common not in ONLY_ASKED}
    return {back.get(key, synonyms.get(key, key)): value for key, value in config.items()}


def config_of(name: str) -> dict:
    return json.loads((GOLDEN / name / "config.json").read_text())


RESPELT = [
    folder.name
    for folder in sorted(GOLDEN.iterdir())
    if other_spelling(config_of(folder.name)) != config_of(folder.name)
]


@pytest.mark.parametrize("name", RESPELT)
def test_a_model_is_the_same_by_the_other_spellings(name: str) -> None:
    config, models = config_of(name), []
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    made = config_class(config["model_type"])
    for settings in (config, other_spelling(config)):
        with torch.device("meta"):
            models.append(auto.model_class(kind)(made.from_dict(settings)))
    first, second = ({n: p.shape for n, p in model.named_parameters()} for model in models)
    assert first == second
    assert str(models[0].body) == str(models[1].body)
    unread = dict.fromkeys(models[0].config.unread()) | {"model_type": made.model_type}
    assert models[1].config.unread() == sorted(set(other_spelling(unread)) - {"model_type"})
