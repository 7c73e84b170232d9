"""Train Q-learning on the frozen lake, evaluate it, save it. Copy and change."""

from agents import QLearning
from rlplay import evaluate

agent = QLearning("FrozenLake-v1", alpha="lin_0.1_0.001", gamma=0.99, epsilon=0.3, seed=0)
agent.learn(1_000_000, progress_bar=True)

result = evaluate(agent, n_eval_episodes=1000)
low, high = result.interval
print(f"return {result.mean:.3f} (95 % interval {low:.3f} to {high:.3f}); the best there is: 0.744")

agent.save("frozen_lake")
