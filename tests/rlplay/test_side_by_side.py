"""Several environments at once: a mosaic of rows, going back in a comparison; and cells of grids changed by hand."""

from __future__ import annotations

import numpy as np
import pygame
import pytest

from agents import QLearning, ValueIteration
from rlplay import make
from rlplay.errors import UsageError
from rlplay.viewer import panels
from rlplay.viewer.cells import change_cell
from rlplay.viewer.compare import Comparison, random_player
from rlplay.viewer.mosaic import MOST_ROWS, Mosaic
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState
from rlplay.viewer.together import Contestant
from rlplay.viewer.window import Window

LAKE = "FrozenLake-v1"


def shown(env_id: str = LAKE, **kwargs):
    return make(env_id, render_mode="rgb_array", dynamics="gymnasium", **kwargs)


def random_session(number: int, env_id: str = LAKE) -> Session:
    env = shown(env_id)
    env.action_space.seed(number)
    return Session(env, None, policy=random_player(env))


def of_rows(count: int) -> Mosaic:
    return Mosaic([random_session(i) for i in range(count)], seed=40)


@pytest.fixture
def window(monkeypatch):
    """Makes a window under the dummy driver."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")

    def of(group, **options) -> Window:
        found = Window(group.contestants[0].session, (1280, 720), comparison=group, steps_per_second=60, **options)
        found.surface = found._open()
        return found

    yield of
    pygame.display.quit()


def frames(window: Window, count: int) -> None:
    for _ in range(count):
        window._advance(1 / 60)
        window._draw(window.surface)


def press(window: Window, *intents: str) -> None:
    for intent in intents:
        window._do(intent)
        frames(window, 1)


def positions(sessions) -> list[tuple[int, int, object]]:
    return [(one.position.seed, one.position.length, one.observation) for one in sessions]


# A mosaic.


def test_rows_have_the_seeds_of_a_vector_and_begin_anew():
    mosaic = of_rows(4)
    assert [one.session.position.seed for one in mosaic.contestants] == [40, 41, 42, 43]
    alone = random_session(2)
    alone.reset(seed=42)
    while not alone.ended:
        alone.step()
    while not mosaic.contestants[2].returns:
        mosaic.step()
    assert mosaic.contestants[2].session.position.length == alone.position.length
    mosaic.step()
    assert mosaic.contestants[2].session.position.length == 0
    for _ in range(60):
        mosaic.step()
    assert len(mosaic.returns) == sum(len(one.returns) for one in mosaic.contestants)
    for wrong in (1, MOST_ROWS + 1):
        with pytest.raises(UsageError, match="Take 2 to 32|mosaic of"):
            Mosaic([mosaic.contestants[0].session] * wrong)


def test_a_row_is_looked_into_while_the_others_go_on(window):
    mosaic = of_rows(6)
    found = window(mosaic)
    frames(found, 5)
    press(found, "other", "other", "other back")
    assert found.state.row == 1
    press(found, "look")
    assert found.comparison is None
    assert found.session is mosaic.contestants[1].session
    assert found.state.newest == found.session.history.newest
    before = [one.session.history.newest for one in mosaic.contestants]
    frames(found, 120)  # an episode's end is shown for a while
    after = [one.session.history.newest for one in mosaic.contestants]
    assert len({b - a for a, b in zip(before, after, strict=True)}) <= 2  # all took the same steps; ends are ticks too
    assert min(b - a for a, b in zip(before, after, strict=True)) > 0
    press(found, "back", "close", "close")
    assert found.comparison is mosaic
    assert found.state.newest == mosaic.newest
    box = next(box for box, intent in mosaic.pointer._buttons if intent == "row 4")
    found._handle(pygame.event.Event(pygame.MOUSEBUTTONDOWN, pos=box.center, button=1))
    assert found.session is mosaic.contestants[4].session
    press(found, "you")
    assert found.session.driving
    press(found, "close", "close")
    assert found.comparison is mosaic
    assert not found.session.driving


@pytest.mark.parametrize("size", [(640, 420), (1920, 1080)])
def test_every_row_is_drawn_and_pressed(size):
    mosaic = of_rows(MOST_ROWS)
    surface = pygame.Surface(size)
    pygame.font.init()
    for _ in range(MOST_ROWS + 1):
        mosaic.draw(surface, ViewState(rows=MOST_ROWS))
    boxes = [box for box, intent in mosaic.pointer._buttons if intent.startswith("row ")]
    assert len(boxes) == MOST_ROWS
    for i, box in enumerate(boxes):
        assert surface.get_rect().contains(box)
        assert box.collidelist(boxes[i + 1 :]) < 0
        colors = np.unique(pygame.surfarray.array3d(surface.subsurface(box))[::3, ::3].reshape(-1, 3), axis=0)
        assert len(colors) > 10, f"row {i} is empty"


# Going back in a comparison.


def test_everybody_goes_back_to_the_same_step(window):
    comparison = Comparison([Contestant(f"random {i}", random_session(i)) for i in range(3)], seed=3)
    found = window(comparison)
    kept = {comparison.newest: positions(comparison.at(None))}
    for _ in range(40):
        comparison.step()
        kept[comparison.newest] = positions(comparison.at(None))
    assert len(comparison.seeds) >= 1
    frames(found, 1)
    press(found, "pause")
    now = found.state.newest
    press(found, "back ten", "back", "bookmark", "back ten", "next bookmark")
    assert found.state.cursor == found.state.newest - 11
    for tick in (now - 11, 0, now - 25, now - 1):
        assert positions(comparison.at(tick)) == kept[tick]
        for course, (_, length, _) in zip(comparison.courses(tick), kept[tick], strict=True):
            assert len(course) == length + 1
    press(found, "end", "step")
    assert found.state.newest == now + 1
    assert found.state.cursor is None


def test_futures_are_gone_through_and_closing_leads_back(window):
    agent = QLearning(LAKE, seed=0).learn(3000)
    env = shown()
    agent.set_env(env)
    session = Session(env, agent, seed=0)
    group = Comparison([Contestant("a", session), Contestant("b", random_session(1))])  # for the fixture's window
    found = window(group)
    found.comparison, found.session = None, session
    frames(found, 20)
    press(found, "back", "back", "bookmark", "what if")
    place = session.history.newest - 2
    branch = found.comparison
    start = positions(branch.at(None))
    press(found, "step", "step", "back", "back")
    assert positions(branch.at(found.state.place)) == start
    assert found.state.place == branch.oldest
    press(found, "other")
    assert found.comparison is not branch
    press(found, "close")
    assert found.state.cursor == place
    assert found.state.bookmarks == (place,)


# Cells.


GATES = {LAKE: (3, 2), "CliffWalking-v1": (2, 11), "rlplay/FrozenLake-v1": (3, 2), "rlplay/GridWorld-v0": (1, 8)}


@pytest.mark.parametrize("env_id", GATES)
def test_a_wall_and_a_reward_re_route_the_values_of_every_grid(env_id):
    """The cell is the only way to the goal."""
    env = shown(env_id, **({"is_slippery": False} if "Lake" in env_id else {}))
    agent = ValueIteration(env, gamma=0.9)
    session = Session(env, agent, "learn")
    while session.step():
        pass
    before = agent.v.copy()
    rows = session.world.rows
    cell = GATES[env_id]
    words = change_cell(session, cell, 3)
    assert "for entering" in words
    while session.step():
        pass
    rewarded = agent.v.copy()
    assert rewarded.max() > before.max()
    assert "for entering" in change_cell(session, cell, 3)
    assert "touched by hand" in change_cell(session, cell, 3)
    assert session.world.rows == rows
    while session.step():
        pass
    assert np.allclose(agent.v, before, atol=1e-4)  # as it was
    assert "a wall" in change_cell(session, cell, 1)
    while session.step():
        pass
    state = cell[0] * len(rows[0]) + cell[1]
    others = np.arange(len(before)) != state
    assert (agent.v[others] <= before[others] + 1e-4).all()
    assert (agent.v[others] < before[others] - 1e-4).any()
    surface = pygame.Surface((1280, 720))
    panels.draw(surface, session, ViewState())


def test_cells_that_stay_and_the_past_of_a_marked_lake():
    env = shown(is_slippery=False)
    session = Session(env, None, policy=lambda obs, info: 2, seed=0)
    session.step()
    assert "stay where they are" in change_cell(session, (0, 0), 1)
    assert change_cell(session, (0, 1), 1) == "no wall where the agent stands"
    assert "a wall" in change_cell(session, (0, 2), 1)
    session.step()
    assert session.observation == 1  # against the wall
    for place in (2, 1, 2):
        past = session.at(place)
        assert past.message == ""
        assert past.observation == 1
    assert env.unwrapped.P[1][2] == [(1.0, 1, 0.0, False)]
    cliff = Session(shown("CliffWalking-v1"), None, "play")
    assert change_cell(cliff, (3, 4), 1) == "no move leads into that cell"
