"""Data about agents, read by the command line: tuned settings, the figures of the textbook. Nothing is imported."""

from __future__ import annotations

_HOME = f"{__package__}.figures"

# Name: where it is computed, and what it shows. In the order of the book.
FIGURES = {
    "bandit-epsilon": (f"{_HOME}.bandits:epsilon", "figure 2.2: ε-greedy action values"),
    "bandit-optimistic": (f"{_HOME}.bandits:optimistic", "figure 2.3: optimistic initial values"),
    "bandit-ucb": (f"{_HOME}.bandits:ucb", "figure 2.4: upper confidence bounds"),
    "bandit-gradient": (f"{_HOME}.bandits:gradient", "figure 2.5: gradient bandits"),
    "bandit-parameters": (f"{_HOME}.bandits:parameters", "figure 2.6: a parameter study"),
    "bandit-drifting": (f"{_HOME}.bandits:drifting", "exercise 2.5: a drifting bandit"),
    "gridworld": (f"{_HOME}.planning:gridworld", "figure 4.1: policy evaluation"),
    "car-rental": (f"{_HOME}.planning:car_rental", "figure 4.2: policy iteration"),
    "gambler": (f"{_HOME}.planning:gambler", "figure 4.3: value iteration"),
    "blackjack-values": (f"{_HOME}.monte_carlo:blackjack_values", "figure 5.1: Monte Carlo prediction"),
    "blackjack-optimal": (f"{_HOME}.monte_carlo:blackjack_optimal", "figure 5.2: exploring starts"),
    "importance-sampling": (f"{_HOME}.monte_carlo:importance_sampling", "figure 5.3: ordinary and weighted averages"),
    "infinite-variance": (f"{_HOME}.monte_carlo:infinite_variance", "figure 5.4: averages that never settle"),
    "racetrack": (f"{_HOME}.models:racetrack", "figure 5.5 and section 8.7: the racetrack by real-time DP"),
    "random-walk": (f"{_HOME}.temporal_difference:random_walk", "example 6.2: TD and Monte Carlo"),
    "batch": (f"{_HOME}.temporal_difference:batch", "figure 6.2: batch training"),
    "windy-gridworld": (f"{_HOME}.temporal_difference:windy", "example 6.5: Sarsa in the wind"),
    "cliff-walking": (f"{_HOME}.temporal_difference:cliff_walking", "example 6.6: on- and off-policy control"),
    "cliff-step-sizes": (f"{_HOME}.temporal_difference:cliff_alphas", "figure 6.3: Expected Sarsa over step sizes"),
    "maximization-bias": (f"{_HOME}.temporal_difference:maximization_bias", "figure 6.5: Double Q-learning"),
    "n-steps": (f"{_HOME}.temporal_difference:n_steps", "figure 7.2: n-step TD"),
    "dyna-maze": (f"{_HOME}.models:dyna_maze", "figure 8.2: planning steps"),
    "blocking-maze": (f"{_HOME}.models:blocking_maze", "figure 8.4: the way is blocked"),
    "shortcut-maze": (f"{_HOME}.models:shortcut_maze", "figure 8.5: a shortcut opens"),
    "prioritized-sweeping": (f"{_HOME}.models:sweeping", "example 8.4: prioritized sweeping"),
    "expected-or-sample": (f"{_HOME}.models:expected_or_sample", "figure 8.7: expected and sample updates"),
    "trajectories": (f"{_HOME}.models:trajectories", "figure 8.8: trajectory sampling"),
    "short-corridor": (f"{_HOME}.policy_gradient:short_corridor", "figure 13.1: REINFORCE where states look alike"),
}

_DQN_EACH_STEP = {
    "learning_rate": 6.3e-4, "batch_size": 128, "buffer_size": 50_000, "learning_starts": 0, "gamma": 0.99,
    "target_update_interval": 250, "train_freq": 4, "gradient_steps": -1, "exploration_fraction": 0.12,
    "exploration_final_eps": 0.1, "net_arch": [256, 256],
}  # fmt: skip
_PPO_SPARSE = {"normalize": True, "n_envs": 16, "n_steps": 16, "gae_lambda": 0.98, "n_epochs": 4}
_SAC_WALKER = {"learning_rate": "lin_7.3e-4", "learning_starts": 10_000}
_TD3 = {"gamma": 0.98, "buffer_size": 200_000, "learning_starts": 10_000, "noise_type": "normal"}
_FAR_HILL = {  # without noise that lasts over many steps the car stays in its valley
    "buffer_size": 50_000, "batch_size": 512, "ent_coef": 0.1, "train_freq": 32, "gradient_steps": 32, "gamma": 0.9999,
    "tau": 0.01, "learning_starts": 0, "net_arch": [64, 64], "noise_type": "ornstein-uhlenbeck", "noise_std": 0.5,
}  # fmt: skip

# Known combinations of an agent's flags by name, for any environment: the agent, and its settings.
PRESETS = {
    "crossq": ("sac", {  # sb3-contrib's CrossQ
        "target_networks": False, "batch_renorm": True, "policy_delay": 3, "learning_rate": 1e-3, "beta_1": 0.5,
        "policy_kwargs": {"net_arch": {"pi": [256, 256], "qf": [1024, 1024]}},
    }),
    "droq": ("sac", {"dropout": 0.01, "layer_norm": True, "gradient_steps": 20, "policy_delay": 20}),
    "rainbow": ("dqn", {
        "double": True, "dueling": True, "prioritized": True, "n_steps": 3, "noisy": True, "distributional": "c51",
    }),
}  # fmt: skip

# Settings by agent and environment for `rlplay train`; those of Gymnasium's environments are RL Zoo's.
TUNED = {
    "ppo": {
        "CartPole-v1": {
            "n_timesteps": 100_000, "n_envs": 8, "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98,
            "n_epochs": 20, "learning_rate": "lin_0.001", "clip_range": "lin_0.2",
        },
        "MountainCar-v0": {"n_timesteps": 1_000_000, **_PPO_SPARSE},
        "Acrobot-v1": {
            "n_timesteps": 1_000_000, "normalize": True, "n_envs": 16, "n_steps": 256, "gae_lambda": 0.94,
            "n_epochs": 4,
        },
        "Pendulum-v1": {
            "n_timesteps": 100_000, "n_envs": 4, "n_steps": 1024, "gamma": 0.9, "learning_rate": 0.001,
        },
        "LunarLander-v3": {
            "n_timesteps": 1_000_000, "n_envs": 16, "n_steps": 1024, "gae_lambda": 0.98, "gamma": 0.999, "n_epochs": 4,
            "ent_coef": 0.01,
        },
    },
    "dqn": {
        "CartPole-v1": {
            "n_timesteps": 50_000, "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000,
            "learning_starts": 1000, "gamma": 0.99, "target_update_interval": 10, "train_freq": 256,
            "gradient_steps": 128, "exploration_fraction": 0.16, "exploration_final_eps": 0.04, "net_arch": [256, 256],
        },
        "MountainCar-v0": {
            # RL Zoo's rate, but falling: at a constant 4e-3 the last policy does not rest (docs/benchmarks.md)
            "n_timesteps": 120_000, "learning_rate": "lin_4e-3", "batch_size": 128, "buffer_size": 10_000,
            "learning_starts": 1000, "gamma": 0.98, "target_update_interval": 600, "train_freq": 16,
            "gradient_steps": 8, "exploration_fraction": 0.2, "exploration_final_eps": 0.07, "net_arch": [256, 256],
        },
        "rlplay/BitFlipping-v0": {  # 20 bits too
            "n_timesteps": 30_000, "n_sampled_goal": 4, "learning_rate": 1e-3, "batch_size": 128,
            "buffer_size": 100_000, "learning_starts": 500, "gamma": 0.98, "target_update_interval": 500,
            "train_freq": 1, "exploration_fraction": 0.3, "exploration_final_eps": 0.2, "net_arch": [256],
        },
        "Acrobot-v1": {"n_timesteps": 100_000, **_DQN_EACH_STEP},
        "LunarLander-v3": {"n_timesteps": 100_000, **_DQN_EACH_STEP},
    },
    "recurrent-dqn": {  # what they reach: docs/benchmarks.md
        "rlplay/CartPoleNoVel-v1": {
            "n_timesteps": 60_000, "learning_rate": "lin_1e-3", "loss": "mse", "gamma": 0.98, "double": True,
            "n_steps": 3, "burn_in": 8, "normalize": {"norm_reward": False},
        },
        "rlplay/MemoryChain-v0": {"n_timesteps": 20_000},
        "rlplay/RepeatSignal-v0": {"n_timesteps": 60_000, "gamma": 0.9},
        "rlplay/TMaze-v0": {"n_timesteps": 60_000},
    },
    "pqn": {
        "CartPole-v1": {"n_timesteps": 500_000, "n_envs": 32, "n_steps": 64, "reward_scale": 0.1},
        "Acrobot-v1": {"n_timesteps": 500_000, "n_envs": 32, "n_steps": 64},
    },
    "a2c": {
        "CartPole-v1": {"n_timesteps": 500_000, "n_envs": 8},
        "Acrobot-v1": {"n_timesteps": 500_000, "n_envs": 16, "normalize": True},
        "MountainCar-v0": {"n_timesteps": 1_000_000, "n_envs": 16, "normalize": True},
        "Pendulum-v1": {
            "n_timesteps": 1_000_000, "n_envs": 8, "normalize": True, "n_steps": 8, "gae_lambda": 0.9, "gamma": 0.9,
            "learning_rate": "lin_7e-4",
        },
    },
    "trpo": {
        "CartPole-v1": {
            # RL Zoo's, but for its batches of 512: with 128 all of 20 seeds end at 499 or more (docs/benchmarks.md)
            "n_timesteps": 100_000, "n_envs": 2, "n_steps": 512, "batch_size": 128, "cg_damping": 1e-3,
            "gae_lambda": 0.98, "n_critic_updates": 20,
        },
        "MountainCar-v0": {
            # RL Zoo's, but for its 1024 steps: with 512 all of 20 seeds end at -113.2 or better
            "n_timesteps": 100_000, "normalize": True, "n_envs": 2, "n_steps": 512, "n_critic_updates": 20,
        },
        "Acrobot-v1": {"n_timesteps": 100_000, "normalize": True, "n_envs": 2, "n_steps": 1024},
        "Pendulum-v1": {
            "n_timesteps": 100_000, "n_envs": 2, "n_steps": 1024, "gamma": 0.9, "n_critic_updates": 15,
        },
        "LunarLander-v3": {
            "n_timesteps": 200_000, "n_envs": 2, "n_steps": 512, "cg_damping": 0.01, "gae_lambda": 0.98,
            "n_critic_updates": 15,
        },
    },
    "ars": {
        "CartPole-v1": {"n_timesteps": 50_000, "n_delta": 2},
        "Pendulum-v1": {
            "n_timesteps": 2_000_000, "policy": "MlpPolicy", "net_arch": [16], "normalize": True,
            "learning_rate": 0.018, "n_delta": 4, "n_top": 1, "delta_std": 0.1,
        },
        "Acrobot-v1": {"n_timesteps": 300_000, "normalize": True},
        "MountainCar-v0": {"n_timesteps": 500_000, "normalize": True},
        "MountainCarContinuous-v0": {"n_timesteps": 500_000, "normalize": True, "n_delta": 16},
    },
    "sac": {
        "Pendulum-v1": {"n_timesteps": 20_000, "learning_rate": 1e-3},
        "MountainCarContinuous-v0": {"n_timesteps": 50_000, **_FAR_HILL},
        "LunarLanderContinuous-v3": {"n_timesteps": 500_000, **_SAC_WALKER, "tau": 0.01, "net_arch": [400, 300]},
        "BipedalWalker-v3": {
            "n_timesteps": 500_000, **_SAC_WALKER, "buffer_size": 300_000, "gamma": 0.98, "tau": 0.02,
            "train_freq": 64, "gradient_steps": 64, "net_arch": [400, 300],
        },
    },
    "discrete-sac": {
        "CartPole-v1": {
            "n_timesteps": 30_000, "net_arch": [64, 64], "batch_size": 64, "learning_rate": 1e-3, "tau": 0.01,
            "buffer_size": 50_000, "learning_starts": 500, "ent_coef": 0.05,
        },
    },
    "cql": {"CartPole-v1": {"n_timesteps": 20_000}},
    "td3-bc": {
        "Pendulum-v1": {
            "n_timesteps": 20_000, "learning_rate": 1e-3, "gamma": 0.98, "batch_size": 128, "net_arch": [64, 64],
        },
    },
    "iql": {
        "Pendulum-v1": {
            "n_timesteps": 20_000, "learning_rate": 1e-3, "gamma": 0.98, "batch_size": 128, "net_arch": [64, 64],
        },
    },
    "tqc": {
        "Pendulum-v1": {"n_timesteps": 20_000, "learning_rate": 1e-3},
        "MountainCarContinuous-v0": {"n_timesteps": 50_000, **_FAR_HILL},
        "LunarLanderContinuous-v3": {"n_timesteps": 500_000, **_SAC_WALKER, "tau": 0.01, "net_arch": [400, 300]},
    },
    "td3": {
        "Pendulum-v1": {"n_timesteps": 20_000, **_TD3},
        "MountainCarContinuous-v0": {
            "n_timesteps": 300_000, "noise_type": "ornstein-uhlenbeck", "noise_std": 0.5,
        },
        "LunarLanderContinuous-v3": {"n_timesteps": 300_000, **_TD3},
        "BipedalWalker-v3": {"n_timesteps": 1_000_000, **_TD3},
    },
    "ddpg": {
        "Pendulum-v1": {"n_timesteps": 20_000, **_TD3},
        "MountainCarContinuous-v0": {
            "n_timesteps": 300_000, "noise_type": "ornstein-uhlenbeck", "noise_std": 0.5,
        },
        "LunarLanderContinuous-v3": {"n_timesteps": 300_000, **_TD3},
    },
}  # fmt: skip
