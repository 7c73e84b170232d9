"""A step size that is far too large ends in numbers, or in one line that names the agent: never in silence."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from rlplay import errors, registry
from rlplay.hyperparameters.fields import declared
from tests.contract.cases import CASES, LONG_AGENTS


def _diverging():
    for name, env, steps, given in {case[0]: case for case in reversed(CASES)}.values():
        known = declared(registry.agent_class(name))
        for word in [one for one in ("learning_rate", "alpha") if one in known]:  # in this order in every process
            marks = () if name == "ppo" else pytest.mark.slow
            yield pytest.param(name, env, steps, {**given, word: 10.0}, word, id=f"{name}-{word}", marks=marks)


def test_agents_that_compile_for_long_are_there():
    assert {case.values[0] for case in _diverging()} >= LONG_AGENTS


@pytest.mark.parametrize(("name", "env", "steps", "given", "word"), list(_diverging()))
def test_a_step_size_far_too_large_is_never_learned_with_in_silence(name, env, steps, given, word):
    try:
        agent = registry.agent_class(name)(env, seed=0, **given)
    except errors.HyperparameterError as refused:
        if word not in str(refused):
            raise
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            agent.learn(4 * steps)
        except errors.UsageError as said:
            if type(agent).__name__ not in str(said):
                raise
            return
    actions = [agent.predict(agent.observation_space.sample(), deterministic=True)[0] for _ in range(3)]
    assert all(np.isfinite(np.asarray(action, np.float64)).all() for action in actions)


@pytest.mark.slow  # compiles for long
@pytest.mark.parametrize("engine", ["compiled", "python"])
def test_an_environment_is_not_blamed_for_actions_that_are_no_numbers(engine):
    agent = registry.agent_class("tqc")("Pendulum-v1", seed=0, learning_rate=10.0, net_arch=[16], buffer_size=4000)
    with pytest.raises(errors.UsageError, match="TQC: the (loss|gradient's length|action) is not a number") as said:
        agent.learn(3000, engine=engine)
    assert "learning_rate" in str(said.value)
