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
]
NAMES = sorted(folder.name for folder in GOLDEN.iterdir())


@pytest.mark.parametrize(("model_type", "common", "own"), PAIRS)
def test_both_spellings_of_a_setting_are_one(model_type: str, common: str, own: str) -> None:
    made = config_class(model_type)
    one, two = (
        ("relu", "tanh") if common == "hidden_act" else (0.5, 0.25) if "drop" in common else (7, 9)
    )
    for stored, other in ((common, own), (own, common)):
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


def other_spelling(config: dict) -> dict:
    """A config.json whose every key is spelled in another way, where there is one."""
    synonyms = arch.find(config["model_type"]).SYNONYMS
    back = {own: common for common, own in synonyms.items()}
    return {back.get(key, synonyms.get(key, key)): value for key, value in config.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_the_same_by_the_other_spellings(name: str) -> None:
    config = json.loads((GOLDEN / name / "config.json").read_text())
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    if other_spelling(config) == config or config["model_type"] == "encoder-decoder":
        pytest.skip("its settings have one name each")
    made, models = config_class(config["model_type"]), []
    for settings in (config, other_spelling(config)):
        with torch.device("meta"):
            models.append(auto.model_class(kind)(made.from_dict(settings)))
    first, second = ({n: p.shape for n, p in model.named_parameters()} for model in models)
    assert first == second
    assert str(models[0].body) == str(models[1].body)
    unread = dict.fromkeys(models[0].config.unread()) | {"model_type": made.model_type}
    assert models[1].config.unread() == sorted(set(other_spelling(unread)) - {"model_type"})
