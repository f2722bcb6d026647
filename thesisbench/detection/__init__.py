"""Detectors: their interface, kinds, and what is asked of them apart from average precision."""
