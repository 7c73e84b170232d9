"""Data sets, replay seeded with them, and agents that learn from nothing else: gradients, files, scores, bad input."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch

import rlplay
from agents import (
    CQL,
    DQN,
    IQL,
    PPO,
    TD3BC,
    BehaviorCloning,
    DAgger,
    DiscreteBCQ,
    DiscreteIQL,
    cql,
    discrete_bcq,
    dqn,
    iql,
)
from agents.cql import make_rule, press_down
from agents.discrete_bcq import best_likely, losses
from agents.discrete_iql import imitate_likelier
from agents.iql import expectile_errors, imitate_better, targets_of_values
from agents.td3_bc import climb_near_data
from rlplay import Dataset, evaluate, interact
from rlplay.cli import main
from rlplay.environments.episode import Episode, EpisodeDigest
from rlplay.errors import (
    CheckpointError,
    HyperparameterError,
    MissingPackageError,
    SpaceError,
    UnknownNameError,
    UsageError,
)
from rlplay.extend import reference, to_minari
from rlplay.functional.replay import GOES_ON, NO_STEP, TERMINATED, TRUNCATED
from rlplay.functional.vector_step import plain
from rlplay.registry import recipes
from rlplay.storage import checkpoint
from rlplay.testing import differences

SMALL = {"net_arch": [16], "batch_size": 16, "target_update_interval": 60, "seed": 0}
REPLAY = {"net_arch": [16], "buffer_size": 600, "learning_starts": 50, "batch_size": 16, "target_update_interval": 60}


@pytest.fixture(scope="module")
def pole():
    """400 steps of CartPole, half of them random and half of a policy that holds the pole."""
    follow = recipes("POLICIES")["CartPole-v1"]["follow-the-pole"]
    held = Dataset.record(rlplay.make("CartPole-v1"), lambda obs, _: follow(obs), 200, player="follow-the-pole")
    return Dataset.join([Dataset.random("CartPole-v1", 200, seed=3), held])


# Data sets.


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1", "Taxi-v4", "Blackjack-v1"])
def test_a_file_gives_the_same_steps_again(tmp_path, env_id):
    data = Dataset.random(env_id, 300, seed=1)
    again = Dataset.load(data.save(tmp_path / "data"))
    for name in ("seeds", "lengths", "actions", "returns", "digests", "played_by"):
        assert np.array_equal(getattr(data, name), getattr(again, name)), name
    assert (again.players, again.digest()) == (("random",), data.digest())
    # Beside Gymnasium's own environment, step by step.
    env, steps, t = gym.make(env_id), again.replay(), 0
    for e, length in enumerate(again.lengths):
        obs, info = env.reset(seed=int(again.seeds[e]))
        for k in range(length + 1):
            if env_id in ("CartPole-v1", "Pendulum-v1"):
                assert np.array_equal(steps.obs[t + e], obs)
            elif env_id != "Blackjack-v1":
                assert steps.obs[t + e].argmax() == obs
            if env_id == "Taxi-v4" and k < length:
                assert steps.allowed[t + e].tolist() == info["action_mask"].astype(bool).tolist()
            if k == length:
                break
            action = data.actions[t] if data.n_actions == 0 else int(data.actions[t])
            obs, reward, terminated, truncated, info = env.step(action)
            assert steps.rewards[t] == reward
            t += 1
        assert (steps.terminated[e], steps.truncated[e]) == (terminated, truncated)


def test_both_dynamics_give_the_same_steps(pole):
    native, own = pole.replay(), pole.replay(rlplay.make("CartPole-v1", dynamics="gymnasium"))
    for one, other in zip(native[:-1], own[:-1], strict=True):
        assert np.array_equal(one, other)


def test_two_actions_take_a_bit_each(tmp_path):
    data = Dataset.random("CartPole-v1", 800, seed=0)
    arrays = checkpoint.read(data.save(tmp_path / "bits")).arrays
    assert arrays["actions"].nbytes == 100


def test_a_persons_recording_becomes_a_data_set(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env, digest = rlplay.make("CartPole-v1", dynamics="gymnasium"), EpisodeDigest()
    episode = Episode(reference(env), seed=5, player="you")
    for step in interact(env, lambda obs: int(obs[2] + obs[3] > 0), lambda: 5):
        digest.add(step)
        episode.actions.append(step.action)
        episode.episode_return += step.reward
        if step.terminated or step.truncated:
            break
    episode.digest = digest.hex()
    episode.save("mine.json", env.action_space)
    assert main(["dataset", "make", "--recordings", "mine.json", "-o", "mine.rlp"]) == 0
    data = Dataset.load("mine.rlp")
    assert (data.players, len(data)) == (("you",), len(episode.actions))
    assert data.returns.tolist() == [episode.episode_return]
    episode.actions[0] = 1 - episode.actions[0]
    episode.save("other.json", env.action_space)
    capsys.readouterr()
    assert main(["dataset", "make", "--recordings", "other.json", "-o", "other.rlp"]) == 1
    assert "recorded" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m, a: a["lengths"].fill(0), "lengths holds 0"),
        (lambda m, a: a["played_by"].fill(9), "played_by holds 9"),
        (lambda m, a: a.update(actions=a["actions"][:-1]), "actions is uint8"),
        (lambda m, a: a.update(seeds=a["seeds"].astype(np.float64)), "seeds is float64"),
        (lambda m, a: a["returns"].fill(np.nan), "returns holds NaN"),
        (lambda m, a: m.update(steps=10**9), "it says 1,000,000,000"),
        (lambda m, a: m.update(steps=0), "it is empty"),
        (lambda m, a: m.update(n_actions=-1), "n_actions is -1"),
        (lambda m, a: m.update(players=[]), "who played"),
        (lambda m, a: m.pop("env"), "cannot be"),
    ],
)
def test_a_file_that_cannot_be_is_refused_in_a_line(tmp_path, pole, change, words):
    content = checkpoint.read(pole.save(tmp_path / "data"))
    change(content.manifest, content.arrays)
    manifest = {k: v for k, v in content.manifest.items() if k not in ("format", "members")}
    monkey = checkpoint.read
    path = tmp_path / "broken.rlp"
    try:
        checkpoint.read = lambda place, **_: monkey(place, allow_nan=True)
        checkpoint.write(path, manifest, content.arrays)
    except CheckpointError:  # a file with NaN is not even written
        assert "NaN" in words
        return
    finally:
        checkpoint.read = monkey
    with pytest.raises(CheckpointError, match=words) as error:
        Dataset.load(path)
    assert "\n" not in str(error.value)


def test_what_no_longer_replays_is_refused(pole):
    flipped = replace(pole, actions=1 - pole.actions)
    with pytest.raises(CheckpointError, match=r"episode \d of the data set \(seed"):
        flipped.replay()
    with pytest.raises(CheckpointError, match=r"episode 0 of the data set \(seed"):
        flipped.replay(rlplay.make("CartPole-v1", dynamics="gymnasium"))
    changed = pole.digests.copy()
    changed[-1] ^= 1
    with pytest.raises(CheckpointError, match=f"episode {len(changed) - 1} of the data set"):
        replace(pole, digests=changed).replay()


# Replay that begins with demonstrations.


def kinds_of(replay, i, n):
    return replay.kinds[i::n][: replay.filled[i]].tolist()


def test_demonstrations_lie_in_the_buffer_as_if_they_had_been_played():
    data = Dataset.random("CartPole-v1", 60, seed=2)
    agent = DQN("CartPole-v1", seed=0, **REPLAY).remember(data)
    replay, steps = agent.memory.replay, data.replay()
    assert np.array_equal(replay.obs[: len(steps.obs)], steps.obs)
    expected = []
    for e, length in enumerate(data.lengths):
        last = TERMINATED if steps.terminated[e] else TRUNCATED if steps.truncated[e] else GOES_ON
        expected += [GOES_ON] * (length - 1) + [last, NO_STEP]
    assert kinds_of(replay, 0, 1) == expected
    assert agent.num_timesteps == 0
    agent.learn(100)
    assert (replay.kinds != NO_STEP).sum() == 160


@pytest.mark.parametrize("parts", [{"n_envs": 3, "normalize": True}, {"prioritized": True}], ids=["several", "tree"])
def test_seeded_replay_goes_on_from_its_file_in_the_same_bits(tmp_path, pole, parts):
    agent = DQN("CartPole-v1", seed=0, **{**REPLAY, "buffer_size": 900, **parts}).remember(pole)
    replay = agent.memory.replay
    assert (replay.kinds != NO_STEP).sum() == len(pole)
    if agent.prioritized:
        assert (replay.priorities.values[: len(replay.kinds)] > 0).tolist() == (replay.kinds != NO_STEP).tolist()
    agent.learn(90, schedule_timesteps=180)
    again = rlplay.load(agent.save(tmp_path / "agent"))
    assert not differences(agent, again)
    for one in (agent, again):
        one.learn(90, reset_num_timesteps=False)
    assert not differences(agent, again)


def test_a_data_set_that_does_not_fit_is_refused_with_what_would(pole):
    with pytest.raises(HyperparameterError, match=r"does not fit.*Take buffer_size=\d+ or more"):
        DQN("CartPole-v1", seed=0, **{**REPLAY, "buffer_size": 100}).remember(pole)


# Gradients beside autograd.


def test_the_conservative_gradient_is_that_of_autograd():
    rng = np.random.default_rng(0)
    q, actions = rng.normal(0, 3, (5, 4)).astype(np.float32), rng.integers(4, size=(5, 1)).astype(np.float32)
    z = torch.tensor(q, dtype=torch.float64, requires_grad=True)
    loss = (torch.logsumexp(z, 1) - z[range(5), actions[:, 0].astype(int)]).mean()
    (0.7 * loss).backward()
    gradient = np.zeros((5, 4), np.float32)
    assert press_down(q, actions, 0.7, gradient) == pytest.approx(float(loss.detach()))
    assert gradient == pytest.approx(z.grad.numpy(), abs=1e-7)


def test_an_update_of_cql_is_that_of_autograd(pole):
    agent = CQL("CartPole-v1", dataset=pole, alpha=0.6, **SMALL)
    memory, batch = agent.memory, agent.memory.batch
    agent._iteration.draw(memory, batch)
    rng = np.random.default_rng(1)
    memory.nets.target.parameters[:] += rng.normal(0, 0.3, len(memory.nets.target.parameters)).astype(np.float32)

    def q_of(flat, x):
        w, b, v, c = torch.split(flat, [64, 16, 32, 2])
        return torch.relu(torch.tensor(x) @ w.reshape(4, 16) + b) @ v.reshape(16, 2) + c

    own = torch.tensor(memory.nets.q.parameters, requires_grad=True)
    older, rows = torch.tensor(memory.nets.target.parameters), np.arange(16)
    best = q_of(own, batch.next_obs).argmax(1)
    y = torch.tensor(batch.rewards) + torch.tensor(batch.discounts) * q_of(older, batch.next_obs)[rows, best]
    q = q_of(own, batch.obs)
    taken = q[rows, batch.actions[:, 0].astype(int)]
    loss = torch.nn.functional.smooth_l1_loss(taken.double(), y) + 0.6 * (torch.logsumexp(q, 1) - taken).mean()
    loss.backward()
    make_rule(tuple(agent.kernels.values()), agent.spec(), plain).update(memory, batch, 0.0)
    assert memory.metrics.loss[0] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert memory.nets.q.gradient == pytest.approx(own.grad.numpy(), abs=1e-6)


def test_the_losses_of_discrete_bcq_have_the_gradient_of_autograd():
    rng = np.random.default_rng(0)
    outputs, actions = rng.normal(0, 2, (6, 8)).astype(np.float32), rng.integers(4, size=(6, 1)).astype(np.float32)
    y, rows = rng.normal(size=6), np.arange(6)
    both = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    q, z = both.split(4, dim=1)
    taken = actions[:, 0].astype(int)
    loss = torch.nn.functional.smooth_l1_loss(q[rows, taken], torch.tensor(y))
    loss = loss + torch.nn.functional.cross_entropy(z, torch.tensor(taken)) + 0.01 * z.pow(2).mean()
    loss.backward()
    gradient, td_errors = np.zeros((6, 8), np.float32), np.zeros(6)
    assert losses(outputs, actions, y, td_errors, gradient)[0] == pytest.approx(float(loss.detach()))
    assert gradient == pytest.approx(both.grad.numpy(), abs=1e-7)
    assert td_errors == pytest.approx(y - outputs[rows, taken])
    likely = torch.softmax(z, dim=1) / torch.softmax(z, dim=1).max(dim=1, keepdim=True).values > 0.3
    chosen = np.zeros(6, np.int64)
    best_likely(outputs, np.zeros((0, 4), np.float32), 0.3, chosen)
    assert chosen.tolist() == q.masked_fill(~likely, -torch.inf).argmax(dim=1).tolist()
    best_likely(outputs, np.zeros((0, 4), np.float32), 1.0, chosen)
    assert chosen.tolist() == z.argmax(dim=1).tolist()


def test_the_actor_of_td3_bc_has_the_gradient_of_autograd():
    rng = np.random.default_rng(0)
    pi = torch.tensor(rng.normal(size=(6, 2)), requires_grad=True)
    data, weights = rng.normal(size=(6, 2)), torch.tensor(rng.normal(size=2))
    q = (torch.tanh(pi) * weights).sum(1)
    scale = 2.5 / float(q.detach().abs().mean())
    slope = torch.autograd.grad(q.sum(), pi, retain_graph=True)[0].numpy().astype(np.float32)
    loss = -scale * q.mean() + torch.nn.functional.mse_loss(pi, torch.tensor(data))
    loss.backward()
    grad = np.zeros((6, 2), np.float32)
    error = climb_near_data(slope, scale, pi.detach().numpy().astype(np.float32), data.astype(np.float32), grad)
    assert error - scale * float(q.mean().detach()) == pytest.approx(float(loss.detach()), rel=1e-5)
    assert grad == pytest.approx(pi.grad.numpy(), abs=1e-6)


def test_the_losses_of_iql_have_the_gradients_of_autograd():
    rng = np.random.default_rng(0)
    aims, values = rng.normal(size=(2, 6, 1)).astype(np.float32), rng.normal(size=(6, 1)).astype(np.float32)
    v = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    u = torch.tensor(aims.min(axis=0), dtype=torch.float64) - v
    loss = ((0.8 - (u.detach() < 0).double()).abs() * u**2).mean()
    loss.backward()
    gaps, grad = np.zeros(6), np.zeros((6, 1), np.float32)
    assert expectile_errors(aims, values, 0.8, gaps, grad) == pytest.approx(float(loss.detach()))
    assert grad == pytest.approx(v.grad.numpy(), abs=1e-7)

    data = rng.normal(size=(6, 2)).astype(np.float32)
    pi = torch.tensor(rng.normal(size=(6, 2)), requires_grad=True)
    weight = (3 * u.detach()[:, 0]).exp().clamp(max=100)
    loss = (weight * ((pi - torch.tensor(data)) ** 2).sum(1)).mean()
    loss.backward()
    grad = np.zeros((6, 2), np.float32)
    found, mean = imitate_better(pi.detach().numpy().astype(np.float32), data, gaps, 3.0, grad)
    assert (found, mean) == (pytest.approx(float(loss.detach()), rel=1e-5), pytest.approx(float(weight.mean())))
    assert grad == pytest.approx(pi.grad.numpy(), rel=1e-5)
    targets = np.zeros(6)
    targets_of_values(np.ones(6), np.full(6, 0.5), values, targets)
    assert targets == pytest.approx(1 + 0.5 * values[:, 0])


def test_the_losses_of_discrete_iql_have_the_gradients_of_autograd():
    rng = np.random.default_rng(0)
    z, actions = torch.tensor(rng.normal(size=(6, 3)), requires_grad=True), rng.integers(3, size=(6, 1))
    log_policy, gaps = torch.log_softmax(z, dim=1), rng.normal(size=6)
    weight = torch.tensor(3 * gaps).exp().clamp(max=100)
    loss = -(weight * log_policy[np.arange(6), actions[:, 0]]).mean()
    loss.backward()
    grad, known = np.zeros((6, 3), np.float32), log_policy.detach().numpy()
    found, mean = imitate_likelier(np.exp(known), known, actions.astype(np.float32), gaps, 3.0, grad)
    assert (found, mean) == (pytest.approx(float(loss.detach())), pytest.approx(float(weight.mean())))
    assert grad == pytest.approx(z.grad.numpy(), rel=1e-5, abs=1e-7)


def test_what_is_compiled_has_names_of_its_own():
    """Compiled code tells records apart by their names and the types of their fields; two alike would be one."""
    names = [cls.settings.__name__ for cls in (DQN, CQL, DiscreteBCQ, DiscreteIQL, TD3BC, IQL)]
    names += [module.__name__ for module in (dqn.ValueMetrics, cql.CQLMetrics, discrete_bcq.BCQMetrics, iql.IQLMetrics)]
    assert len(set(names)) == len(names)


# What a timestep is, and what files keep.


def test_a_timestep_is_an_update_and_nothing_is_played(tmp_path, pole):
    agent = CQL("CartPole-v1", dataset=pole.save(tmp_path / "pole"), **SMALL).learn(130)
    assert (agent.num_timesteps, agent.metrics()["train/n_updates"], agent.timestep) == (130, 130, "update")
    assert agent.statistics.episodes == 0
    assert agent.running_envs()[0].position.obs is None
    older = agent.memory.nets.target.parameters
    assert not np.array_equal(older, agent.memory.nets.q.parameters)  # renewed at 60 and 120
    (tmp_path / "pole.rlp").unlink()  # the agent's own file has the steps
    again = rlplay.load(agent.save(tmp_path / "agent"))
    assert again.hyperparameters["dataset"] == pole.describe()
    for one in (agent, again):
        one.learn(130, reset_num_timesteps=False)
    assert not differences(agent, again)


def test_normalised_observations_are_those_of_the_data_set(pole):
    agent, obs = CQL("CartPole-v1", dataset=pole, normalize=True, **SMALL), pole.replay().obs.astype(np.float64)
    moments = agent.memory.moments
    assert moments.obs_mean == pytest.approx(obs.mean(axis=0), abs=1e-5)
    assert moments.obs_variance == pytest.approx(obs.var(axis=0), rel=1e-3)


def test_cloning_learns_from_a_data_set_without_a_teacher(tmp_path, pole):
    agent = BehaviorCloning("CartPole-v1", seed=0).remember(pole)
    assert len(agent.seen()) == len(pole)
    obs = pole.replay().obs[: pole.lengths[0]]
    assert agent.predict(obs, deterministic=True)[0].tolist() == pole.actions[: pole.lengths[0]].tolist()
    assert agent.learn(1000).num_timesteps == len(pole)  # each step of the data is one, and no more are played
    assert not differences(agent, rlplay.load(agent.save(tmp_path / "agent")))


# The command line.


def test_a_data_set_is_made_told_and_learned_from(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make = ["dataset", "make", "--env", "CartPole-v1", "-n", "400", "--mix", "follow-the-pole:0.5", "random:0.5"]
    assert main([*make, "-o", "half.rlp"]) == 0
    assert main(["dataset", "info", "half.rlp"]) == 0
    said = capsys.readouterr().out
    assert "400 steps" in said
    assert "follow-the-pole" in said
    assert "replays exactly" in said
    train = ["train", "--env", "CartPole-v1", "--seed", "0", "-n", "60", "--dataset", "half.rlp", "--eval-freq", "-1"]
    small = ["-params", "net_arch:[16]", "batch_size:16", "target_update_interval:60"]
    assert main([*train, "--algo", "cql", *small]) == 0
    path = "logs/cql/CartPole-v1_1"
    assert rlplay.load(f"{path}/CartPole-v1.rlp").metrics()["train/n_updates"] == 60
    assert main(["dataset", "make", "-i", path, "-n", "50", "-o", "own.rlp"]) == 0
    assert Dataset.load("own.rlp").players == ("cql",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--algo", "cql", "--env", "CartPole-v1"], "has no data to learn from"),
        (["train", "--algo", "ppo", "--env", "CartPole-v1", "--dataset", "x.rlp"], "takes no --dataset"),
        (["train", "--algo", "cql", "--env", "CartPole-v1", "--dataset", "x.rlp"], "is no data set: there is no"),
        (["dataset", "make", "--env", "CartPole-v1", "-o", "x.rlp"], "together: --mix random:1"),
        (["dataset", "make", "--env", "CartPole-v1", "--mix", "random:0.4", "-o", "x.rlp"], "random:0.4 random:0.6"),
        (["train", "--algo", "cql", "--env", "CartPole-v1", "--dataset", "mine.json"], "make --recordings mine.json"),
        (["dataset", "info", "mine.json"], "is a recorded episode, and no .rlp file"),
        (["dataset", "make", "--env", "CartPole-v1", "--mix", "random:1.5", "-o", "x.rlp"], "not NAME:SHARE"),
        (["dataset", "make", "--env", "CartPole-v1", "--mix", "nobody:1", "-o", "x.rlp"], "neither a file nor"),
        (["dataset", "make", "--env", "CartPole-v1", "--mix", "random:1"], "Add -o"),
        (["dataset", "make", "--env", "CartPole-v1", "--mix", "random:1", "-n", "0", "-o", "x.rlp"], "not 1 or more"),
        (["dataset", "info", "x.rlp", "-n", "5"], "info only reads"),
        (["dataset", "info"], "needs a file"),
    ],
)
def test_what_cannot_be_is_said(tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text('{"format": "rlplay-episode", "version": 1}')
    assert main(words) in (1, 2)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "x.rlp").exists()
    assert not (tmp_path / "logs").exists()


# Minari.


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_minari_in_and_out(tmp_path, monkeypatch, pole):
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    to_minari(pole, "cartpole/mixed-v0", author="us", algorithm_name="mixed", description="half random")
    ours = CQL("CartPole-v1", dataset=pole, **SMALL).memory.replay
    theirs = CQL("CartPole-v1", dataset="minari:cartpole/mixed-v0", **SMALL).memory.replay
    for name in ("obs", "actions", "rewards", "kinds"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
    with pytest.raises(SpaceError, match="has observation_space"):
        CQL("Acrobot-v1", dataset="minari:cartpole/mixed-v0")
    with pytest.raises(UnknownNameError, match="minari download nobody/has-v0"):
        CQL("CartPole-v1", dataset="minari:nobody/has-v0")


def test_minari_is_asked_for_by_name_where_it_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'minari\[hdf5\]'"):
        CQL("CartPole-v1", dataset="minari:cartpole/mixed-v0")


# Bad input.


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda d: CQL("Acrobot-v1", dataset=d), UsageError, "is of CartPole-v1, and CQL takes one of Acrobot-v1"),
        (lambda d: CQL("CartPole-v1").learn(10), UsageError, "has no data to learn from"),
        (lambda d: CQL("Pendulum-v1"), SpaceError, "needs actions that are finite"),
        (lambda d: TD3BC("CartPole-v1"), SpaceError, "needs actions that are a Box"),
        (lambda d: IQL("CartPole-v1"), SpaceError, "needs actions that are a Box"),
        (lambda d: CQL("CartPole-v1", dataset=7), HyperparameterError, "is no data set"),
        (lambda d: CQL("CartPole-v1", dataset="nowhere.rlp"), HyperparameterError, "random:10000"),
        (lambda d: CQL("CartPole-v1", dataset="random:0"), UsageError, "0 steps is empty"),
        (lambda d: CQL("CartPole-v1", dataset=d, buffer_size=100), HyperparameterError, "does not fit"),
        (lambda d: BehaviorCloning("Acrobot-v1").remember(d), UsageError, "is of CartPole-v1"),
        (lambda d: BehaviorCloning("CartPole-v1", buffer_size=9).remember(d), HyperparameterError, "Take buffer_size"),
        (lambda d: Dataset.join([]), UsageError, "no data set"),
        (lambda d: Dataset.join([d, Dataset.random("Acrobot-v1", 5)]), UsageError, "is of Acrobot-v1"),
    ],
)
def test_bad_input(pole, make, error, words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(error, match=words):
            make(pole)


# Scores.


@pytest.mark.slow
def test_cql_learns_from_mixed_data_what_cloning_does_not():
    """Half random, half an expert: cloning copies both, and deep Q-learning without the conservative term strays."""
    tuned = recipes("TUNED")["ppo"]["CartPole-v1"]
    expert = PPO("CartPole-v1", seed=0, **{k: v for k, v in tuned.items() if k != "n_timesteps"})
    expert.learn(tuned["n_timesteps"])
    assert evaluate(expert, n_eval_episodes=20).mean >= 475
    env = rlplay.make("CartPole-v1")

    def act(obs, _):
        return expert.predict(obs, deterministic=True)[0]

    good = Dataset.record(env, act, 20_000, player="ppo")
    half = Dataset.join([Dataset.record(env, act, 10_000, player="ppo"), Dataset.random(env, 10_000, seed=1)])

    def score(agent):
        return evaluate(agent, n_eval_episodes=20).mean

    cloned = [score(BehaviorCloning("CartPole-v1", seed=seed).remember(good)) for seed in range(3)]
    assert np.median(cloned) >= 475
    assert np.median([score(CQL("CartPole-v1", dataset=good, seed=seed).learn(20_000)) for seed in range(3)]) >= 475
    cloned = [score(BehaviorCloning("CartPole-v1", seed=seed).remember(half)) for seed in range(3)]
    learned = [score(CQL("CartPole-v1", dataset=half, seed=seed).learn(20_000)) for seed in range(3)]
    assert np.median(learned) >= np.median(cloned) + 100
    implicit = [score(DiscreteIQL("CartPole-v1", dataset=half, seed=seed).learn(20_000)) for seed in range(3)]
    assert np.median(implicit) >= np.median(cloned) + 100
    strayed = [score(CQL("CartPole-v1", dataset=half, seed=seed, alpha=0.0).learn(20_000)) for seed in range(3)]
    assert np.median(strayed) <= np.median(learned) - 100


def test_data_and_who_teaches_may_come_later(pole):
    """Neither is said to change nothing: warnings are errors here."""
    assert CQL("CartPole-v1", **SMALL).remember(pole).learn(10).num_timesteps == 10
    agent = DAgger("CartPole-v1", train_freq=50, seed=0)
    agent.teacher = lambda obs: int(obs[2] > 0)
    assert agent.learn(60).lessons == 2
