"""Domains: the values that a hyperparameter may take, what it means, and how a value is checked.

Each domain has a ``meaning`` for help texts, a text that says which values it takes, and ``check``, which returns the
value in its plain type or raises a HyperparameterError that names owner, value, domain and the way out.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rlplay.errors import HyperparameterError, UsageError
from rlplay.functional.schedules import falls_with_visits, tabulate, visit_power

_EPSILON = float(np.finfo(np.float64).eps)  # a change of less than this share of a value is none


@dataclass(frozen=True)
class Range:
    """The values a hyperparameter may take, and what it means.

    Attributes:
        meaning: a few words for help texts, with the unit.
        low: smallest value (excluded where ``open_low``).
        high: largest value.
        open_low: whether ``low`` itself is excluded.
        integer: whether only whole numbers are taken.
        schedule: whether a schedule may stand in place of a number.
        visits: whether it may fall with visits (``"1/n"``).
        remedy: what to do when a value is outside, in one sentence.

    Example:
        >>> steps = Range("steps between fits", 1, 100, integer=True)
        >>> str(steps), steps.check("MyAgent", "train_freq", 5.0)
        ('whole number in [1, 100]', 5)
        >>> steps.check("MyAgent", "train_freq", 0)
        Traceback (most recent call last):
            ...
        rlplay.errors.HyperparameterError: MyAgent: train_freq=0 is not a whole number in [1, 100]
    """

    meaning: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    integer: bool = False
    schedule: bool = False
    visits: bool = False
    remedy: str = ""

    def __str__(self) -> str:
        if math.isinf(self.low) and math.isinf(self.high):
            return "any whole number" if self.integer else "any finite number"
        left = "(" if self.open_low or math.isinf(self.low) else "["
        right = ")" if math.isinf(self.high) else "]"
        kind = "whole number in " if self.integer else ""
        return f"{kind}{left}{_short(self.low)}, {_short(self.high)}{right}"

    def check(self, owner: str, name: str, value: Any) -> Any:
        """The value in its plain type, or a HyperparameterError that names owner, value, range and remedy."""
        if self.visits and falls_with_visits(value):
            visit_power(value)
            return value
        if self.schedule and (isinstance(value, str) or callable(value) or np.ndim(value) == 1):
            values = tabulate(value)
            for number in values:
                if not self.low <= number <= self.high:  # a schedule may end at an excluded bound: lin_0.1 ends at 0
                    raise self._refusal(owner, name, value)
            self._check_effect(owner, name, value, values.max())
            return value if isinstance(value, str) else values.tolist()  # a file can hold values, and no function
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        number = number and not (isinstance(value, int) and abs(value) > sys.float_info.max)
        inside = number and math.isfinite(value) and self.low <= value <= self.high
        if inside and not (self.open_low and value == self.low):
            if not self.integer:
                self._check_effect(owner, name, value, value)
                return float(value)
            if value == int(value):
                return int(value)
        raise self._refusal(owner, name, value)

    def _check_effect(self, owner: str, name: str, value: Any, largest: float) -> None:
        """Refuse what a run would scale with and that never leaves 0, as far as numbers have digits."""
        if self.schedule and self.open_low and largest - self.low < _EPSILON:
            raise HyperparameterError(
                f"{owner}: {name}={value!r} is never above {_EPSILON:.1g}: nothing would be learned", self.remedy
            )

    def _refusal(self, owner: str, name: str, value: Any) -> HyperparameterError:
        return HyperparameterError(f"{owner}: {name}={value!r} is not a {self._words()}", self.remedy)

    def _words(self) -> str:
        text = str(self).removeprefix("any ")
        return text if text.startswith(("finite", "whole")) else f"number in {text}"


@dataclass(frozen=True)
class Choice:
    """A hyperparameter that takes one of a few values (names, or yes and no).

    Example:
        >>> kind = Choice("what traces do", ("accumulating", "replacing"))
        >>> str(kind), kind.check("MyAgent", "traces", "replacing")
        ('accumulating | replacing', 'replacing')
    """

    meaning: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return " | ".join(str(value) for value in self.values)

    def check(self, owner: str, name: str, value: Any) -> Any:
        """The value, or a HyperparameterError that lists the choices."""
        for choice in self.values:
            if value == choice and type(value) is type(choice):
                return value
        raise HyperparameterError(f"{owner}: {name}={value!r} is not one of {self}")


@dataclass(frozen=True)
class Sizes:
    """A hyperparameter that is a list of whole numbers of 1 or more, also written ``"64,64"``.

    Example:
        >>> Sizes("units of the hidden layers").check("MyAgent", "net_arch", "64,32")
        [64, 32]
    """

    meaning: str

    def __str__(self) -> str:
        return "whole numbers, such as 64,64"

    def check(self, owner: str, name: str, value: Any) -> list[int]:
        """The list, or a HyperparameterError."""
        parts = value.split(",") if isinstance(value, str) else value
        try:
            sizes = [int(part) for part in parts]
            exact = all(str(part).strip() == str(size) for part, size in zip(parts, sizes, strict=True))
        except (TypeError, ValueError):
            sizes, exact = [], False
        if not exact or any(not 1 <= size <= 65_536 for size in sizes):
            raise HyperparameterError(f"{owner}: {name}={value!r} is not a list of {self}, each in [1, 65536]")
        return sizes


@dataclass(frozen=True)
class Settings:
    """A hyperparameter that is a dictionary of plain values, such as ``{"net_arch": [64, 64]}``.

    Attributes:
        meaning: a few words for help texts.
        example: what may stand in the dictionary.
        parts: domains of some of its values, by name.

    Example:
        >>> Settings("settings of the networks").check("MyAgent", "policy_kwargs", {"net_arch": [64, 64]})
        {'net_arch': [64, 64]}
    """

    meaning: str
    example: str = "net_arch=[64, 64]"
    parts: Mapping[str, Range | Choice] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"settings by name, such as dict({self.example})"

    def check(self, owner: str, name: str, value: Any) -> dict[str, Any]:
        """The dictionary, or a HyperparameterError."""
        if not isinstance(value, dict) or not _is_plain(value):
            raise HyperparameterError(f"{owner}: {name}={value!r} is not made of plain values: {self}")
        for part, domain in self.parts.items():
            if part in value:
                domain.check(owner, f"{name}: {part}", value[part])
        return value


@dataclass(frozen=True)
class Either:
    """A hyperparameter that takes one of a few values or what another domain takes; with ``pairs`` also [n, unit].

    Example:
        >>> clip = Either((None,), Range("clip range", 0, 1))
        >>> str(clip), clip.check("MyAgent", "clip", None), clip.check("MyAgent", "clip", 0.2)
        ('None | [0, 1]', None, 0.2)
    """

    values: tuple[Any, ...]
    domain: Range | Settings
    pairs: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """The meaning of the other domain."""
        return self.domain.meaning

    def __str__(self) -> str:
        return " | ".join([*map(str, self.values), str(self.domain), *(f"[n, {unit}]" for unit in self.pairs)])

    def check(self, owner: str, name: str, value: Any) -> Any:
        """The value in its plain type, or a HyperparameterError."""
        if any(value is one or (isinstance(value, str) and value == one) for one in self.values):
            return value
        if self.pairs and isinstance(value, list | tuple) and len(value) == 2 and value[1] in self.pairs:
            return [self.domain.check(owner, name, value[0]), value[1]]
        return self.domain.check(owner, name, value)


def in_words(domain: Any) -> str:
    """What a hyperparameter takes, with the schedules that may stand in place of a number.

    Example:
        >>> in_words(Either((None,), Range("clip range", 0, 1, schedule=True)))
        'None | [0, 1], or lin_0.1'
    """
    numbers = domain.domain if isinstance(domain, Either) else domain
    if not isinstance(numbers, Range) or not numbers.schedule:
        return str(domain)
    return f"{domain}, or lin_{_short(min(numbers.high, 0.1))}{', or 1/n' if numbers.visits else ''}"


@dataclass(frozen=True)
class Temperature:
    """A hyperparameter that takes a number above 0, ``"auto"`` to learn it from 1, or ``"auto_0.1"`` from 0.1.

    Example:
        >>> domain = Temperature("weight of the entropy")
        >>> str(domain), domain.check("SAC", "ent_coef", "auto_0.1"), domain.check("SAC", "ent_coef", "0.2")
        ('auto | auto_0.1 | (0, ∞)', 'auto_0.1', 0.2)
    """

    meaning: str

    def __str__(self) -> str:
        return "auto | auto_0.1 | (0, ∞)"

    def check(self, owner: str, name: str, value: Any) -> Any:
        """A float or the text, or a HyperparameterError."""
        text = isinstance(value, str)
        try:
            number = 1.0 if text and value == "auto" else float(value.removeprefix("auto_") if text else value)
        except (TypeError, ValueError):
            number = 0.0
        if isinstance(value, bool) or not 0.0 < number < math.inf:
            raise HyperparameterError(
                f"{owner}: {name}={value!r} is not a temperature: {self}", 'Take "auto", or 0.1 to 0.5'
            )
        return value if text and value.startswith("auto") else number


@dataclass(frozen=True)
class Features:
    """A hyperparameter that takes an unsupervised model as features: an estimator, a FeatureMap, text, or None."""

    meaning: str

    def __str__(self) -> str:
        return "an estimator, such as k-means:64,refit_every=10000"

    def check(self, owner: str, name: str, value: Any) -> Any:
        """A FeatureMap, or None."""
        from rlplay.approximation.feature_map import as_feature_map

        try:
            return as_feature_map(value)
        except UsageError as error:
            raise HyperparameterError(f"{owner}: {error.cause}", error.remedy) from error


@dataclass(frozen=True)
class Regressor:
    """A hyperparameter that takes a supervised model: a regressor as value function, or text.

    Attributes:
        meaning: a few words for help texts.
        classifiers: whether classifiers are taken too.

    Example:
        >>> model = Regressor("what learns the values").check("MyAgent", "model", "ridge:alpha=0.5")
        >>> type(model).__name__, model.alpha
        ('Ridge', 0.5)
    """

    meaning: str
    classifiers: bool = False

    def __str__(self) -> str:
        return "a classifier or regressor, such as decision-tree" if self.classifiers else (
            "a regressor, such as extra-trees:50"
        )  # fmt: skip

    def check(self, owner: str, name: str, value: Any) -> Any:
        """The unfitted regressor, or classifier."""
        from rlplay.approximation.estimators import require_regressor
        from rlplay.approximation.packing import build
        from rlplay.models.names import parse

        try:
            if isinstance(value, str):
                value, _ = parse(value)
            elif isinstance(value, dict) and "model" in value:
                value = build(value)
        except UsageError as error:
            raise HyperparameterError(f"{owner}: {error.cause}", error.remedy) from error
        return require_regressor(value, owner, classifiers=self.classifiers)


@dataclass(frozen=True)
class Teacher:
    """A hyperparameter that is who is imitated: an agent, its file, a policy by name, or a function of observations."""

    meaning: str

    def __str__(self) -> str:
        return "an agent | a file of one | the name of a policy | a function | None"

    def check(self, owner: str, name: str, value: Any) -> Any:
        """The teacher as it was given; whether it fits the environment is seen by the agent."""
        if value is None or (isinstance(value, str) and value) or hasattr(value, "predict") or callable(value):
            return value
        raise HyperparameterError(f"{owner}: {name}={value!r} is no teacher", f"Give {self}")


@dataclass(frozen=True)
class DataSource:
    """A hyperparameter that is a data set: one, its file, or how many steps of random play or of a policy by name.

    A file of an agent says of its data set where the steps came from; they lie in the agent's own buffer.

    Example:
        >>> DataSource("what is learned from").check("CQL", "dataset", "random:10000")
        'random:10000'
    """

    meaning: str

    def __str__(self) -> str:
        return "a data set | its file | random:10000 | the name of a policy, such as follow-the-pole:10000 | None"

    def check(self, owner: str, name: str, value: Any) -> Any:
        """The value as it was given; whether it fits the environment is seen by the agent."""
        told = isinstance(value, dict) and set(value) == {"env", "steps", "players", "digest"}
        if value is None or told or hasattr(value, "digests"):
            return value
        if isinstance(value, str | os.PathLike) and os.fspath(value):
            return os.fspath(value)
        raise HyperparameterError(f"{owner}: {name}={value!r} is no data set", f"Give {self}")


@dataclass(frozen=True)
class Policy:
    """A hyperparameter that is a policy: a name, one action for each state, or probabilities.

    Example:
        >>> Policy("the policy that is evaluated").check("MyAgent", "policy", [1, 0, 1])
        [1, 0, 1]
    """

    meaning: str
    optional: bool = False

    def __str__(self) -> str:
        return "random | a name | actions [S] | probabilities [S, A]" + (" | None" if self.optional else "")

    def check(self, owner: str, name: str, value: Any) -> Any:
        """The policy in plain types; its shape is checked with the environment."""
        if (self.optional and value is None) or (isinstance(value, str) and value):
            return value
        try:
            table = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            table = np.zeros(0)
        if table.ndim not in (1, 2) or not table.size or not np.isfinite(table).all():
            raise HyperparameterError(f"{owner}: {name}={value!r} is not a policy", f"Give {self}")
        return np.asarray(value).tolist()


@dataclass(frozen=True)
class Module:
    """A hyperparameter that says whose networks an agent has: ours, torch's, or a torch module."""

    meaning: str

    def __str__(self) -> str:
        return "numpy | torch | a list of our layers | a torch module"

    def check(self, owner: str, name: str, value: Any) -> Any:
        """The name, the layers or the module, or a HyperparameterError."""
        if isinstance(value, list | tuple) and value:
            from rlplay.networks.layers import from_json

            try:
                return [from_json(one) for one in value]
            except ValueError as error:
                raise HyperparameterError(f"{owner}: {name}: {error}", "Give [Linear(4, 64), Tanh()], say") from error
        if value in ("numpy", "torch") if isinstance(value, str) else hasattr(value, "parameters") and callable(value):
            return value
        raise HyperparameterError(f"{owner}: {name}={value!r} is not one of {self}")


Domain = (
    Range
    | Choice
    | Sizes
    | Settings
    | Either
    | Temperature
    | Features
    | Regressor
    | Policy
    | Module
    | Teacher
    | DataSource
)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return all(_is_plain(one) for one in value)
    return value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))


def _short(number: float) -> str:
    return "∞" if number == math.inf else "-∞" if number == -math.inf else f"{number:g}"
