"""Evaluation: play whole episodes without learning, with seeds of its own, and say how sure the mean is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.native import NativeEnv
from rlplay.compiled.pcg64 import random_seed
from rlplay.compiled.table import TABLE_DYNAMICS, TableEnv
from rlplay.compiled.training_loop import evaluation_loop
from rlplay.environments.changes import say_changes
from rlplay.environments.interact import Position, interact
from rlplay.environments.make import EnvLike, make, make_anew, reference, time_limit
from rlplay.environments.masks import MaskSource
from rlplay.environments.running_moments import held, take_over
from rlplay.environments.side_by_side import is_side_by_side, taken_apart
from rlplay.environments.vector.native import NativeVectorEnv
from rlplay.errors import SpaceError, UsageError, counted, warn
from rlplay.seeding import check_seed, stream
from rlplay.training.checks import whole_number
from rlplay.training.learner import Learner
from rlplay.training.statistics import bootstrap_interval

_SIDE_BY_SIDE = 256  # episodes that are played at once


@dataclass(frozen=True)
class Evaluation:
    """The episodes of an evaluation.

    Attributes:
        returns: undiscounted return of each, shape [E], float64.
        lengths: steps of each, shape [E], int64.
        successes: whether each ended with ``info["is_success"]``, shape [E], bool; None where no environment says so.

    Example:
        >>> result = Evaluation(np.array([0.0, 1.0]), np.array([5, 7]))
        >>> result.mean, result.std
        (0.5, 0.5)
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    successes: NDArray[np.bool_] | None = None

    @property
    def success_rate(self) -> float | None:
        """The share of episodes that ended with success; None where no environment says so."""
        return None if self.successes is None else float(self.successes.mean())

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the returns over the episodes."""
        return float(self.returns.std())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the mean return."""
        return bootstrap_interval(self.returns)


def evaluate(
    agent: Learner,
    env: EnvLike | None = None,
    n_eval_episodes: int = 10,
    *,
    deterministic: bool = True,
    seed: int | None = None,
    max_steps: int = 10_000,
) -> Evaluation:
    """Play episodes with an agent; training is not disturbed.

    Args:
        agent: any agent with ``predict``.
        env: where to play; by default the agent's own environment, made anew. Of a VecEnv or a VectorEnv, whose
            environments are alike, the first one. Running means and deviations of its
            wrappers are those of the agent's environment, and stay as they are.
        n_eval_episodes: how many episodes.
        deterministic: whether the agent takes its best action.
        seed: seed of the evaluation; by default the agent's, so that the same episodes are played each time.
        max_steps: steps after which an episode is cut where the environment has no time limit; a greedy policy can
            walk in circles for ever. Said once.

    Raises:
        SpaceError: the environment has other spaces than the agent; shows both.
        UsageError: fewer than one episode, or something that is no agent or no environment.

    Example:
        >>> from agents import ValueIteration
        >>> agent = ValueIteration("FrozenLake-v1", gamma=1.0, seed=0).learn(1000)
        >>> result = evaluate(agent, n_eval_episodes=20)
        >>> result.returns.shape, result.mean > 0.5
        ((20,), True)
    """
    if not hasattr(agent, "predict") or isinstance(agent, type):
        raise UsageError(
            f"agent={agent!r} is no agent", "Write evaluate(agent, env); load a file with rlplay.load(path)"
        )
    n_eval_episodes = whole_number("n_eval_episodes", n_eval_episodes)
    max_steps = whole_number("max_steps", max_steps)
    if is_side_by_side(env):
        first = taken_apart(env, "evaluate").envs[0]
        env = None if first is getattr(agent, "env", None) else first
    env = check_env(env, "evaluate")
    if env is None:
        say_changes(agent.env)
    own = (
        make(env)
        if env is not None
        else make_anew(
            agent.env, "evaluate(agent) plays in the agent's environment made anew; give evaluate(agent, env) one, or"
        )
    )
    seeds = stream(agent.seed if seed is None else check_seed(seed), "evaluation")
    _check_spaces(agent, own)
    if env is not None:
        take_over(getattr(agent, "env", None), own)
    limit, successes = time_limit(own), None
    policy = _fixed_policy(agent, own) if deterministic else None
    if policy is not None and isinstance(own, TableEnv):
        returns, lengths = np.zeros(n_eval_episodes), np.zeros(n_eval_episodes, np.int64)
        play = evaluation_loop(TABLE_DYNAMICS)
        play(own.table.arrays, policy, own.rng, seeds, limit or max_steps, returns, lengths)
    elif deterministic and isinstance(own, NativeEnv) and agent.encoder.kind != "index" and not agent.follows_position:
        returns, lengths = _play_side_by_side(agent, own, seeds, n_eval_episodes, limit or max_steps)
    else:
        with held(own):
            returns, lengths, successes = _play(agent, own, seeds, n_eval_episodes, deterministic, limit or max_steps)
    if own is not env:
        own.close()
    if not limit and (lengths >= max_steps).any():
        warn(f"evaluation episodes were cut after {counted(max_steps, 'step')}: {reference(own)} has no time limit")
    return Evaluation(returns, lengths, successes)


def check_env(env: Any, owner: str) -> Any:
    """What a user gave as an environment to evaluate in, where it is none by its type alone refused.

    Raises:
        UsageError: a number, which stands where the number of episodes stands in other libraries.

    Example:
        >>> check_env(20, "evaluate")
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: evaluate: env=20 is no environment. Write n_eval_episodes=20
    """
    if isinstance(env, int | float | np.number):
        raise UsageError(f"{owner}: env={env!r} is no environment", f"Write n_eval_episodes={env!r}")
    return env


def _check_spaces(agent: Learner, env: gym.Env[Any, Any]) -> None:
    """Refuse an environment that the agent would only fail in midway."""
    for role in ("observation_space", "action_space"):
        mine, theirs = getattr(agent, role), getattr(env, role)
        if mine != theirs:
            raise SpaceError(
                f"the agent has {role} {mine} and the environment to evaluate in has {theirs}",
                "Take an environment with the same spaces",
            )


def _fixed_policy(agent: Learner, env: gym.Env[Any, Any]) -> NDArray[np.int64] | None:
    """The agent's best action in each state, for a native environment whose observations are the states; or None."""
    if not (isinstance(env, TableEnv) and env.observations.plain and env.actions.plain):
        return None
    if agent.follows_position:  # it plans anew at each step
        return None
    masks = {} if env.table.masks is None else {"action_masks": env.table.masks}
    actions, state = agent.predict(np.arange(env.observations.n), deterministic=True, **masks)
    return np.asarray(actions, dtype=np.int64) if state is None else None


def _play_side_by_side(
    agent: Learner, env: NativeEnv, seeds: NDArray[np.uint64], episodes: int, limit: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Play all episodes side by side, one call of the agent a step: the very episodes that `_play` plays."""
    given = [random_seed(seeds) for _ in range(episodes)]
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    for first in range(0, episodes, _SIDE_BY_SIDE):
        part = slice(first, first + _SIDE_BY_SIDE)
        envs = NativeVectorEnv(env, len(given[part]), max_episode_steps=limit, autoreset_mode="same-step")
        obs, _ = envs.reset(seed=given[part])
        running, starts, state = np.ones(envs.num_envs, bool), np.ones(envs.num_envs, bool), None
        while running.any():
            actions, state = agent.predict(obs, state, starts, deterministic=True)
            starts[:] = False
            obs, rewards, terminated, truncated, _ = envs.step(actions)
            returns[part] += np.where(running, rewards, 0.0)
            lengths[part] += running
            running &= ~(terminated | truncated)
    return returns, lengths


def _play(
    agent: Learner, env: gym.Env[Any, Any], seeds: NDArray[np.uint64], episodes: int, deterministic: bool, limit: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_] | None]:
    """Play step by step: returns, lengths and successes of the episodes."""
    state: Any = None
    starts, masks = np.ones(1, bool), MaskSource(env)

    def act(obs: Any) -> Any:
        nonlocal state
        agent.observe_position(position)
        mask = masks.of(position.info)
        if mask is None and getattr(agent, "masks_seen", False):  # masks are given now and then
            mask = masks.everything
        told = {} if mask is None else {"action_masks": mask}
        action, state = agent.predict(obs, state, starts, deterministic, **told)
        starts[0] = False
        return action

    returns, lengths, successes = [], [], []
    position = Position()
    for transition in interact(env, act, lambda: random_seed(seeds), position):
        if transition.terminated or transition.truncated or position.length >= limit:
            returns.append(position.episode_return)
            lengths.append(position.length)
            successes.append(transition.info.get("is_success"))
            position.clear()
            starts[0] = True
            if len(returns) == episodes:
                break
    known = None if all(one is None for one in successes) else np.array([bool(one) for one in successes])
    return np.array(returns), np.array(lengths), known
