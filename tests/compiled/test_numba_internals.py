"""The parts of numba that are not public have the shape that is needed, and two files alone name them."""

from __future__ import annotations

import ast
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.bytecode import FunctionIdentity
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from rlplay.compiled import numba_bytes, numba_internals, numba_linking
from rlplay.compiled.cache import compiled, in_place, own_code
from rlplay.compiled.numba_internals import Intrinsic

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


def test_files_of_its_name_alone_name_numbas_private_parts():
    files = [path for package in ("rlplay", "agents", "envs") for path in (ROOT / package).rglob("*.py")]
    files += [path for path in (ROOT / "tests").rglob("*.py") if path.name != Path(__file__).name]
    assert len(files) > 200
    assert sorted(path.name for path in files if named_in(path)) == [
        "numba_bytes.py", "numba_faster.py", "numba_internals.py", "numba_linking.py",
    ]  # fmt: skip


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
    @numba_linking.jit
    def callee(x, k):
        return x + k

    @numba_linking.jit
    def caller(x):
        return callee(x, 1) + callee(x, 2) + callee(x, k=3)

    assert caller(1) == 9
    assert len(callee.signatures) == 1


def test_options_of_a_dispatcher():
    given = {"nopython": True, "error_model": "numpy", "boundscheck": None}
    assert numba_internals.options(one) == {**given, "locals": {}, "own_code": False}
    assert numba_internals.options(own_code(compiled(one.py_func)))["own_code"] is True
    assert numba_internals.options(in_place(one.py_func))["_nrt"] is False
    assert numba_internals.options(numba_linking.jit(one.py_func, inline="always"))["inline"] == "always"

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


def fresh(function=one.py_func, *arguments: object):
    """A dispatcher of its own, and its result for arguments that it was called with."""
    dispatcher = numba_linking.jit(function)
    dispatcher(*arguments)
    (result,) = dispatcher.overloads.values()
    return dispatcher, result


def test_machine_code_to_bytes_and_back():
    _, result = fresh(one.py_func, 1.5)
    code = numba_linking.machine_code(result)
    again = numba_bytes.machine_code_from_bytes(numba_bytes.machine_code_to_bytes(code), result.target_context)
    assert again.signature == result.signature
    assert again.entry_point(1.5) == 2.5
    assert not again.library.is_lowered


def test_lowered_code_to_bytes_and_back():
    @numba_linking.jit
    def inner(x):
        return x * 3.0

    @numba_linking.jit
    def outer(x):
        return inner(x) + 1.0

    assert outer(2.0) == 7.0
    (below,), (result,) = inner.overloads.values(), outer.overloads.values()
    below.library.key = "inner"
    data = numba_bytes.lowered_to_bytes(result)
    again = numba_bytes.lowered_from_bytes(data, result.target_context, {"inner": below.library}.get)
    assert numba_linking.machine_code(again).entry_point(2.0) == 7.0
    assert numba_bytes.lowered_from_bytes(data, result.target_context, {}.get) is None


def test_a_view_comes_back_as_a_view_from_code_that_was_lowered_in_another_process():
    @numba_linking.jit
    def view(x, n):
        return x[:n].reshape((n // 2, 2))

    x = np.arange(6.0)
    assert view(x, 4).tolist() == [[0.0, 1.0], [2.0, 3.0]]
    (result,) = view.overloads.values()
    data = numba_bytes.lowered_to_bytes(result)
    plain = cpu_target.target_context
    again = numba_linking.machine_code(numba_bytes.lowered_from_bytes(data, plain, {}.get))
    assert again.entry_point(x, 4).tolist() == [[0.0, 1.0], [2.0, 3.0]]
    assert again.entry_point(x, 2).base is not None


def test_what_another_function_calls_has_no_machine_code_until_python_calls_it():
    @numba_linking.jit
    def inner(x):
        return x + 1.0

    @numba_linking.jit
    def outer(x):
        return inner(x) * 2.0

    assert outer(1.0) == 4.0
    assert not inner._callable
    assert inner(1.0) == 2.0
    assert inner._callable


def test_a_plain_numba_function_calls_ours_and_the_other_way_round():
    @numba.njit
    def theirs(x):
        return one(x) * 2

    @numba_linking.jit
    def ours(x):
        return theirs(x) + one(x)

    assert ours(1) == 6
    assert (theirs(2), one(2)) == (6, 3)


def test_errors_and_constants_come_through_functions_that_are_linked():
    @numba_linking.jit
    def checked(x):
        if x < 0:
            raise ValueError("less than nothing", x)
        return x

    @numba_linking.jit
    def outer(x):
        return checked(x), "text", np.arange(2)

    for function in (outer, checked):
        with pytest.raises(ValueError, match="less than nothing"):
            function(-1.0)
    assert outer(1.0)[:2] == (1.0, "text")


def test_code_with_large_constants_stays_in_its_process():
    large = np.zeros(1 << 21)

    def f(i):
        return large[i]

    _, result = fresh(f, 3)
    assert numba_bytes.lowered_to_bytes(result) is None
    assert numba_bytes.machine_code_to_bytes(numba_linking.machine_code(result)) is None


def test_versions_name_each_setting():
    texts = numba_internals.versions()
    assert texts[0] == numba.__version__
    assert any(text.startswith("OPT=") and "3" in text for text in texts)
    assert not [text for text in texts if text.endswith("=None") and not text.startswith("BOUNDSCHECK")], texts


def test_names_of_machine_code_differ_between_processes_but_for_what_is_known_by_its_content():
    """They are numbered from a random number on."""
    numba_linking._names.restart()
    first = FunctionIdentity.from_function(one.py_func)
    second = FunctionIdentity.from_function(one.py_func)
    assert second.unique_id == first.unique_id + 1
    assert first.unique_id > 1 << 62
    numba_linking._names.restart()
    assert abs(FunctionIdentity.from_function(one.py_func).unique_id - second.unique_id) > 1000
    numba_linking._names.coming = 7
    assert FunctionIdentity.from_function(one.py_func).unique_id == 7
    assert FunctionIdentity.from_function(one.py_func).unique_id > 1 << 62


def test_numba_registered_nothing_that_looks_like_another_packages():
    for name, registered in numba_internals.overloads().items():
        for overload in registered:
            module = getattr(overload.function, "__module__", None)
            assert module is not None, name
            assert not module.startswith("numba"), name


def test_machine_code_from_disk_is_lowered_again_where_functions_of_others_call_it(tmp_path):
    """Two dispatchers of one content, of which other packages' functions take the code."""
    for_both = (one.py_func, 2.5)
    (first, result), (second, _) = fresh(*for_both), fresh(*for_both)
    code = numba_bytes.machine_code_to_bytes(numba_linking.machine_code(result))
    from_disk = numba_bytes.machine_code_from_bytes(code, result.target_context).library
    from_disk.take(result.library)
    second.overloads[next(iter(second.overloads))].library.take(result.library)

    @numba.njit
    def theirs(x):
        return first(x) + second(x)

    assert theirs(2.5) == 7.0
    assert from_disk.is_lowered
