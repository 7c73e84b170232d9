"""PPO on CartPole in JAX, a peer of the benchmarks: environment, rollout and update in one compiled function.

The same settings, losses, initial weights' distribution and time limits as `agents.ppo`; written for these benchmarks,
as fast as we could make it: random numbers drawn a rollout at a time, scans over steps, epochs and minibatches, and any
number of iterations in one call. ``jax`` is not among rlplay's dependencies.

Source: Schulman et al. 2017; Florian 2007 (the dynamics, as Gymnasium's CartPole-v1).
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

LIMIT = 500  # steps of an episode


class Settings(NamedTuple):
    """As `agents.ppo` names them; ``widths`` are the hidden layers of either network."""

    n_envs: int = 4
    n_steps: int = 128
    batch_size: int = 128
    n_epochs: int = 4
    learning_rate: float = 3e-4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    widths: tuple[int, ...] = (64, 64)


class State(NamedTuple):
    """All that one iteration hands to the next; parameters and Adam's moments are one vector each."""

    parameters: jax.Array  # [P]
    m: jax.Array
    v: jax.Array
    t: jax.Array
    env: jax.Array  # [N, 4]
    length: jax.Array  # [N]
    key: jax.Array


def orthogonal(rng: np.random.Generator, n: int, m: int, gain: float) -> np.ndarray:
    """An [n, m] matrix with orthogonal rows or columns (Saxe et al. 2014)."""
    q, r = np.linalg.qr(rng.normal(size=(max(n, m), min(n, m))))
    q = q * np.sign(np.diag(r))
    return (gain * (q if n >= m else q.T)).astype(np.float32)


def initial_parameters(settings: Settings, seed: int) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Weights [inputs, outputs] and biases of the policy's and the value's layers."""
    rng, found = np.random.default_rng(seed), {}
    for name, outputs, gain in (("policy", 2, 0.01), ("value", 1, 1.0)):
        sizes = [4, *settings.widths, outputs]
        gains = [np.sqrt(2.0)] * len(settings.widths) + [gain]
        found[name] = [
            (orthogonal(rng, n, m, g), np.zeros(m, np.float32))
            for n, m, g in zip(sizes[:-1], sizes[1:], gains, strict=True)
        ]
    return found


def layers_of(parameters: jax.Array, settings: Settings) -> dict[str, list[tuple[jax.Array, jax.Array]]]:
    """The layers of both networks, cut from one vector in the order of `initial_parameters`."""
    found, at = {}, 0
    for name, outputs in (("policy", 2), ("value", 1)):
        sizes, found[name] = [4, *settings.widths, outputs], []
        for n, m in pairwise(sizes):
            weights, bias = parameters[at : at + n * m].reshape(n, m), parameters[at + n * m : at + n * m + m]
            found[name].append((weights, bias))
            at += n * m + m
    return found


def network(layers: Any, x: jax.Array) -> jax.Array:
    """Layers of tanh and a linear one on top."""
    for weights, bias in layers[:-1]:
        x = jnp.tanh(x @ weights + bias)
    weights, bias = layers[-1]
    return x @ weights + bias


def env_step(env: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
    """CartPole's next states [N, 4], and which of them are terminal."""
    x, x_dot, theta, theta_dot = env[:, 0], env[:, 1], env[:, 2], env[:, 3]
    force = jnp.where(action == 1, 10.0, -10.0)
    cos, sin = jnp.cos(theta), jnp.sin(theta)
    temp = (force + 0.05 * theta_dot**2 * sin) / 1.1
    theta_acceleration = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * cos**2 / 1.1))
    x_acceleration = temp - 0.05 * theta_acceleration * cos / 1.1
    env = jnp.stack(
        [x + 0.02 * x_dot, x_dot + 0.02 * x_acceleration, theta + 0.02 * theta_dot,
         theta_dot + 0.02 * theta_acceleration], 1
    )  # fmt: skip
    return env, (jnp.abs(env[:, 0]) > 2.4) | (jnp.abs(env[:, 2]) > 12 * 2 * np.pi / 360)


def loss_of(parameters: jax.Array, batch: jax.Array, settings: Settings) -> jax.Array:
    """PPO's loss over a minibatch [B, 8]: clipped surrogate, entropy, squared error of the values."""
    layers, obs = layers_of(parameters, settings), batch[:, :4]
    actions, old_log_probs, advantages, returns = (batch[:, i] for i in range(4, 8))
    advantages = (advantages - advantages.mean()) / (advantages.std(ddof=1) + 1e-8)
    log_pi = jax.nn.log_softmax(network(layers["policy"], obs))
    log_probs = jnp.where(actions == 1, log_pi[:, 1], log_pi[:, 0])
    ratio = jnp.exp(log_probs - old_log_probs)
    clipped = jnp.clip(ratio, 1 - settings.clip_range, 1 + settings.clip_range)
    surrogate = jnp.minimum(ratio * advantages, clipped * advantages).mean()
    entropy = -(jnp.exp(log_pi) * log_pi).sum(1).mean()
    gaps = network(layers["value"], obs)[:, 0] - returns
    return -surrogate - settings.ent_coef * entropy + settings.vf_coef * (gaps**2).mean()


def rollout(state: State, settings: Settings) -> tuple[State, jax.Array]:
    """T steps in N environments: observation, action, log-probability, advantage and return, [T N, 8]."""
    steps, n, layers = settings.n_steps, settings.n_envs, layers_of(state.parameters, settings)
    key, for_actions, for_starts = jax.random.split(state.key, 3)
    draws = jax.random.uniform(for_actions, (steps, n))
    starts = jax.random.uniform(for_starts, (steps, n, 4), minval=-0.05, maxval=0.05)

    def step(carried: Any, drawn: Any) -> Any:
        env, length = carried
        u, start = drawn
        logits = network(layers["policy"], env)
        margin = logits[:, 1] - logits[:, 0]
        action = (u < jax.nn.sigmoid(margin)).astype(jnp.int32)
        log_prob = jax.nn.log_sigmoid(jnp.where(action == 1, margin, -margin))
        after, terminated = env_step(env, action)
        length = length + 1
        truncated = (length >= LIMIT) & ~terminated
        ends = terminated | truncated
        kept = (env, action, log_prob, ends, truncated, after)
        return (jnp.where(ends[:, None], start, after), jnp.where(ends, 0, length)), kept

    (env, length), kept = jax.lax.scan(step, (state.env, state.length), (draws, starts))
    obs, actions, log_probs, ends, truncated, after = kept
    values_of = partial(network, layers["value"])
    values = values_of(obs.reshape(-1, 4)).reshape(steps, n)
    last = values_of(env)[:, 0]
    cut = jax.lax.cond(
        truncated.any(), lambda: values_of(after.reshape(-1, 4)).reshape(steps, n) * truncated,
        lambda: jnp.zeros((steps, n)),
    )  # fmt: skip
    following = jnp.where(ends, cut, jnp.concatenate([values[1:], last[None]]))
    deltas = 1.0 + settings.gamma * following - values

    def backwards(later: jax.Array, row: Any) -> Any:
        delta, end = row
        advantage = delta + settings.gamma * settings.gae_lambda * jnp.where(end, 0.0, later)
        return advantage, advantage

    _, advantages = jax.lax.scan(backwards, jnp.zeros(n), (deltas, ends), reverse=True)
    columns = jnp.stack([actions, log_probs, advantages, advantages + values], 2)
    rows = jnp.concatenate([obs, columns], 2).reshape(steps * n, 8)
    return state._replace(env=env, length=length, key=key), rows


def descend(state: State, gradient: jax.Array, settings: Settings) -> State:
    """A step of Adam (Kingma & Ba 2015) with the gradient cut to ``max_grad_norm``."""
    gradient *= jnp.minimum(1.0, settings.max_grad_norm / (jnp.sqrt((gradient**2).sum()) + 1e-6))
    t = state.t + 1
    m, v = 0.9 * state.m + 0.1 * gradient, 0.999 * state.v + 0.001 * gradient**2
    deviation = jnp.sqrt(v) / jnp.sqrt(1 - 0.999**t) + 1e-5
    parameters = state.parameters - settings.learning_rate / (1 - 0.9**t) * m / deviation
    return state._replace(parameters=parameters, m=m, v=v, t=t)


def iteration(state: State, settings: Settings) -> State:
    """A rollout and all epochs over it."""
    state, kept = rollout(state, settings)
    rows = settings.n_envs * settings.n_steps
    key, *keys = jax.random.split(state.key, settings.n_epochs + 1)
    order = jnp.concatenate([jax.random.permutation(k, rows) for k in keys]).reshape(-1, settings.batch_size)

    def minibatch(state: State, chosen: jax.Array) -> Any:
        return descend(state, jax.grad(loss_of)(state.parameters, kept[chosen], settings), settings), None

    return jax.lax.scan(minibatch, state._replace(key=key), order)[0]


@partial(jax.jit, static_argnums=(1, 2), donate_argnums=0)
def iterations(state: State, settings: Settings, many: int) -> State:
    """Many iterations in one call."""
    return jax.lax.fori_loop(0, many, lambda _, state: iteration(state, settings), state)


@partial(jax.jit, static_argnums=1)
def greedy_returns(layers: Any, episodes: int, key: jax.Array) -> jax.Array:
    """The returns of the best actions, one episode a row, at most 500."""

    def step(carried: Any, _: None) -> Any:
        env, going, total = carried
        env, terminated = env_step(env, network(layers, env).argmax(1))
        return (env, going & ~terminated, total + going), None

    start = jax.random.uniform(key, (episodes, 4), minval=-0.05, maxval=0.05)
    return jax.lax.scan(step, (start, jnp.ones(episodes, bool), jnp.zeros(episodes)), None, LIMIT)[0][2]


class JaxPPO:
    """The agent: ``learn`` runs whole iterations, ``compile`` all that it needs before."""

    def __init__(self, settings: Settings, seed: int = 0, block: int = 25) -> None:
        self.settings, self.block = settings, block
        layers = [pair for layers in initial_parameters(settings, seed).values() for pair in layers]
        parameters = jnp.concatenate([part.ravel() for pair in layers for part in pair])
        key, start = jax.random.split(jax.random.key(seed))
        env = jax.random.uniform(start, (settings.n_envs, 4), minval=-0.05, maxval=0.05)
        length = jnp.zeros(settings.n_envs, jnp.int32)
        self.state = State(
            parameters,
            jnp.zeros_like(parameters),
            jnp.zeros_like(parameters),
            jnp.zeros((), jnp.int32),
            env,
            length,
            key,
        )
        self.steps = 0

    def learn(self, steps: int) -> int:
        """At least so many steps in blocks of iterations; returns how many there were."""
        a_block = self.block * self.settings.n_envs * self.settings.n_steps
        blocks = -(-steps // a_block)
        for _ in range(blocks):
            self.state = iterations(self.state, self.settings, self.block)
        jax.block_until_ready(self.state)
        self.steps += blocks * a_block
        return blocks * a_block

    def returns(self, episodes: int = 50) -> np.ndarray:
        """Greedy returns."""
        layers = layers_of(self.state.parameters, self.settings)["policy"]
        return np.asarray(greedy_returns(layers, episodes, jax.random.key(1)))
