"""SAC, TQC, TD3 and DDPG: exploration, networks beside Stable-Baselines3's, scores, Zoo files, bad input."""

from __future__ import annotations

import re

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise

import rlplay
import rlplay.networks
from agents import DDPG, SAC, TD3, TQC, DiscreteSAC
from rlplay import evaluate
from rlplay.cli import main
from rlplay.errors import HyperparameterError, SpaceError, UnknownNameError, UsageError
from rlplay.functional.actor_critic import ORNSTEIN_UHLENBECK, disturb
from rlplay.networks.memory import CONV_2D, KIND

AGENTS = {"sac": SAC, "tqc": TQC, "td3": TD3, "ddpg": DDPG}
SMALL = {"net_arch": [16], "buffer_size": 500, "batch_size": 16, "learning_starts": 50}
QUICK = {"net_arch": [64, 64], "batch_size": 128, "learning_rate": 2e-3, "buffer_size": 20_000, "gamma": 0.98}

pytestmark = pytest.mark.slow  # they compile for long; `test_actor_critic_updates` is in the default suite


@pytest.mark.slow
@pytest.mark.parametrize(
    "agent_id",
    ["sac", "td3", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tqc", "ddpg"))],
)
def test_small_networks_swing_the_pendulum_up(agent_id):
    more = {} if agent_id in ("sac", "tqc") else {"noise_type": "normal", "learning_starts": 1000}
    agent = AGENTS[agent_id]("Pendulum-v1", seed=0, tau=0.01, **QUICK, **more).learn(10_000)
    assert evaluate(agent, n_eval_episodes=20, seed=1000).mean >= -250


@pytest.mark.slow
def test_dropout_makes_many_updates_a_step_worth_it():
    settings = {**QUICK, "dropout": 0.01, "layer_norm": True, "gradient_steps": 10, "policy_delay": 10}
    agent = SAC("Pendulum-v1", seed=0, tau=0.01, **settings).learn(1500)
    assert evaluate(agent, n_eval_episodes=20, seed=1000).mean >= -250


@pytest.mark.slow
def test_without_targets_but_with_batch_renormalisation_the_pendulum_is_swung_up():
    settings = {**QUICK, "batch_renorm": True, "target_networks": False, "beta_1": 0.5, "policy_delay": 3}
    agent = SAC("Pendulum-v1", seed=0, **settings).learn(7000)
    assert evaluate(agent, n_eval_episodes=20, seed=1000).mean >= -250


@pytest.mark.slow
def test_a_preset_is_named_on_the_command_line(tmp_path, capsys):
    words = ["train", "--env", "Pendulum-v1", "-conf", "crossq", "-n", "110", "-f", str(tmp_path), "--seed", "0"]
    assert main([*words, "--algo", "sac", "-params", "policy_kwargs:dict(net_arch=[8])", "buffer_size:300"]) == 0
    assert "target_networks=False" in capsys.readouterr().out
    assert main([*words, "--algo", "td3"]) != 0
    assert "are those of sac, not of td3" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("agent_id", AGENTS)
def test_tuned_settings_swing_the_pendulum_up(agent_id):
    from agents.recipes import TUNED

    settings = dict(TUNED[agent_id]["Pendulum-v1"])
    agent = AGENTS[agent_id]("Pendulum-v1", seed=1, **{k: v for k, v in settings.items() if k != "n_timesteps"})
    assert evaluate(agent.learn(settings["n_timesteps"]), n_eval_episodes=20, seed=1000).mean >= -250


@pytest.mark.slow
def test_finite_actions_balance_the_pole():
    from agents.recipes import TUNED

    settings = {k: v for k, v in TUNED["discrete-sac"]["CartPole-v1"].items() if k != "n_timesteps"}
    agent = DiscreteSAC("CartPole-v1", seed=0, **settings).learn(15_000)
    assert evaluate(agent, n_eval_episodes=20, seed=1000).mean >= 200


@pytest.mark.parametrize("agent_id", ["sac", "td3", "ddpg"])
def test_networks_have_as_many_parameters_as_those_of_stable_baselines3(agent_id):
    theirs = getattr(stable_baselines3, agent_id.upper())("MlpPolicy", "Pendulum-v1", device="cpu", buffer_size=100)
    nets = AGENTS[agent_id]("Pendulum-v1", buffer_size=300, seed=0).memory.nets
    for ours, module in ((nets.actor, theirs.actor), (nets.critics.net, theirs.critic)):
        assert ours.parameters.size == sum(one.numel() for one in module.parameters())


def test_hyperparameters_and_defaults_are_those_of_stable_baselines3():
    import inspect

    for name, cls in AGENTS.items():
        if name == "tqc":
            continue
        theirs = inspect.signature(getattr(stable_baselines3, cls.__name__)).parameters
        ours = cls("Pendulum-v1", buffer_size=300, seed=0).hyperparameters
        shared = set(theirs) & set(ours) - {"buffer_size", "seed", "policy", "device", "policy_kwargs", "n_steps"}
        assert {"learning_rate", "learning_starts", "batch_size", "tau", "gamma", "gradient_steps"} <= shared
        for one in shared:
            assert ours[one] == theirs[one].default, (name, one)


def test_actions_are_drawn_from_the_squashed_normal_of_the_policy():
    agent = SAC("Pendulum-v1", seed=0, **SMALL)
    obs = np.tile(np.float32([1.0, 0.0, 0.0]), (4000, 1))
    drawn = agent.predict(obs)[0][:, 0] / 2.0  # the torque is within 2
    mean, log_std = agent.kernels["actor"].predict(agent.memory.nets.actor, obs[:1])[0]
    u = np.arctanh(drawn.astype(np.float64))
    assert u.mean() == pytest.approx(mean, abs=0.1)
    assert u.std() == pytest.approx(np.exp(log_std), rel=0.05)
    assert agent.predict(obs[0], deterministic=True)[0][0] / 2.0 == pytest.approx(np.tanh(mean), abs=1e-5)


def test_a_deterministic_policy_is_predicted_as_it_is():
    agent = TD3("Pendulum-v1", seed=0, noise_type="normal", noise_std=0.5, **SMALL)
    obs = np.float32([1.0, 0.0, 0.0])
    assert agent.predict(obs)[0] == agent.predict(obs, deterministic=True)[0]
    assert agent.probe(obs).action_std is None


def test_the_process_moves_as_that_of_stable_baselines3():
    process, rng, actions = np.zeros((1, 1), np.float32), np.arange(1, 5, dtype=np.uint64), np.zeros((1, 1), np.float32)
    path = []
    for _ in range(60_000):
        actions[:] = 0
        disturb(actions, process, ORNSTEIN_UHLENBECK, 0.5, rng)
        path.append(process[0, 0])
    np.random.seed(0)  # it draws from there
    theirs = OrnsteinUhlenbeckActionNoise(np.zeros(1), 0.5 * np.ones(1))
    reference = np.array([theirs()[0] for _ in range(60_000)])
    # stationary deviation σ / √(2 θ) = 0.91, correlation 1 - θ dt from one step to the next
    assert np.std(path) == pytest.approx(0.5 / np.sqrt(0.3), rel=0.2)
    assert np.std(reference) == pytest.approx(0.5 / np.sqrt(0.3), rel=0.2)
    assert np.diff(path).std() == pytest.approx(np.diff(reference).std(), rel=0.02)


def test_noise_begins_anew_with_each_episode():
    agent = TD3("Pendulum-v1", seed=0, noise_type="ornstein-uhlenbeck", noise_std=0.5, **SMALL)
    agent.learn(199)
    assert agent.memory.work.action_noise[0, 0] != 0.0
    agent.learn(1, reset_num_timesteps=False)
    assert agent.memory.work.action_noise[0, 0] == 0.0


@pytest.mark.slow
def test_the_replay_buffer_keeps_actions_within_the_bounds_of_each():
    class Lopsided(gym.Env):
        observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
        action_space = gym.spaces.Box(np.float32([0, -5]), np.float32([1, 20]))

        def reset(self, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros(2, np.float32), {}

        def step(self, action):
            assert self.action_space.contains(action)
            return np.zeros(2, np.float32), float(action[1]), False, False, {}

    agent = SAC(gym.wrappers.TimeLimit(Lopsided(), 20), seed=0, **SMALL, n_envs=1)
    agent.learn(150)
    kept = agent.memory.replay.actions[:150]
    for i, (low, high) in enumerate(((0, 1), (-5, 20))):
        assert kept[:, i].min() >= low - 1e-5
        assert kept[:, i].max() <= high + 1e-5
        assert np.ptp(kept[:, i]) > 0.7 * (high - low)
    assert agent.memory.batch.actions.min() >= -1.0001
    assert agent.memory.batch.actions.max() <= 1.0001


@pytest.mark.parametrize(("gradient_steps", "updates"), [(1, 10), (3, 30), (-1, 80)])
def test_gradient_steps(gradient_steps, updates):
    agent = SAC("Pendulum-v1", seed=0, train_freq=8, gradient_steps=gradient_steps, **SMALL | {"learning_starts": 0})
    assert agent.learn(80).metrics()["train/n_updates"] == updates


def test_the_temperature_is_learned_from_1_or_from_what_is_given_or_is_fixed():
    for ent_coef, start, moves in (("auto", 1.0, True), ("auto_0.1", 0.1, True), (0.2, 0.2, False)):
        agent = SAC("Pendulum-v1", seed=0, ent_coef=ent_coef, **SMALL)
        assert np.exp(agent.memory.work.log_alpha[0]) == pytest.approx(start)
        agent.learn(100)
        assert (np.exp(agent.memory.work.log_alpha[0]) != pytest.approx(start, abs=1e-9)) == moves
        assert agent.memory.settings.entropy_target == -1.0


@pytest.mark.slow
def test_dropout_is_for_training_and_the_actor_waits():
    settings = SMALL | {
        "learning_starts": 0,
        "dropout": 0.2,
        "layer_norm": True,
        "gradient_steps": 4,
        "policy_delay": 4,
    }
    agent = SAC("Pendulum-v1", seed=0, **settings).learn(30)
    assert agent.metrics()["train/n_updates"] == 120
    assert agent.memory.nets.actor.optimiser.t[0] == 30
    obs = np.zeros((5, 3), np.float32)
    assert (agent.probe(obs).value == agent.probe(obs).value).all()


def test_networks_of_torch_learn_what_ours_learn():
    ours, theirs = (SAC("Pendulum-v1", seed=0, network=name, **SMALL) for name in ("numpy", "torch"))
    for agent in (ours, theirs):
        agent.learn(80, engine="python")
    assert theirs.kernels["critics"].arrays(theirs.memory.nets.critics)["parameters"] == pytest.approx(
        ours.memory.nets.critics.net.parameters, abs=1e-4
    )
    assert theirs.memory.nets.actor.parameters == pytest.approx(ours.memory.nets.actor.parameters, abs=1e-4)
    obs = np.zeros((3, 3), np.float32)
    assert theirs.probe(obs).value == pytest.approx(ours.probe(obs).value, abs=1e-3)


@pytest.mark.slow
def test_critics_and_quantiles_as_policy_kwargs_say():
    agent = TQC("Pendulum-v1", seed=0, policy_kwargs={"n_critics": 3, "n_quantiles": 7}, **SMALL).learn(60)
    assert agent.memory.nets.critics.outputs.shape == (3, 16, 7)
    assert agent.memory.work.quantile_targets.shape == (16, 3 * 5)
    agent = SAC("Pendulum-v1", seed=0, policy_kwargs={"net_arch": {"pi": [8], "qf": [12, 4]}}, **SMALL).learn(60)
    assert agent.memory.nets.actor.parameters.size == 3 * 8 + 8 + 8 * 2 + 2
    assert agent.memory.nets.critics.net.parameters.size == 2 * (4 * 12 + 12 + 12 * 4 + 4 + 4 + 1)


@pytest.mark.parametrize(
    ("cls", "settings", "error", "said"),
    [
        (SAC, {"ent_coef": "automatic"}, HyperparameterError, "ent_coef='automatic' is not a temperature"),
        (SAC, {"ent_coef": 0.0}, HyperparameterError, "ent_coef=0.0 is not a temperature"),
        (SAC, {"ent_coef": "auto_-1"}, HyperparameterError, "ent_coef='auto_-1' is not a temperature"),
        (SAC, {"noise_type": "pink"}, HyperparameterError, "None | normal | ornstein-uhlenbeck"),
        (TD3, {"use_sde": True}, UnknownNameError, "use_sde"),
        (TD3, {"policy_kwargs": {"n_critics": 0}}, HyperparameterError, "n_critics=0"),
        (TD3, {"policy_kwargs": {"net_arch": {"pi": [8], "vf": [8]}}}, HyperparameterError, "needs pi and qf"),
        (TQC, {"top_quantiles_to_drop_per_net": 25}, HyperparameterError, "leaves nothing of n_quantiles=25"),
        (SAC, {"network": [rlplay.networks.Linear(3, 8)]}, HyperparameterError, "is not one of numpy | torch"),
        (SAC, {"dropout": 0.1, "network": "torch"}, HyperparameterError, "dropout=0.1 is for our networks"),
        (SAC, {"target_networks": False, "network": "torch"}, HyperparameterError, "target_networks=False is for our"),
        (DDPG, {"batch_size": 1000, "buffer_size": 300}, HyperparameterError, "buffer_size"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_before_training(cls, settings, error, said):
    with pytest.raises(error, match=re.escape(said)):
        cls("Pendulum-v1", **{"buffer_size": 500, **settings})


def test_numbers_that_are_not_finite_end_training_with_what_helps():
    agent = SAC("Pendulum-v1", seed=0, **SMALL | {"learning_rate": 10.0})
    with pytest.raises(UsageError, match="at timestep .* Take a smaller learning_rate, or normalize=True"):
        agent.learn(4000)


def test_pictures_beside_actions_are_refused_by_name_and_flat_ones_are_asked_for():
    class Pictures(gym.Env):
        observation_space = gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)
        action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    for cls in (SAC, TQC, TD3, DDPG):
        with pytest.raises(SpaceError, match=f"{cls.__name__} has no convolutions, and .*Take PPO or A2C"):
            cls(Pictures(), **SMALL)
    assert SAC(Pictures(), policy="MlpPolicy", **SMALL).memory.batch.obs.shape == (16, 192)
    assert SAC(Pictures(), features="pca:4", **SMALL).memory.batch.obs.shape == (16, 4)


def test_pictures_go_through_convolutions_where_actions_are_finite():
    class Pictures(gym.Env):
        observation_space = gym.spaces.Box(0, 255, (8, 8, 3), np.uint8)
        action_space = gym.spaces.Discrete(3)

    nets = DiscreteSAC(Pictures(), **SMALL).memory.nets
    for net in (nets.actor, nets.critics.net):
        assert net.layers[0, KIND] == CONV_2D


def test_actions_that_do_not_fit_are_named():
    with pytest.raises(SpaceError, match="DQN, PPO or A2C"):
        SAC("CartPole-v1", buffer_size=500)

    class Unbounded(gym.Env):
        observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
        action_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)

    with pytest.raises(SpaceError, match="needs actions with bounds"):
        TD3(Unbounded(), buffer_size=500)


ZOO = {
    "sac": """
Pendulum-v1:
  n_timesteps: !!float 300
  policy: 'MlpPolicy'
  learning_rate: !!float 1e-3
  buffer_size: 1000
""",
    "td3": """
Pendulum-v1:
  n_timesteps: 300
  policy: 'MlpPolicy'
  gamma: 0.98
  buffer_size: 1000
  learning_starts: 200
  noise_type: 'normal'
  noise_std: 0.1
  gradient_steps: 1
  train_freq: 1
  learning_rate: !!float 1e-3
  policy_kwargs: "dict(net_arch=[40, 30])"
""",
    "tqc": """
Pendulum-v1:
  n_timesteps: 150
  policy: 'MlpPolicy'
  buffer_size: 1000
  learning_rate: lin_7.3e-4
  ent_coef: 'auto'
  top_quantiles_to_drop_per_net: 5
  policy_kwargs: "dict(n_critics=2, n_quantiles=10, net_arch=[16, 16])"
""",
}


@pytest.mark.parametrize("agent_id", ZOO)
def test_zoo_files_are_read_unchanged(agent_id, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoo.yml").write_text(ZOO[agent_id])
    assert main(["train", "--algo", agent_id, "--env", "Pendulum-v1", "-conf", "zoo.yml", "--seed", "0"]) == 0
    assert rlplay.load(tmp_path / f"logs/{agent_id}/Pendulum-v1_1/Pendulum-v1.rlp").metrics()["train/n_updates"] > 0
