"""Every pipeline answers as the reference did: labels, words, places, scores to 1e-5."""

from __future__ import annotations

import pytest
from conftest import GOLDEN, RECORDS, close

from armature import pipeline

CASES = [(name, case) for name, cases in RECORDS.items() for case in cases]


def name_of(value):
    return f"{value['task']}-{len(str(value))}" if isinstance(value, dict) else value


@pytest.mark.parametrize(("name", "case"), CASES, ids=name_of)
def test_the_reference_answers_the_same(name, case):
    pipe = pipeline(case["task"], model=GOLDEN / name, **case["init"])
    result = pipe(case["inputs"], **case["kwargs"])
    assert close(result, case["output"]), result
