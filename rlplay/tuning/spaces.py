"""Search spaces: what is searched of an agent's hyperparameters, from their declared ranges or from a YAML file.

A step size is searched on a logarithmic scale around its default, a share between its bounds, a count by doubling; the
values of a few names are those that RL Zoo searches (rl_zoo3/hyperparams_opt.py). What is no matter of search (buffers,
devices, worlds), or is one of speed as much as of score (sizes of networks), is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from rlplay import registry
from rlplay.errors import UsageError, unknown
from rlplay.hyperparameters.domains import Range
from rlplay.hyperparameters.fields import Hyperparameter, declared
from rlplay.hyperparameters.idle import BESIDE
from rlplay.storage.files import as_path
from rlplay.storage.texts import plain_yaml, text_of

_STEP_SPAN = 30.0  # a step size is searched from its default over this to its default times this
_SPAN = 10.0  # other numbers
_ZOO: dict[str, tuple[Any, ...]] = {
    "gamma": (0.9, 0.95, 0.98, 0.99, 0.995, 0.999),
    "gae_lambda": (0.8, 0.9, 0.92, 0.95, 0.98, 0.99, 1.0),
    "clip_range": (0.1, 0.2, 0.3, 0.4),
    "max_grad_norm": (0.3, 0.5, 1.0, 2.0, 5.0),
    "batch_size": (32, 64, 128, 256),
    "n_epochs": (3, 5, 10),
}
_NO_MATTER = {
    "beta_1", "buffer_size", "confidence", "evaluation_sweeps", "hold", "learning_starts", "log_std_init",
    "memory_size", "n_atoms", "n_envs", "n_eval_episodes", "noisy_sigma", "prior_mean", "projection", "reward_scale",
    "rms_prop_eps", "signal", "target_kl", "theta", "tolerance", "top_quantiles_to_drop_per_net", "v_max", "v_min",
    "exploration_initial_eps", "dropout", "train_freq", "gradient_steps", "policy_delay", "normalize", "threshold",
    "depth", "dictionary_size", "n_candidates", "baseline_epochs", "verbose", "stats_window_size", "n_jobs",
}  # fmt: skip
_PREFIXES = ("munchausen", "priority")


@dataclass(frozen=True)
class Numbers:
    """Numbers between two bounds.

    Example:
        >>> Numbers(1e-4, 1e-2, log=True).as_json()
        {'low': 0.0001, 'high': 0.01, 'log': True}
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def as_json(self) -> dict[str, Any]:
        """As it stands in a YAML file."""
        found: dict[str, Any] = {"low": self.low, "high": self.high}
        return {**found, **({"log": True} if self.log else {}), **({"integer": True} if self.integer else {})}


@dataclass(frozen=True)
class Choices:
    """A few values.

    Example:
        >>> Choices((32, 64)).as_json()
        [32, 64]
    """

    values: tuple[Any, ...]

    def as_json(self) -> list[Any]:
        """As it stands in a YAML file."""
        return list(self.values)


Dimension = Numbers | Choices
Space = dict[str, Dimension]


def space_of(algo: str) -> Space:
    """What is searched of an agent by default.

    Example:
        >>> space = space_of("q-learning")
        >>> space["alpha"], list(space)
        (Numbers(low=0.0033333333333333335, high=1.0, log=True, integer=False), ['alpha', 'gamma', 'epsilon'])
    """
    known = declared(registry.agent_class(algo))
    defaults = {name: one.default for name, one in known.items()}
    matter = [one for name, one in known.items() if name not in BESIDE or BESIDE[name].holds(defaults)]
    found = {one.name: _dimension(one) for one in matter}
    return {name: dimension for name, dimension in found.items() if dimension is not None}


def _dimension(one: Hyperparameter) -> Dimension | None:
    name, default, domain = one.name, one.default, one.domain
    if name in _NO_MATTER or name.startswith(_PREFIXES):
        return None
    if name == "ent_coef" and isinstance(domain, Range):
        return Numbers(1e-8, 0.1, log=True)
    if not isinstance(domain, Range) or isinstance(default, bool) or not isinstance(default, int | float):
        return None
    if name in _ZOO:
        values = tuple(value for value in _ZOO[name] if domain.low <= value <= domain.high)
        return Choices(values)
    if domain.integer:
        return _count(int(default), domain)
    if name in ("epsilon", "exploration_final_eps", "exploration_fraction") and domain.high == 1.0:
        return Numbers(0.01, 0.3)
    if domain.schedule or domain.open_low:
        return _around(default, _STEP_SPAN, domain)
    if domain.low == 0.0 and domain.high == 1.0:
        return Numbers(0.0, 1.0)
    return _around(default, _SPAN, domain)


def _around(default: float, span: float, domain: Range) -> Dimension | None:
    """A logarithmic scale around a default that is above 0."""
    if default <= 0 or domain.low < 0:
        return None
    low, high = max(default / span, domain.low), min(default * span, domain.high)
    return Numbers(float(low), float(high), log=True) if 0 < low < high else None


def _count(default: int, domain: Range) -> Dimension | None:
    """Doubles and halves of a default; of a small one each number up to 8."""
    if default < 1:
        return None
    if default <= 4:
        low = max(int(domain.low), 1)
        return Numbers(low, min(8, domain.high), integer=True) if low < min(8, domain.high) else None
    counts = (default // 4, default // 2, default, default * 2)
    return Choices(tuple(dict.fromkeys(n for n in counts if max(domain.low, 2) <= n <= domain.high)))


def read_space(path: str, algo: str, env_id: str) -> Space:
    """A space from a YAML file: ``name: {low, high, log, integer}`` or ``name: [values]``, perhaps under an agent's id.

    Raises:
        UsageError: it cannot be read, or has a dimension that is neither; a name that the agent does not have.
    """
    try:
        content = plain_yaml(text_of(as_path(path)))
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UsageError(f"the space {path} cannot be read: {words}", "Name a YAML file with --space") from error
    except yaml.YAMLError as error:
        raise UsageError(f"the space {path} is no plain YAML: {' '.join(str(error).split())}") from error
    for key in (algo, env_id):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise UsageError(f"the space {path} names no hyperparameters", "For example alpha: {low: 0.01, high: 1}")
    return checked_space({str(name): from_json(path, str(name), value) for name, value in content.items()}, algo)


def from_json(place: str, name: str, value: Any) -> Dimension:
    """A dimension as `Numbers.as_json` and `Choices.as_json` write it.

    Raises:
        UsageError: something else.
    """
    if isinstance(value, list) and value:
        plain = (type(None), bool, int, float, str)
        return Choices(tuple(one if isinstance(one, plain) else ",".join(map(str, one)) for one in value))
    if isinstance(value, dict) and {"low", "high"} <= set(value) <= {"low", "high", "log", "integer"}:
        try:
            low, high = float(value["low"]), float(value["high"])
        except (TypeError, ValueError):
            low, high = math.nan, math.nan
        log, integer = value.get("log", False), value.get("integer", False)
        told = isinstance(log, bool) and isinstance(integer, bool)
        if told and low < high < math.inf and low > (0 if log else -math.inf):
            return Numbers(low, high, log, integer)
    raise UsageError(
        f"{place}: {name}: {value!r} is no dimension", "Write {low: 0.01, high: 1, log: true} or [first, second]"
    )


def checked_space(space: Space, algo: str) -> Space:
    """A space whose ends and choices an agent takes.

    Raises:
        UsageError: a name or a value that it does not take; an empty space.
    """
    cls = registry.agent_class(algo)
    known = declared(cls)
    for name, dimension in space.items():
        if name not in known:
            raise unknown(f"hyperparameter of {algo}", name, known)
        ends = dimension.values if isinstance(dimension, Choices) else _ends(dimension)
        for value in ends:
            known[name].domain.check(cls.__name__, name, value)
    if not space:
        raise UsageError(f"{algo} has nothing to search by default", "Give a space of yours with --space FILE.yml")
    return space


def _ends(dimension: Numbers) -> list[float]:
    ends = [dimension.low, dimension.high]
    return [int(one) for one in ends] if dimension.integer else ends


def as_json(space: Mapping[str, Dimension]) -> dict[str, Any]:
    """A space as it stands in a YAML file."""
    return {name: dimension.as_json() for name, dimension in space.items()}
