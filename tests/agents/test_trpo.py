"""TRPO: divergence and Fisher matrix by torch, a step by the dense system, the line search, scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rlplay
from agents import TRPO
from agents.trpo import make_update
from rlplay import evaluate
from rlplay.errors import HyperparameterError, RlplayWarning
from rlplay.functional.distributions import CATEGORICAL, GAUSSIAN
from rlplay.functional.vector_step import plain
from tests.agents.test_policy_gradients import random_batch

SMALL = {"n_envs": 2, "n_steps": 32, "batch_size": 16, "n_critic_updates": 2, "net_arch": [6]}


def of_torch(discrete, outputs, spread):
    """The distribution of each part, or of all numbers."""
    if discrete:
        return [torch.distributions.Categorical(logits=z) for z in torch.split(outputs, [3, 2], dim=1)]
    return [torch.distributions.Normal(outputs, spread.exp())]


@pytest.mark.parametrize("discrete", [True, False])
def test_divergence_and_fisher_matrix_are_torchs(discrete):
    """F v is the second derivative of the mean divergence along v, at no divergence."""
    rng, outputs, spread, _ = random_batch(discrete)
    head = CATEGORICAL if discrete else GAUSSIAN
    others = outputs + rng.normal(size=outputs.shape).astype(np.float32)
    other_spread = spread if discrete else spread + np.float32([0.2, -0.4])

    def mean_divergence(x, s):
        old = of_torch(discrete, torch.tensor(outputs).double(), torch.tensor(spread).double())
        return sum(
            torch.distributions.kl_divergence(p, q).sum() for p, q in zip(old, of_torch(discrete, x, s), strict=True)
        ) / len(outputs)  # fmt: skip

    told = head.divergence(outputs, spread, others, other_spread)
    assert told == pytest.approx(
        mean_divergence(torch.tensor(others).double(), torch.tensor(other_spread).double()).item(), rel=1e-4
    )
    moved, direction = rng.normal(size=outputs.shape).astype(np.float32), rng.normal(size=2)
    x, s = torch.tensor(outputs).double(), torch.tensor(spread).double()
    along = (torch.tensor(moved).double(), torch.zeros(2).double() if discrete else torch.tensor(direction))
    products = torch.autograd.functional.hvp(mean_divergence, (x, s), along)[1]
    found, grad_spread = moved.copy(), np.zeros(2, np.float32)
    head.fisher(outputs, spread, found, direction, grad_spread)
    assert np.allclose(found, products[0].numpy(), atol=1e-6)
    assert discrete or np.allclose(grad_spread, products[1].numpy(), atol=1e-5)


def played(env_id, **settings):
    """A full rollout of the first policy, with its advantages, just before its update; and the agent after it."""
    before = TRPO(env_id, seed=0, network="torch", **{**SMALL, **settings})
    weights = before.memory.policy.parameters.copy(), before.memory.spread.copy()
    return before.learn(64), weights


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_a_step_is_that_of_the_dense_system(env_id):
    """The Fisher matrix written out: x = (F + c I)⁻¹ g, and the step's length, by NumPy in float64."""
    agent, (origin, spread) = played(env_id, cg_max_steps=200, cg_damping=0.1, normalize_advantage=False)
    rollout, policy = agent.memory.rollout, agent.memory.policy
    found = np.concatenate([policy.parameters - origin, agent.memory.spread - spread])
    policy._set(policy._tensors(), origin)
    obs = np.ascontiguousarray(rollout.obs)
    outputs = policy.forward(obs).astype(np.float64)
    eye = np.eye(len(origin), dtype=np.float32)
    jacobian = np.stack([policy.tangent(one).astype(np.float64) for one in eye], axis=2)  # [N, K, P]
    n, size = len(outputs), len(origin)
    if env_id == "CartPole-v1":
        p = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        metric = np.einsum("nk,kl->nkl", p, np.eye(2)) - np.einsum("nk,nl->nkl", p, p)
        score = np.eye(2)[rollout.actions[:, 0].astype(int)] - p
        fisher = np.einsum("nkp,nkl,nlq->pq", jacobian, metric, jacobian) / n
        gradient = np.einsum("n,nk,nkp->p", rollout.advantages, score, jacobian) / n
        found = found[:size]
    else:
        z = rollout.actions - outputs  # σ = 1 at the start
        fisher = np.zeros((size + 1, size + 1))
        fisher[:size, :size] = np.einsum("nkp,nkq->pq", jacobian, jacobian) / n
        fisher[size, size] = 2.0
        mean = np.einsum("n,nk,nkp->p", rollout.advantages, z, jacobian) / n
        gradient = np.append(mean, (rollout.advantages[:, None] * (z**2 - 1)).mean())
    damped = fisher + 0.1 * np.eye(len(fisher))
    x = np.linalg.solve(damped, gradient)
    longest = np.sqrt(2 * 0.01 / (x @ damped @ x)) * x
    share = found @ longest / (longest @ longest)
    assert np.allclose(found, share * longest, atol=3e-3 * np.abs(longest).max())
    assert np.log(share) / np.log(0.8) == pytest.approx(round(np.log(share) / np.log(0.8)), abs=0.02)
    assert 0 < agent.metrics()["train/kl_divergence_loss"] <= 0.01
    assert agent.metrics()["train/is_line_search_success"] == 1


def test_without_a_line_search_it_is_the_natural_policy_gradient():
    """The first step as it is: about its divergence by the quadratic, and twice as long a step for four times it."""
    (one, start), (two, _) = (played("CartPole-v1", line_search_max_iter=0, target_kl=d) for d in (0.0025, 0.01))
    short, long = (agent.memory.policy.parameters - start[0] for agent in (one, two))
    assert np.allclose(long, 2.0 * short, atol=1e-5)
    assert 0.0005 < one.metrics()["train/kl_divergence_loss"] < 0.004


def test_a_line_search_that_finds_nothing_is_said_and_the_policy_is_kept():
    agent = TRPO("CartPole-v1", seed=0, network="torch", target_kl=1e-30, **SMALL)
    origin = agent.memory.policy.parameters.copy()
    with pytest.warns(RlplayWarning, match="found no step of divergence target_kl=1e-30 .* the policy was kept"):
        agent.learn(64, engine="python")
    assert np.array_equal(agent.memory.policy.parameters, origin)
    assert agent.metrics()["train/line_search_failures"] >= 1


def test_a_line_search_without_a_gradient_is_not_said():
    agent, (origin, _) = quiet()
    assert np.array_equal(agent.memory.policy.parameters, origin)
    assert agent.metrics()["train/line_search_failures"] == 1
    assert agent.metrics()["train/is_line_search_success"] == 0
    assert np.isfinite(list(agent.metrics().values())[:6]).all()


def quiet():
    """All advantages the same: there is no direction to go."""
    agent = TRPO("CartPole-v1", seed=0, network="torch", **SMALL)
    origin = agent.memory.policy.parameters.copy()
    rollout = agent.memory.rollout
    rollout.obs[:], rollout.advantages[:], rollout.log_probs[:] = 0.1, 0.0, np.log(0.5)
    make_update(agent.kernel, CATEGORICAL, plain)(agent.memory, rollout, 0.0)
    agent.advance(2, "python")
    return agent, (origin, None)


@pytest.mark.slow  # compiles for long
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_updates_end_in_the_same_weights_over_torch(env_id):
    ours, theirs = (TRPO(env_id, network=network, seed=0, **SMALL).learn(64, engine="python")
                    for network in ("numpy", "torch"))  # fmt: skip
    mine, other = ours.arrays(), theirs.arrays()
    for name in ("policy/parameters", "value/parameters", "spread"):
        assert np.abs(mine[name] - other[name]).max() < 2e-4, name


def test_every_other_step_is_enough_for_the_policy():
    agent, _ = played("CartPole-v1", sub_sampling_factor=3)
    assert agent.metrics()["train/n_updates"] == 1


def test_bad_input():
    with pytest.warns(RlplayWarning, match="batch_size=128 is more than the 20 steps"):
        assert TRPO("CartPole-v1", n_steps=20, seed=0).learn(20).metrics()["train/n_updates"] == 1
    with pytest.raises(HyperparameterError, match="target_kl=0"):
        TRPO("CartPole-v1", target_kl=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_it_solves_cart_pole(seed):
    agent = TRPO("CartPole-v1", n_envs=2, n_steps=512, batch_size=128, cg_damping=1e-3, gae_lambda=0.98,
                 n_critic_updates=20, seed=seed).learn(100_000)  # fmt: skip
    assert evaluate(agent, n_eval_episodes=20).mean >= 495


@pytest.mark.slow
def test_a_run_that_was_broken_off_goes_on_in_the_same_bits(tmp_path):
    whole = TRPO("CartPole-v1", seed=0, normalize=True, **SMALL).learn(400)
    part = TRPO("CartPole-v1", seed=0, normalize=True, **SMALL).learn(150, schedule_timesteps=400)
    again = rlplay.load(part.save(tmp_path / "part")).learn(250, reset_num_timesteps=False)
    for name, array in whole.arrays().items():
        assert np.array_equal(array, again.arrays()[name], equal_nan=True), name
