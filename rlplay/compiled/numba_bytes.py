"""Compiled functions as bytes, and back: machine code, code that others call, lowered code.

Lowered code names what it calls by the digest of its content, so that it may come from another process. What holds an
address of this process cannot be kept.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from numba.core import serialize, types
from numba.core.compiler import CompileResult
from numba.core.dispatcher import Dispatcher
from numba.core.environment import Environment, lookup_environment
from numba.core.runtime import rtsys

from rlplay.compiled.numba_linking import Library, have_own_code, kept_environments, no_machine_code


def machine_code_to_bytes(result: CompileResult) -> bytes | None:
    """Machine code as bytes; None where it holds addresses of this process."""
    library = result.library
    module = library._final_module
    if _has_addresses(module) or any(not lifted.can_cache for lifted in result.lifted):
        return None
    if any(not one.key for one in library.callees):
        return None
    return _to_bytes(result, _code_parts(library), _environments_of(module))


def _code_parts(library: Library) -> tuple[str, bytes, list[str], list[str]]:
    """Name, object code, what it defines, and the keys of what has code of its own and is called."""
    module = library._final_module
    names = [one.name for one in (*module.functions, *module.global_variables) if not one.is_declaration]
    return library.name, library.object_code, names, [one.key for one in library.callees]


def own_code_to_bytes(library: Library) -> bytes | None:
    """The machine code that others call; None where it cannot be kept."""
    if _has_addresses(library._final_module) or any(not one.key for one in library.callees):
        return None
    data: bytes = serialize.dumps((_code_parts(library), _environments_of(library._final_module)))
    return data


def own_code_from_bytes(data: bytes, codegen: Any) -> Library | None:
    """The library of `own_code_to_bytes`; None where something that it calls is not there."""
    parts, environments = pickle.loads(data)
    library = _loaded(parts, codegen)
    if library is not None:
        _set_environments(library, environments)
    return library


def _loaded(parts: Any, codegen: Any) -> Library | None:
    """The library of `_code_parts`, in this process."""
    name, code, names, called = parts
    if not all(have_own_code(key, codegen) for key in called):
        return None
    library = Library(codegen, name)
    library.is_lowered = False
    library.enable_object_caching()
    library._set_compiled_object(code)
    library._finalize_final_module()
    library._codegen._engine._defined_symbols.update(names)
    return library


def _set_environments(library: Library, packed: Any) -> None:
    for one in map(_environment, packed):
        library._set_environment(one.env_name, one)


def lowered_to_bytes(result: CompileResult) -> bytes | None:
    """Lowered code as bytes; None where it holds addresses of this process, or calls what is not on disk."""
    library = result.library
    module = library.own
    if _has_addresses(module) or any(not lifted.can_cache for lifted in result.lifted):
        return None
    called = []
    for one in library.called:
        if isinstance(one, Library) and one.key:
            called.append(one.key)
        elif one is not rtsys.library:
            packed = _pack(one)
            if packed is None:
                return None
            called.append(packed)
    return _to_bytes(result, (library.name, module.as_bitcode(), called, library.has_own_code), [])


def _has_addresses(module: Any) -> bool:
    return any(one.name.startswith("numba.dynamic.globals") for one in module.global_variables)


def _pack(library: Any) -> Any:
    """The code of a library that is not ours, with all that it reaches; None where that cannot be kept."""
    if not isinstance(library, Library):
        return library.name, library._get_module_for_linking().as_bitcode(), [], None
    called = []
    for one in library.called:
        if isinstance(one, Library) and one.key:
            called.append(one.key)
        elif one is not rtsys.library:
            called.append(_pack(one))
    if _has_addresses(library.own) or None in called:
        return None
    environment = None if library.environment is None else library.environment[1]
    if environment is not None and not environment.can_cache():
        return None
    packed = None if environment is None else _packed_environment(environment)
    return library.name, library.own.as_bitcode(), called, packed


def _is_function(kind: Any) -> bool:
    """Whether an argument, or its default, is one compiled function, which is another in each process."""
    return isinstance(kind, types.Dispatcher) or isinstance(getattr(kind, "value", None), Dispatcher)


def _to_bytes(result: CompileResult, code: Any, environments: Any) -> bytes | None:
    description, environment = result.fndesc, result.environment
    if not environment.can_cache() or any(map(_is_function, result.signature.args)):
        return None
    description.typemap = description.calltypes = None  # they are not needed any more, and may not be picklable
    parts = (
        code, description, _packed_environment(environment), result.signature, result.objectmode, result.lifted,
        result.reload_init, environments,
    )  # fmt: skip
    data: bytes = serialize.dumps(parts)
    return data


def _environments_of(module: Any) -> list[Any]:
    """The constants that code reads, packed."""
    names = [one.name for one in module.global_variables if one.name.startswith("_ZN08NumbaEnv")]
    found = [lookup_environment(name) for name in names]
    return [_packed_environment(one) for one in found if one is not None and one.can_cache()]


def _packed_environment(environment: Any) -> Any:
    return environment.globals["__name__"], list(environment.consts), environment.env_name


def _environment(packed: Any) -> Any:
    """The constants of a name: there is one such list in a process, which code from disk may make longer."""
    module, constants, name = packed
    found = lookup_environment(name)
    if found is None:
        found = Environment(importlib.import_module(module).__dict__)
        found.env_name = name
        Environment._memo[name] = found
    found.consts.extend(constants[len(found.consts) :])
    return found


def machine_code_from_bytes(data: bytes, context: Any) -> CompileResult | None:
    """The function of `machine_code_to_bytes`; its library has no lowered code. None as in `own_code_from_bytes`."""
    parts, description, packed, *rest, environments = pickle.loads(data)
    for function in rest[-1]:
        function()
    environment = _environment(packed)
    library = _loaded(parts, context.codegen())
    if library is None:
        return None
    entry_point = context.get_executable(library, description, environment)
    kept_environments.setdefault(context.get_env_name(description), environment)
    _set_environments(library, environments)
    linkable = Library(context.codegen(), library.name)
    linkable.is_lowered = False
    return _result(context, library, entry_point, description, environment, rest)._replace(library=linkable)


def lowered_from_bytes(data: bytes, context: Any, library_of: Callable[[str], Library | None]) -> CompileResult | None:
    """The function of `lowered_to_bytes`; None where something that it calls is not there.

    Args:
        data: the bytes.
        context: numba's target context.
        library_of: the library of an entry on disk, by its key; None where there is none.
    """
    (name, code, called, has_own_code), description, packed, *rest, _ = pickle.loads(data)
    for function in rest[-1]:
        function()
    library = _unpack((name, code, called, None), context, library_of)
    if library is None:
        return None
    library.has_own_code = has_own_code
    environment = _environment(packed)
    library.environment = (environment.env_name, environment)
    entry_point = no_machine_code(library, description, environment)
    return _result(context, library, entry_point, description, environment, rest)


def _unpack(packed: Any, context: Any, library_of: Callable[[str], Library | None]) -> Library | None:
    name, code, called, constants = packed
    library = Library(context.codegen(), name)
    library.own = llvm.parse_bitcode(code)
    library.own.data_layout = library._codegen._data_layout
    if constants is not None:
        environment = _environment(constants)
        library.environment = (environment.env_name, environment)
    for one in called:
        found = library_of(one) if isinstance(one, str) else _unpack(one, context, library_of)
        if found is None:
            return None
        library.add_linking_library(found)
    library.add_linking_library(rtsys.library)
    return library


def _result(
    context: Any, library: Library, entry_point: Any, description: Any, environment: Any, rest: Any
) -> CompileResult:
    signature, objectmode, lifted, reload_init = rest
    return CompileResult(
        typing_context=context.typing_context, target_context=context, entry_point=entry_point, typing_error=None,
        type_annotation="", signature=signature, objectmode=objectmode, lifted=lifted, fndesc=description,
        library=library, call_helper=None, environment=environment, metadata=None, reload_init=reload_init,
        referenced_envs=[],
    )  # fmt: skip
