"""The parts of numba that are not public have the shape that is needed, and one file alone names them."""

from __future__ import annotations

import ast
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core import caching
from numba.core.bytecode import FunctionIdentity
from numba.extending import intrinsic

from rlplay.compiled import numba_internals
from rlplay.compiled.cache import compiled, in_place, written_out
from rlplay.compiled.numba_internals import Cache, Dispatcher, Intrinsic

ROOT = Path(__file__).parents[2]
PRIVATE = ("numba.core", "numba.np", "numba.misc", "numba.typed", "numba._", "llvmlite.llvmpy")


@compiled
def one(x):
    return x + 1


@intrinsic(prefer_literal=True)
def nothing(typing_context, x):
    return x(x), lambda context, builder, signature, arguments: arguments[0]


def named_in(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith(PRIVATE) or name.startswith("numba.extending._")}


def test_one_file_names_numbas_private_parts():
    files = [path for package in ("rlplay", "agents", "envs") for path in (ROOT / package).rglob("*.py")]
    files += [path for path in (ROOT / "tests").rglob("*.py") if path.name != Path(__file__).name]
    assert len(files) > 200
    assert [path.name for path in files if named_in(path)] == ["numba_internals.py"]


def test_a_cache_of_our_own_can_take_the_place_of_numbas():
    assert isinstance(one, Dispatcher)
    assert isinstance(one._cache, Cache)
    assert Cache.__abstractmethods__ == {
        "cache_path", "disable", "enable", "flush", "load_overload", "save_overload"
    }  # fmt: skip
    assert Cache is caching.FunctionCache.__mro__[2]


def test_counts_rise_with_each_signature():
    @compiled
    def f(x):
        return x

    assert numba_internals.counts(f) == (0, 0)
    assert not numba_internals.is_in_use(f)
    f(1)
    f(1.0)
    assert sum(numba_internals.counts(f)) == 2
    assert numba_internals.is_in_use(f)


def test_constants_that_callers_write_share_one_compilation():
    @numba_internals.jit
    def callee(x, k):
        return x + k

    @numba_internals.jit
    def caller(x):
        return callee(x, 1) + callee(x, 2) + callee(x, k=3)

    assert caller(1) == 9
    assert len(callee.signatures) == 1


def test_options_of_a_dispatcher():
    assert numba_internals.options(one) == {"nopython": True, "error_model": "numpy", "boundscheck": None, "locals": {}}
    assert numba_internals.options(in_place(one.py_func))["_nrt"] is False
    assert numba_internals.options(written_out(one.py_func))["inline"] == "always"

    class Mine(numba.core.compiler.Compiler):
        pass

    assert numba_internals.options(numba.njit(pipeline_class=Mine)(one.py_func)) is None


def test_without_reference_counting_no_memory_can_be_taken():
    @in_place
    def takes(n):
        return np.zeros(n)

    with pytest.raises(numba.core.errors.NumbaError, match="Only accept returning of array passed|NRT required"):
        takes(3)


def test_an_intrinsic_is_its_function_and_its_options():
    assert isinstance(nothing, Intrinsic)
    function, options = numba_internals.intrinsic_parts(nothing)
    assert function.__name__ == "nothing"
    assert options["prefer_literal"] is True


def test_machine_code_to_bytes_and_back():
    fresh = numba_internals.jit(one.py_func)
    fresh(1.5)
    (result,) = fresh.overloads.values()
    context = result.target_context
    again = numba_internals.from_bytes(numba_internals.to_bytes(result), context)
    assert again.signature == result.signature
    assert again.entry_point(1.5) == 2.5
    assert numba_internals.target(context) == repr(context.codegen().magic_tuple())


def test_code_with_large_constants_stays_in_its_process():
    large = np.zeros(1 << 21)

    @numba_internals.jit
    def f(i):
        return large[i]

    assert f(3) == 0.0
    assert numba_internals.to_bytes(next(iter(f.overloads.values()))) is None


def test_arguments_of_a_signature():
    kinds = (numba.int64, numba.float64)
    assert numba_internals.arguments(kinds) == (kinds, None)
    assert numba_internals.arguments(numba.float64(*kinds)) == (kinds, numba.float64)


def test_versions_name_each_setting():
    texts = numba_internals.versions()
    assert texts[0] == numba.__version__
    assert any(text.startswith("OPT=") and "3" in text for text in texts)
    assert not [text for text in texts if text.endswith("=None") and not text.startswith("BOUNDSCHECK")], texts


def test_names_of_machine_code_differ_between_processes():
    """They are numbered from a random number on."""
    numba_internals.make_names_unique()
    first = FunctionIdentity.from_function(one.py_func)
    second = FunctionIdentity.from_function(one.py_func)
    assert second.unique_id == first.unique_id + 1
    assert first.unique_id > 1 << 32
    numba_internals.make_names_unique()
    assert abs(FunctionIdentity.from_function(one.py_func).unique_id - second.unique_id) > 1000


def test_numba_registered_nothing_that_looks_like_another_packages():
    for name, registered in numba_internals.overloads().items():
        for overload in registered:
            module = getattr(overload.function, "__module__", None)
            assert module is not None, name
            assert not module.startswith("numba"), name
