"""What Stable-Baselines3's users ask of a policy with tensors, a model's schedules and its logger, by imports alone."""

from __future__ import annotations

import copy
import csv
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.callbacks import BaseCallback, LogEveryNTimesteps
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.ppo import CnnPolicy, MlpPolicy

import agents
import agents.sb3
from rlplay import sb3
from rlplay.errors import EnvironmentFault, HyperparameterError, RlplayWarning, UsageError

SMALL = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "seed": 0}
REPLAY = {"buffer_size": 300, "learning_starts": 10, "batch_size": 16, "seed": 0}
BOTH = pytest.mark.parametrize("door", [agents, agents.sb3], ids=["ours", "sb3"])
OBS = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
pytestmark = [
    pytest.mark.filterwarnings("ignore:callback=.* asks after every step"),
    pytest.mark.filterwarnings("ignore:.* will have learned nothing"),
    pytest.mark.filterwarnings("ignore:.* in Monitor is stepped in Python"),
]


@BOTH
def test_a_policy_is_asked_for_probabilities_and_values(door):
    model = door.PPO("MlpPolicy", "CartPole-v1", **SMALL).learn(32)
    policy = model.policy
    obs, single = policy.obs_to_tensor(OBS)
    distribution = policy.get_distribution(obs_as_tensor(OBS, policy.device))
    probabilities, found = distribution.distribution.probs.detach().cpu().numpy(), model.probe(OBS)
    assert single
    assert np.allclose(probabilities, found.action_probabilities, atol=1e-6)
    assert np.allclose(policy.predict_values(obs).detach().numpy()[:, 0], found.value, atol=1e-5)
    actions, values, log_prob = policy(obs, deterministic=True)
    assert np.array_equal(actions.numpy(), model.predict(OBS, deterministic=True)[0])
    again, same, entropy = policy.evaluate_actions(obs, actions)
    assert torch.allclose(again, values)
    assert torch.allclose(same, log_prob)
    assert entropy.shape == (20,)
    model.learn(32)
    assert not torch.allclose(policy.predict_values(obs), values)  # of the weights that there are now


@BOTH
def test_action_values_and_critics(door):
    model = door.DQN("MlpPolicy", "CartPole-v1", **REPLAY).learn(40)
    with torch.no_grad():
        values = model.q_net(model.policy.obs_to_tensor(OBS)[0])
    assert np.allclose(values.numpy(), model.probe(OBS).action_values, atol=1e-5)
    assert model.policy.q_net_target(torch.zeros(3, 4)).shape == (3, 2)
    model = door.SAC("MlpPolicy", "Pendulum-v1", **REPLAY).learn(20)
    assert [one.shape for one in model.critic(torch.zeros(2, 3), torch.zeros(2, 1))] == [(2, 1)] * 2
    assert model.actor(torch.zeros(2, 3), deterministic=True).shape == (2, 1)
    assert not hasattr(model, "q_net")


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:Converting a tensor")
@BOTH
def test_a_policy_within_a_module_is_traced(door):
    class Deterministic(torch.nn.Module):
        def __init__(self, policy):
            super().__init__()
            self.policy = policy

        def forward(self, observation):
            return self.policy(observation, deterministic=True)

    model = door.PPO("MlpPolicy", "CartPole-v1", **SMALL)
    exported = torch.jit.trace(Deterministic(model.policy), torch.zeros(1, 4), check_trace=False)
    assert exported(torch.from_numpy(OBS))[0].tolist() == model.predict(OBS, deterministic=True)[0].tolist()


def test_a_copy_in_torch_learns_and_comes_back(tmp_path):
    agent, before = agents.PPO("CartPole-v1", **SMALL), torch.get_rng_state()
    model = sb3.as_model(agent)
    assert torch.equal(torch.get_rng_state(), before)
    optimizer, target = torch.optim.Adam(model.policy.parameters(), lr=0.01), torch.ones(20)
    for _ in range(30):
        loss = -model.policy.evaluate_actions(torch.from_numpy(OBS), target)[1].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save(tmp_path / "taught")
    taught = sb3.load_zip(tmp_path / "taught.zip", "CartPole-v1")
    assert taught.predict(OBS, deterministic=True)[0].all()
    assert not agent.predict(OBS, deterministic=True)[0].all()
    with pytest.raises(AttributeError, match=r"'parameters'.*rlplay\.sb3\.as_model\(agent\).*load_zip"):
        agent.policy.parameters()


@BOTH
def test_what_is_given_has_gradients(door):
    obs = torch.zeros(1, 4, requires_grad=True)
    door.DQN("MlpPolicy", "CartPole-v1", **REPLAY).q_net(obs).max().backward()
    assert obs.grad.abs().sum() > 0


@BOTH
def test_a_model_goes_on_in_the_environment_of_another(door, tmp_path):
    model = door.PPO("MlpPolicy", "CartPole-v1", **SMALL).learn(32)
    again = door.PPO.load(model.save(tmp_path / "model"), env=model.get_env())
    assert again.learn(16, reset_num_timesteps=False).num_timesteps == 48


@BOTH
def test_a_model_is_loaded_with_environments_that_cannot_be_made_anew(door, tmp_path):
    env = make_vec_env("CartPole-v1", n_envs=2, monitor_dir=str(tmp_path))
    path = door.PPO("MlpPolicy", env, **SMALL).learn(32).save(tmp_path / "model")
    before = len(env.envs[1].get_episode_rewards())
    again = door.PPO.load(path, env=env).learn(128, reset_num_timesteps=False)
    assert again.num_timesteps == 160
    assert len(env.envs[1].get_episode_rewards()) > before
    env.close()
    with pytest.warns(RlplayWarning, match="loaded without its environment"):
        without = door.PPO.load(path)
    with pytest.raises(EnvironmentFault, match="^this agent was loaded without its environment"):
        without.learn(16)


def test_episodes_are_told_by_a_monitor_that_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setattr("rlplay.errors._said_once", set())  # what it says, others wait for
    env = Monitor(gym.make("CartPole-v1"), str(tmp_path))
    model = agents.PPO("MlpPolicy", env, **SMALL).learn(64)
    assert model.get_env().envs[0].get_episode_rewards() == env.get_episode_rewards() != []
    env.close()
    with pytest.raises(UsageError, match=r"get_total_steps: the run counts.*ep_info_buffer.*Monitor of yours"):
        agents.PPO("MlpPolicy", "CartPole-v1", **SMALL).learn(64).get_env().env_method("get_total_steps")


class Entropy(BaseCallback):
    def _on_step(self):
        self.model.ent_coef = 0.1
        return True


def test_what_a_callback_sets_on_the_model_of_the_adapter_is_in_no_file():
    model = agents.sb3.PPO("MlpPolicy", "CartPole-v1", **SMALL)
    with pytest.warns(RlplayWarning, match=r"PPO.ent_coef = 0.1 .*its file keeps 0.0: PPO.load\(path, ent_coef"):
        model.learn(32, Entropy())
    assert (model.model.ent_coef, model.ent_coef) == (0.1, 0.0)


@BOTH
def test_schedules_are_functions_of_what_is_left(door):
    def falling(left):
        return 1e-3 * left

    model = door.PPO(MlpPolicy, "CartPole-v1", learning_rate=falling, **SMALL).learn(32)
    assert model.lr_schedule(1.0) == pytest.approx(1e-3)
    assert model.lr_schedule(0.25) == pytest.approx(2.5e-4)
    assert model._n_updates == 4
    assert model._total_timesteps == 32
    other = door.DQN("MlpPolicy", "CartPole-v1", exploration_initial_eps=0.5, exploration_final_eps=0.5, **REPLAY)
    assert other.learn(40).exploration_rate == pytest.approx(0.5)
    falling = {**REPLAY, "learning_starts": 100, "buffer_size": 200, "exploration_fraction": 1.0}
    waiting, seen = door.DQN("MlpPolicy", "CartPole-v1", exploration_final_eps=0.0, **falling), []
    waiting.learn(40, callback=lambda found, _: bool(seen.append(found["self"].exploration_rate)) or True)
    assert seen[20] == pytest.approx(0.5, abs=0.03)  # also before the first update


@BOTH
def test_arguments_of_learn_stand_in_their_order(door):
    model = door.PPO("MlpPolicy", "CartPole-v1", **SMALL).learn(32, None, 1, "name", True, False)
    assert model.learn(16, None, 1, "name", False).num_timesteps == 48
    with pytest.raises(UsageError, match=r"tb_log_name=True is no name.*progress_bar.*by name"):
        model.learn(16, None, 1, True)


class Losses(BaseCallback):
    """What is asked of the logger in a callback."""

    def _on_training_start(self):
        assert isinstance(self.logger, Logger)
        assert isinstance(self.model.logger, Logger)
        self.losses = []

    def _on_rollout_start(self):
        self.losses.append(self.model.logger.name_to_value["train/loss"])

    def _on_step(self):
        self.logger.record("train/reward", self.locals["rewards"])
        if self.n_calls % 10 == 0:
            self.logger.dump(self.num_timesteps)
        return True


def _column(path, name):
    with open(path, encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


@BOTH
def test_a_logger_knows_the_last_update_and_writes_rows_when_asked(door, tmp_path):
    callback = Losses()
    model = door.PPO("MlpPolicy", "CartPole-v1", **SMALL)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(32, [callback, LogEveryNTimesteps(25)], log_interval=1)
    assert callback.losses[0] == 0.0
    assert callback.losses[1] != 0.0
    model.logger.close()
    assert _column(tmp_path / "progress.csv", "time/total_timesteps") == ["10", "16", "20", "25", "30", "32"]
    assert _column(tmp_path / "progress.csv", "train/reward")[0] == "1.0"


@BOTH
def test_log_interval_counts_rollouts(door, tmp_path):
    model = door.PPO("MlpPolicy", "CartPole-v1", **SMALL)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(96, log_interval=2)
    model.logger.close()
    assert _column(tmp_path / "progress.csv", "time/total_timesteps") == ["32", "64", "96"]


@BOTH
def test_log_interval_counts_each_episode_and_a_logger_alone_prints_it(door, tmp_path, capsys):
    env = Monitor(TimeLimit(gym.make("CartPole-v1"), 8), str(tmp_path))  # stepped in Python
    model = door.DQN("MlpPolicy", env, verbose=1, **REPLAY)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    capsys.readouterr()
    model.learn(48, log_interval=2)
    model.logger.close()
    env.close()
    assert _column(tmp_path / "progress.csv", "time/total_timesteps") == ["16", "32", "48"]
    assert "---" not in capsys.readouterr().out


@BOTH
def test_policies_of_theirs_are_taken_by_class(door, tmp_path):
    path = door.PPO(policy=MlpPolicy, env="CartPole-v1", **SMALL).save(tmp_path / "model")
    assert door.PPO.load(path).hyperparameters["policy"] == "MlpPolicy"
    with pytest.warns(RlplayWarning, match="are no pictures") if door is agents else pytest.raises(HyperparameterError):
        door.PPO(CnnPolicy, "CartPole-v1", **SMALL)


@BOTH
def test_custom_objects_that_are_there_to_predict_are_left_out(door, tmp_path, monkeypatch):
    monkeypatch.setattr("rlplay.errors._said_once", set())
    path = door.PPO("MlpPolicy", "CartPole-v1", **SMALL).save(tmp_path / "model")
    objects = {"learning_rate": 0.0, "lr_schedule": lambda _: 0.0, "clip_range": lambda _: 0.0}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = door.PPO.load(path, custom_objects=objects)
    assert sum("left out of custom_objects, so that the file's own stays" in str(one.message) for one in said) == 2
    assert (model.learning_rate, model.clip_range) == (3e-4, 0.2)


class Copies(BaseCallback):
    def _on_step(self):
        if self.n_calls == 20:
            self.copy = copy.deepcopy(self.model)
        return True


def test_a_model_is_copied_and_pickled(tmp_path):
    callback = Copies()
    model = agents.PPO("MlpPolicy", "CartPole-v1", tensorboard_log=str(tmp_path), **SMALL).learn(32, callback)
    assert callback.copy.num_timesteps == 20
    for one in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(one.predict(OBS, deterministic=True)[0], model.predict(OBS, deterministic=True)[0])
        assert one.learn(16).logger.name_to_value["train/loss"] == one.metrics()["train/loss"]


def test_what_policy_kwargs_cannot_mean_names_the_way_out():
    class Swish(torch.nn.Module):
        pass

    def made(policy="MlpPolicy", env="CartPole-v1", **of_policy):
        return agents.PPO(policy, env, policy_kwargs=of_policy, **SMALL)

    with pytest.raises(UsageError, match="Swish, a class.*Take Tanh.*network= takes a torch module"):
        made(activation_fn=Swish)
    made(normalize_images=False)
    with pytest.raises(UsageError, match="bytes of pictures are scaled.*float32"):
        made("CnnPolicy", normalize_images=False)


def test_learning_without_masks_that_there_are_is_refused():
    masked = type("Masked", (gym.Wrapper,), {"action_masks": lambda self: np.array([True, True])})
    agent = agents.PPO("MlpPolicy", masked(gym.make("CartPole-v1")), **SMALL)
    assert agent.learn(16, use_masking=True).num_timesteps == 16
    with pytest.raises(UsageError, match="use_masking=False.*action_masks"):
        agent.learn(16, use_masking=False)
    assert agents.PPO("CartPole-v1", **SMALL).learn(16, use_masking=False).num_timesteps == 16


@BOTH
def test_weights_are_searched_as_tensors(door):
    """The example of Stable-Baselines3's page: an evolution strategy over the policy's weights."""
    model = door.A2C("MlpPolicy", "CartPole-v1", policy_kwargs={"net_arch": [8]}, seed=0)
    before, values = model.probe(OBS).action_probabilities, model.probe(OBS).value
    weights = copy.deepcopy(model.policy.state_dict())  # there, it follows the model
    mean = {name: value for name, value in weights.items() if "policy" in name or "action" in name}
    model.policy.load_state_dict({name: value + torch.randn_like(value) for name, value in mean.items()}, strict=False)
    assert not np.allclose(model.probe(OBS).action_probabilities, before)
    assert np.array_equal(model.probe(OBS).value, values)
    model.policy.load_state_dict(weights)
    assert np.array_equal(model.probe(OBS).action_probabilities, before)
    with pytest.raises((UsageError, RuntimeError), match="was given no|Missing key"):
        model.policy.load_state_dict({})
