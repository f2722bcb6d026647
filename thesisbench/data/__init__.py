"""Data sets, stand-ins and the deterministic loading of both."""
