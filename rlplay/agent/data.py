"""Data sets as agents take them: a data set, its file, or the name of who plays and for how many steps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium as gym

from rlplay import registry
from rlplay.approximation.encoder import Encoder
from rlplay.environments.dataset import Dataset, Steps, require_same_env
from rlplay.environments.make import make_anew, reference, remake
from rlplay.environments.minari_data import MinariData
from rlplay.errors import HyperparameterError, SpaceError, UnknownNameError


def dataset_of(given: Any, env: gym.Env[Any, Any], owner: str, seed: int) -> Dataset | MinariData:
    """The data set that is meant.

    Args:
        given: a data set, the path of its file, ``"random:N"``, or ``"NAME:N"`` of a policy that the plug-ins' data
            give this environment (``POLICIES``), or ``"minari:ID"`` of a data set of Minari.
        env: the agent's environment, which is not touched.
        owner: who asks, for errors.
        seed: of what is played.

    Raises:
        HyperparameterError: no such file or policy.
        CheckpointError: a damaged file.
        UsageError: a data set of another environment.
        MissingPackageError: Minari is not installed.

    Example:
        >>> import rlplay
        >>> data = dataset_of("random:50", rlplay.make("CartPole-v1"), "CQL", 0)
        >>> len(data), data.players
        (50, ('random',))
    """
    if isinstance(given, str) and given.startswith("minari:"):
        given = MinariData(given.removeprefix("minari:"))
    elif isinstance(given, str | Path):
        given = _named(str(given), env, owner, seed)
    if isinstance(given, MinariData):
        for role in ("observation_space", "action_space"):
            if getattr(given, role) != getattr(env, role):
                raise SpaceError(
                    f"the data set {given.id} has {role} {getattr(given, role)}, and {owner} takes "
                    f"{getattr(env, role)}",
                    "Take a data set of the same spaces",
                )
        return given
    require_same_env(given, reference(env), owner)
    return given


def steps_of(dataset: Dataset | MinariData, env: gym.Env[Any, Any], encoder: Encoder, owner: str) -> Steps:
    """The steps of a data set, with observations as an agent keeps them; ``env`` is not touched.

    Example:
        >>> from agents import CQL
        >>> agent = CQL("CartPole-v1", net_arch=[4], seed=0)
        >>> data = dataset_of("random:50", agent.env, "CQL", 0)
        >>> steps = steps_of(data, agent.env, agent.encoder, "CQL")
        >>> steps.actions.shape, steps.obs.shape == (50 + len(steps.lengths), 4)
        ((50, 1), True)
    """
    if isinstance(dataset, MinariData):
        return dataset.steps(encoder.view)
    ref = reference(env)
    if ref.id and ref.maker is None:
        made = remake(ref, dynamics=dataset.dynamics)
    else:
        made = make_anew(env, f"{owner} replays its data set in an environment made anew")
    return dataset.replay(made, encoder.view)


def _named(text: str, env: gym.Env[Any, Any], owner: str, seed: int) -> Dataset:
    policies = registry.recipes("POLICIES").get(reference(env).id.removeprefix("rlplay/"), {})
    match = re.fullmatch(r"([\w-]+):(\d{1,12})", text)
    if match is not None and (match[1] == "random" or match[1] in policies):
        made = make_anew(env, f"{owner}: dataset={text!r} is played in an environment made anew")
        if match[1] == "random":
            return Dataset.random(made, int(match[2]), seed=seed)
        act = policies[match[1]]
        return Dataset.record(made, lambda obs, _: act(obs), int(match[2]), seed=seed, player=match[1])
    try:
        return Dataset.load(text)
    except UnknownNameError as error:
        names = ", ".join(f"{name}:10000" for name in ("random", *policies))
        raise HyperparameterError(
            f"{owner}: dataset={text!r} is no data set: {error.cause}", f"Give the path of one, or {names}"
        ) from error


__all__ = ["dataset_of", "steps_of"]
