"""Every agent watched learns the same bits as unwatched, and every environment is shown again exactly. Slow."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pygame
import pytest

import envs
from agents import names
from rlplay import make, registry
from rlplay.agent import saving
from rlplay.agent.base import Agent
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import RlplayError
from rlplay.spaces.observations import observation_bytes
from rlplay.testing import differences
from rlplay.training.callbacks import Callback
from rlplay.viewer import panels
from rlplay.viewer.compare import random_player
from rlplay.viewer.lock_step import why_not_stepwise
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState

sys.path.insert(0, str(Path(__file__).parents[1]))
from contract.cases import CASES

pytestmark = pytest.mark.slow
assert envs
assert names


class Watching(Callback):
    """A window beside the training: it takes the weights from a file, shows them, acts with them and goes back."""

    def __init__(self, path: Path, env_id: str) -> None:
        self.path, self.env_id, self.shown, self.due = path, env_id, 0, 1
        self.surface = pygame.Surface((960, 600))

    def env(self):
        return shown(self.env_id)

    def next_due(self, timestep: int) -> int:
        return self.due if self.due > timestep else timestep + 10**9

    def on_step(self) -> bool:
        if self.agent.num_timesteps < self.due or self.shown >= 3:
            return True
        self.due, self.shown = self.agent.num_timesteps + 40, self.shown + 1
        self.agent.save(self.path)
        env = self.env()
        agent = saving.load(self.path, NoEnvironment(env.observation_space, env.action_space, ""))
        agent.env = env
        session = Session(env, agent, seed=1)
        for _ in range(3):
            session.step()
        panels.draw(self.surface, session, ViewState())
        panels.draw(self.surface, session.at(1), ViewState())
        session.surprises()
        env.close()
        return True


def shown(env_id: str):
    try:
        return make(env_id, render_mode="rgb_array", dynamics="gymnasium")
    except RlplayError:
        return make(env_id, dynamics="gymnasium")


def learns_in_steps(cls: type[Agent]) -> bool:
    in_steps = getattr(cls, "rule", None) is not None or cls.timestep == "sweep" or "act" in vars(cls)
    return in_steps and cls.busy is Agent.busy


RUNS = [(algo, env_id, min(steps, 600), settings) for algo, env_id, steps, settings in CASES]


@pytest.mark.parametrize(("algo", "env_id", "steps", "settings"), RUNS)
def test_every_agent_learns_the_same_while_it_is_watched(algo, env_id, steps, settings, tmp_path):
    cls = registry.agent_class(algo)
    if learns_in_steps(cls):
        pytest.skip(f"{algo} is watched in lock-step below")
    agents = [cls(env_id, seed=3, **settings) for _ in range(2)]
    watching = Watching(tmp_path / "live.rlp", env_id)
    agents[0].learn(steps, watching)
    agents[1].learn(steps)
    assert watching.shown
    assert not differences(*agents)


@pytest.mark.parametrize(("algo", "env_id", "steps", "settings"), RUNS)
def test_every_agent_learns_the_same_in_lock_step(algo, env_id, steps, settings):
    cls = registry.agent_class(algo)
    env = shown(env_id)
    watched = cls(env, seed=3, **settings)
    if why := why_not_stepwise(watched):
        pytest.skip(f"{why}: it is watched by its file")
    watched.horizon = steps
    session, surface = Session(env, watched, "learn", target=steps), pygame.Surface((960, 600))
    many = 0
    while not session.trained and session.step():
        many += 1
        if many % 97 == 0:
            session.think()
            panels.draw(surface, session, ViewState())
            panels.draw(surface, session.at(max(session.history.newest - 5, 0), 0.05), ViewState())
            session.surprises()
            learning = session.learning
            learning.inside = learning.looking = learning.can_stop_inside and not learning.inside
    while session.in_update:
        session.step()
    plain = cls(make(env_id, dynamics="gymnasium"), seed=3, **settings)
    plain.learn(steps, engine="python", schedule_timesteps=steps)
    assert not differences(watched, plain)


PIXELS = {
    "dqn": {"learning_starts": 20, "buffer_size": 200, "batch_size": 8, "train_freq": 4},
    "ppo": {"n_steps": 32, "batch_size": 16, "n_epochs": 2},
    "a2c": {"n_steps": 8},
}


@pytest.mark.parametrize("algorithm", PIXELS)
def test_stable_baselines_agents_of_pictures_learn_the_same_while_they_are_watched(algorithm, tmp_path):
    from agents.sb3 import SB3

    wrapper = [{"gymnasium.wrappers.AddRenderObservation": {"render_only": True}},
               {"gymnasium.wrappers.GrayscaleObservation": {"keep_dim": True}}]  # fmt: skip
    given = {"render_mode": "rgb_array", "width": 64, "height": 48, "frame_stack": 2, "dynamics": "gymnasium"}
    envs_of = [make("rlplay/CartPole-v1", wrapper=wrapper, **given) for _ in range(2)]
    agents = [SB3(algorithm, env, policy="CnnPolicy", seed=3, **PIXELS[algorithm]) for env in envs_of]
    watching = WatchingPictures(tmp_path / "live.rlp", lambda: make("rlplay/CartPole-v1", wrapper=wrapper, **given))
    agents[0].learn(90, watching)
    agents[1].learn(90)
    assert watching.shown
    assert not differences(*agents)


class WatchingPictures(Watching):
    """The same with an environment of pictures."""

    def __init__(self, path: Path, make_env) -> None:
        super().__init__(path, "")
        self.make_env = make_env

    def env(self):
        return self.make_env()


REPLAYED = sorted(
    {"FrozenLake-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1", "CartPole-v1", "MountainCar-v0",
     "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1", "LunarLander-v3", "BipedalWalker-v3", "CarRacing-v3"}
    | {env_id for env_id in __import__("gymnasium").registry if env_id.startswith("rlplay/")}
)  # fmt: skip


@pytest.mark.parametrize("env_id", REPLAYED)
def test_every_environment_is_shown_again_exactly(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            env = make(env_id, render_mode="rgb_array", dynamics="gymnasium")
        except RlplayError as error:
            if "render" not in str(error):
                pytest.skip(str(error))
            env = make(env_id, dynamics="gymnasium")
    env.action_space.seed(1)
    session, seen = Session(env, None, policy=random_player(env)), {}
    for _ in range(45):
        if session.ended:
            session.reset()
            seen[session.history.newest] = observation_bytes(session.observation)
        session.step()
        seen[session.history.newest] = observation_bytes(session.last.next_obs)
    for place in [*sorted(seen)[::-6], *sorted(seen)[::11]]:
        past = session.at(place)
        now = past.last.next_obs if past.last is not None else past.observation
        assert past.message == ""
        assert observation_bytes(now) == seen[place]


def test_a_hundred_environments_one_after_another_leave_the_window_and_no_memory():
    """Environments that quit pygame when they are closed; a window that is switched a hundred times."""
    import gc
    import resource

    from rlplay.viewer.display import pygame_kept

    surface, sizes = pygame.Surface((960, 600)), []
    ids = ["CartPole-v1", "FrozenLake-v1", "Taxi-v4", "MountainCar-v0", "rlplay/GridWorld-v0"]
    for number in range(100):
        env = make(ids[number % len(ids)], render_mode="rgb_array", dynamics="gymnasium")
        env.action_space.seed(number)
        session = Session(env, None, policy=random_player(env))
        for _ in range(5):
            session.step()
        panels.draw(surface, session, ViewState())
        panels.draw(surface, session.at(2), ViewState())
        with pygame_kept():
            env.close()
            session.made_twin.env.close()
        gc.collect()
        sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    assert pygame.font.get_init()
    assert sizes[-1] - sizes[19] < 40  # MB
