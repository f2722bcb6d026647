"""Pools of 2x2 windows with stride 2 that a network may have in place of its own."""
