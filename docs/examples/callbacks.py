"""Stop when the agent is good enough, keep the best one, go on later to the bit. Copy and change."""

from agents import QLearning
from rlplay import EvalCallback, load

agent = QLearning("CliffWalking-v1", alpha=0.5, gamma=1.0, epsilon=0.1, seed=0)
evaluation = EvalCallback(eval_freq=4_000, n_eval_episodes=1, best_model_save_path="best", stop_at=-13)
agent.learn(100_000, callback=evaluation)
print(f"stopped after {agent.num_timesteps:,} steps at {evaluation.best_mean_reward:g}")

best = load("best/best_model")
best.learn(1_000, reset_num_timesteps=False)  # goes on where it was saved
print(best)
