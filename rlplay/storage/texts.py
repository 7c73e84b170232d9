"""Texts that people and files bring, read without a traceback and without running anything."""

from __future__ import annotations

from typing import Any

import yaml

_DEEPEST = 100  # lists and dictionaries within each other
_MOST_VALUES = 1_000_000  # those that a text repeats by a name counted each time


def plain_yaml(text: str) -> Any:
    """The value of a YAML text: numbers, texts, lists and dictionaries.

    Raises:
        yaml.YAMLError: it is none. PyYAML itself raises other errors too: for dates, numbers and tags that cannot be,
            and for lists nested too deep. Lists within themselves, and few lines that stand for millions of values,
            are refused too.

    Example:
        >>> plain_yaml("[1, a]")
        [1, 'a']
        >>> plain_yaml("2020-99-99")
        Traceback (most recent call last):
            ...
        yaml.error.YAMLError: month must be in 1..12
    """
    try:
        value = yaml.safe_load(text)
        _refuse_vast(value)
        return value
    except yaml.YAMLError:
        raise
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deep") from error
    except Exception as error:
        raise yaml.YAMLError(str(error)) from error


def _refuse_vast(value: Any) -> None:
    """Raise where values lie too deep within each other, as in a list that holds itself, or are too many."""
    level, count = [value], 0
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict | list | tuple | set):
                count += len(one)
                if count > _MOST_VALUES:
                    raise yaml.YAMLError(f"it stands for more than {_MOST_VALUES:,} values")
                inner.extend(one.values() if isinstance(one, dict) else one)
        level = inner
        if not level:
            return
    raise RecursionError
