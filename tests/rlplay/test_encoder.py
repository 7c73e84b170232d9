"""How agents take observations: every kind, fixed and fitted, one and many alike."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from rlplay import load, registry
from rlplay.agent.vector_agent import VectorAgent
from rlplay.approximation.encoder import NEVER, ActiveStates, ObservationVectors, PlainObservations, StateNumbers
from rlplay.approximation.encoders import ActiveFeatures, IndexFeatures, VectorFeatures, new_encoder
from rlplay.approximation.feature_map import FeatureMap, as_feature_map
from rlplay.errors import HyperparameterError, SpaceError
from rlplay.hyperparameters.fields import declared
from rlplay.models.unsupervised import PCA, KMeans, TileCoding

BOX = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)
GRID = gym.spaces.MultiDiscrete([3, 4])


def equal(one, many, place):
    """Whether one encoded observation is the entry of a batch."""
    if isinstance(one, tuple):
        return all(np.array_equal(a, b[place]) for a, b in zip(one, many, strict=True))
    return np.array_equal(one, many[place])


def fitted(kind, plan, **settings):
    encoder = new_encoder(kind, BOX, as_feature_map(plan), "Agent", 0, **settings)
    rng = np.random.default_rng(0)
    while not encoder.ready:
        if encoder.remember(rng.uniform(-1, 1, 3).astype(np.float32)):
            assert encoder.fit() is None
    return encoder


def test_a_finite_observation_is_its_number():
    encoder = StateNumbers(GRID, "Agent")
    assert (encoder.kind, encoder.size, encoder.width) == ("index", 12, 1)
    assert encoder.encode(np.array([2, 1])) == 9
    assert encoder.encode_batch(np.array([[0, 1], [2, 3]])).tolist() == [1, 11]
    with pytest.raises(SpaceError, match="Agent needs finite observations"):
        StateNumbers(BOX, "Agent")


def test_a_finite_observation_is_one_feature():
    number, value = ActiveStates(GRID, "Agent").encode_batch(np.array([[0, 1], [2, 3]]))
    assert number.tolist() == [[1], [11]]
    assert value.tolist() == [[1.0], [1.0]]


def test_observations_are_vectors():
    assert ObservationVectors(gym.spaces.Discrete(3), "Agent").encode_batch([2, 0]).tolist() == [[0, 0, 1], [1, 0, 0]]


FIXED = [
    StateNumbers(GRID, "Agent"), ActiveStates(GRID, "Agent"), ObservationVectors(BOX, "Agent"),
    PlainObservations(BOX, "Agent"),
]  # fmt: skip


@pytest.mark.parametrize("encoder", FIXED, ids=lambda encoder: type(encoder).__name__)
def test_a_fixed_encoder_has_nothing_to_fit_or_save(encoder):
    assert encoder.ready
    assert not encoder.remember(encoder)
    assert not encoder.due()
    assert encoder.steps_to_fit() == NEVER
    assert encoder.arrays() == encoder.models() == {}
    assert encoder.why_not_compiled == ""
    assert encoder.similarity([], None) is None


ENCODERS = {
    "clusters as states": ("index", FeatureMap(KMeans(4), warm_up=50), IndexFeatures, 4),
    "cells as states": ("index", FeatureMap(TileCoding(3, n_tilings=1)), IndexFeatures, 27),
    "directions": ("vector", FeatureMap(PCA(2), warm_up=50), VectorFeatures, 2),
    "distances": ("vector", FeatureMap(KMeans(4), warm_up=50, encoding="triangle"), VectorFeatures, 4),
    "one-hot": ("vector", FeatureMap(KMeans(4), warm_up=50, encoding="one-hot"), VectorFeatures, 4),
    "tiles": ("active", FeatureMap(TileCoding(4, n_tilings=2)), ActiveFeatures, 2 * 5**3),
    "directions, active": ("active", FeatureMap(PCA(2), warm_up=50), ActiveFeatures, 2),
    "labels, active": ("active", FeatureMap(KMeans(4), warm_up=50, encoding="label"), ActiveFeatures, 4),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_one_observation_is_encoded_as_in_a_batch(name):
    kind, plan, cls, size = ENCODERS[name]
    encoder = fitted(kind, plan)
    assert type(encoder) is cls
    assert (encoder.kind, encoder.size) == (kind, size)
    batch = np.random.default_rng(1).uniform(-1, 1, (5, 3)).astype(np.float32)
    many = encoder.encode_batch(batch)
    for place, obs in enumerate(batch):
        one = encoder.encode(obs)
        if kind == "vector":  # a batch is a product of matrices, and rounds otherwise
            np.testing.assert_allclose(one, many[place], atol=1e-5)
        else:
            assert equal(one, many, place) or kind == "active"
    if kind == "active":
        one = encoder.encode(batch[0])
        assert np.array_equal(one.number, many.number[0])
        np.testing.assert_allclose(one.value, many.value[0], atol=1e-12)


@pytest.mark.parametrize("kind", ["index", "vector", "active"])
def test_before_the_first_fit_an_observation_is_nothing(kind):
    encoder = new_encoder(kind, BOX, FeatureMap(KMeans(4), warm_up=50, encoding="label"), "Agent", 0)
    assert not encoder.ready
    obs = np.zeros(3, np.float32)
    values = encoder.encode(obs) if kind != "active" else encoder.encode(obs).value
    assert not np.any(values)
    assert encoder.steps_to_fit() == 50


def test_an_intercept_is_one_more_feature_that_is_always_one():
    plain, more = (fitted("active", FeatureMap(TileCoding(4, n_tilings=2)), intercept=i) for i in (False, True))
    assert (more.size, more.width) == (plain.size + 1, plain.width + 1)
    active = more.encode(np.zeros(3, np.float32))
    assert (active.number[-1], active.value[-1]) == (more.size - 1, 1.0)


def test_without_a_map_vectors_become_tiles_for_linear_agents():
    assert isinstance(new_encoder("active", BOX, None, "LinearSarsa", 0), ActiveFeatures)
    assert isinstance(new_encoder("active", GRID, None, "LinearSarsa", 0), ActiveStates)


def test_a_transformer_numbers_no_states():
    with pytest.raises(HyperparameterError, match="no predict to number its states"):
        new_encoder("index", BOX, FeatureMap(PCA(2)), "Sarsa", 0)


def networks_with_features():
    """The agents with networks that play, and an environment for each."""
    for agent_id in registry.agent_ids():
        cls = registry.agent_class(agent_id)
        if issubclass(cls, VectorAgent) and {"features"} <= set(declared(cls)) and "dataset" not in declared(cls):
            env = "Pendulum-v1" if agent_id in ("ddpg", "sac", "td3", "tqc") else "CartPole-v1"
            yield pytest.param(cls, env, id=agent_id, marks=() if agent_id == "dqn" else pytest.mark.slow)


@pytest.mark.filterwarnings("ignore:.*learned nothing")
@pytest.mark.parametrize(("cls", "env"), [*networks_with_features()])
def test_an_agent_of_networks_and_features_is_compiled_again_when_it_is_loaded(cls, env, tmp_path):
    agent = cls(env, features="k-means:2,warm_up=20", seed=0).learn(20)
    loaded = load(agent.save(tmp_path / "one"))
    assert agent.encoder.ready
    assert hasattr(loaded._iteration.choose, "py_func")
