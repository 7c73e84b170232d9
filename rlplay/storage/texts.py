"""Texts that people and files bring, read without a traceback and without running anything."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import yaml

_DEEPEST = 100  # lists and dictionaries within each other
_MOST_VALUES = 1_000_000  # those that a text repeats by a name counted each time
_LONGEST = 2**20  # characters of a text
_MOST_MARKS = 20_000  # characters of a text that begin or end a value: PyYAML takes a tenth of a millisecond for each
_MOST_MERGED = 100, 10_000  # dictionaries that one takes in (``<<``), and pairs that it has then
_GREATEST = 2**256  # whole numbers: larger ones are no floats, and Python refuses to write them


class PlainLoader(yaml.SafeLoader):
    """PyYAML's loader of plain values (YAML 1.1), which merges no dictionaries without end and takes no key twice."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        """A dictionary as it is written, before others are taken in.

        PyYAML takes the last value of a key that stands there twice, unsaid.
        """
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    line = key.start_mark.line + 1
                    raise yaml.YAMLError(f"{key.value[:60]} stands there twice, again in line {line}")
                seen.add((key.tag, key.value))
        return node

    def flatten_mapping(self, node: Any) -> None:
        """Take the pairs of others in, where a dictionary asks for it.

        PyYAML before 6.0.4 takes each pair in as often as it is named.
        """
        asked = [value for key, value in node.value if key.tag == "tag:yaml.org,2002:merge"]
        if any(isinstance(value, yaml.SequenceNode) and len(value.value) > _MOST_MERGED[0] for value in asked):
            raise yaml.YAMLError(f"a dictionary takes in more than {_MOST_MERGED[0]} others")
        super().flatten_mapping(node)
        if asked and len(node.value) > _MOST_MERGED[1]:
            raise yaml.YAMLError(f"a dictionary has more than {_MOST_MERGED[1]:,} pairs")


class TypedLoader(PlainLoader):
    """What people type: 1e-3 is a number, and numbers that YAML 1.1 reads otherwise than people do are refused."""

    def construct_yaml_int(self, node: Any) -> int:
        """A whole number; 010 and 1:20 would be 8 and 80."""
        if ":" in node.value or re.fullmatch(r"[-+]?0[0-9_]+", node.value):
            raise yaml.YAMLError(f"{node.value[:60]} is no number that all read alike: write it without : or leading 0")
        return int(super().construct_yaml_int(node))

    def construct_yaml_float(self, node: Any) -> float:
        """A number; 1:20.5 would be 80.5."""
        if ":" in node.value:
            raise yaml.YAMLError(f"{node.value[:60]} is no number that all read alike: write it without :")
        return float(super().construct_yaml_float(node))


TypedLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)
for _kind in ("int", "float"):
    TypedLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", getattr(TypedLoader, f"construct_yaml_{_kind}"))


def text_of(path: Path, most: int = 4 * _LONGEST) -> str:
    """The text of a file, which is neither a pipe or device nor of more bytes than such files have.

    Raises:
        OSError: it cannot be read, is no regular file or too large.
        UnicodeDecodeError: it is no UTF-8 text.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    if path.stat().st_size > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return path.read_text(encoding="utf-8")


def plain_yaml(text: str, loader: type[PlainLoader] = TypedLoader) -> Any:
    """The value of a YAML text: numbers, texts, lists and dictionaries.

    Args:
        text: what to read.
        loader: `PlainLoader` for what a program wrote; one derived from it reads tags of others as data too.

    Raises:
        yaml.YAMLError: it is none. PyYAML itself raises other errors too: for dates, numbers and tags that cannot be,
            and for lists nested too deep. Lists within themselves, and few lines that stand for millions of values,
            are refused too.

    Example:
        >>> plain_yaml("[1, 1e-3, a]")
        [1, 0.001, 'a']
        >>> plain_yaml("2020-99-99")
        Traceback (most recent call last):
            ...
        yaml.error.YAMLError: month must be in 1..12
    """
    marks = sum(text.count(mark) for mark in "\n,:-[{?")
    if len(text) > _LONGEST or marks > _MOST_MARKS:
        raise yaml.YAMLError(f"it is longer than such texts are: {len(text):,} characters, some {marks:,} values")
    try:
        value = yaml.load(text, loader)
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
                inner.extend([*one, *one.values()] if isinstance(one, dict) else one)
            elif isinstance(one, int) and abs(one) > _GREATEST:
                raise yaml.YAMLError(f"it has a whole number of {len(f'{one:x}'):,} hexadecimal digits")
        level = inner
        if not level:
            return
    raise RecursionError
