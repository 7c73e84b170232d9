"""Linear agents: equations against plain NumPy, features of every kind, masks of what cannot be, refits and drift."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import sklearn.cluster
from sklearn.base import BaseEstimator, TransformerMixin

from agents import PPO, LinearActorCritic, LinearQLearning, LinearSarsa, QLearning, TrueOnlineSarsaLambda
from rlplay import FeatureMap, load, make, random_play, register_model
from rlplay.approximation.encodings import Active
from rlplay.errors import HyperparameterError, RlplayWarning, UsageError
from rlplay.functional.linear_values import (
    decay_traces,
    learn_by_traces,
    mark_features,
    new_last_steps,
    trace_product,
    update_n_steps,
    value_of,
)
from rlplay.functional.traces import new_traces
from rlplay.models.supervised import DecisionTreeRegressor
from rlplay.models.unsupervised import KMeans, MiniBatchKMeans, TileCoding
from rlplay.testing import differences

RNG = np.random.default_rng(0)


def dense(x, size):
    found = np.zeros(size)
    np.add.at(found, x.number, x.value)
    return found


def test_n_steps_by_hand():
    w, steps = RNG.normal(size=(6, 2)), new_last_steps(2, 2)
    rows = [Active(RNG.permutation(6)[:2], RNG.normal(size=2)) for _ in range(3)]
    mine, actions, rewards = w.copy(), [0, 1, 0], [1.0, 2.0, 3.0]
    for t in range(3):
        update_n_steps(w, rows[t], actions[t], rewards[t], 0.5 if t < 2 else 0.0, t == 2, 0.1, 0.9, steps, 2)
    for t, g in ((0, 1.0 + 0.9 * 2.0 + 0.81 * 0.5), (1, 2.0 + 0.9 * 3.0), (2, 3.0)):
        x = dense(rows[t], 6)
        mine[:, actions[t]] += 0.1 * (g - mine[:, actions[t]] @ x) * x
    assert np.allclose(w, mine)


def test_traces_are_vectors():
    traces, z, w, expected = new_traces(12), *np.zeros((3, 6, 2))
    for a in (0, 1, 0):
        x = Active(RNG.permutation(6)[:3], RNG.normal(size=3))
        decay_traces(traces, 0.8)
        z *= 0.8
        assert trace_product(traces, x, a, 2) == pytest.approx(z[:, a] @ dense(x, 6))
        mark_features(traces, x, a, 2, 0.7)
        z[:, a] += 0.7 * dense(x, 6)
        learn_by_traces(w, traces, 0.3)
        expected += 0.3 * z
    assert np.allclose(w, expected)
    assert np.abs(w).max() > 0
    flat = np.zeros(12)
    flat[traces.entry[: traces.length[0]]] = traces.strength[: traces.length[0]]
    assert np.allclose(flat.reshape(6, 2), z)


def test_true_online_sarsa_is_the_box_over_any_features():
    """Page 307 with dense arrays, on made-up features."""
    agent = TrueOnlineSarsaLambda("CartPole-v1", alpha=0.05, gamma=0.9, lambda_=0.8, features="identity", seed=0)
    w, z, old = np.zeros((4, 2)), np.zeros((4, 2)), 0.0
    for _ in range(20):
        x, after = RNG.normal(size=(2, 4)).astype(np.float32)
        a, a_next, reward = int(RNG.integers(2)), int(RNG.integers(2)), float(RNG.normal())
        agent.rule.learn(
            agent.memory, agent.encoder.encode(x), a, reward, agent.encoder.encode(after), a_next, False, False, 0.0
        )
        phi, phi_next = np.zeros((4, 2)), np.zeros((4, 2))
        phi[:, a], phi_next[:, a_next] = x, after
        q, q_next = (w * phi).sum(), (w * phi_next).sum()
        delta = reward + 0.9 * q_next - q
        z = 0.72 * z + (1 - 0.05 * 0.72 * (z * phi).sum()) * phi
        w = w + 0.05 * (delta + q - old) * z - 0.05 * (q - old) * phi
        old = q_next
        assert np.allclose(agent.w, w, atol=1e-6)


class Squares(TransformerMixin, BaseEstimator):
    """A third party's transformer, without an adapter."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return np.column_stack([X, X**2])


@pytest.mark.parametrize(
    ("features", "width", "size"),
    [
        (None, 8, 648),
        ("rbf-grid:4", 16, 16),
        (KMeans(5), 5, 5),
        (FeatureMap(KMeans(5), encoding="triangle"), 5, 5),
        (FeatureMap(KMeans(5), encoding="one-hot"), 1, 5),
        (sklearn.cluster.KMeans(5), 5, 5),
        (FeatureMap(sklearn.cluster.KMeans(5), encoding="triangle"), 5, 5),
        (Squares(), 4, 4),
        ("identity", 2, 2),
    ],
    ids=str,
)
def test_any_features_batch_and_single_and_vectors_agree(features, width, size):
    agent = LinearQLearning("MountainCar-v0", features=features, intercept=True, alpha=0.01, seed=0).learn(2100)
    assert (agent.encoder.width, agent.encoder.size) == (width + 1, size + 1)
    obs = np.array([[-0.5, 0.01], [0.2, -0.03], [-1.0, 0.0]], np.float32)
    batch = agent.encoder.encode_batch(obs)
    for i, one in enumerate(obs):
        single = agent.encoder.encode(one)
        assert np.array_equal(batch.number[i], single.number)
        assert np.allclose(batch.value[i], single.value)
        assert single.value[-1] == 1.0
        assert value_of(agent.w, single, 1) == pytest.approx(agent.action_values(one)[0, 1])


def test_triangle_is_zero_for_what_is_far():
    features = FeatureMap(KMeans(6, random_state=0), encoding="triangle", warm_up=200)
    agent = LinearSarsa("MountainCar-v0", features=features, alpha=0.01, seed=0).learn(300)
    obs = make("MountainCar-v0").reset(seed=1)[0]
    point = (obs.astype(float) - agent.features.shift) / agent.features.scale
    distances = agent.features.estimator.transform(point[None])[0]
    assert np.allclose(agent.encoder.encode(obs).value, np.maximum(0, distances.mean() - distances))


def test_a_basis_lies_over_the_bounds_of_the_space_at_once():
    agent = LinearSarsa("MountainCar-v0", seed=0)
    assert agent.features.ready
    assert np.allclose(agent.features.estimator.low_, [-1.2, -0.07])
    assert not LinearSarsa("CartPole-v1", features="tile-coding:4", seed=0).features.ready  # unbounded: after a warm-up


@pytest.mark.parametrize(
    "features",
    ["tile-coding:6,n_tilings=1", "tile-coding:3,n_tilings=2", "self-organising-map:4,columns=4", "a tree"],
)
def test_tables_take_grids_tiles_maps_and_leaves(features):
    if features == "a tree":
        features = DecisionTreeRegressor(max_depth=5).fit(*random_play("CartPole-v1", 3000))
    agent = QLearning("CartPole-v1", features=features, seed=0).learn(5000)
    other = QLearning("CartPole-v1", features=features, seed=0).learn(5000, engine="python")
    assert not differences(agent, other)
    assert len(np.unique(agent.encoder.encode_batch(random_play("CartPole-v1", 500)[0]))) > 3
    assert not differences(agent, load(agent.save("table")))


def test_points_in_the_same_cell_share_all_tiles():
    tiles = TileCoding(3, 4, bounds=[[0, 0], [1, 1]]).fit(np.zeros((1, 2)))
    points = RNG.uniform(size=(400, 2))
    cells, active = tiles.predict(points), tiles.active(points)
    assert tiles.n_cells(2) == 144
    alike = cells[:, None] == cells
    assert ((active[:, None] == active).all(axis=2) == alike).all()


def test_a_tree_that_is_not_fitted_and_clusters_that_have_no_number():
    with pytest.raises(HyperparameterError, match="leaves of DecisionTreeRegressor can number states once"):
        QLearning("CartPole-v1", features=DecisionTreeRegressor())
    with pytest.raises(HyperparameterError, match="encoding='other' is not one of auto, label"):
        FeatureMap(KMeans(3), encoding="other")
    with pytest.raises(HyperparameterError, match="KMeans has no partial_fit and cannot learn online"):
        FeatureMap(KMeans(3), online=True)


@pytest.mark.filterwarnings("ignore:.*learned nothing")
def test_online_clusters_keep_their_numbers():
    features = FeatureMap(MiniBatchKMeans(8, random_state=0), warm_up=300, refit_every=100, online=True)
    agent = QLearning("CartPole-v1", features=features, seed=0).learn(300)
    before = agent.features.estimator.cluster_centers_.copy()
    agent.learn(400, reset_num_timesteps=False)
    after = agent.features.estimator.cluster_centers_
    assert agent.features.version == 5
    assert np.abs(after - before).max() > 0
    distances = ((after[:, None] - before) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == np.arange(8)).mean() >= 0.75


class Drifts(make("CartPole-v1", dynamics="gymnasium").unwrapped.__class__):
    """Half a unit more in every number after a while."""

    steps = 0

    def __init__(self):
        super().__init__()
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)

    def step(self, action):
        Drifts.steps += 1
        obs, *rest = super().step(action)
        return (obs + np.float32(20.0 * (Drifts.steps > 800)), *rest)


def test_a_drift_is_said_once():
    Drifts.steps = 0
    features = FeatureMap(KMeans(4), warm_up=300, sample_size=300)
    agent = QLearning(Drifts(), features=features, seed=0)
    with pytest.warns(
        RlplayWarning, match="deviations from where the features KMeans were fitted.*refit_every"
    ) as said:
        agent.learn(4000)
    assert len([one for one in said if "deviations" in str(one.message)]) == 1


def test_a_refit_that_changes_the_number_of_clusters():
    class Growing(BaseEstimator):
        n_clusters = 2

        def fit(self, X, y=None):
            self.fitted_ = len(X)
            return self

        def predict(self, X):
            return np.arange(len(X)) % (2 if self.fitted_ < 60 else 3)

    agent = QLearning("CartPole-v1", features=FeatureMap(Growing(), warm_up=50, refit_every=50), seed=0)
    with pytest.raises(UsageError, match="changed their width: 2 were expected and 3 came"):
        agent.learn(200)


class Fails(KMeans):
    """Clusters that can be fitted once."""

    fits = 0

    def fit(self, X, y=None):
        Fails.fits += 1
        if Fails.fits > 1:
            raise RuntimeError("no luck")
        return super().fit(X)


def test_a_refit_that_fails_leaves_the_last_good_map():
    Fails.fits = 0
    agent = QLearning("CartPole-v1", features=FeatureMap(Fails(4), warm_up=50, refit_every=50), seed=0)
    Fails.fits = 0  # whether it can be saved was tried by a fit
    with pytest.warns(RlplayWarning, match="the features Fails could not be fitted on 100 observations: no luck"):
        agent.learn(120)
    assert agent.features.version == 2
    assert agent.features.ready


def test_features_that_were_fitted_in_another_environment():
    fitted = KMeans(4).fit(random_play("CartPole-v1", 100)[0])
    with pytest.raises(HyperparameterError, match="KMeans was fitted on observations of 4 numbers, and these have 2"):
        QLearning("MountainCar-v0", features=fitted)


def test_divergence_is_named():
    agent = LinearQLearning("Acrobot-v1", features="identity", alpha=1.0, seed=0)
    with pytest.raises(UsageError, match=r"w is not finite at timestep .* it diverged.*smaller alpha"):
        agent.learn(20_000)


def test_features_in_ppo_are_fitted_between_rollouts():
    register_model("test/squares", Squares)
    features = FeatureMap(Squares(), warm_up=60, refit_every=100)
    agent = PPO(
        "CartPole-v1", features=features, n_envs=2, n_steps=30, batch_size=30, n_epochs=1, network="torch", seed=0
    )
    agent.learn(400)
    assert agent.features.version > 2
    assert agent.probe(make("CartPole-v1").reset(seed=0)[0]).features.shape == (1, 8)
    half = PPO(
        "CartPole-v1", features=features, n_envs=2, n_steps=30, batch_size=30, n_epochs=1, network="torch", seed=0
    )
    again = load(half.learn(250, schedule_timesteps=400).save("half"))
    again.learn(150, reset_num_timesteps=False)
    assert not differences(agent, again)
    with pytest.raises(HyperparameterError, match="features see observations as the environment gives them"):
        PPO("CartPole-v1", features=Squares(), normalize=True)


def test_the_actor_moves_along_the_gradient_of_the_log_probability():
    agent = LinearActorCritic("CartPole-v1", features="identity", actor_alpha=1e-3, alpha=1e-9, lambda_=0.0, seed=0)
    agent.theta[:] = RNG.normal(size=agent.theta.shape)
    x = RNG.normal(size=4).astype(np.float32)
    before, start = agent.theta.copy(), np.exp(x @ agent.theta)
    error = agent.rule.learn(
        agent.memory, agent.encoder.encode(x), 1, 2.0, agent.encoder.encode(x), -1, True, False, 0.0
    )
    pi = start / start.sum()
    expected = 1e-3 * error * np.outer(x, np.array([0.0, 1.0]) - pi)
    assert np.allclose(agent.theta - before, expected, atol=1e-7)


class Target(gym.Env):
    """In each of two contexts an action of two numbers is wanted, -.5 or .5 each; one step."""

    observation_space, action_space = gym.spaces.Discrete(2), gym.spaces.Box(-2.0, 2.0, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.context = int(self.np_random.integers(2))
        return self.context, {}

    def step(self, action):
        return self.context, -float(np.sum((action - (self.context - 0.5)) ** 2)), True, False, {}


def test_a_normal_policy_finds_its_target_and_never_leaves_the_bounds():
    """A mean beyond them drew one and the same action for ever: 2.0 for .5."""
    for alpha, seed in ((0.05, 0), (0.05, 1), (0.1, 4), (0.1, 5)):  # 1 to 30 away in the last two, before
        agent = LinearActorCritic(Target(), actor_alpha=alpha, alpha=0.1, seed=seed).learn(10_000)
        assert np.abs(agent.probe([0, 1]).action_mean - [[-0.5], [0.5]]).max() < 0.05
    wild = LinearActorCritic(Target(), actor_alpha=1.0, alpha=0.5, seed=0).learn(2_000)
    assert np.abs(wild.theta[:, :2]).max() <= 2.0 + 1e-9
    assert -5.0 <= wild.theta[:, 2:].min() <= wild.theta[:, 2:].max() <= 2.0
