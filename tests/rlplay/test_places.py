"""Every place where something is written: below a file there is none, which is said in one line."""

from __future__ import annotations

import numpy as np
import pytest

import rlplay
import rlplay.sb3
from agents import PPO, QLearning
from rlplay.environments.dataset import Dataset
from rlplay.errors import PlaceError, RlplayError
from rlplay.storage.files import locked, write_atomically
from rlplay.training.callbacks import CheckpointCallback, EvalCallback


def _held(place):
    with locked(place):
        pass


WRITERS = {
    "an agent": lambda agent, place: agent.save(place / "agent"),
    "a zip": lambda agent, place: rlplay.sb3.save_zip(PPO("CartPole-v1"), place / "model.zip"),
    "statistics": lambda agent, place: rlplay.sb3.save_zip(
        PPO("CartPole-v1", normalize=True), place.parent / "m.zip", statistics=place / "v.pkl"
    ),
    "a data set": lambda agent, place: Dataset.record(agent.env, lambda obs, info: 0, 5).save(place / "data"),
    "bytes": lambda agent, place: write_atomically(place / "x", b""),
    "a lock": lambda agent, place: _held(place / "folder"),
    "checkpoints": lambda agent, place: agent.learn(50, CheckpointCallback(20, place / "kept")),
    "the best": lambda agent, place: agent.learn(50, EvalCallback("FrozenLake-v1", best_model_save_path=place / "b")),
    "evaluations": lambda agent, place: agent.learn(50, EvalCallback("FrozenLake-v1", eval_freq=20, log_path=place)),
    "TensorBoard": lambda agent, place: QLearning("FrozenLake-v1", tensorboard_log=place / "tb").learn(10),
}


@pytest.mark.parametrize("what", WRITERS)
def test_below_a_file_nothing_is_written_and_that_is_said(what, tmp_path):
    place = tmp_path / "afile"
    place.write_text("mine")
    agent = QLearning("FrozenLake-v1", seed=0)
    with pytest.raises(RlplayError, match=r"afile.* cannot be written: Not a directory. Name another") as said:
        WRITERS[what](agent, place)
    assert "\n" not in str(said.value)
    assert place.read_text() == "mine"


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(PlaceError, match="is a folder. Give the name of a file in it"):
        write_atomically(tmp_path, b"")


def test_only_files_of_the_same_run_are_named_beside_a_damaged_one(tmp_path):
    agent = QLearning("FrozenLake-v1", seed=0)
    for name in ("other", "rl_model_10_steps", "rl_model_20_steps"):
        agent.save(tmp_path / name)
    for name, good in (("rl_model_20_steps", "rl_model_10_steps"), ("other", "")):
        data = np.frombuffer((tmp_path / f"{name}.rlp").read_bytes(), np.uint8).copy()
        data[len(data) // 2] ^= 1
        (tmp_path / f"{name}.rlp").write_bytes(data.tobytes())
        with pytest.raises(RlplayError, match="is damaged") as said:
            rlplay.load(tmp_path / name)
        assert (f"The newest good file beside it is {tmp_path}" in str(said.value)) == bool(good)
        assert good in str(said.value)
