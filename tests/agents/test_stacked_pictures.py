"""Pictures that Gymnasium stacks are seen as frame_stack stacks them, by every agent with networks; others are said."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import DtypeObservation, FrameStackObservation, RescaleObservation

import agents
from rlplay.environments.wrappers import FrameStack
from rlplay.errors import CheckpointError, RlplayError, RlplayWarning
from rlplay.spaces.observations import VectorView

SMALL = {"buffer_size": 60, "learning_starts": 8, "batch_size": 4, "train_freq": 4, "net_arch": [8], "seed": 0}
SHAPES = [(12, 14), (12, 14, 1), (1, 12, 14), (12, 14, 3), (3, 12, 14)]


class Pictures(gym.Env):
    action_space = spaces.Discrete(3)

    def __init__(self, shape, dtype=np.uint8, highest=255):
        self.observation_space = spaces.Box(0, highest, shape, dtype)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self._left = 9
        return self.observation_space.sample(), {}

    def step(self, action):
        self._left -= 1
        return self.observation_space.sample(), 1.0, self._left == 0, False, {}


def both(shape):
    """The same pictures stacked by Gymnasium, from zeros on, and by rlplay."""
    return FrameStackObservation(Pictures(shape), 3, padding_type="zero"), FrameStack(Pictures(shape), 3)


@pytest.mark.parametrize("shape", SHAPES)
def test_gymnasiums_stacks_are_seen_as_ours(shape):
    theirs, ours = both(shape)
    views = [VectorView(env.observation_space, "DQN", channels_last=True) for env in (theirs, ours)]
    assert views[0].picture == views[1].picture == (12, 14, 9 if 3 in shape else 3)
    (first, _), (same, _) = theirs.reset(seed=0), ours.reset(seed=0)
    for _ in range(4):
        assert np.array_equal(views[0].vector(first), views[1].vector(same))
        assert np.array_equal(views[0].vectors(np.stack([first, first]))[1], views[1].vectors(same)[0])
        first, same = theirs.step(0)[0], ours.step(0)[0]
    if len(first.shape) == 4:
        assert "are 3 pictures of 12 x 14 at a time, taken as one with" in views[0].as_pictures


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_they_are_learned_in_the_same_bits(shape):
    theirs, ours = (agents.DQN(env, **SMALL).learn(40, engine="python") for env in both(shape))
    assert theirs.memory.replay.obs.nbytes == ours.memory.replay.obs.nbytes  # each frame is kept once
    assert np.array_equal(theirs.memory.nets.q.parameters, ours.memory.nets.q.parameters)


def test_agents_without_convolutions_refuse_both():
    class Smooth(Pictures):
        action_space = spaces.Box(-1.0, 1.0, (1,))

    for stack in (FrameStackObservation, FrameStack):
        with pytest.raises(RlplayError, match="has no convolutions.*policy='MlpPolicy'"):
            agents.SAC(stack(Smooth((12, 14, 1)), 3), buffer_size=1000)


def test_parts_of_a_dict_are_scaled_alike():
    grey, stacked = (spaces.Box(0, 255, shape, np.uint8) for shape in ((4, 4, 3), (3, 4, 4, 1)))
    for space in (grey, stacked):
        view = VectorView(spaces.Dict(seen=space), "PPO")
        assert view.vector({"seen": np.full(space.shape, 255, np.uint8)}).tolist() == [1.0] * 48


def test_pictures_that_are_no_bytes_are_said_with_the_way_out():
    bright = Pictures((12, 14, 1), np.float32, 1.0)
    with pytest.warns(RlplayWarning, match=r"observations \(12, 14, 1\) of float32 as 168 numbers without order"):
        VectorView(bright.observation_space, "PPO", channels_last=True)
    bytes_of_it = DtypeObservation(RescaleObservation(bright, 0, 255), np.uint8)
    assert VectorView(bytes_of_it.observation_space, "PPO", channels_last=True).picture == (12, 14, 1)


def test_the_adapter_says_what_is_no_picture_there():
    from agents.sb3 import PPO

    with pytest.warns(RlplayWarning, match=r"\(3, 12, 14, 1\) of uint8 are no picture to .* frame_stack"):
        PPO(both((12, 14, 1))[0], n_steps=8, batch_size=8)


def test_a_file_of_before_that_saw_them_flat_says_what_changed(tmp_path, monkeypatch):
    path = agents.DQN(Pictures((2, 12, 14, 1)), **SMALL).save(tmp_path / "agent")

    def of_another_shape(self, arrays):
        raise CheckpointError("q/parameters is float32 of shape (7,) in the file, float32 of (9,) in the agent")

    monkeypatch.setattr(agents.DQN, "load_arrays", of_another_shape)
    with pytest.raises(CheckpointError, match="saw stacked pictures .* as plain numbers.*train it again"):
        agents.DQN.load(path, Pictures((2, 12, 14, 1)))
