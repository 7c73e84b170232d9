"""Value iteration: sweep over all states, each taking the value of its best action, until nothing changes.

No experience is needed, only the model: the environment's transition table. One timestep is one sweep:

    V(s) ← max_a Σ_{s',r} p(s', r | s, a) [r + γ V(s')]    for all s, until the largest change Δ is below θ

With ``average_reward`` there is no discount: values are relative, V(s) ← max_a Σ p [r - g + V(s')], where the gain g
is the reward a step of the best policy in the long run.

Source: Bellman 1957; Sutton & Barto 2e, section 4.4, equation (4.10), box on page 83; White 1963 and Puterman 1994,
section 8.5, for average rewards.

Symbols:
    V  v      float64 [S]        state values
    p  p      float64 [S, A, K]  probability of outcome k, with s' = next_state, r = reward, terminated of that shape
    Δ  delta  float              largest change of the last sweep
    γ  gamma  float              discount
    θ  theta  float              accuracy at which to stop

Deviations from the box: none in place (the default); ``in_place=False`` computes a sweep from the values of the sweep
before, equation (4.10) to the letter. Average rewards are always computed that way.
"""

from __future__ import annotations

from rlplay.extend import Model, Planner, optimality_sweep


class ValueIteration(Planner):
    """Value iteration for environments with a transition table (``env.unwrapped.P``).

    Example:
        >>> agent = ValueIteration("FrozenLake-v1", gamma=0.99).learn(10_000)
        >>> print(f"{agent.v[0]:.5f} after {agent.num_timesteps} sweeps")
        0.54203 after 372 sweeps
    """

    id = "value-iteration"

    def sweep(self, model: Model) -> None:
        """V(s) ← max_a q(s, a) for all s."""
        self.update_values(optimality_sweep, model)
