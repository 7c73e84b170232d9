"""The digest of what a compiled function depends on: what changes it and what does not, without compiling anything."""

from __future__ import annotations

import contextlib
import dis
import enum
import importlib
import pkgutil
import sys
import types
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba.extending import intrinsic, overload

import agents
import envs
import rlplay
from rlplay.compiled import cache
from rlplay.compiled.cache import compiled, in_place
from rlplay.compiled.digest import Unreadable, digest, read_code

BASE = '''
import math
import numpy as np
import side
from typing import NamedTuple
from numba.extending import intrinsic, overload
from rlplay.compiled.cache import compiled, in_place

SCALE = 2.0
TABLE = np.arange(3.0)

class Pair(NamedTuple):
    a: float
    b: float

@compiled
def helper(x):
    return x + 1

def spare(x):
    return x

@overload(spare)
def _spare(x):
    return lambda x: x + 10

def make(number):
    @compiled
    def inner(x):
        return x * number
    return inner

inner = make(3)

@compiled
def f(x, y=1):
    """Says something."""
    pair = Pair(x, SCALE)
    return helper(pair.a) + inner(x) + side.add(x) + math.sin(x) + TABLE[0] + spare(x) + y
'''
SIDE = "from rlplay.compiled.cache import compiled\nK = 1\n@compiled\ndef add(x):\n    return x + K\n"


def of(code: str, side: str = SIDE, name: str = "made", file: str = "/somewhere/made.py", function: str = "f") -> str:
    """The digest of a function of a module with this code."""
    modules = {"side": types.ModuleType("side"), name: types.ModuleType(name)}
    sys.modules.update(modules)
    try:
        exec(compile(side, "side.py", "exec"), vars(modules["side"]))
        exec(compile(code, file, "exec"), vars(modules[name]))
        return digest(getattr(modules[name], function))
    finally:
        for one in modules:
            del sys.modules[one]


SAME = {
    "comment": BASE.replace("    return x + 1", "    # one more\n\n    return x + 1"),
    "docstring": BASE.replace("Says something.", "Says something else."),
    "no docstring": BASE.replace('    """Says something."""\n', ""),
    "another function": BASE + "\n@compiled\ndef g(x):\n    return x\nOTHER = 5\n",
    "another class": BASE + "\nclass Agent:\n    def act(self):\n        return 1\n",
    "annotation": BASE.replace("def helper(x):", "def helper(x: float) -> float:"),
}
OTHER = {
    "helper": BASE.replace("return x + 1", "return x + 2"),
    "operator": BASE.replace("return x + 1", "return x - 1"),
    "constant": BASE.replace("SCALE = 2.0", "SCALE = 3.0"),
    "type of a constant": BASE.replace("SCALE = 2.0", "SCALE = 2"),
    "array": BASE.replace("np.arange(3.0)", "np.arange(1.0, 4.0)"),
    "dtype of an array": BASE.replace("np.arange(3.0)", "np.arange(3)"),
    "closure": BASE.replace("make(3)", "make(4)"),
    "fields": BASE.replace("    a: float\n    b: float", "    b: float\n    a: float"),
    "default of a field": BASE.replace("    b: float", "    b: float = 1.0"),
    "implementation": BASE.replace("lambda x: x + 10", "lambda x: x + 20"),
    "options": BASE.replace("@compiled\ndef helper", "@in_place\ndef helper"),
    "default": BASE.replace("y=1", "y=2"),
    "attribute of a module": BASE.replace("math.sin", "math.cos"),
    "shadowed builtin": BASE.replace("TABLE[0]", "abs(x)") + "\n@compiled\ndef abs(x):\n    return x\n",
}


@pytest.mark.parametrize("name", SAME)
def test_what_the_compiler_does_not_read_changes_nothing(name):
    assert of(SAME[name]) == of(BASE)


@pytest.mark.parametrize("name", OTHER)
def test_what_the_compiler_reads_changes_the_digest(name):
    assert OTHER[name] != BASE
    assert of(OTHER[name]) != of(BASE)


def test_other_modules_count_by_what_is_read_of_them():
    assert of(BASE, SIDE.replace("K = 1", "K = 2")) != of(BASE)
    assert of(BASE, SIDE.replace("x + K", "x * K")) != of(BASE)
    assert of(BASE, SIDE + "UNREAD = 3\n") == of(BASE)


def test_a_file_of_another_place_is_the_same_and_a_module_of_another_name_is_not():
    assert of(BASE, file="/elsewhere/x.py") == of(BASE)
    assert of(BASE, name="renamed") != of(BASE)


def test_functions_that_call_each_other_have_a_digest():
    code = (
        "from rlplay.compiled.cache import compiled\n@compiled\ndef f(x):\n    return g(x - 1) if x > 0 else 0\n"
        "@compiled\ndef g(x):\n    return f(x - 1) if x > 0 else 1\n"
    )
    assert of(code) == of(code)
    assert of(code) != of(code.replace("else 1", "else 2"))


class Left(NamedTuple):
    x: float
    y: float


class Right(NamedTuple):
    x: float
    y: float


class Colour(enum.IntEnum):
    RED = 1


def test_argument_types_are_told_apart():
    number, whole = numba.types.float64, numba.types.int64
    array = numba.types.Array
    kinds = [
        number,
        whole,
        numba.types.boolean,
        numba.types.none,
        array(number, 1, "C"),
        array(number, 2, "C"),
        array(number, 1, "A"),
        array(number, 1, "C", readonly=True),
        array(numba.float32, 1, "C"),
        numba.types.UniTuple(number, 2),
        numba.types.Tuple((number, whole)),
        numba.types.NamedUniTuple(number, 2, Left),
        numba.types.NamedUniTuple(number, 2, Right),
        numba.types.NamedTuple((number, whole), Left),
        numba.types.Omitted(1),
        numba.types.Omitted(2),
        numba.types.Optional(number),
        numba.types.ListType(number),
        numba.types.DictType(number, whole),
        numba.types.IntEnumMember(Colour, whole),
    ]
    digests = [digest(kind) for kind in kinds]
    assert len(set(digests)) == len(kinds)
    assert digests == [digest(kind) for kind in kinds]


def test_values_are_told_apart():
    values = [
        0,
        0.0,
        -0.0,
        False,
        None,
        "0",
        b"0",
        0j,
        np.float32(0),
        np.float64(0),
        np.int64(0),
        (0,),
        (0, 0),
        ((0,),),
    ]
    values += [np.zeros(1), np.zeros(1, np.float32), np.zeros((1, 1)), np.zeros((2, 2)).T[:1], frozenset({0})]
    values += [
        np.dtype("f8"),
        np.dtype([("a", "f8")]),
        Left(0, 0),
        Right(0, 0),
        Colour.RED,
        len,
        abs,
        np.sin,
        float,
        [0],
    ]
    digests = [digest(value) for value in values]
    assert len(set(digests)) == len(values)


def test_the_order_of_a_set_plays_no_part():
    assert digest({"nsz", "contract", "reassoc"}) == digest({"reassoc", "contract", "nsz"})


class Thing:
    pass


thing, this_module = Thing(), sys.modules[__name__]


@compiled
def names_a_thing(x):
    return thing


@compiled
def hands_a_module_on(x):
    return str(this_module)


@intrinsic
def imports_something(typing_context, x):
    import os

    return x(x), os.environ["HOW"]


@compiled
def calls_it(x):
    return imports_something(x)


@intrinsic
def evaluates(typing_context, x):
    return eval("x(x), None")


@compiled
def calls_that(x):
    return evaluates(x)


def local_type():
    class Local(NamedTuple):
        x: float

    @compiled
    def f(x):
        return Local(x)

    return f


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (names_a_thing, "a value of type Thing"),
        (hands_a_module_on, "is handed on"),
        (calls_it, "imports when it is called"),
        (calls_that, "calls eval"),
        (local_type(), "another class in another process"),
    ],
)
def test_what_cannot_be_read_is_not_cached(function, reason):
    with pytest.raises(Unreadable, match=reason):
        digest(function)
    assert reason in cache.why_not_cached(function)


def test_dispatchers_as_arguments_and_large_objects_are_not_read():
    with pytest.raises(Unreadable):
        digest(numba.types.Dispatcher(names_a_thing))
    with pytest.raises(Unreadable):
        digest(np.array([object()]))


LEVEL = 1


@compiled
def reads_level(x):
    return x + LEVEL


def test_a_function_whose_globals_have_changed_since_is_not_cached(monkeypatch):
    """Numba goes on with the old value, so what is compiled from then on may hold both."""
    digest(reads_level)
    monkeypatch.setitem(globals(), "LEVEL", 2)
    with pytest.raises(Unreadable, match="have changed"):
        digest(reads_level)


@numba.njit
def foreign(x):
    return x + LEVEL


def test_a_foreign_function_that_was_compiled_before_is_not_cached():
    foreign(1)

    @compiled
    def caller(x):
        return foreign(x)

    with pytest.raises(Unreadable, match="compiled before"):
        digest(caller)


def known(x):
    return x


@compiled
def uses_known(x):
    return known(x)


def test_a_function_whose_implementation_is_registered_later_is_not_cached():
    digest(uses_known)
    overload(known)(lambda x: lambda x: x + 1)
    with pytest.raises(Unreadable, match="have changed"):
        digest(uses_known)


METHOD = """
from numba import types
from numba.extending import overload_method
from rlplay.compiled.cache import compiled

@overload_method(types.Array, "thrice")
def _thrice(array):
    return lambda array: array[0] * {}

@compiled
def f(x):
    return x.thrice()
"""


def test_an_implementation_of_a_method_counts():
    before = of(METHOD.format(3))
    assert of(METHOD.format(4)) != before


def all_dispatchers():
    for package in (rlplay, agents, envs):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".viewer" not in module.name and not module.name.endswith("__main__"):
                with contextlib.suppress(ImportError):  # torch and others are absent where numba's versions are tried
                    importlib.import_module(module.name)
    names = ("rlplay", "agents", "envs")
    return [one for one in cache._dispatchers if one.__module__.split(".")[0] in names]


def test_every_compiled_function_of_the_project_can_be_cached():
    functions = all_dispatchers()
    assert len(functions) > 200
    reasons = {f"{one.__module__}.{one.__qualname__}": cache.why_not_cached(one) for one in functions}
    assert not {name: reason for name, reason in reasons.items() if reason}


def everything_in(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from everything_in(constant)


@pytest.mark.parametrize("file", ["rlplay/compiled/digest.py", "rlplay/agent/base.py", "rlplay/networks/matmul.py"])
def test_instructions_are_read_as_pythons_own_disassembler_reads_them(file):
    """Names of globals, and the attributes that follow a global or a name of the closure."""
    path = Path(rlplay.__file__).parents[1] / file
    for code in everything_in(compile(path.read_text(encoding="utf-8"), file, "exec")):
        names, paths = set(), set()
        for inner in everything_in(code):
            steps = [step for step in dis.get_instructions(inner) if step.opname != "EXTENDED_ARG"]
            names |= {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
            paths |= {
                (step.argval, following.argval)
                for step, following in pairwise(steps)
                if (step.opname in ("LOAD_GLOBAL", "LOAD_NAME") or step.opname.endswith("DEREF"))
                and (step.opname != "LOAD_DEREF" or step.argval in inner.co_freevars)
                and step.opname != "STORE_DEREF"
                and following.opname in ("LOAD_ATTR", "LOAD_METHOD")
            }
        said = read_code(code)
        assert set(said.globals) == names
        assert {(name, path[0]) for name, path in said.paths if path} == paths


def test_in_place_is_part_of_the_digest():
    def one(x):
        return x

    assert digest(compiled(one)) != digest(in_place(one))


def test_a_profiler_changes_no_digest():
    """numba changes the flags of a function's code when it is called under a profiler, up to Python 3.11."""

    @compiled
    def plus_one(x: float) -> float:
        return x + 1

    before, flags = digest(plus_one), plus_one.py_func.__code__.co_flags
    profiler, found = sys.getprofile(), []
    sys.setprofile(lambda *_: None)
    try:
        found.append(plus_one(1.0))
    finally:
        sys.setprofile(profiler)
    assert found == [2.0]
    assert (plus_one.py_func.__code__.co_flags != flags) == (sys.version_info < (3, 12))
    assert digest(plus_one) == before
