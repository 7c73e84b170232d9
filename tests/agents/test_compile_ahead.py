"""What another process compiles first is what updates call: with other types it would be work for nothing, unsaid."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import agents
from rlplay.compiled.by_reference import kinds_by_reference
agent = agents.{made}
agent._compiled_beside = agent._iteration.learn  # this process compiles all by itself
calls = agent._update_alone()
agent.learn(64)
print(len(calls), *(kinds_by_reference(*given) in function.overloads for function, *given in calls))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "count"),
    [
        ("A2C('CartPole-v1', seed=0)", 4),
        ("PPO('CartPole-v1', n_steps=32, batch_size=32, seed=0)", 4),
        ("DQN('CartPole-v1', learning_starts=8, buffer_size=200, seed=0)", 4),
        ("SAC('Pendulum-v1', learning_starts=8, buffer_size=200, batch_size=8, seed=0)", 2),
    ],
)
def test_what_is_compiled_first_beside_is_what_updates_call(tmp_path, made, count):
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    code = CODE.format(made=made)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == [str(count), *["True"] * count]
