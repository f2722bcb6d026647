"""Searches for hyper-parameters of a user's own variants: Optuna proposals, ordinary runs."""
