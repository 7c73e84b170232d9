"""Texts that people and files bring, read without a traceback and without running anything."""

from __future__ import annotations

from typing import Any

import yaml


def plain_yaml(text: str) -> Any:
    """The value of a YAML text: numbers, texts, lists and dictionaries.

    Raises:
        yaml.YAMLError: it is none. PyYAML itself raises other errors too: for dates, numbers and tags that cannot be,
            and for lists nested too deep.

    Example:
        >>> plain_yaml("[1, a]")
        [1, 'a']
        >>> plain_yaml("2020-99-99")
        Traceback (most recent call last):
            ...
        yaml.error.YAMLError: month must be in 1..12
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deep") from error
    except Exception as error:
        raise yaml.YAMLError(str(error)) from error
