"""Explanations by occlusion: numbers by hand, every kind of observation, the live panel, the command line."""

from __future__ import annotations

import numpy as np
import pygame
import pytest
from gymnasium import spaces

from agents import A2C, MCTS, QLearning
from rlplay import make
from rlplay.cli import main
from rlplay.extend import Probe
from rlplay.reports.occlusion import PATCHES, contributions, summary
from rlplay.viewer import panels
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState
from rlplay.viewer.why import Explainer

PLANE = spaces.Box(-10.0, 10.0, (3,), np.float64)


def test_a_linear_margin_by_hand():
    """Q(s, 0) = 2 s0 - s1, Q(s, 1) = 0: hiding s0 takes 2 (s0 - mean) of the margin."""

    def probe(x):
        x = np.asarray(x)
        return Probe(action_values=np.stack([2 * x[:, 0] - x[:, 1], np.zeros(len(x))], axis=1))

    state, others = np.array([3.0, 1.0, 7.0]), [np.array([1.0, 0.0, 0.0]), np.array([0.0, -2.0, 5.0])]
    found = contributions(probe, PLANE, [state], others)
    assert found.choices.tolist() == [0]
    assert found.scores[0, 0] == pytest.approx(5.0)
    assert found.values[0, :, 0] == pytest.approx([2 * (3 - 0.5), -(1 - -1), 0.0])
    assert "margin" in found.of


def test_probabilities_means_and_values():
    x0 = np.array([1.0, 0.0, 0.0])
    for given, expected in (
        (lambda x: {"action_probabilities": np.stack([0.5 + 0.1 * x[:, 0], 0.5 - 0.1 * x[:, 0]], axis=1)}, [[0.1]]),
        (lambda x: {"action_mean": np.stack([x[:, 0], -3 * x[:, 0]], axis=1)}, [[1.0, -3.0]]),
        (lambda x: {"value": 4 * x[:, 0]}, [[4.0]]),
    ):
        found = contributions(lambda x, given=given: Probe(**given(np.asarray(x))), PLANE, [x0], [np.zeros(3)])
        assert found.values[0, :1] == pytest.approx(np.array(expected))
        assert found.values[0, 1:] == pytest.approx(0.0)
    assert contributions(lambda x: Probe(), PLANE, [x0], [x0]) is None


def test_forbidden_actions_make_no_infinity():
    def probe(x):
        allowed = np.asarray(x)[:, 0] > 0
        return Probe(action_values=np.where(allowed[:, None], [[1.0, 0.0]], [[-np.inf, 0.0]]))

    found = contributions(probe, PLANE, [np.ones(3)], [-np.ones(3)])
    assert np.isfinite(found.values).all()


def test_parts_of_named_observations_are_hidden_each():
    space = spaces.Dict({"camera": spaces.Box(0, 255, (16, 16, 1), np.uint8), "gear": spaces.Discrete(5),
                         "more": spaces.Tuple((spaces.Box(-1.0, 1.0, (2,)), spaces.MultiBinary(2)))})  # fmt: skip
    space.seed(0)

    def probe(x):
        return Probe(
            value=x["camera"][:, :2, :2].mean(axis=(1, 2, 3))
            + 100.0 * np.asarray(x["gear"])
            + 1000.0 * x["more"][1][:, 0]
        )

    state, others = space.sample(), [space.sample() for _ in range(6)]
    found = contributions(probe, space, [state], others)
    assert len(found.names) == PATCHES**2 + 1 + 2 + 2
    counted = {name for name, size in zip(found.names, found.sizes, strict=True) if size > 1e-6}
    assert counted <= {"camera patch 0,0", "gear", "more.1[0]"}
    assert {"camera patch 0,0", "gear"} <= counted
    mean = np.mean([other["gear"] for other in others])
    assert found.values[0, found.names.index("gear"), 0] == pytest.approx(100.0 * (state["gear"] - mean))


def test_the_rows_are_ordered_by_what_they_contribute():
    found = contributions(
        lambda x: Probe(value=np.asarray(x) @ [0.0, 5.0, 1.0]),
        PLANE,
        list(np.eye(3)),
        list(-np.eye(3)),
        ["a", "b", "c"],
    )
    rows = summary(found)
    assert [row.name for row in rows] == ["b", "c", "a"]
    assert sum(row.share for row in rows) == pytest.approx(1.0)
    assert rows[0].share == pytest.approx(5 / 6)


def test_the_live_panel_explains_what_is_shown_and_lets_the_window_breathe():
    session = Session(make("CartPole-v1", render_mode="rgb_array"), A2C("CartPole-v1", seed=0), seed=0)
    now = [0.0]
    explainer = Explainer(lambda: now[0])
    assert explainer.explain(session)[0] is None
    for _ in range(8):
        session.step()
        found, _ = explainer.explain(session)
    assert found.names == ["cart position", "cart velocity", "pole angle", "pole velocity"]
    now[0] += 1.0
    session.step()
    after, _ = explainer.explain(session)
    assert after is not found
    session.step()
    assert explainer.explain(session)[0] is after  # not at once again
    surface = pygame.Surface((1280, 720))
    names = [view.label for view in panels.views(session, {"actions", "step", "returns"})]
    panels.draw(surface, session, ViewState(panel=names.index("why")))


def test_planners_say_where_their_reasons_stand():
    session = Session(
        make("FrozenLake-v1", render_mode="rgb_array"), MCTS("FrozenLake-v1", simulations=5, seed=0), seed=0
    )
    assert "search tree" in Explainer().explain(session)[1]


def test_the_command_line_prints_a_table_and_writes_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    agent = QLearning("CartPole-v1", features="tile-coding:1", seed=0).learn(4000)
    agent.save("pole.rlp")
    assert main(["explain", "pole.rlp", "-n", "60", "-o", "why.png"]) == 0
    out = capsys.readouterr().out
    assert "pole velocity" in out
    assert "share" in out
    assert (tmp_path / "why.png").stat().st_size > 5000
    MCTS("FrozenLake-v1", simulations=5, seed=0).save("tree.rlp")
    assert main(["explain", "tree.rlp"]) == 2
    assert "plans anew" in capsys.readouterr().err
