"""A Stable-Baselines3 model, its buffer and its normaliser as named arrays, and back; no pickle.

Names in a file: each network and optimiser by Stable-Baselines3's own name of it, then

* ``variable/NAME``: a torch variable, such as the logarithm of SAC's entropy coefficient;
* ``buffer/NAME``: the filled part of a column of the rollout or replay buffer, and ``buffer/place``: the next row, and
  1 where the buffer is full, int64 [2]; with hindsight ``buffer/began``: the rows in which the running episodes began;
* ``noise/N``: the state of the N-th environment's action noise;
* ``memory/NAME``: the state of an LSTM in the running episodes, of policy and values;
* ``sde/NAME``: the noise of state-dependent exploration, which lasts over a rollout.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecTransposeImage

from rlplay.extend import (
    ANY,
    COUNT,
    CheckpointError,
    Ranges,
    StateArrays,
    check_number,
    counted,
    numbers_below,
    pack_module,
    pack_optimizer,
    unpack_module,
    unpack_optimizer,
)

_COUNTERS = ("_n_updates", "_episode_num", "_n_calls", "exploration_rate", "_current_progress_remaining")
_SHARES = ("exploration_rate", "_current_progress_remaining")
_BEGAN = "_current_ep_start"  # of a buffer with hindsight: where the running episodes began
_MATRICES = ("exploration_mat", "exploration_matrices")  # of the noise: one [F, A], and one an environment [N, F, A]


def pack_model(model: Any, buffer: Any) -> StateArrays:
    """The arrays of a model and its buffer."""
    found: StateArrays = {}
    names, variables = model._get_torch_save_params()
    for name in names:
        part = _attribute(model, name)
        packed = pack_optimizer(part) if isinstance(part, torch.optim.Optimizer) else pack_module(part)
        found.update({f"{name}/{key}": array for key, array in packed.items()})
    for name in variables:
        found[f"variable/{name}"] = _attribute(model, name).detach().cpu().numpy().copy()
    found.update({f"buffer/{name}": array for name, array in _pack_buffer(buffer).items()})
    for i, noise in enumerate(_noises(model)):
        if hasattr(noise, "noise_prev"):
            found[f"noise/{i}"] = np.array(noise.noise_prev)
    if model.use_sde:
        drawn = _exploration(model)
        found.update({f"sde/{name}": getattr(drawn, name).detach().cpu().numpy() for name in _MATRICES})
    return found


def unpack_model(model: Any, buffer: Any, arrays: StateArrays) -> None:
    """Take the arrays that `pack_model` gave.

    Raises:
        CheckpointError: one of another shape.
    """
    names, variables = model._get_torch_save_params()
    for name in names:
        part, packed = _attribute(model, name), below(arrays, f"{name}/")
        if isinstance(part, torch.optim.Optimizer):
            unpack_optimizer(part, packed)
        else:
            unpack_module(part, packed)
    with torch.no_grad():
        for name in variables:
            target = _attribute(model, name)
            target.copy_(torch.from_numpy(np.array(arrays[f"variable/{name}"])))
    _unpack_buffer(buffer, below(arrays, "buffer/"))
    for i, noise in enumerate(_noises(model)):
        if f"noise/{i}" in arrays:
            noise.noise_prev = arrays[f"noise/{i}"]
    for name, matrix in below(arrays, "sde/").items():
        if name in _MATRICES and model.use_sde:
            shape = tuple(getattr(_exploration(model), name).shape)
            if matrix.shape[-2:] != shape[-2:]:
                raise CheckpointError(f"the noise {name} has shape {matrix.shape} in the file, {shape} here")
            setattr(_exploration(model), name, torch.from_numpy(np.array(matrix)).to(model.device))


def pack_memory(model: Any) -> StateArrays:
    """The state of a recurrent policy in the running episodes; nothing of others."""
    states = getattr(model, "_last_lstm_states", None)
    if states is None:
        return {}
    parts = {f"memory/{name}{k}": one for name in ("pi", "vf") for k, one in enumerate(getattr(states, name))}
    return {name: one.detach().cpu().numpy().copy() for name, one in parts.items()}


def unpack_memory(model: Any, arrays: StateArrays) -> None:
    """Take what `pack_memory` gave.

    Raises:
        CheckpointError: a state of another shape.
    """
    states = getattr(model, "_last_lstm_states", None)
    if states is None:
        return
    for name in ("pi", "vf"):
        for k, target in enumerate(getattr(states, name)):
            saved = arrays[f"memory/{name}{k}"]
            if saved.shape != tuple(target.shape):
                raise CheckpointError(f"the memory has shape {saved.shape} in the file, {tuple(target.shape)} here")
            target.copy_(torch.from_numpy(np.array(saved)))


def _exploration(model: Any) -> Any:
    """The distribution that holds the noise of state-dependent exploration."""
    return (model.policy if hasattr(model.policy, "action_dist") else model.actor).action_dist


def _noises(model: Any) -> list[Any]:
    """The action noise of each environment; [None] without."""
    noise = getattr(model, "action_noise", None)
    return list(getattr(noise, "noises", [noise]))


def _columns(buffer: Any) -> StateArrays:
    """The arrays of a buffer, one row a step."""
    columns: StateArrays = {}
    for name, value in vars(buffer).items():
        if isinstance(value, np.ndarray) and value.shape[:1] == (buffer.buffer_size,):
            if value.dtype != object and name != _BEGAN:  # of hindsight: the infos, which it does not keep
                columns[name] = value
        elif isinstance(value, dict) and all(isinstance(one, np.ndarray) for one in value.values()):
            columns.update({f"{name}/{key}": one for key, one in value.items()})
    return columns


def _pack_buffer(buffer: Any) -> StateArrays:
    columns = _columns(buffer)
    filled = len(next(iter(columns.values()))) if buffer.full else buffer.pos
    found = {name: column[:filled] for name, column in columns.items()}
    if hasattr(buffer, _BEGAN):
        found["began"] = getattr(buffer, _BEGAN).copy()
    return {**found, "place": np.array([buffer.pos, int(buffer.full)])}


def _unpack_buffer(buffer: Any, arrays: StateArrays) -> None:
    pos, full = arrays["place"].tolist()
    for name, column in _columns(buffer).items():
        saved = arrays[name]
        if saved.shape[1:] != column.shape[1:] or len(saved) > len(column) or not 0 <= pos <= len(column):
            raise CheckpointError(f"the buffer's {name} has shape {saved.shape} in the file, {column.shape} here")
        column[: len(saved)] = saved
    buffer.pos, buffer.full = int(pos), bool(full)
    if hasattr(buffer, _BEGAN):
        began = arrays["began"]
        if began.shape != getattr(buffer, _BEGAN).shape:
            raise CheckpointError(f"the buffer's episodes began at {began.tolist()}, not of so many environments")
        setattr(buffer, _BEGAN, began.copy())


def ranges_of(observation_space: gym.Space[Any], action_space: gym.Space[Any], rows: int) -> Ranges:
    """What whole numbers these arrays hold; pixels and random states are no indices.

    Args:
        observation_space: of the agent.
        action_space: of the agent.
        rows: of the buffer.
    """
    found: Ranges = {
        "buffer/ep_start": (0, rows - 1), "buffer/ep_length": (0, rows), "buffer/began": (0, rows - 1),
        "buffer/place": COUNT, "random/torch": ANY, "random/cuda": ANY, "random/numpy_key": ANY,
    }  # fmt: skip
    if isinstance(action_space, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
        found["buffer/actions"] = _numbers_of(action_space)
    parts = observation_space.spaces if isinstance(observation_space, gym.spaces.Dict) else {"": observation_space}
    for name in ("last_obs", "buffer/observations", "buffer/next_observations", "normalize/old_obs"):
        found.update({f"{name}/{key}" if key else name: _numbers_of(part) for key, part in parts.items()})
    return found


def _numbers_of(space: gym.Space[Any]) -> tuple[int, int]:
    """The least and the greatest whole number of a space of choices; any number of another."""
    if isinstance(space, gym.spaces.Discrete):
        return numbers_below(int(space.n))
    return numbers_below(int(space.nvec.max())) if isinstance(space, gym.spaces.MultiDiscrete) else ANY


def check_last(obs: Any, starts: NDArray[Any], env: Any) -> None:
    """Refuse last observations, read from a file, that a VecEnv cannot have given.

    Raises:
        CheckpointError: other parts or shapes.
    """
    shapes = [np.shape(one) for one in (obs.values() if isinstance(obs, dict) else [obs])]
    keys, n, space = [*obs] if isinstance(obs, dict) else None, env.num_envs, env.observation_space
    if keys != ([*space.spaces] if isinstance(space, gym.spaces.Dict) else None):
        raise CheckpointError("the file lacks a part of last_obs, or has others")
    if starts.shape != (n,) or any(shape[:1] != (n,) for shape in shapes):
        raise CheckpointError(
            f"last_obs and last_starts are of {shapes} and {starts.shape}, not of {counted(n, 'environment')}"
        )


def pack_counters(model: Any) -> dict[str, Any]:
    """The counters of a model, and the generator of its action space, as JSON values."""
    return {
        "counters": {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)},
        "action_space": model.action_space.np_random.bit_generator.state,
    }


def unpack_counters(model: Any, state: dict[str, Any]) -> None:
    """Put back what `pack_counters` gave.

    Raises:
        CheckpointError: a number that no run leaves behind.
    """
    least = {"_current_progress_remaining": 1.0 - model.n_envs}  # a step of all may lead beyond the end of training
    for name, value in state["counters"].items():
        if name in _SHARES and not (isinstance(value, int | float) and least.get(name, 0) - 1e-6 <= value <= 1 + 1e-6):
            raise CheckpointError(f"{name} is {value!r:.80}, which is no share: refused")
        if name in _COUNTERS:
            setattr(model, name, value if name in _SHARES else check_number(name, value, COUNT))
    model.action_space.np_random.bit_generator.state = state["action_space"]


def pack_normalizer(env: Any) -> StateArrays:
    """The arrays of a VecNormalize."""
    found = {"returns": np.array(env.returns), **flat("old_obs", getattr(env, "old_obs", 0))}
    for name, rms in _moments(env).items():
        found.update({f"{name}mean": np.array(rms.mean), f"{name}var": np.array(rms.var)})
        found[f"{name}count"] = np.array(rms.count)
    return found


def unpack_normalizer(env: Any, arrays: StateArrays) -> None:
    """Take the arrays that `pack_normalizer` gave."""
    env.returns, env.old_obs = arrays["returns"], unflat(arrays, "old_obs")
    for name, rms in _moments(env).items():
        rms.mean, rms.var = arrays[f"{name}mean"], arrays[f"{name}var"]
        rms.count = float(arrays[f"{name}count"])


def _moments(env: Any) -> dict[str, Any]:
    """The running means and variances of a VecNormalize: of observations, or of each part of them, and of returns."""
    found = env.obs_rms if env.norm_obs else {}
    observed = found if isinstance(found, dict) else {"": found}
    return {**{f"obs/{key}": rms for key, rms in observed.items()}, "ret/": env.ret_rms}


def below(arrays: StateArrays, prefix: str) -> StateArrays:
    """The arrays whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def flat(name: str, value: Any) -> StateArrays:
    """An array, or a dictionary of them, as named arrays."""
    if isinstance(value, dict):
        return {f"{name}/{key}": np.array(one) for key, one in value.items()}
    return {name: np.array(value)}


def unflat(arrays: StateArrays, name: str) -> Any:
    """What `flat` was given."""
    return arrays[name] if name in arrays else below(arrays, f"{name}/")


def in_memory(env: Any, obs: Any) -> Any:
    """Observations of a file, laid out as a run has them: a picture that was transposed is a view of one that was not.

    torch's convolutions give other last digits where the same numbers lie in another order.
    """
    if not isinstance(env, VecTransposeImage):
        return obs
    if isinstance(obs, dict):
        return {key: _as_view(one) if key in env.image_space_keys else one for key, one in obs.items()}
    return _as_view(obs)


def _as_view(pictures: NDArray[Any]) -> NDArray[Any]:
    """Pictures [N, C, H, W] as a view of [N, H, W, C]."""
    return np.ascontiguousarray(pictures.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _attribute(model: Any, path: str) -> Any:
    for name in path.split("."):
        model = getattr(model, name)
    return model
