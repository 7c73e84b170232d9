"""PPO and A2C: gradients against autograd, weights over torch, every space, masks, normalisation, scores, bad input."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import rlplay
from agents import A2C, PPO, QLearning
from agents.ppo import surrogate, value_gradient
from rlplay import evaluate
from rlplay.cli import main
from rlplay.errors import CheckpointError, HyperparameterError, RlplayWarning, SpaceError, UsageError
from rlplay.functional.distributions import CATEGORICAL, GAUSSIAN
from rlplay.functional.rollout import generalised_advantages, new_rollout
from rlplay.functional.running_moments import new_running_moments, normalise, observe_batch, scale_rewards
from rlplay.testing import differences

SMALL = {"n_envs": 2, "n_steps": 32, "batch_size": 16, "n_epochs": 2}


def random_batch(discrete, n=50):
    rng = np.random.default_rng(0)
    spread = np.array([3, 2], np.float32) if discrete else np.array([-0.3, 0.2], np.float32)
    outputs = rng.normal(size=(n, 5 if discrete else 2)).astype(np.float32)
    actions = np.stack([rng.integers(3, size=n), rng.integers(2, size=n)], 1) if discrete else rng.normal(size=(n, 2))
    return rng, outputs, spread, actions.astype(np.float32)


def torchs(discrete, outputs, spread, actions):
    """Log-probabilities and entropies by torch's distributions, over leaves that have gradients."""
    x, s = torch.tensor(outputs, requires_grad=True), torch.tensor(spread, requires_grad=True)
    if discrete:
        parts = [torch.distributions.Categorical(logits=z) for z in torch.split(x, [3, 2], dim=1)]
        told = sum(p.log_prob(torch.tensor(actions[:, i])) for i, p in enumerate(parts))
        return x, s, told, sum(p.entropy() for p in parts)
    normal = torch.distributions.Normal(x, s.exp())
    return x, s, normal.log_prob(torch.tensor(actions)).sum(1), normal.entropy().sum(1)


@pytest.mark.parametrize("discrete", [True, False])
def test_the_loss_and_its_gradient_are_autograds(discrete):
    """PPO's whole loss at the networks' outputs: clipped surrogate and entropy, for two-part and normal actions."""
    rng, outputs, spread, actions = random_batch(discrete)
    head = CATEGORICAL if discrete else GAUSSIAN
    advantages, shift = rng.normal(size=50), rng.normal(size=50) * 0.3
    x, s, log_prob, entropy = torchs(discrete, outputs, spread, actions)
    old = (log_prob.detach().numpy() - shift).astype(np.float64)
    ratio = (log_prob - torch.tensor(old)).exp()
    weighted = torch.tensor(advantages)
    smaller = torch.min(ratio * weighted, ratio.clamp(0.8, 1.2) * weighted)
    (-smaller.mean() - 0.05 * entropy.mean()).backward()

    grad, to_spread = np.zeros_like(outputs), np.zeros(0 if discrete else 2, np.float32)
    told, entropies, weights = np.zeros(50), np.zeros(50), np.zeros(50)
    head.log_probs(outputs, spread, actions, grad, told, entropies)
    assert np.allclose(told, log_prob.detach(), atol=1e-5)
    assert np.allclose(entropies, entropy.detach(), atol=1e-5)
    loss, divergence, clipped = surrogate(told, old, advantages, 0.2, weights)
    head.gradient(outputs, spread, actions, weights, 0.05, grad, to_spread)
    assert loss == pytest.approx(-smaller.mean().item(), abs=1e-5)
    assert clipped == pytest.approx(((ratio - 1).abs() > 0.2).float().mean().item())
    assert divergence == pytest.approx(((ratio - 1) - ratio.log()).mean().item(), abs=1e-5)
    assert np.allclose(grad, x.grad, atol=1e-6)
    if not discrete:
        assert np.allclose(to_spread, s.grad, atol=1e-6)


@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_the_value_gradient_is_autograds(clip):
    rng = np.random.default_rng(0)
    values, old, returns = rng.normal(size=(20, 1)).astype(np.float32), rng.normal(size=20), rng.normal(size=20)
    v = torch.tensor(values, requires_grad=True)
    held = torch.tensor(old) + (v[:, 0] - torch.tensor(old)).clamp(-clip, clip) if clip else v[:, 0]
    loss = 0.7 * ((held - torch.tensor(returns)) ** 2).mean()
    loss.backward()
    grad = np.zeros((20, 1), np.float32)
    assert 0.7 * value_gradient(values, old, returns, 0.7, clip, grad) == pytest.approx(loss.item(), rel=1e-5)
    assert np.allclose(grad, v.grad, atol=1e-6)


def test_advantages_are_those_of_stable_baselines3():
    rng, n, steps = np.random.default_rng(0), 3, 20
    buffer = RolloutBuffer(steps, spaces.Box(-1, 1, (1,)), spaces.Discrete(2), gae_lambda=0.9, gamma=0.97, n_envs=n)
    ours = new_rollout(steps * n, 1, 1, 2, False)
    last, ended = rng.normal(size=n), np.zeros(n)
    for t in range(steps):
        rewards, values, ends = rng.normal(size=n), rng.normal(size=n), rng.uniform(size=n) < 0.2
        buffer.add(np.zeros((n, 1)), np.zeros(n), rewards, ended, torch.tensor(values), torch.zeros(n))
        rows = slice(t * n, (t + 1) * n)
        ours.rewards[rows], ours.values[rows], ours.ends[rows] = rewards, values, ends
        ended = ends.astype(np.float32)
    ours.bootstrap_values[-n:] = np.where(ours.ends[-n:], 0, last)
    buffer.compute_returns_and_advantage(torch.tensor(last), ended)
    generalised_advantages(ours, n, 0.97, 0.9)
    assert np.allclose(ours.advantages.reshape(steps, n), buffer.advantages, atol=1e-5)
    assert np.allclose(ours.returns.reshape(steps, n), buffer.returns, atol=1e-5)


def test_a_time_limit_is_no_terminal_state():
    rollout = new_rollout(2, 1, 1, 2, False)
    rollout.rewards[:], rollout.ends[:], rollout.values[:] = 1.0, True, 0.0
    rollout.bootstrap_values[:] = [0.0, 10.0]  # terminated; cut by the limit
    generalised_advantages(rollout, 1, 0.9, 0.95)
    assert rollout.advantages.tolist() == [1.0, 10.0]


def test_normalisation_is_that_of_vec_normalize():
    class Walk(gym.Env):
        observation_space, action_space = spaces.Box(-99, 99, (2,), np.float32), spaces.Discrete(2)

        def __init__(self, seed):
            self.rng = np.random.default_rng(seed)

        def reset(self, *, seed=None, options=None):
            self.t = 0
            return self.rng.normal(3, 2, 2).astype(np.float32), {}

        def step(self, action):
            self.t += 1
            return self.rng.normal(3, 2, 2).astype(np.float32), self.rng.normal(5), self.t % 7 == 0, False, {}

    theirs = VecNormalize(DummyVecEnv([lambda i=i: Walk(i) for i in range(3)]), gamma=0.9)
    ours, _ = new_running_moments(True, 2, 3, 0.9, "test")
    theirs.reset()
    observe_batch(ours, np.ascontiguousarray(theirs.get_original_obs(), np.float32))
    for _ in range(50):
        obs, rewards, dones, _ = theirs.step(np.zeros(3, int))
        raw, gained = np.ascontiguousarray(theirs.get_original_obs(), np.float32), theirs.get_original_reward()
        observe_batch(ours, raw)
        scaled = gained.astype(np.float64)
        scale_rewards(ours, scaled, dones)
        out = np.zeros(2, np.float32)
        for i in range(3):
            normalise(ours, raw[i], out)
            assert np.allclose(out, obs[i], atol=1e-5)
        assert np.allclose(scaled, rewards, atol=1e-5)


def test_the_value_loss_counts_the_minibatches_that_took_a_step():
    """The second epoch's minibatch exceeds the divergence: it ends the epochs before a step of the values."""
    settings = {"n_steps": 64, "batch_size": 64, "learning_rate": 1e-2, "target_kl": 1e-4, "seed": 0}
    ended = PPO("CartPole-v1", n_epochs=10, **settings).learn(64, engine="python").metrics()
    assert ended["train/n_updates"] == 1
    assert ended["train/value_loss"] == pytest.approx(38.26, abs=0.005)


LONG = pytest.mark.slow  # compiles for long


@pytest.mark.parametrize(
    ("cls", "env_id"),
    [
        (PPO, "CartPole-v1"),
        pytest.param(A2C, "Pendulum-v1", marks=LONG),
        pytest.param(PPO, "Pendulum-v1", marks=LONG),
    ],
)
def test_a_hundred_updates_end_in_the_same_weights_over_torch(cls, env_id):
    """The same rollout, the same order of minibatches, a hundred steps of the optimiser: both networks."""
    settings = {"n_envs": 2, "n_steps": 32} | ({"batch_size": 16, "n_epochs": 25} if cls is PPO else {})
    ours, theirs = (cls(env_id, seed=0, network=network, **settings) for network in ("numpy", "torch"))
    rounds = 64 if cls is PPO else 6400
    ours.learn(rounds, engine="python")
    theirs.learn(rounds)
    mine, other = ours.metrics(), theirs.metrics()
    assert mine["train/n_updates"] == other["train/n_updates"] == 100
    if cls is A2C:  # actions follow the weights: after the first update of a float apart, rollouts are not the same
        assert np.allclose(list(mine.values()), list(other.values()), rtol=0.1, atol=0.1)
        return
    for name in ("policy", "value"):
        mine, other = getattr(ours.memory, name).parameters, getattr(theirs.memory, name).parameters
        assert np.abs(mine - other).max() < 1e-4


class Shown(gym.Env):
    """An environment of any spaces: 10 steps, and a reward where the action is all zeros."""

    def __init__(self, observation_space, action_space, masks=False):
        self.observation_space, self.action_space, self._masks = observation_space, action_space, masks
        if masks:
            self.action_masks = lambda: np.arange(action_space.n) % 2 == self.t % 2

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        if self._masks:
            assert self.action_masks()[action]
        self.t += 1
        gained = float(np.all(np.asarray(action) == 0))
        return self.observation_space.sample(), gained, False, self.t == 10, {}


BOX = spaces.Box(-1, 1, (3,), np.float32)
SPACES = {
    "multi-discrete": (BOX, spaces.MultiDiscrete([3, 2, 4])),
    "many combinations": (BOX, spaces.MultiDiscrete([30, 30, 30])),
    "multi-binary": (BOX, spaces.MultiBinary(3)),
    "box of two axes": (BOX, spaces.Box(-2, 2, (2, 2), np.float32)),
    "discrete from 5": (spaces.Discrete(4), spaces.Discrete(3, start=5)),
    "dict": (spaces.Dict({"a": BOX, "b": spaces.Discrete(3)}), spaces.Discrete(2)),
}
LONG_SPACES = ("picture", "box of two axes", "multi-binary", "many combinations")
PICTURE = (spaces.Box(0, 255, (20, 20, 3), np.uint8), spaces.Discrete(2))


@pytest.mark.parametrize("network", ["numpy", "torch"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=LONG) if n in LONG_SPACES else n for n in (*SPACES, "picture")])
def test_spaces(name, network):
    agent = PPO(Shown(*{**SPACES, "picture": PICTURE}[name]), seed=0, network=network, **{**SMALL, "n_envs": 1}).learn(
        100
    )
    obs, _ = agent.get_env().reset(seed=1)
    for deterministic in (True, False):
        action, _ = agent.predict(obs, deterministic=deterministic)
        assert agent.action_space.contains(np.asarray(action, agent.action_space.dtype) if np.ndim(action) else action)
    assert agent.probe(obs).value.shape == (1,)


def test_pictures_over_torch():
    agent = PPO(Shown(*PICTURE), seed=0, network="torch", **{**SMALL, "n_envs": 1}).learn(64)
    assert agent.probe(agent.get_env().reset(seed=1)[0]).value.shape == (1,)


@pytest.mark.slow
def test_actions_of_several_parts_are_learned():
    agent = PPO(Shown(*SPACES["multi-discrete"]), seed=0, n_steps=128, batch_size=64, learning_rate=3e-3).learn(4000)
    assert agent.predict(np.zeros(3, np.float32), deterministic=True)[0].tolist() == [0, 0, 0]
    bits = A2C(Shown(*SPACES["multi-binary"]), seed=0, n_steps=20, learning_rate=3e-3).learn(4000)
    assert bits.predict(np.zeros(3, np.float32), deterministic=True)[0].tolist() == [0, 0, 0]


def test_a_masked_action_is_never_taken():
    """The environment asserts it at every step; and the policy gives it no probability."""
    agent = PPO(Shown(BOX, spaces.Discrete(4), masks=True), seed=0, **{**SMALL, "n_envs": 1}).learn(300)
    assert agent.memory.rollout.masks.min() == np.float32(-1e8)


def test_the_update_sees_the_masks_under_which_actions_were_chosen():
    """Before the first step of the optimiser the policy is the old one: no divergence, nothing clipped."""
    env = Shown(BOX, spaces.Discrete(4), masks=True)
    agent = PPO(env, seed=0, n_steps=32, batch_size=32, n_epochs=1, network="torch").learn(96)
    assert agent.metrics()["train/n_updates"] == 3
    assert abs(agent.metrics()["train/approx_kl"]) < 1e-6
    assert agent.metrics()["train/clip_fraction"] == 0


def test_a_module_of_yours_is_a_network(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(4, 12), torch.nn.ReLU())
    agent = PPO("CartPole-v1", network=module, seed=0, **SMALL).learn(200)
    assert agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape == (1, 2)
    assert "torch modules" in agent.why_not_compiled()
    with pytest.raises(CheckpointError, match="Sequential, whose code a file cannot hold"):
        agent.save(tmp_path / "agent")
    with pytest.raises(HyperparameterError, match="does not take observations of 3 numbers"):
        PPO("Pendulum-v1", network=module)


@pytest.mark.slow  # the contract has a short one for every agent
def test_stable_baselines3_evaluates_it():
    for cls in (PPO, A2C):
        agent = cls("CartPole-v1", seed=0, n_envs=4, n_steps=64).learn(4000)
        mean, _ = evaluate_policy(agent, Monitor(gym.make("CartPole-v1")), n_eval_episodes=3)
        assert mean > 8


@pytest.mark.slow  # the contract has a short one for every agent
def test_a_run_that_was_broken_off_in_mid_rollout_goes_on_in_the_same_bits(tmp_path):
    for cls, own in ((PPO, {"n_steps": 40, "batch_size": 32, "n_epochs": 3, "normalize": True}), (A2C, {})):
        whole = cls("CartPole-v1", n_envs=3, seed=0, **own).learn(900)
        part = cls("CartPole-v1", n_envs=3, seed=0, **own).learn(453, schedule_timesteps=900)
        again = rlplay.load(part.save(tmp_path / "part"))
        again.learn(447, reset_num_timesteps=False)
        for name, array in whole.arrays().items():
            assert np.array_equal(array, again.arrays()[name], equal_nan=True), name


# Scores (RL Zoo's settings); the long ones: python tests/benchmarks/policy_gradients.py scores.


@pytest.mark.parametrize("seed", [0, 1])
def test_ppo_solves_cart_pole(seed):
    agent = PPO(
        "CartPole-v1", n_envs=8, n_steps=32, batch_size=256, gae_lambda=0.8, gamma=0.98, n_epochs=20,
        learning_rate="lin_0.001", clip_range="lin_0.2", seed=seed,
    ).learn(100_000)  # fmt: skip
    assert evaluate(agent, n_eval_episodes=20).mean == 500


def test_a2c_solves_cart_pole():
    assert evaluate(A2C("CartPole-v1", n_envs=8, seed=0).learn(500_000), n_eval_episodes=20).mean > 475


@pytest.mark.slow
def test_ppo_with_defaults_fails_mountain_car():
    assert evaluate(PPO("MountainCar-v0", seed=0).learn(60_000), n_eval_episodes=10).mean == -200


# RL Zoo's files, and the command line.

ZOO = """
CartPole-v1:
  n_envs: 8
  n_timesteps: !!float 2e3
  policy: 'MlpPolicy'
  n_steps: 32
  batch_size: 256
  gae_lambda: 0.8
  learning_rate: lin_0.001
  clip_range: lin_0.2
Pendulum-v1:
  normalize: "{'norm_obs': True, 'norm_reward': False}"
  policy: 'MlpPolicy'
  n_timesteps: 600
  n_steps: 64
  policy_kwargs: "dict(log_std_init=-2, ortho_init=False, activation_fn=nn.ReLU, net_arch=dict(pi=[16], vf=[16, 8]))"
MountainCarContinuous-v0:
  policy: 'MlpPolicy'
  use_sde: True
"""


def test_zoo_files_are_read_unchanged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ppo.yml").write_text(ZOO)
    for env_id in ("CartPole-v1", "Pendulum-v1"):
        assert main(["train", "--algo", "ppo", "--env", env_id, "-conf", "ppo.yml", "--seed", "0"]) == 0
    agent = rlplay.load(tmp_path / "logs/ppo/Pendulum-v1_1/Pendulum-v1.rlp")
    assert agent.hyperparameters["normalize"] == {"norm_obs": True, "norm_reward": False}
    assert agent.memory.spread[0] == pytest.approx(-2, abs=0.2)
    assert len(agent.memory.policy.parameters) == 3 * 16 + 16 + 16 + 1


@pytest.mark.slow  # compiles for long
def test_zoo_entries_with_state_dependent_exploration_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ppo.yml").write_text(ZOO)
    words = ["train", "--algo", "ppo", "--env", "MountainCarContinuous-v0", "-conf", "ppo.yml", "--seed", "0"]
    assert main([*words, "-n", "2048"]) == 0
    agent = rlplay.load(tmp_path / "logs/ppo/MountainCarContinuous-v0_1/MountainCarContinuous-v0.rlp")
    assert agent.memory.noise.matrices.shape == (1, 64, 1)


def test_tuned_settings_are_taken_and_said(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--algo", "ppo", "--env", "CartPole-v1", "--seed", "0", "-n", "600"]) == 0
    assert "tuned settings for ppo in CartPole-v1" in " ".join(capsys.readouterr().out.split())
    agent = rlplay.load(tmp_path / "logs/ppo/CartPole-v1_1/CartPole-v1.rlp")
    assert agent.hyperparameters["n_epochs"] == 20
    assert agent.num_timesteps == 600


# Bad input.


def test_numbers_that_are_no_numbers_stop_training(tmp_path):
    agent = PPO("Pendulum-v1", seed=0, **SMALL).learn(64)
    path = agent.save(tmp_path / "good")
    for engine in ("compiled", "python"):
        broken = rlplay.load(path)
        broken.memory.value.parameters[:] = np.nan
        with pytest.raises(UsageError, match=r"PPO: the (loss|gradient's length) is not a number in the update at"):
            broken.learn(200, reset_num_timesteps=False, engine=engine)
    assert rlplay.load(path).num_timesteps == 64


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: PPO("CartPole-v1", device="cuda"), UsageError, "our own networks run on the CPU"),
        (lambda: PPO("CartPole-v1", network="jax"), HyperparameterError, "numpy | torch"),
        (lambda: PPO("CartPole-v1", clip_range=0), HyperparameterError, "clip_range"),
        (lambda: PPO("CartPole-v1", normalize={"norm_action": True}), HyperparameterError, "no 'norm_action'"),
        (lambda: A2C("CartPole-v1", policy_kwargs={"squash_output": True}), HyperparameterError, "squash_output"),
        (lambda: A2C("CartPole-v1", policy_kwargs={"net_arch": {"pi": [8]}}), HyperparameterError, "needs pi and vf"),
        (lambda: PPO(Shown(BOX, spaces.Tuple([spaces.Text(2)]))), SpaceError, "finite, a Box, or a Tuple"),
        (lambda: PPO(Shown(BOX, spaces.Discrete(2)), n_envs=2), UsageError, "arguments of Shown are not known"),
    ],
)  # fmt: skip
def test_bad_input(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_a_gpu_that_is_not_there():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(UsageError, match="asks for a GPU, and torch sees none"):
        PPO("CartPole-v1", network="torch", device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("env", ["Pendulum-v1", "picture"])
def test_on_a_gpu_the_weights_are_those_of_the_processor(env, monkeypatch):
    """The same rollout and minibatches on both devices; batches go to the GPU whole."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # else convolutions keep 10 bits of a number
    made = [Shown(*PICTURE) if env == "picture" else env for _ in range(2)]
    settings = {"n_steps": 64, "batch_size": 32, "n_epochs": 3, "network": "torch", "seed": 0}
    here, there = (PPO(m, device=d, **settings).learn(128) for m, d in zip(made, ("cpu", "cuda"), strict=True))
    for name in ("policy", "value"):
        mine, other = here.arrays()[f"{name}/parameters"], there.arrays()[f"{name}/parameters"]
        assert next(getattr(there.memory, name).module.parameters()).is_cuda
        assert np.abs(mine - other).max() < 2e-4
    again = rlplay.load(there.save("on-the-gpu")) if env != "picture" else there
    assert not differences(there, again)


def test_environments_stand_where_the_native_loop_left_them():
    """Chunks leave their numbers in whole arrays; objects that are asked for have them, and going on is the same."""
    alone, watched = (PPO("CartPole-v1", n_envs=3, n_steps=32, batch_size=32, n_epochs=1, seed=0) for _ in range(2))
    seen = []

    def look(agent):
        seen.append(sum(one.position.length for one in agent.running_envs()))

    alone.learn(960)
    for _ in range(10):
        watched.learn(96, look, reset_num_timesteps=False)
    assert len(seen) >= 10
    assert not differences(alone, watched)
    by_hand = PPO("CartPole-v1", n_envs=3, n_steps=32, batch_size=32, n_epochs=1, seed=0)
    by_hand.learn(960, engine="python")
    for one, other in zip(alone.running_envs(), by_hand.running_envs(), strict=True):
        assert one.position.length == other.position.length > 0
        assert one.position.seed == other.position.seed
        assert one.position.episode_return == other.position.episode_return
        assert one.env.elapsed == other.env.elapsed
        for mine, its in ((one.position.obs, other.position.obs), (one.env.world.state, other.env.world.state),
                          (one.env.world.obs, other.env.world.obs), (one.env.rng, other.env.rng),
                          (one.seeds, other.seeds)):  # fmt: skip
            assert np.array_equal(mine, its)


def test_an_environment_that_is_played_between_two_calls_is_gone_on_from():
    """The agent's own, and the others: nothing that the native loop kept for itself hides what the objects say."""
    agent = PPO("CartPole-v1", n_envs=2, n_steps=32, batch_size=32, n_epochs=1, seed=0).learn(64)
    before = agent.statistics.episodes
    agent.env.world.state[2] = 1.0  # a pole that lies: its episode ends with the next step
    agent.learn(2, reset_num_timesteps=False)
    assert agent.statistics.episodes == before + 1
    agent.running_envs()[1].env.world.state[2] = 1.0
    agent.learn(2, reset_num_timesteps=False)
    assert agent.statistics.episodes == before + 2


@pytest.mark.parametrize(("n_steps", "memory"), [(16, {}), (8, {"recurrent": "gru", "recurrent_size": 4})])
def test_a_minibatch_larger_than_the_rollout_is_the_rollout(n_steps, memory):
    settings = {"n_steps": n_steps, **memory, "n_epochs": 2, "seed": 0}
    with pytest.warns(RlplayWarning, match=f"batch_size=64 is more than the {n_steps} steps"):
        large = PPO("CartPole-v1", batch_size=64, **settings).learn(48)
    fitting = PPO("CartPole-v1", batch_size=n_steps, **settings).learn(48)
    for name, array in large.get_parameters().items():
        np.testing.assert_array_equal(array, fitting.get_parameters()[name])


@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (0,)), spaces.Tuple(()), spaces.Dict({})])
def test_spaces_without_numbers_are_refused(space):
    with pytest.raises(SpaceError, match="actions to choose from"):
        PPO(Shown(BOX, space))
    if not isinstance(space, spaces.Tuple):
        with pytest.raises(SpaceError, match="something to see"):
            PPO(Shown(space, spaces.Discrete(2)))


def test_an_error_about_a_large_box_is_one_line():
    with pytest.raises(SpaceError) as error:
        QLearning(Shown(spaces.Box(np.zeros(30, np.float32), np.arange(1, 31, dtype=np.float32)), spaces.Discrete(2)))
    assert "\n" not in str(error.value)
