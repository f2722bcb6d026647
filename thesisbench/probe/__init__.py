"""Probes: what a network does with inputs made for the question, outside any table."""
