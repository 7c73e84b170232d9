"""What the window shows of agents that learn from a replay buffer: critics, targets, errors of stored steps."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pygame
import pytest

from agents import CQL, DQN, PPO, SAC, TD3, DiscreteIQL, DiscreteSAC
from agents.panels import PANELS, draw_critics, draw_replay, errors_of, has_critics, has_replay
from rlplay import make


def poles(count=5):
    return np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)


def test_the_values_of_a_deep_q_network_and_of_its_target():
    agent = DQN("CartPole-v1", net_arch=[8], seed=0)
    obs = poles()
    assert agent.critic_values(obs)[0] == pytest.approx(agent.probe(obs).action_values)
    assert np.array_equal(agent.critic_values(obs), agent.critic_values(obs, target=True))  # a copy at the start
    agent.memory.nets.q.parameters[:] *= 2.0
    assert not np.allclose(agent.critic_values(obs), agent.critic_values(obs, target=True))
    assert agent.critic_values(obs)[0] == pytest.approx(agent.probe(obs).action_values)


def test_the_least_critic_at_the_policys_action_is_the_value():
    agent = SAC("Pendulum-v1", net_arch=[8], batch_size=4, buffer_size=100, seed=0)
    obs = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    found, probe = agent.critic_values(obs), agent.probe(obs)
    assert found.shape == (2, 6, 1)
    assert found.min(axis=0)[:, 0] == pytest.approx(probe.value, rel=1e-5)
    assert agent.critic_values(obs, probe.action_mean) == pytest.approx(found, rel=1e-4)
    elsewhere = agent.critic_values(obs, np.clip(probe.action_mean + 0.5, -2, 2))
    assert not np.allclose(elsewhere, found)


def test_a_soft_agent_of_numbered_actions_weighs_its_critics():
    agent, obs = DiscreteSAC("CartPole-v1", net_arch=[8], batch_size=4, buffer_size=100, seed=0), poles()
    values, probe = agent.critic_values(obs), agent.probe(obs)
    assert values.shape == (2, 5, 2)
    assert (probe.action_probabilities * values.min(axis=0)).sum(axis=1) == pytest.approx(probe.value)


@pytest.mark.parametrize(("cls", "critics"), [(CQL, 1), (DiscreteIQL, 2)])
def test_offline_agents_of_numbered_actions_have_critics_and_errors(cls, critics):
    agent = cls("CartPole-v1", dataset="random:60", net_arch=[8], batch_size=4, seed=0)
    values = agent.critic_values(poles())
    assert values.shape == (critics, 5, 2)
    assert np.array_equal(values, agent.critic_values(poles(), target=True))  # a copy at the start
    if cls is CQL:
        assert values[0] == pytest.approx(agent.probe(poles()).action_values)
    assert len(errors_of(agent).errors) == errors_of(agent).held == 60


def test_the_errors_of_stored_steps_by_hand():
    agent = DQN("CartPole-v1", net_arch=[8], buffer_size=300, gamma=0.9, seed=0).learn(140)
    found, stored = errors_of(agent), agent.stored_steps(256)
    assert found.held == len(stored.obs) == len(found.errors)
    target = agent.critic_values(stored.next_obs, target=True)[0].max(axis=1)
    for i in range(len(stored.obs)):
        q = agent.probe(stored.obs[i]).action_values[0, int(stored.actions[i, 0])]
        expected = stored.rewards[i] + (0.0 if stored.terminated[i] else 0.9 * target[i]) - q
        assert found.errors[i] == pytest.approx(expected, abs=1e-5)
    assert stored.terminated.any()
    goes_on = ~stored.terminated[:-1]  # an environment's steps follow each other
    assert stored.next_obs[:-1][goes_on] == pytest.approx(stored.obs[1:][goes_on])


@pytest.mark.slow
def test_stable_baselines3s_critics():
    pytest.importorskip("torch")
    from agents.sb3 import SB3

    agent = SB3("sac", "Pendulum-v1", learning_starts=10, seed=0).learn(20)
    obs = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    found = agent.critic_values(obs)
    assert found.shape == agent.critic_values(obs, target=True).shape == (2, 3, 1)
    assert found.min(axis=0)[:, 0] == pytest.approx(agent.probe(obs).value, abs=1e-5)
    assert agent.critic_values(obs, agent.probe(obs).action_mean) == pytest.approx(found, abs=1e-4)
    deep = SB3("dqn", "CartPole-v1", learning_starts=10, seed=0).learn(20)
    assert deep.critic_values(poles())[0] == pytest.approx(deep.probe(poles()).action_values)
    assert SB3("ppo", "CartPole-v1", seed=0, n_steps=8, batch_size=8).learn(8).critic_values(poles()) is None


def session_of(agent, env_id):
    env = make(env_id, render_mode="rgb_array")
    obs, _ = env.reset(seed=0)
    names = ["left", "right"] if env_id == "CartPole-v1" else []
    return SimpleNamespace(agent=agent, env=env, observation=obs, action_names=names, last=None)


def test_panels_are_there_for_those_who_have_what_they_show():
    deep = session_of(
        DQN("CartPole-v1", net_arch=[8], buffer_size=300, prioritized=True, seed=0).learn(140), "CartPole-v1"
    )
    soft = session_of(SAC("Pendulum-v1", net_arch=[8], batch_size=4, buffer_size=100, seed=0), "Pendulum-v1")
    plain = session_of(TD3("Pendulum-v1", net_arch=[8], batch_size=4, buffer_size=100, seed=0), "Pendulum-v1")
    none = session_of(PPO("CartPole-v1", seed=0), "CartPole-v1")
    assert [has_critics(s) for s in (deep, soft, plain, none)] == [True, True, True, False]
    assert [has_replay(s) for s in (deep, soft, plain, none)] == [True, True, True, False]
    pygame.font.init()
    for session in (deep, soft, plain):
        for name in ("critics", "replay"):
            surface = pygame.Surface((500, 260))
            PANELS[name].draw(surface, surface.get_rect(), session, session.agent.probe(session.observation))
            assert len(np.unique(pygame.surfarray.array3d(surface).reshape(-1, 3), axis=0)) > 4, name
    assert draw_critics is PANELS["critics"].draw
    assert draw_replay is PANELS["replay"].draw
