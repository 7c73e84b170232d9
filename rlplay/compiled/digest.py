"""What a compiled function depends on, as one number: a digest of what the compiler reads, whatever file it lies in.

For a function that is its bytecode with constants, names and defaults, but without docstring and line numbers; its
compile options; and the values of its closure and of the globals that it names, as they are now. Values are read as

    number, text, tuple, array, dtype, numba type      by value
    compiled function, function that writes code       in the same way, however far away
    module                                             by the attributes that the function reads
    NamedTuple, Enum, other class                      by name, fields and defaults, members, or methods
    anything of numba, numpy, Python's own library     by name; the versions are part of the digest
    implementations registered for a name (`overload`) as the functions that they are

So a comment, a moved or a copied file change nothing, and a changed constant in another module does. What is not in
this list cannot be read, and a function that depends on it is compiled in each process (`Unreadable`).

Nothing is remembered but what is said of bytecode, since globals can be bound anew at any time. numba reads them only
when it compiles. So a function is `Unreadable` too where its globals have changed since they were first read here.
"""

from __future__ import annotations

import builtins
import dis
import enum
import hashlib
import itertools
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from llvmlite import ir

from rlplay.compiled import numba_internals
from rlplay.compiled.numba_internals import Dispatcher, Intrinsic, Overload

# Whose values are known by name and version.
_VERSIONED = {
    "numba", "llvmlite", "numpy", "builtins", "math", "cmath", "operator", "_operator", "itertools", "functools",
    "collections", "typing", "enum", "types", "numbers", "abc",
}  # fmt: skip
# Python's own functions by which code that runs at compile time could read what is not seen here.
_OPEN_ENDED = {"eval", "exec", "globals", "locals", "vars", "open", "input", "__import__", "compile"}
_PLAIN = {type(None), bool, int, float, complex, str, bytes, type(...), range, slice}
_READ_APART = (FunctionType, Dispatcher, Intrinsic, type, BuiltinFunctionType)
# What a class has beside its methods and constants.
_OF_EVERY_CLASS = {
    "__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__firstlineno__",
    "__static_attributes__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__orig_bases__",
    "__parameters__", "__abstractmethods__", "_abc_impl",
}  # fmt: skip
_CONSTANT = frozenset(dis.hasconst)


def _instructions(bits: dict[str, int]) -> dict[int, int]:
    return {dis.opmap[name]: bit for name, bit in bits.items() if name in dis.opmap}


# Instructions that read a name or an attribute, and the bits beside the place of the name in their argument.
_GLOBAL = _instructions({"LOAD_GLOBAL": 1, "LOAD_NAME": 0, "LOAD_FROM_DICT_OR_GLOBALS": 0})
_FREE = _instructions({"LOAD_DEREF": 0, "LOAD_CLASSDEREF": 0, "LOAD_FROM_DICT_OR_DEREF": 0})
_ATTRIBUTE = _instructions({"LOAD_ATTR": int(sys.version_info >= (3, 12)), "LOAD_METHOD": 0})
_IMPORT = dis.opmap["IMPORT_NAME"]
_SPECIAL = {*_CONSTANT, *_GLOBAL, *_FREE, *_ATTRIBUTE, _IMPORT, dis.EXTENDED_ARG}
_CACHE = 0  # room for the interpreter between instructions


class Unreadable(Exception):  # noqa: N818 - a state of affairs, which only `why_not_cached` tells
    """A value that a function depends on and that no digest can tell from others."""


class _Reference:
    """Stands for a function, class or module in the description of another."""

    def __init__(self, value: Any) -> None:
        self.value = value


Part = str | _Reference

_texts: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # of functions, when they were first read
_serials: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
_count = itertools.count()


def digest(*values: Any) -> str:
    """The digest of compiled functions, argument types and other values, 64 hexadecimal digits.

    Raises:
        Unreadable: they depend on something that no digest can tell from others.
    """
    hashed = hashlib.sha256()
    first: list[Part] = []
    _describe(values, first)
    for one in numba_internals.overloads().get("operator", ()):
        _overload(one, first)
    numbers: dict[int, int] = {}
    queue: list[Any] = []

    def text_of(parts: list[Part], number: Callable[[Any], int]) -> str:
        return repr([part if isinstance(part, str) else number(part.value) for part in parts])

    def number(value: Any) -> int:
        if id(value) not in numbers:
            numbers[id(value)] = len(queue)
            queue.append(value)
        return numbers[id(value)]

    hashed.update(text_of(first, number).encode())
    for value in queue:  # grows
        parts: list[Part] = []
        if isinstance(value, FunctionType):
            _function(value, parts)
            _check_unchanged(value, text_of(parts, _serial))
        elif isinstance(value, type):
            _class(value, parts)
        elif isinstance(value, Intrinsic):
            _describe(numba_internals.intrinsic_parts(value), parts)
        else:
            _dispatcher(value, parts)
        hashed.update(text_of(parts, number).encode())
    return hashed.hexdigest()


def _serial(value: Any) -> int:
    """A number of a function or class that no other bears in this process, as an address in memory could."""
    return _serials.setdefault(value, next(_count))


def _check_unchanged(function: Any, text: str) -> None:
    if _texts.setdefault(function, text) != text:
        raise Unreadable(f"globals of {function.__qualname__} have changed since it was first compiled")


def code_of_modules(*modules: ModuleType) -> list[str]:
    """What tells the functions of modules and of their classes from others, without the values that they read."""
    return [read_code(function.__code__).text for module in modules for function in _functions(module)]


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    found = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    for value in found:
        for one in vars(value).values() if isinstance(value, type) else (value,):
            plain = getattr(one, "__func__", getattr(one, "__wrapped__", one))
            if isinstance(plain, FunctionType):
                yield plain


# Code.


class _Code(NamedTuple):
    """What is said of bytecode, that of inner functions and comprehensions included.

    Attributes:
        text: tells it from other code.
        globals: names of the globals that it reads.
        paths: for a name of a global or of the closure, the attributes, and attributes of attributes, that follow it.
        names: all names of globals and attributes.
        imports: whether it has an import statement.
    """

    text: str
    globals: tuple[str, ...]
    paths: tuple[tuple[str, tuple[str, ...]], ...]
    names: tuple[str, ...]
    imports: bool


@cache
def read_code(code: CodeType) -> _Code:
    """What is said of bytecode.

    Constants stand in the order in which they are loaded. So the docstring, which never is, has no part in it.
    """
    instructions, constants, read, high = bytearray(code.co_code), [], [], 0
    names, imports = list(code.co_names), False
    first_free = len(code.co_varnames) + len(set(code.co_cellvars) - set(code.co_varnames))
    paths: list[tuple[str, list[str]]] = []
    follows = False  # whether the last instruction read a name, or an attribute of it
    for i, operation in enumerate(code.co_code[::2]):
        if operation not in _SPECIAL:
            follows, high = follows and operation == _CACHE, 0
            continue
        argument = high << 8 | instructions[2 * i + 1]
        high = argument if operation == dis.EXTENDED_ARG else 0
        if high:
            continue
        if operation in _ATTRIBUTE:
            if follows:
                paths[-1][1].append(code.co_names[argument >> _ATTRIBUTE[operation]])
            continue
        follows = operation in _GLOBAL or (operation in _FREE and argument >= first_free)
        if operation in _CONSTANT:
            constants.append(code.co_consts[argument])
            instructions[2 * i + 1] = 0
        elif operation in _GLOBAL:
            read.append(code.co_names[argument >> _GLOBAL[operation]])
            paths.append((read[-1], []))
        elif follows:
            paths.append((code.co_freevars[argument - first_free], []))
        imports = imports or operation == _IMPORT
    texts, whole_paths = [], [(name, tuple(path)) for name, path in paths]
    for constant in constants:
        if isinstance(constant, CodeType):
            inner = read_code(constant)
            read, names, imports = [*read, *inner.globals], [*names, *inner.names], imports or inner.imports
            whole_paths += inner.paths
            texts.append(inner.text)
        else:
            parts: list[Part] = []
            _describe(constant, parts)
            texts.append(repr(parts))
    flags = code.co_flags & 0xFFFE  # numba clears the others when it calls the function under a profiler
    whole = (
        code.co_name, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, flags, code.co_names,
        code.co_varnames, code.co_freevars, code.co_cellvars, code.co_exceptiontable.hex(), instructions.hex(), texts,
    )  # fmt: skip
    text = hashlib.sha256(repr(whole).encode()).hexdigest()
    unique = tuple(dict.fromkeys(read)), tuple(dict.fromkeys(whole_paths)), tuple(dict.fromkeys(names))
    return _Code(text, *unique, imports)


def _function(function: Any, out: list[Part]) -> None:
    code = function.__code__
    said = read_code(code)
    if said.imports:
        raise Unreadable(f"{function.__qualname__} imports when it is called")
    out += ["function", str(function.__module__), function.__qualname__, said.text]
    _describe((function.__defaults__, function.__kwdefaults__), out)
    known = function.__globals__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        out.append(name)
        try:
            value = cell.cell_contents
        except ValueError:
            out.append("empty")
            continue
        _value(said, name, value, out)
    for name in said.globals:
        out.append(name)
        if name in known:
            _value(said, name, known[name], out)
        else:
            out.append(f"builtin {hasattr(builtins, name)}")
            if name in _OPEN_ENDED:
                raise Unreadable(f"{function.__qualname__} calls {name}")
    registered = numba_internals.overloads()
    for key in (function, *said.names) if registered else ():
        for one in registered.get(key, ()):
            _overload(one, out)


def _value(said: _Code, name: str, value: Any, out: list[Part]) -> None:
    """A value under the name by which code knows it: of a module only what the code reads."""
    if not isinstance(value, ModuleType) or _is_versioned(value.__name__):
        _describe(value, out)
        return
    for path in (path for of, path in said.paths if of == name):
        inner: Any = value
        for attribute in path:
            if not isinstance(inner, ModuleType) or not hasattr(inner, attribute):
                break
            inner = getattr(inner, attribute)
        if isinstance(inner, ModuleType) and not _is_versioned(inner.__name__):
            raise Unreadable(f"the module {inner.__name__} is handed on, or has no such attribute")
        out.append(".".join(path))
        _describe(inner, out)


def _overload(overload: Overload, out: list[Part]) -> None:
    if overload.function is None:
        raise Unreadable("another package tells numba how to compile it")
    _describe((overload.function, overload.options), out)


# Values.


def _describe(value: Any, out: list[Part]) -> None:
    """Add to a description what tells a value from others."""
    kind = type(value)
    if kind in _PLAIN:
        out.append(f"{kind.__name__} {value!r}")
    elif isinstance(value, _READ_APART):
        name = _name(value)
        out.append(_Reference(value) if name is None else name)
        if name is None and isinstance(value, BuiltinFunctionType):
            raise Unreadable(f"{value!r} is written in another language")
    elif kind in (tuple, list):
        out.append(f"{kind.__name__} {len(value)}")
        for one in value:
            _describe(one, out)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        _describe((kind, tuple(value)), out)
    elif kind is dict:
        out.append(f"dict {len(value)}")
        for pair in value.items():
            _describe(pair, out)
    elif kind in (set, frozenset):
        out += [kind.__name__, *sorted(_text(one) for one in value)]
    elif isinstance(value, np.dtype):
        out.append(f"dtype {value!r}")
    elif isinstance(value, np.generic) or kind is np.ndarray:
        if value.dtype.hasobject:
            raise Unreadable("an array of Python objects")
        flags = [value.flags[name] for name in ("C", "F", "ALIGNED", "WRITEABLE")]
        out.append(f"{kind.__name__} {value.dtype!r} {value.shape} {flags}")
        out.append(hashlib.sha256(value.tobytes()).hexdigest())
    elif isinstance(value, enum.Enum):
        _describe((kind, value.name), out)
    elif isinstance(value, numba_internals.Type):
        parts = numba_internals.type_parts(value)
        if parts is None:
            raise Unreadable(f"the type {value}")
        _describe(parts, out)
    elif isinstance(value, ir.Type):
        out.append(f"llvm {value}")
    elif isinstance(value, ModuleType) and _is_versioned(value.__name__):
        out.append(f"module {value.__name__}")
    elif (name := _name(value)) is not None:
        out.append(name)
    else:
        raise Unreadable(f"a value of type {kind.__qualname__}")


def _text(value: Any) -> str:
    """The description of a value that refers to no function or class."""
    parts: list[Part] = []
    _describe(value, parts)
    if not all(isinstance(part, str) for part in parts):
        raise Unreadable("a set of functions or classes")
    return repr(parts)


def _is_versioned(module: str) -> bool:
    return module.split(".", 1)[0] in _VERSIONED


def _name(value: Any) -> str | None:
    """The name of a value of a library whose version is known; None where it has none."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    name = name or getattr(value, "__name__", None)
    if module is None and isinstance(value, np.ufunc):  # before NumPy 2.2 they did not say where they are
        module = "numpy"
    if not isinstance(module, str) or not isinstance(name, str) or not _is_versioned(module):
        return None
    return f"{module}.{name}" if _at(module, name) is value else None


def _at(module: str, name: str) -> Any:
    """What stands under a name in a module that is loaded; None where nothing does."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _dispatcher(dispatcher: Any, out: list[Part]) -> None:
    options = numba_internals.options(dispatcher)
    if options is None:
        raise Unreadable("a compiler of its own")
    if dispatcher.py_func not in _texts and numba_internals.is_in_use(dispatcher):
        raise Unreadable(f"{dispatcher.__qualname__} was compiled before its globals were read")
    out.append(type(dispatcher).__qualname__)
    _describe((options, dispatcher.py_func), out)


def _class(kind: type, out: list[Part]) -> None:
    if kind.__module__ == "__main__" or _at(kind.__module__, kind.__qualname__) is not kind:
        raise Unreadable(f"{kind.__qualname__} would be another class in another process")
    out += ["class", kind.__module__, kind.__qualname__]
    if issubclass(kind, BaseException):  # raised by name
        return
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        _describe((kind._fields, kind._field_defaults), out)
    elif issubclass(kind, enum.Enum):
        _describe([(member.name, member.value) for member in kind], out)
    elif type(kind).__module__ in ("builtins", "abc"):
        _describe(kind.__bases__, out)
        for name, value in vars(kind).items():
            if name not in _OF_EVERY_CLASS:
                out.append(name)
                _describe(_bare(value), out)
    else:
        raise Unreadable(f"a class of type {type(kind).__qualname__}")


def _bare(value: Any) -> Any:
    """The functions of a method or property."""
    if isinstance(value, staticmethod | classmethod):
        return type(value).__name__, value.__func__
    return (value.fget, value.fset, value.fdel) if isinstance(value, property) else value
