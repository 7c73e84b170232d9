"""Episodic control, GP-Sarsa, neural fitted Q and the imitators: their formulas by hand, files, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor

from agents import SB3, BehaviorCloning, DAgger, EpisodicControl, GPSarsa, NeuralFittedQ, QLearning
from agents.episodic_control import estimate, learn_episode
from agents.gp_sarsa import difference, join, learn_difference, moments
from rlplay import EvalCallback, evaluate, load, make
from rlplay.errors import HyperparameterError, UsageError


def test_an_estimate_is_what_was_remembered_or_the_mean_of_the_nearest():
    rng = np.random.default_rng(0)
    points, values = rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=50)
    x = rng.normal(size=3).astype(np.float32)
    twin = KNeighborsRegressor(7).fit(points[:40], values[:40])
    assert estimate(points, values, 40, x, 7)[0] == pytest.approx(twin.predict(x[None])[0])
    assert estimate(points, values, 40, points[11], 7) == (values[11], 11)
    assert estimate(points, values, 0, x, 7) == (np.inf, -1)


def test_the_best_return_is_kept():
    agent = EpisodicControl("CartPole-v1", gamma=0.5, memory_size=3, seed=0)
    memory, episode = agent.memory, agent.episode

    def remember(key, reward, now):
        episode.keys[0], episode.actions[0], episode.rewards[0], episode.length[0] = key, 1, reward, 1
        learn_episode(memory, episode, 0.0, agent.gamma, now)

    for now, (key, reward) in enumerate(((1.0, 5.0), (2.0, 6.0), (1.0, 3.0), (1.0, 9.0), (3.0, 1.0)), 1):
        remember(key, reward, now)
    assert memory.filled.tolist() == [0, 3]
    assert sorted(memory.values[1].tolist()) == [1.0, 6.0, 9.0]
    remember(4.0, 2.0, 6)  # full: what was not used longest, key 2, goes
    assert sorted(memory.values[1].tolist()) == [1.0, 2.0, 9.0]
    episode.keys[:2], episode.actions[:2], episode.rewards[:2], episode.length[0] = [[7.0], [8.0]], 0, [1.0, 4.0], 2
    learn_episode(memory, episode, 0.0, agent.gamma, 6)
    assert sorted(memory.values[0, :2].tolist()) == [3.0, 4.0]  # 1 + .5 * 4
    assert episode.length[0] == 0


@pytest.mark.filterwarnings("ignore:.*learned nothing")
def test_gp_sarsa_is_the_posterior_of_a_gaussian_process():
    """With γ = 0 and a dictionary of all points, values are regression of rewards: scikit-learn's process."""
    rng = np.random.default_rng(1)
    agent = GPSarsa("CartPole-v1", gamma=0.0, noise=0.3, signal=2.0, length_scale=0.7, novelty=0.0, seed=0)
    agent.learn(200)  # the features are fitted
    points, rewards = rng.normal(size=(12, 4)), rng.normal(size=12)
    for x, reward in zip(points, rewards, strict=True):
        learn_difference(agent.memory, join(agent.memory, x, 1), reward)
    twin = GaussianProcessRegressor(2.0 * RBF(0.7), alpha=0.09, optimizer=None).fit(points, rewards)
    new = rng.normal(size=(5, 4))
    mean, std = twin.predict(new, return_std=True)
    ours = moments(agent.memory, new, 2)
    assert np.allclose(ours[0][:, 1], mean, atol=1e-8)
    assert np.allclose(np.sqrt(ours[1][:, 1]), std, atol=1e-6)
    assert np.allclose(ours[0][:, 0], 0.0)  # nothing is known of the other action
    assert np.allclose(ours[1][:, 0], 2.0)


@pytest.mark.filterwarnings("ignore:.*learned nothing")
def test_differences_of_values_are_learned_exactly():
    """A chain of differences R = Q(x) - γ Q(x') has the least-squares solution as its mean, when noise goes to 0."""
    agent = GPSarsa("CartPole-v1", gamma=0.9, noise=1e-4, signal=50.0, length_scale=0.2, novelty=0.0, seed=0).learn(200)
    points = np.eye(4) * 3
    for _ in range(3):
        for i in range(4):
            h = join(agent.memory, points[i], 0)
            if i < 3:
                h = difference(h, join(agent.memory, points[i + 1], 0), 0.9)
            learn_difference(agent.memory, h, 1.0)
    exact = [1 + 0.9 * (1 + 0.9 * 1.9), 1 + 0.9 * 1.9, 1.9, 1.0]
    assert np.allclose(moments(agent.memory, points, 2)[0][:, 0], exact, atol=1e-3)


def test_a_network_goes_on_from_where_it_stood():
    agent = NeuralFittedQ("CartPole-v1", train_freq=100, n_iterations=3, n_epochs=2, seed=0).learn(100)
    network = agent.values.models[0]
    agent.learn(100, reset_num_timesteps=False)
    steps = [model.optimisers_[0][2][0] for model in (network, agent.values.models[0])]  # of Adam
    assert 0 < steps[0] < steps[1]
    with pytest.raises(HyperparameterError, match="KNeighborsRegressor has no partial_fit"):
        NeuralFittedQ("CartPole-v1", model=KNeighborsRegressor())


@pytest.mark.parametrize(
    "model", [GaussianNB(), LogisticRegression(), "k-neighbors-classifier", "sklearn/extra-trees-classifier:5"]
)
def test_any_classifier_imitates(model):
    agent = DAgger("CartPole-v1", teacher="follow-the-pole", model=model, train_freq=500, seed=0).learn(1500)
    assert evaluate(agent, n_eval_episodes=5).mean > 2 * 22  # twice random play
    again = load(agent.save("imitator"))
    obs = make("CartPole-v1").reset(seed=4)[0]
    assert np.allclose(again.probe(obs).action_probabilities, agent.probe(obs).action_probabilities)


def test_any_teacher():
    teachers = [QLearning("FrozenLake-v1", seed=0).learn(3000), lambda obs: int(obs) % 4]
    for teacher in teachers:
        agent = BehaviorCloning("FrozenLake-v1", teacher=teacher, train_freq=200, seed=0).learn(400)
        obs = int(agent.labels.argmax())
        told = teacher.predict(obs, deterministic=True)[0] if hasattr(teacher, "predict") else teacher(obs)
        assert 0 <= told < 4
    sb3 = SB3("PPO", "CartPole-v1", n_steps=32, batch_size=32, policy_kwargs={"net_arch": [8]}, device="cpu", seed=0)
    agent = BehaviorCloning("CartPole-v1", teacher=sb3, train_freq=100, seed=0).learn(200)
    path = agent.save("clone")
    again = load(path)
    with pytest.raises(UsageError, match=r"BehaviorCloning has no teacher to learn from.*agent.teacher"):
        again.learn(10, reset_num_timesteps=False)
    again.teacher = lambda obs: 0
    again.learn(10, reset_num_timesteps=False)
    file = QLearning("FrozenLake-v1", seed=0).learn(100).save("teacher")
    BehaviorCloning("FrozenLake-v1", teacher=str(file), train_freq=100, seed=0).learn(100)


@pytest.mark.parametrize(
    ("make_agent", "words"),
    [
        (
            lambda: DAgger("CartPole-v1", teacher="nobody"),
            r"'nobody' is neither a file nor a policy.*follow-the-pole",
        ),
        (lambda: DAgger("CartPole-v1", model=LinearRegression()), "LinearRegression is a regressor, and Discrete"),
        (lambda: DAgger("Pendulum-v1", model=GaussianNB()), "GaussianNB is a classifier, and Box"),
        (lambda: DAgger("CartPole-v1", teacher=3), "teacher=3 is no teacher"),
    ],
)
def test_bad_input(make_agent, words):
    with pytest.raises(HyperparameterError, match=words):
        make_agent()


def test_what_a_clone_of_data_learned_is_evaluated_and_not_called_nothing(recwarn):
    agent, callback = BehaviorCloning("CartPole-v1", seed=0), EvalCallback(eval_freq=10_000, n_eval_episodes=2)
    agent.remember("follow-the-pole:60").learn(50, callback)
    assert not [one for one in recwarn if "learned nothing" in str(one.message)]
    agent.learn(1000, callback, reset_num_timesteps=False)  # 10 steps of the data set are left
    assert callback.timesteps == [60]


def test_what_an_agent_that_fits_waits_for():
    assert "it learns every 500 steps (train_freq)" in BehaviorCloning("CartPole-v1", train_freq=500).waits_for()
