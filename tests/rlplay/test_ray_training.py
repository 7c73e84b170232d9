"""One training whose environments are stepped by actors of a Ray cluster: the same bits, and lost actors are said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SCRIPT = """
import json
import numpy as np
import ray
from agents import DQN, PPO, PQN
from rlplay.errors import EnvironmentFault, UsageError

def learned(cls, workers, **settings):
    agent = cls("Acrobot-v1", n_envs=4, seed=0, **settings).learn(200, engine="python", workers=workers)
    return agent.arrays()

if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=10**8, log_to_driver=False)
    found = {}
    for cls, settings in ((PPO, {"n_steps": 16, "batch_size": 32}), (PQN, {"n_steps": 16, "batch_size": 32}),
                          (DQN, {"learning_starts": 20})):
        alone, spread = learned(cls, 0, **settings), learned(cls, "ray:2", **settings)
        found[cls.__name__] = all(np.array_equal(alone[name], spread[name]) for name in alone)

    def kill(agent):
        if agent.num_timesteps > 100:
            ray.kill(agent._remote._pool._actors[0])

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
    answer = subprocess.run([sys.executable, "-W", "ignore", "spread.py"], capture_output=True, text=True, timeout=300,
                            env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-2000:]
    found = json.loads(answer.stdout.splitlines()[-1])
    assert (found["PPO"], found["PQN"], found["DQN"]) == (True, True, True)
    assert "an actor with environments was lost" in found["lost"]
    assert "workers='ray:x' is not a whole number" in found["refused"]
