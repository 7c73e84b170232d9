"""Feature maps: warm-up, fits, what is carried along, and estimators that cannot serve."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.cluster
import sklearn.linear_model
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agents import QLearning, Reinforce, Sarsa
from rlplay import evaluate, load
from rlplay.approximation.encoders import new_encoder
from rlplay.approximation.feature_map import FeatureMap, as_feature_map
from rlplay.environments.make import make
from rlplay.errors import CheckpointError, HyperparameterError, UnknownNameError, UsageError
from rlplay.models.unsupervised import PCA, KMeans
from rlplay.registry import register_model
from rlplay.testing import differences


def encoder(estimator, kind="vector", **options):
    return new_encoder(kind, make("CartPole-v1").observation_space, FeatureMap(estimator, **options), "Test", 0)


def feed(features, count, seed=0):
    for obs in np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32):
        if features.remember(obs):
            features.fit()


def test_fits_come_after_the_warm_up_and_then_every_so_often():
    features, fits = encoder(KMeans(4), "index", warm_up=50, refit_every=30), []
    for step, obs in enumerate(np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32), 1):
        if features.remember(obs):
            features.fit()
            fits.append(step)
    assert fits == [50, 80, 110, 140]
    assert features.version == 4
    assert features.steps_to_fit() == 20


def test_a_frozen_map_stays_as_it_is():
    features = encoder(KMeans(4), "index", warm_up=50)
    feed(features, 500)
    assert features.version == 1


def test_values_are_carried_to_the_nearest_old_cluster():
    clusters = KMeans(3, init=np.array([[-9.0] * 4, [0.0] * 4, [9.0] * 4]))
    features = encoder(clusters, "index", warm_up=60, standardize=False, refit_every=60)
    corners = np.repeat([[-9.0] * 4, [0.0] * 4, [9.0] * 4], 20, axis=0).astype(np.float32)
    for obs in corners:
        features.remember(obs)
    assert features.fit() is None
    old = features.estimator.cluster_centers_.copy()
    features.unfitted.set_params(init=old[[2, 0, 1]])  # the same clusters under other numbers
    assert features.fit().tolist() == [2, 0, 1]


def test_directions_keep_their_signs_and_distances_their_order():
    for estimator in (PCA(3), KMeans(5, random_state=0)):
        features = encoder(estimator, warm_up=400, refit_every=400)
        feed(features, 400, seed=1)
        probe = np.random.default_rng(3).normal(size=(50, 4)).astype(np.float32)
        before = features.encode_vectors(probe)
        attribute = "components_" if isinstance(estimator, PCA) else "cluster_centers_"
        turned = getattr(features.estimator, attribute)
        setattr(features.estimator, attribute, -turned if isinstance(estimator, PCA) else turned[::-1].copy())
        turned_view = features.encode_vectors(probe)
        features.fit()
        after = features.encode_vectors(probe)
        assert np.allclose(turned_view, after, atol=1e-5)
        assert not np.allclose(before, after, atol=1e-2)


@pytest.mark.filterwarnings("ignore:.*learned nothing")
def test_a_fitted_estimator_is_taken_as_it_is():
    data = np.random.default_rng(0).normal(size=(100, 4))
    fitted = PCA(2).fit(data)
    features = encoder(fitted)
    assert features.ready
    assert np.allclose(features.encode_vectors(data), fitted.transform(data), atol=1e-5)
    agent = Reinforce("CartPole-v1", features=fitted, network="torch", seed=0).learn(500)
    assert agent.features.version == 1


def test_features_survive_in_the_file(tmp_path):
    agent = QLearning("CartPole-v1", features=KMeans(8), seed=0).learn(3000)
    again = load(agent.save(tmp_path / "agent"))
    assert not differences(agent, again)
    obs = np.array([0.1, 0.2, -0.1, 0.3], np.float32)
    assert again.encoder.encode(obs) == agent.encoder.encode(obs)


def test_a_pipeline_of_scikit_learns_plays_step_by_step_and_says_so():
    agent = Sarsa("CartPole-v1", features=make_pipeline(StandardScaler(), sklearn.cluster.KMeans(8)), seed=0)
    assert "no compiled sample function" in agent.why_not_compiled()
    agent.learn(2300)
    assert agent.features.version == 1
    assert np.abs(agent.q).max() > 0


def test_ours_and_the_twins_clusters_learn_alike():
    first = np.random.default_rng(0).uniform(-1, 1, size=(16, 4))
    results = []
    for cls in (KMeans, sklearn.cluster.KMeans):
        agent = QLearning("CartPole-v1", features=cls(16, init=first, n_init=1), alpha=0.2, seed=0)
        results.append(agent.learn(4000).statistics.total_return)
    assert results[0] == results[1]  # the same labels, so the same run


class Widening(TransformerMixin, BaseEstimator):
    count = 0

    def fit(self, X, y=None):
        self.width_ = 2 if len(X) == 500 else 3
        return self

    def transform(self, X):
        return np.asarray(X)[:, : self.width_]


def test_a_transformer_that_changes_its_width_is_named():
    features = encoder(Widening(), warm_up=40)
    with pytest.raises(UsageError, match="Widening changed their width: 2 were expected and 3 came"):
        feed(features, 40)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (KMeans, "is no estimator"),
        (3, "is no estimator"),
        (PCA(2), "has no predict to number its states"),
        (sklearn.cluster.DBSCAN(), "neither transform nor predict"),
        ("k-means:64,clusters=3", "unknown parameter of k-means 'clusters'. Did you mean n_clusters?"),
        ("k-meens:64", "unknown model 'k-meens'. Did you mean k-means"),
        ("k-means:64,warm_up=0", "warm_up=0 is not a whole number of 2 or more"),
    ],
)
def test_features_that_cannot_number_states_are_refused_by_name(features, words):
    with pytest.raises(HyperparameterError, match=words.replace("?", r"\?")):
        QLearning("CartPole-v1", features=features)


def test_more_clusters_than_observations_names_the_way_out():
    with pytest.raises(UsageError, match="could not be fitted on 10 observations.*Raise warm_up"):
        QLearning("CartPole-v1", features=FeatureMap(KMeans(64), warm_up=10), seed=0).learn(100)


def test_text_and_json_describe_the_same_map():
    features = as_feature_map("k-means:64,refit_every=10000,random_state=1")
    assert features.estimator.n_clusters == 64
    assert features.refit_every == 10_000
    again = as_feature_map(features.describe())
    assert again.describe() == features.describe()


class Halves(TransformerMixin, BaseEstimator):
    """A third party's transformer."""

    def fit(self, X, y=None):
        self.middle_ = np.median(X, axis=0)
        return self

    def transform(self, X):
        return (np.asarray(X) > self.middle_).astype(float)


@pytest.mark.filterwarnings("ignore:.*learned nothing")
def test_a_third_partys_transformer_is_loaded_once_it_is_registered(tmp_path):
    agent = Reinforce("CartPole-v1", features=Halves(), seed=0).learn(2500)
    path = agent.save(tmp_path / "agent")
    with pytest.raises(CheckpointError, match="Register it first"):
        load(path)
    register_model("halves", Halves)
    assert load(Reinforce.save(agent, tmp_path / "named")).features.version == 1
    with pytest.raises(UnknownNameError):
        as_feature_map("hälften")


@pytest.mark.slow
def test_refitted_and_carried_clusters_balance_the_pole():
    for seed in (0, 1, 2):
        features = FeatureMap(KMeans(64), refit_every=50_000)
        agent = QLearning(
            "CartPole-v1", features=features, alpha="lin_0.3_0.01", epsilon="lin_1_0.01_0.5", seed=seed
        ).learn(500_000)  # fmt: skip
        assert evaluate(agent, n_eval_episodes=50).mean >= 200
