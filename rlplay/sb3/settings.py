"""What a zip of Stable-Baselines3 says of hyperparameters, as far as it is data."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

import numpy as np

from rlplay.agent.network_optimisers import TORCHS_DEFAULTS, has_optimiser
from rlplay.errors import CheckpointError, RlplayError, UsageError, warn
from rlplay.functional.hindsight import STRATEGIES
from rlplay.hyperparameters.fields import declared
from rlplay.storage.inert_pickle import Call, Name, plain_array
from rlplay.storage.sb3_zip import ModelZip

# Fields that only one algorithm has, the most telling first.
_SIGNS = {
    "top_quantiles_to_drop_per_net": "tqc", "cg_max_steps": "trpo", "clip_range": "ppo", "delta_std": "ars",
    "target_policy_noise": "td3", "target_entropy": "sac", "exploration_fraction": "dqn", "gae_lambda": "a2c",
}  # fmt: skip
_PACKAGES = ("stable_baselines3.", "sb3_contrib.")  # whose buffers agents here have, or nothing asks for
_SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf", "delta_std")
_NOT_OURS = ("optimizer_class", "optimizer_kwargs", "use_sde", "features_extractor_class", "features_extractor_kwargs",
             "normalize_images", "share_features_extractor")  # fmt: skip
_MAY_BE_NONE = ("clip_range_vf", "target_kl", "n_top")  # elsewhere it says that the default counts
_EXTRACTORS = ("FlattenExtractor", "NatureCNN", "CombinedExtractor")


def algorithm_of(model: ModelZip) -> str:
    """Which algorithm wrote a zip, in lower case, by the fields that it has.

    Raises:
        CheckpointError: none that is known here.

    Example:
        >>> from pathlib import Path
        >>> algorithm_of(ModelZip(Path("a.zip"), {"gamma": 0.99, "clip_range": 0.2}, {}))
        'ppo'
    """
    found = next((name for sign, name in _SIGNS.items() if sign in model.data), None)
    if found is None:
        raise CheckpointError(
            f"{model.path} does not say which algorithm wrote it: no setting in it belongs to one alone",
            "Take a zip as model.save of Stable-Baselines3 writes it",
        )
    if found == "dqn" and any(name.startswith("quantile_net") for name in model.tensors.get("policy", {})):
        return "qrdqn"
    if found == "td3" and "critic.qf1.0.weight" not in model.tensors.get("policy", {}):
        return "ddpg"
    if found == "ppo" and any(
        ".lstm" in f".{name}" or name.startswith("lstm") for name in model.tensors.get("policy", {})
    ):
        return "recurrent-ppo"
    if found == "ppo" and (policy_name(model) or "").startswith("Maskable"):
        return "maskable-ppo"
    if found == "sac" and any(".ra_mean" in name for name in model.tensors.get("policy", {})):
        return "crossq"
    return found


def policy_name(model: ModelZip) -> str | None:
    """The class of the policy by its name, as in ``ActorCriticPolicy``; None where it does not say."""
    found = model.value("policy_class")
    if isinstance(found, Name):
        return found.name
    if found is not None:
        raise CheckpointError(f"{model.path} has a policy of code of its own, which is not run", _WEIGHTS)
    return None


_WEIGHTS = "Load it where that code is, with Stable-Baselines3, and save it with one of its own policies"


def settings_of(model: ModelZip, known: Container[str]) -> dict[str, Any]:
    """The hyperparameters in a zip that an agent takes; what is code is left out, which is said.

    Args:
        model: the zip.
        known: names of the agent's hyperparameters.

    Example:
        >>> from pathlib import Path
        >>> settings_of(ModelZip(Path("a.zip"), {"gamma": 0.9, "n_steps": 8, "verbose": 1}, {}), ["gamma", "n_steps"])
        {'gamma': 0.9, 'n_steps': 8}
    """
    found: dict[str, Any] = {}
    for name, given in model.data.items():
        if name not in known or name in ("policy_kwargs", "device", "optimize_memory_usage", "seed"):
            continue
        value = _of_pickle(model, name) if isinstance(given, dict) and ":serialized:" in given else given
        if value is not _UNKNOWN and (value is not None or name in _MAY_BE_NONE):
            found[name] = value
    kind, numbers = optimiser_of(model)
    if "use_rms_prop" in known:
        found["use_rms_prop"] = kind in ("optim.RMSprop", "RMSpropTFLike")
        found.update({"rms_prop_eps": (numbers or {}).get("eps", 1e-8)} if found["use_rms_prop"] else {})
    if "beta_1" in known and kind == "optim.Adam" and numbers is not None:
        found["beta_1"] = numbers.get("betas", [0.9])[0]
    noise = model.value("action_noise")
    if "noise_type" in known and noise is not None:
        found.update(_noise(model, noise))
    for word in ("replay_buffer_class", "rollout_buffer_class"):
        kind = model.value(word)
        if kind is not None and not (isinstance(kind, Name) and kind.module.startswith(_PACKAGES)):
            warn(f"{model.path}: its {word} is code of its own, which is not run: the agent's own buffer is taken")
    return {**found, **_hindsight(model, known)}


_UNKNOWN = object()


def _of_pickle(model: ModelZip, name: str) -> Any:
    """A value that JSON cannot hold: a schedule, or how often is learned."""
    found = model.value(name)
    value = _schedule(found) if name in _SCHEDULES else _frequency(found) if name == "train_freq" else _UNKNOWN
    if isinstance(found, Call) and found.name.endswith("multiarray.scalar"):
        value = plain_array(found, name).item()
    if value is _UNKNOWN:
        warn(f"{model.path}: {name} is code, which is not run: the agent's own default is taken; give another with it")
    return value


def _schedule(found: Any) -> Any:
    """A schedule of Stable-Baselines3 or RL Zoo as ours has it in words."""
    for _ in range(10):  # one within another
        if isinstance(found, bool) or not isinstance(found, int | float | Call):
            return _UNKNOWN
        if not isinstance(found, Call):
            return float(found)
        state, kind = found.state if isinstance(found.state, dict) else {}, found.name.rpartition(".")[2]
        if kind == "FloatSchedule":
            found = state.get("value_schedule")
        elif kind == "ConstantSchedule":
            found = state.get("val")
        elif kind == "LinearSchedule":
            parts = [state.get(part) for part in ("start", "end", "end_fraction")]
            if not all(type(part) in (int, float) for part in parts):
                return _UNKNOWN
            return f"lin_{parts[0]}_{parts[1]}" + ("" if parts[2] == 1 else f"_{parts[2]}")
        elif kind == "SimpleLinearSchedule":  # RL Zoo's
            start = state.get("initial_value")
            return f"lin_{start}" if type(start) in (int, float) else _UNKNOWN
        else:
            return _UNKNOWN
    return _UNKNOWN


def _frequency(found: Any) -> Any:
    """``TrainFreq(4, step)`` as 4 or [1, "episode"]."""
    arguments: Any = found.arguments if isinstance(found, Call) else ()
    if len(arguments) != 2 or type(arguments[0]) is not int or not isinstance(arguments[1], Call):
        return _UNKNOWN
    unit = arguments[1].arguments
    if unit == ("step",):
        return arguments[0]
    return [arguments[0], "episode"] if unit == ("episode",) else _UNKNOWN


def _hindsight(model: ModelZip, known: Container[str]) -> dict[str, Any]:
    """How many goals in hindsight, and which, where the replay buffer is a HerReplayBuffer."""
    if getattr(model.value("replay_buffer_class"), "name", "") != "HerReplayBuffer":
        return {}
    given = model.value("replay_buffer_kwargs")
    given = given if isinstance(given, dict) else {}
    strategy = given.get("goal_selection_strategy", "future")
    if isinstance(strategy, Call) and strategy.name.endswith("GoalSelectionStrategy"):
        strategy = next((name for k, name in enumerate(STRATEGIES) if repr(strategy.arguments) == f"({k},)"), None)
    named = isinstance(strategy, str) and strategy in STRATEGIES
    if "n_sampled_goal" not in known or given.get("copy_info_dict", False) is not False or not named:
        warn(f"{model.path}: its HerReplayBuffer puts other goals in as this agent cannot: that is left out")
        return {}
    return {"n_sampled_goal": given.get("n_sampled_goal", 4), "goal_selection_strategy": strategy}


def _noise(model: ModelZip, found: Any) -> dict[str, Any]:
    """The noise on actions by RL Zoo's names."""
    if isinstance(found, Call) and found.name.endswith("VectorizedActionNoise"):
        found = (found.state or {}).get("_base_noise")
    kinds = {"NormalActionNoise": "normal", "OrnsteinUhlenbeckActionNoise": "ornstein-uhlenbeck"}
    kind = kinds.get(found.name.rpartition(".")[2]) if isinstance(found, Call) else None
    state = found.state if kind is not None and isinstance(found.state, dict) else {}
    if not {"_mu", "_sigma"} <= set(state):
        warn(f"{model.path}: action_noise is code, which is not run: no noise is taken; give noise_type and noise_std")
        return {}
    mean, deviation = (np.unique(plain_array(state[name], "action_noise")) for name in ("_mu", "_sigma"))
    others = (state.get("_theta", 0.15), state.get("_dt", 1e-2), state.get("initial_noise"))
    if mean.tolist() != [0.0] or len(deviation) != 1 or others != (0.15, 1e-2, None):
        warn(
            f"{model.path}: its action_noise has a mean, several deviations or another θ, dt or start, which no agent "
            "here has: no noise is taken; give noise_type and noise_std"
        )
        return {}
    return {"noise_type": kind, "noise_std": float(deviation[0])}


def optimiser_of(model: ModelZip) -> tuple[str, dict[str, Any] | None]:
    """The optimiser that ``policy_kwargs`` name, Adam where they do not, and its settings; None where it has its own.

    Example:
        >>> from pathlib import Path
        >>> optimiser_of(ModelZip(Path("a.zip"), {"policy_kwargs": {"optimizer_kwargs": {"eps": 0.001}}}, {}))
        ('optim.Adam', {'eps': 0.001})
    """
    given = policy_settings(model)
    numbers = given.get("optimizer_kwargs")
    return given.get("optimizer_class") or "optim.Adam", numbers if isinstance(numbers, dict) else None


def own_optimiser(model: ModelZip, cls: Any) -> dict[str, Any]:
    """What ``policy_kwargs`` of an agent of ours say of a zip's optimiser; nothing where its own is the same.

    Where our networks do not have it, which is said, there is nothing either.
    """
    kind, numbers = optimiser_of(model)
    if not has_optimiser(kind, numbers):
        own = "RMSProp" if kind == "RMSpropTFLike" and "use_rms_prop" in declared(cls) else "Adam"
        said = ", ".join(f"{name}={value}" for name, value in (numbers or {}).items())
        warn(
            f"{model.path}: its optimiser is {kind.rpartition('.')[2]}({said}), and {cls.id} goes on learning with "
            f"{own}" + (f": --algo sb3/{algorithm_of(model)} keeps its own" if kind in ADAPTERS_OPTIMISERS else "")
        )
        return {}
    found = {name: value for name, value in (numbers or {}).items() if value != TORCHS_DEFAULTS[name]}
    if kind == "optim.Adam":
        if "beta_1" in declared(cls) and found.get("betas", [0.9, 0.999])[1] == 0.999:
            found.pop("betas", None)
        same = numbers is None or {"eps": 1e-8, **found} == {"eps": cls.adam_eps}
        return {} if same else {"optimizer_kwargs": found}
    if "use_rms_prop" in declared(cls) and kind == "optim.RMSprop" and set(found) <= {"eps"}:
        return {}  # as its rms_prop_eps
    return {"optimizer_class": kind, "optimizer_kwargs": found}


# What the adapter's policies take of optimisers, by name.
ADAPTERS_OPTIMISERS = ("optim.Adam", "optim.AdamW", "optim.RMSprop", "optim.SGD", "optim.Adamax", "optim.NAdam",
                       "RMSpropTFLike")  # fmt: skip


def policy_settings(model: ModelZip) -> dict[str, Any]:
    """What ``policy_kwargs`` says, with names in place of classes, ``nn.ReLU``.

    Raises:
        CheckpointError: a class of the user's own, whose code is in no file.

    Example:
        >>> from pathlib import Path
        >>> kwargs = {":serialized:": "", "activation_fn": "<class 'torch.nn.modules.activation.ReLU'>"}
        >>> policy_settings(ModelZip(Path("a.zip"), {"policy_kwargs": kwargs}, {}))
        {'activation_fn': 'nn.ReLU'}
    """
    given = model.data.get("policy_kwargs") or {}
    if not isinstance(given, dict):
        raise CheckpointError(f"{model.path} is damaged: policy_kwargs is no dictionary")
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name.startswith(":"):
            continue
        match = re.fullmatch(r"<class '(.{1,200})'>", value) if isinstance(value, str) else None
        if match is None:
            found[name] = value
            continue
        module, _, kind = match[1].rpartition(".")
        if name == "activation_fn" and module.startswith("torch.nn.modules"):
            found[name] = f"nn.{kind}"
        elif name == "optimizer_class":
            own = match[1] if kind != "RMSpropTFLike" else kind  # of Stable-Baselines3
            found[name] = f"optim.{kind}" if module.startswith("torch.optim") else own
        elif name == "features_extractor_class" and kind not in _EXTRACTORS:
            raise CheckpointError(f"{model.path} has the features extractor {match[1]}, whose code is in no file",
                                  _WEIGHTS)  # fmt: skip
        elif name == "activation_fn":
            raise CheckpointError(f"{model.path} has the activation {match[1]}, whose code is in no file", _WEIGHTS)
    return found


def own_policy_settings(model: ModelZip) -> dict[str, Any]:
    """`policy_settings` without what only Stable-Baselines3's own networks have."""
    return {name: value for name, value in policy_settings(model).items() if name not in _NOT_OURS}


def refuse_with_way_out(model: ModelZip, error: RlplayError, algorithm: str) -> UsageError:
    """Say that an agent of ours does not take a zip, and that Stable-Baselines3's own does."""
    return UsageError(
        f"{model.path} does not fit {algorithm}: {error.cause}",
        error.remedy or f"Take Stable-Baselines3's own behind the same door: --algo sb3/{algorithm}",
    )
