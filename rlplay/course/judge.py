"""Answers to exercises: run in a process of its own under a time limit, compared with ours, judged in plain words."""

from __future__ import annotations

import ast
import builtins
import copy
import difflib
import io
import json
import re
import subprocess
import sys
import textwrap
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from rlplay.course.lesson import GAP, Exercise, lesson
from rlplay.errors import UsageError, counted

TIME_LIMIT = 20.0  # seconds of an answer, the start of Python included
TOLERANCE = 0.005  # of a predicted number, relative: three digits. A count (an int in the block) is met exactly
_COMMAND = "from rlplay.course import judge; judge._main()"
_MARK = "\x1erlplay "
_MEMORY = 8 * 2**30  # bytes of an answer's process
_MODULES = {"numpy", "math", "np"}
_FORBIDDEN = {
    "open", "exec", "eval", "compile", "__import__", "input", "breakpoint", "exit", "quit", "globals", "locals",
    "setattr", "delattr", "vars",
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What is said about an answer.

    Attributes:
        right: whether it is right.
        words: why, in one or more lines.

    Example:
        >>> print(Verdict(False, "17 is not 12"))
        not yet: 17 is not 12
    """

    right: bool
    words: str

    def __str__(self) -> str:
        return f"{'right' if self.right else 'not yet'}: {self.words}"


def judge(exercise: Exercise, given: str, limit: float = TIME_LIMIT) -> Verdict:
    """Judge an answer that was typed.

    Args:
        exercise: the question.
        given: a prediction, or what belongs into the gap.
        limit: seconds until it is stopped.

    Example:
        >>> from rlplay.course.lesson import lesson
        >>> judge(lesson("derivatives").exercises[0], "17").right
        False
    """
    given = textwrap.dedent(given).strip()
    if not given or given == GAP:
        return Verdict(False, "there is no answer yet")
    if exercise.kind == "fill":
        given = only_the_gap(exercise.code, given)
        if (why := refused(filled(exercise.code, given))) is not None:
            return Verdict(False, why)
    task = {"kind": exercise.kind, "code": exercise.code, "given": given, "answer": exercise.answer}
    command = [
        sys.executable,
        "-P",
        "-c",
        f"import sys; sys.path[:] = {sys.path}; {_COMMAND}",
    ]  # no files that lie here
    try:
        done = subprocess.run(
            command, input=json.dumps(task), capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        return Verdict(False, f"stopped after {limit:g} s: does it loop for ever?")
    _, mark, found = done.stdout.rpartition(_MARK)
    if not mark:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return Verdict(False, f"the process that ran it ended with code {done.returncode}: {last}")
    right, words = json.loads(found)
    return Verdict(right, words)


def only_the_gap(code: str, given: str) -> str:
    r"""The answer without what stands before and behind the gap already, where it was typed again.

    Example:
        >>> only_the_gap("def f(x):\n    return [___ for y in x]", "return [2 * y for y in x]")
        '2 * y'
    """
    line = next(line for line in code.splitlines() if GAP in line)
    before, _, behind = (part.strip() for part in line.partition(GAP))
    if not before or not given.startswith(before):
        return given
    return given.removeprefix(before).removesuffix(behind).strip()


def filled(code: str, given: str) -> str:
    r"""The function with an answer in its gap; further lines stand as deep as the first.

    Example:
        >>> print(filled("def f(x):\n    ___\n    return y", "y = x\ny += 1"))
        def f(x):
            y = x
            y += 1
            return y
    """
    line = next(line for line in code.splitlines() if GAP in line)
    indent = line[: len(line) - len(line.lstrip())]
    return code.replace(GAP, given.replace("\n", f"\n{indent}"))


def refused(code: str) -> str | None:
    """Why code is not run at all; None where it may.

    This is help against slips, not a wall: an answer is the user's own code on the user's own machine.

    Example:
        >>> refused("import os")
        'it imports os: the answer needs only what stands in the block'
        >>> refused("y = (2")
        "it is not Python yet: '(' was never closed (line 1)"
    """
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        return f"it is not Python yet: {error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"it cannot be read: {error}"
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "."]
        for module in modules:
            if module.partition(".")[0] not in {*_MODULES, "rlplay"}:
                return f"it imports {module}: the answer needs only what stands in the block"
        if isinstance(node, ast.Name) and node.id in _FORBIDDEN:
            return f"it uses {node.id}: the answer needs only what stands in the block"
        if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
            return f"it uses {node.attr}: the answer needs only what stands in the block"
    return None


def check(name: str, number: int, answer: Any = None) -> Verdict:
    """Judge an answer in a notebook; prints nothing, shows the verdict.

    Args:
        name: id of the lesson.
        number: of the exercise.
        answer: a prediction, or the text for the gap; None or ``"___"`` is no answer yet.

    Raises:
        UsageError: the lesson has no exercise of that number.

    Example:
        >>> print(check("derivatives", 1))
        not yet: there is no answer yet
    """
    return judge(exercise_of(name, number), "" if answer is None else str(answer))


def exercise_of(name: str, number: int) -> Exercise:
    """An exercise by the id of its lesson and its number.

    Raises:
        UsageError: the lesson has none of that number.
    """
    found = lesson(name)
    if not 1 <= number <= len(found.exercises):
        count = len(found.exercises)
        raise UsageError(f"{found.id} has no exercise {number}", f"It has {count}: 1 to {count}" if count else "")
    return found.exercises[number - 1]


def _predicted(code: str, given: str) -> tuple[bool, str]:
    import numpy as np

    space: dict[str, Any] = {"__name__": "exercise"}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        exec(compile(code, "exercise", "exec"), space)
    answer, said = space["answer"], given.strip().strip("\"'").rstrip(".!").casefold().removeprefix("the ")
    shown = _shown(answer)
    if isinstance(answer, bool | np.bool_ | str):
        shown = answer if isinstance(answer, str) else "yes" if answer else "no"
        truth = shown.casefold()
        meant = {"true": "yes", "false": "no", "y": "yes", "n": "no"}.get(said, said)
        wrong = f"not {given.strip()}" + (": one word is wanted" if len(said.split()) > 1 else "")
        return meant == truth, f"it is {shown if meant == truth else wrong}"
    wanted = _flat(answer)
    said = re.sub(r"-\s+(?=[\d.])", "-", said.replace("\u2212", "-").replace(" and ", " ").strip("[]()"))
    if len(wanted) == 1 and (comma := re.fullmatch(r"-?\d+((?:,\d+)+)(\.\d*)?", said)):
        if abs(wanted[0]) < 1000 or not re.fullmatch(r"(,\d{3})+", comma[1]):
            return False, f"{said} has a comma: decimals stand behind a point, {said.replace(',', '.')}"
        said = said.replace(",", "")
    try:
        typed = [_number(x) for x in said.replace(",", " ").split()]
    except ValueError:
        return False, f"{given!r} is not a number: give one such as 1.5, 3/4 or 20%, worked out"
    if len(typed) != len(wanted):
        return False, f"it is {counted(len(wanted), 'number')}, and {len(typed)} were given"
    slack = 1e-6 if np.asarray(answer).dtype.kind in "iu" else TOLERANCE
    for a, b in zip(typed, wanted, strict=True):
        if not abs(a - b) <= slack * abs(b) + 1e-6:
            rounded = ", or rounded: give three digits" if a in (round(b, 1), round(b, 2)) else ""
            return False, f"{a:g} is {'too small' if a < b else 'too large' if a > b else 'no number'}{rounded}"
    return True, f"it is {shown}"


def _number(text: str) -> float:
    """A number, also as a fraction or in per cent."""
    if text.endswith("%"):
        return float(text[:-1]) / 100
    top, slash, bottom = text.partition("/")
    if slash and float(bottom) == 0:
        raise ValueError(text)
    return float(top) / float(bottom) if slash else float(text)


def _flat(value: Any) -> list[Any]:
    import numpy as np

    return list(np.asarray(value, dtype=float).ravel().tolist())


def _filled_in(code: str, given: str, answer: str) -> tuple[bool, str]:
    name = re.findall(r"^def (\w+)", code.partition(GAP)[0], re.M)[-1]
    ours = _function(filled(code, answer), name)
    try:
        yours = _function(filled(code, given), name)
    except BaseException as error:
        return False, f"it does not run: {_error(error, code)}"
    cases = ours[1]
    for arguments in cases:
        mine, theirs = copy.deepcopy(arguments), copy.deepcopy(arguments)
        wanted = ours[0](*mine)
        what = f"{ours[0].__name__}({', '.join(_shown(x) for x in arguments)})"
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                got = yours[0](*theirs)
        except BaseException as error:
            return False, f"{what} does not run: {_error(error, code)}"
        if not _same(got, wanted):
            return False, f"{what} gives {_shown(got)}, ours gives {_shown(wanted)}{_gap(got, wanted)}"
        for k, (a, b) in enumerate(zip(theirs, mine, strict=True), 1):
            if not _same(a, b):
                return False, f"{what} leaves {_shown(a)} in its argument {k}, ours leaves {_shown(b)}{_gap(a, b)}"
    return True, f"the same as ours in {len(cases)} cases"


def _function(code: str, name: str) -> tuple[Any, list[Any]]:
    """A function of a block, and the block's cases."""
    space: dict[str, Any] = {"__name__": "exercise"}
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        exec(compile(code, "exercise", "exec"), space)
    return space[name], space["cases"]


def _same(a: Any, b: Any) -> bool:
    """Whether a result is the wanted one; numbers of any type, in arrays or lists of one shape, and no text."""
    import numpy as np

    if isinstance(b, str | bool) or b is None:
        return bool(type(a) is type(b) and a == b)
    try:
        y = np.asarray(b, dtype=float)
    except (TypeError, ValueError):
        return bool(a == b)
    x = _numbers(a)
    return x is not None and x.shape == y.shape and bool(np.allclose(x, y, rtol=1e-6, atol=1e-9, equal_nan=True))


def _numbers(value: Any) -> Any:
    """A result as an array of real numbers; None where it is none."""
    import numpy as np

    try:
        found = np.asarray(value)
    except Exception:  # whatever a result of an answer may raise
        return None
    return found.astype(float) if found.dtype.kind in "biuf" else None


def _gap(a: Any, b: Any) -> str:
    """How far two results are apart, where both are numbers of one shape."""
    import numpy as np

    x, y = _numbers(a), _numbers(b)
    if isinstance(b, bool) or y is None:
        return ""
    if x is None:
        return f" ({type(a).__name__} in place of numbers)"
    if x.shape != y.shape:
        return f" (shape {x.shape} in place of {y.shape})"
    return f" (a difference of {np.max(np.abs(x - y)):.4g})" if x.size else ""


def _shown(value: Any) -> str:
    import numpy as np

    if isinstance(value, str | bool) or value is None:
        return str(value)
    with np.printoptions(precision=4, suppress=True, threshold=12):
        if isinstance(value, np.ndarray):
            return str(value).replace("\n", "")
        if callable(value):
            return getattr(value, "__name__", "a function")
        try:
            return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)[:200]
        except Exception:  # a whole number of too many digits, or an object that cannot say what it is
            return f"an answer of type {type(value).__name__}"


def _error(error: BaseException, code: str) -> str:
    if isinstance(error, NameError) and error.name:
        return _no_name(error.name, code)
    if isinstance(error, SystemExit):
        return "it ends the program"
    if isinstance(error, ModuleNotFoundError):
        return f"there is no module {error.name}"
    words = f"{type(error).__name__}: {error}"
    return words[:300]


def _no_name(name: str, code: str) -> str:
    """What is said of a name that a block does not have: what it has, and the one that was meant."""
    if name in ("np", "numpy", "math"):
        module = "math" if name == "math" else "numpy"
        other = "math" if module == "numpy" and "import math" in code else "plain arithmetic"
        return f"this block does not import {module}, so there is no {name}: {other} is enough here"
    before, tree = code.partition(GAP)[0], ast.parse(filled(code, "..."))
    outer = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and f"def {node.name}(" in before]
    inside = {one.arg for node in outer for one in node.args.args}
    inside |= {node.id for node in ast.walk(outer[-1]) if isinstance(node, ast.Name) and node.id + " " in before}
    names = sorted(inside - {"_"})
    close = difflib.get_close_matches(name, names, 1)
    meant = f"; did you mean {close[0]}?" if close else "."
    return f"there is no {name} here{meant} There are {', '.join(names)}"


def _main() -> None:
    """Read a task, run it, write the verdict behind a mark that no answer prints."""
    task = json.loads(sys.stdin.read())
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    except (ImportError, ValueError, OSError):  # Windows, or a lower limit stands already
        pass
    builtins.input = lambda *_: ""
    if task["kind"] == "predict":
        verdict = _predicted(task["code"], task["given"])
    else:
        verdict = _filled_in(task["code"], task["given"], task["answer"])
    print(f"{_MARK}{json.dumps(verdict)}")


if __name__ == "__main__":
    _main()
