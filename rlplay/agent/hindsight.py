"""Hindsight in off-policy agents: where goals lie in what they see, and the rewards of other goals.

How goals are put in place is in `rlplay.functional.hindsight`. The environment says what a goal is worth: as
Gymnasium-Robotics' GoalEnv has it, observations are a Dict of ``observation``, ``achieved_goal`` and ``desired_goal``,
and ``compute_reward(achieved_goal, desired_goal, info)`` takes batches of goals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import gymnasium as gym
import numpy as np

from rlplay.environments.bonus import Novelty
from rlplay.environments.make import reference
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import EnvironmentFault, HyperparameterError, SpaceError, counted, warn_once
from rlplay.functional.hindsight import STRATEGIES, Goals, find_whole_episodes, new_goals
from rlplay.functional.off_policy_step import OffPolicyIteration
from rlplay.functional.running_moments import scaled_rewards
from rlplay.hyperparameters.domains import Choice, Range

NSampledGoal = Annotated[
    int, Range("goals in hindsight beside its own that a step is learned with; 0: none", 0, 1000, integer=True)
]
GoalSelectionStrategy = Annotated[
    str, Choice("which steps of an episode such goals are taken from: later ones, its last one, any", STRATEGIES)
]

_OF_REWARDS = (gym.RewardWrapper, gym.wrappers.NormalizeReward, Novelty)
_PARTS = ("observation", "achieved_goal", "desired_goal")
_NO_HINDSIGHT = "Take n_sampled_goal=0, or an environment with goals, as Gymnasium-Robotics has them"


def goals_of(agent: Any) -> Goals | None:
    """Room for the goals of an agent's batches; None where it has no hindsight (``n_sampled_goal`` is 0).

    Args:
        agent: an `rlplay.agent.off_policy.OffPolicyAgent`, as far as its encoder is made.

    Raises:
        HyperparameterError: hindsight together with what it does not fit.
        SpaceError: an environment without goals.

    Example:
        >>> from agents import DQN
        >>> agent = DQN("rlplay/BitFlipping-v0", n_sampled_goal=4, buffer_size=1000, seed=0)
        >>> goals = goals_of(agent)
        >>> goals.achieved, goals.desired, goals.aims.shape
        (0, 8, (25, 8))
    """
    given, name = agent.hyperparameters, type(agent).__name__
    count = int(given.get("n_sampled_goal", 0))
    if count == 0:
        return None
    said = _said(name, count)
    if given.get("n_steps", 1) > 1:
        raise HyperparameterError(
            f"{said}, and a return of n_steps={given['n_steps']} has the rewards of the goal that was aimed at",
            "Take n_steps=1, or n_sampled_goal=0",
        )
    if given.get("prioritized", False):
        raise HyperparameterError(
            f"{said}, and the priorities of prioritized=True are those of the goal that was aimed at",
            "Take prioritized=False, or n_sampled_goal=0",
        )
    require_goals(name, count, agent.env)
    space: Any = agent.observation_space
    achieved, desired = space["achieved_goal"], space["desired_goal"]
    if not _is_goal(achieved) or _kind(achieved) != _kind(desired):
        raise SpaceError(
            f"{said}, which takes achieved_goal and desired_goal of one kind, arrays or finite: they are {achieved} "
            f"and {desired}",
            _NO_HINDSIGHT,
        )
    (from_achieved, seen), (from_desired, aimed) = (agent.encoder.view.part(part) for part in _PARTS[1:])
    if seen.size != aimed.size:
        raise SpaceError(f"{said}, and {achieved} and {desired} have other values", _NO_HINDSIGHT)
    return new_goals(
        int(given["batch_size"]), n_sampled_goal=count, strategy=given["goal_selection_strategy"],
        achieved=from_achieved, desired=from_desired, size=seen.size, n_envs=len(agent.running_envs()),
        dtype=agent.encoder.view.dtype,
    )  # fmt: skip


def _kind(space: gym.Space[Any]) -> tuple[Any, ...]:
    return type(space), space.shape, np.dtype(space.dtype).kind


def require_goals(owner: str, count: int, env: gym.Env[Any, Any]) -> None:
    """Refuse an environment without goals, or without rewards of others.

    Args:
        owner: who asks, for errors.
        count: its ``n_sampled_goal``.
        env: the environment.

    Raises:
        SpaceError: its observations are not of the three parts, or it has no ``compute_reward``.

    Example:
        >>> require_goals("SAC", 4, gym.make("CliffWalking-v1"))
        Traceback (most recent call last):
            ...
        rlplay.errors.SpaceError: SAC: n_sampled_goal=4 puts other goals in place afterwards, and CliffWalking-v1 has \
no goals: ...
    """
    space = env.observation_space
    if not isinstance(space, gym.spaces.Dict) or not all(part in space.spaces for part in _PARTS):
        raise SpaceError(
            f"{_said(owner, count)}, and {reference(env)} has no goals: its observations are {space}, and no Dict of "
            f"{', '.join(_PARTS)}",
            _NO_HINDSIGHT,
        )
    if not isinstance(env, NoEnvironment):
        reward_of(env, owner)


def _said(owner: str, count: int) -> str:
    return f"{owner}: n_sampled_goal={count} puts other goals in place afterwards"


def her_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """How Stable-Baselines3's constructors are told of hindsight; nothing without.

    Example:
        >>> her_arguments({"n_sampled_goal": 4, "goal_selection_strategy": "final"})["replay_buffer_kwargs"]
        {'n_sampled_goal': 4, 'goal_selection_strategy': 'final'}
        >>> her_arguments({"gamma": 0.99})
        {}
    """
    if not settings.get("n_sampled_goal"):
        return {}
    from stable_baselines3 import HerReplayBuffer

    words = ("n_sampled_goal", "goal_selection_strategy")
    return {
        "replay_buffer_class": HerReplayBuffer,
        "replay_buffer_kwargs": {word: settings[word] for word in words},
    }


def _is_goal(space: gym.Space[Any]) -> bool:
    return isinstance(space, gym.spaces.Box | gym.spaces.Discrete | gym.spaces.MultiDiscrete | gym.spaces.MultiBinary)


def reward_of(env: gym.Env[Any, Any], owner: str) -> Callable[..., Any]:
    """An environment's ``compute_reward``, through its wrappers.

    Raises:
        SpaceError: it has none.

    Example:
        >>> import numpy as np, rlplay
        >>> reward = reward_of(rlplay.make("rlplay/BitFlipping-v0"), "MyAgent")
        >>> reward(np.eye(8), np.eye(8)[0], {}).tolist()[:2]  # of 8 states, the first is the goal
        [0.0, -1.0]
    """
    found = env.get_wrapper_attr("compute_reward") if env.has_wrapper_attr("compute_reward") else None
    if not callable(found):
        raise SpaceError(
            f"{owner}: hindsight (n_sampled_goal) needs rewards of other goals, and {reference(env)} has no "
            "compute_reward(achieved_goal, desired_goal, info)",
            "Give it one, of batches of goals, or take n_sampled_goal=0",
        )
    wrapper: Any = env
    while isinstance(wrapper, gym.Wrapper):
        if isinstance(wrapper, _OF_REWARDS):
            warn_once(
                f"{owner}: rewards of other goals are those of compute_reward, without what {type(wrapper).__name__} "
                "makes of rewards"
            )
        wrapper = wrapper.env
    return found


def in_hindsight(agent: Any, step: OffPolicyIteration) -> OffPolicyIteration:
    """The step of an agent with other goals: between drawing a batch and updating, Python asks for its rewards.

    Args:
        agent: whose ``memory`` has goals.
        step: its step, which draws by `rlplay.functional.hindsight.drawing_goals`.

    Example:
        >>> from agents import DQN
        >>> small = {"learning_starts": 40, "batch_size": 4, "net_arch": [4], "buffer_size": 100, "train_freq": 1}
        >>> agent = DQN("rlplay/BitFlipping-v0", n_sampled_goal=4, seed=0, **small).learn(60)
        >>> in_hindsight(agent, agent._iteration).learn(agent.handed(agent.memory), 0.5, 2)
        >>> agent.lessons
        22
    """

    def learn(memory: Any, progress: float, times: int) -> None:
        """So many gradient steps; none before an episode is finished that is kept as a whole."""
        if times == 0 or not find_whole_episodes(agent.memory.replay, agent.memory.goals):
            return
        batch = agent.handed(agent.memory.batch)
        for _ in range(times):
            step.draw(memory, batch)
            put_rewards(agent)
            step.update(memory, batch, progress)

    def finish(memory: Any, step_buffer: Any, progress: float) -> bool:
        """Keep a step of all environments, and learn where that is due."""
        learn(memory, progress, step.keep_step(memory, step_buffer, progress))
        return step.goes_on(memory)

    return step._replace(learn=learn, finish=finish)


def put_rewards(agent: Any) -> None:
    """Write the rewards of the goals that were put in place into an agent's batch; its ``goal_reward`` knows them.

    Raises:
        EnvironmentFault: ``compute_reward`` fails, or gives something other than a number a goal.

    Example:
        >>> from agents import DQN
        >>> agent = DQN("rlplay/BitFlipping-v0", n_sampled_goal=1, batch_size=4, buffer_size=100, seed=0)
        >>> agent.goal_reward, agent.memory.goals.aims[1] = reward_of(agent.env, "DQN"), 1.0
        >>> put_rewards(agent)
        >>> agent.memory.batch.rewards.tolist()  # two of four have another goal; all bits are 0
        [0.0, -1.0, 0.0, 0.0]
    """
    goals: Goals = agent.memory.goals
    count, name = len(goals.aims), f"compute_reward of {reference(agent.env)}"
    if count == 0:
        return
    (_, achieved), (_, desired) = (agent.encoder.view.part(part) for part in _PARTS[1:])
    pairs = [view.observations(given) for view, given in ((achieved, goals.reached), (desired, goals.aims))]
    if not desired.space.shape:  # of a Discrete: B rows of a number, as Stable-Baselines3 keeps them
        pairs = [numbers.reshape(count, 1) for numbers in pairs]
    try:
        given = np.asarray(agent.goal_reward(*pairs, [{} for _ in range(count)]), np.float32)
    except Exception as error:
        raise EnvironmentFault(
            f"{name} raised {type(error).__name__} for {counted(count, 'goal')} at once: {error}", _BATCHES
        ) from error
    if given.size != count:
        raise EnvironmentFault(f"{name} gave shape {given.shape} for {counted(count, 'goal')} at once", _BATCHES)
    if not np.isfinite(given).all():
        raise EnvironmentFault(f"{name} gave {given[~np.isfinite(given)][0]}", "Give a number for each goal")
    agent.memory.batch.rewards[:count] = scaled_rewards(agent.memory.moments, given.ravel().astype(np.float64))


_BATCHES = (
    "It must take arrays of goals [B, ...] and a list of B infos, and give B rewards, as Gymnasium-Robotics' do; or "
    "take n_sampled_goal=0"
)


__all__ = [
    "GoalSelectionStrategy", "NSampledGoal", "goals_of", "her_arguments", "in_hindsight", "put_rewards",
    "require_goals", "reward_of",
]  # fmt: skip
