"""The architecture of tables against the reference: every state, score and loss."""

from __future__ import annotations

import pytest
import torch
from goldens import GOLDEN, opened, recorded, relative_error, told

from armature import AutoModelForTableQuestionAnswering
from armature.errors import ArgumentError, ConfigError

NAMES = sorted(f"tables/{folder.name}" for folder in (GOLDEN / "tables").iterdir())
TOLERANCE = 1e-5  # × max(1, |value|)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_outputs_equal_the_reference(name):
    model = opened(name)
    assert not model.load_report.new
    assert not model.load_report.unexpected
    for call in told(name)["calls"]:
        given, wanted = recorded(name, call["name"])
        output = model(**given, **call["flags"])
        real = given["attention_mask"].bool()
        cells = given["token_type_ids"][..., 2] > 0  # the question's score counts its padding there
        for key, value in wanted.items():
            error = relative_error(output, key, value)
            if "attentions" in key:
                error = error.transpose(1, 2)
            if error.shape[:2] == real.shape:
                error = error[cells if key == "logits" else real]
            assert float(error.max()) < TOLERANCE, key


def test_gradients_reach_every_weight():
    model, (given, _) = opened("tables/numbers"), recorded("tables/numbers", "1")
    model(**given).loss.backward()
    assert [key for key, weight in model.named_parameters() if weight.grad is None] == []


@torch.no_grad()
def test_a_table_does_not_depend_on_its_neighbours():
    model, (given, _) = opened("tables/cells"), recorded("tables/cells")
    together = model(**given).logits[1, :17]
    alone = model(**{key: x[1:, :17] for key, x in given.items()}).logits[0]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_what_lacks_is_named():
    model = AutoModelForTableQuestionAnswering.from_pretrained(GOLDEN / "tables/numbers")
    given, _ = recorded("tables/numbers", "1")
    with pytest.raises(ArgumentError, match="float_answer"):
        model(**{key: x for key, x in given.items() if key != "float_answer"})
    with pytest.raises(ArgumentError, match="7 numbers for each"):
        model(given["input_ids"], token_type_ids=given["token_type_ids"][..., :3])
    model.config.average_approximation_function = "third_order"
    with pytest.raises(ConfigError, match="ratio, first_order"):
        model(**given)
