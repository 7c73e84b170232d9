"""An agent from a zip of Stable-Baselines3: ours where its networks fit, else Stable-Baselines3's behind our door."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rlplay import registry
from rlplay.environments.make import EnvLike, make
from rlplay.environments.no_environment import NoEnvironment
from rlplay.environments.side_by_side import SideBySide, is_side_by_side, taken_apart, vec_normalize_of
from rlplay.environments.wrappers import as_vec_frame_stack
from rlplay.errors import CheckpointError, HyperparameterError, RlplayError, SpaceError, UsageError, warn
from rlplay.hyperparameters.fields import checked, declared
from rlplay.sb3.layout import Layout, OtherNetworksError, layout_of
from rlplay.sb3.settings import (
    ADAPTERS_OPTIMISERS,
    algorithm_of,
    own_optimiser,
    own_policy_settings,
    policy_name,
    policy_settings,
    refuse_with_way_out,
    settings_of,
)
from rlplay.sb3.spaces import space_of
from rlplay.sb3.statistics import ObservedStatistics, read_vecnormalize
from rlplay.spaces.observations import channels_first, is_picture, picture_axes
from rlplay.storage.ranges import COUNT, check_number
from rlplay.storage.sb3_zip import ModelZip, read_model_zip

OURS = {"ppo": "ppo", "maskable-ppo": "ppo", "recurrent-ppo": "ppo", "a2c": "a2c", "trpo": "trpo", "dqn": "dqn",
        "qrdqn": "dqn", "sac": "sac", "crossq": "sac", "tqc": "tqc", "td3": "td3",
        "ddpg": "ddpg"}  # fmt: skip


def load_zip(
    path: str | Path,
    env: EnvLike | None = None,
    *,
    algo: str | None = None,
    vecnormalize: str | Path | None = None,
    seed: int | None = None,
    **hyperparameters: Any,
) -> Any:
    """An agent from a zip that Stable-Baselines3's ``model.save`` wrote; nothing in it is run.

    Taken are the weights, the optimisers' states, the spaces, the timesteps and the settings that are data. What is
    code there, such as a schedule in a function, is left at the agent's default, which is said.

    Args:
        path: of the zip.
        env: where it goes on, a VecEnv too, whose VecNormalize keeps its statistics; None for nowhere: it predicts, and
            takes one with ``set_env``.
        algo: an agent of ours (``"ppo"``), or Stable-Baselines3's behind the same door (``"sb3/ppo"``), whose bits are
            the same; by default ours where its networks fit, and else the other.
        vecnormalize: the file that ``VecNormalize.save`` wrote, read as data too.
        seed: of what comes now; the file's by default.
        hyperparameters: in place of the file's.

    Raises:
        CheckpointError: damaged, or refused: says which part.
        SpaceError: the environment has other spaces than the file.
        UsageError: another algorithm wrote it, or no agent here takes it.

    Example:
        >>> import tempfile
        >>> from stable_baselines3 import PPO
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8).save(f"{folder}/model.zip")
        ...     agent = load_zip(f"{folder}/model.zip", "CartPole-v1")
        >>> agent.id, agent.hyperparameters["n_steps"], agent.predict(np.zeros(4, np.float32))[0] in (0, 1)
        ('ppo', 8, True)
    """
    model = read_model_zip(path)
    statistics = None if vecnormalize is None else read_vecnormalize(vecnormalize)
    _refuse_jax(model)
    wrote = algorithm_of(model)
    agent_id, fallback = _agent_for(model, wrote, algo), algo is None
    seed = _seed(model, seed)
    several = taken_apart(env, "load_zip") if is_side_by_side(env) else None
    environment: Any = _environment(model, several or env)
    space = environment.observation_space
    if several is not None:
        _require_outermost(model, env, several)
        environment, hyperparameters = env, {"n_envs": len(several.envs), **hyperparameters}
    given = {**hyperparameters, **({} if statistics is None else {"normalize": statistics.settings()})}
    if agent_id.startswith("sb3/"):
        return _adapter(model, agent_id, environment, seed, given, statistics)
    try:
        return _ours(model, agent_id, wrote, environment, space, seed, given, statistics)
    except (OtherNetworksError, SpaceError, HyperparameterError) as error:
        if not fallback or f"sb3/{wrote}" not in registry.agent_ids():
            raise refuse_with_way_out(model, error, wrote) from error
        warn(f"{model.path} does not fit {agent_id}: {error.cause}. sb3/{wrote} is taken")
    return _adapter(model, f"sb3/{wrote}", environment, seed, given, statistics)


def _require_outermost(model: ModelZip, env: Any, several: SideBySide) -> None:
    """Refuse a VecNormalize within a stack: its numbers are not those that the agent would normalise."""
    if "normalize" in several.settings and vec_normalize_of(env) is None:
        raise UsageError(
            f"{model.path}: VecNormalize stands within what stacks its observations, and an agent here normalises what "
            "is stacked",
            "Write VecNormalize(VecFrameStack(env, n_stack=...)), and train it there",
        )


def _refuse_jax(model: ModelZip) -> None:
    """Say of a zip of SBX what it is."""
    named = model.data.get("policy_class")
    if isinstance(named, dict) and str(named.get("__module__", "")).startswith("sbx"):
        raise UsageError(
            f"{model.path} was written by SBX, whose networks are JAX's: no agent here has them",
            "Train it with Stable-Baselines3, or with ours",
        )


def _agent_for(model: ModelZip, wrote: str, algo: str | None) -> str:
    """The agent that is asked for, or ours of the same algorithm."""
    if algo is None:
        return OURS.get(wrote, f"sb3/{wrote}")
    name = algo.removeprefix("sb3/")
    if name != wrote and algo != OURS.get(wrote):
        raise UsageError(
            f"{model.path} was written by {wrote.upper()}, not by {name.upper()}",
            f"Take --algo {wrote if wrote in OURS else f'sb3/{wrote}'}",
        )
    if not algo.startswith("sb3/") and wrote not in OURS:
        raise UsageError(f"{model.path}: no agent of ours has the networks of {wrote}", f"Take --algo sb3/{wrote}")
    return algo if algo.startswith("sb3/") else OURS[wrote]


def _seed(model: ModelZip, seed: int | None) -> int | None:
    found = model.data.get("seed") if seed is None else seed
    return found if type(found) is int and found >= 0 else None


def _environment(model: ModelZip, env: EnvLike | SideBySide | None) -> gym.Env[Any, Any]:
    """The environment given, or the first of several, whose spaces are the file's; none with the file's spaces."""
    own = {name: space_of(model.value(name), f"{name} of {model.path}") for name in _SPACES}
    if env is None:
        return NoEnvironment(own["observation_space"], own["action_space"], "")
    made = make(env.envs[0] if isinstance(env, SideBySide) else env)
    for name, space in own.items():
        theirs = getattr(made, name)
        otherwise = name == "observation_space" and space in (_turned(theirs), as_vec_frame_stack(made))
        if theirs != space and not otherwise:
            raise SpaceError(
                f"{model.path} has the {name.replace('_', ' ')} {_shown(space)} and the environment has "
                f"{_shown(theirs)}",
                "Take the environment it was trained in, with its wrappers: --wrapper, --frame-stack",
            )
    return made


_SPACES = ("observation_space", "action_space")


def _shown(space: gym.Space[Any]) -> str:
    return " ".join(str(space).split())[:200]


def _turned(space: gym.Space[Any]) -> gym.Space[Any] | None:
    """Pictures with their channels first, as Stable-Baselines3 sees those with channels last."""
    if not isinstance(space, spaces.Box) or not is_picture(space) or channels_first(space):
        return None
    low, high = (np.moveaxis(side, -1, 0) for side in (space.low, space.high))
    return spaces.Box(low, high, dtype=space.dtype.type)


# An agent of ours.


def _ours(
    model: ModelZip, agent_id: str, wrote: str, env: Any, space: gym.Space[Any], seed: int | None,
    given: dict[str, Any], statistics: ObservedStatistics | None,
) -> Any:  # fmt: skip
    policy_name(model)  # a policy of the user's own is refused
    _require_same_encoding(space)
    tensors = _finite(model, "policy")
    layout = layout_of(wrote, tensors, _picture(space))
    cls, settings = registry.agent_class(agent_id), settings_of(model, declared(registry.agent_class(agent_id)))
    of_policy = own_policy_settings(model)
    arch, count = _architecture(layout, tensors), of_policy.pop("n_quantiles", None)
    of_policy.pop("net_arch", None)
    if of_policy.get("activation_fn") == "nn.GELU":
        raise OtherNetworksError("its GELU is computed otherwise than ours")
    kept = {"net_arch": arch, **of_policy, **own_optimiser(model, cls)}
    if wrote == "tqc" and count is not None:
        kept["n_quantiles"] = count
    if wrote == "qrdqn":
        layout.quantiles = 200 if type(count) is not int or count < 1 else count
        settings = {"max_grad_norm": 0.0, **settings, "distributional": "qr", "n_atoms": layout.quantiles}
    if wrote == "crossq":
        settings = {"beta_1": 0.5, **settings, "batch_renorm": True, "target_networks": False}
        settings.pop("tau", None)  # of older copies
    if "critics" in layout.networks:
        kept["n_critics"] = len(layout.networks["critics"])
    if wrote == "recurrent-ppo":
        settings = {**settings, **_memory(layout, tensors)}
        kept = {name: value for name, value in kept.items() if name not in _OF_MEMORY}
    settings = {**settings, "policy_kwargs": kept, **given}
    agent = cls(env, seed=seed, **checked(cls, settings))
    agent.load_arrays(_arrays_of(agent.arrays(), layout, model, tensors, statistics))
    agent.check()
    _take_progress(model, agent)
    return agent


_OF_MEMORY = ("lstm_hidden_size", "n_lstm_layers", "enable_critic_lstm", "shared_lstm", "lstm_kwargs")


def _memory(layout: Layout, tensors: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The hyperparameters of the memory of sb3-contrib's RecurrentPPO, by its tensors."""
    of_value = layout.networks.get("value_core")
    critic = "shared" if of_value is None else "own" if of_value[0][-1][0] in layout.kinds else "none"
    size = int(tensors["lstm_actor.weight_hh_l0"].shape[1])
    return {"recurrent": "lstm", "recurrent_size": size, "critic_memory": critic}


def _require_same_encoding(space: gym.Space[Any]) -> None:
    """Refuse observations that our networks see in another way than Stable-Baselines3's: as numbers of another kind."""
    parts = list(space.spaces.values()) if isinstance(space, spaces.Dict) else [space]
    pictures = isinstance(space, spaces.Dict) and any(picture_axes(part) is not None for part in parts)
    strange = [part for part in parts if not isinstance(part, spaces.Box | spaces.Discrete)]
    if strange or pictures:
        raise SpaceError(f"our networks see {_shown(space)} in another way than Stable-Baselines3's")


def _picture(space: gym.Space[Any]) -> tuple[int, int, int] | None:
    if not is_picture(space) or not isinstance(space, spaces.Box) or space.dtype != np.uint8:
        return None
    shape = space.shape
    return (shape[1], shape[2], shape[0]) if channels_first(space) else (shape[0], shape[1], shape[2])


def _architecture(layout: Layout, tensors: Mapping[str, NDArray[Any]]) -> Any:
    """Hidden layers by the shapes of the weights; of pictures those behind the convolutions."""

    def hidden(network: str) -> list[int]:
        names = [*layout.networks[network][0], *(layout.networks.get(f"{network}/head") or [[]])[0]]
        weights = [n for n in names if n[0] not in layout.kinds]
        plain = [n for n in weights if tensors[f"{n[0]}.weight"].ndim == 2 and ".linear." not in n[0]]
        return [int(tensors[f"{n[0]}.weight"].shape[0]) for n in plain[:-1]]

    parts = {"policy": "pi", "value": "vf", "actor": "pi", "critics": "qf"}
    if "q" in layout.networks:
        return hidden("q")
    return {short: hidden(network) for network, short in parts.items() if network in layout.networks}


def _finite(model: ModelZip, member: str) -> dict[str, NDArray[Any]]:
    tensors = model.tensors.get(member)
    if not tensors:
        raise CheckpointError(f"{model.path} has no {member}.pth with weights")
    for name, tensor in tensors.items():
        _require_weights(f"{model.path}: {name}", tensor)
    for stem, state in model.optimizers.items():
        for number, parts in state.items():
            for key, values in parts.items():
                _require_weights(f"{model.path}: {key} of tensor {number} in {stem}", values)
                if key in ("exp_avg_sq", "square_avg", "step") and (values < 0).any():
                    raise CheckpointError(f"{model.path}: {key} of tensor {number} in {stem} is below 0: refused")
    return tensors


def _require_weights(what: str, tensor: NDArray[Any]) -> None:
    """Refuse an array that no float32 can hold; whole numbers without an axis are counts."""
    if tensor.dtype.kind != "f":
        if tensor.ndim:
            raise CheckpointError(f"{what} holds numbers of type {tensor.dtype}, and weights are float32: refused")
    elif not np.isfinite(tensor).all():
        raise CheckpointError(f"{what} holds NaN or infinite values, the model is broken")
    elif tensor.size and np.abs(tensor).max() > np.finfo(np.float32).max:
        greatest = tensor.flat[np.abs(tensor).argmax()]
        raise CheckpointError(f"{what} holds {greatest:.3g}, which float32 cannot: the model is broken")


def _arrays_of(
    own: dict[str, NDArray[Any]], layout: Layout, model: ModelZip, tensors: dict[str, NDArray[Any]],
    statistics: ObservedStatistics | None,
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """An agent's arrays with the weights, moments and statistics of a zip in their places."""
    found = {name: np.array(array) for name, array in own.items()}

    def put(name: str, values: NDArray[Any]) -> None:
        if name not in found or found[name].size != values.size:
            size = found[name].size if name in found else 0
            raise OtherNetworksError(f"{name} has {values.size:,} numbers in the zip and {size:,} in the agent")
        found[name] = np.asarray(values, found[name].dtype).reshape(found[name].shape)

    for network in layout.networks:
        put(layout.place(network, "parameters"), layout.parameters(tensors, network))
    if layout.noise:
        put(layout.spread, np.ravel(tensors[layout.noise]))
    variables = model.tensors.get("pytorch_variables", {})
    if "log_alpha" in found:
        if "log_ent_coef" in variables:
            put("log_alpha", np.ravel(variables["log_ent_coef"]))
        elif "ent_coef_tensor" in variables and (variables["ent_coef_tensor"] > 0).all():
            put("log_alpha", np.log(np.ravel(variables["ent_coef_tensor"])))
    _put_moments(found, layout, model, tensors)
    if statistics is not None:
        for name, values in statistics.ours().items():
            put(f"normaliser/{name}", values)
    return found


def _put_moments(
    found: dict[str, NDArray[Any]], layout: Layout, model: ModelZip, tensors: dict[str, NDArray[Any]]
) -> None:
    """The optimisers' running means, where those of the zip are Adam's over the same parameters."""
    owner = "actor.optimizer" if layout.noise.startswith("actor.") else "policy.optimizer"  # of the noise
    fixed = {name: np.zeros_like(tensors[name]) for name in layout.without_gradient()}
    for stem, names, networks in (
        ("policy.optimizer", list(tensors), ("policy", "policy_core", "value", "value_core", "q")),
        (
            "actor.optimizer",
            [n.removeprefix("actor.") for n in tensors if n.startswith("actor.")],
            ("actor", "actor/head"),
        ),
        ("critic.optimizer", [n.removeprefix("critic.") for n in tensors if n.startswith("critic.")], ("critics",)),
    ):
        prefix = "" if stem == "policy.optimizer" else stem.partition(".")[0] + "."
        state = model.optimizers.get(stem, {})
        learned = [prefix + n for n in names if prefix or not (_is_target(n) or n in layout.ignored)]
        learned = [name for name in learned if name not in fixed]
        if stem == owner and layout.noise in learned:
            learned = [layout.noise, *(n for n in learned if n != layout.noise)]
        parts = {name: state[k] for k, name in enumerate(learned) if k in state}  # TRPO's policy has none
        if not any(parts.values()):
            continue
        kept = set(next(iter(parts.values()))) - {"step"}
        alike = kept in _MEANS and all(set(part) == {*kept, "step"} for part in parts.values())
        if not alike or any(part[key].shape != tensors[name].shape for key in kept for name, part in parts.items()):
            warn(f"{model.path}: the state of its {stem.replace('.', ' ')} is not taken: it begins anew")
            continue
        taken = [one for one in networks if one in layout.networks and layout.tensors_of(one) <= {*parts, *fixed}]
        for key in sorted(kept):
            means, ours = {**fixed, **{name: part[key] for name, part in parts.items()}}, _OURS_OF[key]
            if not all(np.isfinite(mean).all() for mean in means.values()):
                raise CheckpointError(f"{model.path}: {stem} holds NaN or infinite values, the model is broken")
            for network in taken:
                place = layout.place(network, ours)
                if found.get(place, _NOTHING).size:
                    found[place][...] = layout.parameters(means, network)
            if layout.noise in means:
                found[f"{layout.spread}_{ours}"][...] = np.ravel(means[layout.noise])
        step = check_number("step", int(next(iter(parts.values()))["step"]), COUNT)
        places = [layout.place(network, "t") for network in taken]
        for name in [*places, f"{layout.spread}_t"] if layout.noise in parts else places:
            if name in found:
                found[name][...] = step


_NOTHING = np.zeros(0)
_MEANS = ({"exp_avg", "exp_avg_sq"}, {"square_avg"})  # of Adam and of RMSProp
_OURS_OF = {"exp_avg": "m", "exp_avg_sq": "v", "square_avg": "v"}


def _is_target(name: str) -> bool:
    return name.split(".", maxsplit=1)[0].endswith("_target")


# Stable-Baselines3's own.


def _adapter(
    model: ModelZip, agent_id: str, env: gym.Env[Any, Any], seed: int | None, given: dict[str, Any],
    statistics: ObservedStatistics | None,
) -> Any:  # fmt: skip
    cls = registry.agent_class(agent_id)
    named, of_policy = policy_name(model) or "", policy_settings(model)
    settings = settings_of(model, declared(cls))
    kind = "CnnPolicy" if "Cnn" in named else "MultiInputPolicy" if "MultiInput" in named else "MlpPolicy"
    for name in ("use_sde", "features_extractor_class"):
        of_policy.pop(name, None)
    if of_policy.get("optimizer_class") not in (None, *ADAPTERS_OPTIMISERS):
        warn(f"{model.path}: the optimiser {of_policy.pop('optimizer_class')} is code, which is not run: Adam is taken")
        of_policy.pop("optimizer_kwargs", None)
    agent_settings = {"policy": kind, **settings, **({"policy_kwargs": of_policy} if of_policy else {}), **given}
    try:
        agent = cls(env, seed=seed, **checked(cls, agent_settings))
    except UsageError as error:
        raise type(error)(f"{model.path}: {error.cause}", error.remedy) from error
    found = {name: np.array(array) for name, array in agent.arrays().items()}
    _finite(model, "policy")
    ours = {name.removeprefix("policy/") for name in found if name.startswith("policy/")}
    if strange := sorted(ours ^ model.tensors["policy"].keys()):
        has = "lacks" if strange[0] in ours else "has"
        raise CheckpointError(f"{model.path} does not fit {agent_id}: its policy {has} the weights {strange[0]}")
    for member, prefix in (("policy", "policy"), ("pytorch_variables", "variable")):
        for name, tensor in model.tensors.get(member, {}).items():
            found[f"{prefix}/{name}"] = tensor
    for stem, state in model.optimizers.items():
        found = {name: array for name, array in found.items() if not name.startswith(f"{stem}/")}
        found |= {f"{stem}/{k}/{key}": value for k, parts in state.items() for key, value in parts.items()}
    if statistics is not None:
        found |= {f"normalize/{name}": values for name, values in statistics.theirs().items()}
    try:
        agent.load_arrays(found)
    except RlplayError:
        raise
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise CheckpointError(f"{model.path} does not fit {agent_id}: {' '.join(str(error).split())[:200]}") from error
    _take_progress(model, agent)
    extra = agent.extra_state()
    for name, value in extra.get("counters", {}).items():
        held = model.data.get(name)
        if isinstance(held, int | float) and type(value) in (int, float):
            extra["counters"][name] = held if isinstance(held, int) else min(max(held, 0.0), 1.0)
    agent.restore_extra(extra)
    return agent


def _take_progress(model: ModelZip, agent: Any) -> None:
    """The timesteps so far, and the total that schedules run over."""
    for name, key in (("num_timesteps", "num_timesteps"), ("horizon", "_total_timesteps")):
        found = model.data.get(key, 0)
        setattr(agent, name, check_number(key, found if type(found) is int else 0, COUNT))
