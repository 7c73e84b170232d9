"""One training whose environments are stepped by actors of a Ray cluster: the same bits, and lost actors are said."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SCRIPT = """
import json
import warnings
import numpy as np
import ray
from agents import DQN, PPO, PQN
from rlplay.agent.policy_copies import PolicyCopies
from rlplay.errors import EnvironmentFault, UsageError
from tests.rlplay.test_workers import Walk

ahead, next_step = [], PolicyCopies.next_step

def counted(self, actions):
    step = next_step(self, actions)
    ahead.append(step is not None)
    return step

PolicyCopies.next_step = counted

def learned(cls, env, workers, callback=None, **settings):
    agent = cls(env, n_envs=4, seed=0, **settings)
    agent.learn(100, callback, engine="python", workers=workers, schedule_timesteps=200)  # in the middle of a rollout
    return agent.learn(100, callback, engine="python", workers=workers, reset_num_timesteps=False).arrays()

def changed(agent):  # in the middle of a rollout, so that the copies foresaw other actions
    if agent.num_timesteps == 88:
        agent.memory.policy.parameters[:] *= -1.0

if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=10**8, log_to_driver=False)
    found = {}
    on_policy = {"n_steps": 16, "batch_size": 32, "net_arch": [64, 64]}
    for name, cls, env, callback, settings in (
        ("ppo", PPO, "Acrobot-v1", None, on_policy), ("pqn", PQN, "Acrobot-v1", None, on_policy),
        ("dqn", DQN, "Acrobot-v1", None, {"learning_starts": 20}), ("masks", PPO, lambda: Walk(), None, on_policy),
        ("box", PPO, lambda: Walk(True), None, on_policy),
        ("normalised", PPO, "Acrobot-v1", None, {**on_policy, "normalize": True}),
        ("changed", PPO, "Acrobot-v1", changed, on_policy),
    ):
        ahead.clear()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            alone, spread = (learned(cls, env, workers, callback, **settings) for workers in (0, "ray:2"))
        words = any("chose other actions" in str(one.message) for one in said)
        found[name] = [all(np.array_equal(alone[key], spread[key]) for key in alone), sum(ahead), len(ahead), words]

    failing = PPO(lambda: Walk(fail_at=7), n_envs=3, n_steps=16, batch_size=16, seed=0)
    failing._running_envs[0].env.unwrapped.fail_at = 0  # the first is played here
    try:
        failing.learn(64, workers="ray:2")
    except EnvironmentFault as error:
        found["fault"] = error.cause

    def kill(agent):
        if agent.num_timesteps > 100:
            ray.kill(agent._remote.pool._actors[0])

    try:
        PPO("Acrobot-v1", n_envs=4, n_steps=16, batch_size=32, seed=0).learn(
            400, kill, engine="python", workers="ray:2")
    except EnvironmentFault as error:
        found["lost"] = error.cause
    try:
        PPO("Acrobot-v1", n_envs=4, seed=0).learn(10, engine="python", workers="ray:x")
    except UsageError as error:
        found["refused"] = error.cause
    print(json.dumps(found))
"""


@pytest.mark.slow
def test_environments_on_ray_change_no_bit_and_a_lost_actor_is_said(tmp_path):
    pytest.importorskip("ray")
    (tmp_path / "spread.py").write_text(_SCRIPT)
    answer = subprocess.run([sys.executable, "-W", "ignore", "spread.py"], capture_output=True, text=True, timeout=500,
                            env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-2000:]
    found = json.loads(answer.stdout.splitlines()[-1])
    print(found)
    for name in ("ppo", "pqn", "masks", "box"):
        assert found[name] == [True, 50, 50, False], name  # the same bits, and every step was played ahead
    for name in ("dqn", "normalised"):  # nobody can foresee what it chooses: each step waits for the one before
        assert found[name] == [True, 0, 50, False], name
    same, foreseen, _, said = found["changed"]
    assert (same, said, 0 < foreseen < 50) == (True, True, True)
    assert re.search("environment [12] of 3.*ZeroDivisionError: in the walk in step 7", found["fault"])
    assert "an actor with environments was lost" in found["lost"]
    assert "workers='ray:x' is not a whole number" in found["refused"]
