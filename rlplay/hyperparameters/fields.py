"""Hyperparameters, declared once: as fields in an agent's class body.

    class QLearning(TableAgent):
        alpha: StepSize = 0.1
        n_steps: Annotated[int, Range("rewards in the return, n", 1, 10_000, integer=True)] = 4

Each annotation carries a domain. The check at construction, the signature that editors and type checkers show
(`typing.dataclass_transform`), ``rlplay show``, files and the command line's ``-params alpha:0.5`` read these fields.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, dataclass_transform, get_args, get_origin

from rlplay.errors import CheckpointError, unknown
from rlplay.hyperparameters.domains import Domain
from rlplay.hyperparameters.idle import say_idle

_NONE: Any = inspect.Parameter.empty


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter: its name, its default and its domain.

    Example:
        >>> from agents import QLearning
        >>> gamma = declared(QLearning)["gamma"]
        >>> gamma.name, gamma.default, gamma.domain.meaning
        ('gamma', 0.99, 'discount γ of future rewards, a step')
    """

    name: str
    default: Any
    domain: Domain


@dataclass(frozen=True)
class _Argument:
    """An argument of the constructor that is no hyperparameter."""

    name: str
    default: Any
    kw_only: bool


def argument(*, alias: str, default: Any = _NONE, kw_only: bool = True) -> Any:
    """A field that is an argument of the constructor, named ``alias``, and no hyperparameter (``env``, ``seed``)."""
    return _Argument(alias, default, kw_only)


@dataclass_transform(kw_only_default=True, field_specifiers=(argument,))
class Configured:
    """Base of classes whose class bodies declare hyperparameters.

    A class attribute that is no hyperparameter is annotated with ``ClassVar``; attributes of instances are set in
    `setup`. ``init=False`` in the class line leaves the constructor of the base, as for dataclasses.

    Attributes:
        hyperparameters: the checked values by name.

    Raises:
        TypeError: a class body has an annotation without a domain, or a hyperparameter without a default.
    """

    _fields: ClassVar[Mapping[str, Hyperparameter | _Argument]] = {}
    hyperparameters: dict[str, Any]

    def __init_subclass__(cls, *, init: bool = True, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_name in ("__new__", "__init_subclass__"):
            frame = frame.f_back  # metaclasses and bases stand between here and the class line
        module = getattr(sys.modules.get(cls.__module__), "__dict__", {})
        own = _own_fields(cls, {**module, **frame.f_globals, **frame.f_locals})
        inherited: dict[str, Hyperparameter | _Argument] = {}
        for base in cls.__mro__[1:]:
            for name, field in getattr(base, "_fields", {}).items():
                inherited.setdefault(name, field)
        for name, field in inherited.items():  # a new default without a new annotation
            if name in vars(cls) and name not in own and isinstance(field, Hyperparameter):
                own[name] = Hyperparameter(name, vars(cls)[name], field.domain)
        cls._fields = {**own, **{name: field for name, field in inherited.items() if name not in own}}
        cls.__signature__ = _signature(cls._fields.values())  # type: ignore[attr-defined]

    @classmethod
    def declare(cls, hyperparameters: Iterable[Hyperparameter]) -> None:
        """Add hyperparameters that no class body can name, such as those in another library's signature.

        They stand before those of the class body. Type checkers do not see them: such a class is made with
        ``init=False``.
        """
        added = {one.name: one for one in hyperparameters}
        cls._fields = {**added, **{name: field for name, field in cls._fields.items() if name not in added}}
        cls.__signature__ = _signature(cls._fields.values())  # type: ignore[attr-defined]

    def configure(self, given: Mapping[str, Any]) -> None:
        """Check the values given, and the defaults of the others, and keep them as attributes.

        Raises:
            HyperparameterError: a value outside its domain, or of the wrong type.
            UnknownNameError: a name that the class does not have.
        """
        defaults = {name: one.default for name, one in declared(type(self)).items()}
        self.hyperparameters = checked(type(self), {**defaults, **given})
        say_idle(type(self).__name__, self.hyperparameters, defaults)
        for name, value in self.hyperparameters.items():
            setattr(self, name, value)


def _own_fields(cls: type, names: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a class body."""
    found: dict[str, Any] = {}
    for name, text in vars(cls).get("__annotations__", {}).items():
        value = vars(cls).get(name, _NONE)
        annotation: Any = text
        if isinstance(value, _Argument):
            found[name] = value
            continue
        if isinstance(text, str):
            if text.startswith(("ClassVar", "typing.ClassVar")):
                continue
            try:
                annotation = eval(text, dict(names))
            except Exception as error:
                raise TypeError(f"{cls.__name__}.{name}: its annotation {text} cannot be read: {error}") from error
        if get_origin(annotation) is ClassVar or annotation is ClassVar:
            continue
        domains = [one for one in get_args(annotation)[1:] if isinstance(one, Domain)]
        if get_origin(annotation) is not Annotated or not domains:
            raise TypeError(
                f"{cls.__name__}.{name} has no domain: annotate a hyperparameter such as "
                f'{name}: Annotated[int, Range("what it means", 1)] = 4, and anything else with ClassVar, or set it in '
                "setup"
            )
        if value is _NONE:
            raise TypeError(f"{cls.__name__}.{name} is a hyperparameter without a default: give one")
        found[name] = Hyperparameter(name, value, domains[0])
    return found


def _signature(fields: Any) -> inspect.Signature:
    """The signature of the constructor: arguments without a default, hyperparameters, other arguments."""
    parameter = inspect.Parameter
    first: list[inspect.Parameter] = []
    middle: list[inspect.Parameter] = []
    last: list[inspect.Parameter] = []
    for field in fields:
        if isinstance(field, Hyperparameter):
            annotation = Annotated[Any, field.domain]
            middle.append(parameter(field.name, parameter.KEYWORD_ONLY, default=field.default, annotation=annotation))
        else:
            kind = parameter.KEYWORD_ONLY if field.kw_only else parameter.POSITIONAL_OR_KEYWORD
            (last if field.kw_only else first).append(parameter(field.name, kind, default=field.default))
    return inspect.Signature([*first, *middle, *last])


def declared(agent_class: type) -> dict[str, Hyperparameter]:
    """The hyperparameters of a class by name: its own in the order of its body, then those of its bases.

    Example:
        >>> from agents import QLearning
        >>> list(declared(QLearning))
        ['alpha', 'gamma', 'epsilon', 'initial_value', 'features']
    """
    fields = getattr(agent_class, "_fields", {})
    return {name: field for name, field in fields.items() if isinstance(field, Hyperparameter)}


def checked(agent_class: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in plain types, each inside its domain.

    Raises:
        HyperparameterError: a value outside its domain, or of the wrong type.
        UnknownNameError: a name that the agent does not have.

    Example:
        >>> from agents import QLearning
        >>> checked(QLearning, {"alpha": 1, "epsilon": "lin_1_0.05"})
        {'alpha': 1.0, 'epsilon': 'lin_1_0.05'}
    """
    known = declared(agent_class)
    for name in values:
        if name not in known:
            raise unknown(f"hyperparameter of {agent_class.__name__}", name, known)
    return {name: known[name].domain.check(agent_class.__name__, name, value) for name, value in values.items()}


def as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Checked hyperparameters as JSON values: models by their descriptions.

    Raises:
        CheckpointError: a function, which a file cannot hold.
    """
    found = {}
    for name, value in values.items():
        if hasattr(value, "describe"):
            found[name] = value.describe()
        elif hasattr(value, "learn"):  # a teacher is an agent of its own, with a file of its own
            found[name] = None
        elif isinstance(value, list) and value and hasattr(value[0], "as_json"):
            found[name] = [one.as_json() for one in value]
        elif hasattr(value, "fit"):
            from rlplay.approximation.packing import describe

            found[name] = describe(value)
        elif hasattr(value, "parameters") and callable(value):
            raise CheckpointError(
                f"hyperparameter {name} is a {type(value).__name__}, whose code a file cannot hold",
                "Agents with network='numpy' or 'torch' can be saved; of yours, save the module's state_dict",
            )
        elif callable(value):
            raise CheckpointError(
                f"hyperparameter {name}={value!r} is a function, which a file cannot hold",
                "Give the schedule by name (lin_1_0.05, exp_1_0.05) or as a list of values",
            )
        else:
            found[name] = value
    return found
