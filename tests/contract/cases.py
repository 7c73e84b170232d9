"""The cases of the contract tests, and of `tests/same_bits.py`."""

from __future__ import annotations

from typing import Any

Case = tuple[str, str, int, dict[str, Any]]
SMALL = {"policy_kwargs": {"net_arch": [16]}, "device": "cpu"}
REPLAY = {**SMALL, "buffer_size": 1000, "learning_starts": 20, "batch_size": 16}
DQN = {"net_arch": [16], "buffer_size": 400, "learning_starts": 20, "batch_size": 16, "target_update_interval": 60}
WINDOWS = {**DQN, "net_arch": [8], "recurrent_size": 8, "batch_size": 6, "sequence_length": 6, "burn_in": 3}
OFFLINE = {"net_arch": [16], "batch_size": 16}
ACTOR_CRITIC = {"net_arch": [16], "buffer_size": 400, "learning_starts": 60, "batch_size": 16}

# Agents that compile for long: `pytest -m slow` has their contract.
LONG_AGENTS = frozenset(
    (
        "ddpg",
        "discrete-bcq",
        "discrete-iql",
        "discrete-sac",
        "iql",
        "recurrent-dqn",
        "sac",
        "td3",
        "td3-bc",
        "tqc",
        "trpo",
    )
)

# Agent, environment, steps of a run, hyperparameters: what each agent is for, its rarer spaces, and each kind of model.
CASES: list[Case] = [
    ("q-learning", "FrozenLake-v1", 3000, {}),
    ("q-learning", "Blackjack-v1", 3000, {}),  # a space that is no single number, and no table
    ("q-learning", "CartPole-v1", 3000, {"features": "k-means:16,warm_up=300,refit_every=900"}),
    ("sarsa", "FrozenLake-v1", 3000, {}),
    ("expected-sarsa", "FrozenLake-v1", 3000, {}),
    ("epsilon-greedy", "rlplay/Bandit-v0", 1500, {}),
    ("ucb", "rlplay/Bandit-v0", 1500, {}),
    ("lin-ucb", "rlplay/LinearBandit-v0", 400, {}),
    ("linear-thompson-sampling", "rlplay/LinearBandit-v0", 400, {}),
    ("model-bandit", "rlplay/LinearBandit-v0", 400, {"train_freq": 60}),
    ("gradient-bandit", "FrozenLake-v1", 3000, {}),  # a contextual bandit: each state for itself
    ("thompson-sampling", "FrozenLake-v1", 3000, {}),
    ("policy-evaluation", "rlplay/RandomWalk-v0", 500, {"gamma": 1.0}),
    ("policy-iteration", "FrozenLake-v1", 3000, {}),
    ("value-iteration", "FrozenLake-v1", 3000, {}),
    ("value-iteration", "Taxi-v4", 3000, {}),  # action masks
    ("monte-carlo", "FrozenLake-v1", 3000, {}),
    ("off-policy-monte-carlo", "Blackjack-v1", 2000, {"policy": "stick-on-20", "importance_sampling": "ordinary"}),
    ("td-prediction", "FrozenLake-v1", 3000, {"lambda_": 0.8, "traces": "dutch"}),
    ("double-q-learning", "FrozenLake-v1", 3000, {}),
    ("double-sarsa", "FrozenLake-v1", 3000, {}),
    ("n-step-sarsa", "Taxi-v4", 3000, {"method": "q-sigma", "target_epsilon": 0.05, "epsilon": 0.2}),
    ("sarsa-lambda", "FrozenLake-v1", 3000, {}),
    ("watkins-q-lambda", "Taxi-v4", 3000, {}),
    ("differential-sarsa", "rlplay/AccessControl-v0", 3000, {}),
    ("dyna-q", "FrozenLake-v1", 3000, {}),
    ("dyna-q-plus", "Taxi-v4", 2000, {}),
    ("prioritized-sweeping", "rlplay/GridWorld-v0", 2000, {}),
    ("mcts", "FrozenLake-v1", 200, {"simulations": 20, "depth": 30}),
    ("real-time-dp", "rlplay/Racetrack-v0", 2000, {"gamma": 1.0}),
    ("reinforce", "CartPole-v1", 3000, {"batch_size": 300, "network": [{"layer": "Linear", "n_in": 4, "n_out": 16},
                                                                         {"layer": "Tanh"}]}),
    ("ppo", "CartPole-v1", 900, {"n_envs": 3, "n_steps": 50, "batch_size": 30, "n_epochs": 2}),
    ("a2c", "CartPole-v1", 900, {"n_envs": 3}),
    ("trpo", "CartPole-v1", 900, {"n_envs": 3, "n_steps": 50, "batch_size": 30, "n_critic_updates": 2}),
    ("ars", "CartPole-v1", 900, {"n_delta": 2, "normalize": True}),
    ("cem", "CartPole-v1", 900, {"n_candidates": 3}),
    ("evolution-strategies", "CartPole-v1", 900, {"n_delta": 2, "policy": "MlpPolicy", "net_arch": [8]}),
    ("dqn", "CartPole-v1", 900, {**DQN, "n_envs": 3, "double": True, "n_steps": 2, "prioritized": True}),
    ("recurrent-dqn", "rlplay/CartPoleNoVel-v1", 600, {**WINDOWS, "n_envs": 2, "double": True}),
    ("pqn", "CartPole-v1", 900, {"n_envs": 3, "n_steps": 50, "batch_size": 30, "n_epochs": 2, "net_arch": [16]}),
    ("sac", "Pendulum-v1", 900, {**ACTOR_CRITIC, "n_envs": 3, "n_steps": 3, "train_freq": 2, "gradient_steps": -1}),
    ("discrete-sac", "CartPole-v1", 600, {**ACTOR_CRITIC, "n_envs": 2}),
    ("tqc", "Pendulum-v1", 500, {**ACTOR_CRITIC, "ent_coef": 0.1}),
    ("td3", "Pendulum-v1", 500, {**ACTOR_CRITIC, "n_envs": 2, "noise_type": "ornstein-uhlenbeck"}),
    ("ddpg", "MountainCarContinuous-v0", 500, {**ACTOR_CRITIC, "noise_type": "normal", "normalize": True}),
    ("cql", "CartPole-v1", 600, {**OFFLINE, "dataset": "random:300", "target_update_interval": 60}),
    ("discrete-bcq", "CartPole-v1", 600, {**OFFLINE, "dataset": "random:300", "target_update_interval": 60}),
    ("discrete-iql", "CartPole-v1", 600, {**OFFLINE, "dataset": "random:300"}),
    ("td3-bc", "Pendulum-v1", 300, {**OFFLINE, "dataset": "pump-and-hold:300"}),
    ("iql", "Pendulum-v1", 300, {**OFFLINE, "dataset": "random:300", "normalize": True}),
    ("linear-sarsa", "MountainCar-v0", 3000, {"n_steps": 3}),
    ("linear-q-learning", "CartPole-v1", 2000, {"features": "rbf-grid:3,warm_up=300,refit_every=700",
                                                "intercept": True, "alpha": 0.01}),
    ("true-online-sarsa-lambda", "MountainCar-v0", 3000, {}),
    ("gradient-td", "rlplay/Baird-v0", 1000, {"policy": [0.0, 1.0], "behaviour": [6 / 7, 1 / 7],
                                              "features": "identity", "alpha": 0.005}),
    ("emphatic-td", "rlplay/RandomWalk-v0", 1000, {"policy": [0.3, 0.7], "behaviour": "random", "lambda_": 0.5}),
    ("lstd", "rlplay/RandomWalk-v0", 600, {"lambda_": 0.4}),
    ("linear-actor-critic", "MountainCarContinuous-v0", 2000, {}),
    ("lspi", "rlplay/InvertedPendulum-v0", 300, {"features": "rbf-grid:3,warm_up=50", "intercept": True,
                                                 "train_freq": 60}),
    ("neural-fitted-q", "CartPole-v1", 250, {"train_freq": 50, "n_iterations": 2, "n_epochs": 2}),
    ("gp-sarsa", "CartPole-v1", 500, {"dictionary_size": 20, "features": "standard-scaler:warm_up=50"}),
    ("episodic-control", "CartPole-v1", 500, {"memory_size": 50, "projection": 3}),
    ("behavior-cloning", "CartPole-v1", 300, {"teacher": "follow-the-pole", "train_freq": 60}),
    ("dagger", "Pendulum-v1", 300, {"teacher": "pump-and-hold", "train_freq": 60, "beta": 0.5,
                                    "model": "decision-tree"}),
    ("fitted-q", "CartPole-v1", 600, {"model": "extra-trees:4", "train_freq": 150, "n_iterations": 3}),
    ("sb3/ppo", "CartPole-v1", 420, {**SMALL, "n_steps": 24, "n_envs": 2, "batch_size": 16, "n_epochs": 2}),
    ("sb3/a2c", "Pendulum-v1", 200, {**SMALL, "normalize": True}),
    ("sb3/dqn", "CartPole-v1", 300, {**REPLAY, "target_update_interval": 50}),
]  # fmt: skip


# More of them, and what compiles for long: `pytest -m slow`.
LONG_CASES: list[Case] = [
    ("reinforce", "CartPole-v1", 3000, {"batch_size": 300, "features": "pca:4,warm_up=200,refit_every=700"}),
    ("ppo", "CartPole-v1", 400, {"n_steps": 60, "batch_size": 20, "n_epochs": 2, "network": "torch"}),
    ("ppo", "rlplay/CartPoleNoVel-v1", 720, {"n_envs": 2, "n_steps": 32, "batch_size": 16, "n_epochs": 2,
                                             "recurrent": "lstm", "recurrent_size": 8, "net_arch": [8]}),
    ("a2c", "rlplay/MemoryChain-v0", 720, {"n_envs": 2, "n_steps": 16, "recurrent": "gru", "recurrent_size": 8,
                                           "critic_memory": "shared", "net_arch": [8]}),
    ("reinforce", "rlplay/RepeatSignal-v0", 1000, {"batch_size": 100, "recurrent": "gru", "recurrent_size": 8,
                                                   "critic_memory": "none", "net_arch": [8]}),
    ("sb3/sac", "Pendulum-v1", 130, REPLAY),
    ("q-learning", "rlplay/GridWorld-v0", 3000, {}),  # no time limit
    ("q-learning", "MountainCar-v0", 300, {"features": "sklearn/k-means:8,warm_up=50,refit_every=150"}),
    ("sarsa", "Blackjack-v1", 3000, {}),
    ("expected-sarsa", "Blackjack-v1", 3000, {}),
    ("policy-iteration", "rlplay/AccessControl-v0", 100, {"average_reward": True}),
    ("value-iteration", "rlplay/Gambler-v0", 100, {"gamma": 1.0}),
    ("monte-carlo", "rlplay/Gambler-v0", 3000, {"exploring_starts": True, "gamma": 1.0}),
    ("monte-carlo", "Blackjack-v1", 2000, {"policy": "stick-on-20", "visit": "every"}),
    ("off-policy-monte-carlo", "FrozenLake-v1", 3000, {"epsilon": 0.4}),
    ("td-prediction", "rlplay/RandomWalk-v0", 3000, {"alpha": "1/n_0.7"}),
    ("td-prediction", "FrozenLake-v1", 3000, {"n_steps": 3}),
    ("td-prediction", "FrozenLake-v1", 2000, {"lambda_": 0.8, "traces": "offline"}),
    ("q-learning", "Taxi-v4", 3000, {"alpha": "1/n_0.7", "epsilon": "1/n_0.5"}),  # action masks from the table
    ("double-q-learning", "rlplay/MaximizationBias-v0", 900, {}),
    ("n-step-sarsa", "FrozenLake-v1", 3000, {}),
    ("mcts", "rlplay/Gambler-v0", 100, {"simulations": 20}),
    ("reinforce", "Pendulum-v1", 1000, {"batch_size": 100, "network": "torch"}),
    ("linear-sarsa", "FrozenLake-v1", 2000, {}),
    ("linear-actor-critic", "MountainCar-v0", 2000, {"average_reward": True}),
    ("lspi", "FrozenLake-v1", 300, {"train_freq": 60, "n_iterations": 4}),
    ("fitted-q", "Pendulum-v1", 200, {"model": "extra-trees:3", "train_freq": 60, "n_iterations": 2,
                                      "n_eval_episodes": 0, "n_candidates": 3, "features": "pca:2,warm_up=50"}),
    ("fitted-q", "CartPole-v1", 300, {"model": "sklearn/extra-trees:3", "train_freq": 75, "n_iterations": 2,
                                      "n_eval_episodes": 0, "layout": "action as input"}),
    ("sb3/ppo", "CartPole-v1", 450, {**SMALL, "n_steps": 32, "batch_size": 16, "n_epochs": 2,
                                     "features": "pca:3,warm_up=40,refit_every=80"}),
    ("sb3/td3", "Pendulum-v1", 130, {**REPLAY, "noise_type": "normal"}),
    ("sb3/ddpg", "Pendulum-v1", 900, {**REPLAY, "noise_type": "ornstein-uhlenbeck", "train_freq": [1, "episode"]}),
    ("sarsa", "CartPole-v1", 3000, {"features": "k-means:16,warm_up=300,refit_every=900"}),
    ("n-step-sarsa", "CartPole-v1", 2000, {"n_steps": 3, "features": "k-means:16,warm_up=300,refit_every=700"}),
    ("sarsa-lambda", "CartPole-v1", 2000, {"traces": "dutch", "features": "k-means:16,warm_up=300,refit_every=700"}),
    ("td-prediction", "CartPole-v1", 2000, {"lambda_": 0.8, "features": "k-means:16,warm_up=300,refit_every=700"}),
    ("q-learning", "rlplay/MaximizationBias-v0", 900, {}),  # action masks, no table
    ("reinforce", "Pendulum-v1", 1800, {"batch_size": 300, "normalize": True}),
    ("reinforce", "FrozenLake-v1", 600, {"batch_size": 100}),
    ("ppo", "CartPole-v1", 1500, {"n_envs": 2, "n_steps": 50, "features": "k-means:8,warm_up=200,refit_every=300"}),
    ("ppo", "Pendulum-v1", 600, {"n_envs": 2, "n_steps": 70, "n_epochs": 2, "normalize": True, "clip_range_vf": 0.2}),
    ("ppo", "rlplay/MaximizationBias-v0", 300, {"n_steps": 32, "batch_size": 16, "n_epochs": 2}),  # action masks
    ("ppo", "Blackjack-v1", 300, {"n_steps": 32, "batch_size": 16, "n_epochs": 2, "target_kl": 0.001}),
    ("a2c", "Pendulum-v1", 300, {"n_envs": 2, "normalize": {"norm_reward": False}, "network": "torch"}),
    ("a2c", "FrozenLake-v1", 300, {"use_rms_prop": False}),
    ("ars", "FrozenLake-v1", 900, {"n_delta": 2}),
    ("evolution-strategies", "Pendulum-v1", 3000, {"n_delta": 1, "n_eval_episodes": 1}),
    ("ppo", "Pendulum-v1", 600, {"n_envs": 2, "n_steps": 30, "batch_size": 30, "use_sde": True, "sde_sample_freq": 4}),
    ("trpo", "Pendulum-v1", 600, {"n_envs": 2, "n_steps": 60, "batch_size": 30, "normalize": True}),
    ("trpo", "CartPole-v1", 300, {"n_steps": 60, "batch_size": 20, "network": "torch", "line_search_max_iter": 0}),
    ("dqn", "CartPole-v1", 400, {**DQN, "network": "torch"}),
    ("dqn", "CartPole-v1", 900, {**DQN, "n_envs": 2, "features": "k-means:8,warm_up=100,refit_every=300"}),
    ("dqn", "MountainCar-v0", 900, {**DQN, "normalize": True, "train_freq": 16, "gradient_steps": -1}),
    ("dqn", "CartPole-v1", 500, {**DQN, "double": True, "dueling": True, "prioritized": True, "n_steps": 3,
                                 "noisy": True, "distributional": "c51", "v_min": 0.0, "v_max": 100.0}),
    ("dqn", "Acrobot-v1", 500, {**DQN, "distributional": "qr", "munchausen": True, "dueling": True}),
    ("pqn", "CartPole-v1", 400, {"n_steps": 30, "batch_size": 20, "net_arch": [16], "network": "torch"}),
    ("pqn", "CartPole-v1", 900, {"n_envs": 2, "n_steps": 20, "batch_size": 20, "net_arch": [16],
                                 "features": "k-means:8,warm_up=100,refit_every=300"}),
    ("pqn", "MountainCar-v0", 600, {"n_envs": 2, "n_steps": 40, "batch_size": 20, "net_arch": [16], "normalize": True}),
    ("pqn", "rlplay/MaximizationBias-v0", 300, {"n_envs": 2, "n_steps": 16, "batch_size": 16}),  # action masks
    ("sac", "Pendulum-v1", 300, {**ACTOR_CRITIC, "network": "torch", "ent_coef": "auto_0.1"}),
    ("sac", "Pendulum-v1", 900, {**ACTOR_CRITIC, "learning_starts": 20,
                                 "features": "k-means:8,warm_up=100,refit_every=300"}),
    ("sac", "Pendulum-v1", 350, {**ACTOR_CRITIC, "dropout": 0.1, "layer_norm": True, "gradient_steps": 3,
                                 "policy_delay": 2}),
    ("sac", "Pendulum-v1", 350, {**ACTOR_CRITIC, "batch_renorm": True, "target_networks": False, "beta_1": 0.5}),
    ("discrete-sac", "FrozenLake-v1", 300, {**ACTOR_CRITIC, "ent_coef": 0.1}),
    ("discrete-sac", "rlplay/MaximizationBias-v0", 300, {**ACTOR_CRITIC, "ent_coef": 0.1}),  # action masks
    ("td3", "Pendulum-v1", 900, {**ACTOR_CRITIC, "network": "torch", "train_freq": [1, "episode"]}),
    ("cql", "CartPole-v1", 300, {**OFFLINE, "dataset": "random:300", "features": "k-means:8,warm_up=100"}),
    ("cql", "FrozenLake-v1", 200, {**OFFLINE, "dataset": "random:300", "network": "torch"}),
    ("recurrent-dqn", "rlplay/MemoryChain-v0", 700, {**WINDOWS, "recurrent": "gru", "dueling": True, "n_steps": 3,
                                                     "train_freq": [1, "episode"]}),
    ("recurrent-dqn", "rlplay/CartPoleNoVel-v1", 300, {**WINDOWS, "network": "torch"}),
    ("recurrent-dqn", "FrozenLake-v1", 300, {**WINDOWS, "buffer_size": 100}),
    ("recurrent-dqn", "rlplay/MaximizationBias-v0", 300, WINDOWS),  # action masks
    ("recurrent-dqn", "CartPole-v1", 900, {**WINDOWS, "n_envs": 2,
                                           "features": "k-means:8,warm_up=100,refit_every=300"}),
    ("dqn", "FrozenLake-v1", 300, {**DQN, "loss": "mse", "train_freq": [1, "episode"]}),
    ("dqn", "rlplay/BitFlipping-v0", 420, {**DQN, "n_envs": 2, "n_sampled_goal": 4, "normalize": True}),
]  # fmt: skip


def name_of(case: Case) -> str:
    """Agent, environment and hyperparameters that tell a case from others."""
    told = [str(v) for k, v in case[3].items() if k in ("features", "network", "traces", "n_steps", "policy", "method")]
    return "-".join([case[0], case[1], *told])
