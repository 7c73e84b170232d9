"""An agent that is saved after its feature map was fitted goes on from the file in the same bits, compiled too."""

from __future__ import annotations

import re

import pytest

import rlplay
from rlplay import registry
from rlplay.testing import differences
from tests.contract.cases import CASES, LONG_CASES

DEFAULT = {"ppo", "dqn", "q-learning"}


def _cases():
    for name, env, _, settings in (*CASES, *LONG_CASES):
        if (found := re.search(r"warm_up=(\d+)", str(settings.get("features", "")))) and "dataset" not in settings:
            marks = () if name in DEFAULT else pytest.mark.slow
            yield pytest.param(
                name, env, int(found[1]) + 150, settings, id=f"{name}-{settings['features']}", marks=marks
            )


@pytest.mark.parametrize(("name", "env", "steps", "settings"), list(_cases()))
def test_a_file_with_a_fitted_map_goes_on_in_the_same_bits(name, env, steps, settings, tmp_path):
    agents = [registry.agent_class(name)(env, seed=0, **settings) for _ in range(2)]
    straight = agents[0].learn(2 * steps)
    half = agents[1].learn(steps, schedule_timesteps=2 * steps)
    again = rlplay.load(half.save(tmp_path / "half"))
    left = straight.num_timesteps - again.num_timesteps
    assert again.encoder.ready == half.encoder.ready
    assert again.learn(left, reset_num_timesteps=False).why_not_compiled() == straight.why_not_compiled()
    assert differences(straight, again) == []
