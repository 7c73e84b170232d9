"""Tuning: the hyperparameters of an agent searched by Optuna, or changed while a population learns."""
