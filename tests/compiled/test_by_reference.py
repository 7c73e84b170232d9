"""Named tuples by reference: which are the same type to compiled code."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import typeof

import agents
from rlplay.agent.vector_agent import VectorAgent
from rlplay.compiled import numba_internals
from rlplay.compiled.by_reference import LaidOut, by_reference, kinds_by_reference, laid_out
from rlplay.compiled.cache import compiled
from rlplay.registry import agent_class
from tests.contract.cases import CASES


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


class Inner(NamedTuple):
    flag: bool
    small: Any
    rest: np.ndarray


class Outer(NamedTuple):
    first: Any
    inner: Inner
    none: None
    pair: tuple[int, float]
    table: np.ndarray
    last: float


@compiled
def numbers(outer):
    outer = by_reference(outer)
    inner, total = outer.inner, 0.0
    for i in range(inner.rest.shape[0]):
        total += inner.rest[i]
    for i in range(outer.table.shape[0]):
        for j in range(outer.table.shape[1]):
            total += 100 * (i + 1) * outer.table[i, j]
    outer.table[0, 0] += 1
    return outer.first, inner.flag, inner.small, total, outer.pair[0], outer.pair[1], outer.last


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("flag", [False, True])
def test_what_is_laid_out_is_read_as_the_tuple_is(kind, flag):
    table = np.arange(6, dtype=kind).reshape(2, 3)[:, ::2]  # not in one piece
    outer = Outer(kind(7), Inner(flag, np.float32(0.5), np.arange(3.0)), None, (3, 0.25), table, -1.5)
    place = laid_out(outer)
    assert isinstance(place, LaidOut)
    given = numbers(outer)
    assert table[0, 0] == 1
    table[0, 0] = 0
    assert numbers(place) == given == (7, flag, 0.5, 3.0 + 100 * 2 + 200 * 8, 3, 0.25, -1.5)
    assert table[0, 0] == 1


def test_what_cannot_be_laid_out_stays_as_it_is():
    text = Outer("text", Inner(True, 1, np.ones(1)), None, (1, 2.0), np.ones((1, 1)), 0.0)
    assert laid_out(text) is text


def _has_memory(case) -> bool:
    return issubclass(agent_class(case[0]), VectorAgent)


@pytest.mark.parametrize("case", list(filter(_has_memory, CASES)), ids=lambda case: "-".join(case[:2]))
def test_every_memory_is_laid_out_as_numba_lays_it_out(case):
    name, env, _, hyperparameters = case
    agent = agent_class(name)(env, seed=0, **hyperparameters)
    assert agent.why_not_compiled() == "" or "dataset" in hyperparameters
    for value in (agent.memory, agent._step_buffer):
        place = laid_out(value)
        assert isinstance(place, LaidOut)
        assert len(place._room) == numba_internals.size_of(typeof(value))
        assert place.address % 16 == 0


def test_the_copy_of_an_agent_learns_by_itself():
    agent = agents.PQN(
        "CartPole-v1", n_envs=2, n_steps=8, batch_size=4, net_arch=[4], learning_rate=0.01, seed=0
    ).learn(16)
    before = agent.memory.q.parameters.copy()
    other = copy.deepcopy(agent).learn(16)
    assert (agent.memory.q.parameters == before).all()
    assert (other.memory.q.parameters != before).any()
