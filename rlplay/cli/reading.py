"""How the command line reads words: numbers, sizes, paths; and what it says of words that it does not know."""

from __future__ import annotations

import argparse
import difflib
import math
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from rlplay.errors import unknown, visible
from rlplay.storage.files import as_path


class Parser(argparse.ArgumentParser):
    """Says the nearest verb or flag for one that is not known, and the flags that an agent and an environment lack."""

    verbs: Mapping[str, argparse.ArgumentParser]
    _typed: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, the way out in another, and end with 2."""
        remedy = f"See: {self.prog} --help"
        if found := re.match(r"argument (?:.*[/ ])?(--[\w-]+): expected one argument", message):
            for flag, value in zip(self._typed, self._typed[1:], strict=False):
                if flag == found[1] and value.startswith("-") and value not in vars(self)["_option_string_actions"]:
                    remedy = f"A value that begins with a dash follows an equals sign: {flag}={shlex.quote(value)}"
        elif "invalid choice" in message and "verb" in message:
            error = unknown("verb", message.split("'")[1], self.verbs)
            message = f"{error.cause}. {error.remedy}"
        elif found := re.match(r"argument (.+?): invalid choice: '([^']*)' \(choose from (.+)\)", message):
            name, word, choices = found.groups()
            if not name.startswith("-") and (left := self._unknown_flag_before(word)):
                self.refuse_unknown(left)
            error = unknown(
                "kind" if name == "what" else name, word, [choice.strip("'") for choice in choices.split(", ")]
            )
            message, remedy = error.cause, error.remedy
        self.refuse(message, remedy)

    def refuse_unknown(self, left: list[str]) -> NoReturn:
        """End with 2 and the nearest flag, or what else may be meant."""
        flags = [flag for flag in vars(self)["_option_string_actions"] if flag.startswith("--")]
        self.refuse(
            f"unrecognized arguments: {' '.join(left)}",
            _with_flags(left, flags, self.prog) or _near(left, flags) or f"See: {self.prog} --help",
        )

    def refuse(self, message: str, remedy: str) -> NoReturn:
        """End with 2 and two lines."""
        print(visible(f"rlplay: {message}\n  {remedy}"), file=sys.stderr)
        sys.exit(2)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """What is typed; words that the verb does not know are refused."""
        found, left = self.parse_known_args(args, namespace)
        if left:
            verb = self.verbs[found.verb]
            assert isinstance(verb, Parser)
            verb.refuse_unknown(left)
        return found

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of argparse; what is typed is kept for `error`."""
        self._typed = list(args or ())
        return super().parse_known_args(args, namespace)

    def _unknown_flag_before(self, word: str) -> list[str]:
        """The unknown flag whose value argparse takes for a word of the verb, and the value; empty for none."""
        known = vars(self)["_option_string_actions"]
        for flag, value in zip(self._typed, self._typed[1:], strict=False):
            if value == word and flag.startswith("--") and not any(one.startswith(flag) for one in known):
                return [flag, value]
        return []


def _with_flags(words: list[str], flags: list[str], prog: str) -> str:
    """The command for an agent and an environment that stand alone; an empty text for other words."""
    from rlplay.registry import agent_ids

    agents, said = {name.casefold(): name for name in agent_ids()}, []
    for word in words:
        if "--algo" in flags and word.casefold() in agents:
            said.append(f"--algo {agents[word.casefold()]}")
        elif "--env" in flags and re.search(r"-v\d+$|^[\w.]+:\w", word):
            said.append(f"--env {word}")
        else:
            return ""
    return f"Say: {prog} {' '.join(said)}"


def _near(words: list[str], flags: list[str]) -> str:
    """The flag or the hyperparameter that the first unknown flag is or is near to; an empty text where none is."""
    given, _, value = next((word for word in words if word.startswith("--")), "").partition("=")
    value = value or next((word for word in words[1:] if not word.startswith("-")), "VALUE")
    settings = _hyperparameters() if "--hyperparams" in flags else {}
    if given.replace("_", "-") in settings:
        return f"It is a hyperparameter: -params {settings[given.replace('_', '-')]}:{value}"
    near = difflib.get_close_matches(given, [*flags, *settings], n=1, cutoff=0.75) or [
        flag for flag in flags if given and given.rpartition("-")[2] == flag.rpartition("-")[2]
    ]
    if not near:
        return ""
    return f"Did you mean {near[0] if near[0] in flags else f'-params {settings[near[0]]}:{value}'}?"


def _hyperparameters() -> dict[str, str]:
    """The hyperparameters of our agents, each under the flag that one may take for it."""
    from rlplay import registry
    from rlplay.hyperparameters.fields import declared

    ours = (registry.agent_class(one) for one in registry.agent_ids() if "/" not in one)
    return {f"--{name.replace('_', '-')}": name for agent in ours for name in declared(agent)}


def text(typed: str) -> str:
    """Words that are not empty."""
    if not typed:
        raise argparse.ArgumentTypeError("an empty text names nothing")
    return typed


def path(typed: str) -> Path:
    """A path, ``~`` expanded."""
    return as_path(text(typed))


def whole(text: str) -> int:
    """A whole number, also as ``1e4``."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, for example 10000 or 1e4")
    return int(number)


def count(text: str) -> int:
    """A whole number of 1 or more."""
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def none_or_more(text: str) -> int:
    """A whole number of 0 or more."""
    number = whole(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is not 0 or more")
    return number


def workers(text: str) -> int | str:
    """A number of processes, or ``ray:N``."""
    if text.startswith("ray:"):
        return f"ray:{count(text.removeprefix('ray:'))}"
    return none_or_more(text)


def frequency(text: str) -> int:
    """Every so many, or -1 for never."""
    number = whole(text)
    if number < 1 and number != -1:
        raise argparse.ArgumentTypeError(f"{text} is neither 1 or more, nor -1 for none")
    return number


def rate(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0, for example 30")
    return number


def size(text: str) -> tuple[int, int]:
    """Width and height of a window, ``1280x720``."""
    match = re.fullmatch(r"(\d+)[x×](\d+)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT, for example 1280x720")
    size = int(match[1]), int(match[2])
    if size[0] > _LARGEST[0] or size[1] > _LARGEST[1]:
        raise argparse.ArgumentTypeError(f"{text} is larger than {_LARGEST[0]}x{_LARGEST[1]}")
    return size


_LARGEST = 7680, 4320  # pixels of a window: 8K


READ = {None: text, int: whole, float: rate, Path: path}  # how values of a type are read, in every verb
