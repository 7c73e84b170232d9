"""Files that survive and never run code: damage, hostility, kills."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from agents import QLearning, Sarsa
from rlplay import load
from rlplay.errors import CheckpointError, RlplayError, SpaceError
from rlplay.storage import checkpoint
from rlplay.testing import differences


@pytest.fixture
def saved(tmp_path) -> Path:
    return QLearning("FrozenLake-v1", seed=0).learn(500).save(tmp_path / "agent")


def test_ending_is_added_and_may_be_left_out(saved, tmp_path):
    assert saved.name == "agent.rlp"
    assert load(tmp_path / "agent").num_timesteps == 500


def test_every_bit_flip_is_caught(saved):
    good = saved.read_bytes()
    draw = random.Random(0)
    for _ in range(200):
        broken = bytearray(good)
        broken[draw.randrange(len(good))] ^= 1 << draw.randrange(8)
        saved.write_bytes(broken)
        with pytest.raises(CheckpointError):
            checkpoint.read(saved)


@pytest.mark.parametrize("keep", [0, 1, 3, 100, -1, -64, -100])
def test_truncated_and_empty_files_are_damaged(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="damaged"):
        load(saved)


def test_damage_names_place_and_the_last_good_file(saved, tmp_path):
    good = tmp_path / "agent_2.rlp"
    good.write_bytes(saved.read_bytes())
    with zipfile.ZipFile(saved) as archive:
        offset = archive.getinfo("agent/q.npy").header_offset
    blob = bytearray(saved.read_bytes())
    blob[offset + 300] ^= 1
    saved.write_bytes(blob)
    with pytest.raises(CheckpointError, match=r"agent/q\.npy.*agent_2\.rlp"):
        load(saved)


class Shell:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def rewrite(path: Path, change) -> None:
    """Write a file with the right digests whose members were changed: a hostile file, not a damaged one."""
    import hashlib

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(manifest, members)
    manifest["members"] = {n: {"sha256": hashlib.sha256(b).hexdigest(), "size": len(b)} for n, b in members.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for name, blob in members.items():
            archive.writestr(name, blob)
        archive.comment = b"0" * 64
    data = buffer.getvalue()[:-64]
    path.write_bytes(data + hashlib.sha256(data).hexdigest().encode())


def pickled_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Shell()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def array(values) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(values))
    return buffer.getvalue()


HOSTILE = {
    "object array": lambda manifest, members: members.update({"agent/q.npy": pickled_array()}),
    "path outside": lambda manifest, members: members.update({"../../evil.npy": array([1.0])}),
    "other shape": lambda manifest, members: members.update({"agent/q.npy": array(np.zeros((3, 3)))}),
    "other dtype": lambda manifest, members: members.update({"agent/q.npy": array(np.zeros((16, 4), np.float32))}),
    "missing array": lambda manifest, members: members.pop("agent/q.npy"),
    "nan": lambda manifest, members: members.update({"agent/q.npy": array(np.full((16, 4), np.nan))}),
    "newer format": lambda manifest, members: manifest.update(format=99),
    "unknown agent": lambda manifest, members: manifest.update(agent="os:system"),
    "importing env": lambda manifest, members: manifest["env"].update(id="antigravity:Env"),
    "bad hyperparameter": lambda manifest, members: manifest["hyperparameters"].update(gamma=5),
    "bad space": lambda manifest, members: manifest["spaces"].update(action={"kind": "Popen"}),
    "no statistics": lambda manifest, members: manifest.pop("statistics"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_and_run_nothing(saved, name):
    rewrite(saved, HOSTILE[name])
    if name == "importing env":
        agent = load(saved)  # the agent is fine; its environment is not imported
        assert "antigravity" not in sys.modules
        with pytest.raises(RlplayError, match="without its environment"):
            agent.learn(1)
    else:
        with pytest.raises(RlplayError):
            load(saved)
    assert not Path("pwned").exists()


def test_pickles_are_refused_not_run(tmp_path):
    path = tmp_path / "a.rlp"
    path.write_bytes(pickle.dumps(Shell()))
    with pytest.raises(CheckpointError, match="pickle"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Shell()))
    with pytest.raises(CheckpointError, match="pickles"):
        load(path)
    assert not Path("pwned").exists()


def test_bombs_and_duplicates_are_refused(tmp_path, saved):
    path = tmp_path / "bomb.rlp"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"0" * 10_000_000)
    with pytest.raises(CheckpointError, match="compressed"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("manifest.json", "{}")
    with pytest.raises(CheckpointError, match="same name"):
        load(path)


def test_nan_is_taken_only_when_forced(saved):
    rewrite(saved, HOSTILE["nan"])
    with pytest.raises(CheckpointError, match="NaN"):
        load(saved)
    assert np.isnan(load(saved, allow_nan=True).q).all()


def test_what_is_no_file(saved, tmp_path):
    with pytest.raises(RlplayError, match=r"no checkpoint file.*agent\.rlp"):
        load(tmp_path / "agnet.rlp")
    with pytest.raises(CheckpointError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(CheckpointError, match="device"):
        load("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="pipe"):
        load(tmp_path / "pipe")


def test_other_agents_and_spaces_are_shown(saved):
    with pytest.raises(CheckpointError, match=r"q-learning.*sarsa"):
        Sarsa.load(saved)
    with pytest.raises(SpaceError, match=r"Discrete\(16\).*Discrete\(48\)"):
        load(saved, "CliffWalking-v1")


def test_a_schedule_that_is_a_function_is_saved_as_its_values(tmp_path):
    agent = QLearning("FrozenLake-v1", epsilon=lambda remaining: remaining**2, seed=0).learn(
        100, schedule_timesteps=200
    )
    again = load(agent.save(tmp_path / "a"))
    for one in (agent, again):
        one.learn(100, reset_num_timesteps=False)
    assert np.array_equal(agent.q, again.q)


def test_a_failing_save_keeps_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no room is left on the disk for .*agent.rlp"):
        QLearning("FrozenLake-v1", seed=1).save(saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["agent.rlp"]


def test_umask_is_honoured(tmp_path):
    old = os.umask(0o027)
    try:
        path = QLearning("FrozenLake-v1", seed=0).save(tmp_path / "a")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o640


SAVING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background hands on that it is ignored
from agents import QLearning
agent = QLearning("Taxi-v4", seed=0)
agent.save(sys.argv[1])
print("go", flush=True)
while True:
    agent.save(sys.argv[1])
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_in_a_save_never_harms_the_file(tmp_path, sign):
    path = tmp_path / "agent.rlp"
    for attempt in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", SAVING, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                assert process.stdout.readline() == b"go\n"  # it has saved once
                time.sleep(0.013 * attempt)  # it is somewhere in a save
                for _ in range(300):  # again, should one come where Python must drop what is raised
                    process.send_signal(sign)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(1)
                        break
                assert process.returncode
            finally:
                process.kill()
        load(path)
    load(path).save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["agent.rlp"]  # stale temporaries are gone


def test_the_same_content_gives_the_same_bytes(tmp_path):
    agent = QLearning("FrozenLake-v1", seed=0).learn(100)
    assert agent.save(tmp_path / "a").read_bytes() == agent.save(tmp_path / "b").read_bytes()


def test_in_the_middle_of_an_episode_in_gymnasiums_dynamics(tmp_path):
    """The file holds seed and actions; another environment of the same spaces is told apart, and said."""
    from rlplay import make

    agent = QLearning(make("FrozenLake-v1", dynamics="gymnasium"), seed=0).learn(1007)
    assert agent.position.obs is not None
    path = agent.save(tmp_path / "a")
    assert not differences(agent, load(path))
    with pytest.warns(UserWarning, match="not bit-exact"):
        QLearning.load(path, make("FrozenLake-v1", dynamics="gymnasium", is_slippery=False))
