"""A sample of docs/compatibility.md, which `python tests/benchmarks/compatibility.py` writes whole."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from rlplay.models.names import model_ids

ROOT = Path(__file__).parents[2]


def table():
    """Model ids, places and cells of the page."""
    text = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    reasons = dict(re.findall(r"^(\d+)\. (.*)$", text, re.M))
    return rows[0][1:], {row[0].strip("`"): row[1:] for row in rows[2:]}, reasons


PLACES, ROWS, REASONS = table()
SAMPLE = [
    (model, place)
    for m, model in enumerate(sorted(ROWS))
    for p, place in enumerate(PLACES)
    if (7 * m + 3 * p) % 23 == 0 and "lstm" not in model and "gru" not in model and "encoder" not in model
]


@pytest.fixture(scope="module")
def matrix():
    spec = importlib.util.spec_from_file_location("compatibility", ROOT / "tests/benchmarks/compatibility.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_every_model_and_place(matrix):
    assert set(ROWS) == {i for i in model_ids() if not i.startswith("test/")}
    assert list(matrix.PLACES) == PLACES
    assert not any("fails with" in reason for reason in REASONS.values())


@pytest.mark.parametrize(("model", "place"), SAMPLE, ids=lambda part: part.split("(")[0].strip().replace(" ", "-"))
def test_a_sample_of_the_page(matrix, model, place):
    found, said = matrix.cell(model, place), ROWS[model][PLACES.index(place)]
    if said == "✓":
        assert found == "yes"
    else:
        assert found.replace(type(matrix.small(model)).__name__, "it") == REASONS[said]
