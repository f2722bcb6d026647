"""Metrics that no library has."""
