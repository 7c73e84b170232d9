"""An environment gets actions and seeds of the same types, whoever chose them and wherever they were kept."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from agents import PPO, QLearning
from rlplay import evaluate, load
from rlplay.environments.episode import Episode, load_episode, replays_exactly
from rlplay.environments.reference import EnvReference
from rlplay.environments.vector.make import make_vec
from rlplay.spaces.actions import as_played
from rlplay.testing import differences


def shape_of(action: Any) -> Any:
    """Types all the way down."""
    if isinstance(action, dict):
        return {key: shape_of(part) for key, part in action.items()}
    if isinstance(action, tuple):
        return tuple(shape_of(part) for part in action)
    return (type(action), action.dtype, action.shape) if isinstance(action, np.ndarray) else type(action)


class Float32World(gym.Env[Any, Any]):
    """Counts in float32, so that an int and a NumPy integer round otherwise; remembers the types that it got."""

    seen: ClassVar[list[Any]] = []
    action_space: gym.Space[Any] = spaces.Discrete(3)
    observation_space: gym.Space[Any] = spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seen.append(type(seed))
        self.x, self.t = np.float32(0.1), 0
        return 0, {}

    def step(self, action):
        self.seen.append(shape_of(action))
        parts = list(action.values()) if isinstance(action, dict) else action
        whole = sum(int(np.sum(part)) for part in parts) if not isinstance(action, int | np.integer) else action
        self.x, self.t = np.float32(self.x + self.x * (0.1 * whole)), self.t + 1
        if isinstance(action, np.ndarray):
            action *= 0  # what it does with its action is its own affair
        return int(abs(self.x) * 1e6) % 4, float(self.x), False, self.t == 20, {}


SPACES = {
    "Discrete": spaces.Discrete(3),
    "Discrete from 5": spaces.Discrete(3, start=5),
    "Discrete of int32": spaces.Discrete(3, dtype=np.int32),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiDiscrete of int32": spaces.MultiDiscrete([2, 3], dtype=np.int32),
    "MultiBinary": spaces.MultiBinary(2),
    "Tuple": spaces.Tuple([spaces.Discrete(2), spaces.MultiBinary(2)]),
    "Dict": spaces.Dict({"a": spaces.Discrete(2), "b": spaces.MultiDiscrete([2, 2])}),
    "Box": spaces.Box(-1, 1, (2,)),
}


@pytest.mark.parametrize("name", SPACES)
def test_one_type_in_training_evaluation_replay_and_vectors(name, tmp_path):
    class World(Float32World):
        seen: ClassVar[list[Any]] = []
        action_space = SPACES[name]

    cls = PPO if name == "Box" else QLearning
    settings = {"n_steps": 16, "batch_size": 16, "n_envs": 1} if name == "Box" else {"epsilon": 0.5}
    agent = cls(World(), seed=0, **settings).learn(67)
    again = load(agent.save(tmp_path / "agent"), World())  # replays the episode in the middle of which it was saved
    assert not differences(agent.learn(40, reset_num_timesteps=False), again.learn(40, reset_num_timesteps=False))
    evaluate(agent, World(), 2)
    assert replays_exactly(World())
    vectors = make_vec(World, 2)
    vectors.reset(seed=0)
    vectors.action_space.seed(0)
    vectors.step(vectors.action_space.sample())
    episode = Episode(EnvReference("world"), 3, [World().action_space.sample() for _ in range(5)])
    list(load_episode(episode.save(tmp_path / "episode.json", World().action_space), World()).replay(World()))
    list(episode.replay(World()))
    kinds = [kind for k, kind in enumerate(World.seen) if kind not in (int, type(None)) and kind not in World.seen[:k]]
    assert len(kinds) == (not name.startswith("Discrete")), kinds


def test_what_does_not_fit_is_left_for_the_environment_to_refuse():
    discrete, box = spaces.Discrete(3), spaces.Box(-1, 1, (2,))
    assert as_played(discrete, 0.5) == 0.5
    assert as_played(discrete, "left") == "left"
    assert as_played(box, [0.1, 0.2, 0.3]) == [0.1, 0.2, 0.3]
    assert as_played(spaces.MultiDiscrete([2, 2]), [0.5, 1]) == [0.5, 1]
    given = np.zeros(2, np.float32)
    assert as_played(box, given) is not given
