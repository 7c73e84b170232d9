"""DQN: every part's gradient against autograd, what is learned from, masks, spaces, resume, scores, bad input."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import rlplay
from agents import DQN
from agents.dqn import Flags, exploration, make_rule
from rlplay import EvalCallback, evaluate
from rlplay.agent.value_networks import value_layers
from rlplay.cli import main
from rlplay.environments.wrappers import FrameStack
from rlplay.errors import CheckpointError, HyperparameterError, RlplayWarning, SpaceError, UsageError
from rlplay.functional.value_heads import CATEGORICAL, QUANTILES
from rlplay.functional.vector_step import plain
from rlplay.networks.noisy import perturb
from rlplay.testing import differences
from tests.agents.test_policy_gradients import BOX, PICTURE, SPACES, Shown

SMALL = {"net_arch": [16], "buffer_size": 600, "learning_starts": 50, "batch_size": 16, "target_update_interval": 60}
RAINBOW = {
    "double": True, "dueling": True, "prioritized": True, "n_steps": 3, "noisy": True, "distributional": "c51",
    "v_min": 0.0, "v_max": 30.0,
}  # fmt: skip
PARTS = {
    "plain": {},
    "squared error": {"loss": "mse"},
    "double of 3 steps": {"double": True, "n_steps": 3},
    "dueling": {"dueling": True, "prioritized": True},
    "c51": {"distributional": "c51", "v_min": 0.0, "v_max": 12.0, "n_atoms": 21},
    "qr": {"distributional": "qr", "n_atoms": 7},
    "munchausen": {"munchausen": True, "munchausen_temperature": 0.5},
    "munchausen c51": {"munchausen": True, "munchausen_temperature": 0.5, "distributional": "c51", "v_min": -9.0},
    "munchausen qr, double": {
        "munchausen": True, "munchausen_temperature": 0.5, "distributional": "qr", "n_atoms": 5, "double": True
    },
    "noisy": {"noisy": True},
    "rainbow": RAINBOW,
}  # fmt: skip


# Gradients.


def as_torch(agent, parameters, x, layers):
    """q̂ [B, K, M] of our parameters by torch, from the formulas of the parts."""
    h, place = torch.tensor(x), 0
    for number, (n_in, n_out) in enumerate(layers):
        weight = parameters[place : place + n_in * n_out].reshape(n_in, n_out)
        bias = parameters[place + n_in * n_out : place + (n_in + 1) * n_out]
        h, place = h @ weight + bias, place + (n_in + 1) * n_out
        h = torch.relu(h) if number < len(layers) - 1 else h
    m = len(agent.memory.work.atoms)
    h = h.reshape(len(x), -1, m)
    return h[:, :1] + h[:, 1:] - h[:, 1:].mean(dim=1, keepdim=True) if agent.dueling else h


def projected(atoms, moved, chances):
    """Bellemare et al. 2017, algorithm 1, line by line, of one distribution."""
    least, most, gap = atoms[0], atoms[-1], atoms[1] - atoms[0]
    found = np.zeros(len(atoms))
    for value, chance in zip(np.clip(moved, least, most), chances, strict=True):
        b = (value - least) / gap
        low, high = int(np.floor(b + 1e-12)), int(np.ceil(b - 1e-12))
        if low == high:
            found[low] += chance
        else:
            found[low] += chance * (high - b)
            found[high] += chance * (b - low)
    return found


def loss_by_torch(agent, batch, own, older, layers):
    """The whole loss of a batch, and the TD errors; ``own`` and ``older`` are the effective parameters."""
    given, work = agent.hyperparameters, agent.memory.work
    atoms, tau = torch.tensor(work.atoms), agent.munchausen_temperature
    kind, rows = agent.distributional, np.arange(len(batch.rows))
    actions = batch.actions[:, 0].astype(int)

    def values(z):
        if kind == "c51":
            return (torch.softmax(z, dim=2) * atoms).sum(dim=2)
        return z.mean(dim=2)

    with torch.no_grad():
        after = as_torch(agent, older, batch.next_obs, layers)
        choosing = values(as_torch(agent, own, batch.next_obs, layers) if agent.double else after)
        rewards, discounts = torch.tensor(batch.rewards), torch.tensor(batch.discounts)
        policy = torch.nn.functional.one_hot(choosing.argmax(dim=1), choosing.shape[1]).to(choosing)
        soft = torch.zeros_like(choosing)
        if agent.munchausen:
            soft, policy = tau * torch.log_softmax(choosing / tau, 1), torch.softmax(choosing / tau, 1)
            here = values(as_torch(agent, older, batch.obs, layers))
            told = tau * torch.log_softmax(here / tau, dim=1)[rows, actions]
            rewards = rewards + given["munchausen_alpha"] * told.clamp(given["munchausen_clip"], 0)
        if kind == "c51":
            chances, targets = torch.softmax(after, dim=2), np.zeros((len(rows), len(atoms)))
            for b in rows:
                for a in range(policy.shape[1]):
                    moved = (rewards[b] + discounts[b] * (atoms - soft[b, a])).numpy()
                    targets[b] += projected(work.atoms, moved, (policy[b, a] * chances[b, a]).numpy())
            targets = torch.tensor(targets)
        else:
            mixed = (policy[:, :, None] * (after - soft[:, :, None])).sum(dim=1)
            targets = rewards[:, None] + discounts[:, None] * mixed
    z = as_torch(agent, own, batch.obs, layers)[rows, actions].double()
    weights = torch.tensor(batch.weights)
    if kind == "c51":
        logs = torch.log_softmax(z, dim=1)
        errors = (torch.xlogy(targets, targets) - targets * logs).sum(dim=1)
        return (weights * -(targets * logs).sum(dim=1)).mean(), errors
    if kind == "qr":
        u = targets[:, None, :].double() - z[:, :, None]
        huber = torch.where(u.abs() < 1, 0.5 * u**2, u.abs() - 0.5)
        each = ((atoms[None, :, None] - (u.detach() < 0).double()).abs() * huber).mean(dim=2).sum(dim=1)
        return (weights * each).mean(), targets.mean(dim=1) - z.mean(dim=1)
    loss = torch.nn.functional.mse_loss if given["loss"] == "mse" else torch.nn.functional.smooth_l1_loss
    return (weights * loss(z[:, 0], targets[:, 0].double(), reduction="none")).mean(), targets[:, 0] - z[:, 0]


@pytest.mark.parametrize("name", PARTS)
def test_the_loss_and_its_gradient_are_autograds(name):
    """One update in plain Python over our network, from a batch of a buffer with ends and time limits."""
    settings = {**SMALL, **PARTS[name], "net_arch": [16, 12], "max_grad_norm": 0, "seed": 0}
    agent = DQN("CartPole-v1", **settings)
    rng, memory = np.random.default_rng(0), agent.memory
    nets, batch, work = memory.nets, memory.batch, memory.work
    for net in (nets.q, nets.target):  # apart, and large enough that every case of the losses occurs
        moved = rng.normal(size=net.parameters.shape).astype(np.float32) * 0.3
        net.parameters[:] += moved * (net.parameters != 0)
    batch.obs[:], batch.next_obs[:] = rng.normal(size=batch.obs.shape), rng.normal(size=batch.obs.shape)
    batch.actions[:, 0], batch.rewards[:] = rng.integers(2, size=16), rng.normal(size=16) * 2
    batch.discounts[:] = np.where(rng.random(16) < 0.3, 0.0, 0.97)
    batch.weights[:] = rng.random(16) if agent.prioritized else 1.0
    layers = [(4, 16), (16, 24 if agent.dueling else 12)]
    layers.append((layers[-1][1], (2 + agent.dueling) * len(work.atoms)))

    size, leaf = len(nets.q.parameters), torch.tensor(nets.q.parameters, requires_grad=True)
    own, older = leaf, torch.tensor(nets.target.parameters)
    if agent.noisy:
        work.noisy.parameters[:size] = nets.q.parameters
        leaf = torch.tensor(work.noisy.parameters, requires_grad=True)
        noise = torch.tensor(work.noisy.noise)
        own = leaf[:size] + leaf[size:] * noise
        nets.q.parameters[:] = own.detach()
        kept = memory.noise_rng.copy()  # what the update will draw for the older copy
        perturb(nets.target, work.noisy_target, memory.noise_rng)
        older = torch.tensor(nets.target.parameters)
        memory.noise_rng[:] = kept
    loss, errors = loss_by_torch(agent, batch, own, older, layers)
    loss.backward()

    make_rule.__wrapped__(tuple(agent.kernels.values()), agent.spec(), plain).update(memory, batch, 0.0)
    ours = work.noisy.gradient if agent.noisy else nets.q.gradient
    wanted = leaf.grad.numpy().copy()
    if agent.dueling:  # what would join the streams does not exist
        at, (width, outputs), m = size - (layers[-1][0] + 1) * layers[-1][1], layers[-1], len(work.atoms)
        joined = np.ones((width, outputs), bool)
        joined[:12, m:], joined[12:, :m] = False, False
        parts = [wanted] if not agent.noisy else [wanted[:size], wanted[size:]]
        for part in parts:
            part[at : at + width * outputs].reshape(width, outputs)[~joined] = 0
    assert memory.metrics.loss[0] == pytest.approx(loss.item(), rel=1e-4)
    assert np.allclose(ours, wanted, atol=2e-6, rtol=2e-4)
    assert np.allclose(np.abs(batch.td_errors), np.abs(errors.detach().numpy()), atol=1e-4)
    assert memory.metrics.grad_norm[0] == pytest.approx(np.linalg.norm(wanted), rel=1e-4)


def test_a_projection_keeps_the_mass_and_the_mean_within_the_support():
    rng, atoms = np.random.default_rng(0), np.linspace(-5, 5, 11)
    outputs, q = rng.normal(size=(8, 22)).astype(np.float32), np.zeros((8, 2), np.float32)
    CATEGORICAL.values(outputs, atoms, q)
    assert outputs.reshape(8, 2, 11).sum(axis=2) == pytest.approx(np.ones((8, 2)), abs=1e-5)
    policy, targets, seen = np.tile([0.0, 1.0], (8, 1)), np.zeros((8, 11)), np.array([np.inf, -np.inf])
    rewards, discounts = rng.uniform(-1, 1, 8), np.full(8, 0.5)  # -1 - 2.5 to 1 + 2.5: within
    CATEGORICAL.targets(outputs, atoms, policy, np.zeros((8, 2)), rewards, discounts, targets, seen)
    assert targets.sum(axis=1) == pytest.approx(np.ones(8), abs=1e-12)
    assert targets @ atoms == pytest.approx(rewards + 0.5 * q[:, 1], abs=1e-5)
    assert seen == pytest.approx([(targets @ atoms).min(), (targets @ atoms).max()])
    CATEGORICAL.targets(outputs, atoms, policy, np.zeros((8, 2)), rewards + 100, discounts, targets, seen)
    assert targets[:, -1] == pytest.approx(np.ones(8))  # beyond it all lies on the last atom
    assert seen[1] > 95


def test_quantiles_converge_to_those_of_the_returns():
    """One state, no next one, rewards 0 and 10 half of the time each: quantile regression in its purest form."""
    atoms = (np.arange(4) + 0.5) / 4
    theta, rng = np.zeros((1, 4), np.float32), np.random.default_rng(0)
    slope, errors = np.zeros((1, 4)), np.zeros(1)
    for step in range(4000):
        target = np.full((1, 4), 10.0 * (rng.random() < 0.5))
        QUANTILES.gradient(theta, atoms, np.zeros((1, 1), np.float32), np.ones(1), target, True, slope, errors)
        theta -= (0.5 / (1 + step / 400) * slope).astype(np.float32)
    assert theta[0, :2] == pytest.approx([0, 0], abs=1.5)
    assert theta[0, 2:] == pytest.approx([10, 10], abs=1.5)


@pytest.mark.parametrize(
    "parts",
    [{}, pytest.param({"dueling": True, "double": True, "n_steps": 2}, marks=pytest.mark.slow)],
    ids=["plain", "dueling"],
)
def test_a_hundred_updates_end_in_the_same_weights_over_torch(parts):
    """The same steps, the same batches, a hundred steps of the optimiser, and the older copy renewed on the way."""
    settings = {**SMALL, "train_freq": 4, "gradient_steps": 4, "learning_starts": 500, "seed": 0, **parts}
    ours, theirs = (DQN("CartPole-v1", network=network, **settings) for network in ("numpy", "torch"))
    for agent in (ours, theirs):
        agent.learn(600, engine="python")
    assert ours.metrics()["train/n_updates"] == theirs.metrics()["train/n_updates"] == 100
    for name in ("q", "target"):
        mine, other = (agent.arrays()[f"{name}/parameters"] for agent in (ours, theirs))
        assert np.abs(mine - other).max() < 1e-4
        assert np.abs(mine).max() > 0


def test_exploration_is_that_of_stable_baselines3():
    from stable_baselines3.common.utils import LinearSchedule

    theirs = LinearSchedule(1.0, 0.05, 0.16)
    for progress in np.linspace(0, 1, 33):
        assert exploration(0.16, 1.0, 0.05, progress) == pytest.approx(theirs(1 - progress), abs=1e-9)
    assert exploration(0.0, 1.0, 0.05, 0.0) == 0.05


def test_updates_are_as_many_as_stable_baselines3_takes():
    import stable_baselines3

    for given in (
        {"train_freq": 4, "gradient_steps": 1}, {"train_freq": 16, "gradient_steps": -1},
        {"train_freq": 100, "gradient_steps": 7}, {"train_freq": [1, "episode"], "gradient_steps": 2},
    ):  # fmt: skip
        own = {**given, "learning_starts": 90, "buffer_size": 1000}
        if isinstance(given["train_freq"], list):
            own["train_freq"] = tuple(given["train_freq"])
        model = stable_baselines3.DQN("MlpPolicy", "MountainCar-v0", device="cpu", seed=0, **own).learn(400)
        agent = DQN("MountainCar-v0", seed=0, **{**own, "train_freq": given["train_freq"]}).learn(400)
        assert agent.metrics()["train/n_updates"] == model._n_updates, given


# What is learned from.


class Cut(gym.Env):
    """Reward 1 a step; it terminates after 5 steps, of which one sees how many, or is cut there, and all look alike."""

    observation_space, action_space = spaces.Box(0, 5, (1,), np.float32), spaces.Discrete(2)

    def __init__(self, terminates):
        self.terminates = terminates

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        over = self.t == 5
        seen = np.full(1, self.t * self.terminates, np.float32)
        return seen, 1.0, over and self.terminates, over and not self.terminates, {}


@pytest.mark.parametrize("n_steps", [1, 3])
def test_a_time_limit_is_no_terminal_state(n_steps):
    """γ = 0.8: for ever is worth 1 / (1 - γ) = 5, whatever the time limit; five steps less and less."""
    settings = {
        "gamma": 0.8, "n_steps": n_steps, "learning_rate": 3e-3, "target_update_interval": 50, "train_freq": 1,
        "learning_starts": 50, "net_arch": [32], "buffer_size": 2000, "network": "torch", "seed": 0,
    }  # fmt: skip
    assert DQN(Cut(False), **settings).learn(2000).probe(np.zeros((1, 1))).value == pytest.approx([5.0], abs=0.2)
    ended = DQN(Cut(True), **settings).learn(2000).probe(np.arange(5, dtype=np.float32)[:, None]).value
    assert ended == pytest.approx([(1 - 0.8 ** (5 - t)) / 0.2 for t in range(5)], abs=0.4)


def test_a_masked_action_is_neither_taken_nor_bootstrapped_from():
    """The environment asserts that none is taken; the buffer holds the mask of every observation."""
    agent = DQN(Shown(BOX, spaces.Discrete(4), masks=True), seed=0, network="torch", **SMALL).learn(300)
    replay = agent.memory.replay
    kept = replay.forbidden[: int(replay.filled[0])]
    assert (kept.sum(axis=1) == 2).all()
    steps = np.flatnonzero(replay.kinds)
    assert not replay.forbidden[steps, replay.actions[steps, 0].astype(int)].any()
    rows = steps[:16]
    agent.memory.batch.rows[:] = rows
    agent._iteration.draw(agent.memory, agent.memory.batch)
    batch = agent.memory.batch
    assert (batch.masks < 0).tolist() == replay.forbidden[batch.rows].tolist()
    assert (batch.next_masks < 0).tolist() == replay.forbidden[batch.next_rows].tolist()


@pytest.mark.parametrize("name", ["multi-discrete", "multi-binary", "discrete from 5", "dict", "picture"])
def test_spaces(name):
    settings = {**SMALL, "network": "torch", "buffer_size": 200}
    agent = DQN(Shown(*{**SPACES, "picture": PICTURE}[name]), seed=0, **settings).learn(120)
    obs, _ = agent.get_env().reset(seed=1)
    for deterministic in (True, False):
        action, _ = agent.predict(obs, deterministic=deterministic)
        assert agent.action_space.contains(np.asarray(action, agent.action_space.dtype) if np.ndim(action) else action)
    assert agent.probe(obs).action_values.shape == (1, agent.numbering.n)
    if name in ("picture", "discrete from 5"):
        assert agent.memory.replay.obs.dtype == np.uint8


def test_pictures_are_kept_in_bytes_and_seen_as_they_were():
    agent = DQN(Shown(*PICTURE), seed=0, network="torch", **{**SMALL, "buffer_size": 100}).learn(60)
    env, memory = agent.get_env(), agent.memory
    seen = agent._network_inputs(env.observation_space.sample())
    assert seen.dtype == np.float32
    assert memory.replay.obs.nbytes == 100 * 20 * 20 * 3
    newest = agent._network_inputs(agent.running_envs()[0].position.obs)[0]
    out = np.zeros_like(newest)
    row = int(memory.replay.place[0])
    out[:] = memory.replay.obs[row].astype(np.float32) * np.float32(memory.plan.scale)
    assert out.tolist() == newest.tolist()


def stacked(kind="ours"):
    """Grey pictures of 12 x 14, the last three as one."""
    env = Shown(spaces.Box(0, 255, (12, 14), np.uint8), spaces.Discrete(3))
    return FrameStack(env, 3) if kind == "ours" else gym.wrappers.FrameStackObservation(env, 3)


@pytest.mark.parametrize("kind", ["ours", "Gymnasium's"])
def test_each_picture_of_a_stack_is_kept_once_and_the_same_is_learned(kind, monkeypatch):
    settings = {**SMALL, "network": "torch", "buffer_size": 200, "n_steps": 2, "seed": 0, "learning_starts": 20}
    frugal = DQN(stacked(kind), **settings).learn(100)
    monkeypatch.setattr(DQN, "_stack", lambda self: (1, 0, 0))
    whole = DQN(stacked(kind), **settings).learn(100)
    assert 3 * frugal.memory.replay.obs.nbytes == whole.memory.replay.obs.nbytes == 200 * 12 * 14 * 3
    assert 3 * (frugal.buffer_bytes - 200 * 9) == whole.buffer_bytes - 200 * 9
    assert frugal.memory.nets.q.parameters.tolist() == whole.memory.nets.q.parameters.tolist()
    assert np.array_equal(frugal.seen(), whole.seen())


@pytest.mark.parametrize("more", [{}, {"prioritized": True, "n_envs": 2}], ids=["uniform", "prioritised"])
def test_stacked_pictures_go_on_in_the_same_bits(tmp_path, more):
    settings = {**SMALL, "network": "torch", "buffer_size": 100, "seed": 0, "learning_starts": 20, **more}
    whole = DQN(stacked, **settings).learn(200)
    part = DQN(stacked, **settings).learn(140, schedule_timesteps=200)
    path = part.save(tmp_path / "part")
    again = DQN.load(path, stacked)
    assert again.learn(60, reset_num_timesteps=False).memory.nets.q.parameters.tolist() == (
        whole.memory.nets.q.parameters.tolist()
    )
    with pytest.warns(RlplayWarning, match="loaded without its environment"):
        alone = DQN.load(path)
    assert alone.memory.replay.obs.shape == part.memory.replay.obs.shape
    assert np.array_equal(alone.seen(), part.seen())


def test_pictures_of_bits_are_pictures():
    env = Shown(spaces.Box(0, 1, (10, 10, 4), np.bool_), spaces.Discrete(3))
    agent = DQN(env, seed=0, network="torch", **{**SMALL, "buffer_size": 100}).learn(60)
    assert agent.encoder.view.as_pictures == (
        "observations (10, 10, 4) are pictures of 10 x 10 with 4 channels, which come last: the shortest axis"
    )
    assert agent.memory.replay.obs.dtype == np.uint8
    assert set(np.unique(agent.memory.batch.obs)) == {0.0, 1.0}
    assert value_layers(agent, 3).layers[0].out_channels == 16  # MinAtar's


@pytest.mark.parametrize("more", [{}, {"dueling": True, "double": True}], ids=["alone", "dueling"])
def test_noisy_weights_over_torch_are_ours(more):
    settings = {**SMALL, "noisy": True, "seed": 0, "learning_starts": 20, **more}
    ours, theirs = (DQN("CartPole-v1", network=name, **settings) for name in ("numpy", "torch"))
    assert ours.memory.nets.q.parameters.tolist() == theirs.memory.nets.q.parameters.tolist()  # the same noise
    for agent in (ours, theirs):
        agent.learn(60, engine="python")
    assert theirs.memory.work.noisy.parameters == pytest.approx(ours.memory.work.noisy.parameters, abs=1e-4)
    assert theirs.memory.nets.q.parameters == pytest.approx(ours.memory.nets.q.parameters, abs=1e-4)
    obs = np.zeros((3, 4), np.float32)
    assert theirs.probe(obs).action_values == pytest.approx(ours.probe(obs).action_values, abs=1e-4)


# Files.


@pytest.mark.parametrize("steps", [150, 900])  # a buffer that is half full, one that has wrapped
@pytest.mark.parametrize(
    "parts",
    [{}, {"n_envs": 3, "normalize": True}, pytest.param(RAINBOW, marks=pytest.mark.slow)],
    ids=["plain", "several", "rainbow"],
)
def test_a_run_that_was_broken_off_goes_on_in_the_same_bits(tmp_path, parts, steps):
    settings = {**SMALL, "train_freq": 3, "seed": 0, **parts}
    whole = DQN("CartPole-v1", **settings).learn(2 * steps)
    part = DQN("CartPole-v1", **settings).learn(steps + 7, schedule_timesteps=2 * steps)
    assert (part.memory.replay.filled.max() == len(part.memory.replay.kinds) // part.n_envs) == (steps == 900)
    again = rlplay.load(part.save(tmp_path / "part"))
    assert not differences(part, again)
    again.learn(whole.num_timesteps - again.num_timesteps, reset_num_timesteps=False)
    assert not differences(whole, again)
    tree, anew = whole.memory.replay.priorities.values, again.memory.replay.priorities.values
    assert tree.tolist() == anew.tolist()


def test_a_file_that_cannot_be_is_refused(tmp_path):
    agent = DQN("CartPole-v1", seed=0, prioritized=True, **SMALL).learn(100)
    for name, change in {
        "actions": lambda a: a.memory.replay.actions.fill(7.0),
        "kinds": lambda a: a.memory.replay.kinds.fill(9),
        "priorities": lambda a: a.memory.replay.priorities.values.fill(-1.0),
        "place": lambda a: a.memory.replay.place.fill(10**6),
    }.items():
        path = agent.save(tmp_path / name)
        broken = rlplay.load(path)
        change(broken)
        path = broken.save(tmp_path / f"{name} broken")
        with pytest.raises(CheckpointError, match=name):
            rlplay.load(path)


ZOO = """
CartPole-v1:
  n_timesteps: !!float 2e3
  policy: 'MlpPolicy'
  learning_rate: !!float 2.3e-3
  batch_size: 64
  buffer_size: 100000
  learning_starts: 1000
  gamma: 0.99
  target_update_interval: 10
  train_freq: 256
  gradient_steps: 128
  exploration_fraction: 0.16
  exploration_final_eps: 0.04
  policy_kwargs: "dict(net_arch=[64, 64])"
Acrobot-v1:
  n_timesteps: !!float 600
  policy: 'MlpPolicy'
  learning_rate: !!float 6.3e-4
  batch_size: 32
  buffer_size: 50000
  learning_starts: 0
  gamma: 0.99
  target_update_interval: 250
  train_freq: 4
  gradient_steps: -1
  exploration_fraction: 0.12
  exploration_final_eps: 0.1
  policy_kwargs: "dict(net_arch=[32], optimizer_class=7)"
"""


def test_zoo_files_are_read_unchanged_and_what_is_not_known_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dqn.yml").write_text(ZOO)
    assert main(["train", "--algo", "dqn", "--env", "CartPole-v1", "-conf", "dqn.yml", "--seed", "0"]) == 0
    agent = rlplay.load(tmp_path / "logs/dqn/CartPole-v1_1/CartPole-v1.rlp")
    assert agent.metrics()["train/n_updates"] == 128 * ((2000 - 1000) // 256 + 1)
    assert main(["train", "--algo", "dqn", "--env", "Acrobot-v1", "-conf", "dqn.yml"]) == 2
    said = capsys.readouterr()
    assert "optimizer_class" in said.err
    assert "the replay buffer takes up to 2.4 MiB" in said.out


# Scores; the long ones: python tests/benchmarks/off_policy.py scores.

POLE = {
    "policy_kwargs": {"net_arch": [256, 256]}, "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000,
    "learning_starts": 1000, "target_update_interval": 10, "train_freq": 256, "gradient_steps": 128,
    "exploration_fraction": 0.16, "exploration_final_eps": 0.04,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_dqn_solves_cart_pole(seed, tmp_path):
    """The best policy of a run, on fresh episodes: the last one is a matter of luck, of Stable-Baselines3's DQN too."""
    best = EvalCallback("CartPole-v1", eval_freq=2_000, n_eval_episodes=20, best_model_save_path=tmp_path)
    DQN("CartPole-v1", seed=seed, **POLE).learn(50_000, best)
    assert evaluate(DQN.load(tmp_path / "best_model.rlp"), n_eval_episodes=100, seed=1).mean >= 475


# Bad input.


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: DQN("Pendulum-v1"), SpaceError, "needs actions that are finite"),
        (lambda: DQN("CartPole-v1", batch_size=64, buffer_size=32), HyperparameterError, "buffer of 32 observ"),
        (lambda: DQN(Shown(*PICTURE), buffer_size=10**9), UsageError, "Lower buffer_size"),
        (lambda: DQN("CartPole-v1", buffer_size=1000, n_envs=500), HyperparameterError, "keeps 2 of each of 500 env"),
        (lambda: DQN("CartPole-v1", distributional="c51", v_min=5, v_max=5), HyperparameterError, "not below v_max"),
        (lambda: DQN("CartPole-v1", noisy=True, network=torch.nn.Linear(4, 8)), HyperparameterError, "noisy=False"),
        (lambda: DQN("CartPole-v1", distributional="iqn"), HyperparameterError, "None | c51 | qr"),
        (lambda: DQN("CartPole-v1", n_envs=2, train_freq=[1, "episode"]), HyperparameterError, "train_freq in steps"),
        (lambda: DQN("CartPole-v1", policy_kwargs={"net_arch": {"pi": [8]}}), HyperparameterError, "to be a list"),
        (lambda: DQN("CartPole-v1", device="cuda"), UsageError, "our own networks run on the CPU"),
    ],
)  # fmt: skip
def test_bad_input(make, error, words):
    with pytest.raises(error, match=words.replace("|", r"\|")):
        make()


def test_a_run_too_short_to_learn_is_said():
    with pytest.warns(RlplayWarning, match=r"will have learned nothing.*more than 5,000 steps \(learning_starts\)"):
        DQN("CartPole-v1", learning_starts=5000, seed=0).learn(200)


def test_returns_outside_the_support_are_said_once():
    settings = {**SMALL, "distributional": "c51", "v_min": 0.0, "v_max": 0.5, "seed": 0}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        DQN("CartPole-v1", **settings).learn(400)
    found = [str(one.message) for one in said if "expected returns" in str(one.message)]
    assert len(found) == 1
    assert "v_min=0 to v_max=0.5 is all that its atoms hold" in found[0]


def test_numbers_that_are_no_numbers_stop_training(tmp_path):
    agent = DQN("CartPole-v1", seed=0, **SMALL).learn(100)
    path = agent.save(tmp_path / "good")
    for engine in ("compiled", "python"):
        broken = rlplay.load(path)
        broken.memory.nets.target.parameters[:] = np.nan
        with pytest.raises(UsageError, match="DQN: the loss is not a number in the update at timestep"):
            broken.learn(100, reset_num_timesteps=False, engine=engine)
    assert rlplay.load(path).num_timesteps == 100


def test_flags_that_are_off_take_no_room():
    work = DQN("CartPole-v1", seed=0, **SMALL).memory.work
    assert work.noisy.parameters.size == 0
    assert work.targets.shape == (16, 1)
    assert Flags(False, False, False, None, False, True, False, False) == DQN("CartPole-v1", seed=0).spec()


def test_features_that_are_fitted_first_are_part_of_what_it_waits_for():
    agent = DQN("CartPole-v1", features="k-means:4,warm_up=200", learning_starts=500, buffer_size=1000, seed=0)
    with pytest.warns(RlplayWarning, match=r"200 steps for its features \(warm_up\) and more than 500 steps \(learn"):
        agent.learn(600)
