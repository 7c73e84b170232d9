"""Some hundred damaged and crafted files, the short form of `tests/fuzz.py`; and a case of each kind that it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml

from agents import A2C, PPO, QLearning
from rlplay import load, load_episode, make, registry
from rlplay.errors import CheckpointError, RlplayError, UsageError
from rlplay.storage.texts import plain_yaml
from tests.fuzz_cases import FIXTURES, KINDS, array_bytes, make_case, make_seeds, put_together, take_apart

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.filterwarnings("ignore::rlplay.errors.RlplayWarning")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tests" / "fuzz.py"), *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=900, check=False)


def test_some_hundred_files_harm_nothing():
    done = run("--short", "--files", "300", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 300 " in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_two_thousand_files_of_every_agent_harm_nothing():
    done = run("--files", "2000", "--seed", "18")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_seed_gives_the_same_files(tmp_path):
    make_seeds(tmp_path / "seeds", short=True)
    for kind in KINDS:
        if kind == "cache":
            continue
        written = []
        for name in ("a", "b"):
            folder = tmp_path / kind / name
            folder.mkdir(parents=True)
            make_case(5, 7, tmp_path / "seeds", folder, kind)
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            written.append([(path.relative_to(folder), path.read_bytes()) for path in files])
        assert written[0] == written[1], kind
        assert written[0] or kind == "maps", kind


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.rlp")), ids=lambda path: path.stem)
def test_every_array_of_whole_numbers_has_a_range(path):
    agent = load(path)
    whole = {
        name
        for name, array in agent.arrays().items()
        if array.dtype.kind in "iu" and not (array.dtype == np.uint64 and array.shape[-1:] == (4,))  # a random state
    }
    assert whole <= set(agent.ranges())


def crafted(name: str, path: Path, change) -> Path:
    """An old file whose manifest and members were changed, under right digests."""
    manifest, members = take_apart(FIXTURES / f"{name}.rlp")
    change(manifest, members)
    put_together(path, manifest, members)
    return path


def moment(key: str) -> str:
    return f"agent/policy.optimizer/0/{key}.npy"


FOUND = {
    "a part of an optimiser's state left out": ("sb3-dqn", lambda m, a: a.pop(moment("exp_avg"))),
    "an optimiser's state of another type": (
        "sb3-dqn",
        lambda m, a: a.update({moment("exp_avg"): array_bytes(np.zeros((8, 4), np.float16))}),
    ),
    "an optimiser's state that is one number": (
        "sb3-dqn",
        lambda m, a: a.update({moment("exp_avg"): a[moment("step")]}),
    ),
    "the last observation left out": ("sb3-ppo", lambda m, a: a.pop("agent/last_obs.npy")),
    "a policy's model of other observations": (
        "behavior-cloning",
        lambda m, a: m["models"]["policy/0"]["fitted"]["n_features_in_"].update(value=300),
    ),
    "a policy's model of other actions": (
        "behavior-cloning",
        lambda m, a: a.update({"models/policy/0/classes_.npy": array_bytes(np.arange(4))}),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_parts_that_do_not_fit_each_other_are_refused_at_load(name, tmp_path):
    agent, change = FOUND[name]
    with pytest.raises(CheckpointError):
        load(crafted(agent, tmp_path / "agent.rlp", change))


@pytest.mark.parametrize(
    "text",
    ["2020-99-99", "!!int a", "!!float a", "!!timestamp x", "9" * 5000, "[" * 5000, "&a [*a]", "!!bool x", "!!int ''",
     "[&a [x, x, x, x, x, x, x, x, x, x], &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a], "
     "&c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b], &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c], "
     "&e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d], &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]]"],
)  # fmt: skip
def test_yaml_that_cannot_be_is_one_error(text):
    with pytest.raises(yaml.YAMLError):
        plain_yaml(text)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": float("inf")},
        {"seed": -1},
        {"seed": 10**30},
        {"actions": ["a"]},
        {"actions": [2**60]},
        {"actions": [{}]},
        {"actions": [-1]},
        {"actions": [[1]]},
        {"actions": 3},
        {"return": "x"},
        {"env": []},
        {"version": "1"},
    ],
    ids=str,
)
def test_episodes_that_cannot_be_are_refused(change, tmp_path):
    whole = {
        "format": "rlplay-episode", "version": 1, "env": {"id": "FrozenLake-v1", "kwargs": {}}, "seed": 0,
        "actions": [1], "return": 0.0, "digest": "", "player": "",
    }  # fmt: skip
    path = tmp_path / "episode.json"
    path.write_text(json.dumps(whole))
    assert load_episode(path, make("FrozenLake-v1")).actions == [1]
    path.write_text(json.dumps({**whole, **change}))
    with pytest.raises(CheckpointError):
        load_episode(path, make("FrozenLake-v1"))


def test_json_nested_deep_is_no_episode(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="not an episode"):
        load_episode(tmp_path / "deep.json")


def test_maps_beyond_reason_are_refused_before_their_tables_are_made(tmp_path):
    path = tmp_path / "map.txt"
    path.write_text("\n".join(["S" + "." * 2999, *["." * 3000] * 2999]))
    for env_id, given in (
        ("rlplay/GridWorld-v0", {"map": str(path)}),
        ("rlplay/Racetrack-v0", {"track": str(path)}),
        ("FrozenLake-v1", {"desc": ["F" * 3000] * 3000}),
    ):
        with pytest.raises(UsageError, match="more than (250,000|4,000,000)"):
            make(env_id, **given)
    path.write_text("\n".join(["F" * 400, "." * 400, "S" * 400]))
    with pytest.raises(UsageError, match="outcomes"):
        make("rlplay/Racetrack-v0", track=str(path))
    path.write_bytes(b"\xff\xfeS")
    with pytest.raises(UsageError, match="cannot be read"):
        make("rlplay/Racetrack-v0", track=str(path))
    change = crafted(
        "q-learning", tmp_path / "agent.rlp", lambda m, a: m["env"]["kwargs"].update(desc=["F" * 3000] * 3000)
    )
    with pytest.raises(RlplayError) as refused:
        load(change).learn(1)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("path", ["", None, 3, b"x"], ids=repr)
def test_what_is_no_path_is_one_line(path):
    agent = QLearning("FrozenLake-v1", seed=0)
    for use in (agent.save, QLearning.load, PPO.load, load):
        with pytest.raises(CheckpointError, match="is not the path of a file"):
            use(path)


def test_threads_that_save_to_one_path_leave_a_whole_file(tmp_path):
    agents = [QLearning("FrozenLake-v1", seed=seed).learn(100) for seed in range(4)]
    failed = []

    def save_often(agent):
        try:
            for _ in range(20):
                agent.save(tmp_path / "same")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=save_often, args=(agent,)) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert load(tmp_path / "same").num_timesteps == 100
    assert [path.name for path in tmp_path.iterdir()] == ["same.rlp"]


def test_a_metric_that_is_no_number_is_saved(tmp_path):
    path = A2C("CartPole-v1", n_steps=1, seed=0).learn(100).save(tmp_path / "x")
    assert load(path).num_timesteps == 100
    agent = registry.agent_class("reinforce")("FrozenLake-v1", batch_size=100, seed=0).learn(450)
    assert load(agent.save(tmp_path / "y")).num_timesteps == 450
