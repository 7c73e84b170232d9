"""From an agent to the manifest and arrays of a checkpoint, and back to the same bits."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import checkpoint, registry
from rlplay.compiled.table import TableEnv
from rlplay.errors import CheckpointError, RlplayError, SpaceError, warn
from rlplay.loop import ObservationCheck, Position, begin_episode
from rlplay.making import EnvLike, EnvReference, make, reference
from rlplay.observations import observation_digest
from rlplay.spaces import from_json, to_json

if TYPE_CHECKING:
    from rlplay.agent import Agent

A = TypeVar("A", bound="Agent")


@cache
def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    found = {"python": platform.python_version()}
    for package in ("rlplay", "gymnasium", "numpy", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def reference_of(agent: Agent) -> EnvReference:
    """The environment of an agent as far as a file can say it."""
    return reference(agent.env)


def pack(agent: Agent) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The manifest and arrays of an agent."""
    for name, value in agent.hyperparameters.items():
        if callable(value):
            raise CheckpointError(
                f"hyperparameter {name}={value!r} is a function, which a file cannot hold",
                "Give the schedule by name (lin_1_0.05, exp_1_0.05) or as a list of values",
            )
    ref, position = reference_of(agent), agent.position
    running = position.obs is not None
    manifest: dict[str, Any] = {
        "kind": "agent",
        "agent": agent.id,
        "versions": versions(),
        "env": {"id": ref.id, "kwargs": ref.kwargs, "dynamics": ref.dynamics, "exact": ref.exact},
        "spaces": {"observation": to_json(agent.observation_space), "action": to_json(agent.action_space)},
        "hyperparameters": agent.hyperparameters,
        "seed": agent.seed,
        "num_timesteps": agent.num_timesteps,
        "horizon": agent.horizon,
        "statistics": agent.statistics.state(),
        "position": {
            "running": running,
            "seed": position.seed if running else -1,
            "length": position.length if running else 0,
            "return": position.episode_return if running else 0.0,
            "next_action": agent._next_action,
            "recorded": running and position.actions is not None,
            "obs": observation_digest(position.obs) if running else "",
        },
        "extra": agent.extra_state(),
    }
    arrays = {f"agent/{name}": array for name, array in agent.arrays().items()}
    arrays["run/seeds"] = agent.seeds
    if running and isinstance(agent.env, TableEnv):
        arrays["run/table_state"] = np.array([agent.env.state, agent.env.elapsed])
        arrays["run/table_rng"] = agent.env.rng
    if running and position.actions is not None:
        actions = agent.action_space.to_jsonable(position.actions)
        try:
            arrays["run/actions"] = np.asarray(actions)
        except ValueError:
            manifest["position"]["actions"] = actions
    return manifest, arrays


def unpack(cls: type[A], path: str | Path, env: EnvLike | None, *, allow_nan: bool = False) -> A:
    """The agent in a file; see `Agent.load`."""
    content = checkpoint.read(path, allow_nan=allow_nan)
    manifest = content.manifest
    if manifest.get("kind") != "agent":
        raise CheckpointError(f"{path} holds no agent but {manifest.get('kind')!r}")
    if manifest.get("agent") != cls.id:
        raise CheckpointError(
            f"{path} holds the agent {manifest.get('agent')!r}, not {cls.id!r}",
            "Load it with rlplay.load(path), which takes the class from the file",
        )
    try:
        agent = _rebuild(cls, content, env)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise CheckpointError(f"{path}: its manifest lacks or garbles {error}") from error
    return agent


def load(path: str | Path, env: EnvLike | None = None, *, allow_nan: bool = False) -> Agent:
    """Load any registered agent from its file; see `Agent.load`.

    Raises:
        CheckpointError: damaged, refused, or written by an agent that is not registered here.
    """
    agent_id = str(checkpoint.read(path, allow_nan=allow_nan).manifest.get("agent"))
    try:
        cls = registry.agent_class(agent_id)
    except RlplayError as error:
        raise CheckpointError(f"{path} holds an {error.cause}", error.remedy) from error
    return cls.load(path, env, allow_nan=allow_nan)


def _rebuild(cls: type[A], content: checkpoint.Checkpoint, env: EnvLike | None) -> A:
    manifest, arrays = content.manifest, content.arrays
    spaces = {role: from_json(manifest["spaces"][role]) for role in ("observation", "action")}
    made = make(env) if env is not None else _environment(manifest["env"], spaces)
    for role in ("observation", "action"):
        theirs = getattr(made, f"{role}_space")
        if theirs != spaces[role]:
            raise SpaceError(
                f"the saved agent has {role} space {spaces[role]} and the environment has {theirs}",
                "Take the environment it was trained in, or train a new agent",
            )
    agent = cls(made, seed=manifest["seed"], **manifest["hyperparameters"])
    for name, target in agent.arrays().items():
        _copy(f"agent/{name}", arrays, target)
    _copy("run/seeds", arrays, agent.seeds)
    agent.num_timesteps, agent.horizon = int(manifest["num_timesteps"]), int(manifest["horizon"])
    agent.statistics.restore(manifest["statistics"])
    agent.restore_extra(manifest["extra"])
    if manifest["position"]["running"]:
        _stand(agent, manifest["position"], arrays)
    return agent


def _environment(saved: dict[str, Any], spaces: dict[str, gym.Space[Any]]) -> gym.Env[Any, Any]:
    """The environment that a file names, if it is registered; never an import that the file asks for."""
    from rlplay.agent import NoEnvironment

    ref = EnvReference(str(saved["id"]), dict(saved["kwargs"]))
    if ref.id and not ref.typed:
        try:
            return make(
                ref.id, dynamics="auto" if saved["dynamics"].startswith("native") else "gymnasium", **ref.kwargs
            )
        except RlplayError:
            pass
    return NoEnvironment(spaces["observation"], spaces["action"], str(ref))


def _copy(name: str, arrays: dict[str, NDArray[Any]], target: NDArray[Any]) -> None:
    found = arrays.get(name)
    if found is None:
        raise CheckpointError(f"the file lacks the array {name}")
    if found.shape != target.shape or found.dtype != target.dtype:
        raise CheckpointError(
            f"{name} is {found.dtype} of shape {found.shape} in the file, {target.dtype} of {target.shape} in the agent"
        )
    target[...] = found


def _stand(agent: Agent, saved: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Stand in the middle of the episode in which the file was written, or at its end where that cannot be."""
    from rlplay.agent import NoEnvironment

    env, position = agent.env, agent.position
    if isinstance(env, NoEnvironment):
        return
    actions = _actions(agent, saved, arrays)
    if isinstance(env, TableEnv) and "run/table_state" in arrays:
        env.state, env.elapsed = (int(value) for value in arrays["run/table_state"])
        _copy("run/table_rng", arrays, env.rng)
        position.obs = env.observations.value(env.state)
    elif actions is not None and _replayed(env, position, int(saved["seed"]), actions, saved["obs"]):
        pass
    else:
        agent.give_up_episode()
        warn(
            f"the episode with seed {saved['seed']} cannot be replayed in this environment: the run goes on with the "
            "next episode, and is not bit-exact"
        )
        return
    position.seed, position.length, position.episode_return = (
        int(saved["seed"]), int(saved["length"]), float(saved["return"]),
    )  # fmt: skip
    position.actions = actions
    agent._next_action = int(saved["next_action"])


def _actions(agent: Agent, saved: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> list[Any] | None:
    if not saved["recorded"]:
        return None
    listed = saved["actions"] if "actions" in saved else arrays["run/actions"].tolist()
    return list(agent.action_space.from_jsonable(listed))


def _replayed(env: gym.Env[Any, Any], position: Position, seed: int, actions: list[Any], digest: str) -> bool:
    """Whether an episode could be replayed to the very observation at which it stood."""
    check = ObservationCheck(env)
    begin_episode(env, position, seed, check)
    for action in actions:
        obs, _, terminated, truncated, position.info = env.step(action)
        if terminated or truncated:
            return False
        position.obs = check(obs, position)
    return observation_digest(position.obs) == digest
