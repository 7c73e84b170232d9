"""Hyperparameters: declared once in an agent's class body, checked, shown and parsed from there."""
