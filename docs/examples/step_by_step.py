"""The run loop by hand: every step is a Transition, and the agent's rule is one call. Copy and change."""

from itertools import islice

from agents import Sarsa
from rlplay import interact, make
from rlplay.compiled.pcg64 import random_seed

env = make("rlplay/GridWorld-v0", map="cliff")
agent = Sarsa(env, alpha=0.5, gamma=1.0, seed=0)
agent.horizon = 5000

for step in islice(interact(env, agent.act, lambda: random_seed(agent.seeds)), 5000):
    td_error = agent.update(step)
    if step.terminated and agent.num_timesteps > 4900:
        print(f"step {agent.num_timesteps}: reached {step.next_obs}, TD error {td_error:+.3f}")

print("what the agent thinks of the start:", agent.probe(36))
