"""A zip that ``stable_baselines3.PPO.load`` opens, from an agent of ours or of Stable-Baselines3 behind our door.

Stable-Baselines3 writes it: a model of its own is made with the agent's settings and given the agent's weights. What
such a zip holds beside weights are pickles of classes of Stable-Baselines3 and Gymnasium alone.
"""

from __future__ import annotations

import contextlib
import inspect
import pickle
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.hindsight import her_arguments
from rlplay.agent.network_optimisers import optimiser_of
from rlplay.agent.sb3_normalize import read_moments, write_vecnormalize
from rlplay.environments.wrappers import as_vec_frame_stack
from rlplay.errors import CheckpointError, RlplayError, UsageError, missing
from rlplay.functional.running_moments import RunningMoments
from rlplay.networks.memory import BATCH_RENORM, CONV_2D, GELU, IN, KIND, LINEAR, OUT
from rlplay.networks.optimisers import OPTIMISERS
from rlplay.sb3.layout import Layout, layout_of
from rlplay.spaces.observations import channels_first, is_picture
from rlplay.storage.files import as_path, atomic_writer
from rlplay.storage.sb3_zip import read_model_zip

_CLASSES = {"ppo": "PPO", "a2c": "A2C", "dqn": "DQN", "sac": "SAC", "td3": "TD3", "ddpg": "DDPG"}
_CONTRIB = {"tqc": "TQC", "qrdqn": "QRDQN", "trpo": "TRPO", "maskable-ppo": "MaskablePPO", "crossq": "CrossQ",
            "recurrent-ppo": "RecurrentPPO"}  # fmt: skip
_ACTIVATIONS = ("Tanh", "ReLU", "LeakyReLU", "Sigmoid", "SiLU")  # by the number of ours
_PARTS = {"policy": "pi", "value": "vf", "actor": "pi", "critics": "qf"}
_NOT_ARGUMENTS = ("policy", "env", "policy_kwargs", "device", "seed", "verbose", "action_noise", "buffer_size",
                  "features", "normalize", "tensorboard_log", "stats_window_size")  # fmt: skip


class Written(NamedTuple):
    """What was written.

    Attributes:
        model: the zip.
        statistics: the file of VecNormalize; None where the agent does not normalise.

    Example:
        >>> Written(Path("model.zip"), None).model.name
        'model.zip'
    """

    model: Path
    statistics: Path | None


def save_zip(agent: Any, path: str | Path, *, statistics: str | Path | None = None) -> Written:
    """Write an agent as a zip of Stable-Baselines3, which then gives the agent's actions.

    Where the agent normalises, a file of VecNormalize stands beside it, which ``VecNormalize.load`` opens.

    Args:
        agent: ppo, a2c, dqn, sac, td3, ddpg; with sb3-contrib tqc, trpo; or one of ``sb3/...``.
        path: of the zip.
        statistics: of the file of VecNormalize; by default ``NAME.vecnormalize.pkl`` beside the zip.

    Raises:
        UsageError: Stable-Baselines3 has no such networks; says why.
        MissingPackageError: Stable-Baselines3 or sb3-contrib is not installed.

    Example:
        >>> import tempfile
        >>> import stable_baselines3
        >>> from agents import PPO
        >>> agent = PPO("CartPole-v1", seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = stable_baselines3.PPO.load(save_zip(agent, f"{folder}/model.zip").model)
        >>> obs = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
        >>> bool((model.predict(obs, deterministic=True)[0] == agent.predict(obs, deterministic=True)[0]).all())
        True
    """
    path = as_path(path)
    path = path if path.suffix == ".zip" else path.with_name(path.name + ".zip")
    model = as_model(agent)
    with atomic_writer(path, verify=read_model_zip) as file:
        model.save(file)
    normalizer = _normalizer(agent, model)
    if normalizer is None:
        return Written(path, None)
    beside = path.with_suffix(".vecnormalize.pkl") if statistics is None else as_path(statistics)
    with atomic_writer(beside) as file:
        pickle.dump(normalizer, file)
    return Written(path, beside)


def as_model(agent: Any) -> Any:
    """An agent as a model of Stable-Baselines3, in torch: a copy with its weights and settings, without environment.

    To use its policy as a module of torch (ONNX, gradients, single layers), or to go on there, after ``set_env``. What
    the copy learns comes back by ``model.save`` and `load_zip`.

    Args:
        agent: one that `save_zip` takes.

    Raises:
        UsageError: Stable-Baselines3 has no such networks; says why.
        MissingPackageError: Stable-Baselines3 or sb3-contrib is not installed.

    Example:
        >>> from agents import PPO
        >>> policy = as_model(PPO("CartPole-v1", seed=0)).policy
        >>> sum(part.numel() for part in policy.parameters())
        9155
    """
    if getattr(agent, "features", None) is not None:
        raise UsageError(f"{agent.id} learns over a feature map, which Stable-Baselines3 does not have")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it says of a model that does not learn
        model = _of_theirs(agent) if agent.id.startswith("sb3/") else _of_ours(agent)
    model.num_timesteps = agent.num_timesteps
    model._total_timesteps = max(agent.horizon, agent.num_timesteps)
    model.n_envs = int(agent.hyperparameters.get("n_envs", 1))
    return model


class _Spaces(gym.Env[Any, Any]):
    """Spaces that are never stepped: a model is made over them, to be written."""

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space

    def action_masks(self) -> NDArray[np.bool_]:
        """All of them; asked for by maskable PPO."""
        return np.ones(int(getattr(self.action_space, "n", 1)), bool)

    def reset(self, **_: Any) -> Any:
        """Nothing."""
        raise NotImplementedError

    def step(self, action: Any) -> Any:
        """Nothing."""
        raise NotImplementedError


def _algorithm(name: str) -> Any:
    """A class of Stable-Baselines3 or sb3-contrib."""
    package, module, extra = (
        ("stable-baselines3", "stable_baselines3", "sb3")
        if name in _CLASSES
        else ("sb3-contrib", "sb3_contrib", "contrib")
    )
    known = {**_CLASSES, **_CONTRIB}
    if name not in known:
        raise UsageError(
            f"{name} has no twin in Stable-Baselines3",
            f"These have one: {', '.join(sorted(known))}; an .rlp file holds every agent",
        )
    try:
        found = __import__(module)
    except ImportError as error:
        raise missing(f"zips of {known[name]}", package, extra) from error
    return getattr(found, known[name])


def _model(agent: Any, name: str, of_policy: dict[str, Any], settings: dict[str, Any]) -> Any:
    """A model of Stable-Baselines3 over the agent's spaces, with its settings."""
    cls = _algorithm(name)
    from rlplay.networks.torch_state import RandomStates

    known = [key for key in inspect.signature(cls).parameters if key not in _NOT_ARGUMENTS]
    taken = {key: _argument(key, settings[key]) for key in known if settings.get(key) is not None}
    space = as_vec_frame_stack(agent.env) or agent.observation_space
    kind = settings.get("policy", "auto")
    if kind in (None, "auto") or name == "recurrent-ppo":
        kind = "MultiInputPolicy" if isinstance(space, gym.spaces.Dict) else "MlpPolicy"
        if of_policy.pop("_convolutions", False):
            kind = "CnnPolicy"
        if name == "recurrent-ppo":
            kind = kind.replace("Policy", "LstmPolicy")
    of_policy.pop("_convolutions", None)
    noise = _noise(agent, settings)
    small: dict[str, Any] = {"buffer_size": 1} if "buffer_size" in inspect.signature(cls).parameters else {}
    small.update(her_arguments(settings))
    if noise is not None:
        small["action_noise"] = noise
    try:
        with RandomStates(agent.seed)():  # its constructor seeds those that everybody draws from
            model = cls(kind, _Spaces(space, agent.action_space), seed=agent.seed, policy_kwargs=of_policy or None,
                        device="cpu", **taken, **small)  # fmt: skip
    except (AssertionError, ValueError, TypeError) as error:
        raise UsageError(f"{agent.id} cannot be a model of it: {' '.join(str(error).split())}") from error
    if small:
        model.buffer_size = int(settings.get("buffer_size", 1))
    return model


def _argument(name: str, value: Any) -> Any:
    """A hyperparameter as Stable-Baselines3's constructor takes it."""
    if isinstance(value, str) and value.startswith("lin_"):
        from stable_baselines3.common.utils import LinearSchedule

        parts = [float(part) for part in value.removeprefix("lin_").split("_")]
        return LinearSchedule(*(parts + [0.0, 1.0][len(parts) - 1 :])[:3])
    if name in ("learning_rate", "clip_range", "clip_range_vf") and not isinstance(value, int | float):
        raise UsageError(f"{name}={value!r} is no schedule that Stable-Baselines3 has", "A number, or lin_START")
    if name == "train_freq" and isinstance(value, list):
        return tuple(value)
    return 1e9 if name == "max_grad_norm" and value == 0 else value


def _noise(agent: Any, settings: dict[str, Any]) -> Any:
    kind = settings.get("noise_type")
    if kind is None:
        return None
    from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise

    mean = np.zeros(agent.action_space.shape)
    made = NormalActionNoise if kind == "normal" else OrnsteinUhlenbeckActionNoise
    return made(mean, mean + float(settings["noise_std"]))


def _of_theirs(agent: Any) -> Any:
    """A model without anything of ours, with the weights of the agent's own."""
    settings = dict(agent.settings)
    of_policy = dict(agent.model.policy_kwargs)
    if "features_extractor_class" in of_policy:
        of_policy.pop("features_extractor_class")
    settings["policy"] = agent.policy_name()
    model = _model(agent, agent.id.removeprefix("sb3/"), of_policy, settings)
    model.policy.load_state_dict(agent.model.policy.state_dict())
    for name in agent.model._get_torch_save_params()[1]:
        getattr(model, name).data.copy_(getattr(agent.model, name).data)
    for name in agent.model._get_torch_save_params()[0]:
        if name.endswith("optimizer"):
            _at(model, name).load_state_dict(_at(agent.model, name).state_dict())
    return model


def _at(model: Any, path: str) -> Any:
    for name in path.split("."):
        model = getattr(model, name)
    return model


def _of_ours(agent: Any) -> Any:
    """A model with the weights of an agent of ours."""
    settings, arrays = dict(agent.hyperparameters), agent.arrays()
    name = "qrdqn" if settings.get("distributional") == "qr" else agent.id
    if (agent.id, settings.get("recurrent")) == ("ppo", "lstm"):
        name = "recurrent-ppo"
    if agent.id == "sac" and settings.get("batch_renorm") and not settings.get("target_networks"):
        name = "crossq"
    _algorithm(name)
    import torch

    for flag in ("dueling", "noisy", "munchausen", "recurrent", "layer_norm", "batch_renorm"):
        if settings.get(flag) and (flag, name) not in (("recurrent", "recurrent-ppo"), ("batch_renorm", "crossq")):
            raise UsageError(f"{agent.id} with {flag}={settings[flag]!r} has no twin in Stable-Baselines3")
    if settings.get("distributional") not in (None, "qr"):
        raise UsageError(f"{agent.id} with {settings['distributional']} has no twin in Stable-Baselines3")
    of_policy, picture = _architecture(agent, arrays)
    if settings.get("distributional") == "qr":
        of_policy["n_quantiles"] = int(settings["n_atoms"])
    of_policy |= _optimiser(agent, name)
    model = _model(agent, name, of_policy, {**settings, "policy": "auto"})
    like = {key: value.numpy() for key, value in model.policy.state_dict().items()}
    layout = layout_of(name, like, picture)
    layout.quantiles = int(settings["n_atoms"]) if name == "qrdqn" else 1
    found = _tensors(agent, arrays, layout, like)
    model.policy.load_state_dict({**model.policy.state_dict(), **{k: torch.from_numpy(v) for k, v in found.items()}})
    _give_moments(model, arrays, layout, like)
    if "log_alpha" in arrays:
        learned = getattr(model, "log_ent_coef", None)
        if learned is not None:
            learned.data.copy_(torch.from_numpy(np.asarray(arrays["log_alpha"], np.float32)))
        else:
            model.ent_coef_tensor = torch.tensor(float(np.exp(arrays["log_alpha"][0])))
    return model


def _optimiser(agent: Any, name: str) -> dict[str, Any]:
    """What ``policy_kwargs`` say of an agent's optimiser; nothing where it is the algorithm's own."""
    import torch

    kind, given = optimiser_of(agent)
    numbers: dict[str, Any] = {**OPTIMISERS[kind][1], **given}
    if "beta_1" in numbers:
        numbers["betas"] = (numbers.pop("beta_1"), numbers.pop("beta_2"))
    usual = {"betas": (0.9, 0.999), "eps": agent.adam_eps}
    by_itself = name not in ("qrdqn", "crossq") and (kind, numbers) == ("adam", usual)
    by_settings = "rms_prop_eps" in agent.hyperparameters and agent.hyperparameters["use_rms_prop"]
    if by_itself or (by_settings and "optimizer_class" not in (agent.hyperparameters["policy_kwargs"] or {})):
        return {}
    cls = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}.get(kind, torch.optim.SGD)
    return {"optimizer_class": cls, "optimizer_kwargs": numbers}


def _tensors(
    agent: Any, arrays: dict[str, NDArray[Any]], layout: Layout, like: dict[str, NDArray[Any]]
) -> dict[str, NDArray[np.float32]]:
    """All tensors of a policy, from an agent's arrays."""
    found: dict[str, NDArray[np.float32]] = {}
    try:
        for network in layout.networks:
            flat = np.asarray(arrays[layout.place(network, "parameters")], np.float32)
            found |= layout.tensors(flat, network, like)
        if layout.noise:
            found[layout.noise] = np.asarray(arrays[layout.spread], np.float32).reshape(like[layout.noise].shape).copy()
    except (RlplayError, ValueError, KeyError) as error:
        raise UsageError(f"{agent.id} has other networks than Stable-Baselines3's: {error}") from error
    for name in layout.ignored:  # the same tensors under further names
        twin = name.replace("features_extractor.", "pi_features_extractor.") if name.startswith("features") else name
        if twin in found:
            found[name] = found[twin]
    return found


def _give_moments(model: Any, arrays: dict[str, NDArray[Any]], layout: Layout, like: dict[str, NDArray[Any]]) -> None:
    """The optimisers' running means, so that Stable-Baselines3 goes on where the agent stands."""
    import torch

    names: dict[int, list[str]] = {}
    for name, parameter in model.policy.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    for stem in ("policy", "actor", "critic"):
        optimiser = getattr(getattr(model, stem, None), "optimizer", None)
        if optimiser is None:
            continue
        keys = {"exp_avg": "m", "exp_avg_sq": "v"} if isinstance(optimiser, torch.optim.Adam) else {"square_avg": "v"}
        means = {key: _means(arrays, layout, like, part) for key, part in keys.items()}
        steps = {
            name: step for name, step in _steps(arrays, layout).items() if all(name in one for one in means.values())
        }
        listed = [next((n for n in names[id(one)] if n in steps), "") for one in optimiser.param_groups[0]["params"]]
        state = {
            k: {"step": torch.tensor(float(steps[name])), **{key: torch.from_numpy(means[key][name]) for key in keys}}
            for k, name in enumerate(listed) if steps.get(name)  # none: nothing was learned, or means of another kind
        }  # fmt: skip
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _means(
    arrays: dict[str, NDArray[Any]], layout: Layout, like: dict[str, NDArray[Any]], part: str
) -> dict[str, NDArray[np.float32]]:  # fmt: skip
    """The running means of all tensors of a policy that have some."""
    found: dict[str, NDArray[np.float32]] = {}
    for network in layout.networks:
        flat = arrays.get(layout.place(network, part))
        if flat is not None and flat.size == arrays[layout.place(network, "parameters")].size:
            found |= layout.tensors(np.asarray(flat, np.float32), network, like)
    if layout.noise and (noise := arrays.get(f"{layout.spread}_{part}")) is not None and noise.size:
        found[layout.noise] = np.asarray(noise, np.float32).reshape(like[layout.noise].shape).copy()
    return found


def _steps(arrays: dict[str, NDArray[Any]], layout: Layout) -> dict[str, int]:
    """The steps of the optimiser of each tensor of a policy."""
    found: dict[str, int] = {}
    for network, members in layout.networks.items():
        step = arrays.get(layout.place(network, "t"))
        for name in (name for one in members for layer in one for name in layer):
            found |= dict.fromkeys(layout.of_layer(name), 0 if step is None else int(step.flat[0]))
    if layout.noise and f"{layout.spread}_t" in arrays:
        found[layout.noise] = int(arrays[f"{layout.spread}_t"].flat[0])
    return found


def _architecture(agent: Any, arrays: dict[str, NDArray[Any]]) -> tuple[dict[str, Any], tuple[int, int, int] | None]:
    """``policy_kwargs`` of the same networks, and the picture that they see."""
    arch: dict[str, Any] = {}
    activation, picture = "", None
    for network in ("policy", "value", "q", "actor", "critics"):
        layers = arrays.get(f"{network}/layers")
        if layers is None:
            continue
        layers = np.concatenate([layers, arrays.get(f"{network}/head_layers", layers[:0])])
        linear = layers[layers[:, KIND] == LINEAR]
        strange = set(layers[:, KIND].tolist()) - {*range(len(_ACTIVATIONS)), LINEAR, CONV_2D, BATCH_RENORM}
        if strange:
            words = "GELU, which Stable-Baselines3 computes otherwise" if GELU in strange else "layers of another kind"
            raise UsageError(f"{agent.id} has {words}")
        if (layers[:, KIND] == CONV_2D).any():
            space: Any = agent.observation_space
            if not is_picture(space) or space.dtype != np.uint8 or min(_sides(space)[:2]) < 36:
                raise UsageError(
                    f"{agent.id} has convolutions that are not those of Stable-Baselines3's CnnPolicy",
                    "That takes pictures of bytes, 36 x 36 or more, with three axes: stack them by frame_stack",
                )
            picture, linear = _sides(space), linear[1:]
        arch[network] = linear[:-1, OUT].tolist()
        kinds = layers[layers[:, KIND] < len(_ACTIVATIONS), KIND].tolist()
        activation = _ACTIVATIONS[kinds[0]] if kinds else activation
        _require_plain(agent, linear)
    import torch

    found: dict[str, Any] = {}
    if activation:
        found["activation_fn"] = getattr(torch.nn, activation)
    found["net_arch"] = arch["q"] if "q" in arch else {_PARTS[name]: sizes for name, sizes in arch.items()}
    if picture is not None:
        found["_convolutions"] = True
        if "value" in arch:
            found["share_features_extractor"] = False
    outputs = getattr(getattr(agent.memory, "nets", None), "critics", None)
    if outputs is not None and agent.id in ("sac", "tqc", "td3", "ddpg"):
        found["n_critics"] = int(outputs.outputs.shape[0])
        if agent.id == "tqc":
            found["n_quantiles"] = int(outputs.outputs.shape[2])
    if getattr(agent, "_head", None) is not None and agent.hyperparameters.get("use_sde"):
        found["log_std_init"] = 0.0
    if (core := arrays.get("policy_core/layers")) is not None:
        if len(core) > 1:
            raise UsageError(f"{agent.id} has layers in front of its memory, which RecurrentPPO has not")
        value_core = arrays.get("value_core/layers")
        found["lstm_hidden_size"] = int(core[-1, OUT])
        found["shared_lstm"] = value_core is None
        found["enable_critic_lstm"] = value_core is not None and value_core[-1, KIND] != LINEAR
    of_policy = agent.hyperparameters.get("policy_kwargs") or {}
    if "actor/log_std" in arrays:
        found |= {name: of_policy[name] for name in ("clip_mean", "use_expln") if name in of_policy}
    return found, picture


def _require_plain(agent: Any, linear: NDArray[Any]) -> None:
    if (linear[:, IN] < 1).any():
        raise CheckpointError(f"{agent.id} has a layer without inputs")


def _sides(space: Any) -> tuple[int, int, int]:
    shape = space.shape
    return (shape[1], shape[2], shape[0]) if channels_first(space) else (shape[0], shape[1], shape[2])


def _normalizer(agent: Any, model: Any) -> Any:
    """A VecNormalize with the agent's statistics; None where it does not normalise."""
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    if agent.id.startswith("sb3/"):
        return agent.vec_env if isinstance(agent.vec_env, VecNormalize) else None
    moments: RunningMoments | None = getattr(agent.memory, "moments", None)
    if moments is None or not (moments.norm_obs or moments.norm_reward):
        return None
    venv = DummyVecEnv([lambda: _Spaces(agent.observation_space, agent.action_space)])
    with contextlib.suppress(AttributeError):
        venv.metadata = {}
    made = VecNormalize(
        venv, norm_obs=moments.norm_obs, norm_reward=moments.norm_reward, clip_obs=moments.clip_obs,
        clip_reward=moments.clip_reward, gamma=moments.gamma, epsilon=moments.epsilon,
    )  # fmt: skip
    write_vecnormalize(made, read_moments(moments, agent.observation_space.shape))
    return made
