"""Metrics: pure functions of predictions, and counters of them."""
