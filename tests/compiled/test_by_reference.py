"""Named tuples by reference: which are the same type to compiled code."""

from __future__ import annotations

from typing import NamedTuple

from rlplay.compiled.by_reference import by_reference, kinds_by_reference
from rlplay.compiled.cache import compiled


def _metrics(*names: str) -> type:
    return NamedTuple("Metrics", [(name, float) for name in names])


def test_tuples_of_one_name_and_the_same_fields_are_two_types():
    one, other = _metrics("loss", "length"), _metrics("length", "loss")

    @compiled
    def loss(metrics):
        return by_reference(metrics).loss

    kinds = [kinds_by_reference(cls(1.0, 2.0))[0] for cls in (one, other)]
    assert kinds[0] != kinds[1]
    assert [loss(one(1.0, 2.0)), loss(other(1.0, 2.0))] == [1.0, 2.0]


def test_a_tuple_is_the_same_type_each_time():
    one = _metrics("loss")
    first, second = (kinds_by_reference(one(number))[0] for number in (1.0, 2.0))
    assert first is second
