"""Populations: the same whoever finishes the members, and after an interruption; the worst copy the best."""

from __future__ import annotations

import numpy as np
import pytest

from rlplay import load
from rlplay.errors import UsageError
from rlplay.runners.runner import OneByOne
from rlplay.storage import checkpoint
from rlplay.training.run_folder import RunFolder
from rlplay.tuning.population import Population, draw, explored, mutable
from rlplay.tuning.spaces import Choices, Numbers
from rlplay.tuning.study import Plan
from tests.rlplay.test_runners import ASKED, Interrupted

PLAN = Plan({key: value for key, value in ASKED.items() if key != "seed"}, {"gamma": 0.95},
            {"alpha": Numbers(1e-4, 1.0, log=True), "epsilon": Numbers(0.01, 0.3)}, [5], ["iqm"])  # fmt: skip


def test_a_population_is_the_same_after_an_interruption(tmp_path):
    alone = list(Population(tmp_path / "alone", PLAN, 4, 3).learn(OneByOne()))
    cut = Population(tmp_path / "cut", PLAN, 4, 3)
    with pytest.raises(KeyboardInterrupt):
        list(cut.learn(Interrupted(3)))
    assert cut.history() == []
    with cut.held():
        assert list(cut.learn(OneByOne())) == alone == cut.history()
    assert list(cut.learn(OneByOne())) == []
    with pytest.raises(UsageError, match="another population"), Population(tmp_path / "cut", PLAN, 5, 3).held():
        pass


def test_the_worst_go_on_from_the_best_with_changed_hyperparameters(tmp_path):
    population = Population(tmp_path, PLAN, 4, 2)
    first, second = population.learn(OneByOne())
    scores = [member.score for member in first]
    copied = [k for k, member in enumerate(first) if member.parent != k]
    assert len(copied) <= 1
    for k in copied:
        assert scores[k] == min(scores)
        assert scores[first[k].parent] == max(scores)
    for k, member in enumerate(first):
        now, before = second[k].params, first[member.parent].params
        assert (now == before) == (member.parent == k)
        agent = load(RunFolder(population._job(k, 1, {}).folder).last)
        assert agent.num_timesteps == 2000
        assert agent.hyperparameters["alpha"] == now["alpha"]
    best, path = population.best()
    assert best.score == max(member.score for member in second)
    assert checkpoint.read(path).manifest["num_timesteps"] == 2000


def test_what_cannot_change_on_the_way_is_found_out():
    plan = PLAN._replace(
        asked={**PLAN.asked, "algo": "ppo", "env": "CartPole-v1"}, fixed={"n_envs": 2},
        space={"learning_rate": Numbers(1e-4, 1e-2, log=True), "n_steps": Choices((32, 64)),
               "gamma": Choices((0.9, 0.99)), "net_arch": Choices(("8,8", "16,16"))},
    )  # fmt: skip
    assert {"learning_rate", "gamma"} <= set(mutable(plan))
    assert "net_arch" not in mutable(plan)


def test_values_stay_in_their_space():
    rng = np.random.default_rng(0)
    for dimension in (Numbers(0.1, 1.0, log=True), Numbers(1, 8, integer=True), Choices((1, 2, 4))):
        value = draw(dimension, rng)
        for _ in range(50):
            value = explored(value, dimension, rng)
            ends = dimension.values if isinstance(dimension, Choices) else (dimension.low, dimension.high)
            assert min(ends) <= value <= max(ends)
            assert not isinstance(dimension, Choices) or value in dimension.values


def test_what_a_population_refuses(tmp_path):
    with pytest.raises(UsageError, match="too small. Take 4 --members"):
        Population(tmp_path, PLAN, 2, 3).check()
    plan = PLAN._replace(asked={**PLAN.asked, "algo": "ppo", "env": "CartPole-v1"}, fixed={},
                         space={"net_arch": Choices(("8", "16"))})  # fmt: skip
    with pytest.raises(UsageError, match="can change while it learns"):
        Population(tmp_path, plan, 4, 2).check()


@pytest.mark.slow
def test_the_command_line_has_a_population_learn(cli):
    words = ("tune", "population", "--algo", "q-learning", "--env", "FrozenLake-v1", "-n", "8000", "--members", "4",
             "--generations", "2")  # fmt: skip
    answer = cli(*words, "--jobs", "2")
    assert answer.returncode == 0, answer.stderr
    assert "generation 2: " in answer.stdout
    assert "going on: 2 of 2 generations" in cli(*words).stdout
    assert "has no effect" in cli(*words, "--trials", "3").stderr
