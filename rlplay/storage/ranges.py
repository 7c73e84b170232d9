"""Ranges of whole numbers, declared next to the arrays that hold them and checked when a file is loaded.

A number of a file can become the index of a table in native code, which checks none. So each array of whole numbers
that an agent or a model keeps has a range here; one that is no index is declared with `ANY`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import CheckpointError

Span = tuple[int, int]  # the least and the greatest value
Ranges = dict[str, Span]

ANY: Span = (-(2**63), 2**64 - 1)  # no index: bits of a random state, layers that are compared
COUNT: Span = (0, 2**53)  # steps, visits, fits: no index by themselves


def numbers_below(n: int) -> Span:
    """The numbers of n things, 0 to n - 1.

    Example:
        >>> numbers_below(3)
        (0, 2)
    """
    return 0, n - 1


def or_none(n: int) -> Span:
    """The numbers of n things, or -1 for none of them.

    Example:
        >>> or_none(3)
        (-1, 2)
    """
    return -1, n - 1


def under(prefix: str, ranges: Mapping[str, Span]) -> Ranges:
    """The ranges of a record whose arrays are kept under a name.

    Example:
        >>> under("steps", {"length": (0, 3)})
        {'steps/length': (0, 3)}
    """
    return {f"{prefix}/{name}": one for name, one in ranges.items()}


def check_ranges(arrays: Mapping[str, NDArray[Any]], ranges: Mapping[str, Span]) -> None:
    """Refuse whole numbers outside their range, of any type; arrays without a range are not looked at.

    Raises:
        CheckpointError: names the array, the value, where it stands and the range.

    Example:
        >>> check_ranges({"place": np.array([[0, 7]])}, {"place": (-1, 3)})
        Traceback (most recent call last):
            ...
        rlplay.errors.CheckpointError: place holds 7 at [0, 1], which is not in -1 .. 3: refused
    """
    for name, (least, greatest) in ranges.items():
        array = np.asarray(arrays[name]) if name in arrays else None
        if array is None or not array.size or array.dtype.kind not in "iuf" or (least, greatest) == ANY:
            continue
        if array.dtype.kind == "f":
            wrong = ~((array >= least) & (array <= greatest) & (array == np.floor(array)))
            place = int(wrong.argmax()) if wrong.any() else -1
        else:
            place = int(array.argmin()) if int(array.min()) < least else int(array.argmax())
            place = place if not least <= int(array.flat[place]) <= greatest else -1
        if place >= 0:
            where = [int(i) for i in np.unravel_index(place, array.shape)]
            raise CheckpointError(
                f"{name} holds {array.flat[place]} at {where}, which is not in {least} .. {greatest}: refused"
            )


def check_number(name: str, value: Any, within: Span) -> int:
    """A whole number of a manifest, checked.

    Raises:
        CheckpointError: it is none, or outside its range.

    Example:
        >>> check_number("num_timesteps", -1, COUNT)
        Traceback (most recent call last):
            ...
        rlplay.errors.CheckpointError: num_timesteps is -1, which is no whole number in 0 .. 9007199254740992: refused
    """
    if type(value) is not int or not within[0] <= value <= within[1]:
        shown = (
            repr(value)
            if not isinstance(value, int) or abs(value) < 10**40
            else f"a number of {len(f'{value:x}')} digits"
        )
        raise CheckpointError(
            f"{name} is {shown[:80]}, which is no whole number in {within[0]} .. {within[1]}: refused"
        )
    return value


def check_generators(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse states of PCG64 whose increment is even: some of those draw the same number for ever.

    Args:
        arrays: those of a file; the states among them are uint64 [..., 4].

    Raises:
        CheckpointError: names the array.
    """
    for name, array in arrays.items():
        if array.dtype == np.uint64 and array.ndim and array.shape[-1] == 4 and (array[..., 3] % 2 == 0).any():
            raise CheckpointError(f"{name} is no state of a random generator: its increment is even")


def check_listed(name: str, entry: NDArray[np.int64], place: NDArray[np.int64], length: int) -> None:
    """Refuse a list of entries that does not agree with where each of them says to stand.

    Args:
        name: of the record, for the error.
        entry: what is listed, the first ``length`` of int64 [N].
        place: where each of all entries stands in the list, -1 for nowhere; int64 [N].
        length: how many are listed.

    Raises:
        CheckpointError: an entry that is listed twice or stands elsewhere than it says.

    Example:
        >>> check_listed("traces", np.array([2, 0, 0]), np.array([-1, -1, 0]), 1)
        >>> check_listed("traces", np.array([2, 0, 0]), np.array([-1, -1, -1]), 1)
        Traceback (most recent call last):
            ...
        rlplay.errors.CheckpointError: traces/place does not say where the entries of the list stand: refused
    """
    own = np.full(place.size, -1)
    own[entry[:length]] = np.arange(length)
    if length > len(entry) or not np.array_equal(own, place.ravel()):
        raise CheckpointError(f"{name}/place does not say where the entries of the list stand: refused")
