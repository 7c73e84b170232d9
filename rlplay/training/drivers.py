"""The two drivers of a learning rule: a step at a time over any environment, and a chunk of steps in native code.

For the same seed both give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from rlplay.approximation.native_features import native_world, state_of, why_not_encoded
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.pcg64 import random_seed
from rlplay.compiled.table import TableEnv
from rlplay.compiled.training_loop import RunState, training_loop
from rlplay.environments.instances import why_not_native
from rlplay.environments.interact import interact
from rlplay.environments.make import reference
from rlplay.errors import EnvironmentFault, counted
from rlplay.training.learner import RuleLearner
from rlplay.transition import Transition


def why_not_compiled(agent: RuleLearner) -> str:
    """Why a rule cannot run in the native loop; empty where it can."""
    if agent.rule is None:
        return f"{type(agent).__name__} has no compiled rule"
    if not all(hasattr(function, "py_func") for function in (agent.rule.act, agent.rule.learn, agent.rule.begin)):
        return f"the rule of {type(agent).__name__} is not compiled: decorate its functions with @in_place"
    name = reference(agent.env).id
    return why_not_native(agent.env) or why_not_encoded(agent.env, agent.encoder, type(agent).__name__, name)


def learn_stepwise(agent: RuleLearner) -> Iterator[tuple[Transition, float]]:
    """The stepwise driver: Transitions from `interact`, each handed to the agent's rule; yields it and its TD error."""
    position, started = agent.position, False

    def act(observation: Any) -> Any:
        nonlocal started
        if not started or position.length == 0:  # later ones are seen before the update
            agent.see_mask(observation, position.info)
            started = True
        return agent.act(observation)

    for transition in interact(agent.env, act, lambda: random_seed(agent.seeds), position):
        agent.see_mask(transition.next_obs, transition.info, transition.terminated)
        td_error = agent.update(transition)
        if transition.terminated or transition.truncated:
            agent.statistics.finish(position.episode_return, position.length, agent.num_timesteps, transition.info)
        yield transition, td_error


def advance_stepwise(agent: RuleLearner, timesteps: int) -> int:
    """A number of steps of the stepwise driver."""
    return sum(1 for _ in islice(learn_stepwise(agent), timesteps))


def advance_compiled(agent: RuleLearner, timesteps: int) -> int:
    """The compiled driver: the same steps in one native call.

    Example:
        >>> from agents import QLearning
        >>> agent = QLearning("FrozenLake-v1", seed=0)
        >>> advance_compiled(agent, 100), agent.num_timesteps
        (100, 100)
    """
    env, rule, position, log, statistics = agent.env, agent.rule, agent.position, agent.episode_log, agent.statistics
    assert isinstance(env, TableEnv | NativeEnv)
    assert rule is not None
    state = -1 if position.obs is None else env.state if isinstance(env, TableEnv) else 0
    whole = (agent.num_timesteps, statistics.episodes, state, position.length, position.seed, agent.next_action)
    scores = (position.episode_return, statistics.total_return)
    run = RunState(*(np.array([n]) for n in whole), *(np.array([x], np.float64) for x in scores))
    dynamics, parameters = native_world(env, agent.encoder)
    done = training_loop(dynamics, rule)(
        parameters, env.rng, agent.seeds, agent.memory, run, log, timesteps, env.max_episode_steps,
        float(max(agent.horizon, 1)),
    )  # fmt: skip
    agent.num_timesteps, agent.next_action = int(run.timestep[0]), int(run.next_action[0])
    statistics.episodes, statistics.total_return = int(run.episodes[0]), float(run.total_return[0])
    statistics.take_log(log)
    episode_return = float(run.episode_return[0])
    finite = np.isfinite(episode_return) and np.isfinite(run.total_return[0])
    if isinstance(env, NativeEnv) and not (finite and np.isfinite(env.world.obs).all()):
        raise EnvironmentFault(
            f"{reference(env)} gave numbers that are not finite within the {counted(done, 'step')} before timestep "
            f"{agent.num_timesteps:,}: observation {env.world.obs}, return {episode_return:g}",
            "Everything saved before is unharmed; engine='python' finds the step",
        )
    running = int(run.state[0]) >= 0
    env.elapsed = int(run.length[0])
    if isinstance(env, TableEnv):
        env.state = state_of(env, parameters, int(run.state[0]))
    position.seed, position.length, position.episode_return = int(run.seed[0]), int(run.length[0]), episode_return
    if timesteps:
        position.obs = env.observation() if running else None
        position.actions = position.last_step = None
    return int(done)
