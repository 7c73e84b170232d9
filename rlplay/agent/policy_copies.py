"""Copies of an agent's policy beside its environments on Ray: they play on until the next update, in the same bits.

While the weights stay as they are, whoever has them, the random numbers and its own environments' observations knows
what the agent will do. So an actor plays the rest of a rollout by itself and sends it in a few pieces; the agent goes
through the same steps, chooses as always, and takes what was sent in place of waiting for a step of its own. What it
chose is compared with what the copy took: where they differ (processors that round otherwise), the copies are given up
and the environments stepped as without them. Nothing is stale, and nothing is other than without copies.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.pcg64 import random_seed
from rlplay.environments.interact import RunningEnv
from rlplay.environments.no_environment import NoEnvironment
from rlplay.environments.vector.ray_pool import Actor, RayPool, shown
from rlplay.environments.vector.remote import PlayedStep, RemoteEnvs
from rlplay.errors import warn_once

_PIECE = 0.02  # seconds of play that are sent together; the agent goes through them while the next are played
_FEWEST, _MOST = 8, 64  # pieces of a rollout


class Foreseen(Protocol):
    """What is asked of an agent, see `rlplay.agent.vector_agent.VectorAgent`."""

    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]
    seed: int
    num_timesteps: int
    horizon: int
    memory: Any

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What it was made with."""

    def running_envs(self) -> list[RunningEnv]:
        """All environments that are played."""

    def rounds_ahead(self) -> int:
        """Steps that a copy can foresee."""

    def acting_arrays(self) -> dict[str, NDArray[Any]]:
        """What the choice of an action depends on."""


class PolicyCopies:
    """What an agent knows of the copies in the actors that play its environments.

    Args:
        agent: the agent.
        envs: its environments, those on Ray among them.
    """

    def __init__(self, agent: Foreseen, envs: RemoteEnvs) -> None:
        assert isinstance(envs.pool, RayPool)
        self._agent, self._envs, self._pool = agent, envs, envs.pool
        self._asked: deque[list[Any]] = deque()  # answers that are still to come, a list with one an actor for each
        self._played: deque[PlayedStep] = deque()
        self._seconds = 0.0  # that the slowest actor took for a step of its environments; 0 is not known yet
        self._are_there = self._given_up = False

    def play_on(self) -> None:
        """Before the agent chooses: have the copies play up to the next update, where nothing is on its way."""
        if self._played or self._asked or self._given_up:
            return
        rounds = self._agent.rounds_ahead()
        if rounds < 2:
            return
        if not self._are_there:
            agent, self._are_there = self._agent, True
            spaces = agent.observation_space, agent.action_space
            made_of = self._pool.shared((type(agent), agent.hyperparameters, agent.seed, spaces))
            self._pool.answers(self._pool.ask("copy", made_of))
        told = self._pool.shared(_told(self._agent, self._envs.first))
        wished = _PIECE / self._seconds if self._seconds else rounds
        piece = math.ceil(min(max(wished, rounds / _MOST), rounds / _FEWEST))
        for begin in range(0, rounds, piece):
            self._asked.append(self._pool.ask("play", told if begin == 0 else None, min(piece, rounds - begin)))

    def next_step(self, actions: list[NDArray[Any]]) -> PlayedStep | None:
        """What the next step gave, if it was taken with these actions; None where it was not taken yet."""
        if not self._played and self._asked:
            answers = self._pool.answers(self._asked.popleft())
            self._seconds = max(seconds for seconds, _ in answers) / len(answers[0][1])
            self._played.extend(_steps([steps for _, steps in answers]))
        if not self._played:
            return None
        step = self._played.popleft()
        if all(np.array_equal(one, other) for one, other in zip(step.actions, actions, strict=True)):
            return step
        warn_once(
            "the copies of the policy on Ray chose other actions than the agent (processors that round otherwise?): "
            "the agent chooses all of them from now on"
        )
        self._given_up = True
        while self._asked:
            self._pool.answers(self._asked.popleft())
        self._played.clear()
        self._envs.stand_where_the_run_does()
        return None


def _told(agent: Foreseen, first: int) -> dict[str, Any]:
    """What a copy needs to choose what the agent will choose."""
    memory, envs = agent.memory, agent.running_envs()[first:]
    return {
        "arrays": agent.acting_arrays(), "obs": memory.obs, "masks": memory.masks,
        "at": (agent.num_timesteps, agent.horizon, agent.memory.rollout.filled),
        "seeds": np.stack([one.seeds for one in envs]),
    }  # fmt: skip


def _steps(answers: list[Any]) -> list[PlayedStep]:
    """The steps of one piece from all actors, those of all environments side by side."""
    found = []
    for parts in zip(*answers, strict=True):
        infos = [info for part in parts for info in part.infos]
        resets = {i: begun for part in parts for i, begun in part.resets.items()}
        rows, actions = ([np.concatenate(arrays) for arrays in zip(*of_all, strict=True)]
                         for of_all in ([part.rows for part in parts], [part.actions for part in parts]))  # fmt: skip
        found.append(PlayedStep(actions, rows, infos, resets))
    return found


class CopyActor(Actor):
    """A share of the environments, and a copy of the agent that plays in them."""

    def copy(self, made_of: tuple[Any, dict[str, Any], int, tuple[gym.Space[Any], gym.Space[Any]]]) -> None:
        """Make the copy."""
        cls, hyperparameters, seed, spaces = made_of
        self._agent = cls(NoEnvironment(*spaces, "played on Ray"), seed=seed, **hyperparameters)

    def play(self, told: dict[str, Any] | None, rounds: int) -> tuple[float, list[PlayedStep]]:
        """So many steps of each environment, and the seconds that they took."""
        if told is not None:
            self._take(told)
        start = time.perf_counter()
        steps = [self._play() for _ in range(rounds)]
        return time.perf_counter() - start, steps

    def _take(self, told: dict[str, Any]) -> None:
        agent, masks = self._agent, told["masks"]
        for name, array in agent.acting_arrays().items():
            array[...] = told["arrays"][name]
        if len(masks):
            agent.expect_masks()
        agent.memory.obs[:], agent.memory.masks[:] = told["obs"], masks
        agent.num_timesteps, agent.horizon, agent.memory.rollout.filled[:] = told["at"]
        self._seeds = told["seeds"].copy()

    def _play(self) -> PlayedStep:
        agent, envs, before = self._agent, self._envs, self._envs.before
        assert envs.buffers is not None
        memory, buffers, infos, resets = agent.memory, envs.buffers, [], {}
        if hasattr(memory, "progress"):
            memory.progress[0] = agent.progress
        agent._iteration.choose(agent.handed(memory))
        for k in range(len(envs.envs)):
            i, position = envs.first + k, envs.positions[k]
            action = agent._taken(memory.actions[before + i])
            buffers.actions.put(i, action)
            step = envs.take(k, action)
            buffers.rewards[i], buffers.terminated[i], buffers.truncated[i] = (
                step.reward, step.terminated, step.truncated
            )  # fmt: skip
            buffers.obs.put(i, step.next_obs)
            if step.info:
                infos.append((i, step.info))
            if step.terminated or step.truncated:
                seed = random_seed(self._seeds[i])
                info = envs.begin(k, seed)
                resets[i] = seed, position.obs, info
            agent._iteration.look(agent.handed(memory), agent.encoder.view.vector(position.obs), memory.obs[before + i])
            agent._mask(before + i, position.info)
        agent.num_timesteps += len(memory.obs)
        memory.rollout.filled[0] += len(memory.obs)
        actions, rows = ([array[self._share].copy() for array in arrays]
                         for arrays in (buffers.actions.arrays, shown(buffers)))  # fmt: skip
        return PlayedStep(actions, rows, infos, resets)
