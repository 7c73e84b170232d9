"""Products of small matrices at the speed of the processor: C = A B, C = A B + bias, C += A B, with Aᵀ and Bᵀ too.

BLAS is made for large matrices; those of an agent's network are small. Here C is computed in tiles that never leave the
registers: a number of A is spread over a vector, a row of B is loaded, and

    C[r, v] ← C[r, v] + A[r, k] · B[k, v]        for k = 0, 1, ..., each a fused multiply-add

of vectors of 16 numbers (8 in float64). Nothing is stored before the last k. A tile is 4 rows by 4 vectors where the
processor has registers of 64 bytes, else 6 by 1. What would not lie close together in the first cache (a part of a wide
B, columns of a wide A, Bᵀ) is copied there first, transposed on the way by shuffles; columns beyond the last whole
vector are copied likewise, and their sums by way of the room too, since masked instructions are slow on many
processors.

Every row of C is summed in the same order, whatever the number of rows: one row gives the bits that it has in a batch.

Source: Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication", section 4. Measured beside BLAS:
``python tests/benchmarks/networks.py products``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.networks.vectors import INDEX, INT32, VECTOR, WIDE_REGISTERS, Emitter

Array = NDArray[Any]


WIDE = 4 if WIDE_REGISTERS else 1  # vectors in a row of the main tile
MAIN = 4 if WIDE == 4 else 6  # rows of the main tile: as many sums as there are registers for
FEWER = MAIN - 2  # rows of a lower one
TALL = MAIN * WIDE  # rows of a tile one vector wide, which has as many sums on their way
LOW = 4  # rows of a lower one
BLOCK = 48  # rows of C that are worked through at a time: whole tiles, and whole vectors of Aᵀ
DEPTH = 128
BESIDE = DEPTH * WIDE * VECTOR // 4  # where in the room columns of A begin, behind rows of B
STAGE = BESIDE + DEPTH * BLOCK  # where a tile lies whose columns are not whole vectors
ROOM = STAGE + TALL * VECTOR // 4  # numbers that `product` needs as its own room (float64 takes as many)
_FEW = 32  # rows of C below which a copy of B does not pay
_FAR = 192  # numbers from one of a column of A to the next, beyond which a copy pays

_TILE = ("a", "a_at", "a_row", "a_k", "b", "b_at", "b_k", "c", "c_at", "c_row", "first", "first_at", "first_row",
         "depth")  # fmt: skip


def _tile(rows: int, vectors: int) -> Callable[..., None]:
    """A tile of C, as a function of flat arrays and whole numbers, named in `_TILE`.

    Number (r, k) of A is ``a[a_at + r a_row + k a_k]``, row k of B begins at ``b[b_at + k b_k]``, row r of C at
    ``c[c_at + r c_row]``. Sums start from ``first[first_at + r first_row]``, or from 0 where ``first_at`` is negative.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = dict(zip(_TILE, signature.args, strict=True))
        given = dict(zip(_TILE, arguments, strict=True))
        emit = Emitter(context, builder, context.get_value_type(kinds["c"].dtype))
        a, b, c, first = (emit.data(kinds[name], given[name]) for name in ("a", "b", "c", "first"))
        tile = [(r, v) for r in range(rows) for v in range(vectors)]
        column = [ir.Constant(INDEX, v * emit.lanes) for v in range(vectors)]

        before = builder.basic_block
        begin, loop, end = (builder.append_basic_block(f"tile.{name}") for name in ("begin", "loop", "end"))
        builder.cbranch(builder.icmp_signed("<", given["first_at"], ir.Constant(INDEX, 0)), loop, begin)

        builder.position_at_end(begin)
        starts = {
            (r, v): emit.load(emit.address(first, given["first_at"], emit.times(r, given["first_row"]), column[v]))
            for r, v in tile
        }
        builder.branch(loop)

        builder.position_at_end(loop)
        k, sums = builder.phi(INDEX), {place: builder.phi(emit.vector) for place in tile}
        for block in (before, begin):
            k.add_incoming(ir.Constant(INDEX, 0), block)
            for place in tile:
                sums[place].add_incoming(ir.Constant(emit.vector, None) if block is before else starts[place], block)
        row = builder.add(given["b_at"], builder.mul(k, given["b_k"]))
        row_of_b = [emit.load(emit.address(b, row, column[v])) for v in range(vectors)]
        new = {}
        for r in range(rows):
            at = emit.address(a, given["a_at"], emit.times(r, given["a_row"]), builder.mul(k, given["a_k"]))
            spread = emit.spread(builder.load(at, align=emit.align))
            for v in range(vectors):
                new[r, v] = emit.call(
                    f"llvm.fma.{emit.suffix}", emit.vector, [spread, row_of_b[v], sums[r, v]]
                )  # fmt: skip
        following = builder.add(k, ir.Constant(INDEX, 1))
        k.add_incoming(following, loop)
        for place in tile:
            sums[place].add_incoming(new[place], loop)
        builder.cbranch(builder.icmp_signed("<", following, given["depth"]), loop, end)

        builder.position_at_end(end)
        for r, v in tile:
            emit.store(new[r, v], emit.address(c, given["c_at"], emit.times(r, given["c_row"]), column[v]))
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(typing: Any, a: Any, a_at: Any, a_row: Any, a_k: Any, b: Any, b_at: Any, b_k: Any, c: Any, c_at: Any,
             c_row: Any, first: Any, first_at: Any, first_row: Any, depth: Any) -> Any:  # fmt: skip
        n = types.int64
        return types.void(a, n, n, n, b, n, n, c, n, n, first, n, n, n), build

    return tile


_main, _main_few, _main_row = (_tile(rows, WIDE) for rows in (MAIN, FEWER, 1))
_narrow, _narrow_few, _narrow_row = (_tile(rows, 1) for rows in (TALL, LOW, 1))


@intrinsic  # type: ignore[untyped-decorator]
def copy_vector(typing: Any, a: Any, at: Any, out: Any, out_at: Any) -> Any:
    """One vector from here to there."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, context.get_value_type(signature.args[0].dtype))
        source, target = (emit.data(signature.args[i], arguments[i]) for i in (0, 2))
        emit.store(emit.load(emit.address(source, arguments[1])), emit.address(target, arguments[3]))
        return context.get_dummy_value()

    return types.void(a, types.int64, out, types.int64), build


def _adding(lanes: int) -> Callable[..., None]:
    """``add(factor, a, at, out, out_at)``: a vector of ``out``, or one number, += factor times that of ``a``, fused."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, context.get_value_type(signature.args[3].dtype), lanes)
        factor, a, at, out, out_at = arguments
        source, target = (emit.data(signature.args[i], array) for i, array in ((1, a), (3, out)))
        here = emit.address(target, out_at)
        numbers = [emit.spread(factor), emit.load(emit.address(source, at)), emit.load(here)]
        emit.store(emit.call(f"llvm.fma.{emit.suffix}", emit.vector, numbers), here)
        return context.get_dummy_value()

    @intrinsic  # type: ignore[untyped-decorator]
    def add(typing: Any, factor: Any, a: Any, at: Any, out: Any, out_at: Any) -> Any:
        return types.void(out.dtype, a, types.int64, out, types.int64), build

    return add


_add_vector, _add_one = _adding(0), _adding(1)


@in_place
def add_row(factor: Any, a: Array, at: int, out: Array, out_at: int, columns: int) -> None:
    """``out[j] += factor a[j]`` in flat arrays, each a fused multiply-add, as in a product."""
    lanes = VECTOR // out.itemsize
    whole = columns - columns % lanes
    for j in range(0, whole, lanes):
        _add_vector(factor, a, at + j, out, out_at + j)
    for j in range(whole, columns):
        _add_one(factor, a, at + j, out, out_at + j)


@intrinsic  # type: ignore[untyped-decorator]
def _transpose_block(typing: Any, a: Any, a_at: Any, a_row: Any, out: Any, out_at: Any, out_row: Any) -> Any:
    """A square block, as many rows as a vector has numbers: ``out[j, i] = a[i, j]``, by rounds of shuffles."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, context.get_value_type(signature.args[3].dtype))
        source, target = (emit.data(signature.args[i], arguments[i]) for i in (0, 3))
        lanes, (_, a_at, a_row, _, out_at, out_row) = emit.lanes, arguments
        rows = [emit.load(emit.address(source, a_at, emit.times(i, a_row))) for i in range(lanes)]
        size = 1
        while size < lanes:  # exchange the blocks above and below the diagonal, of size 1, 2, 4, ...
            upper = [j if not j & size else lanes + j - size for j in range(lanes)]
            lower = [j + size if not j & size else lanes + j for j in range(lanes)]
            masks = [ir.Constant(ir.VectorType(INT32, lanes), places) for places in (upper, lower)]
            for i in (i for i in range(lanes) if not i & size):
                pair = rows[i], rows[i + size]
                rows[i], rows[i + size] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            size *= 2
        for i in range(lanes):
            emit.store(rows[i], emit.address(target, out_at, emit.times(i, out_row)))
        return context.get_dummy_value()

    n = types.int64
    return types.void(a, n, n, out, n, n), build


@in_place
def copy(a: Array, a_at: int, a_row: int, out: Array, out_at: int, out_row: int, rows: int, columns: int) -> None:
    """``out[i, j] = a[i, j]`` in flat arrays with steps of their own."""
    lanes = VECTOR // a.itemsize
    whole = columns - columns % lanes
    for i in range(rows):
        for j in range(0, whole, lanes):
            copy_vector(a, a_at + i * a_row + j, out, out_at + i * out_row + j)
        for j in range(whole, columns):
            out[out_at + i * out_row + j] = a[a_at + i * a_row + j]


@in_place
def transpose(a: Array, a_at: int, a_row: int, out: Array, out_at: int, out_row: int, rows: int, columns: int) -> None:
    """``out[j, i] = a[i, j]`` in flat arrays with steps of their own, for [rows, columns] numbers of ``a``."""
    lanes = VECTOR // out.itemsize
    whole_rows, whole_columns = rows - rows % lanes, columns - columns % lanes
    for i in range(0, whole_rows, lanes):
        for j in range(0, whole_columns, lanes):
            _transpose_block(a, a_at + i * a_row + j, a_row, out, out_at + j * out_row + i, out_row)
    for i in range(rows):
        for j in range(whole_columns if i < whole_rows else 0, columns):
            out[out_at + j * out_row + i] = a[a_at + i * a_row + j]


@in_place
def _strip(
    a: Array, a_at: int, a_row: int, a_k: int, b: Array, b_at: int, b_k: int, c: Array, c_at: int, c_row: int,
    first: Array, first_at: int, first_row: int, rows: int, depth: int,
) -> None:  # fmt: skip
    """At most `BLOCK` rows of C, and as many columns as the main tile has."""
    row = 0
    while row < rows:
        start = first_at + row * first_row if first_at >= 0 else -1
        x_at, y_at = a_at + row * a_row, c_at + row * c_row
        if row + MAIN <= rows:
            _main(a, x_at, a_row, a_k, b, b_at, b_k, c, y_at, c_row, first, start, first_row, depth)
            row += MAIN
        elif row + FEWER <= rows:
            _main_few(a, x_at, a_row, a_k, b, b_at, b_k, c, y_at, c_row, first, start, first_row, depth)
            row += FEWER
        else:
            _main_row(a, x_at, a_row, a_k, b, b_at, b_k, c, y_at, c_row, first, start, first_row, depth)
            row += 1


@in_place
def _column(
    many: int, a: Array, a_at: int, a_row: int, a_k: int, b: Array, b_at: int, b_k: int, c: Array, c_at: int,
    c_row: int, first: Array, first_at: int, first_row: int, depth: int,
) -> None:  # fmt: skip
    """A tile one vector wide, of `TALL` rows, `LOW`, or 1."""
    if many == TALL:
        _narrow(a, a_at, a_row, a_k, b, b_at, b_k, c, c_at, c_row, first, first_at, first_row, depth)
    elif many == LOW:
        _narrow_few(a, a_at, a_row, a_k, b, b_at, b_k, c, c_at, c_row, first, first_at, first_row, depth)
    else:
        _narrow_row(a, a_at, a_row, a_k, b, b_at, b_k, c, c_at, c_row, first, first_at, first_row, depth)


@in_place
def _edge(
    a: Array, a_at: int, a_row: int, a_k: int, b: Array, b_at: int, b_k: int, c: Array, c_at: int, c_row: int,
    first: Array, first_at: int, first_row: int, rows: int, width: int, depth: int, room: Array,
) -> None:  # fmt: skip
    """At most `BLOCK` rows of C, and fewer columns: vector by vector, one that is not whole through the room."""
    lanes = VECTOR // c.itemsize
    for j in range(0, width, lanes):
        left, row = min(lanes, width - j), 0
        while row < rows:
            many = TALL if row + TALL <= rows else LOW if row + LOW <= rows else 1
            x_at, y_at, begin = a_at + row * a_row, c_at + j + row * c_row, -1
            if left == lanes:
                begin = first_at + j + row * first_row if first_at >= 0 else -1
                _column(many, a, x_at, a_row, a_k, b, b_at + j, b_k, c, y_at, c_row, first, begin, first_row, depth)
                row += many
                continue
            if first_at >= 0:
                begin = STAGE
                for r in range(many):
                    for i in range(left):
                        room[STAGE + r * lanes + i] = first[first_at + j + (row + r) * first_row + i]
            _column(many, a, x_at, a_row, a_k, b, b_at + j, b_k, room, STAGE, lanes, room, begin, lanes, depth)
            for r in range(many):
                for i in range(left):
                    c[y_at + r * c_row + i] = room[STAGE + r * lanes + i]
            row += many


@in_place
def product(
    a: Array, a_at: int, a_row: int, a_k: int, b: Array, b_at: int, b_k: int, b_column: int, c: Array, c_at: int,
    c_row: int, first: Array, first_at: int, first_row: int, rows: int, columns: int, depth: int, room: Array,
) -> None:  # fmt: skip
    """C [rows, columns] = first + A [rows, depth] B [depth, columns], in flat arrays with steps of their own.

    Number (r, k) of A is ``a[a_at + r a_row + k a_k]``, number (k, j) of B is ``b[b_at + k b_k + j b_column]`` where
    one of the two steps is 1, and row r of C begins at ``c[c_at + r c_row]``. Sums start from ``first`` in the same
    way: with ``first_row=0`` from the same numbers in every row (a bias), from C itself to add to it, and from 0 where
    ``first_at`` is -1. ``depth`` is 1 or more; ``room`` are `ROOM` numbers of working memory.
    """
    lanes, wide = VECTOR // c.itemsize, WIDE * VECTOR // c.itemsize
    for k in range(0, depth, DEPTH):
        deep = min(DEPTH, depth - k)
        for column in range(0, columns, wide):
            width = min(wide, columns - column)
            y, y_at, y_k = room, 0, wide
            if b_column != 1:
                transpose(b, b_at + k + column * b_column, b_column, room, 0, wide, width, deep)
            elif (b_k > wide and rows >= _FEW) or width % lanes > 0:
                copy(b, b_at + k * b_k + column, b_k, room, 0, wide, deep, width)
            else:
                y, y_at, y_k = b, b_at + k * b_k + column, b_k
            for row in range(0, rows, BLOCK):
                many = min(BLOCK, rows - row)
                x, x_at, x_row, x_k = a, a_at + row * a_row + k * a_k, a_row, a_k
                if a_row == 1 and a_k > _FAR:
                    copy(a, x_at, a_k, room, BESIDE, BLOCK, deep, many)
                    x, x_at, x_row, x_k = room, BESIDE, 1, BLOCK
                begin, begin_at, begin_row = first, -1, first_row
                if k > 0:
                    begin, begin_at, begin_row = c, c_at + row * c_row + column, c_row
                elif first_at >= 0:
                    begin_at = first_at + row * first_row + column
                z_at = c_at + row * c_row + column
                if width == wide:
                    _strip(x, x_at, x_row, x_k, y, y_at, y_k, c, z_at, c_row, begin, begin_at, begin_row, many, deep)
                else:
                    _edge(x, x_at, x_row, x_k, y, y_at, y_k, c, z_at, c_row, begin, begin_at, begin_row, many, width,
                          deep, room)  # fmt: skip
