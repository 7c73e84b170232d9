"""Figures: every one is computed with few runs, drawn, and has a table; pictures are real files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from rlplay.errors import RlplayError
from rlplay.reports.figures import Figure, Line, Panel, compute, draw, figure_names, untracked

QUICK = {
    "bandit-parameters": 20, "bandit-drifting": 10, "blackjack-values": None, "blackjack-optimal": None,
    "infinite-variance": 2, "cliff-step-sizes": 1, "trajectories": 1, "prioritized-sweeping": 1, "n-steps": 2,
    "racetrack": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name == "prioritized-sweeping" else name for name in figure_names()],
)
def test_every_figure(name, tmp_path):
    figure = compute(name, untracked, QUICK.get(name, 3))
    assert figure.rows
    assert all(len(row) == len(figure.columns) for row in figure.rows)
    assert "Sutton & Barto" in figure.source
    for panel in figure.panels:
        for line in panel.lines:
            assert len(line.x) == len(line.y)
            assert np.isfinite(np.asarray(line.y, float)).all()
    path = tmp_path / f"{name}.png"
    draw(figure, path)
    colours = np.unique(np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3), axis=0)
    assert len(colours) > 10


def test_what_cannot_be_drawn_is_named(tmp_path):
    with pytest.raises(RlplayError, match="cliff-walking"):
        compute("clif-walking", untracked)
    with pytest.raises(RlplayError, match="runs=0"):
        compute("cliff-walking", untracked, 0)
    figure = Figure("t", "s", [Panel("p", [Line("", [1], [1])])], ("a",), [(1,)])
    with pytest.raises(RlplayError, match="gifx"):
        draw(figure, tmp_path / "picture.gifx")
    assert not list(tmp_path.iterdir())
