"""What the window writes can be read: no words over others, all keys in the help, and what others would put there."""

from __future__ import annotations

import os
from itertools import combinations

import gymnasium as gym
import numpy as np
import pygame
import pytest

from agents import DQN, PPO, QLearning
from rlplay import make
from rlplay.cli.export import page_of
from rlplay.probe import Probe
from rlplay.viewer import drawing, panels
from rlplay.viewer.compare import Comparison, blended, random_player, what_if
from rlplay.viewer.display import import_pygame, keep_title, open_window
from rlplay.viewer.offers import offered
from rlplay.viewer.panel import register_panel, registered_panels
from rlplay.viewer.pointer import Pointer
from rlplay.viewer.session import Session
from rlplay.viewer.state import ZOOMS, ViewState
from rlplay.viewer.together import Contestant
from rlplay.viewer.window import UPDATE

SIZES = [(640, 420), (960, 600), (1280, 720)]


@pytest.fixture(scope="module")
def agent():
    return QLearning("FrozenLake-v1", seed=0).learn(20_000)


def lake(agent: QLearning | None = None) -> Session:
    env = make("FrozenLake-v1", render_mode="rgb_array")
    env.action_space.seed(0)
    return Session(env, agent, policy=None if agent else random_player(env), seed=0)


@pytest.fixture
def written(monkeypatch):
    """Words and rectangle of each text that is drawn."""
    found, plain = [], drawing.text

    def noted(surface, words, *more, **named):
        box = plain(surface, words, *more, **named)
        found.append((words, pygame.Rect(box)))
        return box

    monkeypatch.setattr(drawing, "text", noted)
    yield found
    drawing.use()


def written_over(found) -> list[tuple[str, str]]:
    """Pairs of words of which one stands on the other."""
    return [(a, b) for (a, box), (b, other) in combinations(found, 2) if a and b and box.inflate(-2, -8).colliderect(
        other.inflate(-2, -8))]  # fmt: skip


@pytest.mark.parametrize("zooms", [0, len(ZOOMS) - 1])
@pytest.mark.parametrize("size", SIZES)
def test_no_words_stand_on_others(agent, written, size, zooms):
    surface, state = pygame.Surface(size), ViewState(zooms=zooms)
    session = lake(agent)
    several = Comparison([Contestant("q-learning", session), Contestant("random", lake()), Contestant("x", lake())])
    several.draw(surface, state)
    for _ in range(40):
        several.step()
    written.clear()
    several.draw(surface, state)
    assert not written_over(written)
    written.clear()
    panels.draw(surface, session, state)
    assert not written_over(written)
    if not session.ended:
        future = what_if(session, session.history.newest, 1)
        written.clear()
        future.draw(surface, state)
        assert not written_over(written)
        if zooms:
            return
        assert "no step yet: space plays" in [words for words, _ in written]
        future.step()
        written.clear()
        future.draw(surface, state)
        assert f"step {session.position.length + 1}" in [
            words for words, _ in written
        ]  # of the episode, not of the branch


def test_where_a_comparison_has_no_room_for_its_table_the_mouse_tells_it(agent):
    surface, state = pygame.Surface(SIZES[0]), ViewState(zooms=len(ZOOMS) - 1)
    several = Comparison([Contestant("q-learning", lake(agent)), Contestant("random", lake())])
    while not several.seeds:
        several.step()
    several.draw(surface, state)
    words = [words for _, words in several.pointer._said]
    assert [line.split("\n")[1] for line in words] == ["player: q-learning", "player: random"]
    assert all("mean return: " in line for line in words)
    assert all(box.height > 40 for box in (picture.box for picture in several._pictures))


@pytest.mark.parametrize("zooms", [0, len(ZOOMS) - 1])
@pytest.mark.parametrize("size", SIZES)
def test_the_help_is_whole(agent, written, size, zooms):
    session, state, pointer = lake(agent), ViewState(help=True, zooms=zooms), Pointer()
    session.step()
    surface, cut = pygame.Surface(size), set()
    for _ in range(30):
        panels.draw(surface, session, state, "", pointer)
        cut |= {words for _, words in drawing.shortened}
        pointer.scroll(1, everywhere=True)
    meanings = {word for _, _, meaning in offered(session, state) for word in meaning.split()}
    assert meanings <= {word for words, _ in written if words not in cut for word in words.split()}


def test_the_first_player_stays_clearer_than_its_ghosts():
    shown = [np.full((1, 3, 3), 255, np.uint8) for _ in range(3)]
    for i, frame in enumerate(shown):
        frame[0, i] = 0  # each player stands elsewhere
    first, *ghosts = blended(shown)[0, :, 0].tolist()
    assert first < min(ghosts) < 255


class GearAndThrottle(gym.Env):
    """Actions in two parts, one counted and one not."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Dict(gear=gym.spaces.Discrete(3), throttle=gym.spaces.Box(-1, 1, (2,), np.float32))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 0.0, False, False, {}


def test_the_parts_of_an_action_are_shown(written):
    env = GearAndThrottle()
    session = Session(env, PPO(env, n_steps=8, batch_size=8, seed=0), seed=0)
    session.step()
    panels.draw(pygame.Surface(SIZES[-1]), session, ViewState())
    words = [words for words, _ in written]
    assert {"gear: 0", "gear: 1", "gear: 2"} <= set(words)
    assert sum(int(word[:-2]) for word in words if word.endswith(" %")) == pytest.approx(100, abs=1)
    taken = session.last.action["throttle"]
    first = next(word for word in words if word.startswith("throttle[0]   mean"))
    assert first.endswith(f"taken {drawing.short(float(taken[0]))}")
    written.clear()
    session.agent.probe = lambda observation: Probe(value=np.zeros(1))  # an agent that does not say
    panels.draw(pygame.Surface(SIZES[-1]), session, ViewState())
    assert {"gear", "throttle", str(session.last.action["gear"])} <= {words for words, _ in written}


@pytest.mark.parametrize("parts", [gym.spaces.Dict, lambda **parts: gym.spaces.Tuple(parts.values())])
def test_every_panel_says_actions_of_parts_while_they_are_learned_from(parts, written):
    env = GearAndThrottle()
    env.action_space = parts(gear=gym.spaces.Discrete(3), throttle=gym.spaces.Box(-1, 1, (2,), np.float32))
    session = Session(env, PPO(env, n_envs=1, n_steps=4, batch_size=4, n_epochs=1, net_arch=[4], seed=0), "learn")
    register_panel("update", UPDATE)
    session.step()
    labels = [view.label for view in panels.views(session, {"actions", "step", "returns"})]
    for label in ("map", "update", "input", "why"):
        panels.draw(pygame.Surface(SIZES[-1]), session, ViewState(panel=labels.index(label)))
    taken = drawing.brief(session.last.action)
    assert any(words.startswith(f"A {taken}   R 0") for words, _ in written)
    assert any(words.startswith(f"action {taken}   reward 0") for words, _ in written)
    word = "gear " if isinstance(session.last.action, dict) else ""
    assert page_of(session, 2, []).moments[0].words.startswith(f"step 1: action {word}")


def test_who_acts_is_said_in_every_mode(agent, written):
    surface, session = pygame.Surface(SIZES[-1]), lake(agent)
    learner = Session(make("FrozenLake-v1", render_mode="rgb_array"), QLearning("FrozenLake-v1", seed=0), "watch")
    learner.agent.set_env(learner.env)
    for one in (session, Session(learner.env, learner.agent, "learn", target=100)):
        panels.draw(surface, one, ViewState())
        assert "q-learning" in [words for words, _ in written]
        written.clear()
        assert not one.take_over(True)
        panels.draw(surface, one, ViewState(you=True))
        assert "you play" in [words for words, _ in written]
        written.clear()


def test_a_window_keeps_its_title_and_opens_no_sound_device(monkeypatch):
    """Most environments call pygame.init() when they draw, and some name the window."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.delenv("SDL_AUDIODRIVER", raising=False)

    import_pygame()
    assert os.environ["SDL_AUDIODRIVER"] == "dummy"
    open_window((320, 240), "ours")
    pygame.display.set_caption("theirs")
    keep_title("ours")
    assert pygame.display.get_caption()[0] == "ours"
    pygame.display.quit()


class Lamps(gym.Env):
    """Four lamps, of which the second may never be taken, and the last only in even steps."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(4)

    def action_masks(self):
        return np.array([True, False, True, self.steps % 2 == 0])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(2, np.float32), 0.0, False, False, {}


def test_what_may_not_be_taken_is_not_shown_as_if_it_could_be(written):
    likely, valued = Lamps(), Lamps()
    session = Session(likely, PPO(likely, n_steps=8, batch_size=8, seed=0), seed=0)
    other = Session(valued, DQN(valued, buffer_size=100, net_arch=[4], seed=0), seed=0)
    for forbidden in ([1, 3], [1]):  # after one step, and after two
        session.step()
        other.step()
        chances, values = session.probe().action_probabilities[0], other.probe().action_values[0]
        assert np.flatnonzero(chances == 0).tolist() == np.flatnonzero(values == -np.inf).tolist() == forbidden
        assert chances.sum() == pytest.approx(1)
    panels.draw(pygame.Surface(SIZES[-1]), other, ViewState())
    assert "1 of 4 may not be taken" in [words for words, _ in written]
    parts = {"distributional": "qr", "n_atoms": 5, "buffer_size": 100, "net_arch": [4]}
    told = Session(valued, DQN(valued, **parts, seed=0), seed=0)
    told.step()
    box = pygame.Rect(0, 0, 300, 200)
    registered_panels()["returns"].draw(pygame.Surface(box.size), box, told, told.probe())


@pytest.mark.parametrize("zoom", [1.0, 2.0])
@pytest.mark.parametrize("width", [170, 240, 300, 600])
def test_in_narrow_rows_of_actions_no_number_lies_over_another(width, zoom, monkeypatch):
    drawn, write = [], drawing.text
    monkeypatch.setattr(drawing, "text", lambda *given: drawn.append(write(*given)) or drawn[-1])
    monkeypatch.setattr(drawing, "_scale", zoom)
    pygame.font.init()
    box = pygame.Rect(10, 10, width, 80)
    drawing.bars(pygame.Surface((640, 100)), box, ["move far left", "right"], [-123.4, 82.4], [0.5, 1.0], {1}, {0})
    assert len(drawn) == 6
    assert not [1 for one, other in combinations(drawn, 2) if one.colliderect(other)]
    assert all(box.x <= one.left and one.right <= box.right for one in drawn)
