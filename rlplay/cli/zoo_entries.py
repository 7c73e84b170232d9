"""An entry of an RL Zoo file in a run: what it says of the agent, of the environment, and of callbacks."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from rlplay import registry
from rlplay.agent.base import Agent
from rlplay.cli.common import console, quoted, wrapper_words
from rlplay.environments.names import check_arguments
from rlplay.environments.packages import is_atari
from rlplay.environments.wrappers import listed, untrusted
from rlplay.errors import UsageError, unknown, warn
from rlplay.hyperparameters.fields import declared
from rlplay.hyperparameters.settings import read_zoo_file
from rlplay.storage.files import as_path
from rlplay.training.named_callbacks import callbacks_by_name, listed_callbacks, require_typed


def settings_in_file(arguments: Namespace, cls: type[Agent], env_id: str) -> dict[str, Any]:
    """The settings of a preset or a Zoo file.

    Raises:
        UsageError: a preset of another agent, or an entry with state-dependent exploration where the agent has none.
    """
    algo, own = cls.id, declared(cls)
    name, presets = arguments.conf_file, registry.recipes("PRESETS")
    if name in presets and not as_path(name).exists():
        whose, preset = presets[name]
        if whose != algo:
            raise UsageError(f"the settings {name} are those of {whose}, not of {algo}", f"Take --algo {whose}")
        console().print(f"settings of {name}: {', '.join(f'{k}={v}' for k, v in preset.items())}")
        return dict(preset)
    if not as_path(name).suffix and not as_path(name).exists():
        raise unknown("settings", name, presets, f"Give an RL Zoo file, or one of {', '.join(sorted(presets))}")
    settings = read_zoo_file(arguments.conf_file, env_id, atari=is_atari(env_id))
    if "optimize_memory_usage" not in own:
        settings.pop("optimize_memory_usage", None)  # each observation is kept once here
    for word in ("online_sampling", "max_episode_length"):  # of hindsight, in its files of before
        settings.pop(word, None)
    if "." in str(settings.get("policy", "")):
        raise UsageError(
            f"the settings name the policy {settings['policy']}, whose code is in no file of a run",
            "Take MlpPolicy, CnnPolicy or MultiInputPolicy, with policy_kwargs: dict(net_arch=[64, 64])",
        )
    if settings.pop("monitor_kwargs", None):
        warn("the settings have monitor_kwargs, which say nothing here: episodes are counted by the agent, in its logs")
    of_policy = settings.get("policy_kwargs") or {}
    tf_like = isinstance(of_policy, dict) and of_policy.get("optimizer_class") == "RMSpropTFLike"
    if tf_like and "use_rms_prop" in own and not algo.startswith("sb3/"):
        warn(
            f"the settings name the optimiser RMSpropTFLike, which divides by √(v + ε) and begins at v = 1: {algo} "
            f"divides by √v + ε and begins at 0. --algo sb3/{algo} keeps it"
        )
        epsilon = (of_policy.pop("optimizer_kwargs", None) or {}).get("eps", 1e-5)
        del of_policy["optimizer_class"]
        settings |= {"use_rms_prop": True, "rms_prop_eps": epsilon, "policy_kwargs": of_policy or None}
    if "use_sde" in own:
        return settings
    if settings.pop("use_sde", False):
        raise UsageError(
            f"the settings of {env_id} in {arguments.conf_file} are for state-dependent exploration (use_sde: true), "
            "which this agent does not have",
            "Take the same agent of Stable-Baselines3 (--algo sb3/...), or an entry without use_sde",
        )
    settings.pop("sde_sample_freq", None)  # says nothing without it
    return settings


def making(settings: dict[str, Any], arguments: Namespace, env_id: str) -> dict[str, Any]:
    """What settings say about how the environment is made, taken out of them: Zoo's env_wrapper and frame_stack.

    Raises:
        UsageError: a wrapper of a package that was not typed: a file may not import it.
    """
    made: dict[str, Any] = settings.pop("env_kwargs", None) or {}
    check_arguments(made)
    if wrappers := listed(settings.pop("env_wrapper", None)):
        typed = {
            name.partition(":")[0].partition(".")[0] for name in [env_id] * (":" in env_id) + arguments.gym_packages
        }
        strange = [name for name in untrusted(wrappers) if name.partition(".")[0] not in typed]
        if strange and not arguments.wrapper:
            raise UsageError(
                f"the settings name the wrapper {strange[0]}, which a file may not import",
                f"Type it: {quoted(wrapper_words(wrappers))}",
            )
        made["wrapper"] = wrappers
    if (stack := settings.pop("frame_stack", None)) is not None:
        made["frame_stack"] = stack
    return {**made, **_around_all(settings)}


def callbacks_in(settings: dict[str, Any], arguments: Namespace) -> dict[str, Any]:
    """Zoo's callback, taken out of settings: ``{"callback": [{name: arguments}]}``; nothing where there is none.

    Raises:
        UsageError: a callback of a package that was not typed, or one that cannot be made.
    """
    given = listed_callbacks(settings.pop("callback", None))
    require_typed(given, arguments.gym_packages)
    callbacks_by_name(given)  # what is refused is refused before a folder is made
    return {"callback": given} if given else {}


def _around_all(settings: dict[str, Any]) -> dict[str, Any]:
    """Zoo's vec_env_wrapper, taken out of settings: what stands around all environments there stands around each here.

    VecNormalize becomes the hyperparameter ``normalize``.

    Raises:
        UsageError: a wrapper that has no counterpart.
    """
    made: dict[str, Any] = {}
    for one in listed(settings.pop("vec_env_wrapper", None)):
        name, given = next(iter(one.items())) if isinstance(one, dict) else (one, {})
        kind = name.rpartition(".")[2]
        if kind == "VecFrameStack":
            made["frame_stack"] = given.get("n_stack")
        elif kind == "VecNormalize":
            settings.setdefault("normalize", dict(given) or True)
        elif kind != "VecMonitor":  # episodes are counted here anyway
            raise UsageError(
                f"the settings name the vec_env_wrapper {name}, which stands around all environments at once",
                "VecFrameStack, VecNormalize and VecMonitor are taken; --wrapper puts one around each",
            )
    return made
