"""The parts of numba that are not its public interface. Only its neighbours, numba_..., name others.

numba may change them from one minor version to the next, so ``pyproject.toml`` bounds its version on both sides.
``python tests/numba_versions.py`` tries each version within the bounds, and ``tests/compiled/test_numba_internals.py``
holds the shape that is needed.

Everything here describes values for `rlplay.compiled.digest`, or what numba has done or could not do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import FunctionType
from typing import Any

import llvmlite
import numba
from numba import types
from numba.core import cgutils, config, dispatcher, errors
from numba.core.compiler import Compiler
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.runtime import _nrt_python, rtsys
from numba.core.typing import templates
from numba.extending import _Intrinsic

Dispatcher = dispatcher.Dispatcher
Intrinsic = _Intrinsic
Type = types.Type
CompileErrors = errors.NumbaError, errors.UnsupportedBytecodeError
_OWN_FILE = re.compile(r"[/\\](numba|rlplay[/\\]compiled)[/\\]|^numba[/\\]|^rlplay[/\\]compiled[/\\]")
enable_memory_statistics: Callable[[], None] = _nrt_python.memsys_enable_stats
AttributeTemplate = templates.AttributeTemplate
get_or_insert_function = cgutils.get_or_insert_function
alloca_once: Callable[..., Any] = cgutils.alloca_once
null_value: Callable[..., Any] = cgutils.get_null_value

# Settings of numba, from NUMBA_... in the environment, that change the machine code of a function.
_SETTINGS = (
    "OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "EXTEND_VARIABLE_LIFETIMES", "LOOP_VECTORIZE", "SLP_VECTORIZE",
    "ENABLE_AVX", "USING_SVML", "DISABLE_INTEL_SVML", "LLVM_REFPRUNE_PASS", "LLVM_REFPRUNE_FLAGS",
)  # fmt: skip


def is_compiling() -> bool:
    """Whether another thread compiles now."""
    lock = global_compiler_lock._lock
    free = lock.acquire(blocking=False)
    if free:
        lock.release()
    return not free


def set_cache(dispatcher: Any, cache: Any) -> None:
    """Have a dispatcher ask this `Cache` before it compiles."""
    dispatcher._cache = cache


def counts(dispatcher: Any) -> tuple[int, int]:
    """How many signatures of a dispatcher were compiled in this process, and how many its cache gave."""
    return sum(dispatcher._cache_misses.values()), sum(dispatcher._cache_hits.values())


def is_in_use(dispatcher: Any) -> bool:
    """Whether a dispatcher has machine code, so that its globals are read no more."""
    return bool(dispatcher.overloads)


def options(dispatcher: Any) -> dict[str, Any] | None:
    """The compile options of a dispatcher; None where it has a compiler pipeline of its own."""
    if dispatcher._compiler.pipeline_class is not Compiler:
        return None
    own_code = getattr(dispatcher, "has_own_code", False)
    return {**dispatcher.targetoptions, "locals": dispatcher.locals, "own_code": own_code}


def intrinsic_parts(intrinsic: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function that writes an intrinsic's code, and its options."""
    return intrinsic._defn, {**intrinsic._ctor_kwargs, "prefer_literal": intrinsic._prefer_literal}


def versions() -> tuple[str, ...]:
    """Versions of numba and llvmlite, and the settings that change machine code."""
    settings = (f"{name}={getattr(config, name, None)}" for name in _SETTINGS)
    return numba.__version__, llvmlite.__version__, *settings


def platform() -> str:
    """What lowered code is written for: the kind of processor, the system and its conventions."""
    return str(cpu_target.target_context.codegen().magic_tuple()[0])


def processor() -> str:
    """What machine code is made for: name and features of the processor."""
    return repr(cpu_target.target_context.codegen().magic_tuple()[1:])


def size_of(kind: Any) -> int:
    """The bytes that a value of a numba type takes in memory."""
    context = cpu_target.target_context
    return int(context.get_abi_sizeof(context.get_value_type(kind)))


def type_parts(kind: Any) -> tuple[Any, ...] | None:
    """What tells a numba type from others: text, inner types, classes and constants; None where that is not known."""
    name = type(kind).__name__
    if type(kind) in _NAMED:
        return name, str(kind)
    if isinstance(kind, types.BaseNamedTuple):
        return name, kind.instance_class, *kind.fields, *kind.types
    if type(kind) in _OF_TYPES:
        return name, len(kind.types), *kind.types
    if type(kind) is types.Array:
        return name, kind.dtype, kind.ndim, kind.layout, kind.mutable, kind.aligned
    if type(kind) in (types.Omitted, types.IntegerLiteral, types.StringLiteral, types.BooleanLiteral):
        return name, kind.value if isinstance(kind, types.Omitted) else kind.literal_value
    if type(kind) in (types.EnumMember, types.IntEnumMember):
        return name, kind.instance_class, kind.dtype
    if type(kind) in _OF_ONE:
        return name, getattr(kind, _OF_ONE[type(kind)]), getattr(kind, "reflected", None)
    if isinstance(kind, types.DictType):
        return name, kind.key_type, kind.value_type
    if name == "Reference":
        return name, type(kind).__module__, kind.target
    return None


_NAMED = {
    types.Integer, types.Float, types.Complex, types.Boolean, types.NoneType, types.UnicodeType, types.Bytes,
    types.NPDatetime, types.NPTimedelta, types.Record, types.UnicodeCharSeq, types.CharSeq, types.RangeType,
    types.SliceType, type(types.void), type(types.ellipsis),
}  # fmt: skip
_OF_TYPES = {types.Tuple, types.UniTuple, types.StarArgTuple, types.StarArgUniTuple}
_OF_ONE = {
    types.Optional: "type", types.List: "dtype", types.Set: "dtype", types.ListType: "item_type",
    types.NumberClass: "instance_type", types.TypeRef: "instance_type",
}  # fmt: skip


class Overload:
    """What a package other than numba has registered for a name (`numba.extending.overload` and its like).

    Attributes:
        function: the function that chooses the implementation; None where the registration is of another kind.
        options: its compile options.
    """

    def __init__(self, function: Callable[..., Any] | None, options: dict[str, Any]) -> None:
        self.function, self.options = function, options


_registered = (0, 0)
_overloads: dict[Any, list[Overload]] = {}


def overloads() -> dict[Any, list[Overload]]:
    """What packages other than numba have registered for functions, methods and attributes.

    Under a function written in Python stands what is registered for it; under a name what is registered for functions
    of libraries, methods and attributes of that name; under ``"operator"`` for operators, which no code names.
    """
    global _registered, _overloads
    functions, attributes = templates.builtin_registry.functions, templates.builtin_registry.attributes
    if (len(functions), len(attributes)) != _registered:
        found: dict[Any, list[Overload]] = {}
        for template in (*functions, *attributes):
            function = getattr(template, "_overload_func", None)
            if hasattr(template, "_definition_func") or _is_known(function or template):
                continue  # an intrinsic is read where it stands in code
            details = {part: getattr(template, part, None) for part in ("_jit_options", "_strict", "prefer_literal")}
            details["inline"] = getattr(getattr(template, "_inline", None), "value", None)
            found.setdefault(_stands_under(template), []).append(Overload(function, details))
        _registered, _overloads = (len(functions), len(attributes)), found
    return _overloads


def _stands_under(template: Any) -> Any:
    key = getattr(template, "key", None)
    if hasattr(template, "_attr"):
        return template._attr
    if getattr(key, "__module__", None) in ("operator", "_operator"):
        return "operator"
    return key if isinstance(key, FunctionType) else getattr(key, "__name__", str(key))


def _is_known(registered: Any) -> bool:
    """Whether numba registered a function or template, or we did. What numba writes with ``exec`` has no module."""
    module = registered.__module__ or "numba"
    if module == "abc":  # a class made by `type_callable`, with a closure over the function that was given
        closure = getattr(getattr(registered, "generic", None), "__closure__", None) or ()
        module = next((m for cell in closure if (m := getattr(cell.cell_contents, "__module__", None))), module)
    return module.split(".")[0] == "numba" or module == "rlplay.compiled.by_reference"


def why_not_compiled(error: Exception) -> str:
    r"""numba's page about what it could not compile, as one line: file, line, and the cause.

    Example:
        >>> page = "Failed in nopython mode pipeline (step: nopython frontend)\nUnknown attribute 'n' of type int64\n"
        >>> why_not_compiled(errors.TypingError(page + "During: typing of get attribute at my_rule.py (14)"))
        "my_rule.py, line 14: numba cannot compile it: Unknown attribute 'n' of type int64"
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # numba's colours
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Failed in")]
    cause = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1]).replace(">>> ", "")
    if "NRT required" in text:
        cause = "it allocates an array, which @in_place does not allow and @compiled does"
    places = re.findall(r"During: .* at (.+) \((\d+)\)", text) + re.findall(r'File "(.+)", line (\d+)', text)
    places = [(file, line) for file, line in places if not file.startswith("<") and not _OWN_FILE.search(file)]
    function = re.search(r"CPUDispatcher\(<function (\S+) at", text)
    where = (
        f"{places[0][0]}, line {places[0][1]}" if places else f"function {function[1]}" if function else "a function"
    )
    return f"{where}: numba cannot compile it: {cause[:300].rstrip('.')}"


def allocations() -> int:
    """How many pieces of memory compiled code has taken since `enable_memory_statistics`."""
    return rtsys.get_allocation_stats().alloc
