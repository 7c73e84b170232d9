"""From an agent to the manifest and arrays of a checkpoint, and back to the same bits."""

from __future__ import annotations

import math
import platform
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.approximation import packing
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv
from rlplay.environments.bonus import novelty_of
from rlplay.environments.interact import ObservationCheck, Position, RunningEnv, begin_episode
from rlplay.environments.left_alone import led_on
from rlplay.environments.make import EnvLike, make, reference
from rlplay.environments.memory import memory_of
from rlplay.environments.names import gymnasium_wrapper, wrap_by_name
from rlplay.environments.no_environment import NoEnvironment
from rlplay.environments.reference import EnvReference
from rlplay.environments.running_moments import learn_from, learned
from rlplay.environments.side_by_side import SideBySide
from rlplay.environments.wrappers import listed
from rlplay.errors import CheckpointError, RlplayError, SpaceError, UsageError, one_line, warn
from rlplay.hyperparameters.fields import as_json
from rlplay.spaces.actions import actions_from_json, as_played
from rlplay.spaces.finite import FiniteSpace, from_json, to_json
from rlplay.spaces.observations import observation_digest, seen_before
from rlplay.storage import checkpoint
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.ranges import COUNT, Ranges, check_generators, check_number, check_ranges, or_none, under
from rlplay.training.statistics import EpisodeStatistics


class Savable(Protocol):
    """What a file keeps of an agent; see `rlplay.Agent` for each."""

    id: ClassVar[str]
    env: gym.Env[Any, Any]
    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]
    hyperparameters: dict[str, Any]
    seed: int
    num_timesteps: int
    horizon: int
    next_action: int
    numbering: FiniteSpace | None
    statistics: EpisodeStatistics

    def __init__(self, env: EnvLike, *, seed: int | None = None, **hyperparameters: Any) -> None: ...
    def arrays(self) -> dict[str, NDArray[Any]]: ...
    def load_arrays(self, arrays: dict[str, NDArray[Any]]) -> None: ...
    def ranges(self) -> Ranges: ...
    def check(self) -> None: ...
    def models(self) -> dict[str, Any]: ...
    def restore_models(self, models: dict[str, Any]) -> None: ...
    def extra_state(self) -> dict[str, Any]: ...
    def restore_extra(self, state: dict[str, Any]) -> None: ...
    def running_envs(self) -> list[RunningEnv]: ...
    def give_up_episode(self) -> None: ...


A = TypeVar("A", bound=Savable)


@cache
def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    found = {"python": platform.python_version()}
    for package in ("rlplay", "gymnasium", "numpy", "numba", "torch", "stable-baselines3", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


@cache
def _say_versions(differences: str) -> None:
    warn(f"{differences}: going on may not give the same bits")


def _compare_versions(saved: Any) -> None:
    """Say once which libraries of a file differ from those that run."""
    listed = saved if isinstance(saved, dict) else {}
    pairs = [(name, str(listed.get(name, "unknown")), here) for name, here in versions().items() if name != "python"]
    other = [pair for pair in pairs if "unknown" not in pair and pair[1] != pair[2]]
    if other:
        wrote, run = (", ".join(f"{pair[0]} {pair[k]}" for pair in other) for k in (1, 2))
        _say_versions(f"a file was written with {wrote}, and {run} {'run' if len(other) > 1 else 'runs'} here")


def pack(agent: Savable) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The manifest and arrays of an agent."""
    ref = reference(agent.env)
    manifest: dict[str, Any] = {
        "kind": "agent",
        "agent": agent.id,
        "versions": versions(),
        "env": {
            "id": ref.id,
            "kwargs": ref.kwargs,
            "dynamics": ref.dynamics,
            "exact": ref.exact,
            **({"wrappers": [{"name": name, "kwargs": said} for name, said in ref.wrappers]} if ref.wrappers else {}),
            **({"unsaved": [*ref.unsaved]} if ref.unsaved else {}),
        },
        "spaces": {"observation": to_json(agent.observation_space), "action": to_json(agent.action_space)},
        "hyperparameters": as_json(agent.hyperparameters),
        "seed": agent.seed,
        "num_timesteps": agent.num_timesteps,
        "horizon": agent.horizon,
        "next_action": agent.next_action,
        "statistics": agent.statistics.state(),
        "extra": agent.extra_state(),
    }
    arrays = {f"agent/{name}": array for name, array in agent.arrays().items()}
    manifest["models"] = {name: packing.pack(model, arrays, f"models/{name}") for name, model in agent.models().items()}
    memory = memory_of(agent.env)
    if memory is not None and (packed := memory.pack(arrays, "memory")) is not None:
        manifest["memory"] = packed
    envs = enumerate(agent.running_envs())
    manifest["lanes"] = [_pack_running_env(agent, one, arrays, f"run/{i}") for i, one in envs]
    return manifest, arrays


def _pack_running_env(
    agent: Savable, running_env: RunningEnv, arrays: dict[str, NDArray[Any]], prefix: str
) -> dict[str, Any]:
    """Where a run stands in one of its environments: JSON values; its arrays are added under the prefix."""
    position = running_env.position
    running = position.obs is not None
    packed: dict[str, Any] = {
        "running": running,
        "seed": position.seed if running else -1,
        "length": position.length if running else 0,
        "return": position.episode_return if running else 0.0,
        "recorded": running and position.actions is not None,
        "obs": observation_digest(position.obs) if running else "",
    }
    arrays[f"{prefix}/seeds"] = running_env.seeds
    if running and isinstance(running_env.env, TableEnv | NativeEnv):
        arrays.update({f"{prefix}/env/{name}": array for name, array in running_env.env.state_arrays().items()})
    moments = position.moments if running else learned(running_env.env)
    arrays.update({f"{prefix}/moments/{name}": array for name, array in moments.items()})
    bonus = novelty_of(running_env.env)
    if bonus is not None:
        packed["bonus"] = bonus.pack(arrays, f"{prefix}/bonus")
    if running and position.actions is not None:
        actions = agent.action_space.to_jsonable(position.actions)
        try:
            array = np.asarray(actions)
        except ValueError:  # parts of different shapes
            array = np.asarray(None)
        if array.dtype == object:
            packed["actions"] = actions
        else:
            arrays[f"{prefix}/actions"] = array
    return packed


def warn_of_unsavable(agent: Savable) -> None:
    """Say before anything is learned that an estimator of the agent's will not be in its file."""
    from rlplay.approximation.feature_map import FeatureMap

    for name, value in agent.hyperparameters.items():
        estimator = value.estimator if isinstance(value, FeatureMap) else value
        if hasattr(estimator, "fit") and (reason := packing.why_not_saved(estimator)):
            warn(
                f"{type(agent).__name__} cannot be saved with {name}={type(estimator).__name__}: {reason}. What it "
                "learns is lost at the end; take an estimator whose parameters and fitted attributes are numbers, "
                "texts and arrays"
            )


# Whether an agent is made whose weights come from a file: then none need be drawn, which takes long for large networks.
LOADING: ContextVar[bool] = ContextVar("LOADING", default=False)


def unpack(
    cls: type[A], path: str | Path, env: EnvLike | SideBySide | None, *, allow_nan: bool = False,
    content: Any = None, changes: Mapping[str, Any] | None = None,
) -> A:  # fmt: skip
    """The agent in a file, whose content may have been read already, with changed settings; see `Agent.load`."""
    content = checkpoint.read(path, allow_nan=allow_nan) if content is None else content
    manifest = content.manifest
    if manifest.get("kind") != "agent":
        raise CheckpointError(f"{path} holds no agent but {manifest.get('kind')!r}")
    if manifest.get("agent") != cls.id:
        raise CheckpointError(
            f"{path} holds the agent {manifest.get('agent')!r}, not {cls.id!r}",
            "Load it with rlplay.load(path), which takes the class from the file",
        )
    try:
        agent = _rebuild(cls, content, env, changes or {})
    except CheckpointError as error:
        if not changes:
            raise
        said = ", ".join(f"{name}={value!r}" for name, value in changes.items())
        raise UsageError(
            f"{path} does not go on with {said}: {error.cause}",
            "What shapes an agent's arrays stays as it was; a new agent takes it",
        ) from error
    except RlplayError:
        raise
    except Exception as error:  # whatever its numbers lead to
        what = one_line(error)
        raise CheckpointError(f"{path}: what it holds cannot be, {type(error).__name__}: {what}") from error
    _compare_versions(manifest.get("versions"))
    return agent


def load(path: str | Path, env: EnvLike | None = None, *, allow_nan: bool = False) -> Any:
    """Load any registered agent from its file; see `Agent.load`.

    Raises:
        CheckpointError: damaged, refused, or written by an agent that is not registered here.

    Example:
        >>> import tempfile
        >>> from agents import QLearning
        >>> agent = QLearning("FrozenLake-v1", seed=0).learn(100)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     loaded = load(agent.save(Path(folder) / "agent"))
        >>> loaded.num_timesteps, bool((loaded.q == agent.q).all())
        (100, True)
    """
    content = checkpoint.read(path, allow_nan=allow_nan)
    agent_id = str(content.manifest.get("agent"))
    try:
        cls = registry.agent_class(agent_id)
    except RlplayError as error:
        raise CheckpointError(f"{path} holds an {error.cause}", error.remedy) from error
    return cls.load(path, env, allow_nan=allow_nan, content=content)


def _rebuild(
    cls: type[A], content: checkpoint.Checkpoint, env: EnvLike | SideBySide | None, changes: Mapping[str, Any]
) -> A:  # fmt: skip
    manifest, arrays = content.manifest, content.arrays
    first, beside = (env.envs[0], env.envs[1:]) if isinstance(env, SideBySide) else (env, [])
    spaces = {role: from_json(manifest["spaces"][role]) for role in ("observation", "action")}
    made = _environment(manifest["env"], spaces) if first is None else _given(first, manifest["env"])
    for role in ("observation", "action"):
        theirs = getattr(made, f"{role}_space")
        if theirs != spaces[role]:
            raise SpaceError(
                f"the saved agent has {role} space {spaces[role]} and the environment has {theirs}",
                "Take the environment it was trained in, or train a new agent",
            )
    check_generators(arrays)
    memory = memory_of(made)
    if memory is not None and "memory" in manifest:  # before the first episode, which fits one that is not
        memory.unpack(manifest["memory"], arrays, "memory")
    settings = {"seed": manifest["seed"], **manifest["hyperparameters"], **changes}
    count = settings.get("n_envs", 1)
    given: Any = SideBySide([made, *beside[: count - 1]]) if 1 < count <= 1 + len(beside) else made
    token = LOADING.set(True)
    try:
        agent = cls(given, **settings)
    finally:
        LOADING.reset(token)
    agent.restore_models({name: packing.unpack(packed, arrays) for name, packed in manifest["models"].items()})
    check_ranges(arrays, under("agent", agent.ranges()))
    try:
        agent.load_arrays({n.removeprefix("agent/"): a for n, a in arrays.items() if n.startswith("agent/")})
    except CheckpointError as error:
        before = seen_before(agent.observation_space)
        if error.remedy or not before:
            raise
        raise CheckpointError(
            error.cause, f"It may be of an earlier version, which saw {before}: train it again"
        ) from error
    agent.check()
    for name in ("num_timesteps", "horizon"):
        setattr(agent, name, check_number(name, manifest[name], COUNT))
    agent.statistics.restore(manifest["statistics"])
    agent.restore_extra(manifest["extra"])
    n_actions = agent.numbering.n if agent.numbering is not None else 0
    agent.next_action = check_number("next_action", manifest["next_action"], or_none(n_actions))
    resumed = True
    for i, (running_env, saved) in enumerate(zip(agent.running_envs(), manifest["lanes"], strict=True)):
        own = {n.removeprefix(f"run/{i}/"): a for n, a in arrays.items() if n.startswith(f"run/{i}/")}
        copy_into("seeds", own, running_env.seeds)
        moments = {n.removeprefix("moments/"): a for n, a in own.items() if n.startswith("moments/")}
        learn_from(running_env.env, moments)
        if saved["running"] and resumed:
            resumed = _resume_episode(agent, running_env, saved, own)
        led_on(running_env.env)
        bonus = novelty_of(running_env.env)
        if bonus is not None and "bonus" in saved:  # after the replay, which taught it again
            bonus.unpack(saved["bonus"], arrays, f"run/{i}/bonus")
    if not resumed:
        agent.give_up_episode()
    return agent


def _given(env: EnvLike, saved: dict[str, Any]) -> gym.Env[Any, Any]:
    """The environment that a user gives with a file; other wrappers than the file names are said."""
    made = make(env)
    ref = reference(made)
    theirs = _around(saved["kwargs"], [(one["name"], one["kwargs"]) for one in saved.get("wrappers", [])])
    own = _around(ref.kwargs, ref.wrappers)
    if theirs != own and not isinstance(made, NoEnvironment):
        words = [", ".join(part) or "none" for part in (theirs, own)]
        warn(f"the agent was trained with the wrappers {words[0]}, and the environment given has {words[1]}")
    return made


def _around(kwargs: dict[str, Any], wrappers: Iterable[tuple[str, dict[str, Any] | None]]) -> list[str]:
    """The wrappers of an environment in words, the innermost first: those made by name, then those around them."""
    named = [{one: None} if isinstance(one, str) else one for one in listed(kwargs.get("wrapper"))]
    memory = [("memory", kwargs["memory"])] if "memory" in kwargs else []
    pairs = [*(pair for one in named for pair in one.items()), *wrappers, *memory]
    return [f"{re.split('[.:]', name)[-1]}{f' {said}' if said else ''}" for name, said in pairs]


def _environment(saved: dict[str, Any], spaces: dict[str, gym.Space[Any]]) -> gym.Env[Any, Any]:
    """The environment that a file names, whole, if it is registered; never an import that the file asks for."""
    wrappers = [(str(one["name"]), one["kwargs"]) for one in saved.get("wrappers", [])]
    ref = EnvReference(str(saved["id"]), dict(saved["kwargs"]), wrappers=tuple(wrappers))
    missing = _missing(ref, list(saved.get("unsaved", [])))
    if missing:
        warn(f"loaded without its environment: {ref} needs {missing}. Give it: load(path, env=...)")
    elif ref.id and not ref.typed:
        try:
            made = make(
                ref.id, dynamics="auto" if saved["dynamics"].startswith("native") else "gymnasium", **ref.kwargs
            )
            for name, kwargs in wrappers:
                made = wrap_by_name(made, name, kwargs)
            return make(made)
        except RlplayError:
            pass
    return NoEnvironment(spaces["observation"], spaces["action"], str(ref))


def _missing(ref: EnvReference, unsaved: list[str]) -> str:
    """What an environment needs that a file cannot give, in words; empty for nothing.

    Arguments reach Gymnasium's own environments and ours; a third party's might import what they name.
    """
    if unsaved:
        return f"the {'argument' if len(unsaved) == 1 else 'arguments'} {', '.join(unsaved)}, which no file holds"
    for name, kwargs in ref.wrappers:
        if kwargs is None or gymnasium_wrapper(name) is None:
            return f"the wrapper {name.rpartition(':')[2]}"
    if ref.typed and ":" not in ref.id and ref.kwargs:
        return "its arguments, typed again: a file gives them only to Gymnasium's own environments and to ours"
    return ""


def _resume_episode(
    agent: Savable, running_env: RunningEnv, saved: dict[str, Any], arrays: dict[str, NDArray[Any]]
) -> bool:
    """Go on in the middle of the episode in which the file was written; False where that cannot be."""
    env, position = running_env.env, running_env.position
    for name in ("seed", "length"):
        check_number(f"the episode's {name}", saved[name], (-1, COUNT[1]))
    actions = _actions(agent, saved, arrays)
    if isinstance(env, NoEnvironment):
        return True
    if isinstance(env, TableEnv | NativeEnv) and "env/state" in arrays:
        position.obs = env.restore({n.removeprefix("env/"): a for n, a in arrays.items()})
    elif actions is None or not _replayed(env, position, saved, actions):
        warn(
            f"the episode with seed {saved['seed']} cannot be replayed in this environment: the run goes on with the "
            "next episode, and is not bit-exact"
        )
        return False
    position.seed, position.length, position.episode_return = (
        int(saved["seed"]), int(saved["length"]), float(saved["return"]),
    )  # fmt: skip
    position.actions = actions
    return True


def _actions(agent: Savable, saved: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> list[Any] | None:
    if not saved["recorded"]:
        return None
    listed = saved["actions"] if "actions" in saved else arrays["actions"].tolist()
    return actions_from_json(agent.action_space, listed)


def _replayed(env: gym.Env[Any, Any], position: Position, saved: dict[str, Any], actions: list[Any]) -> bool:
    """Whether an episode could be replayed to the very observation at which it resumes, with the same rewards."""
    check = ObservationCheck(env)
    begin_episode(env, position, int(saved["seed"]), check)
    total = 0.0
    for action in actions:
        obs, reward, terminated, truncated, position.info = env.step(as_played(env.action_space, action))
        if terminated or truncated:
            return False
        total += float(position.info.get("extrinsic_reward", reward))
        position.obs = check(obs, position)
    return observation_digest(position.obs) == saved["obs"] and math.isclose(total, saved["return"], rel_tol=1e-9)
