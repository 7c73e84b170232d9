"""Third-party packages of environments: imported because a user typed them, suggested by name where none was typed.

Three spellings reach an environment of a package: ``module:id``, Gymnasium's own (``minigrid:MiniGrid-Empty-5x5-v0``),
``package.module:Class``, and an id that a module registers which ``--gym-packages`` names (``minigrid`` or
``minatar.gym:register_envs``). A suggestion looks at the names of what is installed and imports nothing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from rlplay.errors import UsageError, unknown


class Package(NamedTuple):
    """A package that registers environments when it is imported.

    Attributes:
        distribution: its name for pip.
        module: what is imported.
        ids: a regular expression that its ids begin with.
    """

    distribution: str
    module: str
    ids: str


KNOWN = (
    Package("minigrid", "minigrid", r"MiniGrid-|BabyAI-"),
    Package("ale-py", "ale_py", r"ALE/|[A-Z]\w+(-ram)?(NoFrameskip|Deterministic)-v\d"),
    Package("highway-env", "highway_env", r"(highway|merge|roundabout|parking|intersection|exit|u-turn|two-way)-"),
    Package("MinAtar", "minatar.gym:register_envs", r"MinAtar/"),
    Package("flappy-bird-gymnasium", "flappy_bird_gymnasium", r"FlappyBird-"),
    Package(
        "gymnasium-robotics", "gymnasium_robotics", r"Fetch|Adroit|Hand(Reach|Manipulate)|(Point|Ant)Maze|FrankaKitc"
    ),
    Package("metaworld", "metaworld", r"Meta-World/"),
    Package("panda-gym", "panda_gym", r"Panda[A-Z]"),
    Package("miniworld", "miniworld", r"MiniWorld-"),
    Package("mo-gymnasium", "mo_gymnasium", r"mo-|deep-sea-treasure-|resource-gathering-"),
    Package("shimmy", "shimmy", r"dm_control/"),
    Package("pybullet-envs-gymnasium", "pybullet_envs_gymnasium", r"\w+BulletEnv-v\d"),
    Package("safety-gymnasium", "safety_gymnasium", r"Safety[A-Z]"),
)
_NOT_ENVIRONMENTS = {"gymnasium", "rlplay", "stable-baselines3", "sb3-contrib", "rl-zoo3", "supersuit", "tianshou"}

_imported: list[str] = []


def is_atari(env_id: str) -> bool:
    """Whether an id is one of the Arcade Learning Environment's.

    Example:
        >>> is_atari("ale_py:ALE/Pong-v5"), is_atari("PongNoFrameskip-v4"), is_atari("CartPole-v1")
        (True, True, False)
    """
    return re.match(KNOWN[1].ids, without_module(env_id)) is not None


def without_module(env_id: str) -> str:
    """An id without the module before it.

    Example:
        >>> without_module("minigrid:MiniGrid-Empty-5x5-v0"), without_module("CartPole-v1")
        ('MiniGrid-Empty-5x5-v0', 'CartPole-v1')
    """
    return env_id.rpartition(":")[2]


def import_typed(name: str, asker: str) -> ModuleType:
    """A module that a user typed; the current folder is searched too.

    Args:
        name: the module.
        asker: what names it, for the error.

    Raises:
        UsageError: it, or what it needs, is not installed; or it raises when it is imported.
    """
    if not name or name.startswith("."):
        raise UsageError(f"{asker}: {name!r} is no name of a module", "Write it as package.module")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            known = [p for p in KNOWN if p.module.partition(":")[0].partition(".")[0] == name.partition(".")[0]]
            raise UsageError(
                f"{asker}: there is no module {error.name!r} on the path",
                f"Install it: pip install {known[0].distribution}"
                if known
                else "Write it as package.module:Class and start where `import package.module` works",
            ) from error
        raise UsageError(f"{asker}: its module needs {error.name!r}, which is not installed") from error
    except (ImportError, AttributeError) as error:  # for example a package that is too old for this Gymnasium
        raise UsageError(f"{asker}: {name} cannot be imported: {' '.join(str(error).split())}") from error
    except Exception as error:  # whatever its own lines raise
        *_, last = traceback.extract_tb(error.__traceback__)
        where = "" if isinstance(error, SyntaxError) else f" ({last.filename}, line {last.lineno})"
        raise UsageError(
            f"{asker}: {name} cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}{where}",
            "Mend the module; --debug shows the whole traceback",
        ) from error


def import_packages(names: Iterable[str]) -> None:
    """Import the modules that a command's ``--gym-packages`` names, so that they register their environments.

    They are remembered until the next command (`imported_packages`).

    Args:
        names: modules, or ``module:function`` for those that register in a function, which is called.

    Raises:
        UsageError: one cannot be imported, has no such function, or the function raises.

    Example:
        >>> import_packages(["math"])
        >>> import_packages(["math:register"])
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: --gym-packages math:register: there is no function 'register' in math
    """
    _imported.clear()
    for name in dict.fromkeys(names):
        module_name, colon, function = name.partition(":")
        found: Any = import_typed(module_name, f"--gym-packages {name}")
        if colon:
            found = getattr(found, function, None)
            if not callable(found):
                raise UsageError(f"--gym-packages {name}: there is no function {function!r} in {module_name}")
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*Overriding environment.*")  # it may have been called
                _call(found, name)
        _imported.append(name)


def _call(function: Callable[[], Any], name: str) -> None:
    """Call what registers environments; whatever it raises is said in one line."""
    try:
        function()
    except Exception as error:
        raise UsageError(
            f"--gym-packages {name} cannot be called: {type(error).__name__}: {' '.join(str(error).split())}",
            "Name a function that registers environments and needs no arguments",
        ) from error


def imported_packages() -> list[str]:
    """What ``--gym-packages`` named in this command: it is typed again where a run is taken up."""
    return list(_imported)


def registered_by(module: ModuleType, env_id: str) -> EnvSpec:
    """The environment under an id that a module has registered.

    Raises:
        UnknownNameError: it has registered no such id; names the nearest.
    """
    if env_id not in gym.registry:
        top = module.__name__.partition(".")[0]
        own = [i for i, spec in gym.registry.items() if str(spec.entry_point).startswith((f"{top}.", f"{top}:"))]
        words = f"{module.__name__} has neither a class of this name nor registers it"
        raise unknown(f"environment of {module.__name__}", env_id, own or gym.registry, words if not own else "")
    return gym.registry[env_id]


def of_package(env_id: str) -> str:
    """What to type for an id of a known package that is not imported; or an empty string.

    Example:
        >>> of_package("Meta-World/MT1")
        'It is of metaworld: pip install metaworld, then --env metaworld:Meta-World/MT1'
        >>> of_package("CartPole-v2")
        ''
    """
    for package in KNOWN:
        if re.match(package.ids, env_id) and not any(re.match(package.ids, known) for known in gym.registry):
            module, _, function = package.module.partition(":")
            typed = f"{env_id} --gym-packages {package.module}" if function else f"{module}:{env_id}"
            if _is_installed(package.distribution):
                return f"It is of {package.distribution}, which is installed: --env {typed}"
            return f"It is of {package.distribution}: pip install {package.distribution}, then --env {typed}"
    return ""


def of_others(env_id: str) -> str:
    """What to type where one of the packages that are installed may have an id; an empty string for none."""
    others = sorted(_environment_packages())
    return (
        f"If a package has it, type its module too: --env module:{env_id}; installed: {', '.join(others)}"
        if others
        else ""
    )


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _environment_packages() -> set[str]:
    """The installed distributions that need Gymnasium: those that may have environments."""
    found = set()
    for distribution in importlib.metadata.distributions():
        needs = {re.split(r"[^\w-]", line, maxsplit=1)[0].lower() for line in distribution.requires or []}
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        if "gymnasium" in needs and name not in _NOT_ENVIRONMENTS:
            found.add(name)
    return found
