"""Instructions on vectors of 16 numbers (8 of float64), written into the functions that numba compiles.

numba's compiler makes vector instructions of loops where it can, of half that length on most processors, and of no loop
whose sums have to stay where they are. What is written here is what runs.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import config

from rlplay.compiled.numba_internals import get_or_insert_function

INDEX, INT32 = ir.IntType(64), ir.IntType(32)


def _has_wide_registers() -> bool:
    """Whether the processor that numba compiles for has registers of 64 bytes, and 32 of them."""
    if config.CPU_FEATURES is not None:
        return "+avx512f" in config.CPU_FEATURES
    if config.CPU_NAME not in (None, "host"):
        return False
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512f", False))


VECTOR = 64  # bytes: one register of AVX-512, two of AVX2, four of NEON
WIDE_REGISTERS = _has_wide_registers()


class Emitter:
    """Writes vector instructions into the function that numba is compiling; ``lanes=0`` stands for as many as fit.

    Example:
        >>> function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "f")
        >>> emit = Emitter(None, ir.IRBuilder(function.append_basic_block()), ir.FloatType())
        >>> emit.lanes, emit.suffix
        (16, 'v16f32')
    """

    def __init__(self, context: Any, builder: Any, number: Any, lanes: int = 0) -> None:
        self.context, self.builder = context, builder
        self.align = 8 if isinstance(number, ir.DoubleType) else 4
        self.lanes = lanes or VECTOR // self.align
        self.vector = ir.VectorType(number, self.lanes)
        self.suffix = f"v{self.lanes}f{8 * self.align}"

    def data(self, array_type: Any, value: Any) -> Any:
        """The address of an array's first number."""
        return self.context.make_array(array_type)(self.context, self.builder, value).data

    def address(self, data: Any, *offsets: Any) -> Any:
        """The address of the number at the sum of some offsets."""
        place = offsets[0]
        for offset in offsets[1:]:
            place = self.builder.add(place, offset)
        return self.builder.gep(data, [place])

    def times(self, factor: int, step: Any) -> Any:
        """A step taken some times."""
        return self.builder.mul(ir.Constant(INDEX, factor), step)

    def call(self, name: str, result: Any, arguments: list[Any]) -> Any:
        """One of LLVM's own functions."""
        kind = ir.FunctionType(result, [a.type for a in arguments])
        return self.builder.call(get_or_insert_function(self.builder.module, kind, name), arguments)

    def spread(self, value: Any) -> Any:
        """A vector of one number."""
        kind = ir.VectorType(value.type, self.lanes)
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(INT32, 0))
        zeros = ir.Constant(ir.VectorType(INT32, self.lanes), None)
        return self.builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)

    def load(self, address: Any) -> Any:
        """A vector from here."""
        return self.builder.load(self.builder.bitcast(address, self.vector.as_pointer()), align=self.align)

    def store(self, value: Any, address: Any) -> None:
        """A vector to there."""
        self.builder.store(value, self.builder.bitcast(address, self.vector.as_pointer()), align=self.align)


__all__ = ["INDEX", "INT32", "VECTOR", "WIDE_REGISTERS", "Emitter"]
