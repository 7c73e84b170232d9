"""The command line: one verb a file, errors in two lines, exit codes 0, 1 (failed), 2 (usage), 130 (interrupted)."""

from __future__ import annotations

import importlib
import os
import re
import sys
import warnings
from argparse import Namespace
from contextlib import redirect_stdout
from io import TextIOWrapper
from typing import Any, TextIO

from rlplay.cli.arguments import parser
from rlplay.cli.effects import check_effects
from rlplay.errors import EnvironmentFault, NoRoomError, RlplayError, missing_module, visible

SAID = "RLPLAY_SAID"  # set for a process that a command starts beside it: the lines that the command has said
_shown: set[str] = set()  # a warning is shown once a command


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns its exit code. Without a word the start screen opens."""
    _replace_closed_streams()
    typed = sys.argv[1:] if argv is None else argv
    arguments = parser().parse_args(typed) if typed else Namespace(verb="start", module="start", debug=False)
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    _shown.update(os.environ.get(SAID, "").splitlines())
    try:
        check_effects(arguments)
        packages = getattr(arguments, "gym_packages", None) or []
        if packages or "rlplay.environments.packages" in sys.modules:  # of an earlier command in this process
            from rlplay.environments.packages import import_packages

            import_packages(packages)
        verb = importlib.import_module(f"rlplay.cli.{arguments.module}")
        if (cache := sys.modules.get("rlplay.compiled.cache")) is not None:  # most verbs compile
            cache.leave_it_to_another() if SAID in os.environ else cache.say_long_compiles()
        arguments.stdout = sys.stdout  # what --json says goes there alone
        with redirect_stdout(sys.stderr if getattr(arguments, "json", False) else sys.stdout):
            code = verb.run(arguments)
        sys.stdout.flush()
        return int(code or 0)
    except RlplayError as error:
        if arguments.debug:
            raise
        if isinstance(error, EnvironmentFault) and error.__cause__ is not None:
            import traceback

            traceback.print_exception(error.__cause__)
        _say(error.cause, error.remedy)
        return error.exit_code
    except ImportError as error:
        absent = missing_module(error, f"rlplay {arguments.verb}")
        if arguments.debug or absent is None:
            raise
        _say(absent.cause, absent.remedy)
        return absent.exit_code
    except KeyboardInterrupt:
        if arguments.debug:
            raise
        return 130
    except BrokenPipeError:
        # The reader is gone (rlplay list | head): be quiet, also when Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if arguments.debug:
            raise
        from rlplay.storage.files import reason

        full = NoRoomError.of(error, error.filename or "what is written")
        if full:
            _say(full.cause, full.remedy)
        elif error.filename and error.strerror:
            _say(f"{os.fspath(error.filename)} cannot be read or written: {reason(error)}", "Name another place")
        else:
            _say(f"{type(error).__name__}: {error}", "")
        return 1


def _replace_closed_streams() -> None:
    """Where a command was started without an output (``2>&-``, a service), what it says goes nowhere; as for input.

    Characters that the output's encoding lacks (a pipe on Windows, the C locale) become question marks.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - as long as the process
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def beside() -> dict[str, str]:
    """The variables of a process that this command starts beside it, which says nothing that was said already."""
    return {**os.environ, SAID: "\n".join(sorted(_shown))}


def _say(cause: str, remedy: str) -> None:
    cause, remedy = (words.replace("\n", "\\n") for words in (cause, remedy))  # a name may hold one
    for line in (f"rlplay: {cause}", f"  {remedy}" if remedy else ""):
        if line:
            _print(line)


def _print(line: str) -> None:
    """Print to standard error, control codes of others as text, also where its encoding (C locale) lacks a character.

    Words that are too long to read, as files of others may have, are cut.
    """
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    line = visible(line)
    line = re.sub(r"[^\s/]{400,}", lambda word: f"{word[0][:200]}...", line)
    encoding = getattr(sys.stderr, "encoding", None) or "ascii"
    print(line.encode(encoding, "replace").decode(encoding), file=sys.stderr)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    source: str | None = None,
    **_: Any,
) -> None:
    line = f"rlplay: warning: {' '.join(str(message).split())}"
    if line not in _shown:
        _shown.add(line)
        _print(line)
