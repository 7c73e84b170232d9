"""Hyperparameters from text: ``-params key:value`` and RL Zoo's YAML files, parsed without ever running code."""

from __future__ import annotations

import ast
import re
from typing import Any

import yaml

from rlplay.errors import UsageError, one_line, unknown
from rlplay.storage.files import as_path
from rlplay.storage.texts import plain_yaml, text_of


def parse_pairs(pairs: list[str], flag: str) -> dict[str, Any]:
    """``["alpha:0.5", "map:cliff"]`` as a dictionary; values are YAML literals.

    Raises:
        UsageError: a word without a colon, a value that is no literal, or a key named twice.
    """
    found = {}
    for pair in pairs:
        key, colon, value = pair.partition(":")
        if not (colon and key):
            raise UsageError(f"{flag} {pair!r} is not key:value", f"For example {flag} alpha:0.5")
        if key in found:
            raise UsageError(f"{flag} names {key} twice", "Leave out one of them")
        found[key] = _literal(value, f"{flag} {pair}")
    return found


def parse_wrappers(words: list[str]) -> list[Any]:
    """``["a.B", "c.D: {k: 4}"]`` as ``["a.B", {"c.D": {"k": 4}}]``; the arguments are YAML literals or ``dict(...)``.

    Raises:
        UsageError: a word that is neither.
    """
    found: list[Any] = []
    for word in words:
        split = re.fullmatch(r"(.*?)\s*(?::\s+|:?\s*(?=\{|dict\())(\S.*)", word, re.DOTALL)
        name, given = (split[1], _literal(split[2], f"--wrapper {word}")) if split else (word, {})
        if not isinstance(given, dict):
            raise UsageError(f"--wrapper {word!r} is not module.Class: {{argument: value}}")
        found.append({name.strip().rstrip(":"): given} if given else name.strip())
    return found


def read_zoo_file(path: str, env_id: str, *, atari: bool = False) -> dict[str, Any]:
    """The settings of one environment in an RL Zoo hyperparameter file (``hyperparams/<algo>.yml``).

    The keys are environment ids, without a module before them; ``atari`` serves the Arcade Learning Environment's and
    ``default`` all that are not named. Texts such as ``dict(a=1)`` become dictionaries of literals; nothing is
    evaluated.

    Raises:
        UsageError: no such file, not YAML, or no entry that fits.
    """
    try:
        content = plain_yaml(text_of(as_path(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the settings {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"the settings {path} are not plain YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"the settings {path} have no environment ids as keys")
    names = [
        env_id,
        env_id.rpartition(":")[2],
        env_id.removeprefix("rlplay/"),
        *(["atari"] if atari else []),
        "default",
    ]
    named = [name for name in names if name in content]
    if not named:
        raise unknown(f"environment in {path}", env_id, [str(key) for key in content])
    entry = {} if content[named[0]] is None else content[named[0]]  # an empty one asks for nothing
    if not isinstance(entry, dict):
        raise UsageError(f"the settings of {env_id} in {path} are not key: value pairs")
    if strange := [key for key in entry if not isinstance(key, str)]:
        raise UsageError(f"the settings of {env_id} in {path} name {strange[0]!r}, which is no text")
    return {key: _dict_text(value) for key, value in entry.items()}


def _literal(text: str, place: str) -> Any:
    try:
        return _dict_text(plain_yaml(text))
    except yaml.YAMLError as error:
        raise UsageError(f"{place} has a value that is no literal", one_line(error)) from error


def _dict_text(value: Any) -> Any:
    """``"dict(a=1, b=dict(c=[2]), activation_fn=nn.ReLU)"`` as a dictionary; anything else as it is.

    Only literals, nested ``dict(...)`` and names such as ``nn.ReLU``, which stay text, are taken; nothing is evaluated.
    """
    if isinstance(value, str) and value.strip().startswith(("dict(", "{")):
        try:
            return _plain_value(ast.parse(value.strip(), mode="eval").body)
        except (SyntaxError, ValueError) as error:
            raise UsageError(
                f"{value!r} holds more than literals: not evaluated",
                "Write dict(...) of numbers, texts and lists, nn.ReLU or th.optim.Adam; classes of yours: in Python",
            ) from error
    return value


def _plain_value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        names = [keyword.arg for keyword in node.keywords]
        if not isinstance(node.func, ast.Name) or node.func.id != "dict" or node.args or None in names:
            raise ValueError("a call of something else than dict")
        if len(set(names)) < len(names):
            raise ValueError("a name twice")
        return {str(keyword.arg): _plain_value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.List | ast.Tuple):
        return [_plain_value(one) for one in node.elts]
    if isinstance(node, ast.Attribute):
        parts = ast.unparse(node).split(".")
        if len(parts) in (2, 3) and parts[-2] in ("nn", "optim", "th", "torch") and parts[0] in ("nn", "th", "torch"):
            return f"{'optim' if parts[-2] == 'optim' else 'nn'}.{parts[-1]}"
    if isinstance(node, ast.Name) and node.id == "RMSpropTFLike":  # of RL Zoo's entry for Atari
        return node.id
    return ast.literal_eval(node)
