"""What wrappers learn while an environment is played goes along: into evaluations, files and further environments."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import NormalizeObservation, NormalizeReward, TimeLimit
from gymnasium.wrappers.utils import RunningMeanStd

from agents import A2C
from rlplay import evaluate, load
from rlplay.environments.make import make_anew
from rlplay.environments.running_moments import layers_with_moments, moments_of, put_moments
from rlplay.environments.vector.remote import why_not_remote
from rlplay.errors import CheckpointError


class Far(gym.Env):
    """Whether a number that lies around 100 is above 100; ten questions an episode."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def _look(self):
        self.x = float(self.np_random.normal(100.0))
        return np.array([self.x], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.asked = 0
        return self._look(), {}

    def step(self, action):
        right, self.asked = (self.x > 100.0) == action, self.asked + 1
        return self._look(), float(right), False, self.asked == 10, {}


class Own(gym.ObservationWrapper):
    """A wrapper of a user's own, with a mean and a last place beside it."""

    def __init__(self, env):
        super().__init__(env)
        self.seen, self.shift = RunningMeanStd(shape=(1,)), np.zeros(1)

    def observation(self, obs):
        self.seen.update(obs[None])
        self.shift = self.seen.mean
        return (obs - self.shift).astype(np.float32)


WRAPPED = {
    "observations": lambda: NormalizeObservation(Far()),
    "rewards": lambda: NormalizeReward(Far()),
    "both, and a limit between": lambda: NormalizeReward(TimeLimit(NormalizeObservation(Far()), 7)),
    "one's own": lambda: Own(Far()),
}


def taught(make, steps=103):
    return A2C(make, net_arch=[4], learning_rate=0.01, gamma=0.0, seed=0).learn(steps)


@pytest.mark.parametrize("make", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("steps", [103, 70])
def test_a_run_goes_on_to_the_bit_with_what_its_wrappers_had_learned(make, steps, tmp_path):
    agent = taught(make, steps)
    again = load(agent.save(tmp_path / "agent"), env=make)
    for one in (agent, again):
        one.learn(40, reset_num_timesteps=False)
    learned = [{**one.arrays(), **moments_of(layers_with_moments(one.env))} for one in (agent, again)]
    for name, array in learned[0].items():
        np.testing.assert_array_equal(array, learned[1][name], err_msg=name)


def test_evaluations_take_the_moments_over_and_leave_them(tmp_path):
    agent = taught(WRAPPED["observations"], 3000)
    before = moments_of(layers_with_moments(agent.env))
    given = WRAPPED["observations"]()
    means = [evaluate(agent, n_eval_episodes=5).mean, evaluate(agent, given, 5).mean]
    assert min(means) > 9.5  # with moments that begin anew it is 8.8: the first numbers of an episode look alike
    assert means[0] == means[1] == evaluate(load(agent.save(tmp_path / "a"), env=WRAPPED["observations"]), None, 5).mean
    assert given.update_running_mean
    assert np.array_equal(given.obs_rms.mean, agent.env.obs_rms.mean)
    assert all(np.array_equal(before[n], a) for n, a in moments_of(layers_with_moments(agent.env)).items())
    assert make_anew(agent.env, "a second one").obs_rms.count == agent.env.obs_rms.count


def test_another_environment_goes_on_from_them_also_after_a_file_was_loaded_without_one(tmp_path):
    agent = taught(lambda: NormalizeObservation(Far()))
    before = agent.env.obs_rms.mean
    agent.set_env(NormalizeObservation(Far()))
    assert np.array_equal(agent.env.obs_rms.mean, before)
    known = NormalizeObservation(Far())
    known.reset(seed=0)
    known.obs_rms.mean, known.obs_rms.count = np.array([7.0]), 50.0
    agent.set_env(known)  # which has learned something of its own
    assert agent.env.obs_rms.mean == [7.0]
    agent.set_env(NormalizeObservation(Far()))
    alone = load(agent.save(tmp_path / "agent"))
    again = load(alone.save(tmp_path / "again"))  # nor does a file lose them that is written without it
    again.set_env(NormalizeObservation(Far()))
    assert again.env.obs_rms.mean == [7.0]


def test_workers_would_keep_them_to_themselves():
    assert "NormalizeReward learns" in why_not_remote(WRAPPED["rewards"]())


def test_moments_that_cannot_be_are_refused():
    layers = layers_with_moments(WRAPPED["observations"]())
    name = "0:NormalizeObservation/obs_rms/var"
    for wrong in (np.ones(2), np.array([-1.0]), np.array([np.nan]), np.array(["a"])):
        with pytest.raises(CheckpointError, match="obs_rms/var"):
            put_moments(layers, {name: wrong})


class Later(gym.RewardWrapper):
    """Pays more with each step of its life, which no seed brings back."""

    steps = 0

    def reward(self, reward):
        self.steps += 1
        return reward * self.steps


def test_rewards_that_a_replay_does_not_give_again_are_said(tmp_path):
    path = taught(lambda: Later(Far())).save(tmp_path / "agent")
    with pytest.warns(UserWarning, match="is not bit-exact"):
        load(path, env=lambda: Later(Far()))
