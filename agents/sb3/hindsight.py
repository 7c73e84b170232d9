"""Hindsight experience replay: what an episode reached becomes the goal of steps that it is learned from.

Stable-Baselines3's `HerReplayBuffer` does it: of each batch the share n / (n + 1), where n is ``n_sampled_goal``, has
another goal and the reward that belongs to it, which the environment's ``compute_reward`` says.

Source: Andrychowicz et al. 2017, "Hindsight Experience Replay", algorithm 1 and section 4.5.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from stable_baselines3 import HerReplayBuffer

from rlplay.extend import HyperparameterError, UsageError, require_goals

_TOO_EARLY = "before the end of the first episode"  # as Stable-Baselines3 says that there is nothing to draw


def refuse_without_goals(owner: str, settings: Mapping[str, Any], env: gym.Env[Any, Any]) -> None:
    """Stop where settings ask for hindsight and there are no goals to see.

    Raises:
        SpaceError: the environment has none, or cannot say the reward of another goal.
        HyperparameterError: features stand between observations and agent.

    Example:
        >>> refuse_without_goals("SAC", {"gamma": 0.99}, gym.make("CartPole-v1"))
    """
    count = settings.get("n_sampled_goal", 0)
    if not count:
        return
    require_goals(owner, count, env)
    if settings["features"] is not None:
        raise HyperparameterError(
            f"{owner}: n_sampled_goal={count} puts goals into observations, and features hide them",
            "Leave one of them out",
        )


def end_episodes(buffer: Any) -> None:
    """The running episodes are given up: what they were so far is an episode cut there; of any other buffer nothing is.

    Example:
        >>> end_episodes("no buffer of goals in hindsight")
    """
    if isinstance(buffer, HerReplayBuffer):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            buffer.truncate_last_trajectory()


def draws_too_early(error: Exception) -> bool:
    """Whether learning began before an episode ended, so that there is nothing to draw from.

    Example:
        >>> draws_too_early(RuntimeError("Unable to sample before the end of the first episode."))
        True
    """
    return _TOO_EARLY in str(error)


def no_whole_episode(owner: str, model: Any) -> UsageError:
    """The error for a buffer that holds no whole episode: it is too small, or it was empty a moment ago.

    Example:
        >>> from types import SimpleNamespace as Model
        >>> buffer = Model(full=False, pos=2)
        >>> no_whole_episode("SAC", Model(replay_buffer=buffer, n_envs=1, num_timesteps=2)).remedy
        'Raise learning_starts above the length of an episode'
    """
    buffer, n_envs = model.replay_buffer, model.n_envs
    if buffer.full:
        return UsageError(
            f"{owner}: buffer_size={buffer.buffer_size * n_envs} holds no whole episode, from which goals are drawn",
            "Raise buffer_size",
        )
    before = model.num_timesteps - buffer.pos * n_envs
    words = "Raise learning_starts above the length of an episode"
    if before > 0:  # of a zip, which has no buffer
        words = (
            f"Raise learning_starts above {before:,} and the length of an episode: load(path, learning_starts=N), or "
            "rlplay import -params learning_starts:N"
        )
    return UsageError(
        f"{owner}: no episode has ended by timestep {model.num_timesteps:,}, and other goals are drawn from episodes "
        "that ended",
        words,
    )


__all__ = ["draws_too_early", "end_episodes", "no_whole_episode", "refuse_without_goals"]
