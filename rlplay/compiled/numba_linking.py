"""How a function becomes machine code: each one is lowered once, and all that an entry point reaches is linked once.

numba by itself optimises and translates every function with all that it calls, and does so again for each of its
callers: what stands at the bottom of ten calls is compiled ten times. Here a function that another one calls is only
lowered, that is typed and written as LLVM's code. Machine code is made where Python calls: then what the function
reaches is linked into one module, optimised once, and translated. For PPO that is a third of the time.

    lowered       LLVM's code of one function, and the libraries of those that it calls
    machine code  of an entry point: its wrapper for Python, and everything that it reaches
    own code      machine code of a function that many entry points reach (`own_code`): they call it, and hold no copy

All can be kept on disk (`rlplay.compiled.numba_bytes`, `rlplay.compiled.cache`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import llvmlite.binding as llvm
from numba import _dynfunc
from numba.core import cgutils, codegen, errors, sigutils, types
from numba.core.bytecode import FunctionIdentity
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.cpu import CPUContext
from numba.core.registry import CPUDispatcher
from numba.core.typing.templates import make_concrete_template

from rlplay.compiled.numba_faster import without_collections

Signature = tuple[Any, ...]


class Library(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The lowered code of a function, beside the libraries of what it calls.

    Attributes:
        own: the module of the function alone.
        key: the name of its entry on disk; empty where it has none.
        environment: name and value of the constants that its code reads; None where there are none.
        is_lowered: whether the code is here; of a function whose machine code came from disk it may not be.
        has_own_code: whether whoever calls it calls machine code of its own.
    """

    def __init__(self, owner: Any, name: str) -> None:
        super().__init__(owner, name)
        self.own: Any = self._final_module
        self.key = ""
        self.environment: tuple[str, Any] | None = None
        self.is_lowered = True
        self.has_own_code = False
        self.callees: list[Library] = []  # with code of their own, that its machine code calls
        self.object_code = b""
        self._linkable: Any = None

    def add_ir_module(self, ir_module: Any) -> None:
        """Take LLVM's code, as it is: it is optimised when all is linked."""
        self._raise_if_finalized()
        module = llvm.parse_assembly(cgutils.normalize_ir_text(str(ir_module)))
        module.name = ir_module.name
        module.data_layout = self._codegen._data_layout
        if _depth[0]:
            self._strip(module)
        self.own.link_in(module)

    def _strip(self, module: Any) -> None:
        """Leave out what no code reads, such as the addresses of Python's functions: another process has others."""
        builder = self._codegen._pass_builder()
        passes = llvm.create_new_module_pass_manager()
        passes.add_sroa_pass()
        passes.add_dead_store_elimination_pass()
        passes.add_dead_code_elimination_pass()
        passes.add_global_dead_code_eliminate_pass()
        passes.run(module, builder)

    def add_linking_library(self, library: Any) -> None:
        """Take the library of what is called; nothing is linked yet."""
        self._linking_libraries.append(library)

    @property
    def called(self) -> list[Any]:
        """The libraries of what its code calls, each once."""
        return list(dict.fromkeys(self._linking_libraries))

    def reached(self) -> tuple[list[Any], list[Library]]:
        """What becomes one module with it, callers before what they call, and what has machine code of its own.

        LLVM links what is already wanted, so callers come first. A function that numba itself compiles takes all into
        its module: it may keep that on disk, and knows nothing of code elsewhere.
        """
        found: list[Any] = []
        apart: list[Library] = []
        seen: set[int] = set()

        def visit(library: Any) -> None:
            seen.add(id(library))
            for one in library.called if isinstance(library, Library) else ():
                if id(one) in seen:
                    continue
                if self._object_caching_enabled and isinstance(one, Library) and one.has_own_code:
                    seen.add(id(one))
                    apart.append(one)
                else:
                    visit(one)
            found.append(library)

        visit(self)
        return found[-2::-1], apart  # without itself

    def linkable(self) -> Any:
        """Its own module, in which every function may stand in several modules."""
        if self._linkable is None:
            self._linkable = self.own.clone()
            for function in self._linkable.functions:
                if not function.is_declaration and function.linkage == llvm.Linkage.external:
                    function.linkage = "linkonce_odr"
        return self._linkable

    def take(self, other: Library) -> None:
        """Take the lowered code of the same function."""
        self.own = other.own
        self._linking_libraries: list[Any] = list(other._linking_libraries)
        self._linkable, self.is_lowered = other._linkable, True
        self.key, self.has_own_code = self.key or other.key, other.has_own_code

    def defined(self) -> set[str]:
        """The names of its functions."""
        return {one.name for one in self.own.functions if not one.is_declaration}

    def finalize(self) -> None:
        """Make machine code of it and all that it reaches, but for what has code of its own: that is called."""
        self._codegen._check_llvm_bugs()
        self._raise_if_finalized()
        self._final_module = self.own.clone()
        reached, self.callees = self.reached()
        for library in reached:
            self._reload_init.update(library._reload_init)
            module = library.linkable() if isinstance(library, Library) else library._get_module_for_linking()
            self._final_module.link_in(module, preserve=True)
        elsewhere = set().union(*(library.defined() for library in self.callees))
        missing = [one.name for one in self._final_module.functions if one.is_declaration and one.name[:3] == "_ZN"]
        if lost := sorted(set(missing) - elsewhere):  # a call of it would end the process
            raise RuntimeError(f"the code of {lost[0]} is missing; empty the folder of compiled code")
        self._optimize_final_module()
        self._final_module.verify()
        if self._object_caching_enabled:
            self.object_code = self._codegen._tm.emit_object(self._final_module)
            for library in self.callees:
                library.load_own_code()
            self._set_compiled_object(self.object_code)
        self._finalize_final_module()
        for library in reached:
            if isinstance(library, Library) and library.environment is not None:
                self._set_environment(*library.environment)

    def load_own_code(self) -> None:
        """Have its machine code in this process: from disk, or made now and kept there.

        What it calls comes first: another process may be making it meanwhile.
        """
        if self.key not in _own_code:
            for library in self.reached()[1]:
                library.load_own_code()
            self.have_own_code()

    def have_own_code(self) -> bool:
        """The same, without what it calls; True."""
        name = self.key or min(self.defined())
        if name not in _own_code:
            _own_code[name] = _once(self.key and f"{self.key}.own", self._own_code_found, self._own_code_now)
        return True

    def _own_code_found(self) -> Library | None:
        """What is in this process by now, or on disk."""
        return _own_code.get(self.key) or store.load_own_code(self.key, self._codegen)

    def _own_code_now(self) -> Library:
        made = Library(self._codegen, self.name)
        made.enable_object_caching()
        made.own, made._linking_libraries = self.own, list(self._linking_libraries)
        _in_work[0] += 1
        try:
            made.finalize()
        finally:
            _in_work[0] -= 1
        if self.environment is not None:
            made._set_environment(*self.environment)
        store.save_own_code(self.key, made)
        return made

    def _set_environment(self, name: str, value: Any) -> None:
        if self._codegen._engine.is_symbol_defined(name) and name not in kept_environments:
            kept_environments[name] = value
            self._codegen.set_env(name, value)


kept_environments: dict[str, Any] = {}  # the constants that machine code reads, by name: kept alive
_own_code: dict[str, Library] = {}  # the machine code that others call, by its key, else the name of its function
_in_work = [0]  # what is being made, one within the other; the compiler lock guards it


class NoStore:
    """Where machine code that others call is kept; here nowhere."""

    def load_own_code(self, key: str, codegen: Any) -> Library | None:
        """What was kept under a key; None where there is nothing."""
        return None

    def save_own_code(self, key: str, library: Library) -> None:
        """Keep the machine code of a library."""

    @contextmanager
    def making(self, name: str, meanwhile: Callable[[], bool]) -> Iterator[None]:
        """While this lasts, no other process makes what bears the name; one that does so is waited for.

        Args:
            name: of an entry.
            meanwhile: does some other work; False where there is none.
        """
        yield


store = NoStore()  # `rlplay.compiled.cache` puts one on disk in its place


def have_own_code(key: str, codegen: Any) -> bool:
    """Whether machine code that others call is in this process, from disk if need be."""
    if key not in _own_code:
        found = store.load_own_code(key, codegen)
        if found is not None:
            _own_code[key] = found
    return key in _own_code


_spare: list[Callable[[], bool]] = []  # makes machine code that will be wanted; False where it cannot yet


def _spare_work() -> bool:
    """Make machine code that will be wanted; False where there is none.

    Nor within other work: it could want what is half made.
    """
    if _in_work[0]:
        return False
    for work in reversed(tuple(_spare)):
        if work in _spare:  # what was begun meanwhile is not begun again
            _spare.remove(work)
            if work():
                return True
            _spare.append(work)
    return False


Made = TypeVar("Made")


def _once(name: str, load: Callable[[], Made | None], make: Callable[[], Made]) -> Made:
    """What is on disk, else what is made now; where another process makes it, that is waited for."""
    found = load()
    if found is None:
        with store.making(name, _spare_work):
            found = load()
            found = make() if found is None else found
    return found


def no_machine_code(library: Any, description: Any, environment: Any) -> Any:
    """Stands for the entry point of a function that has none; only numba's tables hold it."""
    name = description.qualname.split(".")[-1]
    return _dynfunc.make_function(description.lookup_module(), name, "lowered", 0, environment, (library,))


_depth = [0]  # of functions that are being compiled for each other; the compiler lock guards it
_usual_executable = CPUContext.get_executable


def _executable(context: Any, library: Any, description: Any, environment: Any) -> Any:
    """Machine code where it is wanted: not of a function that is lowered for another one, and has no wrapper."""
    if _depth[0] and isinstance(library, Library) and not _is_defined(description.llvm_cpython_wrapper_name, library):
        library.environment = (context.get_env_name(description), environment)
        return no_machine_code(library, description, environment)
    return _usual_executable(context, library, description, environment)


def _is_defined(name: str, library: Any) -> bool:
    return any(one.name == name and not one.is_declaration for one in library.own.functions)


CPUContext.get_executable = _executable


@contextmanager
def _linking_later(context: Any) -> Iterator[None]:
    """Whatever is compiled within is only lowered, numba's own functions too, unless Python can call it."""
    owner = context.codegen()
    _depth[0] += 1
    owner._library_class = Library
    try:
        yield
    finally:
        _depth[0] -= 1
        if not _depth[0]:
            del owner._library_class


class Function(CPUDispatcher):  # type: ignore[misc]
    """numba's dispatcher of a function, which makes machine code for calls from Python only.

    One compilation serves all callers. numba by itself would compile anew for each constant that a caller writes.
    """

    def __init__(self, py_func: Any, targetoptions: Any) -> None:
        super().__init__(py_func, {}, targetoptions)
        self._compiler._customize_flags = _without_wrappers
        self._cache = NoEntries()
        self.has_own_code = False
        self._callable: set[Signature] = set()  # for which there is machine code
        self._beside: set[Signature] = set()  # for which another process was asked

    def compile(self, sig: Any) -> Any:
        """The entry point for Python."""
        arguments = tuple(sigutils.normalize_signature(sig)[0])
        with global_compiler_lock, without_collections():
            if arguments in self._callable:
                return self.overloads[arguments].entry_point
            found = self._have(arguments, self._cache.load_machine_code, self._made)
            known = self.overloads.get(arguments)
            if known is not None:
                found = found._replace(library=known.library)
            self._take(arguments, found)
            self._callable.add(arguments)
            self._insert([one._code for one in arguments], found.entry_point, found.objectmode)
            return found.entry_point

    def _made(self, arguments: Signature) -> Any:
        """Machine code, made now."""
        self._lower(arguments)
        known, options = self.overloads[arguments], self.targetoptions
        found = machine_code(known, options.get("_nrt", True), options.get("nogil", False))
        self._cache.save_machine_code(arguments, found)
        return found

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """What a caller that is being compiled needs to know; the function is lowered for it."""
        general: Callable[[Any], Any] = vars(types)["unliteral"]
        plain = {name: general(one) for name, one in kws.items()}
        python, arguments = self._compiler.fold_argument_types(tuple(general(one) for one in args), plain)
        with global_compiler_lock:
            self._lower(tuple(arguments))
        name = self.py_func.__name__
        template = make_concrete_template(f"CallTemplate({name})", key=name, signatures=self.nopython_signatures)
        return template, python, arguments, {}

    def make_beside(self, arguments: Signature, first: Sequence[tuple[Any, Signature]] = ()) -> None:
        """Have another process make the function's own code and leave it on disk; whoever needs it waits for that.

        Args:
            arguments: their types.
            first: functions that are lowered before it, and the types of theirs: what this process needs last.
        """
        if arguments in self.overloads or arguments in self._beside:
            return
        self._beside.add(arguments)
        if _processors() < 2 or not self._cache.key(arguments) or self._cache.has_own_code(arguments):
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads: what runs there needs none
            with contextlib.suppress(OSError):  # no room for another process: not beside
                _in_another_process(lambda: self._make_own_code(arguments, first))
                _spare.extend(partial(one.have_own_code_of, kinds) for one, kinds in first if one.has_own_code)

    def _make_own_code(self, arguments: Signature, first: Sequence[tuple[Any, Signature]]) -> None:
        with without_collections():
            for function, kinds in first:
                with contextlib.suppress(Exception):  # it may be called with other types, or not at all
                    function._lower(kinds)
            self._lower(arguments)
            self.overloads[arguments].library.have_own_code()

    def have_own_code_of(self, arguments: Signature) -> bool:
        """Have machine code of what another process has lowered; False where it has not yet."""
        if arguments not in self.overloads and self._cache.load_lowered(arguments, self.targetctx) is None:
            return False
        self._lower(arguments)
        library: Library = self.overloads[arguments].library
        return library.have_own_code()

    def _lower(self, arguments: Signature) -> None:
        """Have lowered code of the function."""
        known = self.overloads.get(arguments)
        if known is not None and known.library.is_lowered:
            return
        found = self._have(arguments, self._cache.load_lowered, self._lowered_now)
        if known is None:
            self._take(arguments, found)
        else:
            known.library.take(found.library)
        if self.has_own_code:
            _spare.append(found.library.have_own_code)

    def _have(self, arguments: Signature, load: Callable[..., Any], make: Callable[..., Any]) -> Any:
        """What ``load`` finds, else what ``make`` makes."""

        def found() -> Any:
            one = load(arguments, self.targetctx)
            if one is not None and arguments not in self.overloads:
                self._cache_hits[arguments] += 1
            return one

        key = self._cache.key(arguments)
        return _once(key and f"{key}.{make.__name__}", found, lambda: make(arguments))

    def _lowered_now(self, arguments: Signature) -> Any:
        if arguments not in self.overloads:
            self._cache_misses[arguments] += 1
        with self._compiling_counter, _linking_later(self.targetctx):
            _names.coming = self._cache.number(arguments)
            try:
                found = self._compiler.compile(arguments, None)
            except errors.ForceLiteralArg as error:
                fold = self._compiler.fold_argument_types
                raise error.bind_fold_arguments(lambda args, kws: fold(args, kws)[1]) from error
            finally:
                _names.coming = None
        found.library.has_own_code = self.has_own_code
        self._cache.save_lowered(arguments, found)
        return found

    def _take(self, arguments: Signature, found: Any) -> None:
        self.targetctx.insert_user_function(found.entry_point, found.fndesc, [found.library])
        self.overloads[arguments] = found


class NoEntries:
    """What a `Function` asks of its entries on disk; here nothing is kept."""

    def key(self, arguments: Signature) -> str:
        """A name by the content of the function; empty where nothing is kept."""
        return ""

    def number(self, arguments: Signature) -> int | None:
        """A number by the content of the function, the same in every process; None for any."""
        return None

    def has_own_code(self, arguments: Signature) -> bool:
        """Whether there is machine code for argument types that others call."""
        return False

    def load_machine_code(self, arguments: Signature, context: Any) -> CompileResult | None:
        """The machine code for argument types; None where there is none."""
        return None

    def load_lowered(self, arguments: Signature, context: Any) -> CompileResult | None:
        """The lowered code for argument types; None where there is none."""
        return None

    def save_machine_code(self, arguments: Signature, result: CompileResult) -> None:
        """Keep machine code."""

    def save_lowered(self, arguments: Signature, result: CompileResult) -> None:
        """Keep lowered code, and give its library a key."""


def _processors() -> int:
    """Processors that this process may use; one where it cannot be forked."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "fork") and hasattr(os, "sched_getaffinity") else 1


_LONGEST = 600  # seconds after which such a process ends, whatever it does


def _in_another_process(work: Callable[[], None]) -> None:
    """Do work in a copy of this process, which nobody waits for: whoever needs its result finds it on disk.

    What goes wrong there goes wrong again where it is needed, and is said there. No other thread compiles when the
    process is copied: its locks would stay closed in the copy.
    """
    with global_compiler_lock:
        child = os.fork()
        if child == 0:
            try:
                if os.fork() == 0:  # a child of nobody leaves nothing behind when it ends
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)
                    signal.alarm(_LONGEST)
                    work()
            finally:
                os._exit(0)
    os.waitpid(child, 0)


def _without_wrappers(flags: Any) -> Any:
    """A function that is lowered has no wrapper for Python; its machine code gets one."""
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.fastmath.flags = _InOrder(flags.fastmath.flags)  # they are a part of its name
    return flags


class _InOrder(set[str]):
    """A set that is written in the same order in every process."""

    def __repr__(self) -> str:
        return "{" + ", ".join(map(repr, sorted(self))) + "}"


def own_code(function: Any) -> Any:
    """A function whose machine code is made once, and called by whatever reaches it; plain Python stays as it is."""
    if isinstance(function, Function):
        function.has_own_code = True
    return function


def machine_code(lowered: CompileResult, counts: bool = True, release_gil: bool = False) -> CompileResult:
    """The machine code of a lowered function and of all that it reaches, in a library of its own.

    Args:
        lowered: the function.
        counts: whether it counts references: else an array that it returns is one that it was given.
        release_gil: whether other threads of Python run meanwhile.
    """
    context = lowered.target_context.subtarget(enable_nrt=counts)
    description, environment = lowered.fndesc, lowered.environment
    library = Library(context.codegen(), description.qualname)
    library.enable_object_caching()
    library.add_linking_library(lowered.library)
    with _linking_later(context), context.push_code_library(library):
        context.create_cpython_wrapper(library, description, environment, None, release_gil)
    entry_point = context.get_executable(library, description, environment)
    kept_environments.setdefault(context.get_env_name(description), environment)
    return lowered._replace(library=library, entry_point=entry_point)


# Names.


class _Names:
    """The numbers by which numba tells functions of one name apart.

    numba counts from 1 in each process. Two closures of one factory, compiled in two processes, could then bear one
    name, and a third process that loads both would run one for the other. A function that is kept on disk has a number
    by its content; any other one counts from a random number on.
    """

    def __init__(self) -> None:
        self.coming: int | None = None
        self.restart()

    def restart(self) -> None:
        """Count from another random number on."""
        self._counter = itertools.count(secrets.randbits(62) + (1 << 62))

    def __iter__(self) -> _Names:
        return self

    def __next__(self) -> int:
        number, self.coming = self.coming, None
        return next(self._counter) if number is None else number


_names = _Names()
FunctionIdentity._unique_ids = _names
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_names.restart)


def jit(function: Callable[..., Any], **options: Any) -> Any:
    """The dispatcher of a function, with numpy's error model: a check of each division would prevent vectors."""
    return Function(function, {"nopython": True, "error_model": "numpy", "boundscheck": None, **options})
