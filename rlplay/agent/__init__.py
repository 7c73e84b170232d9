"""The contract of every agent, and the families that share it."""
