"""A learning rule as Python calls it, a step at a time.

At each call numba tells the type of a plain tuple in C, and that of a NamedTuple in Python, which takes several
microseconds. So a rule that is called from Python gets its memory as nested plain tuples, from which a thin compiled
function makes the memory again; in compiled code that costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from rlplay.compiled.cache import as_these
from rlplay.compiled.training_loop import LearningRule


class StepwiseRule(NamedTuple):
    """The functions of a rule over plain tuples.

    Attributes:
        act: as in `LearningRule`.
        learn: as in `LearningRule`.
        memory: the memory as nested plain tuples.
    """

    act: Callable[..., Any]
    learn: Callable[..., float]
    memory: Any


def stepwise(rule: LearningRule, memory: Any) -> StepwiseRule:
    """A rule and its memory as Python calls them; as they are where the memory is no NamedTuple, or the rule Python.

    Example:
        >>> from rlplay.extend import ControlMemory, LearningRule
        >>> def act(memory, s, progress):
        ...     return 0
        >>> def learn(memory, *step):
        ...     return 0.0
        >>> stepwise(LearningRule(act, learn), ControlMemory(1, 2, 3, 4, 5)).memory.gamma
        3
    """
    if not _is_record(memory) or not hasattr(rule.act, "py_func") or not hasattr(rule.learn, "py_func"):
        return StepwiseRule(rule.act, rule.learn, memory)
    return StepwiseRule(*_over_plain_tuples(rule.act, rule.learn, _shape(memory)), _plain(memory))


def _is_record(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _plain(value: Any) -> Any:
    """Nested plain tuples of the same values."""
    return tuple(_plain(one) for one in value) if isinstance(value, tuple) else value


def _shape(value: Any) -> Any:
    """The classes of nested tuples: (class, shapes of the parts), and None for what is no tuple."""
    return (type(value), tuple(_shape(one) for one in value)) if isinstance(value, tuple) else None


def _expression(shape: Any, text: str, classes: dict[str, type]) -> str:
    """Python's words for the value of a shape from the plain one that ``text`` names; ``classes`` takes the names."""
    if shape is None:
        return text
    cls, parts = shape
    inner = "".join(f"{_expression(part, f'{text}[{k}]', classes)}, " for k, part in enumerate(parts))
    if cls is tuple:
        return f"({inner})"
    name = f"Record{len(classes)}"
    classes[name] = cls
    return f"{name}({inner})"


@cache
def _over_plain_tuples(act: Any, learn: Any, shape: Any) -> tuple[Callable[..., Any], Callable[..., float]]:
    """The functions of a rule over the plain tuples of a memory of that shape."""
    names: dict[str, Any] = {"__name__": __name__}
    memory = _expression(shape, "plain", names)
    names.update(act_of_rule=act, learn_of_rule=learn)
    step = "s, a, r, s_next, a_next, terminated, truncated, progress"
    exec(
        f"def act(plain, s, progress):\n    return act_of_rule({memory}, s, progress)\n"
        f"def learn(plain, {step}):\n    return learn_of_rule({memory}, {step})\n",
        names,
    )
    return as_these(act)(names["act"]), as_these(learn)(names["learn"])
