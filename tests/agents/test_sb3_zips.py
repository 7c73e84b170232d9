"""Models of Stable-Baselines3 in and out as data: the same actions, hostile zips refused, damaged ones said."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import pickle
import re
import stat
import zipfile
import zlib

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

import agents
from agents.sb3 import PPO as SB3_PPO
from rlplay.cli import main
from rlplay.errors import CheckpointError, RlplayError, RlplayWarning, SpaceError, UsageError
from rlplay.sb3 import load_zip, read_folder, read_vecnormalize, save_zip
from rlplay.sb3.layout import OtherNetworksError, layout_of

CONTRIB = importlib.util.find_spec("sb3_contrib") is not None
needed = pytest.mark.skipif(not CONTRIB, reason="sb3-contrib is not installed (extra: contrib)")
REPLAY = {"buffer_size": 300, "learning_starts": 20, "batch_size": 16}
OBS = {"CartPole-v1": (4,), "Pendulum-v1": (3,)}
CASES = [
    ("PPO", "CartPole-v1", {"n_steps": 64}),
    ("PPO", "Pendulum-v1", {"n_steps": 64, "policy_kwargs": {"net_arch": {"pi": [32, 16], "vf": [8]},
                                                             "activation_fn": torch.nn.ReLU}}),
    ("PPO", "Pendulum-v1", {"n_steps": 64, "use_sde": True}),
    ("A2C", "CartPole-v1", {}),
    ("DQN", "CartPole-v1", REPLAY),
    ("SAC", "Pendulum-v1", REPLAY),
    ("SAC", "Pendulum-v1", {**REPLAY, "use_sde": True}),
    ("TD3", "Pendulum-v1", REPLAY),
    ("DDPG", "Pendulum-v1", REPLAY),
    *(pytest.param(*case, marks=needed) for case in (
        ("TQC", "Pendulum-v1", REPLAY),
        ("TQC", "Pendulum-v1", {**REPLAY, "use_sde": True}),
        ("QRDQN", "CartPole-v1", REPLAY),
        ("TRPO", "CartPole-v1", {"n_steps": 64, "batch_size": 32}),
        ("CrossQ", "Pendulum-v1", {**REPLAY, "policy_kwargs": {"net_arch": {"pi": [32, 16], "qf": [64]}}}),
        ("MaskablePPO", "CartPole-v1", {"n_steps": 64}),
        *(("RecurrentPPO", "Pendulum-v1", {"n_steps": 64, "batch_size": 32,
                                           "policy_kwargs": {"lstm_hidden_size": 16, **memory}})
          for memory in ({}, {"enable_critic_lstm": False}, {"enable_critic_lstm": False, "shared_lstm": True})),
    )),
]  # fmt: skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*begins anew"),
    pytest.mark.filterwarnings("ignore:You are trying to run PPO on the GPU"),
]


def theirs(name):
    if hasattr(stable_baselines3, name):
        return getattr(stable_baselines3, name)
    import sb3_contrib

    return getattr(sb3_contrib, name)


def trained(name, env, given):
    """A model of Stable-Baselines3 or sb3-contrib that has learned a little."""
    policy = "MlpLstmPolicy" if name == "RecurrentPPO" else "MlpPolicy"
    unmasked = {"use_masking": False} if name == "MaskablePPO" else {}
    return theirs(name)(policy, env, seed=0, **given).learn(128, **unmasked)


def observations(env, count=1000):
    return np.random.default_rng(0).normal(size=(count, *OBS[env])).astype(np.float32)


def chosen(model, obs):
    return np.asarray(model.predict(obs, deterministic=True)[0], np.float64)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "env", "given"), CASES)
def test_a_zip_gives_its_own_actions(name, env, given, tmp_path):
    model = trained(name, env, given)
    model.save(tmp_path / "model")
    obs = observations(env)
    ours = load_zip(tmp_path / "model.zip", env)
    assert not ours.id.startswith("sb3/")
    assert ours.num_timesteps == model.num_timesteps
    np.testing.assert_allclose(chosen(ours, obs), chosen(model, obs), rtol=0, atol=2e-6)  # float32, another order
    dashed = {"MaskablePPO": "maskable-ppo", "RecurrentPPO": "recurrent-ppo"}
    same = load_zip(tmp_path / "model.zip", env, algo=f"sb3/{dashed.get(name, name.lower())}")
    assert np.array_equal(chosen(same, obs), chosen(model, obs))
    ours.learn(64, reset_num_timesteps=False)  # it goes on
    same.learn(64, reset_num_timesteps=False)


def test_weights_settings_and_moments_of_adam_come_along(tmp_path):
    from stable_baselines3.common.utils import LinearSchedule

    model = stable_baselines3.PPO(
        "MlpPolicy", "CartPole-v1", n_steps=32, batch_size=16, n_epochs=2, seed=3, gamma=0.9,
        clip_range=LinearSchedule(0.3, 0.1, 1.0),
    ).learn(64)  # fmt: skip
    model.save(tmp_path / "model")
    ours = load_zip(tmp_path / "model.zip", "CartPole-v1")
    given = ours.hyperparameters
    assert (given["gamma"], given["n_steps"], given["clip_range"], ours.seed) == (0.9, 32, "lin_0.3_0.1", 3)
    obs = observations("CartPole-v1")
    assert np.array_equal(chosen(ours, obs), chosen(model, obs))
    arrays, state = ours.arrays(), model.policy.optimizer.state_dict()["state"]
    first = state[0]["exp_avg"].numpy()  # of the weights [64, 4] of the first layer of the policy
    assert np.array_equal(arrays["policy/m"][: first.size].reshape(4, 64).T, first)
    assert arrays["policy/t"] == arrays["value/t"] == int(state[0]["step"]) == 8
    adapter = load_zip(tmp_path / "model.zip", "CartPole-v1", algo="sb3/ppo")
    assert np.array_equal(chosen(adapter, obs), chosen(model, obs))
    assert adapter.model.policy.optimizer.state_dict()["state"][0]["exp_avg"].equal(torch.from_numpy(first))


def test_exported_it_opens_there_and_comes_back(tmp_path):
    agent = agents.PPO("Pendulum-v1", n_steps=64, normalize=True, learning_rate="lin_1e-3", seed=0).learn(128)
    written = save_zip(agent, tmp_path / "model.zip")
    model = stable_baselines3.PPO.load(written.model)
    vec_env = VecNormalize.load(str(written.statistics), make_vec_env("Pendulum-v1"))
    obs = observations("Pendulum-v1")
    there = chosen(model, vec_env.normalize_obs(obs))
    np.testing.assert_allclose(there, chosen(agent, obs), rtol=0, atol=1e-6)
    assert model.num_timesteps == 128
    assert model.lr_schedule(0.5) == pytest.approx(5e-4)
    model.set_env(vec_env)
    model.learn(64)
    back = load_zip(written.model, "Pendulum-v1", vecnormalize=written.statistics)
    assert np.array_equal(chosen(back, obs), chosen(agent, obs))
    assert back.hyperparameters["learning_rate"] == "lin_0.001_0.0"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "env", "given"), CASES)
def test_optimisers_go_on_where_they_stood(name, env, given, tmp_path):
    model = trained(name, env, given)
    model.save(tmp_path / "model.zip")
    twin = "PPO" if name == "MaskablePPO" else name
    again = theirs(twin).load(save_zip(load_zip(tmp_path / "model.zip", env), tmp_path / "again").model)
    for part in ("policy", "actor", "critic"):
        if (mine := getattr(getattr(model, part, None), "optimizer", None)) is None:
            continue
        before, after = (one.state_dict()["state"] for one in (mine, getattr(again, part).optimizer))
        assert before.keys() == after.keys()
        assert all(torch.allclose(before[k][key], after[k][key]) for k in before for key in before[k])


def test_a_zip_of_sbx_is_named(tmp_path):
    stable_baselines3.A2C("MlpPolicy", "CartPole-v1").save(tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    data = json.loads(parts["data"])
    data["policy_class"]["__module__"] = "sbx.ppo.policies"
    with zipfile.ZipFile(tmp_path / "sbx.zip", "w") as archive:
        for name, part in {**parts, "data": json.dumps(data).encode()}.items():
            archive.writestr(name, part)
    with pytest.raises(UsageError, match="written by SBX, whose networks are JAX's"):
        load_zip(tmp_path / "sbx.zip", "CartPole-v1")


EXPORTED = [
    ("A2C", "CartPole-v1", {}),
    ("DQN", "CartPole-v1", REPLAY),
    ("SAC", "Pendulum-v1", REPLAY),
    ("SAC", "Pendulum-v1", {**REPLAY, "use_sde": True, "policy_kwargs": {"clip_mean": 0.0, "use_expln": True}}),
    ("TD3", "Pendulum-v1", {**REPLAY, "noise_type": "normal"}),
    ("DDPG", "Pendulum-v1", REPLAY),
    ("PPO", "Pendulum-v1", {"use_sde": True, "n_steps": 64}),
    pytest.param("TQC", "Pendulum-v1", REPLAY, marks=needed),
    pytest.param("TRPO", "CartPole-v1", {"n_steps": 64, "batch_size": 32}, marks=needed),
    pytest.param("PPO", "CartPole-v1", {"n_steps": 64, "recurrent": "lstm", "recurrent_size": 16}, marks=needed),
    pytest.param("SAC", "Pendulum-v1", {**REPLAY, "batch_renorm": True, "target_networks": False}, marks=needed),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "env", "given"), EXPORTED)
def test_every_agent_with_a_twin_is_exported(name, env, given, tmp_path):
    agent = getattr(agents, name)(env, seed=0, **given).learn(64)
    twin = "RecurrentPPO" if "recurrent" in given else "CrossQ" if "batch_renorm" in given else name
    model = theirs(twin).load(save_zip(agent, tmp_path / "model").model)
    obs = observations(env)
    np.testing.assert_allclose(chosen(model, obs), chosen(agent, obs), rtol=0, atol=2e-6)
    back = load_zip(tmp_path / "model.zip", env)
    assert np.array_equal(chosen(back, obs), chosen(agent, obs))


class Pictures(gym.Env):
    observation_space = gym.spaces.Box(0, 255, (44, 40, 3), np.uint8)
    action_space = gym.spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 1.0, False, bool(self.np_random.random() < 0.1), {}


@pytest.mark.slow
def test_pictures_with_their_channels_first_or_last(tmp_path):
    obs = np.random.default_rng(0).integers(0, 256, (200, 44, 40, 3), np.uint8)
    first = obs.transpose(0, 3, 1, 2)
    model = stable_baselines3.PPO("CnnPolicy", Pictures(), n_steps=32, batch_size=16, n_epochs=1, seed=0).learn(32)
    model.save(tmp_path / "model")
    for env, seen in ((Pictures(), obs), (None, first)):
        assert np.array_equal(chosen(load_zip(tmp_path / "model.zip", env, algo="ppo"), seen), chosen(model, first))
    agent = agents.PPO(Pictures(), n_steps=32, batch_size=16, n_epochs=1, seed=0).learn(32)
    model = stable_baselines3.PPO.load(save_zip(agent, tmp_path / "ours").model)
    assert np.array_equal(chosen(model, first), chosen(agent, obs))


def test_what_does_not_fit_is_named(small, tmp_path):
    with pytest.raises(UsageError, match="written by PPO, not by A2C"):
        load_zip(small, algo="a2c")
    with pytest.raises(SpaceError, match="observation space Box"):
        load_zip(small, "Acrobot-v1")
    with pytest.raises(RlplayError, match="no zip file"):
        load_zip(tmp_path / "none.zip")
    with pytest.raises(UsageError, match="q-learning has no twin"):
        save_zip(agents.QLearning("FrozenLake-v1", seed=0), tmp_path / "out.zip")
    with pytest.raises(UsageError, match="dueling=True has no twin"):
        save_zip(agents.DQN("CartPole-v1", dueling=True, buffer_size=100, seed=0), tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("algo", [None, "ppo", "sb3/ppo"])
@pytest.mark.parametrize("setting", [{"gamma": 3.0}, {"n_steps": -1}, {"batch_size": "x"}, {"n_steps": 10**12}])
@pytest.mark.filterwarnings("ignore::rlplay.errors.RlplayWarning")
def test_settings_that_cannot_be_are_named_with_the_file(small, setting, algo, tmp_path):
    with zipfile.ZipFile(small) as archive:
        data = json.loads(archive.read("data"))
    path = changed(small, tmp_path / "changed.zip", {"data": json.dumps({**data, **setting})})
    with pytest.raises(UsageError, match=r"changed\.zip.*: PPO: "):
        load_zip(path, "CartPole-v1", algo=algo)


def test_code_is_left_out_and_said(tmp_path):
    model = stable_baselines3.PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, clip_range=lambda left: 0.1)
    model.save(tmp_path / "model")
    with pytest.warns(RlplayWarning, match="clip_range is code, which is not run"):
        assert load_zip(tmp_path / "model.zip").hyperparameters["clip_range"] == 0.2

    class Own(torch.nn.Tanh):
        pass

    model = stable_baselines3.PPO(
        "MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, policy_kwargs={"activation_fn": Own}
    )
    model.save(tmp_path / "own")
    with pytest.raises(RlplayError, match="whose code is in no file"):
        load_zip(tmp_path / "own.zip")


# Hostile zips.


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("zip") / "model.zip"
    stable_baselines3.PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, seed=0).save(path)
    return path


class Harm:
    def __reduce__(self):
        return os.system, (f"touch {os.environ['RLPLAY_TEST_HARM']}",)


@pytest.fixture
def harm(tmp_path, monkeypatch):
    monkeypatch.setenv("RLPLAY_TEST_HARM", str(tmp_path / "harm"))
    yield base64.b64encode(pickle.dumps(Harm())).decode()
    assert not (tmp_path / "harm").exists()


def changed(path, target, members):
    """A copy of a zip with other members in the place of some."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        for entry in archive.infolist():
            if entry.filename not in members:
                copy.writestr(entry, archive.read(entry))
        for name, blob in members.items():
            copy.writestr(name, blob)
    return target


@pytest.mark.parametrize("field", ["observation_space", "action_space", "policy_class"])
def test_a_pickle_that_would_run_is_refused(small, harm, field, tmp_path):
    with zipfile.ZipFile(small) as archive:
        data = json.loads(archive.read("data"))
    data[field][":serialized:"] = harm
    path = changed(small, tmp_path / "bad.zip", {"data": json.dumps(data)})
    with pytest.raises(CheckpointError, match="not run"):
        load_zip(path)


def test_a_pickle_in_a_schedule_is_left_out(small, harm, tmp_path):
    with zipfile.ZipFile(small) as archive:
        data = json.loads(archive.read("data"))
    data["clip_range"][":serialized:"] = harm
    path = changed(small, tmp_path / "bad.zip", {"data": json.dumps(data)})
    with pytest.warns(RlplayWarning, match="code, which is not run"):
        load_zip(path)


def torch_zip(pickled, **members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, blob in {"archive/data.pkl": pickled, "archive/version": b"3\n", **members}.items():
            archive.writestr(name, blob)
    return file.getvalue()


def test_hostile_weights_are_refused(small, harm, tmp_path):
    for blob, words in [
        (torch_zip(pickle.dumps(Harm())), "refused, not run"),
        (torch_zip(pickle.dumps({"log_std": Harm()})), r"would call .*system: refused, not run"),
        (pickle.dumps(Harm()), "not in the zip format of torch"),
        (torch_zip(pickle.dumps([1] * 9)), "where named tensors are expected"),
        (torch_zip(b"\x80\x02]q\x00"), "damaged"),
        (torch_zip(b"\x80\x04}" + b")" + b"\x85" * 100_000 + b"Ns."), "damaged"),  # a key whose hash has no end
    ]:
        with pytest.raises(CheckpointError, match=words):
            load_zip(changed(small, tmp_path / "bad.zip", {"policy.pth": blob}))
    with pytest.raises(CheckpointError, match="refused, not run"):
        (tmp_path / "statistics.pkl").write_bytes(pickle.dumps(Harm()))
        read_vecnormalize(tmp_path / "statistics.pkl")
    with pytest.raises(CheckpointError, match="pickle, which could run any code"):
        load_zip(tmp_path / "statistics.pkl")


@pytest.mark.parametrize("shape", [(), (8, 4, 1), (0, 4), (4, 8), (32,)], ids=str)
def test_weights_of_other_shapes_are_named(shape):
    tensors = {"action_net.weight": np.zeros((2, 8)), "action_net.bias": np.zeros(2)}
    tensors |= {"mlp_extractor.policy_net.0.weight": np.zeros(shape), "mlp_extractor.policy_net.0.bias": np.zeros(8)}
    tensors |= {"value_net.weight": np.zeros((1, 4)), "value_net.bias": np.zeros(1)}
    with pytest.raises(OtherNetworksError, match=r"policy_net\.0\.weight .* fits no layer"):
        layout_of("ppo", tensors, None)


def test_weights_that_are_no_numbers_are_refused(small, tmp_path):
    model = stable_baselines3.PPO.load(small)
    with torch.no_grad():
        model.policy.action_net.bias[0] = float("nan")
    model.save(tmp_path / "nan.zip")
    with pytest.raises(CheckpointError, match=r"action_net.bias holds NaN"):
        load_zip(tmp_path / "nan.zip")


def test_members_that_are_none_of_its_own_are_refused(small, tmp_path):
    link = zipfile.ZipInfo("policy.pth")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    bomb = zlib.compress(b"")  # what makes it, below
    for name, blob, words in [
        ("/etc/passwd.pth", b"x", "points outside"),
        ("../up.pth", b"x", "points outside"),
        ("a\\..\\up.pth", b"x", "points outside"),
        ("model.py", b"x", "no member of a zip"),
        ("code.pkl", bomb, "refused, not run"),
    ]:
        with pytest.raises(CheckpointError, match=words):
            load_zip(changed(small, tmp_path / "bad.zip", {name: blob}))
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr("data", "{}")
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(CheckpointError, match="is a link"):
        load_zip(tmp_path / "link.zip")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", "{}" + " " * 50_000_000)
    with pytest.raises(CheckpointError, match="promises 50,000,002: refused"):
        load_zip(tmp_path / "bomb.zip")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("data", "{}")
        archive.writestr("data", "{}")
    with pytest.raises(CheckpointError, match="two members of the name"):
        load_zip(tmp_path / "two.zip")


def fuzz(small, folder, count):
    """Flip bits, cut and splice a zip, and the pickles inside, under right checksums."""
    rng, whole = np.random.default_rng(5), small.read_bytes()
    with zipfile.ZipFile(small) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    data = json.loads(members["data"])
    with zipfile.ZipFile(io.BytesIO(members["policy.pth"])) as archive:
        inner = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in inner if name.endswith("data.pkl"))
    fields = [name for name, value in data.items() if isinstance(value, dict) and ":serialized:" in value]

    def broken(blob):
        blob = bytearray(blob)
        for _ in range(rng.integers(1, 4)):
            blob[rng.integers(len(blob))] = rng.integers(256)
        if rng.random() < 0.2:
            del blob[rng.integers(len(blob)) :]
        return bytes(blob)

    taken, path = 0, folder / "fuzzed.zip"
    for k in range(count):
        if k % 3 == 0:
            path.write_bytes(broken(whole))
        elif k % 3 == 1:
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w") as archive:
                for name, blob in inner.items():
                    archive.writestr(name, broken(blob) if name == pickled else blob)
            changed(small, path, {"policy.pth": file.getvalue()})
        else:
            field = fields[rng.integers(len(fields))]
            blob = base64.b64encode(broken(base64.b64decode(data[field][":serialized:"]))).decode()
            changed(small, path, {"data": json.dumps({**data, field: {**data[field], ":serialized:": blob}})})
        try:
            load_zip(path).predict(np.zeros(4, np.float32))
            taken += 1
        except RlplayError:
            pass
    return taken


@pytest.mark.filterwarnings("ignore::rlplay.errors.RlplayWarning")
def test_damaged_zips_are_said(small, tmp_path):
    assert fuzz(small, tmp_path, 120) < 120  # nothing but errors of rlplay comes out, and nothing runs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::rlplay.errors.RlplayWarning")
def test_thousands_of_damaged_zips_are_said(small, tmp_path):
    assert fuzz(small, tmp_path, 6000) < 6000


# Folders, and the command line.


@pytest.mark.filterwarnings("always::rlplay.errors.RlplayWarning")
def test_a_folder_of_rl_zoo_is_read(small, tmp_path, capsys):
    folder = tmp_path / "CartPole-v1_1"
    (folder / "CartPole-v1").mkdir(parents=True)
    (folder / "CartPole-v1.zip").write_bytes(small.read_bytes())
    (folder / "best_model.zip").write_bytes(small.read_bytes())
    named = "CartPole-v1"
    config = "!!python/object/apply:collections.OrderedDict\n- - - clip_range\n    - lin_0.1\n  - - n_steps\n    - 8\n"
    (folder / "CartPole-v1" / "config.yml").write_text(config)
    (folder / "CartPole-v1" / "args.yml").write_text(config.replace("clip_range", "env").replace("lin_0.1", named))
    found = read_folder(folder)
    assert (found.zip.name, found.env_id, found.settings) == (f"{named}.zip", named, {"clip_range": "lin_0.1"})
    statistics = folder / "CartPole-v1" / "vecnormalize.pkl"
    statistics.write_bytes(b"")
    assert read_folder(folder / "best_model.zip").statistics == statistics  # of the same run
    assert read_folder(folder / "best_model.zip").env_id == named
    (tmp_path / "vecnormalize.pkl").write_bytes(b"")
    for name in ("a.zip", "b.zip"):
        (tmp_path / name).write_bytes(small.read_bytes())
    assert main(["import", str(tmp_path / "a.zip"), "--env", "CartPole-v1", "-o", str(tmp_path / "a.rlp")]) == 0
    assert "vecnormalize.pkl is not taken: its folder has several zips" in capsys.readouterr().err
    (folder / "CartPole-v1" / "args.yml").write_text("!!python/object/apply:os.system ['exit 1']")
    with pytest.warns(RlplayWarning, match="args.yml: could not determine a constructor"):
        assert read_folder(folder).env_id == ""
    with pytest.raises(UsageError, match="has 0 zips"):
        read_folder(folder / "CartPole-v1")


def test_in_and_out_on_the_command_line(small, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["import", str(small), "--algo", "ppo", "--env", "CartPole-v1"]) == 0
    run = "logs/ppo/CartPole-v1_1"
    assert main(["runs"]) == 0
    assert "100%" in capsys.readouterr().out  # what it has, it has learned
    assert main(["export", run, "-o", "out.zip"]) == 0
    assert re.search(r"out.zip   [\d.]+ MB\n", capsys.readouterr().out)  # with its optimisers: nothing is left out
    obs = observations("CartPole-v1")
    want = chosen(stable_baselines3.PPO.load(small), obs)
    assert np.array_equal(chosen(stable_baselines3.PPO.load("out.zip"), obs), want)
    assert main(["export", run, "-o", "hub/", "--max-steps", "3", "--eval-episodes", "2"]) == 0
    names = {"README.md", "config.json", "ppo-CartPole-v1.zip", "replay.mp4", "results.json"}
    assert {path.name for path in (tmp_path / "hub").iterdir()} == names
    words = f"rlplay export {run}/CartPole-v1.rlp -o hub/ --max-steps 3 --eval-episodes 2"
    assert f"    {words}\n" in (tmp_path / "hub" / "README.md").read_text()
    assert main(["import", "hub", "--algo", "sb3/ppo", "-o", "again.rlp"]) == 0
    assert np.array_equal(chosen(SB3_PPO.load("again.rlp"), obs), want)
    assert main(["import", str(small)]) == 2
    assert "names its environment" in capsys.readouterr().err
