"""Every registered agent keeps the contract."""

from __future__ import annotations

import pytest

from rlplay import registry
from rlplay.testing import agent_checks

# Environments on which the contract is held besides FrozenLake: cliffs and no time limit, and a space that is no
# single number and has no table.
OTHER = {
    "q-learning": ["rlplay/GridWorld-v0", "Blackjack-v1"],
    "sarsa": ["rlplay/GridWorld-v0", "Blackjack-v1"],
    "expected-sarsa": ["Blackjack-v1"],
    "value-iteration": ["Taxi-v4"],
}
CASES = [(a, e) for a in registry.agent_ids() for e in ["FrozenLake-v1", *OTHER.get(a, [])]]


@pytest.mark.parametrize("check", agent_checks(), ids=lambda check: check.__name__)
@pytest.mark.parametrize(("agent_id", "env_id"), CASES)
def test_contract(agent_id, env_id, check):
    check(agent_id, env_id)
